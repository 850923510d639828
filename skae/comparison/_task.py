"""Training rows and held-out rows of a comparison, with their targets."""

from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from sklearn.utils import assert_all_finite, check_array

from skae._estimators.frame_columns import ColumnSummary, is_mixed_frame, summarize_columns
from skae._shared.labels import keep_labelled
from skae.metrics._predictor import holds_quantities
from skae.metrics._transformer import decode, index_samples, is_image_shape, is_ragged, to_array

_MIN_ROWS = 3
# Errors below this share of the variance are rounding, and their ratio says nothing.
ROUNDING = 1e-10


@dataclass(frozen=True, eq=False)
class Task:
    """Training rows and held-out rows of a comparison, with their targets.

    Rows are standardized if that was asked for. `score_name` is "accuracy", "R2" or, without
    targets, None. `sample_shape` is that of a sample before it was flattened; empty for data
    frames. `reference`, "PCA" or "FAMD", is the linear method beside the autoencoder. `n_missing`
    counts the missing cells in columns that models are fitted on, while `columns` of a frame
    include those left out.
    """

    X_train: Any
    X_test: Any
    y_train: np.ndarray | None
    y_test: np.ndarray | None
    score_name: str | None
    sample_shape: tuple[int, ...] = ()
    reference: str = "PCA"
    n_missing: int = 0
    columns: tuple[ColumnSummary, ...] = ()

    @property
    def is_plain(self):
        """Whether all columns are numbers without missing values."""
        return self.reference == "PCA" and not self.n_missing

    @property
    def drop_reasons(self):
        """Reasons for the columns left out, by name."""
        return {str(own.name): own.reason for own in self.columns if own.reason is not None}

    def shape(self, rows, method):
        """Return rows in the shape of the samples, or flattened for PCA."""
        if method == "PCA" or len(self.sample_shape) < 2:
            return rows
        return rows.reshape(-1, *self.sample_shape)

    def measure_error(self, model, codes):
        """Return the mean error of a model per held-out cell, and the error of the baseline."""
        if self.reference == "FAMD":
            error = np.nanmean(np.asarray(model.reconstruction_errors(self.X_test), dtype=float))
            return float(error), float(error) / max(1 - model.score(self.X_test), ROUNDING)
        variance = mean_square(self.X_test - np.nanmean(self.X_train, axis=0, dtype=np.float64))
        return mean_square(self.X_test - decode(model, codes)), variance

    def measure_nats(self, model):
        """Return the mean nats of the held-out cells of a data frame; None for other tables."""
        if self.reference != "FAMD":
            return None
        nats = model.reconstruction_errors(self.X_test, unit="nats")
        return float(np.nanmean(np.asarray(nats, dtype=float)))

    def find_image_shape(self):
        """Return (channels, height, width) if samples are images, else None."""
        return self.sample_shape if is_image_shape(self.sample_shape) else None

    def count(self):
        """Return the numbers of training rows, held-out rows and columns."""
        n_features = len(self.columns) - len(self.drop_reasons) or self.X_test.shape[1]
        return len(self.X_train), len(self.X_test), n_features


def mean_square(values):
    """Return the mean of the squares that are not NaN, in double precision."""
    return float(np.nanmean(np.square(values, dtype=np.float64)))


def make_task(X, y, X_test=None, y_test=None, *, test_size, standardize, random_state, allow_nan):
    """Check the rows of a comparison, split them, and scale them.

    The parameters are those of `compare_with_pca`; `allow_nan` is whether values may be missing.
    """
    X, sample_shape = _read_samples(X, "X", allow_nan)
    if y is not None:
        y, X = keep_labelled(y, X)
    score_name = None if y is None else _name_score(y)
    if X_test is None:
        X, X_test, y, y_test = _hold_out(X, y, test_size, score_name, random_state)
    else:
        X_test, y_test = _check_held_out(X, y, X_test, y_test, allow_nan)
    if score_name == "accuracy":
        _check_classes(y)
    if is_mixed_frame(X):
        columns = tuple(summarize_columns(X, X_test))
        n_missing = sum(own.n_missing for own in columns if own.reason is None)
        return Task(X, X_test, y, y_test, score_name, (), "FAMD", n_missing, columns)
    if standardize:
        scaler = StandardScaler().set_output(transform="default").fit(X)
        X, X_test = scaler.transform(X), scaler.transform(X_test)
    n_missing = int(np.isnan(X).sum() + np.isnan(X_test).sum())
    return Task(X, X_test, y, y_test, score_name, sample_shape, n_missing=n_missing)


def _read_samples(X, name, allow_nan):
    """Return samples as a table, and the shape of a sample."""
    if is_mixed_frame(X):
        return X, ()
    samples = index_samples(X)
    if is_ragged(samples):
        raise ValueError(
            f"`{name}` must have samples of one shape, as PCA requires. Got sequences of "
            "different lengths. Cut or resample them to one length."
        )
    values = check_array(
        to_array(samples),
        dtype=(np.float64, np.float32),
        input_name=name,
        ensure_all_finite="allow-nan" if allow_nan else True,
    )
    return values, tuple(getattr(samples, "shape", ()))[1:]


def _name_score(y):
    """Return the name of the score for predictions of `y`."""
    assert_all_finite(y, input_name="y")
    return "R2" if holds_quantities(y) else "accuracy"


def _hold_out(X, y, test_size, score_name, random_state):
    if len(X) < _MIN_ROWS:
        raise ValueError(
            f"`X` must have at least {_MIN_ROWS} rows: two to fit on, one to hold out. "
            f"Got {len(X)}. Give more rows."
        )
    options = {"test_size": test_size, "random_state": random_state}
    if y is None:
        X_train, X_test = train_test_split(X, **options)
        return X_train, X_test, None, None
    if score_name == "accuracy" and _can_stratify(y, test_size):
        options["stratify"] = y
    return train_test_split(X, y, **options)


def _can_stratify(y, test_size):
    if not isinstance(test_size, Real):
        return False  # train_test_split raises the error.
    _, counts = np.unique(y, return_counts=True)
    size = float(test_size)
    n_test = size * len(y) if size < 1 else size
    return counts.min() >= 2 and len(counts) <= min(n_test, len(y) - n_test)


def _check_classes(y):
    n_classes = len(np.unique(y))
    if n_classes < 2:
        raise ValueError(
            "`y` must have at least two classes among the training rows. Got one. "
            "Give more rows, or no target."
        )
    if n_classes == len(y):
        raise ValueError(
            f"`y` must have classes of several rows each. Got {len(y)} labels, all different. "
            "Choose another target, or none."
        )


def _check_held_out(X, y, X_test, y_test, allow_nan):
    X_test, _ = _read_samples(X_test, "X_test", allow_nan)
    if not is_mixed_frame(X):
        X_test = X_test.astype(X.dtype, copy=False)
    if X_test.shape[1] != X.shape[1]:
        raise ValueError(
            f"`X_test` must have {X.shape[1]} columns, as X has. Got {X_test.shape[1]}. "
            "Take both from one table."
        )
    if (y is None) != (y_test is None):
        raise ValueError(
            "`y_test` must be given if and only if `X_test` and `y` are given. "
            f"Got {'none' if y_test is None else 'one'}. Give both of `y` and `y_test`, or neither."
        )
    if y_test is not None:
        y_test, X_test = keep_labelled(y_test, X_test)
    return X_test, y_test
