"""Linear predictor on codes, for scores of downstream tasks."""

import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

# Whole numbers with more distinct values than this and a twentieth of the rows are quantities,
# not class labels.
_MOST_CLASSES = 20


def holds_quantities(y):
    """Return whether targets are quantities: numbers with fractions or many distinct values."""
    if y.dtype.kind not in "iuf":
        return False
    values = np.unique(y)
    fractional = bool(np.any(values != np.floor(values)))
    return fractional or len(values) > max(_MOST_CLASSES, len(y) / 20)


def make_predictor(quantities):
    """Return an unfitted linear predictor, of quantities or classes, on standardised codes."""
    last = Ridge() if quantities else LogisticRegression(max_iter=1000)
    return make_pipeline(StandardScaler(), last)
