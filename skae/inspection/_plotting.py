"""Axes, colours and names of all displays."""

from numbers import Integral

import numpy as np

from skae._shared.extras import import_extra

# Ten colours made to be told apart with any kind of colour vision
# (Petroff, 2021, https://doi.org/10.48550/arXiv.2107.02270).
COLORS = (
    "#3f90da",
    "#ffa90e",
    "#bd1f01",
    "#94a4a2",
    "#832db6",
    "#a96b59",
    "#e76300",
    "#b9ac70",
    "#717581",
    "#92dadd",
)
BLUE, RED, GREY = COLORS[0], COLORS[6], COLORS[3]
# For values, and for differences about zero.
VALUES, DIFFERENCES = "viridis", "RdBu_r"

# More features than this get numbers on the axis, not names.
MOST_NAMES = 40
# Share of the codes, in percent, on either side of the values that are gone through.
_TAIL = 2
_LONGEST_NAME = 24
# A ratio of the greatest to the least value from which an axis is logarithmic.
_WIDE = 10


def take_axes(ax, caller, figsize=None):
    """Return axes to draw on.

    Parameters
    ----------
    ax : matplotlib Axes or None
        Axes that the user gave.
    caller : str
        Name of the drawing function, for the message where matplotlib is missing.
    figsize : tuple of two floats, default=None
        Size of a new figure, in inches.

    Returns
    -------
    ax : matplotlib Axes
        The given axes, or those of a new figure.
    """
    import_extra("matplotlib", "plot", caller)
    if ax is None:
        import matplotlib.pyplot as plt

        return plt.subplots(figsize=figsize, layout="constrained")[1]
    _check_axes(ax)
    return ax


def split_axes(ax, caller, n_rows, n_columns, tile, **options):
    """Replace axes by a grid of axes.

    Parameters
    ----------
    ax : matplotlib Axes or None
        Axes that the user gave; they are emptied. None makes a new figure.
    caller : str
        Name of the drawing function, for the message where matplotlib is missing.
    n_rows, n_columns : int
        Size of the grid.
    tile : tuple of two floats
        Width and height of one of the axes in a new figure, in inches.
    **options : dict
        Passed on to `matplotlib.gridspec.GridSpec.subplots`.

    Returns
    -------
    axes : ndarray of matplotlib Axes of shape (n_rows, n_columns)
        The grid.
    """
    import_extra("matplotlib", "plot", caller)
    if ax is None:
        import matplotlib.pyplot as plt

        figsize = (tile[0] * n_columns, tile[1] * n_rows)
        figure = plt.figure(figsize=figsize, layout="constrained")
        return figure.subplots(n_rows, n_columns, squeeze=False, **options)
    _check_axes(ax)
    ax.set_axis_off()
    place = ax.get_subplotspec()
    if place is None:
        left, bottom, right, top = ax.get_position().extents
        bounds = {"left": left, "bottom": bottom, "right": right, "top": top}
        grid = ax.figure.add_gridspec(n_rows, n_columns, **bounds)
    else:
        grid = place.subgridspec(n_rows, n_columns)
    return grid.subplots(squeeze=False, **options)


def _check_axes(ax):
    if not hasattr(ax, "get_subplotspec"):
        raise TypeError(
            f"`ax` must be matplotlib Axes. Got {type(ax).__name__}. "
            "Pass one of those that `plt.subplots` returned."
        )


