"""Rows of Parquet files as data frames, for models of columns of several kinds."""

import numpy as np

from skae._estimators.stored_tables import list_fragments
from skae._shared.extras import import_extra


class StoredFrame:
    """Data set of Arrow, read as data frames by row groups or files. It has the columns to read."""

    # An estimate of the memory of a cell.
    dtype = np.dtype(np.float64)
    names = None

    def __init__(self, X):
        self._schema = X.schema
        self._fragments, lengths = list_fragments(X)
        self.bounds = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        self.shape = (int(self.bounds[-1]), len(X.schema.names))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice):
        """Return the rows of whole fragments as a data frame of pandas."""
        pyarrow = import_extra("pyarrow", "table", "skae transform")
        first, last = np.searchsorted(self.bounds, [rows.start, rows.stop])
        names = self._schema.names
        tables = [
            own.to_table(schema=self._schema, columns=names) for own in self._fragments[first:last]
        ]
        return pyarrow.concat_tables(tables).to_pandas()


def holds_other_kinds(schema) -> bool:
    """Return whether columns have other types than numbers, such as text, booleans or dates."""
    types = import_extra("pyarrow", "table", "skae transform").types
    numeric = (types.is_integer, types.is_floating, types.is_decimal)
    return not all(any(is_kind(field.type) for is_kind in numeric) for field in schema)
