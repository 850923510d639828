"""Axes, colours and feature names, for all displays."""

from numbers import Integral

import numpy as np

from skae._estimators.stored_tables import is_arrow_table
from skae._shared.extras import import_extra

# Ten colours that can be distinguished with any kind of colour vision
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
# Colour maps of values, and of differences about zero.
VALUES, DIFFERENCES = "viridis", "RdBu_r"

# With more features than this, the axis shows positions instead of names.
MOST_NAMES = 40
# Percentage of the codes below, and above, the range of traversals.
_TAIL = 2
_LONGEST_NAME = 24
# Ratio of the largest to the smallest value above which an axis is logarithmic.
_WIDE = 10


def take_axes(ax, caller, figsize=None):
    """Return the given axes, or those of a new figure of `figsize` inches.

    `caller` is named in the error message if matplotlib is missing.
    """
    import_extra("matplotlib", "plot", caller)
    if ax is None:
        import matplotlib.pyplot as plt

        return plt.subplots(figsize=figsize, layout="constrained")[1]
    _check_axes(ax)
    return ax


def split_axes(ax, caller, n_rows, n_columns, tile, **options):
    """Return a grid of axes in place of the given axes, which are hidden, or in a new figure.

    `caller` is named if matplotlib is missing. `tile` is the width and height of one of the axes in
    a new figure, in inches. Options are those of `matplotlib.gridspec.GridSpec.subplots`.
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
            "Pass axes returned by `plt.subplots`."
        )


def name_features(feature_names, n_features, X=None, estimator=None):
    """Return the names that the user gave, or those of X or the estimator, or x0, x1, ....

    Names of X or the estimator are used if there are `n_features` of them; another number of given
    names is refused.
    """
    if feature_names is None:
        # The columns of an Arrow table are not its names.
        own = X.schema.names if is_arrow_table(X) else getattr(X, "columns", None)
        known = own, getattr(estimator, "feature_names_in_", None)
        # A single column may hold images or sequences.
        fitting = [each for each in known if each is not None and len(each) == n_features]
        feature_names = fitting[0] if fitting else [f"x{index}" for index in range(n_features)]
    if len(feature_names) != n_features:
        raise ValueError(
            f"`feature_names` must have a name for each of the {n_features} features. "
            f"Got {len(feature_names)}. Leave it out to number the features."
        )
    return [str(name) for name in feature_names]


def label_features(axis, names, many="feature (number of the column)"):
    """Label an axis with names of features at 0, 1, 2, ..., or with `many` if they are too many."""
    if len(names) > MOST_NAMES:
        axis.set_label_text(many)
        return
    size = "small" if len(names) <= 15 else "x-small"
    shown = [shorten(name) for name in names]
    axis.set_ticks(range(len(names)), shown, size=size)
    if axis.axis_name == "x" and max(map(len, shown)) * len(shown) > 30:
        axis.set_tick_params(rotation=90)


def shorten(name):
    """Return a name, cut and ended by an ellipsis if it is too long for a plot."""
    if len(name) <= _LONGEST_NAME:
        return name
    return f"{name[: _LONGEST_NAME - 1]}\N{HORIZONTAL ELLIPSIS}"


def check_components(components, n_codes, least=1):
    """Return the indices of codes as a tuple, at least `least` different ones."""
    if n_codes < least:
        raise ValueError(
            f"There must be at least {least} codes to plot. Got {n_codes}. Fit the estimator with "
            "a larger `n_components`."
        )
    numbers = tuple(components)
    whole = all(isinstance(number, Integral) and 0 <= int(number) < n_codes for number in numbers)
    if not whole or len(set(numbers)) < max(least, len(numbers)):
        raise ValueError(
            f"`components` must be at least {least} different indices of codes, from 0 to "
            f"{n_codes - 1}. Got {components!r}. Try components={tuple(range(least))}."
        )
    return tuple(int(number) for number in numbers)


def list_values(codes, n_steps):
    """Return equidistant values over the range of each code, of shape (n_codes, n_steps).

    They cover the middle 96 % of a code, or an interval of length 1 about a constant one.
    """
    if n_steps < 2:
        raise ValueError(f"`n_steps` must be at least 2. Got {n_steps}. Try n_steps=9.")
    least, greatest = np.percentile(codes, [_TAIL, 100 - _TAIL], axis=0).astype(np.float64)
    still = greatest <= least
    return np.linspace(least - still / 2, greatest + still / 2, n_steps).T


def widen(set_scale, values, **options):
    """Make an axis logarithmic if its values differ by a large factor."""
    if np.min(values) > 0 and np.max(values) / np.min(values) > _WIDE:
        set_scale("log", **options)
