"""Images of shapes with known factors of variation."""

import numpy as np
from sklearn.utils import Bunch, check_random_state

from skae._shared.checks import check_count

_FACTORS = ("shape", "x", "y", "scale", "rotation")
_N_SHAPES = 3
_LEAST_SIZE = 8
# Width of the grey edge, in pixels.
_EDGE = 1.0
_CELLS_AT_ONCE = 2**19


def make_shapes(n_samples=1000, *, size=24, random_state=None) -> Bunch:
    """Generate grey images of squares, ellipses and triangles with known factors of variation.

    The factors are the shape, its position, its size and its rotation. They are drawn
    independently, and a disentangling method should recover them.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of images.
    size : int, default=24
        Width and height in pixels; at least 8.
    random_state : int, RandomState instance or None, default=None
        Seed or generator of the factors.

    Returns
    -------
    sklearn.utils.Bunch
        Dictionary-like object with the attributes

        X : ndarray of shape (n_samples, size * size), float32
            Pixels row by row, in [0, 1].
        factors : ndarray of shape (n_samples, 5), float64
            Shape (0 square, 1 ellipse, 2 triangle); x and y of the centre in [-1, 1]; scale in
            [0, 1]; rotation in [0, 1), from 0 to a quarter of a turn.
        factor_names : tuple of str
            Names of the columns of ``factors``.

    Raises
    ------
    ValueError
        If `n_samples` is not a positive integer, or `size` is not an integer of at least 8.

    Notes
    -----
    Rotations cover a quarter of a turn, after which a square looks the same again. So no two
    rotations in [0, 1) give equal images.

    Examples
    --------
    >>> from skae.datasets import make_shapes
    >>> shapes = make_shapes(5, random_state=0)
    >>> shapes.X.shape, shapes.factors.shape
    ((5, 576), (5, 5))
    """
    n_samples = check_count("n_samples", n_samples, "Ask for at least one image.")
    if check_count("size", size, "24 is usual.") < _LEAST_SIZE:
        raise ValueError(
            f"`size` must be at least {_LEAST_SIZE} pixels. Got {size}. In smaller images the "
            "shapes cannot be distinguished."
        )
    source = check_random_state(random_state)
    kind = source.randint(_N_SHAPES, size=n_samples)
    place = source.uniform(-1, 1, size=(n_samples, 2))
    scale, rotation = source.uniform(size=(2, n_samples))
    factors = np.column_stack([kind, place, scale, rotation])
    X = np.empty((n_samples, size * size), np.float32)
    n_at_once = max(1, _CELLS_AT_ONCE // size**2)
    for first in range(0, n_samples, n_at_once):
        rows = slice(first, first + n_at_once)
        X[rows] = _draw(factors[rows], size).reshape(-1, size * size)
    return Bunch(X=X, factors=factors, factor_names=_FACTORS)


def _draw(factors, size):
    """Return images of shape (n_samples, size, size) with the given factors."""
    kind, across, down, scale, rotation = factors.T[..., None, None]
    middle = (size - 1) / 2
    rows, columns = np.mgrid[:size, :size]
    x = columns - middle - across * size * 0.22
    y = rows - middle - down * size * 0.22
    cosine, sine = np.cos(rotation * np.pi / 2), np.sin(rotation * np.pi / 2)
    distance = _distance_to_edge(
        kind.astype(int), x * cosine + y * sine, y * cosine - x * sine, size * (0.1 + 0.08 * scale)
    )
    return np.clip(0.5 - distance / _EDGE, 0, 1)


def _distance_to_edge(kind, x, y, radius):
    """Return approximate distances of pixels from the edge of a shape, negative inside."""
    square = np.maximum(np.abs(x), np.abs(y)) - 0.9 * radius
    stretched = np.sqrt((x / 1.4) ** 2 + (y / 0.7) ** 2)
    # The length of the gradient makes the edge equally wide everywhere.
    gradient = np.sqrt((x / 1.4**2) ** 2 + (y / 0.7**2) ** 2) / np.maximum(stretched, 1e-9)
    ellipse = (stretched - radius) / np.maximum(gradient, 0.5)
    sides = [x * np.cos(a) + y * np.sin(a) for a in np.pi * np.array([1 / 2, 7 / 6, 11 / 6])]
    triangle = np.maximum.reduce(sides) - 0.7 * radius
    return np.choose(kind, [square, ellipse, triangle])
