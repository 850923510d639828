"""Cells of held-out rows and their reconstructions, for tables that are no complete numbers."""

from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from sklearn.utils import _safe_indexing

from skae._engine import decode_table
from skae._estimators.mixed_columns import is_frame, is_not_a_number, read_cells, take_column
from skae.comparison._cell_errors import CellErrors
from skae.comparison._report._page import make_pictures, make_table
from skae.comparison._report._pictures import MOST_HOVERED, draw_column_errors
from skae.comparison._results import count_codes

_MOST_COLUMNS = 50
_MOST_ROWS, _MOST_CELLS = 5, 3
_LONGEST = 40
# Rows that show the effects of codes; more take seconds.
_N_ROWS, _MOST_CODES = 500, 12
# Weaker effects, in standard deviations, are not worth a name.
_LEAST_EFFECT = 0.1
_KINDS = {"number": "number", "category": "category", "time": "date or time"}
_EFFECTS = (
    "Change of the reconstruction as the code grows by one of its standard deviations, on average: "
    "numbers and dates in their standard deviations, and the probability of the category that "
    "changes most. Importance is the change of all columns when the values of the code are "
    "permuted among the rows, as a share of that of all codes."
)


@dataclass(frozen=True, eq=False)
class CellView:
    """Held-out cells of a comparison, their reconstructions, and their errors.

    Attributes
    ----------
    comparison : PCAComparison
        The comparison.
    n_codes : int
        Number of codes of the models.
    errors : CellErrors
        Errors of the cells.
    X_test : list of ndarray of shape (n_test,)
        Columns of the held-out rows.
    reconstructions : dict of str to list of ndarray of shape (n_test,)
        Reconstructed columns by method.
    """

    comparison: Any
    n_codes: int
    errors: CellErrors
    X_test: list
    reconstructions: dict[str, list]

    @classmethod
    def make(cls, comparison, n_codes, names):
        """Reconstruct the held-out rows of a comparison by the models with some codes."""
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
        """Return lines on the first cells of a held-out row."""
        columns = zip(self.errors.names, self.X_test, strict=True)
        return [f"{name}: {_write(own[row])}" for name, own in islice(columns, MOST_HOVERED)]

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

    def list_strangest(self):
        """Return a table of the rows of greatest error, with the cells that make it so."""
        cells = np.nan_to_num(self.errors.cells["autoencoder"], nan=-1.0)
        means = np.nan_to_num(self.errors.average_rows(), nan=-1.0)
        rows = []
        for row in np.argsort(-means, kind="stable")[:_MOST_ROWS]:
            columns = np.argsort(-cells[row], kind="stable")[:_MOST_CELLS]
            named = "; ".join(self._explain_cell(row, column) for column in columns)
            rows.append([str(row), f"{means[row]:.3g}", named])
        caption = (
            "Held-out rows that the autoencoder reconstructs worst, with the cells of greatest "
            "error. The number is the position among the held-out rows."
        )
        return make_table(caption, ["row", "mean error", "cells"], rows, words=2)

    def _explain_cell(self, row, column):
        name, cell = self.errors.names[column], _write(self.X_test[column][row])
        found = _write(self.reconstructions["autoencoder"][column][row])
        return f"{name}: {cell} (reconstructed {found})"

    def list_rows(self):
        """Return tables of the rows of median and of greatest error, cell by cell."""
        means = self.errors.average_rows()
        order = np.argsort(means, kind="stable")[: np.count_nonzero(~np.isnan(means))]
        methods = ("autoencoder", self.comparison.reference)
        for row, which in ((order[len(order) // 2], "median"), (order[-1], "greatest")):
            shown = range(min(len(self.X_test), _MOST_COLUMNS))
            rows = [
                [
                    self.errors.names[index],
                    _write(self.X_test[index][row]),
                    *(_write(self.reconstructions[name][index][row]) for name in methods),
                ]
                for index in shown
            ]
            caption = f"Held-out row {row}, of {which} error, and its reconstructions from "
            caption += f"{count_codes(self.n_codes)}."
            yield make_table(caption, ["column", "cell", *methods], rows)

    def list_meanings(self):
        """Return a table of the columns that each code moves."""
        model = self.comparison.evidence.models[self.n_codes, "autoencoder"]
        effects, shares = _measure_effects(model, self.comparison.evidence.task)
        labels = _label_outputs(model, self.errors.names)
        rows = [
            [str(code), f"{shares[code]:.0%}", _name_effects(own, labels)]
            for code, own in enumerate(effects)
        ]
        return make_table(_EFFECTS, ["code", "importance", "columns that change"], rows, words=2)


def _split(table, positions):
    """Return columns of a table as objects or numbers."""
    if not is_frame(table):
        return [table[:, index] for index in positions]
    return [read_cells(take_column(table, index), np.nan)[0] for index in positions]


def _cut_times(decoded, cells):
    """Return reconstructed dates without times of the day where the column has none."""
    known = [cell for cell in cells if not is_not_a_number(cell)]
    if known and all(getattr(cell, "hour", None) == 0 == cell.minute for cell in known):
        return np.array([str(cell)[:10] for cell in decoded], dtype=object)
    return decoded


def _write(cell):
    """Return a cell as text of moderate length."""
    if is_not_a_number(cell):
        return "missing"
    if isinstance(cell, float | np.floating):
        number = float(cell)
        return f"{number:.0f}" if 1e4 <= abs(number) < 1e9 else f"{number:.4g}"
    text = str(cell).removesuffix(" 00:00:00")
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}\N{HORIZONTAL ELLIPSIS}"


def _measure_effects(model, task):
    """Return what each code changes of the network's output, and the importance of each."""
    rows = _safe_indexing(task.X_test, np.arange(min(len(task.X_test), _N_ROWS)))
    codes = model.transform(rows)
    draw = np.random.default_rng(0)

    def decode(codes):
        return decode_table(model.net_.module_, codes, model._standardization)

    units: Any = 1.0
    if not task.columns:
        deviations = np.nanstd(task.X_test, axis=0)
        units = np.where(deviations > 0, deviations, np.inf)
    usual, effects, changes = decode(codes), [], []
    for code, deviation in enumerate(codes.std(axis=0)[:_MOST_CODES]):
        step = np.zeros_like(codes[0])
        step[code] = deviation / 2
        effects.append((decode(codes + step) - decode(codes - step)).mean(axis=0) / units)
        permuted = codes.copy()
        permuted[:, code] = draw.permutation(permuted[:, code])
        changes.append(float(np.square((decode(permuted) - usual) / units).mean()))
    return effects, np.array(changes) / max(sum(changes), np.finfo(np.float64).tiny)


def _label_outputs(model, names):
    """Return for each output the number and the name of its column, a category, and its factor."""
    if model._frame is None:
        return [(index, name, None, 1.0) for index, name in enumerate(names)]
    encoding, categories = model._frame.encoding, model._frame.list_categories()
    parts = zip(encoding.groups.tolist(), categories, encoding.scale.tolist(), strict=True)
    return [(index, names[index], category, factor) for index, category, factor in parts]


def _name_effects(effects, labels):
    """Return the columns of greatest effect in words, each once."""
    named: dict[int, str] = {}
    # Of two categories of equal effect, the latter is True or yes.
    sizes = np.abs(effects).round(6)
    for index in np.lexsort((-np.arange(len(sizes)), -sizes)):
        column, name, category, factor = labels[index]
        if abs(effects[index]) < _LEAST_EFFECT or len(named) == _MOST_CELLS:
            break
        change = f"{effects[index]:+.2f}"
        if category is not None:
            name = f"{name} = {_write(category)}"
            change = f"{100 * factor * effects[index]:+.0f}\N{NO-BREAK SPACE}%"
        named.setdefault(column, f"{name} {change}")
    return ", ".join(named.values()) or "no single column"
