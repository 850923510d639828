"""``skae transform``: transform the rows of a file, writing the result piece by piece."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy import sparse

from skae._commands.console import make_plain
from skae._commands.frames import StoredFrame, holds_other_kinds
from skae._commands.written_rows import WRITERS, ParquetRows
from skae._engine import StoredTable
from skae._estimators.frame_columns import is_mixed_frame
from skae._estimators.mixed_columns import is_frame
from skae._estimators.stored_tables import open_path, open_stored
from skae._shared.extras import import_extra
from skae._shared.files import write_text
from skae._shared.progress import show_progress
from skae._shared.unreadable import explain_unreadable
from skae.saving import load

# Number of bytes of rows per piece; at least one block.
_PIECE_BYTES = 2**25
_OTHER_TABLES = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".txt", ".xlsx", ".xlsm", ".xls", ".npz")
_METHODS = {
    "transform": lambda model, rows: model.transform(rows),
    "inverse_transform": lambda model, rows: model.inverse_transform(rows),
    "reconstruct": lambda model, rows: model.inverse_transform(model.transform(rows)),
}


def run(options):
    """Write the codes, or the reconstructed rows, and print where they are."""
    work = _Work(options)
    with ThreadPoolExecutor(1) as reader:
        work.go_on(reader)
    work.finish()
    print(f"{work.n_rows:,} rows: {make_plain(str(work.output))}")


class _Work:
    """Transformation of a table, starting at the first piece that has not been written.

    The output is written to `*.partial`, which is renamed when it is complete. Beside it,
    `*.partial.json` records the number of its pieces and identifies the work.
    """

    def __init__(self, options):
        self.output = Path(options.output)
        if self.output.suffix not in WRITERS:
            raise ValueError(
                f"OUTPUT must end with one of {', '.join(WRITERS)}. Got {options.output!r}. "
                "The ending chooses what is written."
            )
        if not self.output.parent.is_dir():
            raise ValueError(
                f"OUTPUT must be in an existing folder. Got {options.output!r}. Make it first."
            )
        if self.output.exists():
            raise ValueError(
                f"OUTPUT must not exist yet. Got {options.output!r}. Delete it, or choose another."
            )
        self.method = _find_method(options)
        self.model = load(options.model)
        _check_methods(self.model, self.method)
        # Codes are not named like the columns of the model.
        reads_codes = self.method == "inverse_transform"
        self.columns = None if reads_codes else getattr(self.model, "feature_names_in_", None)
        self.input = Path(options.input)
        self.table = _open_table(self.input, self.columns)
        self.n_rows = len(self.table)
        self.pieces = _cut(self.table)
        self.partial = self.output.with_name(f"{self.output.name}.partial")
        self.journal = self.output.with_name(f"{self.output.name}.partial.json")
        self.identity = {
            "model": _hash_file(Path(options.model)),
            "method": self.method,
            "input": str(self.input.resolve()),
            "changed": self.input.stat().st_mtime_ns,
            "shape": list(self.table.shape),
            "pieces": len(self.pieces),
        }

    def go_on(self, reader: ThreadPoolExecutor):
        """Write all missing pieces, while reading the next one."""
        n_done = self._count_done()
        rest = self.pieces[n_done:]
        n_before = self.n_rows - sum(b - a for a, b in rest)
        writer = None
        coming = [reader.submit(self._read, *rest[0])] if rest else []
        with show_progress(self.n_rows, n_before=n_before) as progress:
            for piece, (start, stop) in enumerate(rest, n_done):
                rows = coming.pop().result()
                if piece + 1 < len(self.pieces):
                    coming.append(reader.submit(self._read, *self.pieces[piece + 1]))
                result = self._compute(rows)
                writer = writer or self._open_writer(result)
                writer.write(piece, start, result)
                write_text(self.journal, json.dumps({**self.identity, "done": piece + 1}))
                progress.add(stop - start)

    def _open_writer(self, result):
        """Return the writer of all results, given those of some rows."""
        shape = (self.n_rows, *result.shape[1:])
        make = WRITERS[self.output.suffix]
        dtype = getattr(result, "dtype", None)
        if dtype is None and make is not ParquetRows:
            raise ValueError(
                "OUTPUT must end with .parquet for rows of columns of several kinds. Got "
                f"{str(self.output)!r}. Choose another name."
            )
        return make(self.partial, shape, dtype, self._name_results(result))

    def finish(self):
        """Rename the complete output."""
        self.partial.replace(self.output)
        self.journal.unlink()

    def _count_done(self) -> int:
        """Return the number of pieces written by an earlier run."""
        if not self.journal.exists() or not self.partial.exists():
            if self.partial.is_dir():
                shutil.rmtree(self.partial)
            self.partial.unlink(missing_ok=True)
            return 0
        found = _read_journal(self.journal)
        n_done = found.pop("done", 0)
        if found != self.identity:
            raise ValueError(
                f"OUTPUT must belong to this model and these rows. Got {self.journal}, which "
                f"belongs to others. Delete it and {self.partial} to start again."
            )
        return n_done

    def _read(self, start: int, stop: int):
        with explain_unreadable(self.input, "a readable file", "Write it again.", "INPUT"):
            rows = self.table[start:stop]
        if self.columns is None or self.table.names is None:
            return rows
        pandas = import_extra("pandas", "table", "skae transform")
        return pandas.DataFrame(rows, columns=self.table.names, copy=False)

    def _compute(self, rows):
        """Return an array, or a frame of columns of several kinds."""
        try:
            result = _METHODS[self.method](self.model, rows)
        except TypeError as error:
            # Cells such as lists. Other errors of this type are faults of the program.
            if not str(error).startswith("X must"):
                raise
            raise ValueError(str(error)) from error
        if is_frame(result) and is_mixed_frame(result):
            return result
        return result.toarray() if sparse.issparse(result) else np.asarray(result)

    def _name_results(self, result) -> list[str]:
        if self.method == "transform":
            return list(self.model.get_feature_names_out())
        names = getattr(self.model, "feature_names_in_", None)
        n_cells = int(np.prod(result.shape[1:]))
        return [f"x{i}" for i in range(n_cells)] if names is None else list(names)


def _read_journal(path: Path) -> dict:
    """Return the content of a journal; an empty dictionary for a file of anything else."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError, RecursionError):
        return {}


