"""Tables outside of memory, read in blocks of rows of which some are kept."""

import math
from collections.abc import Callable

import numpy as np
import torch

from skae._engine.tables.standardization import find_float_type

# Memory for kept blocks: half of them are being shuffled, the others may be needed next.
_BYTES_KEPT = 2**27
# Tables of more bytes of floats are not read whole.
_LARGE_BYTES = 2**28


class StoredTable:
    """Table in a file or of another library, whose rows are read in blocks.

    Rows are selected as in an array: by slices, by indices, or by a mask, which returns another
    stored table.

    `read_block` is a function of the index of a block that returns its rows, of shape (n,
    *sample_shape), to be converted to `dtype`. `bounds` has the first row of each block, and the
    number of rows. `names` are those of the columns, if any.
    """

    def __init__(self, read_block: Callable, bounds, sample_shape, dtype, names=None):
        self.read_block = read_block
        self.bounds = np.asarray(bounds, dtype=np.int64)
        self.dtype = np.dtype(dtype)
        self.names = names
        self.shape = (int(self.bounds[-1]), *map(int, sample_shape))
        self.ndim = len(self.shape)
        longest = int(np.diff(self.bounds).max(initial=1))
        block_bytes = max(1, longest * math.prod(self.shape[1:]) * self.dtype.itemsize)
        self.n_kept = max(2, min(self.n_blocks, _BYTES_KEPT // block_bytes))
        self._longest = longest
        self._place_of = np.full(self.n_blocks, -1)
        self._kept_at = np.full(self.n_kept, -1)
        self._next = 0
        self._kept: np.ndarray | None = None

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def n_blocks(self) -> int:
        return len(self.bounds) - 1

    @property
    def n_shuffled(self) -> float:
        """Number of blocks shuffled together. Infinite if all rows are."""
        return math.inf if self.n_blocks <= self.n_kept else max(1, self.n_kept // 2)

    @property
    def is_large(self) -> bool:
        """Whether the table is too large to be read whole."""
        return holds_many_bytes(self.shape, self.dtype)

    def __getitem__(self, rows):
        if isinstance(rows, slice):
            return self._read(*rows.indices(len(self))[:2])
        if isinstance(rows, int | np.integer):
            return self._take(np.array([rows]))[0]
        rows = np.asarray(rows)
        return self._keep(rows) if rows.dtype == bool else self._take(rows)

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self[:], dtype=dtype)

    def flatten(self) -> "StoredTable":
        """Return the table with flattened rows."""
        if self.ndim == 2:
            return self
        n_cells = math.prod(self.shape[1:])
        return self._derive(lambda block, i: block.reshape(len(block), n_cells), (n_cells,))

    def checked(self, check: Callable[[np.ndarray], None]) -> "StoredTable":
        """Return the table with a check of each block when it is read."""

        def look(block, i):
            check(block)
            return block

        return self._derive(look, self.shape[1:])

    def _keep(self, mask: np.ndarray) -> "StoredTable":
        bounds = np.concatenate([[0], np.cumsum(mask)])[self.bounds]
        masks = np.split(mask, self.bounds[1:-1])
        return self._derive(lambda block, i: block[masks[i]], self.shape[1:], bounds)

    def _derive(self, change: Callable, sample_shape, bounds=None) -> "StoredTable":
        bounds = self.bounds if bounds is None else bounds
        read = self.read_block
        return StoredTable(
            lambda i: change(read(i), i), bounds, sample_shape, self.dtype, self.names
        )

    def _read(self, start: int, stop: int) -> np.ndarray:
        """Return the rows from `start` up to, but not including, `stop`."""
        first = int(np.searchsorted(self.bounds, start, side="right")) - 1
        parts = []
        while start < stop:
            end = min(stop, int(self.bounds[first + 1]))
            if end > start:
                parts.append(self._read_part(first, start, end))
            start, first = end, first + 1
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(parts) if parts else np.empty((0, *self.shape[1:]), self.dtype)

    def _read_part(self, block: int, start: int, stop: int) -> np.ndarray:
        begin, end = self.bounds[block : block + 2]
        if stop - start == end - begin and self._place_of[block] < 0:
            return self._convert(block)
        self._load(np.array([block]))
        assert self._kept is not None  # noqa: S101
        return self._kept[self._place_of[block], start - begin : stop - begin].copy()

    def _take(self, rows: np.ndarray) -> np.ndarray:
        """Return the rows at given indices, in the given order."""
        blocks = np.searchsorted(self.bounds, rows, side="right") - 1
        needed = np.unique(blocks)
        taken = np.empty((len(rows), *self.shape[1:]), self.dtype)
        for some in np.split(needed, range(self.n_kept, len(needed), self.n_kept)):
            own = slice(None) if len(some) == len(needed) else np.isin(blocks, some)
            self._load(some)
            assert self._kept is not None  # noqa: S101
            places = self._place_of[blocks[own]] * self._longest
            places += rows[own] - self.bounds[blocks[own]]
            taken[own] = self._kept.reshape(-1, *self.shape[1:]).take(places, axis=0)
        return taken

    def _load(self, blocks: np.ndarray):
        """Read blocks that are not kept yet. They replace the blocks read first."""
        if self._kept is None:
            self._kept = np.empty((self.n_kept, self._longest, *self.shape[1:]), self.dtype)
        for block in blocks[self._place_of[blocks] < 0]:
            while self._kept_at[self._next] in blocks:
                self._next = (self._next + 1) % self.n_kept
            place, old = self._next, self._kept_at[self._next]
            if old >= 0:
                self._place_of[old] = -1
            # Mark the place as empty until the block has been read.
            self._kept_at[place] = -1
            rows = self._convert(block)
            self._kept[place, : len(rows)] = rows
            self._kept_at[place], self._place_of[block] = block, place
            self._next = (place + 1) % self.n_kept

    def _convert(self, block: int) -> np.ndarray:
        rows = np.asarray(self.read_block(block))
        n_rows = int(self.bounds[block + 1] - self.bounds[block])
        if rows.shape != (n_rows, *self.shape[1:]):
            raise ValueError(
                f"X must have {n_rows} rows of shape {self.shape[1:]} in block {block}, as "
                f"declared. Got an array of shape {rows.shape}. X may have changed since it was "
                "opened."
            )
        return rows.astype(self.dtype, copy=False)

    def draw_order(self, indices: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return a random permutation of the positions in `indices` that reads few blocks.

        The indices ascend. Blocks are in random order, and rows are shuffled within groups of
        blocks that fill half of the kept memory. If the whole table is kept, all rows are shuffled
        together.
        """
        if math.isinf(self.n_shuffled):
            return torch.randperm(len(indices), generator=generator)
        starts = torch.searchsorted(indices, torch.from_numpy(self.bounds))
        places = torch.arange(len(indices)).tensor_split(starts[1:-1])
        order = torch.randperm(self.n_blocks, generator=generator)
        parts = []
        for blocks in order.split(int(self.n_shuffled)):
            rows = torch.cat([places[i] for i in blocks.tolist()])
            parts.append(rows[torch.randperm(len(rows), generator=generator)])
        return torch.cat(parts)


def holds_many_bytes(shape, dtype: np.dtype) -> bool:
    """Return whether a table, as floats, is too large to be read whole."""
    return math.prod(shape) * find_float_type(dtype).itemsize > _LARGE_BYTES
