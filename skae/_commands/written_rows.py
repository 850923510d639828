"""Writers of rows, piece by piece, to Parquet, Zarr or NumPy files."""

import io
import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from skae._shared.extras import import_extra

_CALLER = "skae transform"
# Approximate number of bytes of a Zarr chunk.
_CHUNK_BYTES = 2**22


class ParquetRows:
    """A folder of Parquet files, one for each piece.

    Rows of more axes in `shape` are flattened into columns.
    """

    def __init__(self, path: Path, shape, dtype, names):
        self.path, self.names = path, list(map(str, names))
        self.arrow = import_extra("pyarrow", "table", _CALLER)
        self.parquet = import_extra("pyarrow.parquet", "table", _CALLER)
        path.mkdir(exist_ok=True)

    def write(self, piece: int, start: int, rows):
        """Write the piece that starts at a row, replacing an incomplete one; it may be a frame."""
        if isinstance(rows, np.ndarray):
            columns = np.ascontiguousarray(rows.reshape(len(rows), -1).T)
            table = self.arrow.table(list(columns), names=self.names)
        else:
            table = self.arrow.Table.from_pandas(rows, preserve_index=False)
        self.parquet.write_table(table, self.path / f"part-{piece:06}.parquet")


class ZarrRows:
    """A Zarr array; parameters and methods are those of `ParquetRows`."""

    def __init__(self, path: Path, shape, dtype, names):
        zarr = import_extra("zarr", "large", _CALLER)
        if path.exists():
            self.rows = zarr.open_array(str(path), mode="r+")
            return
        row_bytes = max(1, math.prod(shape[1:]) * dtype.itemsize)
        chunk = min(shape[0], max(1, _CHUNK_BYTES // row_bytes))
        self.rows = zarr.create_array(
            str(path), shape=shape, dtype=dtype, chunks=(chunk, *shape[1:])
        )

    def write(self, piece: int, start: int, rows: np.ndarray):
        """Write the piece that starts at a row."""
        self.rows[start : start + len(rows)] = rows


class NumpyRows:
    """A file of `numpy.save`; parameters and methods are those of `ParquetRows`."""

    def __init__(self, path: Path, shape, dtype, names):
        head = io.BytesIO()
        written = np.lib.format.dtype_to_descr(dtype)
        np.lib.format.write_array_header_1_0(
            head, {"descr": written, "fortran_order": False, "shape": shape}
        )
        self.path, self.dtype, self.head = path, dtype, head.getvalue()
        self.row_bytes = math.prod(shape[1:]) * dtype.itemsize

    def write(self, piece: int, start: int, rows: np.ndarray):
        """Write the piece that starts at a row."""
        # On a full disk, writing to a memory map would end the process.
        with open(self.path, "r+b" if start else "wb") as file:
            if not start:
                file.write(self.head)
            file.seek(len(self.head) + start * self.row_bytes)
            file.write(rows.astype(self.dtype, copy=False).tobytes())
            file.flush()
            os.fsync(file.fileno())


WRITERS: dict[str, Any] = {
    ".parquet": ParquetRows,
    ".pq": ParquetRows,
    ".zarr": ZarrRows,
    ".npy": NumpyRows,
}
