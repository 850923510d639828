"""Tables of the columns that each code of the autoencoder changes."""

from typing import Any

import numpy as np
from sklearn.utils import _safe_indexing

from skae._engine import decode_table
from skae.comparison._report._cells import format_cell
from skae.comparison._report._page import make_table
from skae.inspection._explain import explain_codes

# More rows and permutations take seconds and do not change the order of the columns.
_N_ROWS, _N_REPEATS, _MOST_TEST_ROWS = 100, 3, 500
_MOST_CODES, _MOST_COLUMNS, _MOST_FEATURES = 12, 3, 200
# Columns with weaker effects, in standard deviations, are not named.
_LEAST_EFFECT = 0.1
_OF_NUMBERS = (
    "Columns whose reconstruction changes most with each code: mean change in standard deviations "
    "of the column as the code grows by one standard deviation. Importance is the variance lost "
    "when the values of the code are permuted among the rows, as a share of the sum over all codes."
)
_OF_CELLS = (
    "Mean change of the reconstruction as the code grows by one standard deviation: of numbers and "
    "dates in their standard deviations, and of the probability of the category that changes most. "
    "Importance is the change of all columns when the values of the code are permuted among the "
    "rows, as a share of the sum over all codes."
)


def list_meanings(task, model, names):
    """Return a table (HTML) of the codes of a model of complete numbers.

    It is empty if there are too many columns to name.
    """
    if len(names) > _MOST_FEATURES:
        return ""
    rows = task.shape(task.X_test[:_MOST_TEST_ROWS], "autoencoder")
    explanation = explain_codes(
        model, rows, n_rows=_N_ROWS, n_repeats=_N_REPEATS, feature_names=names
    )
    losses, effects = explanation.importances.mean(axis=1), explanation.effects.mean(axis=1)
    shares = losses / max(losses.sum(), np.finfo(np.float64).tiny)
    labels = [(index, name, None, 1.0) for index, name in enumerate(names)]
    return _make_table(_OF_NUMBERS, effects[:_MOST_CODES], shares, labels)


def list_cell_meanings(task, model, names):
    """Return a table (HTML) of the codes of a model of missing values or mixed columns."""
    effects, shares = _measure_effects(model, task)
    return _make_table(_OF_CELLS, effects, shares, _label_outputs(model, names))


def _make_table(caption, effects, shares, labels):
    rows = [
        [str(code), f"{shares[code]:.0%}", _name_effects(own, labels)]
        for code, own in enumerate(effects)
    ]
    return make_table(caption, ["code", "importance", "columns that change"], rows, words=2)


def _measure_effects(model, task):
    """Return the effects of each code on the network's outputs, and the share of each code."""
    rows = _safe_indexing(task.X_test, np.arange(min(len(task.X_test), _MOST_TEST_ROWS)))
    codes = model.transform(rows)
    rng = np.random.default_rng(0)

    def decode(codes):
        return decode_table(model.net_.module_, codes, model._standardization)

    units: Any = 1.0
    if not task.columns:
        deviations = np.nanstd(task.X_test, axis=0)
        units = np.where(deviations > 0, deviations, np.inf)
    unchanged, effects, changes = decode(codes), [], []
    for code, deviation in enumerate(codes.std(axis=0)[:_MOST_CODES]):
        step = np.zeros_like(codes[0])
        step[code] = deviation / 2
        effects.append((decode(codes + step) - decode(codes - step)).mean(axis=0) / units)
        permuted = codes.copy()
        permuted[:, code] = rng.permutation(permuted[:, code])
        changes.append(float(np.square((decode(permuted) - unchanged) / units).mean()))
    return effects, np.array(changes) / max(sum(changes), np.finfo(np.float64).tiny)


def _label_outputs(model, names):
    """Return the column, its name, the category and its scale for each output of the network."""
    if model._frame is None:
        return [(index, name, None, 1.0) for index, name in enumerate(names)]
    encoding, categories = model._frame.encoding, model._frame.list_categories()
    parts = zip(encoding.groups.tolist(), categories, encoding.scale.tolist(), strict=True)
    return [(index, names[index], category, factor) for index, category, factor in parts]


def _name_effects(effects, labels):
    """Return a text of the columns with the largest effects, each column once."""
    named: dict[int, str] = {}
    # Two categories have equal effects of opposite sign: name the later, such as True or yes.
    sizes = np.abs(effects).round(6)
    for index in np.lexsort((-np.arange(len(sizes)), -sizes)):
        column, name, category, factor = labels[index]
        if abs(effects[index]) < _LEAST_EFFECT or len(named) == _MOST_COLUMNS:
            break
        change = f"{effects[index]:+.2f}"
        if category is not None:
            name = f"{name} = {format_cell(category)}"
            change = f"{100 * factor * effects[index]:+.0f}\N{NO-BREAK SPACE}%"
        named.setdefault(column, f"{name} {change}")
    return ", ".join(named.values()) or "no single column"
