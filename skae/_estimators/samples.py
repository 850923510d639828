"""Rows whose cells stand in a shape of their own, such as images."""

import math
import warnings
from numbers import Integral

import numpy as np

from skae._estimators.containers import check_row_lengths, count_axes, read_container, stack
from skae.architectures import Convolutional
from skae.exceptions import SkaeWarning

# Of grey images, of colours, and of colours with transparency.
_CHANNELS = (1, 3, 4)


def stack_samples(X):
    """Return samples that are no table as one array, all else as it is.

    Parameters
    ----------
    X : object
        As the user passed it, such as a list of images.

    Returns
    -------
    samples : object
        An array where X was a tensor, a data set, a list of arrays, a list nested more than twice,
        or a series of arrays.

    Raises
    ------
    ValueError
        If samples have different shapes, or X is nothing that samples can be taken from.
    """
    X = read_container(X)
    if not isinstance(X, list | tuple):
        return X
    n_axes = count_axes(X)
    if n_axes >= 3 or (n_axes == 2 and not isinstance(X[0], list | tuple)):
        return stack(X)
    if n_axes == 2:
        check_row_lengths(X)
    return X


def warn_if_channels_last(architecture, shape):
    """Warn where images for a convolutional network seem to have their channels last.

    Parameters
    ----------
    architecture : object
        The parameter.
    shape : tuple of int
        Shape of a sample.

    Warns
    -----
    SkaeWarning
        If the last axis has as many cells as images have channels, and the first has not.
    """
    if architecture != "conv" and not isinstance(architecture, Convolutional):
        return
    if len(shape) == 3 and shape[-1] in _CHANNELS and shape[0] not in _CHANNELS:
        warnings.warn(
            f"Samples of shape {shape} are taken for images of {shape[0]} channels. If the "
            "channels are the last axis, bring them to the front: np.moveaxis(X, -1, 1).",
            SkaeWarning,
            stacklevel=5,
        )


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


def find_sample_shape(form, sample_shape, before=None) -> tuple[int, ...]:
    """Return the shape of a sample as the network sees it.

    Parameters
    ----------
    form : tuple of int
        The shape that samples have in X.
    sample_shape : tuple of int or None
        The parameter.
    before : tuple of int, default=None
        What it was in a fit that this one goes on from, which counts where nothing else tells.

    Returns
    -------
    sample_shape : tuple of int
        Positive.

    Raises
    ------
    ValueError
        If the parameter does not consist of positive integers or does not fit X, or X has another
        arrangement than before.
    """
    check_form(form, before or ())
    if sample_shape is None:
        return form if before is None or len(form) > 1 else before
    sizes = _complete(tuple(sample_shape), math.prod(form))
    if not sizes or not all(isinstance(size, Integral) and int(size) > 0 for size in sizes):
        raise ValueError(
            "`sample_shape` must be a tuple of positive integers. "
            f"Got {sample_shape!r}. For grey images of 28 by 28 pixels it is (1, 28, 28)."
        )
    sizes = tuple(int(size) for size in sizes)
    if math.prod(sizes) != math.prod(form):
        raise ValueError(
            f"`sample_shape` must have as many cells as X has columns, {math.prod(form)}. "
            f"Got {sizes}, which has {math.prod(sizes)}. It is without the number of samples."
        )
    if len(form) > 1 and _without_ones(form) != _without_ones(sizes):
        raise ValueError(
            f"`sample_shape` must be the shape of the samples in X, {form}. Got {sizes}. "
            "Bring the axes of X into that order, or leave out `sample_shape`."
        )
    return sizes


def _complete(sizes: tuple, n_cells: int) -> tuple:
    """Return sizes with what fits in the place of a single -1, as NumPy's `reshape` has it."""
    given = [size for size in sizes if size != -1]
    whole = all(isinstance(size, Integral) and int(size) > 0 for size in given)
    if len(given) != len(sizes) - 1 or not whole or n_cells % math.prod(given):
        return sizes
    return tuple(n_cells // math.prod(given) if size == -1 else size for size in sizes)


def cut_padding(rows: np.ndarray, shape, before=None) -> tuple[np.ndarray, tuple[int, ...]]:
    """Leave out the last steps of sequences that none of them has.

    Parameters
    ----------
    rows : ndarray of shape (n_samples, n_features)
        The sequences, NaN where a cell is missing.
    shape : tuple of int
        Shape of one of them, steps first.
    before : tuple of int, default=None
        What it was without those steps in a fit that this one goes on from.

    Returns
    -------
    rows : ndarray of shape (n_samples, n_kept)
        The steps that are left.
    shape : tuple of int
        Shape of one row of them.
    """
    if before is None:
        there = np.flatnonzero(~np.isnan(np.fmin.reduce(rows, axis=0)))
        n_cells = math.prod(shape[1:])
        last = int(there[-1]) if len(there) else 0
        before = (1 + last // n_cells, *shape[1:])
    n_kept = math.prod(before)
    return (rows if n_kept == rows.shape[1] else rows[:, :n_kept]), before


def restore_form(rows: np.ndarray, form) -> np.ndarray:
    """Return rows in the form that samples have in X, with NaN for cells that were left out.

    Parameters
    ----------
    rows : ndarray of shape (..., n_kept)
        One row for each sample.
    form : tuple of int
        Shape of a sample.

    Returns
    -------
    samples : ndarray of shape (..., *form)
        The samples.
    """
    *outer, n_kept = rows.shape
    if n_kept < math.prod(form):
        whole = np.full((*outer, math.prod(form)), np.nan, rows.dtype)
        whole[..., :n_kept] = rows
        rows = whole
    return rows.reshape(*outer, *form)


def _without_ones(shape) -> list[int]:
    return [size for size in shape if size > 1]
