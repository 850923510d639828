"""Plots of a row as one of its codes changes."""

from dataclasses import KW_ONLY, dataclass
from math import floor, log10
from typing import Self

import numpy as np

from skae.inspection._images import choose_kind, draw_image, read_image_shape
from skae.inspection._plotting import (
    DIFFERENCES,
    VALUES,
    check_components,
    label_features,
    list_values,
    name_features,
    split_axes,
)
from skae.metrics._transformer import decode, encode, find_image_shape, to_array, view_numbers

_MOST_CODES = 5
# Percentage of the changes within the range of the colour map.
_SHOWN = 99.5


@dataclass(eq=False, repr=False)
class LatentTraversalDisplay:
    """Decoded rows while one code changes and the others are fixed.

    Create a display with `from_estimator`, which also plots it.

    Attributes
    ----------
    reconstructions : ndarray of shape (n_components, n_steps, n_features)
        Decoded rows, for each code that changes and each of its values.
    values : ndarray of shape (n_components, n_steps)
        Values of the codes that change.
    scales : ndarray of shape (n_features,)
        Standard deviations of the features.
    start : ndarray of shape (n_features,)
        Reconstruction from which the traversals start.
    components : tuple of int
        Indices of the codes that change.
    kind : {"image", "series", "bars"}, default="bars"
        Whether to plot a reconstruction as an image, as a line over its features, or as a column of
        a heat map.
    image_shape : tuple of int, default=None
        Shape of images: (height, width) or (channels, height, width).
    feature_names : list of str, default=None
        Names of the features. None uses numbers.
    axes_ : ndarray of matplotlib Axes
        Axes of shape (n_components, n_steps) for images, (1, n_components) otherwise.
    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    skae.inspection.explain_codes : Effects of small changes of codes, as figures over many rows.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from skae.inspection import LatentTraversalDisplay
    >>> X = load_digits().data
    >>> pca = PCA(n_components=3).fit(X)
    >>> display = LatentTraversalDisplay.from_estimator(pca, X, n_steps=5, image_shape=(8, 8))
    >>> display.axes_.shape
    (3, 5)
    """

    reconstructions: np.ndarray
    values: np.ndarray
    _: KW_ONLY
    scales: np.ndarray
    start: np.ndarray
    components: tuple[int, ...]
    kind: str = "bars"
    image_shape: tuple[int, ...] | None = None
    feature_names: list[str] | None = None

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        components=None,
        start=None,
        n_steps=9,
        kind=None,
        image_shape=None,
        feature_names=None,
        ax=None,
    ) -> Self:
        """Change one code at a time, and plot the decoded rows.

        Each code varies over the middle 96 % of its values among the rows of X.

        Parameters
        ----------
        estimator : fitted transformer with ``inverse_transform``
            An autoencoder, PCA, or a pipeline that ends in one.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, or images and sequences in any form that the estimator accepts, which determine
            the range of the codes. Data frames with columns of several kinds are shown with a
            feature for each category.
        components : sequence of int, default=None
            Indices of the codes to change. None is the first five.
        start : int, default=None
            Index of the row of X whose codes are the start. None starts from the mean of all codes.
        n_steps : int, default=9
            Number of values of each code, at least 2.
        kind : {"image", "series", "bars"}, default=None
            Whether to plot a reconstruction as an image, as a line, or with "bars" as a heat map of
            the change of each feature from the start, in standard deviations. None is "image" if
            the shape of images is known, and "bars" otherwise.
        image_shape : tuple of int or "square", default=None
            Shape of images: (height, width) or (channels, height, width). None uses the shape of
            the images in X, or of the images that the estimator was fitted to, if they have one or
            three channels.
        feature_names : array-like of str of shape (n_features,), default=None
            Names of the features. None uses the names of X or of the estimator.
        ax : matplotlib Axes, default=None
            Axes to replace by a grid of plots. None creates a new figure.

        Returns
        -------
        display : LatentTraversalDisplay
            The display, plotted.

        Raises
        ------
        ValueError
            If `components` contains a code that does not exist.
        """
        estimator, X = view_numbers(estimator, X)
        codes = encode(estimator, X)
        n_codes = codes.shape[1]
        if components is None:
            components = range(min(n_codes, _MOST_CODES))
        components = check_components(components, n_codes)
        middle = codes.mean(axis=0) if start is None else codes[start]
        values = list_values(codes[:, components], n_steps)
        samples = to_array(X)
        n_features = samples.shape[1]
        if image_shape is None and kind in (None, "image"):
            image_shape = find_image_shape(X, estimator)
        image_shape = read_image_shape(image_shape, n_features)
        display = cls(
            _decode_changes(estimator, middle, components, values, n_features),
            values,
            scales=np.nanstd(samples, axis=0),
            start=decode(estimator, middle[None], n_features)[0],
            components=components,
            kind=choose_kind(kind, image_shape),
            image_shape=image_shape,
            feature_names=name_features(feature_names, n_features, X, estimator),
        )
        return display.plot(ax=ax)

    def plot(self, ax=None) -> Self:
        """Plot the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to replace by a grid of plots. None creates a new figure.

        Returns
        -------
        display : LatentTraversalDisplay
            The display, with its axes.
        """
        draw = {"image": self._draw_images, "series": self._draw_series, "bars": self._draw_maps}
        draw[self.kind](ax)
        self.figure_ = self.axes_[0, 0].figure
        return self

    def _split(self, ax, n_rows, n_columns, tile, **options):
        return split_axes(ax, "LatentTraversalDisplay.plot", n_rows, n_columns, tile, **options)

    def _draw_images(self, ax):
        limits = float(np.nanmin(self.reconstructions)), float(np.nanmax(self.reconstructions))
        n_components, n_steps = self.values.shape
        self.axes_ = self._split(ax, n_components, n_steps, (0.9, 1.1))
        for code, axes, rows, values in zip(
            self.components, self.axes_, self.reconstructions, self.values, strict=True
        ):
            axes[0].set_ylabel(f"code {code}")
            for tile, row, value in zip(axes, rows, values, strict=True):
                draw_image(tile, row, self.image_shape, limits, "gray")
                # Rounds to two significant digits of a step, so that values near zero are short.
                shown = round(value, 1 - floor(log10(values[1] - values[0]))) + 0.0
                tile.set_title(f"{shown:.3g}", size="small", pad=2)

    def _draw_series(self, ax):
        from matplotlib.cm import ScalarMappable

        n_components, n_steps = self.values.shape
        self.axes_ = self._split(ax, 1, n_components, (3.0, 2.6), sharey=True)
        colors = ScalarMappable(cmap=VALUES)
        colors.set_clim(0, 1)
        for code, axes, rows, values in zip(
            self.components, self.axes_[0], self.reconstructions, self.values, strict=True
        ):
            for row, color in zip(rows, colors.to_rgba(np.linspace(0, 1, n_steps)), strict=True):
                axes.plot(row, color=color, linewidth=1)
            axes.set_title(f"code {code}: {values[0]:.3g} to {values[-1]:.3g}", size="medium")
            axes.set_xlabel("feature")
        first = self.axes_[0, 0]
        first.set_ylabel("reconstruction")
        bar = first.figure.colorbar(colors, ax=list(self.axes_[0]), ticks=[0, 1], pad=0.01)
        bar.ax.set_yticklabels(["lowest", "highest"])
        bar.set_label("value of the code")

    def _draw_maps(self, ax):
        n_components = len(self.components)
        n_features = len(self.scales)
        tile = 2.2, min(max(2.5, 0.2 * n_features + 0.8), 8.0)
        self.axes_ = self._split(ax, 1, n_components, tile, sharey=True)
        # Changes of constant features are 0.
        scales = np.where(self.scales > 0, self.scales, np.inf)
        changes = (self.reconstructions - self.start) / scales
        # A pixel that rarely varies can change by many of its standard deviations.
        most = float(np.nanpercentile(np.abs(changes), _SHOWN))
        names = name_features(self.feature_names, n_features)
        for code, axes, change, values in zip(
            self.components, self.axes_[0], changes, self.values, strict=True
        ):
            half = (values[1] - values[0]) / 2
            edges = np.linspace(values[0] - half, values[-1] + half, len(values) + 1)
            places = np.arange(n_features + 1) - 0.5
            image = axes.pcolormesh(
                edges, places, change.T, cmap=DIFFERENCES, vmin=-most, vmax=most
            )
            axes.set_xlabel(f"code {code}")
        first = self.axes_[0, 0]
        label_features(first.yaxis, names)
        first.set_ylim(n_features - 0.5, -0.5)
        bar = first.figure.colorbar(image, ax=list(self.axes_[0]), pad=0.01, extend="both")
        bar.set_label("change, in standard deviations\nof the feature")


def _decode_changes(estimator, middle, components, values, n_features):
    """Return decoded rows, of shape (n_components, n_steps, n_features), as each code changes."""
    codes = np.tile(middle, (*values.shape, 1))
    for changed, code, own in zip(codes, components, values, strict=True):
        changed[:, code] = own
    return np.stack([decode(estimator, changed, n_features) for changed in codes])
