"""Training step of any autoencoder by autograd and torch's optimisers."""

import contextlib
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from skae._engine.steps.step import Step


class AutogradStep(Step):
    """Training step for m autoencoders, one after the other, each with its own optimizer.

    `precision` returns the context, such as autocast, in which networks are computed.
    """

    def __init__(
        self,
        modules: Sequence[nn.Module],
        objective: nn.Module,
        optimizers: Sequence[torch.optim.Optimizer],
        *,
        precision: Callable = contextlib.nullcontext,
    ):
        super().__init__(modules, objective, [own.param_groups for own in optimizers])
        self.optimizers, self.precision = optimizers, precision

    @torch.enable_grad()
    def accumulate_(self, inputs: Tensor, rows: Tensor, weights: Tensor | None = None) -> Tensor:
        self.objective.train()
        self._batch = inputs, rows, weights
        parts = [self._evaluate(model) for model in range(len(self.modules))]
        losses, outputs = zip(*parts, strict=True)
        self.outputs = list(outputs)
        return torch.stack(losses)[:, None]

    def _evaluate(self, model: int) -> tuple[Tensor, Tensor]:
        """Store the gradients of one network. Return its loss and output."""
        inputs, rows, weights = self._batch
        own_weights = None if weights is None else weights[model]
        module = self.modules[model].train()
        self.optimizers[model].zero_grad()
        with self.precision():
            loss, output = self._find_loss(module, inputs[model], rows[model], own_weights)
        loss.backward()
        return loss.detach(), output.detach()

    def _find_loss(self, module, inputs, rows, weights) -> tuple[Tensor, Tensor]:
        return self.objective(module, inputs, rows, weights)

    def update_(self):
        self.exchange_(self._list_gradients())
        for model, optimizer in enumerate(self.optimizers):
            if isinstance(optimizer, torch.optim.LBFGS):
                # It evaluates the loss again at each point of its line search.
                optimizer.step(torch.enable_grad()(lambda model=model: self._evaluate(model)[0]))
            else:
                optimizer.step()

    def _list_gradients(self) -> list[Tensor]:
        parameters = (p for own in self.groups for group in own for p in group["params"])
        return [parameter.grad for parameter in parameters if parameter.grad is not None]

    def judge(self, inputs: Tensor, rows: Tensor) -> tuple[Tensor, ...]:
        with self.precision():
            return super().judge(inputs, rows)

    def copy_moments(self):
        return self._kind, [optimizer.state_dict()["state"] for optimizer in self.optimizers]

    def load_moments_(self, moments):
        kind, states = (None, []) if moments is None else moments
        if kind is self._kind:
            load_states_(self.optimizers, states)

    @property
    def _kind(self) -> type:
        return type(self.optimizers[0])


def load_states_(optimizers: Sequence[torch.optim.Optimizer], states: Sequence[dict]) -> None:
    """Load the states of other optimisers, keeping the current learning rates."""
    for optimizer, state in zip(optimizers, states, strict=True):
        # Loading creates new groups, but schedules refer to these.
        groups = optimizer.param_groups
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
        optimizer.param_groups = groups
