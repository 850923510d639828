"""A training step: the contract between those who write steps and those who run the loop."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from skae._engine.judgement import find_row_errors


class Step:
    """Training steps of m models of one kind, side by side.

    Whoever runs the loop calls `accumulate_` and then `update_` for each batch; what stands in
    between sees the gradients. Tensors have a leading axis of models, of length one for a single
    network. A model's result depends neither on the other models nor on their number.

    A subclass must override `accumulate_` and `update_`. One that keeps parameters or an
    optimiser's state outside of the modules also overrides `copy_values` and `load_values_`, or
    `copy_moments` and `load_moments_`; one that draws random numbers ahead, `copy_draws` and
    `load_draws_`; one that trains more than one loss, `take_records`.

    Parameters
    ----------
    modules : list of Module
        The models.
    objective : Objective
        Objective of each model.
    groups : list of list of dict
        For each model the settings of its optimiser, one dictionary for each group of parameters,
        as in the `param_groups` of a torch optimiser. They are read at each step, so that a
        schedule that changes them changes the steps.

    Attributes
    ----------
    exchange_ : callable
        Called with a list of gradients between their computation and their use. Does nothing by
        default; several processes that train one model add up their gradients here, in place.
    outputs : list of Tensor of shape (b, p)
        Output of each network for the last batch, valid until the next one.

    Examples
    --------
    A step that goes down the gradient, without an optimiser:

    >>> import torch
    >>> from skae.base import Step
    >>> class GradientDescent(Step):
    ...     @torch.enable_grad()
    ...     def accumulate_(self, inputs, rows, weights=None):
    ...         self.modules[0].zero_grad()
    ...         loss, output = self.objective(self.modules[0], inputs[0], rows[0], weights)
    ...         loss.backward()
    ...         self.outputs = [output.detach()]
    ...         return loss.detach()[None]
    ...
    ...     @torch.no_grad()
    ...     def update_(self):
    ...         for group in self.groups[0]:
    ...             for parameter in group["params"]:
    ...                 parameter -= group["lr"] * parameter.grad
    """

    def __init__(
        self,
        modules: Sequence[Any],
        objective: Any,
        groups: Sequence[list[dict]],
    ):
        self.modules, self.objective, self.groups = modules, objective, groups
        self.exchange_: Callable[[list[Tensor]], None] = leave_gradients
        self.outputs: list[Tensor] = []

    def accumulate_(self, inputs: Tensor, rows: Tensor, weights: Tensor | None = None) -> Tensor:
        """Compute the gradients for one batch of each model.

        Parameters
        ----------
        inputs : Tensor of shape (m, b, p)
            Rows as the models see them: standardised, with noise or without.
        rows : Tensor of shape (m, b, p)
            Rows to be reconstructed.
        weights : Tensor of shape (m, b), default=None
            Weights of the rows, 1 on average over all batches; equal where None.

        Returns
        -------
        losses : Tensor of shape (m,)
            Loss of each model on its batch, before the update.
        """
        raise NotImplementedError

    def update_(self) -> None:
        """Change the parameters by the gradients of the last batch."""
        raise NotImplementedError

    def share_groups_(self) -> None:
        """Take note that the settings of all models are always equal; ignored by default."""

    @torch.no_grad()
    def judge(self, inputs: Tensor, rows: Tensor) -> tuple[Tensor, ...]:
        """Return loss and error of each row, without training.

        Parameters
        ----------
        inputs, rows : Tensor of shape (m, b, p)
            Rows as the models see them, and rows to be reconstructed.

        Returns
        -------
        losses, errors : Tensor of shape (m, b)
            Loss, and mean squared error of the cells in standardised units. A third tensor of shape
            (m, b, n_levels) may follow: losses none of which may end up above those of the start.
        """
        self.objective.eval()
        judged, self.outputs = [], []
        for module, own_inputs, own_rows in zip(self.modules, inputs, rows, strict=True):
            module.eval()
            losses, output = self.objective.judge(module, own_inputs, own_rows)
            judged.append((losses, self._find_errors(module, losses, output, own_rows)))
            self.outputs.append(output)
        losses, errors = map(torch.stack, zip(*judged, strict=True))
        return losses, errors

    def _find_errors(self, module, losses: Tensor, output: Tensor, rows: Tensor) -> Tensor:
        """Return the error of each row, by which a model is compared with PCA."""
        if self.objective.error is not None:
            return self.objective.error.rows(output, rows)
        return find_row_errors(module.output(output), rows)

    def copy_values(self) -> Any:
        """Return a copy of what training changes in the models, for `load_values_`."""
        return [
            {name: value.clone() for name, value in module.state_dict().items()}
            for module in self.modules
        ]

    def load_values_(self, values) -> None:
        """Give the models values that `copy_values` has returned."""
        for module, state in zip(self.modules, values, strict=True):
            module.load_state_dict(state)

    def copy_moments(self) -> Any:
        """Return a copy of the optimiser's state, for `load_moments_` of a later step."""

    def load_moments_(self, moments) -> None:
        """Go on with the state that `copy_moments` has returned, if it is one of this kind."""

    def copy_draws(self) -> Any:
        """Return random draws made ahead, for `load_draws_`; there are none by default."""

    def load_draws_(self, draws) -> None:
        """Go on with the draws that `copy_draws` has returned."""

    def take_records(self) -> dict[str, float]:
        """Return mean losses beside the main one since the last call, for the history."""
        return {}


def leave_gradients(gradients: list[Tensor]) -> None:
    """Exchange nothing: one process has all gradients."""
