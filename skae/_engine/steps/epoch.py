"""One epoch of a step, by itself or in the hands of somebody who trains several together."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from skae._engine.steps.step import Step


@dataclass(frozen=True)
class Batch:
    """Arguments of `Step.accumulate_`."""

    inputs: Tensor
    rows: Tensor
    weights: Tensor | None


class Trainer(Protocol):
    """Somebody who takes epochs of many trainings, each from a thread of its own."""

    def train_epoch(
        self, step: Step, batches: Iterable[Batch], begin_step: Callable[[], None], n_cells: int
    ) -> list[Tensor]:
        """Do as the function `train_epoch` does, in any company, with the same result."""

    def alone(self) -> AbstractContextManager:
        """Return a context for work that is not shared with other trainings."""


# A thread begins with a context of its own, so a trainer serves the threads that have set it.
TRAINER: ContextVar[Trainer | None] = ContextVar("skae_trainer", default=None)


def train_epoch(
    step: Step, batches: Iterable[Batch], begin_step: Callable[[], None], n_cells: int
) -> list[Tensor]:
    """Make a step for each batch.

    Parameters
    ----------
    step : Step
        Trains the networks.
    batches : iterable of Batch
        The batches in turn.
    begin_step : callable
        Called before each step, to set whatever changes from step to step.
    n_cells : int
        Number of cells of all batches, by which a trainer knows whether to keep them in memory.

    Returns
    -------
    losses : list of Tensor of shape (m,)
        Loss of each network on each batch, before the update.
    """
    trainer = TRAINER.get()
    if trainer is None:
        return train_alone(step, batches, begin_step)
    return trainer.train_epoch(step, batches, begin_step, n_cells)


def train_alone(
    step: Step, batches: Iterable[Batch], begin_step: Callable[[], None]
) -> list[Tensor]:
    """Make a step for each batch, whoever else trains; see `train_epoch`."""
    losses = []
    for batch in batches:
        begin_step()
        losses.append(step.accumulate_(batch.inputs, batch.rows, batch.weights))
        step.update_()
    return losses


def work_alone() -> AbstractContextManager:
    """Return the context of a training whose steps cannot be handed to a trainer."""
    trainer = TRAINER.get()
    return nullcontext() if trainer is None else trainer.alone()
