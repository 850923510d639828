"""Plots of codes, and of images decoded from a plane of codes."""

from dataclasses import KW_ONLY, dataclass
from typing import Self

import numpy as np

from skae._shared.labels import keep_labelled
from skae.inspection._images import draw_mosaic, read_image_shape
from skae.inspection._plotting import check_components, list_values, split_axes, take_axes
from skae.inspection._points import (
    draw_histogram,
    draw_points,
    explain_colors,
    explain_histogram,
)
from skae.metrics._transformer import decode, encode, find_image_shape, to_array

_KINDS = ("scatter", "pairs", "decoded")


@dataclass(eq=False, repr=False)
class CodeDisplay:
    """Scatter plot of two codes, plots of all pairs, or images decoded from a plane of codes.

    Create a display with `from_estimator` or `from_predictions`, which also plot it.

    Attributes
    ----------
    codes : ndarray of shape (n_samples, n_codes)
        Codes.
    y : ndarray of shape (n_samples,), default=None
        Labels or quantities for the colours of the points.
    kind : {"scatter", "pairs", "decoded"}, default="scatter"
        Kind of plot.
    components : tuple of int, default=(0, 1)
        Indices of the codes to plot: two, or any number for pairs.
    tiles : ndarray of shape (n_steps, n_steps, n_features), default=None
        Rows decoded from a grid over two codes. The first code varies along the second axis.
    tile_values : ndarray of shape (2, n_steps), default=None
        Values of the two codes, ascending, at which `tiles` were decoded.
    image_shape : tuple of int, default=None
        Shape of a tile: (height, width) or (channels, height, width).
    ax_ : matplotlib Axes
        The axes. Not defined for pairs.
    axes_ : ndarray of matplotlib Axes of shape (n_components, n_components)
        The axes for pairs: histograms on the diagonal, scatter plots below.
    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    skae.inspection.LatentTraversalDisplay : Plots of a row as one code changes.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from skae.inspection import CodeDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> pca = PCA(n_components=2).fit(X)
    >>> display = CodeDisplay.from_estimator(pca, X, y)
    >>> display.ax_.get_xlabel()
    'code 0'
    """

    codes: np.ndarray
    y: np.ndarray | None = None
    _: KW_ONLY
    kind: str = "scatter"
    components: tuple[int, ...] = (0, 1)
    tiles: np.ndarray | None = None
    tile_values: np.ndarray | None = None
    image_shape: tuple[int, ...] | None = None

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y=None,
        *,
        kind="scatter",
        components=None,
        image_shape=None,
        n_steps=15,
        ax=None,
    ) -> Self:
        """Compute codes, and plot them.

        Parameters
        ----------
        estimator : fitted transformer
            An autoencoder, PCA, or a pipeline that ends in one. ``kind="decoded"`` needs an
            ``inverse_transform``.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, or images and sequences in any form that the estimator accepts.
        y : array-like of shape (n_samples,), default=None
            Labels or quantities for the colours of the points. Numbers are quantities if they have
            fractions, or if they have more distinct values than 20 and than a twentieth of the
            rows. Rows with a missing label (NaN, None or NA) are left out, with a warning.
        kind : {"scatter", "pairs", "decoded"}, default="scatter"
            Kind of plot: a scatter plot of two codes; scatter plots of all pairs of some codes,
            with histograms; or images decoded from a grid over two codes, with all other codes at
            their mean. The grid covers the middle 96 % of both codes.
        components : sequence of int, default=None
            Indices of the codes to plot. None is the first two codes, or up to four for pairs.
        image_shape : tuple of int or "square", default=None
            Shape of decoded images: (height, width) or (channels, height, width). None uses the
            shape of the images in X, or of the images that the estimator was fitted to, if they
            have one or three channels.
        n_steps : int, default=15
            Number of images per side of the grid.
        ax : matplotlib Axes, default=None
            Axes to plot on; for pairs, they are replaced by a grid. None creates a new figure.

        Returns
        -------
        display : CodeDisplay
            The display, plotted.

        Raises
        ------
        ValueError
            If `kind` or `components` is not as described.
        """
        codes = encode(estimator, X)
        if kind != "decoded":
            return cls.from_predictions(codes, y, kind=kind, components=components, ax=ax)
        components = _choose_components(components, kind, codes.shape[1])
        values, tiles = _decode_plane(estimator, codes, components, n_steps)
        if image_shape is None:
            image_shape = find_image_shape(X, estimator)
        image_shape = read_image_shape(image_shape, tiles.shape[-1])
        if image_shape is None:
            raise ValueError(
                "`image_shape` must be given with kind='decoded'. Got None. "
                "Try image_shape=(28, 28), or 'square'."
            )
        display = cls(
            codes,
            kind=kind,
            components=components,
            tiles=tiles,
            tile_values=values,
            image_shape=image_shape,
        )
        return display.plot(ax=ax)

    @classmethod
    def from_predictions(cls, codes, y=None, *, kind="scatter", components=None, ax=None) -> Self:
        """Plot codes that have already been computed.

        Parameters
        ----------
        codes : array-like of shape (n_samples, n_codes)
            Codes.
        y : array-like of shape (n_samples,), default=None
            Labels or quantities for the colours of the points. Rows with a missing label (NaN, None
            or NA) are left out, with a warning.
        kind : {"scatter", "pairs"}, default="scatter"
            Scatter plot of two codes, or of all pairs of some codes.
        components : sequence of int, default=None
            Indices of the codes to plot. None is the first two codes, or up to four for pairs.
        ax : matplotlib Axes, default=None
            Axes to plot on; for pairs, they are replaced by a grid. None creates a new figure.

        Returns
        -------
        display : CodeDisplay
            The display, plotted.

        Raises
        ------
        ValueError
            If `kind` or `components` is not as described.
        """
        codes = to_array(codes)
        if kind not in _KINDS[:2]:
            raise ValueError(
                f"`kind` must be one of {_KINDS}, the last only with `from_estimator`. "
                f"Got {kind!r}. Try kind='scatter'."
            )
        if y is not None:
            y, codes = keep_labelled(y, codes)
        components = _choose_components(components, kind, codes.shape[1])
        return cls(codes, y, kind=kind, components=components).plot(ax=ax)

    def plot(self, ax=None, **kwargs) -> Self:
        """Plot the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on; for pairs, they are replaced by a grid. None creates a new figure.
        **kwargs : dict
            Passed to `Axes.scatter`, or to `Axes.imshow` for decoded images.

        Returns
        -------
        display : CodeDisplay
            The display, with its axes.
        """
        if self.kind == "pairs":
            return self._plot_pairs(ax, kwargs)
        ax = take_axes(ax, "CodeDisplay.plot", (6.4, 4.8))
        self.ax_, self.figure_ = ax, ax.figure
        first, second = self.components
        if self.kind == "decoded":
            draw_mosaic(ax, self.tiles, self.tile_values, self.image_shape, **kwargs)
        else:
            points = self.codes[:, [first, second]]
            explain_colors(ax, draw_points(ax, points, self.y, **kwargs), points, self.y)
        ax.set(xlabel=f"code {first}", ylabel=f"code {second}")
        return self

    def _plot_pairs(self, ax, kwargs):
        n_codes = len(self.components)
        tile = (4.4, 3.2) if n_codes == 1 else (2.2, 2.0)
        axes = split_axes(ax, "CodeDisplay.plot", n_codes, n_codes, tile, sharex="col")
        self.axes_, self.figure_ = axes, axes[0, 0].figure
        for row, code in enumerate(self.components):
            for column, other in enumerate(self.components[:row]):
                ax, points = axes[row, column], self.codes[:, [other, code]]
                artists = draw_points(ax, points, self.y, **kwargs)
                if column:
                    ax.sharey(axes[row, 0])
                    ax.tick_params(labelleft=False)
            draw_histogram(axes[row, row], self.codes[:, code], self.y)
            # Ticks with counts could be mistaken for values of the code.
            axes[row, row].set_yticks([])
            axes[row, 0].set_ylabel(f"code {code}" if row else "rows")
            axes[-1, row].set_xlabel(f"code {code}")
            for hidden in axes[row, row + 1 :]:
                hidden.set_axis_off()
        if n_codes > 1:
            explain_colors(ax, artists, points, self.y, beside=axes[0, -1])
        else:
            explain_histogram(axes[0, 0])
        return self


def _choose_components(components, kind, n_codes):
    if components is None:
        components = range(min(n_codes, 4 if kind == "pairs" else 2))
    components = check_components(components, n_codes, least=1 if kind == "pairs" else 2)
    if kind != "pairs" and len(components) > 2:
        raise ValueError(
            f"`components` must be two codes with kind={kind!r}. Got {components}. "
            "Try kind='pairs' for more."
        )
    return components


def _decode_plane(estimator, codes, components, n_steps):
    """Return the values of two codes along a grid, and the rows decoded from the grid."""
    values = list_values(codes[:, components], n_steps)
    grid = np.tile(codes.mean(axis=0), (n_steps, n_steps, 1))
    grid[..., components[0]], grid[..., components[1]] = np.meshgrid(*values)
    rows = decode(estimator, grid.reshape(n_steps**2, -1).astype(codes.dtype))
    return values, rows.reshape(n_steps, n_steps, -1)
