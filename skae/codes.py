"""Quantization of codes to a few bits per number."""

import numbers
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import check_array
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from skae._estimators.atomic import atomic_fit, sees_one_fit
from skae._estimators.containers import read_container
from skae._estimators.sparse_tables import tidy_numbers
from skae._shared.scikit_learn import fit_context, refuse_masked, validate_data

__all__ = ["Quantizer"]

# Number of candidate ranges, and maximum number of rows to compare them.
_N_SHARES = 40
_MAX_ROWS = 20_000


class Quantizer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Quantization of numbers to a few bits, with a range for each column.

    Each column has ``2 ** bits`` equally spaced levels, and each value is replaced by the index of
    the nearest level. `fit` chooses the range of the levels about the mean of the column that
    minimises the squared error. It is narrower than from minimum to maximum, because finer levels
    for most values outweigh the error of a few extreme ones. `pack` stores the integers without
    gaps between their bits, so that a row of 32 columns takes 16 bytes with 4 bits. `unpack`
    reverses this, and `inverse_transform` returns the levels.

    Parameters
    ----------
    bits : int, default=4
        Number of bits per value, from 1 to 8. With 8, almost nothing is lost. With 4, the codes of
        `AutoencoderTransformer` keep nearly all of their neighbours. 1 keeps the sign of the
        difference from the middle of the range.

    Attributes
    ----------
    bits_ : int
        Number of bits per value in fit.
    lower_ : ndarray of shape (n_features_in_,)
        Level of the integer 0 in each column.
    step_ : ndarray of shape (n_features_in_,)
        Distance between two levels in each column; 0 for constant columns.
    n_features_in_ : int
        Number of columns seen in fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if X had names in fit.

    Notes
    -----
    Values outside of the range get the first or the last level.

    Examples
    --------
    >>> import numpy as np
    >>> from skae.codes import Quantizer
    >>> X = np.random.default_rng(0).normal(size=(1000, 32)).astype("float32")
    >>> quantizer = Quantizer(bits=4).fit(X)
    >>> packed = quantizer.pack(quantizer.transform(X))
    >>> packed.shape, X.nbytes // packed.nbytes
    ((1000, 16), 8)
    >>> restored = quantizer.inverse_transform(quantizer.unpack(packed))
    >>> float(np.corrcoef(X.ravel(), restored.ravel())[0, 1].round(2))
    0.99
    """

    _parameter_constraints: ClassVar[dict] = {
        "bits": [Interval(numbers.Integral, 1, 8, closed="both")],
    }

    def __init__(self, bits=4) -> None:
        self.bits = bits

    @atomic_fit
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None) -> Self:
        """Find the range of each column.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Codes or other numbers, all finite.
        y : object, default=None
            Ignored.

        Returns
        -------
        self : Quantizer
            The fitted quantizer. If the fit fails, it is left unchanged.

        Raises
        ------
        ValueError
            If X is not as described, or the range of a column is too large to be squared.
        """
        X = self._validate(X, reset=True)
        rows = X[np.linspace(0, len(X) - 1, min(len(X), _MAX_ROWS)).astype(int)]
        least, most = X.min(0), X.max(0)
        _check_ranges(least, most, len(rows))
        self.lower_, self.step_ = _find_ranges(rows, least, most, 2**self.bits - 1)
        self.bits_ = int(self.bits)
        return self

    @sees_one_fit
    def transform(self, X) -> Any:
        """Return the index of the nearest level for each value.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Numbers, all finite.

        Returns
        -------
        integers : ndarray of uint8 of shape (n_samples, n_features)
            Integers from 0 to ``2 ** bits - 1``.
        """
        check_is_fitted(self)
        X = self._validate(X, reset=False)
        return _find_levels(X, self.lower_, self.step_, 2**self.bits_ - 1).astype(np.uint8)

    @sees_one_fit
    def inverse_transform(self, X) -> Any:
        """Return the levels of integers.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Integers from `transform` or `unpack`.

        Returns
        -------
        values : ndarray of shape (n_samples, n_features)
            Values, in the precision of the table seen in fit.

        Raises
        ------
        ValueError
            If X contains values that `transform` cannot return, or has the wrong number of columns.
        """
        return self._check_integers(X) * self.step_ + self.lower_

    @sees_one_fit
    def pack(self, integers) -> np.ndarray:
        """Return integers as bytes, without gaps between their bits.

        Parameters
        ----------
        integers : array-like of shape (n_samples, n_features)
            Integers from `transform`.

        Returns
        -------
        packed : ndarray of uint8 of shape (n_samples, n_bytes)
            Bytes of ``n_features * bits`` bits per row: column by column, the most significant bit
            of each value first, with zeros as unused bits at the end.

        Raises
        ------
        ValueError
            If there are values that `transform` cannot return, or the number of columns is wrong.
        """
        integers = self._check_integers(integers)
        bits = np.unpackbits(integers[:, :, None], axis=2)[:, :, 8 - self.bits_ :]
        return np.packbits(bits.reshape(len(bits), self.n_features_in_ * self.bits_), axis=1)

    @sees_one_fit
    def unpack(self, packed) -> np.ndarray:
        """Return the integers that were packed by `pack`.

        Parameters
        ----------
        packed : array-like of uint8 of shape (n_samples, n_bytes)
            Bytes from `pack`.

        Returns
        -------
        integers : ndarray of uint8 of shape (n_samples, n_features)
            Integers, as from `transform`.

        Raises
        ------
        ValueError
            If the number of bytes per row differs from that of `pack`.
        """
        check_is_fitted(self)
        packed = np.asarray(packed)
        n_values = self.n_features_in_
        n_bytes = -(-n_values * self.bits_ // 8)
        if packed.dtype != np.uint8 or packed.ndim != 2 or packed.shape[1] != n_bytes:
            raise ValueError(
                f"`packed` must be an array of uint8 of shape (n_samples, {n_bytes}). Got "
                f"{packed.dtype} of shape {packed.shape}. Pass an array returned by `pack`."
            )
        own = np.unpackbits(packed, axis=1, count=n_values * self.bits_)
        bits = np.zeros((len(packed), n_values, 8), dtype=np.uint8)
        bits[:, :, 8 - self.bits_ :] = own.reshape(len(packed), n_values, self.bits_)
        return np.packbits(bits, axis=2)[:, :, 0]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags

    def _validate(self, X, *, reset: bool):
        refuse_masked(X)
        rows = tidy_numbers(read_container(X))
        return validate_data(self, rows, reset=reset, dtype=[np.float64, np.float32])

    def _check_integers(self, X) -> np.ndarray:
        check_is_fitted(self)
        X = check_array(X, ensure_min_samples=0, input_name="X")
        if X.shape[1] != self.n_features_in_:
            raise ValueError(
                f"X must have {self.n_features_in_} columns, as in fit. Got {X.shape[1]}. Unpack "
                "packed integers first."
            )
        integers = X.clip(0, 2**self.bits_ - 1).astype(np.uint8)
        if not np.array_equal(integers, X):
            raise ValueError(
                f"X must be integers from 0 to {2**self.bits_ - 1}. Got other numbers, up to "
                f"{X.max()}. Pass an array returned by `transform`."
            )
        return integers


def _check_ranges(least, most, n_rows: int):
    """Raise ValueError if the squares of deviations may overflow."""
    with np.errstate(over="ignore"):
        squares = n_rows * np.square(most - least, dtype=np.float64)
    wrong = np.flatnonzero(~np.isfinite(squares))
    if len(wrong):
        column = wrong[0]
        raise ValueError(
            "X must have columns with a range that can be squared. Got values from "
            f"{least[column]:.3g} to {most[column]:.3g} in column {column}. Scale X first."
        )


def _find_levels(X, lower, step, greatest: int) -> np.ndarray:
    """Return the indices of the nearest levels, as floating-point numbers."""
    divisor = np.where(step > 0, step, 1)
    # Values far outside of the range get the first or the last level.
    with np.errstate(over="ignore"):
        return np.rint((X - lower) / divisor).clip(0, greatest)


def _find_ranges(X, least, most, greatest: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first level and the distance of levels with the least squared error."""
    mean = X.mean(0, dtype=np.float64).astype(X.dtype).clip(least, most)
    best = np.full(X.shape[1], np.inf)
    lower, step = least.copy(), np.zeros_like(least)
    for share in np.linspace(1, 1 / _N_SHARES, _N_SHARES, dtype=X.dtype):
        own_lower = mean + share * (least - mean)
        own_step = (mean + share * (most - mean) - own_lower) / greatest
        errors = _find_levels(X, own_lower, own_step, greatest) * own_step + own_lower - X
        error = np.square(errors, dtype=np.float64).mean(0)
        is_better = error < best
        best = np.where(is_better, error, best)
        lower, step = (
            np.where(is_better, own, known) for own, known in ((own_lower, lower), (own_step, step))
        )
    return lower, step
