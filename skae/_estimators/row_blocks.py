"""Methods applied to large tables block by block, because rows are independent."""

import functools
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

from skae._engine import StoredTable, chunk_slices
from skae._estimators.stored_tables import is_path, open_path, open_stored
from skae._shared.extras import import_extra
from skae._shared.memory import find_free_memory
from skae._shared.progress import show_progress

_Method = TypeVar("_Method", bound=Callable[..., Any])
# 32 MB in double precision, of which there are a few copies.
_CELLS_AT_ONCE = 2**22


def reads_blocks(method: _Method) -> _Method:
    """Let a method of rows process tables larger than memory block by block.

    The method returns an array or a pandas data frame with one result per row; the results of the
    blocks are concatenated.
    """

    @functools.wraps(method)
    def apply(self, X, **options):
        table = _find_table(X)
        if table is None or not table.is_large:
            return method(self, X, **options)
        parts = []
        with show_progress(len(table)) as progress:
            for block in _list_blocks(table, method.__name__):
                parts.append(method(self, block, **options))
                progress.add(len(block))
        return _join(parts)

    return cast(_Method, apply)


def check_size(X, n_copies: float, alternative: str) -> None:
    """Raise an error if `n_copies` of a stored table, in double precision, exceed free memory.

    `alternative` is a sentence of remedy.
    """
    table = _find_table(X)
    if table is None or not table.is_large:
        return
    needed, free = 8 * n_copies * math.prod(table.shape), find_free_memory()
    if needed > free:
        shape = " x ".join(f"{size:,}" for size in table.shape)
        raise ValueError(
            f"X must be small enough for `fit` to run in memory. Got {shape} cells, which take "
            f"about {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free. {alternative}"
        )


def _find_table(X) -> StoredTable | None:
    """Return rows that are not in memory as a `StoredTable`."""
    return open_stored(open_path(Path(X)) if is_path(X) else X)


def _list_blocks(table: StoredTable, caller: str) -> Iterator[Any]:
    n_cells = math.prod(table.shape[1:])
    for rows in chunk_slices((len(table), n_cells), _CELLS_AT_ONCE):
        block = table[rows]
        if table.names is not None:
            pandas = import_extra("pandas", "table", caller)
            block = pandas.DataFrame(block, columns=table.names, copy=False)
        yield block


def _join(parts: list):
    if hasattr(parts[0], "iloc"):
        return import_extra("pandas", "table", "transform").concat(parts, ignore_index=True)
    return np.concatenate(parts)