def name_features(X, estimator, feature_names, n_features):
    """Return names of features.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Rows; a DataFrame has names.
    estimator : transformer or None
        It may have seen names.
    feature_names : array-like of str of shape (n_features,) or None
        Names that the user gave.
    n_features : int
        Number of features.

    Returns
    -------
    names : list of str of length n_features
        Names that the user gave; or those of X or of the estimator, if there are as many; or x0, x1
        and so on.

    Raises
    ------
    ValueError
        If there are not as many names as features.
    """
    if feature_names is None:
        known = getattr(X, "columns", None), getattr(estimator, "feature_names_in_", None)
        # A single column may hold images or sequences.
        fitting = [each for each in known if each is not None and len(each) == n_features]
        feature_names = fitting[0] if fitting else [f"x{index}" for index in range(n_features)]
    if len(feature_names) != n_features:
        raise ValueError(
            f"`feature_names` must hold a name for each of the {n_features} features. "
            f"Got {len(feature_names)}. Leave it out to number them."
        )
    return [str(name) for name in feature_names]


def label_features(axis, names, many="feature (number of the column)"):
    """Write names of features on an axis, or numbers where there are too many.

    Parameters
    ----------
    axis : matplotlib Axis
        The horizontal or the vertical one; features stand at 0, 1, 2 and so on.
    names : sequence of str
        Names of the features.
    many : str, default="feature (number of the column)"
        Label of the axis where there are too many.
    """
    if len(names) > MOST_NAMES:
        axis.set_label_text(many)
        return
    size = "small" if len(names) <= 15 else "x-small"
    shown = [shorten(name) for name in names]
    axis.set_ticks(range(len(names)), shown, size=size)
    if axis.axis_name == "x" and max(map(len, shown)) * len(shown) > 30:
        axis.set_tick_params(rotation=90)


def shorten(name):
    """Return a name that leaves room for a picture.

    Parameters
    ----------
    name : str
        A name.

    Returns
    -------
    name : str
        The text, or its beginning and three dots.
    """
    return (
        name
        if len(name) <= _LONGEST_NAME
        else f"{name[: _LONGEST_NAME - 1]}\N{HORIZONTAL ELLIPSIS}"
    )


def measure_bars(n_features):
    """Return the width of axes with a bar for each feature, in inches.

    Parameters
    ----------
    n_features : int
        Number of features.

    Returns
    -------
    width : float
        Enough for names that do not overlap, where there are names.
    """
    return min(max(2.5, 0.15 * n_features), 0.15 * MOST_NAMES)


def check_components(components, n_codes, least=1):
    """Return numbers of codes.

    Parameters
    ----------
    components : sequence of int
        Numbers of different codes, from 0.
    n_codes : int
        How many codes there are.
    least : int, default=1
        How many numbers there must be at least.

    Returns
    -------
    components : tuple of int
        The given numbers.

    Raises
    ------
    ValueError
        If there are no such codes, or not enough of them.
    """
    numbers = tuple(components)
    whole = all(isinstance(number, Integral) and 0 <= int(number) < n_codes for number in numbers)
    if not whole or len(set(numbers)) < max(least, len(numbers)):
        raise ValueError(
            f"`components` must be at least {least} different numbers of codes, from 0 to "
            f"{n_codes - 1}. Got {components!r}. Try components={tuple(range(least))}."
        )
    return tuple(int(number) for number in numbers)


def list_values(codes, n_steps):
    """Return values that span what codes have.

    Parameters
    ----------
    codes : ndarray of shape (n_samples, n_codes)
        Codes.
    n_steps : int
        Number of values, at least 2.

    Returns
    -------
    values : ndarray of shape (n_codes, n_steps)
        Values at equal distances over the middle 96 % of each code; a length of one about a code
        that does not vary.

    Raises
    ------
    ValueError
        If there are less than two steps.
    """
    if n_steps < 2:
        raise ValueError(f"`n_steps` must be at least 2. Got {n_steps}. Try n_steps=9.")
    least, greatest = np.percentile(codes, [_TAIL, 100 - _TAIL], axis=0).astype(np.float64)
    still = greatest <= least
    return np.linspace(least - still / 2, greatest + still / 2, n_steps).T


def widen(set_scale, values, **options):
    """Make an axis logarithmic where values differ by a great factor."""
    if np.min(values) > 0 and np.max(values) / np.min(values) > _WIDE:
        set_scale("log", **options)
