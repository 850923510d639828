"""Samples with a shape, such as images, and their form as rows of a table."""

import math
from dataclasses import dataclass
from numbers import Integral
from typing import ClassVar

import numpy as np
from scipy import sparse

from skae._engine import Standardization, cell_errors, chunk_slices, row_errors_and_deviations
from skae._estimators.containers import check_row_lengths, count_axes, read_container, stack
from skae._estimators.stored_tables import read_stored
from skae._shared.warning import warn_user
from skae.architectures import Convolutional
from skae.exceptions import SkaeWarning

# Numbers of channels of greyscale, colour, and colour images with transparency.
_CHANNELS = (1, 3, 4)
# Lengths of the axes of images; signals with this many channels are usually longer.
_LEAST_SIDE = 8
_GREATEST_ASPECT = 3


def stack_samples(X, *, lazily: bool = False):
    """Return samples in other containers than tables as one array; tables are unchanged.

    Containers are tensors, data sets, lists of arrays, lists nested more than twice, and series of
    arrays. With `lazily`, stored tables may stay in their files, as in `read_stored`. Samples of
    different shapes are refused.
    """
    X = read_container(read_stored(X, lazily=lazily))
    if not isinstance(X, list | tuple):
        return X
    n_axes = count_axes(X)
    if n_axes >= 3 or (n_axes == 2 and not isinstance(X[0], list | tuple)):
        return stack(X)
    if n_axes == 2:
        check_row_lengths(X)
    return X


def warn_of_doubtful_axes(architecture, shape, sample_shape):
    """Warn if images for a convolutional network seem to have their channels last, or none.

    They do if the last axis has the length of a usual number of channels and the first has not, or
    if the two axes of signals have the usual lengths of images.
    """
    if architecture != "conv" and not isinstance(architecture, Convolutional):
        return
    if len(shape) == 3 and shape[-1] in _CHANNELS and shape[0] not in _CHANNELS:
        warn_user(
            f"Samples of shape {shape} are treated as images with {shape[0]} channels. If the "
            "channels are the last axis, move them to the front: np.moveaxis(X, -1, 1).",
            SkaeWarning,
        )
    if sample_shape is None and _may_be_grey(shape):
        warn_user(
            f"Samples of shape {shape} are treated as signals with {shape[0]} channels. If they "
            f"are grey images, give them a channel: X[:, None]. If not, sample_shape={shape} "
            "avoids this warning.",
            SkaeWarning,
        )


def _may_be_grey(shape) -> bool:
    """Return whether two axes have the usual lengths of images."""
    if len(shape) != 2:
        return False
    shorter, longer = sorted(shape)
    return shorter >= _LEAST_SIDE and longer <= _GREATEST_ASPECT * shorter


@dataclass(frozen=True)
class SampleForm:
    """Shapes of a sample, `given` in X and `seen` by the network.

    A row of a table has the shape ``(n_features,)``. For sequences, final steps may be cut that no
    sequence of fit has.
    """

    given: tuple[int, ...]
    seen: tuple[int, ...]
    error_name: ClassVar[str] = "mean squared error per cell"
    reference_name: ClassVar[str] = "PCA"

    def complete(self, rows, mean):
        """Return rows in the form for the network: unchanged, for arrays."""
        return rows

    def measure_unit(self, rows, scale: float) -> np.ndarray:
        """Return the logarithm of the unit of the density of each row."""
        return count_observed_cells(rows) * np.log(scale)

    def measure_cells(self, module, rows, standardization: Standardization) -> np.ndarray:
        """Return the squared error of every value."""
        return self.restore(cell_errors(module, rows, standardization))

    def measure_rows(self, module, rows, standardization: Standardization) -> np.ndarray:
        """Return the squared error of each row, and its squared distance to the mean."""
        return row_errors_and_deviations(module, rows, standardization).T

    def count_cells(self, rows, *, masked: bool) -> np.ndarray | int:
        """Return the number of observed values of each row, at least 1."""
        return count_observed_cells(rows) if masked else rows.shape[1]

    def cut(self, rows):
        """Return rows without the values that the network does not use."""
        n_seen = math.prod(self.seen)
        return rows if n_seen == rows.shape[1] else rows[:, :n_seen]

    def restore(self, rows: np.ndarray) -> np.ndarray:
        """Return rows of shape (n, n_seen) as samples, with NaN for values that were cut."""
        return self.restore_rows(rows).reshape(len(rows), *self.given)

    def restore_rows(self, rows: np.ndarray) -> np.ndarray:
        """Return one or more rows of shape (..., n_seen) with NaN for values that were cut."""
        *outer, n_seen = rows.shape
        if n_seen == math.prod(self.given):
            return rows
        whole = np.full((*outer, math.prod(self.given)), np.nan, rows.dtype)
        whole[..., :n_seen] = rows
        return whole


