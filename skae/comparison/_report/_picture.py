"""Pictures as PNG images with captions, and bar charts of column errors."""

from base64 import b64encode
from dataclasses import dataclass
from io import BytesIO

import numpy as np

from skae.inspection._plotting import BLUE, GREY, MOST_NAMES, label_features

# In inches. Phones shrink a picture of this width to three quarters, where text is still legible.
_WIDTH = 4.8
_PIXELS_PER_INCH = 192


@dataclass(frozen=True)
class Point:
    """Point of a picture, in CSS pixels, with the text shown on hovering."""

    x: float
    y: float
    text: str


@dataclass(frozen=True)
class Picture:
    """Image as a PNG file in base64, with its size on the page in CSS pixels and its caption.

    `alt` is a description for readers who cannot see the picture. A chart is on white, and its
    colours may be inverted in dark mode. Points have text that is shown on hovering.
    """

    data: str
    width: int
    height: int
    alt: str
    caption: str
    chart: bool = True
    points: tuple[Point, ...] = ()


def escape(text):
    """Return text without formulas, which matplotlib reads between two dollar signs."""
    return str(text).replace("$", r"\$")


def escape_labels(labels):
    return np.array([escape(label) for label in labels]) if labels.dtype.kind in "UO" else labels


def make_figure(height):
    """Return a figure and its axes without pyplot, which would keep it and may open a window."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, height), layout="constrained", facecolor="white")
    return figure, figure.subplots()


def render(figure, alt, caption, chart=True):
    """Return a figure as a picture."""
    stream = BytesIO()
    # The layout depends on the resolution, and points are placed by the layout of the file.
    figure.set_dpi(_PIXELS_PER_INCH)
    # Without the version of matplotlib, equal pictures are equal files.
    figure.savefig(stream, format="png", dpi=figure.dpi, metadata={"Software": None})
    data = b64encode(stream.getvalue()).decode("ascii")
    width, height = (round(96 * inches) for inches in figure.get_size_inches())
    return Picture(data, width, height, alt, caption, chart)


def draw_column_errors(errors, of_reference, names, unit, reference):
    """Return a picture of the errors of columns as bars, with marks of the reference method.

    Errors are NaN for columns without observed held-out cells. `unit` is their label.
    """
    errors, of_reference = np.nan_to_num(errors), np.nan_to_num(of_reference)
    order = np.argsort(errors, kind="stable")[-MOST_NAMES:]
    figure, ax = make_figure(max(2.5, 0.18 * len(order) + 0.8))
    places = range(len(order))
    ax.barh(places, errors[order], color=BLUE)
    ax.plot(of_reference[order], places, "|", color=GREY, markersize=9, markeredgewidth=2)
    label_features(ax.yaxis, [escape(names[index]) for index in order])
    ax.set_ylim(-0.6, len(order) - 0.4)
    # Tick labels of small errors are long.
    ax.xaxis.get_major_locator().set_params(nbins=5)
    ax.set_xlabel(unit)
    caption = (
        f"{unit[0].upper()}{unit[1:]} of the autoencoder in each column. Grey marks are "
        f"{reference}'s."
    )
    return render(figure, caption, caption)
