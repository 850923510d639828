"""Held-out cells and their reconstructions, for missing values or columns of several kinds."""

from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from skae._estimators.mixed_columns import is_frame, is_not_a_number, read_cells, take_column
from skae.comparison._cell_errors import CellErrors
from skae.comparison._report._page import make_pictures, make_table
from skae.comparison._report._picture import draw_column_errors
from skae.comparison._report._pictures import MOST_HOVERED
from skae.comparison._results import count_codes

_MOST_COLUMNS = 50
_MOST_ROWS, _MOST_CELLS = 5, 3
_LONGEST = 40
_KINDS = {"number": "number", "category": "category", "time": "date or time"}


@dataclass(frozen=True, eq=False)
class CellView:
    """Held-out cells of a comparison, their reconstructions, and their errors.

    `X_test` are the columns of the held-out rows, and `reconstructions` these columns by method,
    from models with `n_codes` codes.
    """

    comparison: Any
    n_codes: int
    errors: CellErrors
    X_test: list
    reconstructions: dict[str, list]

    @classmethod
    def make(cls, comparison, n_codes, names):
        """Reconstruct the held-out rows with the models of `n_codes` codes."""
        task = comparison.evidence.task
        errors = CellErrors.measure(comparison, n_codes, names)
        used = [index for index, own in enumerate(task.columns) if own.reason is None]
        used = used or list(range(len(errors.names)))
        rows = {}
        for method in (comparison.reference, "autoencoder"):
            model = comparison.evidence.models[n_codes, method]
            decoded = model.inverse_transform(model.transform(task.X_test))
            rows[method] = _split(decoded, range(len(used)))
        X_test = _split(task.X_test, used)
        for columns in rows.values():
            columns[:] = [_cut_times(*pair) for pair in zip(columns, X_test, strict=True)]
        return cls(comparison, n_codes, errors, X_test, rows)

    def describe_cells(self, row):
        """Return lines of text on the first cells of a held-out row."""
        columns = zip(self.errors.names, self.X_test, strict=True)
        return [f"{name}: {format_cell(own[row])}" for name, own in islice(columns, MOST_HOVERED)]

    def draw_errors(self):
        """Return a picture and a table of the errors of the columns."""
        means = self.errors.average_columns()
        errors, of_reference = means["autoencoder"], means[self.comparison.reference]
        unit = "loss" if self.comparison.reference == "FAMD" else "squared error over variance"
        picture = draw_column_errors(
            errors, of_reference, self.errors.names, unit, self.comparison.reference
        )
        order = np.argsort(-np.nan_to_num(errors, nan=-1.0), kind="stable")[:_MOST_COLUMNS]
        caption = "Errors of the columns on held-out rows, highest first"
        if len(order) < len(errors):
            caption += f": {len(order)} of {len(errors)}"
        rows = [
            [
                self.errors.names[index],
                _KINDS[self.errors.kinds[index]],
                str(self.errors.n_missing[index]),
                f"{errors[index]:.3f}",
                f"{of_reference[index]:.3f}",
            ]
            for index in order
        ]
        headings = ["column", "kind", "missing", "autoencoder", self.comparison.reference]
        return make_pictures([picture]), make_table(f"{caption}.", headings, rows)

    def list_worst_rows(self):
        """Return a table of the rows with the highest errors."""
        return list_worst_rows(
            self.errors.average_rows(), self.errors.cells["autoencoder"], self._explain_cell
        )

    def _explain_cell(self, row, column):
        name, cell = self.errors.names[column], format_cell(self.X_test[column][row])
        reconstruction = format_cell(self.reconstructions["autoencoder"][column][row])
        return f"{name}: {cell} (reconstructed {reconstruction})"

    def list_rows(self):
        """Yield tables of the rows with the median and the highest error, cell by cell."""
        means = self.errors.average_rows()
        order = np.argsort(means, kind="stable")[: np.count_nonzero(~np.isnan(means))]
        methods = ("autoencoder", self.comparison.reference)
        for row, which in ((order[len(order) // 2], "median"), (order[-1], "highest")):
            shown = range(min(len(self.X_test), _MOST_COLUMNS))
            rows = [
                [
                    self.errors.names[index],
                    format_cell(self.X_test[index][row]),
                    *(format_cell(self.reconstructions[name][index][row]) for name in methods),
                ]
                for index in shown
            ]
            caption = (
                f"Held-out row {row}, which has the {which} error, and its reconstructions from "
                f"{count_codes(self.n_codes)}."
            )
            yield make_table(caption, ["column", "cell", *methods], rows)


def list_worst_rows(errors, cell_errors, explain_cell):
    """Return a table (HTML) of the rows with the highest errors, with their worst cells.

    `errors` has the mean error of each row and `cell_errors` that of each cell, NaN if missing.
    `explain_cell` maps a row and a column to a text with the cell and its reconstruction.
    """
    errors, cell_errors = (np.nan_to_num(own, nan=-1.0) for own in (errors, cell_errors))
    rows = []
    for row in np.argsort(-errors, kind="stable")[:_MOST_ROWS]:
        columns = np.argsort(-cell_errors[row], kind="stable")[:_MOST_CELLS]
        worst = "; ".join(explain_cell(row, column) for column in columns)
        rows.append([str(row), f"{errors[row]:.3g}", worst])
    caption = (
        "Held-out rows that the autoencoder reconstructs worst, with their worst cells. The number "
        "of a row is its position among the held-out rows."
    )
    return make_table(caption, ["row", "mean error", "cells"], rows, words=2)


def _split(table, positions):
    """Return columns of a table as arrays of objects or numbers."""
    if not is_frame(table):
        return [table[:, index] for index in positions]
    return [read_cells(take_column(table, index), np.nan)[0] for index in positions]


def _cut_times(decoded, cells):
    """Return reconstructed dates without the time of day if the column has none."""
    known = [cell for cell in cells if not is_not_a_number(cell)]
    if known and all(getattr(cell, "hour", None) == 0 == cell.minute for cell in known):
        return np.array([str(cell)[:10] for cell in decoded], dtype=object)
    return decoded


def format_cell(cell):
    """Return a cell as text of moderate length."""
    if is_not_a_number(cell):
        return "missing"
    if isinstance(cell, float | np.floating):
        number = float(cell)
        return f"{number:.0f}" if 1e4 <= abs(number) < 1e9 else f"{number:.4g}"
    text = str(cell).removesuffix(" 00:00:00")
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}\N{HORIZONTAL ELLIPSIS}"
