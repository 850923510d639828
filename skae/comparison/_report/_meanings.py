"""Explanations of the codes of the chosen autoencoder."""

import numpy as np

from skae.inspection._explain import explain_codes

# Rows and permutations that settle the order of the columns; more take seconds.
_N_ROWS, _N_REPEATS, _MOST_TEST_ROWS = 100, 3, 500
_MOST_CODES, _MOST_COLUMNS, _MOST_FEATURES = 12, 3, 200
# Weaker effects, in standard deviations, are not worth a name.
_LEAST_EFFECT = 0.1
CAPTION = (
    "Columns whose reconstruction changes most with each code: by this number of their standard "
    "deviations, on average, as the code grows by one of its own. Importance is the variance that "
    "is lost when the values of the code are permuted among the rows, as a share of that of all "
    "codes."
)
HEADINGS = ["columns that grow or fall with it", "code", "importance"]


def list_meanings(task, model, names):
    """Return a row of the table for each code, none where there are too many columns to name.

    Parameters
    ----------
    task : Task
        The held-out rows.
    model : estimator
        The autoencoder.
    names : list of str
        Names of the columns.

    Returns
    -------
    rows : list of list of str
        Columns that the code moves, its number, and its importance.
    """
    if len(names) > _MOST_FEATURES:
        return []
    rows = task.shape(task.X_test[:_MOST_TEST_ROWS], "autoencoder")
    explanation = explain_codes(
        model, rows, n_rows=_N_ROWS, n_repeats=_N_REPEATS, feature_names=names
    )
    losses, effects = explanation.importances.mean(axis=1), explanation.effects.mean(axis=1)
    shares = losses / max(losses.sum(), np.finfo(np.float64).tiny)
    return [
        [_name_columns(effects[code], names), str(code), f"{shares[code]:.0%}"]
        for code in range(min(_MOST_CODES, len(shares)))
    ]


def _name_columns(effects, names):
    order = np.argsort(-np.abs(effects), kind="stable")[:_MOST_COLUMNS]
    named = [f"{names[i]} {effects[i]:+.2f}" for i in order if abs(effects[i]) >= _LEAST_EFFECT]
    return ", ".join(named) or "no single column"
