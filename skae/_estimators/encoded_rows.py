"""Encoded rows of large data frames, which take memory only where they are looked at."""

import numpy as np

from skae._engine import StoredTable, chunk_slices
from skae._estimators.column_encoding import ColumnEncoding


class EncodedRows(StoredTable):
    """Columns of numbers and categories, encoded when rows are taken.

    Columns are floats, or numbers of categories, with NaN where a cell is missing. `mean` replaces
    missing cells; they stay NaN if it is None.
    """

    def __init__(self, columns, encoding: ColumnEncoding, dtype, mean: np.ndarray | None = None):
        self.columns, self.encoding, self.mean = columns, encoding, mean
        self._starts, self._sizes = np.unique(
            encoding.groups, return_index=True, return_counts=True
        )[1:]
        bounds = [0, len(columns[0])]
        super().__init__(self._encode_block, bounds, encoding.groups.shape, dtype)

    def _encode_block(self, index: int) -> np.ndarray:
        return self._encode(slice(None))

    def _encode(self, rows) -> np.ndarray:
        """Return some rows. Nothing but the result has a number for each indicator."""
        columns, encoding = [own[rows] for own in self.columns], self.encoding
        encoded = np.zeros((len(columns[0]), self.shape[1]), self.dtype)
        for column, levels, start, size in zip(
            columns, encoding.levels, self._starts, self._sizes, strict=True
        ):
            block = encoded[:, start : start + size]
            missing = np.isnan(column)
            if levels is None:
                block[:] = encoding.encode_numbers(column, start)[:, None]
            else:
                there = np.flatnonzero(~missing)
                places = levels.locate(column[there].astype(np.intp))
                block[there[:, None], places] = 1 / encoding.scale[start]
            if missing.any():
                own = slice(start, start + size)
                block[missing] = np.nan if self.mean is None else self.mean[own]
        return encoded

    def _read(self, start: int, stop: int) -> np.ndarray:
        encoded = np.empty((stop - start, self.shape[1]), self.dtype)
        for rows in chunk_slices(encoded.shape):
            encoded[rows] = self._encode(slice(start + rows.start, start + rows.stop))
        return encoded

    def _take(self, rows: np.ndarray) -> np.ndarray:
        return self._encode(rows)

    def _keep(self, mask: np.ndarray) -> "EncodedRows":
        columns = [own[mask] for own in self.columns]
        return EncodedRows(columns, self.encoding, self.dtype, self.mean)

    def filled(self, mean: np.ndarray) -> "EncodedRows":
        """Return the rows with means in place of missing cells."""
        return EncodedRows(self.columns, self.encoding, self.dtype, mean)

    def count_observed(self) -> np.ndarray:
        """Return the number of columns of each row that are not missing."""
        counts = np.zeros(len(self), dtype=np.int64)
        for own in self.columns:
            counts += ~np.isnan(own)
        return counts
