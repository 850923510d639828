"""Points and histograms coloured by labels or quantities, and their legends."""

from dataclasses import dataclass
from math import ceil

import numpy as np

from skae.inspection._plotting import BLUE, COLORS, VALUES, shorten
from skae.metrics._predictor import holds_quantities

_MARKERS = ("o", "^", "s", "D", "v", "P", "X", "<", ">", "*")
# A legend of more labels would fill the figure, so they are written among the points.
_MOST_LEGEND_ENTRIES = 30
# Entries per column of a legend beside single axes, and in the corner of a grid of axes.
_LEGEND_COLUMN, _CORNER_COLUMN = 15, 7


@dataclass(frozen=True, eq=False)
class Group:
    """Rows with one label, with their colour and marker."""

    label: str | None
    rows: np.ndarray
    color: str
    marker: str


def find_groups(y, n_rows):
    """Return the groups of rows with equal labels, in ascending order of the labels.

    Without labels, there is a single group. Colours repeat after ten labels, with other markers.
    """
    if y is None or holds_quantities(y):
        return [Group(None, np.ones(n_rows, bool), BLUE, _MARKERS[0])]
    groups = []
    for number, label in enumerate(np.unique(y)):
        marker = _MARKERS[number // len(COLORS) % len(_MARKERS)]
        groups.append(Group(str(label), y == label, COLORS[number % len(COLORS)], marker))
    return groups


def draw_points(ax, points, y, **kwargs):
    """Draw points coloured by label or quantity, and return the artists, one for each group."""
    size = float(np.clip(20_000 / len(points), 2, 25))
    style = {"s": size, "linewidths": 0, "alpha": 0.8, **kwargs}
    if y is not None and holds_quantities(y):
        return [ax.scatter(*points.T, **{"c": y, "cmap": VALUES, **style})]
    return [
        ax.scatter(
            *points[group.rows].T,
            **{"color": group.color, "marker": group.marker, "label": group.label, **style},
        )
        for group in find_groups(y, len(points))
    ]


def explain_colors(ax, artists, points, y, beside=None):
    """Add a legend, labels among the points, or a colour bar.

    The artists are those of `draw_points`. `beside` are empty axes for the legend; None places it
    to the right of `ax`.
    """
    if y is None:
        return
    if holds_quantities(y):
        bar = ax.figure.colorbar(artists[0], ax=ax if beside is None else beside, label="y")
        bar.solids.set_alpha(1)
        return
    groups = find_groups(y, len(y))
    if len(groups) > _MOST_LEGEND_ENTRIES:
        _write_names(ax, groups, points)
        return
    labels = [shorten(group.label) for group in groups]
    columns = ceil(len(labels) / (_LEGEND_COLUMN if beside is None else _CORNER_COLUMN))
    style = {"ncols": columns, "borderaxespad": 0, "handletextpad": 0.3}
    if beside is None:
        legend = ax.legend(artists, labels, loc="upper left", bbox_to_anchor=(1.02, 1), **style)
    else:
        legend = beside.legend(artists, labels, loc="upper right", **style)
    for handle in legend.legend_handles:
        handle.set(sizes=[25], alpha=1)


def _write_names(ax, groups, points):
    from matplotlib.patheffects import withStroke

    halo = [withStroke(linewidth=2.5, foreground=ax.get_facecolor())]
    for group in groups:
        place = np.median(points[group.rows], axis=0)
        ax.annotate(group.label, place, ha="center", va="center", size="small", path_effects=halo)


def draw_histogram(ax, values, y):
    """Draw a histogram of values for each label; quantities are ignored."""
    bins = np.histogram_bin_edges(values, bins=30)
    for group in find_groups(y, len(values)):
        filled = {"histtype": "stepfilled" if group.label is None else "step"}
        ax.hist(values[group.rows], bins=bins, color=group.color, label=group.label, **filled)


def explain_histogram(ax):
    """Add a legend to axes with histograms, if they have labels."""
    handles, labels = ax.get_legend_handles_labels()
    if 0 < len(handles) <= _MOST_LEGEND_ENTRIES:
        ax.legend(handles, [shorten(label) for label in labels], fontsize="small")