def read_form(X, rows, sample_shape, *, known: SampleForm | None, padded: bool) -> SampleForm:
    """Return the shapes of the samples of a fit.

    `X` are stacked samples, `rows` the same samples flattened, and `known` the shapes of an earlier
    fit that this one continues, which must agree. With `padded`, missing values mark the end of
    sequences, and steps beyond the longest are cut. A `sample_shape` that does not match is
    refused.
    """
    given = find_sample_shape(X, rows.shape[1])
    before = None if known is None else known.seen
    check_sample_shape(given, before or ())
    seen = _find_seen_shape(given, sample_shape, before)
    if padded:
        seen = _leave_out_padding(rows, seen) if before is None else before
    return SampleForm(given, seen)


def _find_seen_shape(given, sample_shape, before) -> tuple[int, ...]:
    if sample_shape is None:
        return given if before is None or len(given) > 1 else before
    sizes = _complete(tuple(sample_shape), math.prod(given))
    if not sizes or not all(isinstance(size, Integral) and int(size) > 0 for size in sizes):
        raise ValueError(
            "`sample_shape` must be a tuple of positive integers. "
            f"Got {sample_shape!r}. For grey images of 28 by 28 pixels it is (1, 28, 28)."
        )
    sizes = tuple(int(size) for size in sizes)
    if math.prod(sizes) != math.prod(given):
        raise ValueError(
            f"`sample_shape` must have as many cells as X has columns, {math.prod(given)}. "
            f"Got {sizes}, which has {math.prod(sizes)}. Give the shape of a single sample."
        )
    if len(given) > 1 and _without_ones(given) != _without_ones(sizes):
        raise ValueError(
            f"`sample_shape` must be the shape of the samples in X, {given}. Got {sizes}. "
            "Bring the axes of X into that order, or leave out `sample_shape`."
        )
    return sizes


def check_sample_shape(shape, known):
    """Raise an error if samples of a shape have other axes than those of fit, `known`.

    The last steps of sequences may have been cut in fit.
    """
    if len(shape) < 2 or len(known) < 2 or _without_ones(shape) == _without_ones(known):
        return
    longer = math.prod(shape) > math.prod(known)
    if not (longer and tuple(shape[1:]) == tuple(known[1:])):
        raise ValueError(
            f"X must have samples of shape {known}, as in fit. Got {shape}. Bring the axes of X "
            "into that order."
        )


def flatten_samples(X):
    """Return an array with more than two axes as rows; other objects are unchanged.

    Memory maps in C order are not copied.
    """
    shape = tuple(getattr(X, "shape", ()))
    if len(shape) < 3:
        return X
    return np.asanyarray(X).reshape(shape[0], math.prod(shape[1:]))


def find_sample_shape(X, n_features: int) -> tuple[int, ...]:
    """Return the shape of a sample in X, which is (n_features,) for a table."""
    shape = tuple(getattr(X, "shape", ()))
    return shape[1:] if len(shape) > 2 else (n_features,)


def count_observed_cells(X) -> np.ndarray:
    """Return the number of observed values of each row of X, at least 1."""
    if sparse.issparse(X) or X.dtype.kind != "f":
        return np.full(X.shape[0], X.shape[1])
    counts = [np.count_nonzero(~np.isnan(X[rows]), axis=1) for rows in chunk_slices(X.shape)]
    return np.maximum(1, np.concatenate(counts))


def _complete(sizes: tuple, n_cells: int) -> tuple:
    """Return sizes in which a single -1 is inferred, as in NumPy's `reshape`."""
    given = [size for size in sizes if size != -1]
    whole = all(isinstance(size, Integral) and int(size) > 0 for size in given)
    if len(given) != len(sizes) - 1 or not whole or n_cells % math.prod(given):
        return sizes
    return tuple(n_cells // math.prod(given) if size == -1 else size for size in sizes)


def _leave_out_padding(rows: np.ndarray, shape) -> tuple[int, ...]:
    """Return the shape, steps first, without steps beyond the longest sequence."""
    there = np.flatnonzero(~np.isnan(np.fmin.reduce(rows, axis=0)))
    last = int(there[-1]) if len(there) else 0
    return (1 + last // math.prod(shape[1:]), *shape[1:])


def _without_ones(shape) -> list[int]:
    return [size for size in shape if size > 1]