def _hash_file(path: Path) -> str:
    """Return a hash of the content of a file, or the address of a model on a hub."""
    return sha256(path.read_bytes()).hexdigest() if path.exists() else str(path)


def _find_method(options) -> str:
    if options.inverse and options.reconstruct:
        raise ValueError(
            "--inverse must be left out with --reconstruct. Got both. The former reads codes, the "
            "latter rows."
        )
    if options.inverse:
        return "inverse_transform"
    return "reconstruct" if options.reconstruct else "transform"


def _check_methods(model, method: str):
    """Raise an error if a model lacks a method that is needed."""
    needed = ("transform", "inverse_transform") if method == "reconstruct" else (method,)
    lacking = [name for name in needed if not hasattr(model, name)]
    if lacking:
        raise ValueError(
            f"MODEL must have the method {lacking[0]!r}. Got {type(model).__name__}. Save a "
            "transformer, such as the `autoencoder_` of a detector."
        )


def _open_table(path: Path, columns) -> StoredTable | StoredFrame:
    """Open a file, selecting the columns of the model in its order."""
    if path.is_file() and path.name.lower().endswith(_OTHER_TABLES):
        raise ValueError(
            f"INPUT must be a Parquet, NumPy, Zarr or HDF5 file. Got {str(path)!r}. Read it with "
            "pandas or skae.io.read_table, and write it with to_parquet or numpy.save."
        )
    X = open_path(path)
    if columns is not None and hasattr(X, "replace_schema"):
        missing = [name for name in columns if name not in X.schema.names]
        if missing:
            raise ValueError(
                f"INPUT must have the columns that the model was fitted on. Got none of the name "
                f"{missing[0]!r}, and {len(missing)} such in all. Rename them."
            )
        schema = import_extra("pyarrow", "table", "skae transform").schema
        X = X.replace_schema(schema([X.schema.field(name) for name in columns]))
        if holds_other_kinds(X.schema):
            return _check_rows(StoredFrame(X), path)
    return _check_rows(open_stored(X, maps=True), path)


def _check_rows(table, path: Path):
    if table is None or not len(table):
        raise ValueError(f"INPUT must hold rows. Got {str(path)!r}, which has none.")
    if len(table.shape) < 2:
        raise ValueError(
            f"INPUT must have at least two dimensions, the first for rows. Got {str(path)!r} with "
            f"{table.shape[0]} numbers. Reshape it to one row or one column."
        )
    return table


def _cut(table: StoredTable | StoredFrame) -> list[tuple[int, int]]:
    """Return the first and last row of pieces that consist of whole blocks."""
    row_bytes = max(1, int(np.prod(table.shape[1:])) * table.dtype.itemsize)
    ends = [0]
    for bound in table.bounds[1:].tolist():
        if bound == table.bounds[-1] or (bound - ends[-1]) * row_bytes >= _PIECE_BYTES:
            ends.append(bound)
    return [(a, b) for a, b in pairwise(ends) if b > a]
