"""Rows of the next epochs, which are prepared together, as each call of torch has a fixed cost."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch

# Rows of more cells take longer than the calls, and would leave the cache before their epoch.
_MOST_CELLS = 2**16
_MOST_EPOCHS = 16


class EpochsAhead:
    """Queue of epochs that are drawn one by one and prepared several at a time.

    Random generators are in the same states as if each epoch were drawn when it is taken. If
    anything else draws from them, or sets their states, epochs in the queue are drawn again.

    Parameters
    ----------
    generators : list of torch.Generator
        Generators from which epochs are drawn.
    n_cells : int
        Number of cells of one epoch. The more cells, the fewer epochs are prepared together.
    """

    def __init__(self, generators: Sequence[torch.Generator], n_cells: int):
        self.generators = generators
        self.most_at_once = max(1, min(_MOST_EPOCHS, _MOST_CELLS // max(1, n_cells)))
        self.n_at_once = 1
        self.states: list[torch.Tensor] = []
        self.queue: deque[tuple[Any, list[torch.Tensor]]] = deque()

    # The functions are not kept: their owner, which holds the table, would be kept by them in turn.
    def take(self, draw: Callable[[], Any], prepare: Callable[[list], Iterable]) -> Any:
        """Return the next epoch.

        Parameters
        ----------
        draw : callable
            Function that returns the random numbers of one epoch.
        prepare : callable
            Function of a list of results of `draw` that returns as many prepared epochs, which must
            not depend on the other epochs of the list.

        Returns
        -------
        epoch : object
            Epoch as returned by `prepare`.
        """
        if self.queue and not all(map(torch.equal, self.states, self._copy_states())):
            self.queue.clear()
            self.n_at_once = self.most_at_once = 1
        if not self.queue:
            self._extend(draw, prepare)
        epoch, self.states = self.queue.popleft()
        for generator, state in zip(self.generators, self.states, strict=True):
            generator.set_state(state)
        return epoch

    def _extend(self, draw, prepare):
        drawn, states = [], []
        for _ in range(self.n_at_once):
            drawn.append(draw())
            states.append(self._copy_states())
        self.queue.extend(zip(prepare(drawn), states, strict=True))
        # Many trainings have few epochs.
        self.n_at_once = min(2 * self.n_at_once, self.most_at_once)

    def _copy_states(self) -> list[torch.Tensor]:
        return [generator.get_state() for generator in self.generators]
