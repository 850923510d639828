"""Plots of reconstruction errors per feature and per row."""

from dataclasses import KW_ONLY, dataclass
from typing import Self

import numpy as np

from skae._shared.checks import check_choice
from skae._shared.labels import keep_labelled
from skae.inspection._images import average_channels, draw_image, read_image_shape
from skae.inspection._plotting import (
    BLUE,
    MOST_NAMES,
    VALUES,
    label_features,
    name_features,
    take_axes,
)
from skae.inspection._points import find_groups
from skae.inspection._reconstruction_display import check_same_shape
from skae.metrics._transformer import (
    find_frame_model,
    find_image_shape,
    read_pair,
    reconstruct,
)

_KINDS = ("features", "rows")
_UNITS = {
    False: "mean squared error",
    True: "share of the variance",
    "baseline": "loss over that of the baseline",
}


@dataclass(eq=False, repr=False)
class ReconstructionErrorDisplay:
    """Mean squared errors per feature, or per row.

    Create a display with `from_estimator` or `from_predictions`, which also plot it.

    Attributes
    ----------
    feature_errors : ndarray of shape (n_features,)
        Mean squared error of each feature, in units of X squared or as a share of its variance.
    row_errors : ndarray of shape (n_samples,)
        Mean squared error of each row, in the same units.
    kind : {"features", "rows"}, default="features"
        Kind of plot.
    y : ndarray of shape (n_samples,), default=None
        Class labels; rows of different classes are plotted separately.
    relative : bool or "baseline", default=False
        Whether errors are shares of the variance of a feature. "baseline" is for losses relative
        to the baselines of columns of several kinds.
    feature_names : list of str, default=None
        Names of the features. None uses numbers.
    image_shape : tuple of int, default=None
        Shape (height, width) if features are pixels.
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    skae.inspection.ReconstructionDisplay : Single rows and their reconstructions.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.decomposition import PCA
    >>> from skae.inspection import ReconstructionErrorDisplay
    >>> X = load_wine(as_frame=True).data
    >>> pca = PCA(n_components=2).fit(X)
    >>> display = ReconstructionErrorDisplay.from_estimator(pca, X, relative=True)
    >>> display.feature_names[display.feature_errors.argmin()]  # has the largest numbers
    'proline'
    """

    feature_errors: np.ndarray
    row_errors: np.ndarray
    _: KW_ONLY
    kind: str = "features"
    y: np.ndarray | None = None
    relative: bool | str = False
    feature_names: list[str] | None = None
    image_shape: tuple[int, ...] | None = None

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y=None,
        *,
        kind="features",
        relative=False,
        feature_names=None,
        image_shape=None,
        ax=None,
    ) -> Self:
        """Reconstruct rows, and plot their errors.

        Parameters
        ----------
        estimator : fitted transformer with ``inverse_transform``
            An autoencoder, PCA, or a pipeline that ends in one.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, or images and sequences in any form that the estimator accepts; preferably
            held-out rows.
        y : array-like of shape (n_samples,), default=None
            Class labels; rows of different classes are plotted separately. Quantities are ignored.
            Rows with a missing label (NaN, None or NA) are left out, with a warning.
        kind : {"features", "rows"}, default="features"
            Whether to plot the mean error of each feature, with the largest on top, or the
            distribution of the errors of the rows.
        relative : bool, default=False
            Whether to divide the errors of a feature by its variance among these rows. Choose True
            if features have different units. The error of constant features is set to zero. Data
            frames with columns of several kinds always have losses relative to the baselines of
            their columns, as returned by `reconstruction_errors`.
        feature_names : array-like of str of shape (n_features,), default=None
            Names of the features. None uses the names of X or of the estimator.
        image_shape : tuple of int or "square", default=None
            Shape (height, width), to plot the errors of pixels as an image. None uses the shape of
            the images in X, or of the images that the estimator was fitted to, if they have one or
            three channels.
        ax : matplotlib Axes, default=None
            Axes to plot on. None creates a new figure.

        Returns
        -------
        display : ReconstructionErrorDisplay
            The display, plotted.
        """
        model, frame = find_frame_model(estimator, X)
        if model is not None:
            check_choice("kind", kind, _KINDS, "Try kind='rows'.")
            errors = np.asarray(model.reconstruction_errors(frame), dtype=np.float64)
            names = model._frame.names if feature_names is None else feature_names
            names = name_features(names, errors.shape[1])
            return cls._make(errors, y, kind, "baseline", names).plot(ax=ax)
        values, reconstructions = reconstruct(estimator, X)
        if image_shape is None:
            image_shape = find_image_shape(X, estimator)
        return cls.from_predictions(
            values,
            reconstructions,
            y,
            kind=kind,
            relative=relative,
            feature_names=name_features(feature_names, reconstructions.shape[1], X, estimator),
            image_shape=image_shape,
            ax=ax,
        )

    @classmethod
    def from_predictions(
        cls,
        X,
        reconstructions,
        y=None,
        *,
        kind="features",
        relative=False,
        feature_names=None,
        image_shape=None,
        ax=None,
    ) -> Self:
        """Plot the errors of reconstructions that have already been computed.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows. Missing cells (NaN) have no error.
        reconstructions : array-like of shape (n_samples, n_features)
            Reconstructions of the rows.
        y : array-like of shape (n_samples,), default=None
            Class labels; rows of different classes are plotted separately. Quantities are ignored.
            Rows with a missing label (NaN, None or NA) are left out, with a warning.
        kind : {"features", "rows"}, default="features"
            Kind of plot.
        relative : bool, default=False
            Whether to divide the errors of a feature by its variance among these rows; always for
            data frames with columns of several kinds.
        feature_names : array-like of str of shape (n_features,), default=None
            Names of the features. None uses the names of X.
        image_shape : tuple of int or "square", default=None
            Shape (height, width), to plot the errors of pixels as an image.
        ax : matplotlib Axes, default=None
            Axes to plot on. None creates a new figure.

        Returns
        -------
        display : ReconstructionErrorDisplay
            The display, plotted.

        Raises
        ------
        ValueError
            If `kind` is not as described, or the shapes do not match.
        """
        check_choice("kind", kind, _KINDS, "Try kind='rows'.")
        if image_shape is None:
            image_shape = find_image_shape(X)
        values, reconstructions, form = read_pair(X, reconstructions)
        check_same_shape(values, reconstructions)
        errors = np.square(values - reconstructions, dtype=np.float64)
        if form is not None:
            # The indicators of a category have a total variance of 1.
            errors, relative = form.add_encoded(errors), True
            X, feature_names = None, form.names if feature_names is None else feature_names
        elif relative:
            variances = np.nanvar(values, axis=0, dtype=np.float64)
            errors = np.divide(errors, variances, out=np.zeros_like(errors), where=variances > 0)
        names = name_features(feature_names, errors.shape[1], X)
        image_shape = read_image_shape(image_shape, errors.shape[1])
        return cls._make(errors, y, kind, relative, names, image_shape).plot(ax=ax)

    @classmethod
    def _make(cls, errors, y, kind, relative, names, image_shape=None):
        """Return a display of the errors of cells."""
        if y is not None:
            y, errors = keep_labelled(y, errors)
        return cls(
            np.nanmean(errors, axis=0),
            np.nanmean(errors, axis=1),
            kind=kind,
            y=y,
            relative=relative,
            feature_names=names,
            image_shape=image_shape,
        )

    def plot(self, ax=None) -> Self:
        """Plot the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. None creates a new figure.

        Returns
        -------
        display : ReconstructionErrorDisplay
            The display, with its axes.
        """
        n_shown = min(len(self.feature_errors), MOST_NAMES)
        as_bars = self.kind == "features" and self.image_shape is None
        height = max(2.5, 0.2 * n_shown + 0.8) if as_bars else 4.0
        ax = take_axes(ax, "ReconstructionErrorDisplay.plot", (5.6, height))
        self.ax_, self.figure_ = ax, ax.figure
        unit = _UNITS[self.relative]
        if as_bars:
            self._draw_bars(unit)
        elif self.kind == "features":
            self._draw_map(unit)
        else:
            self._draw_rows(unit)
        return self

    def _draw_bars(self, unit):
        names = name_features(self.feature_names, len(self.feature_errors))
        # The largest errors come last, which is at the top of the plot.
        order = np.argsort(self.feature_errors)[-MOST_NAMES:]
        self.ax_.barh(range(len(order)), self.feature_errors[order], color=BLUE)
        label_features(self.ax_.yaxis, [names[index] for index in order])
        self.ax_.set_ylim(-0.6, len(order) - 0.4)
        # Tick labels of small errors are long.
        self.ax_.xaxis.get_major_locator().set_params(nbins=5)
        n_left_out = len(names) - len(order)
        title = f"{len(order)} of {len(names)} features, by error" if n_left_out else ""
        self.ax_.set(xlabel=f"{unit} of the feature", title=title)

    def _draw_map(self, unit):
        limits = 0, float(self.feature_errors.max())
        (errors,) = average_channels(self.feature_errors[None], self.image_shape)
        image = draw_image(self.ax_, errors, errors.shape, limits, VALUES)
        self.figure_.colorbar(image, ax=self.ax_, label=f"{unit} of the pixel")

    def _draw_rows(self, unit):
        groups = find_groups(self.y, len(self.row_errors))
        label = f"{unit}, mean over the row"
        if groups[0].label is None:
            self.ax_.hist(self.row_errors, bins="auto", color=BLUE)
            self.ax_.set(xlabel=label, ylabel="rows")
            return
        self.ax_.boxplot(
            [self.row_errors[group.rows] for group in groups],
            positions=range(len(groups)),
            manage_ticks=False,
            patch_artist=True,
            widths=0.6,
            boxprops={"facecolor": BLUE},
            medianprops={"color": "white", "linewidth": 1.5},
            flierprops={"marker": ".", "markersize": 3},
        )
        self.ax_.set(xlabel="label", ylabel=label)
        names = [group.label for group in groups]
        label_features(self.ax_.xaxis, names, "label (position in ascending order)")
