"""Errors of cells and columns, for tables with missing values or columns of several kinds."""

from dataclasses import dataclass

import numpy as np

from skae.comparison._results import count_codes

_MOST_LINES = 20


@dataclass(frozen=True, eq=False)
class CellErrors:
    """Errors of the held-out cells, in units of the baselines of their columns.

    `names`, `kinds` ("number", "category" or "time") and `n_missing` describe the columns that the
    models were fitted on. `cells` has errors of shape (n_test, n_columns) by method; NaN where a
    cell is missing.
    """

    names: list[str]
    kinds: list[str]
    n_missing: list[int]
    cells: dict[str, np.ndarray]

    @classmethod
    def measure(cls, comparison, n_codes, names=None):
        """Measure the errors of both methods. The names of columns default to those of the data."""
        task, evidence = comparison.evidence.task, comparison.evidence
        methods = (comparison.reference, "autoencoder")
        found = {name: evidence.models[n_codes, name] for name in methods}
        cells = {
            name: np.asarray(model.reconstruction_errors(task.X_test), dtype=np.float64)
            for name, model in found.items()
        }
        if task.columns:
            used = [own for own in task.columns if own.reason is None]
            kinds, missing = [own.kind for own in used], [own.n_missing for own in used]
            return cls([str(own.name) for own in used], kinds, missing, cells)
        variances = np.nanvar(task.X_test, axis=0, dtype=np.float64)
        units = np.where(variances > 0, variances, np.inf)
        gaps = np.isnan(task.X_train).sum(axis=0) + np.isnan(task.X_test).sum(axis=0)
        names = evidence.feature_names if names is None else list(names)
        cells = {name: own / units for name, own in cells.items()}
        return cls(names, ["number"] * len(names), gaps.tolist(), cells)

    def average_columns(self):
        """Return mean errors of the columns by method; NaN without an observed held-out cell."""
        return {name: _average(own, axis=0) for name, own in self.cells.items()}

    def average_rows(self):
        """Return the autoencoder's mean error of each held-out row."""
        return _average(self.cells["autoencoder"], axis=1)


def _average(cells, axis):
    """Return means without NaN, as `np.nanmean` does, but with no warning where all are NaN."""
    observed = ~np.isnan(cells)
    n_observed = observed.sum(axis=axis)
    total = np.where(observed, cells, 0).sum(axis=axis)
    return np.divide(total, n_observed, out=np.full(total.shape, np.nan), where=n_observed > 0)


def format_column_errors(comparison, n_codes):
    """Return lines of a text table of the errors of the columns, at most twenty, highest first."""
    errors = CellErrors.measure(comparison, n_codes)
    means = errors.average_columns()
    rows = [["column", "kind", "missing", *means]]
    order = np.argsort(-means["autoencoder"], kind="stable")
    rows += [
        [
            errors.names[index],
            errors.kinds[index],
            str(errors.n_missing[index]),
            *(f"{own[index]:.3f}" for own in means.values()),
        ]
        for index in order[:_MOST_LINES]
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    more = len(order) - _MOST_LINES
    return [
        f"Loss by column with {count_codes(n_codes)}, highest first; 1 is no better than the mean "
        "or the shares of the categories:",
        *("  ".join(_pad(cells, widths)) for cells in rows),
        *([f"and {more} more columns"] if more > 0 else []),
    ]


def _pad(cells, widths):
    """Yield cells padded to the given widths, the first two aligned to the left."""
    for index, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        yield f"{cell:<{width}}" if index < 2 else f"{cell:>{width}}"
