"""The simple model that tells what codes are worth for predicting something."""

import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

# Whole numbers with more distinct values than this, and than a twentieth of the rows, are read as
# quantities, not as labels of classes.
_MOST_CLASSES = 20


def holds_quantities(y):
    """Distinguish quantities from class labels.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Labels or quantities.

    Returns
    -------
    holds_quantities : bool
        Whether these are numbers with fractions, or with many distinct values.
    """
    if y.dtype.kind not in "iuf":
        return False
    values = np.unique(y)
    fractional = bool(np.any(values != np.floor(values)))
    return fractional or len(values) > max(_MOST_CLASSES, len(y) / 20)


def make_predictor(quantities):
    """Return an unfitted linear model on standardised codes.

    Parameters
    ----------
    quantities : bool
        Whether to predict quantities, not classes.

    Returns
    -------
    predictor : Pipeline
        A `StandardScaler`, then a `Ridge` or a `LogisticRegression`.
    """
    last = Ridge() if quantities else LogisticRegression(max_iter=1000)
    return make_pipeline(StandardScaler(), last)
