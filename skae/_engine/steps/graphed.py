"""The dense step on a GPU, recorded once and replayed: one launch instead of fifty.

What small networks ask of a GPU takes less time than asking. A CUDA graph holds the kernels of a
whole step; its tensors stay where they were when it was recorded, so batches are copied there.
"""

import threading
from collections.abc import Callable, Hashable
from typing import Any

import torch
from torch import Tensor

from skae._engine.steps.dense import DenseStep, FlatParameters, list_settings
from skae.objectives import (
    AbsoluteError,
    BinaryCrossEntropy,
    HuberLoss,
    PoissonLoss,
    PreparedLoss,
    SquaredError,
)

# Losses of others may look at numbers, or change from call to call, which a recording does not.
_REPLAYABLE = {AbsoluteError, BinaryCrossEntropy, HuberLoss, PoissonLoss, SquaredError}
# Two threads that record at the same time could be given the same stream.
_ONE_AT_A_TIME = threading.Lock()


class Recording:
    """A function of tensors as a CUDA graph.

    Parameters
    ----------
    function : callable
        Computes tensors from tensors without asking for a number. It has been called with arguments
        of these shapes before, so that libraries are loaded.
    arguments : tuple of (Tensor or None)
        Arguments on the GPU.
    device : torch.device
        The GPU.

    Raises
    ------
    RuntimeError
        If the function does something that cannot be recorded.
    """

    def __init__(self, function: Callable, arguments: tuple, device: torch.device):
        self.arguments = [None if tensor is None else tensor.clone() for tensor in arguments]
        self.graph = torch.cuda.CUDAGraph()
        stream = torch.cuda.Stream(device)
        stream.wait_stream(torch.cuda.current_stream(device))
        # The context manager of torch would also collect garbage, which takes longer than an epoch.
        with _ONE_AT_A_TIME, torch.cuda.stream(stream):
            self.graph.capture_begin(capture_error_mode="thread_local")
            try:
                self.results = function(*self.arguments)
            finally:
                self.graph.capture_end()

    def __call__(self, *arguments) -> Any:
        """Return the results for arguments of the shapes that were recorded."""
        for mine, given in zip(self.arguments, arguments, strict=True):
            if mine is not None:
                mine.copy_(given)
        self.graph.replay()
        return self.results


class GraphedStep(DenseStep):
    """Training steps of m dense autoencoders on a GPU, each replayed as one or two CUDA graphs.

    There is one recording for each shape of a batch, and one of the optimiser, which reads its
    learning rates from the GPU. The first call of each kind is made as by `DenseStep`. All calls
    are where something cannot be recorded, and results are equal to rounding.

    Parameters
    ----------
    modules : list of Autoencoder
        The models, on a GPU.
    objective : ReconstructionObjective
        The loss of each, one that `is_replayable`.
    groups : list of list of dict
        For each model the settings of AdamW, as for `DenseStep`.

    Attributes
    ----------
    record : callable
        Returns a recording of a function, its arguments and a device.
    """

    def __init__(self, modules, objective, groups):
        super().__init__(modules, objective, groups)
        values = self.parameters[0].values
        self.record: Callable = Recording
        self._recordings: dict[Hashable, Callable | None] = {}
        self._can_record = True
        # torch reads rates from a GPU in single precision, whatever that of the network.
        n_rates = len(self.parameters) * len(modules)
        self._rates = values.new_empty(n_rates, dtype=torch.float32)
        self._rate_views = self._rates.unbind()
        self._known_rates: list[float] = []

    def accumulate_(self, inputs: Tensor, rows: Tensor, weights: Tensor | None = None) -> Tensor:
        """Compute the gradients of one batch of each model."""
        if _is_same(inputs, rows):
            return self._run("accumulate same", self._accumulate_same, rows, weights).clone()
        return self._run("accumulate", super().accumulate_, inputs, rows, weights).clone()

    def _accumulate_same(self, rows: Tensor, weights: Tensor | None) -> Tensor:
        return super().accumulate_(rows, rows, weights)

    @torch.no_grad()
    def update_(self):
        """Make one AdamW step of each group of parameters."""
        self.exchange_([parameters.gradients for parameters in self.parameters])
        settings = [list_settings(groups) for groups in self.list_groups()]
        self._set_rates_([row["lr"] for own in settings for row in own])
        rates = iter(self._rate_views)
        calls = [
            (parameters, [{**row, "lr": next(rates)} for row in own])
            for parameters, own in zip(self.parameters, settings, strict=True)
        ]
        others = [[row | {"lr": None} for row in own] for own in settings]
        self._run(f"update {others}", lambda: _update(calls))

    def _set_rates_(self, rates: list[float]):
        """Send the learning rates where they have changed, without waiting for the GPU."""
        if rates != self._known_rates:
            values = torch.tensor(rates, dtype=self._rates.dtype)
            self._rates[: len(rates)].copy_(values, non_blocking=True)
            self._known_rates = rates

    def judge(self, inputs: Tensor, rows: Tensor) -> tuple[Tensor, ...]:
        """Return loss and squared error of each row, without training."""
        if _is_same(inputs, rows):
            losses, errors = self._run("judge same", self._judge_same, rows)
        else:
            losses, errors = self._run("judge", super().judge, inputs, rows)
        return losses.clone(), errors.clone()

    def _judge_same(self, rows: Tensor) -> tuple[Tensor, ...]:
        return super().judge(rows, rows)

    def _run(self, name: str, function: Callable, *arguments) -> Any:
        """Call a function, from its second call with arguments of these shapes on by a recording.

        The results of a recording are overwritten by the next call.
        """
        key = name, *(None if tensor is None else tensor.shape for tensor in arguments)
        if key not in self._recordings:
            self._recordings[key] = None
        elif self._can_record and self._recordings[key] is None:
            self._recordings[key] = self._try_to_record(function, arguments)
        return (self._recordings[key] or function)(*arguments)

    def _try_to_record(self, function: Callable, arguments: tuple) -> Callable | None:
        try:
            return self.record(function, arguments, self._rates.device)
        except RuntimeError:
            self._can_record = False
            return None


def _update(calls: list[tuple[FlatParameters, list[dict]]]):
    for parameters, settings in calls:
        parameters.apply_(settings)


def _is_same(one: Tensor, other: Tensor) -> bool:
    """Tell whether two tensors are the same numbers in the same memory."""
    return one.data_ptr() == other.data_ptr() and one.stride() == other.stride()


def is_replayable(loss: PreparedLoss) -> bool:
    """Tell whether a loss does the same at each call, whatever its numbers."""
    return type(loss) is PreparedLoss and type(loss.loss) in _REPLAYABLE
