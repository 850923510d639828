"""One epoch of a step, run alone or by a trainer that runs several trainings together."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from typing import NamedTuple, Protocol

from torch import Tensor

from skae._engine.steps.step import Step


class Batch(NamedTuple):
    """Arguments of `Step.accumulate_`."""

    inputs: Tensor
    rows: Tensor
    weights: Tensor | None


class Trainer(Protocol):
    """Runner of epochs of many trainings, each of which has its own thread."""

    def train_epoch(
        self, step: Step, batches: Iterable[Batch], begin_step: Callable[[], None], n_cells: int
    ) -> list[Tensor]:
        """Return the result of the function `train_epoch`; trainings may run together."""

    def alone(self) -> AbstractContextManager:
        """Return a context for work that is not shared with other trainings."""


# Each thread has its own context, so a trainer is used only by threads that have set it.
TRAINER: ContextVar[Trainer | None] = ContextVar("skae_trainer", default=None)


def train_epoch(
    step: Step, batches: Iterable[Batch], begin_step: Callable[[], None], n_cells: int
) -> list[Tensor]:
    """Make a step for each batch, and return the losses of the networks before each update.

    `begin_step` is called before each step, such as to set learning rates. By `n_cells`, the number
    of cells of all batches, a trainer decides whether to keep them in memory.
    """
    trainer = TRAINER.get()
    with step.averaged.train(step):
        if trainer is None:
            return train_alone(step, batches, begin_step)
        return trainer.train_epoch(step, batches, begin_step, n_cells)


def train_alone(
    step: Step, batches: Iterable[Batch], begin_step: Callable[[], None]
) -> list[Tensor]:
    """Make a step for each batch, without a trainer. Parameters as in `train_epoch`."""
    losses = []
    for batch in batches:
        begin_step()
        losses.append(step.accumulate_(batch.inputs, batch.rows, batch.weights))
        step.update_()
    return losses


def work_alone() -> AbstractContextManager:
    """Return the context for training whose steps a trainer cannot run."""
    trainer = TRAINER.get()
    return nullcontext() if trainer is None else trainer.alone()
