"""Rows whose cells stand in a shape of their own, such as images."""

import math
from dataclasses import dataclass
from numbers import Integral
from typing import ClassVar

import numpy as np
from scipy import sparse

from skae._engine import (
    Standardization,
    cell_errors,
    chunk_slices,
    row_errors_and_deviations,
)
from skae._estimators.containers import check_row_lengths, count_axes, read_container, stack
from skae._estimators.stored_tables import read_stored
from skae._shared.warning import warn_user
from skae.architectures import Convolutional
from skae.exceptions import SkaeWarning

# Of grey images, of colours, and of colours with transparency.
_CHANNELS = (1, 3, 4)
# Of pictures; signals with so many channels are mostly longer than that.
_LEAST_SIDE = 8
_GREATEST_ASPECT = 3


def stack_samples(X, *, lazily: bool = False):
    """Return samples that are no table as one array, all else as it is.

    Parameters
    ----------
    X : object
        As the user passed it, such as a list of images.
    lazily : bool, default=False
        Whether tables that are larger than memory may stay where they are.

    Returns
    -------
    samples : object
        An array where X was a tensor, a data set, a list of arrays, a list nested more than twice,
        or a series of arrays; a `StoredTable` where it stays where it is.

    Raises
    ------
    ValueError
        If samples have different shapes, or X is nothing that samples can be taken from.
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
    """Warn where images for a convolutional network seem to have their channels last, or none.

    Parameters
    ----------
    architecture : object
        The parameter.
    shape : tuple of int
        Shape of a sample.
    sample_shape : tuple of int or None
        The parameter, None where the axes of X were taken.

    Warns
    -----
    SkaeWarning
        If the last axis has as many cells as images have channels, and the first has not; or if
        the two axes of signals have such lengths as those of pictures.
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
    """Tell whether two axes are such as pictures have."""
    if len(shape) != 2:
        return False
    shorter, longer = sorted(shape)
    return shorter >= _LEAST_SIDE and longer <= _GREATEST_ASPECT * shorter


@dataclass(frozen=True)
class SampleForm:
    """Shapes of a sample: in X, and as the network sees it.

    Attributes
    ----------
    given : tuple of int
        Shape of a sample in X, ``(n_features,)`` for rows of a table.
    seen : tuple of int
        Shape of a sample as the network sees it. Sequences may lack last steps that none of those
        in fit has.
    """

    given: tuple[int, ...]
    seen: tuple[int, ...]
    error_name: ClassVar[str] = "mean squared error per cell"
    reference_name: ClassVar[str] = "PCA"

    def complete(self, rows, mean):
        """Return rows that the network can see: all, for arrays."""
        return rows

    def measure_unit(self, rows, scale: float) -> np.ndarray:
        """Return the logarithm of the unit that the density of each row is in."""
        return count_observed_cells(rows) * np.log(scale)

    def measure_cells(self, module, rows, standardization: Standardization) -> np.ndarray:
        """Return the squared error of every cell."""
        return self.restore(cell_errors(module, rows, standardization))

    def measure_rows(self, module, rows, standardization: Standardization) -> np.ndarray:
        """Return the squared error of each row, and its squared distance from the mean."""
        return row_errors_and_deviations(module, rows, standardization).T

    def count_cells(self, rows, *, masked: bool) -> np.ndarray | int:
        """Return the number of cells in each row that are not missing, 1 where all are."""
        return count_observed_cells(rows) if masked else rows.shape[1]

    def cut(self, rows):
        """Return rows without the cells that the network does not see."""
        n_seen = math.prod(self.seen)
        return rows if n_seen == rows.shape[1] else rows[:, :n_seen]

    def restore(self, rows: np.ndarray) -> np.ndarray:
        """Return rows of shape (n, n_seen) as samples, with NaN for cells that were cut."""
        return self.restore_rows(rows).reshape(len(rows), *self.given)

    def restore_rows(self, rows: np.ndarray) -> np.ndarray:
        """Return one or more rows of shape (..., n_seen) with NaN for cells that were cut."""
        *outer, n_seen = rows.shape
        if n_seen == math.prod(self.given):
            return rows
        whole = np.full((*outer, math.prod(self.given)), np.nan, rows.dtype)
        whole[..., :n_seen] = rows
        return whole


