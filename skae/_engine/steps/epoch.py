"""Epochs of a training, run alone or by a trainer that runs several trainings together.

A training is a generator that yields its epochs and receives what each has cost. So whoever runs it
decides in which thread, and together with which others, the epochs are trained.
"""

import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextvars import ContextVar, copy_context
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from skae._engine.steps.step import Step


class Batch(NamedTuple):
    """Arguments of `Step.accumulate_`."""

    inputs: Tensor
    rows: Tensor
    weights: Tensor | None


class Epoch(NamedTuple):
    """One epoch of a step."""

    batches: Iterable[Batch]

    begin_step: Callable[[], None]
    """Function called before each step, such as to set learning rates."""

    judged: tuple[Tensor, Tensor] | None = None
    """Arguments of `Step.judge` after the epoch, the same after all epochs. None if there is
    nothing to judge, or the generator does it."""

    shows_networks: bool = True
    """Whether anything may read or set the networks before the next epoch, as in all epochs.

    If not, `Step.copy_values` may still be called after an epoch that is judged."""


class Costs(NamedTuple):
    """Losses and judged rows of an epoch."""

    losses: list[Tensor]
    """Losses (m, k) on each batch, as returned by `Step.accumulate_`."""

    judged: tuple[Tensor, ...] | None
    """Result of `Step.judge`. None if the epoch has nothing to judge."""


def add_up(values: Sequence[Tensor], sizes: Sequence[int]) -> Tensor:
    """Return the sum (m,) of values over the rows of batches of these sizes.

    A batch has values (m, k) with the same mean as its rows.
    """
    joined, lengths = torch.cat(list(values), 1), [own.shape[1] for own in values]
    if lengths == list(sizes):
        return joined.sum(1)
    factors = torch.tensor(sizes) / torch.tensor(lengths)
    return joined @ factors.repeat_interleave(torch.tensor(lengths)).to(joined)


Epochs = Generator[Epoch, Costs, None]


class Trainer(Protocol):
    """Runner of many trainings, each of which has its own thread."""

    def run(self, step: Step, epochs: Epochs, n_cells: int) -> None:
        """Do what the function `run_epochs` does, whichever trainings run together."""


# Each thread has its own context, so a trainer is used only by threads that have set it.
TRAINER: ContextVar[Trainer | None] = ContextVar("skae_trainer", default=None)


def run_epochs(step: Step, epochs: Epochs, n_cells: int) -> None:
    """Train a step for all epochs of a generator, which receives their `Costs`.

    Its errors end the training. By `n_cells`, the number of cells of an epoch, a trainer decides
    whether to keep its batches in memory.
    """
    trainer = TRAINER.get()
    if trainer is None:
        _run_alone(step, epochs)
    else:
        trainer.run(step, epochs, n_cells)


def _run_alone(step: Step, epochs: Epochs) -> None:
    costs: Any = None
    with contextlib.suppress(StopIteration):
        while True:
            costs = train_alone(step, epochs.send(costs))


@torch.no_grad()
def train_alone(step: Step, epoch: Epoch) -> Costs:
    losses = []
    with step.averaged.train(step):
        for batch in epoch.batches:
            epoch.begin_step()
            losses.append(step.accumulate_(batch.inputs, batch.rows, batch.weights))
            step.update_()
    return Costs(losses, None if epoch.judged is None else step.judge(*epoch.judged))


class Training:
    """Training whose epochs may be trained in any thread.

    Everything runs in a copy of the present context, without a trainer: fits within the training,
    such as those of a callback, cannot wait for other trainings.
    """

    epoch: Epoch | None = None
    """Next epoch. None before the first and after the last."""

    error: BaseException | None = None
    """Error that has ended the training."""

    def __init__(self, step: Step, epochs: Epochs):
        self.step, self.epochs = step, epochs
        self.context = copy_context()
        self.context.run(TRAINER.set, None)

    def advance(self, costs: Costs | None = None) -> None:
        """Ask for the next epoch, given the costs of the last one, None before the first."""
        with self._catching():
            # mypy takes None for an error, but it starts a generator.
            self.epoch = self.context.run(self.epochs.send, costs)  # type: ignore[arg-type]

    def list_batches(self) -> None:
        """Draw all batches of the next epoch, if there is one."""
        if self.epoch is not None:
            with self._catching(), torch.no_grad():
                batches = self.context.run(list, self.epoch.batches)
                self.epoch = self.epoch._replace(batches=batches)

    def run(self, before_epoch: Callable[[], None]) -> None:
        """Train all epochs that are left, and call a function before each."""
        if self.epoch is None:
            self.advance()
        while self.epoch is not None:
            before_epoch()
            costs = None
            with self._catching():
                costs = self.context.run(train_alone, self.step, self.epoch)
            if self.error is None:
                self.advance(costs)

    def fail(self, error: BaseException) -> None:
        """End the training by an error."""
        self.epoch, self.error = None, self.error or error

    @contextlib.contextmanager
    def _catching(self) -> Iterator[None]:
        """Return a context whose errors end the training, as does the end of the generator."""
        try:
            yield
        except StopIteration:
            self.epoch = None
        except BaseException as error:
            self.fail(error)
