"""Plots of rows, their reconstructions and the difference."""

from dataclasses import KW_ONLY, dataclass
from typing import Self

import numpy as np
from sklearn.utils import _safe_indexing

from skae.inspection._images import average_channels, choose_kind, draw_image, read_image_shape
from skae.inspection._plotting import (
    BLUE,
    DIFFERENCES,
    GREY,
    MOST_NAMES,
    RED,
    label_features,
    name_features,
    split_axes,
)
from skae.metrics._transformer import (
    find_image_shape,
    index_samples,
    read_pair,
    reconstruct,
    to_array,
    view_numbers,
)

# Kinds of plots that use the shape of images.
_KINDS_OF_IMAGES = (None, "image")
_ROW_LABELS = ("original", "reconstruction", "difference")


@dataclass(eq=False, repr=False)
class ReconstructionDisplay:
    """Rows, their reconstructions, and the difference, one above the other.

    Create a display with `from_estimator` or `from_predictions`, which also plot it.

    Attributes
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows, one per column of the plot. Missing cells (NaN) are left blank.
    reconstructions : ndarray of shape (n_samples, n_features)
        Reconstructions of the rows.
    kind : {"image", "series", "bars"}
        Whether to plot a row as an image, as a line over its features, or as one bar per feature.
    image_shape : tuple of int, default=None
        Shape of images: (height, width) or (channels, height, width).
    feature_names : list of str, default=None
        Names of the features. None uses numbers.
    relative : bool, default=False
        Whether features are shown in standard deviations from their mean.
    axes_ : ndarray of matplotlib Axes of shape (3, n_samples)
        Axes of the originals, the reconstructions and the differences, from top to bottom.
    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    skae.inspection.ReconstructionErrorDisplay : Errors per feature or row, over many rows.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from skae.inspection import ReconstructionDisplay
    >>> X = load_digits().data
    >>> pca = PCA(n_components=8).fit(X)
    >>> display = ReconstructionDisplay.from_estimator(pca, X[:5], image_shape=(8, 8))
    >>> display.axes_.shape
    (3, 5)
    """

    X: np.ndarray
    reconstructions: np.ndarray
    _: KW_ONLY
    kind: str = "bars"
    image_shape: tuple[int, ...] | None = None
    feature_names: list[str] | None = None
    relative: bool = False

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        n_rows=None,
        kind=None,
        relative=False,
        image_shape=None,
        feature_names=None,
        ax=None,
    ) -> Self:
        """Reconstruct rows, and plot them.

        Parameters
        ----------
        estimator : fitted transformer with ``inverse_transform``
            An autoencoder, PCA, or a pipeline that ends in one.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, or images and sequences in any form that the estimator accepts. Data frames with
            columns of several kinds are shown as standardised numbers and scaled indicators of
            categories.
        n_rows : int, default=None
            Number of rows to plot, from the beginning of X. None is 8 images, or 3 rows for other
            kinds.
        kind : {"image", "series", "bars"}, default=None
            Whether to plot a row as an image, a line or bars. None is "image" if the shape of
            images is known, and "bars" otherwise.
        relative : bool, default=False
            Whether to show features in standard deviations from their mean, both computed on all
            rows of X. Choose True if features have different units.
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
        display : ReconstructionDisplay
            The display, plotted.
        """
        estimator, X = view_numbers(estimator, X)
        if image_shape is None and kind in _KINDS_OF_IMAGES:
            image_shape = find_image_shape(X, estimator)
        if n_rows is None:
            n_rows = 3 if image_shape is None else 8
        rows = _safe_indexing(index_samples(X), slice(0, n_rows))
        values, reconstructions = reconstruct(estimator, rows)
        names = name_features(feature_names, values.shape[1], X, estimator)
        if relative:
            center, spread = _measure_features(to_array(X)[:, : values.shape[1]])
            values = (values - center) / spread
            reconstructions = (reconstructions - center) / spread
        options = {"kind": kind, "image_shape": image_shape, "feature_names": names}
        return cls._make(values, reconstructions, **options, relative=relative).plot(ax=ax)

    @classmethod
    def from_predictions(
        cls, X, reconstructions, *, kind=None, image_shape=None, feature_names=None, ax=None
    ) -> Self:
        """Plot reconstructions that have already been computed.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows or images. All of them are plotted.
        reconstructions : array-like of shape (n_samples, n_features)
            Reconstructions of the rows, or imputed rows.
        kind : {"image", "series", "bars"}, default=None
            Whether to plot a row as an image, a line or bars. None is "image" if the shape of
            images is known, and "bars" otherwise.
        image_shape : tuple of int or "square", default=None
            Shape of images: (height, width) or (channels, height, width). None uses the shape of
            the images in X, or of the images that the estimator was fitted to, if they have one or
            three channels.
        feature_names : array-like of str of shape (n_features,), default=None
            Names of the features. None uses the names of X.
        ax : matplotlib Axes, default=None
            Axes to replace by a grid of plots. None creates a new figure.

        Returns
        -------
        display : ReconstructionDisplay
            The display, plotted.

        Raises
        ------
        ValueError
            If the shapes do not match.
        """
        if image_shape is None and kind in _KINDS_OF_IMAGES:
            image_shape = find_image_shape(X)
        values, reconstructions, form = read_pair(X, reconstructions)
        check_same_shape(values, reconstructions)
        if form is not None and feature_names is None:
            feature_names = form.name_encoded()
        names = name_features(feature_names, values.shape[1], X)
        options = {"kind": kind, "image_shape": image_shape, "feature_names": names}
        return cls._make(values, reconstructions, **options).plot(ax=ax)

    @classmethod
    def _make(cls, X, reconstructions, *, kind, image_shape, **options):
        image_shape = read_image_shape(image_shape, X.shape[1])
        kind = choose_kind(kind, image_shape)
        return cls(X, reconstructions, kind=kind, image_shape=image_shape, **options)

    def plot(self, ax=None) -> Self:
        """Plot the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to replace by a grid of plots. None creates a new figure.

        Returns
        -------
        display : ReconstructionDisplay
            The display, with its axes.
        """
        n_rows = len(self.X)
        options = {} if self.kind == "image" else {"sharex": True, "sharey": "row"}
        tile = self._measure_tile()
        axes = split_axes(ax, "ReconstructionDisplay.plot", 3, n_rows, tile, **options)
        self.axes_, self.figure_ = axes, axes[0, 0].figure
        unit = "\n(std. dev.)" if self.relative else ""
        for label, left in zip(_ROW_LABELS, axes[:, 0], strict=True):
            left.set_ylabel(f"{label}{unit}", size="small")
        if self.kind == "image":
            self._draw_images()
        else:
            self._draw_features()
        return self

    def _draw_images(self):
        limits = float(np.nanmin(self.X)), float(np.nanmax(self.X))
        differences = average_channels(self.reconstructions - self.X, self.image_shape)
        most = float(np.nanmax(np.abs(differences)))
        rows = zip(self.axes_.T, self.X, self.reconstructions, differences, strict=True)
        for (above, middle, below), row, reconstruction, difference in rows:
            draw_image(above, row, self.image_shape, limits, "gray")
            draw_image(middle, reconstruction, self.image_shape, limits, "gray")
            image = draw_image(below, difference, difference.shape, (-most, most), DIFFERENCES)
        self.figure_.colorbar(image, ax=list(self.axes_[2]), fraction=0.05, pad=0.01)

    def _measure_tile(self):
        if self.kind == "image":
            return 1.1, 1.15
        bars = min(max(2.5, 0.15 * self.X.shape[1]), 0.15 * MOST_NAMES)
        return 3.0 if self.kind == "series" else bars, 2.0

    def _draw_features(self):
        names = name_features(self.feature_names, self.X.shape[1])
        rows = zip(self.axes_.T, self.X, self.reconstructions, strict=True)
        for column, ((above, middle, below), row, reconstruction) in enumerate(rows):
            above.set_title(f"row {column}", size="medium")
            self._draw_row(above, row, GREY)
            self._draw_row(middle, reconstruction, BLUE)
            steps = "default" if self.kind == "series" else "steps-mid"
            middle.plot(row, drawstyle=steps, color=GREY, linewidth=0.8)
            self._draw_row(below, reconstruction - row, RED)
            if self.kind == "series":
                below.set_xlabel("feature")
            else:
                label_features(below.xaxis, names)
        # Originals and reconstructions share one scale, as do the axes of a row.
        limits = [ax.get_ylim() for ax in self.axes_[:2, 0]]
        for ax in self.axes_[:2, 0]:
            ax.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))

    def _draw_row(self, ax, values, color):
        places = np.arange(len(values))
        if self.kind == "series":
            ax.plot(places, values, color=color, linewidth=1.2)
        else:
            ax.bar(places, values, color=color)
        ax.axhline(0, color=GREY, linewidth=0.5)


def _measure_features(X):
    """Return means and standard deviations, with 1 for constant features."""
    spread = np.nanstd(X, axis=0, dtype=np.float64)
    return np.nanmean(X, axis=0, dtype=np.float64), np.where(spread > 0, spread, 1)


def check_same_shape(X, reconstructions):
    """Raise a ValueError if rows and reconstructions differ in shape."""
    if X.shape != reconstructions.shape:
        raise ValueError(
            f"`reconstructions` must have the shape of X, {X.shape}. Got {reconstructions.shape}. "
            "Pass the reconstructions of the same rows."
        )