def read_form(
    X, rows, sample_shape, *, known: SampleForm | None = None, padded: bool = False
) -> SampleForm:
    """Return the shapes of the samples of a fit.

    Parameters
    ----------
    X : object
        Samples as the user passed them, stacked.
    rows : ndarray or sparse matrix of shape (n_samples, n_features)
        Samples as rows.
    sample_shape : tuple of int or None
        Parameter of the estimator.
    known : SampleForm, default=None
        Shapes in a fit that this one goes on from, which count where nothing else tells.
    padded : bool, default=False
        Whether missing cells lie beyond the end of sequences; steps that none has are cut.

    Returns
    -------
    form : SampleForm
        The shapes.

    Raises
    ------
    ValueError
        If `sample_shape` does not consist of positive integers or does not fit X, or X has another
        arrangement than before.
    """
    given = find_form(X, rows.shape[1])
    before = None if known is None else known.seen
    check_form(given, before or ())
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
            f"Got {sizes}, which has {math.prod(sizes)}. It is without the number of samples."
        )
    if len(given) > 1 and _without_ones(given) != _without_ones(sizes):
        raise ValueError(
            f"`sample_shape` must be the shape of the samples in X, {given}. Got {sizes}. "
            "Bring the axes of X into that order, or leave out `sample_shape`."
        )
    return sizes


def check_form(form, known):
    """Refuse samples with the cells of those in fit in another arrangement.

    Parameters
    ----------
    form : tuple of int
        The shape that samples have in X.
    known : tuple of int
        Shape of a sample as the network sees it; of sequences the last steps may be left out.

    Raises
    ------
    ValueError
        If the axes are others.
    """
    if len(form) < 2 or len(known) < 2 or _without_ones(form) == _without_ones(known):
        return
    longer = math.prod(form) > math.prod(known)
    if not (longer and tuple(form[1:]) == tuple(known[1:])):
        raise ValueError(
            f"X must have samples of shape {known}, as in fit. Got {form}. Bring the axes of X "
            "into that order."
        )


def flatten_samples(X):
    """Return an array of more than two axes as rows, all else as it is.

    Parameters
    ----------
    X : object
        As the user passed it.

    Returns
    -------
    rows : object
        Two-dimensional where X had more axes. No copy of a memory map in C order.
    """
    shape = tuple(getattr(X, "shape", ()))
    if len(shape) < 3:
        return X
    return np.asanyarray(X).reshape(shape[0], math.prod(shape[1:]))


def find_form(X, n_features: int) -> tuple[int, ...]:
    """Return the shape that samples have in X, which is (n_features,) for a table."""
    shape = tuple(getattr(X, "shape", ()))
    return shape[1:] if len(shape) > 2 else (n_features,)


def count_observed_cells(X) -> np.ndarray:
    """Return the number of cells in each row of X that are not missing, 1 where all are."""
    if sparse.issparse(X) or X.dtype.kind != "f":
        return np.full(X.shape[0], X.shape[1])
    counts = [np.count_nonzero(~np.isnan(X[rows]), axis=1) for rows in chunk_slices(X.shape)]
    return np.maximum(1, np.concatenate(counts))


def _complete(sizes: tuple, n_cells: int) -> tuple:
    """Return sizes with what fits in the place of a single -1, as NumPy's `reshape` has it."""
    given = [size for size in sizes if size != -1]
    whole = all(isinstance(size, Integral) and int(size) > 0 for size in given)
    if len(given) != len(sizes) - 1 or not whole or n_cells % math.prod(given):
        return sizes
    return tuple(n_cells // math.prod(given) if size == -1 else size for size in sizes)


def _leave_out_padding(rows: np.ndarray, shape) -> tuple[int, ...]:
    """Return the shape, steps first, without last steps that none of the sequences has."""
    there = np.flatnonzero(~np.isnan(np.fmin.reduce(rows, axis=0)))
    last = int(there[-1]) if len(there) else 0
    return (1 + last // math.prod(shape[1:]), *shape[1:])


def _without_ones(shape) -> list[int]:
    return [size for size in shape if size > 1]
