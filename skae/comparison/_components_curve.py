"""Plot of the results of a comparison against the number of codes."""

from typing import Self

from skae._shared.checks import check_choice
from skae.inspection._plotting import BLUE, GREY, take_axes, widen

_SIZE = (5.6, 4.0)
_METRICS = {
    "squared_error": "mean squared error per cell, held-out rows",
    "error_ratio": "squared error over PCA's, held-out rows",
    "explained_variance": "share of variance kept, held-out rows",
    "downstream_score": "{score_name} of a model on the codes, held-out rows",
}

_METRICS_OF_MIXED = _METRICS | {
    "squared_error": "mean loss per cell, held-out rows",
    "error_ratio": "loss over FAMD's, held-out rows",
    "explained_variance": "share of the loss saved, held-out rows",
}


class ComponentsCurveDisplay:
    """Error, or another figure, against the number of codes, for an autoencoder and PCA.

    Returned by `PCAComparison.plot`.

    Parameters
    ----------
    comparison : PCAComparison
        Results to plot.
    metric : {"squared_error", "error_ratio", "explained_variance", "downstream_score"}, \
            default="squared_error"
        Figure to plot.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        The figure.
    lines_ : list of matplotlib Line2D
        Curves of PCA and of the autoencoder.

    See Also
    --------
    compare_with_pca : Run a comparison and print it as a table.

    Examples
    --------
    >>> from skae.comparison import ComponentsCurveDisplay, MethodResult, PCAComparison
    >>> results = (
    ...     MethodResult(2, "PCA", 0.5, 1.0, 0.75, None, 0.01, 0.001),
    ...     MethodResult(2, "autoencoder", 0.2, 0.4, 0.9, None, 1.0, 0.002),
    ... )
    >>> comparison = PCAComparison(results, 150, 50, 4, None)
    >>> display = ComponentsCurveDisplay(comparison, metric="error_ratio").plot()
    >>> [line.get_label() for line in display.lines_]
    ['PCA', 'autoencoder']
    """

    def __init__(self, comparison, *, metric="squared_error") -> None:
        self.comparison = comparison
        self.metric = metric

    def plot(self, ax=None, **kwargs) -> Self:
        """Plot the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a figure.
        **kwargs : dict
            Passed on to `Axes.plot`, for both curves.

        Returns
        -------
        display : ComponentsCurveDisplay
            The display, with its axes.

        Raises
        ------
        ValueError
            If `metric` is unknown, or is "downstream_score" in a comparison without `y`.
        """
        comparison = self.comparison
        _check_metric(self.metric, has_score=comparison.score_name is not None)
        ax = take_axes(ax, "ComponentsCurveDisplay.plot", _SIZE)
        self.ax_, self.figure_, self.lines_ = ax, ax.figure, []
        looks = {comparison.reference: (GREY, "s", "--"), "autoencoder": (BLUE, "o", "-")}
        for method, (color, marker, dashes) in looks.items():
            results = [result for result in comparison.results if result.method == method]
            look = {"color": color, "marker": marker, "linestyle": dashes, "label": method}
            self.lines_ += ax.plot(
                [result.n_components for result in results],
                [getattr(result, self.metric) for result in results],
                **{**look, **kwargs},
            )
        labels = _METRICS if comparison.reference == "PCA" else _METRICS_OF_MIXED
        label = labels[self.metric].format(score_name=comparison.score_name)
        ax.set(xlabel="number of codes", ylabel=label)
        self._choose_scales()
        ax.legend()
        return self

    def _choose_scales(self):
        ax = self.ax_
        n_codes = sorted({result.n_components for result in self.comparison.results})
        widen(ax.set_xscale, n_codes, base=2)
        ax.set_xticks(n_codes, n_codes)
        ax.minorticks_off()
        if self.metric == "squared_error":
            widen(ax.set_yscale, [result.squared_error for result in self.comparison.results])
        elif self.metric == "error_ratio":
            ratios = [result.error_ratio for result in self.comparison.results]
            ax.set_ylim(0, 1.1 * max(ratios))


def _check_metric(metric, has_score):
    usable = [name for name in _METRICS if has_score or name != "downstream_score"]
    check_choice("metric", metric, usable, "The downstream score needs a comparison with `y`.")
