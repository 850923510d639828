"""Base class of training steps."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from skae._engine.judgement import find_row_errors
from skae._engine.steps.averaging import AveragedWeights, are_equal


class Step:
    """Training step for m networks of the same structure, side by side.

    For each batch, the training loop calls `accumulate_`, which computes gradients, and then
    `update_`, which changes the weights. The first axis of all tensors is the network; for a single
    network it has length one. The result of a network must depend neither on the other networks nor
    on their number.

    A subclass must override `accumulate_` and `update_`. It also overrides `copy_values` and
    `load_values_` if it keeps parameters outside of the modules, `copy_moments` and `load_moments_`
    if it keeps the state of an optimizer, `copy_draws` and `load_draws_` if it draws random numbers
    in advance, and `take_records` if it trains more than one loss.

    Parameters
    ----------
    modules : list of Module
        Networks.
    objective : Objective
        Objective of each network.
    groups : list of list of dict
        Settings of the optimizer of each network: one dictionary per group of parameters, as in the
        `param_groups` of a PyTorch optimizer. They are read in each step, so that learning-rate
        schedules take effect.

    Attributes
    ----------
    averages_weights : bool
        Whether the networks have the average of their weights over the last epochs when an epoch
        has ended. True by default.
    exchange_ : callable
        Function of a list of gradients, called between their computation and their use. Does
        nothing by default. Several processes that train one network sum their gradients here, in
        place.
    emphasis : Tensor or None
        Factors of the training losses by number of codes, set by `heed_`. None if there are none.
    outputs : list of Tensor of shape (b, p)
        Output of each network for the last batch. Valid until the next batch.

    Examples
    --------
    Gradient descent without an optimizer, for a single network:

    >>> import torch
    >>> from skae.base import Step
    >>> class GradientDescent(Step):
    ...     @torch.enable_grad()
    ...     def accumulate_(self, inputs, rows, weights=None):
    ...         self.modules[0].zero_grad()
    ...         own_weights = None if weights is None else weights[0]
    ...         loss, output = self.objective(self.modules[0], inputs[0], rows[0], own_weights)
    ...         loss.backward()
    ...         self.outputs = [output.detach()]
    ...         return loss.detach().view(1, 1)
    ...
    ...     @torch.no_grad()
    ...     def update_(self):
    ...         for group in self.groups[0]:
    ...             for parameter in group["params"]:
    ...                 parameter -= group["lr"] * parameter.grad
    """

    averages_weights: ClassVar[bool] = True

    def __init__(self, modules: Sequence[Any], objective: Any, groups: Sequence[list[dict]]):
        self.modules, self.objective, self.groups = modules, objective, groups
        self.exchange_: Callable[[list[Tensor]], None] = leave_gradients
        self.emphasis: Tensor | None = None
        self.outputs: list[Tensor] = []
        self.averaged = AveragedWeights()

    def accumulate_(self, inputs: Tensor, rows: Tensor, weights: Tensor | None = None) -> Tensor:
        """Compute the gradients for one batch of each network.

        Parameters
        ----------
        inputs : Tensor of shape (m, b, p)
            Input of the networks: standardised rows, with or without noise.
        rows : Tensor of shape (m, b, p)
            Rows to reconstruct.
        weights : Tensor of shape (m, b), default=None
            Weights of the rows, 1 on average over all batches. None gives all rows equal weight.

        Returns
        -------
        losses : Tensor of shape (m, k)
            Losses before the update, whose mean over the last axis is the loss of each network on
            its batch: those of the rows, multiplied by their weights, or a single one.
        """
        raise NotImplementedError

    def update_(self) -> None:
        """Update the parameters with the gradients of the last batch."""
        raise NotImplementedError

    def share_groups_(self) -> None:
        """Declare that the settings of all networks are always equal. Ignored by default."""

    @torch.no_grad()
    def judge(self, inputs: Tensor, rows: Tensor) -> tuple[Tensor, ...]:
        """Return the loss and the error of each row, without training.

        Parameters
        ----------
        inputs, rows : Tensor of shape (m, b, p)
            Input of the networks, and rows to reconstruct.

        Returns
        -------
        losses, errors : Tensor of shape (m, b)
            Loss and mean squared error of each row, in standardised units. A third tensor of shape
            (m, b, n_levels) may follow, with losses that must not exceed those of the start.
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
        """Return the error of each row, by which a network is compared with PCA."""
        if self.objective.error is not None:
            return self.objective.error.rows(output, rows)
        return find_row_errors(module.output(output), rows)

    def copy_values(self) -> Any:
        """Return a copy of everything that training changes in the networks, for `load_values_`."""
        return [
            {name: value.clone() for name, value in module.state_dict().items()}
            for module in self.modules
        ]

    def has_values(self, values) -> bool:
        """Return whether values returned by `copy_values` are still those of the networks."""
        return are_equal(values, self.copy_values())

    def load_values_(self, values) -> None:
        """Load values returned by `copy_values`."""
        for module, state in zip(self.modules, values, strict=True):
            module.load_state_dict(state)

    def copy_moments(self) -> Any:
        """Return a copy of the state of the optimizer, for `load_moments_` of a later step."""

    def load_moments_(self, moments) -> None:
        """Load a state returned by `copy_moments`, if it has the right form."""

    def copy_draws(self) -> Any:
        """Return random numbers drawn in advance, for `load_draws_`. None by default."""

    def load_draws_(self, draws) -> None:
        """Load draws returned by `copy_draws`."""

    def heed_(self, rises: Tensor) -> None:
        """Weight the losses of the next epochs by how the judged losses have changed.

        Parameters
        ----------
        rises : Tensor of shape (n_levels,)
            Relative increase since the start of each mean loss that `judge` returns in third
            place. Empty if there are none.
        """

    def take_records(self) -> dict[str, float]:
        """Return the means of additional losses since the last call, for the history."""
        return {}


def leave_gradients(gradients: list[Tensor]) -> None:
    """Leave gradients unchanged, as one process has all of them."""
