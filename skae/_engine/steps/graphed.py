"""Dense step on a GPU, recorded once and replayed with one launch instead of fifty.

For small networks, launching kernels takes longer than running them. A CUDA graph holds the kernels
of a whole step. The addresses of its tensors are fixed, so batches are copied to them.
"""

import threading
from collections.abc import Callable, Hashable
from typing import Any

import torch
from torch import Tensor

from skae._engine.steps.dense import DenseStep
from skae._engine.steps.flat import FlatParameters, list_settings
from skae.objectives import (
    AbsoluteError,
    BinaryCrossEntropy,
    HuberLoss,
    PoissonLoss,
    PreparedLoss,
    SquaredError,
)

# Other losses may depend on values in Python, or change between calls. A recording cannot.
_REPLAYABLE = {AbsoluteError, BinaryCrossEntropy, HuberLoss, PoissonLoss, SquaredError}
# Two threads that record at the same time could get the same stream.
_ONE_AT_A_TIME = threading.Lock()


class Recording:
    """Function of tensors on the GPU, recorded as a CUDA graph.

    The function must not read values on the CPU; otherwise, a RuntimeError is raised. It must have
    been called with arguments of these shapes before, so that libraries are loaded.
    """

    def __init__(self, function: Callable, arguments: tuple, device: torch.device):
        self.arguments = [None if tensor is None else tensor.clone() for tensor in arguments]
        self.graph = torch.cuda.CUDAGraph()
        stream = torch.cuda.Stream(device)
        stream.wait_stream(torch.cuda.current_stream(device))
        # torch's context manager also runs garbage collection, which takes longer than an epoch.
        with _ONE_AT_A_TIME, torch.cuda.stream(stream):
            self.graph.capture_begin(capture_error_mode="thread_local")
            try:
                self.results = function(*self.arguments)
            finally:
                self.graph.capture_end()

    def __call__(self, *arguments) -> Any:
        """Return the results for arguments of the recorded shapes."""
        for mine, given in zip(self.arguments, arguments, strict=True):
            if mine is not None:
                mine.copy_(given)
        self.graph.replay()
        return self.results


class GraphedStep(DenseStep):
    """Training step for m dense autoencoders on a GPU, replayed as one or two CUDA graphs.

    There is one recording for each shape of a batch, and one of the optimiser, which reads its
    learning rates from the GPU. The first call of each kind runs as in `DenseStep`, and so do all
    calls if something cannot be recorded. Results are equal up to rounding.

    The parameters are those of `DenseStep`, with an objective whose loss must be `is_replayable`.
    """

    def __init__(self, modules, objective, groups):
        super().__init__(modules, objective, groups)
        values = self.parameters[0].values
        self.record: Callable = Recording
        """Function that returns a recording of a function, given its arguments and a device."""

        self._recordings: dict[Hashable, Callable | None] = {}
        self._can_record = True
        # torch reads rates from a GPU in single precision, whatever the precision of the network.
        n_rates = len(self.parameters) * len(modules)
        self._rates = values.new_empty(n_rates, dtype=torch.float32)
        self._rate_views = self._rates.unbind()
        self._known_rates: list[float] = []

    def accumulate_(self, inputs: Tensor, rows: Tensor, weights: Tensor | None = None) -> Tensor:
        if _is_same(inputs, rows):
            return self._run("accumulate same", self._accumulate_same, rows, weights).clone()
        return self._run("accumulate", super().accumulate_, inputs, rows, weights).clone()

    def _accumulate_same(self, rows: Tensor, weights: Tensor | None) -> Tensor:
        return super().accumulate_(rows, rows, weights)

    @torch.no_grad()
    def update_(self):
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
        """Copy the learning rates to the GPU if they have changed, without waiting for it."""
        if rates != self._known_rates:
            values = torch.tensor(rates, dtype=self._rates.dtype)
            self._rates[: len(rates)].copy_(values, non_blocking=True)
            self._known_rates = rates

    def judge(self, inputs: Tensor, rows: Tensor) -> tuple[Tensor, ...]:
        if _is_same(inputs, rows):
            losses, errors = self._run("judge same", self._judge_same, rows)
        else:
            losses, errors = self._run("judge", super().judge, inputs, rows)
        return losses.clone(), errors.clone()

    def _judge_same(self, rows: Tensor) -> tuple[Tensor, ...]:
        return super().judge(rows, rows)

    def _run(self, name: str, function: Callable, *arguments) -> Any:
        """Call a function, or its recording from the second call with arguments of these shapes.

        Results of a recording are overwritten by the next call.
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
    """Return whether two tensors of the same shape share the same memory."""
    return one.data_ptr() == other.data_ptr() and one.stride() == other.stride()


def is_replayable(loss: PreparedLoss) -> bool:
    """Return whether a loss runs the same kernels in each call, for all values."""
    return type(loss) is PreparedLoss and type(loss.loss) in _REPLAYABLE
