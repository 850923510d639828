"""Explanations of codes, as arrays, DataFrames and plots."""

from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np

from skae._shared.checks import check_choice
from skae._shared.extras import import_extra
from skae.inspection._images import average_channels, draw_image, read_image_shape
from skae.inspection._plotting import (
    BLUE,
    DIFFERENCES,
    GREY,
    RED,
    check_components,
    label_features,
    split_axes,
    take_axes,
)

_KINDS = ("inputs", "effects", "importance")
_MOST_CODES = 6
_PANELS_IN_A_ROW = 3
# Features that the text of an explanation names for each code.
_MOST_NAMED = 3


@dataclass(frozen=True, eq=False, repr=False)
class CodeExplanation:
    """Features that change each code, effects of each code, and importance of each code.

    Attributes
    ----------
    inputs : ndarray of shape (n_codes, n_rows, n_features)
        Change of a code, in its standard deviations, if a feature of the row changes by one
        standard deviation: a derivative at each of some rows.
    effects : ndarray of shape (n_codes, n_rows, n_features)
        Change of a feature of the reconstruction, in its standard deviations, if a code changes by
        one standard deviation: a derivative at each of the same rows.
    importances : ndarray of shape (n_codes, n_repeats)
        Share of the variance that is lost if the values of a code are permuted among the rows, for
        each permutation.
    feature_names : tuple of str of length n_features
        Names of the features.
    image_shape : tuple of three ints or None, default=None
        Shape (channels, height, width) if features are pixels.

    See Also
    --------
    skae.inspection.explain_codes : Compute an explanation.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from skae.inspection import explain_codes
    >>> X = load_iris(as_frame=True).data
    >>> explanation = explain_codes(PCA(n_components=2).fit(X), X, n_rows=10)
    >>> explanation.effects.shape
    (2, 10, 4)
    >>> explanation
    code  importance  features that change most
       0        1.85  petal length (cm) +1.00, petal width (cm) +0.97, sepal length (cm) +0.90
       1        0.11  sepal width (cm) +0.83, sepal length (cm) +0.39, petal width (cm) -0.05
    """

    inputs: np.ndarray
    effects: np.ndarray
    importances: np.ndarray
    feature_names: tuple[str, ...]
    image_shape: tuple[int, ...] | None = None

    def __repr__(self):
        lines = ["code  importance  features that change most"]
        sizes = np.abs(self.effects).mean(axis=1)
        means = self.effects.mean(axis=1)
        for code, importance in enumerate(self.importances.mean(axis=1)):
            first = np.argsort(-sizes[code])[:_MOST_NAMED]
            changes = [f"{self.feature_names[own]} {means[code, own]:+.2f}" for own in first]
            lines.append(f"{code:4}  {importance:10.2f}  {', '.join(changes)}")
        return "\n".join(lines)

    def to_frame(self, kind="inputs") -> Any:
        """Return one part of the explanation as a DataFrame.

        Parameters
        ----------
        kind : {"inputs", "effects", "importance"}, default="inputs"
            Part of the explanation.

        Returns
        -------
        pandas.DataFrame
            For inputs and effects, one row per code and feature with the columns "code", "feature",
            "mean" and "mean_absolute", both over the rows. If "mean_absolute" is much greater than
            the absolute value of "mean", the direction of the change differs between rows. For the
            importance, one row per code with the columns "code", "mean" and "std" over the
            permutations.

        Raises
        ------
        ImportError
            If pandas is not installed.
        ValueError
            If `kind` is not as described.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.decomposition import PCA
        >>> from skae.inspection import explain_codes
        >>> X = load_iris(as_frame=True).data
        >>> explanation = explain_codes(PCA(n_components=2).fit(X), X)
        >>> explanation.to_frame("effects").columns.tolist()
        ['code', 'feature', 'mean', 'mean_absolute']
        >>> explanation.to_frame("importance").shape
        (2, 3)
        """
        pandas = import_extra("pandas", "table", "to_frame")
        check_choice("kind", kind, _KINDS, "Try kind='inputs'.")
        if kind == "importance":
            losses = self.importances
            columns = {"mean": losses.mean(axis=1), "std": losses.std(axis=1)}
            return pandas.DataFrame({"code": range(len(losses)), **columns})
        changes = getattr(self, kind)
        n_codes, _, n_features = changes.shape
        return pandas.DataFrame(
            {
                "code": np.repeat(np.arange(n_codes), n_features),
                "feature": list(self.feature_names) * n_codes,
                "mean": changes.mean(axis=1).ravel(),
                "mean_absolute": np.abs(changes).mean(axis=1).ravel(),
            }
        )

    def plot(
        self, kind="inputs", *, components=None, most_features=10, image_shape=None, ax=None
    ) -> Any:
        """Plot one part of the explanation.

        Parameters
        ----------
        kind : {"inputs", "effects", "importance"}, default="inputs"
            Part of the explanation. Inputs and effects have one plot per code, with the features of
            the largest mean absolute change. A bar is the mean change over the rows. If the mark of
            the mean absolute change lies beyond the bar, the direction of the change differs
            between rows.
        components : sequence of int, default=None
            Indices of the codes to plot. None is the first six codes, or all for the importance.
        most_features : int, default=10
            Number of features per code.
        image_shape : tuple of int or "square", default=None
            Shape (height, width), to plot the mean changes of pixels as an image. None uses the
            shape of the explanation.
        ax : matplotlib Axes, default=None
            Axes to plot on; several plots replace them by a grid. None creates a new figure.

        Returns
        -------
        axes : matplotlib Axes or ndarray of matplotlib Axes
            Axes of the importance, or one per code.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If `kind` or `components` is not as described.

        Examples
        --------
        >>> from sklearn.datasets import load_wine
        >>> from sklearn.decomposition import PCA
        >>> from skae.inspection import explain_codes
        >>> X = load_wine(as_frame=True).data
        >>> axes = explain_codes(PCA(n_components=2).fit(X), X).plot("inputs", most_features=5)
        >>> len(axes)
        2
        """
        check_choice("kind", kind, _KINDS, "Try kind='inputs'.")
        n_codes = len(self.importances)
        if components is None:
            components = range(n_codes if kind == "importance" else min(n_codes, _MOST_CODES))
        components = check_components(components, n_codes)
        if kind == "importance":
            return self._plot_importance(components, ax)
        if image_shape is None:
            image_shape = self.image_shape
        image_shape = read_image_shape(image_shape, len(self.feature_names))
        tile = (3.4, 0.22 * most_features + 1.0) if image_shape is None else (2.0, 2.1)
        n_columns = min(len(components), _PANELS_IN_A_ROW)
        shape = ceil(len(components) / n_columns), n_columns
        axes = split_axes(ax, "CodeExplanation.plot", *shape, tile).ravel()
        for unused in axes[len(components) :]:
            unused.set_axis_off()
        axes = axes[: len(components)]
        changes = getattr(self, kind)[list(components)]
        if image_shape is None:
            self._draw_bars(axes, changes, most_features)
        else:
            _draw_maps(axes, changes.mean(axis=1), image_shape)
        for panel, code in zip(axes, components, strict=True):
            panel.set_title(f"code {code}", size="medium")
        return axes

    def _plot_importance(self, components, ax):
        height = max(2.5, 0.25 * len(components) + 0.8)
        ax = take_axes(ax, "CodeExplanation.plot", (5.6, height))
        losses = self.importances[list(components)]
        places = np.arange(len(losses))
        ax.barh(places, losses.mean(axis=1), xerr=losses.std(axis=1), color=BLUE, ecolor=GREY)
        ax.set_yticks(places, [f"code {code}" for code in components])
        ax.invert_yaxis()
        ax.set_xlabel("share of the variance lost when the code is permuted")
        return ax

    def _draw_bars(self, axes, changes, most_features):
        means, sizes = changes.mean(axis=1), np.abs(changes).mean(axis=1)
        for panel, mean, size in zip(axes, means, sizes, strict=True):
            order = np.argsort(size)[-most_features:]
            places = np.arange(len(order))
            ends = np.copysign(size, mean)[order]
            panel.barh(places, mean[order], color=BLUE)
            panel.plot(ends, places, "|", color=RED, markersize=9, markeredgewidth=2)
            panel.axvline(0, color=GREY, linewidth=0.8)
            panel.set_xlabel("mean change (bar),\nmean absolute change (mark)", size="x-small")
            label_features(panel.yaxis, [self.feature_names[index] for index in order])


def _draw_maps(axes, means, image_shape):
    means = average_channels(means, image_shape)
    most = float(np.percentile(np.abs(means), 99.5))
    for panel, mean in zip(axes, means, strict=True):
        image = draw_image(panel, mean, mean.shape, (-most, most), DIFFERENCES)
    axes[0].figure.colorbar(image, ax=list(axes), extend="both", label="mean change")
