"""Curves: the loss by epoch, and the error by the number of codes."""

import numpy as np
from sklearn.pipeline import Pipeline

from skae.inspection._compare import compare_with_pca
from skae.inspection._plotting import BLUE, COLORS, GREY, take_axes

_SIZE = (5.6, 4.0)
# A ratio of the greatest to the least value from which an axis is logarithmic.
_WIDE = 10


class LossCurveDisplay:
    """The losses of a fit by epoch.

    Make one with `from_estimator`, which plots it as well.

    Parameters
    ----------
    loss : array-like of shape (n_epochs,)
        Training loss of each epoch.
    validation_loss : array-like of shape (n_epochs + 1,) or (n_epochs,), default=None
        Loss of unseen rows before the first epoch, where that is known, and after each.
    best_epoch : int, default=None
        Epoch whose weights the model has; 0 is the start.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        The figure.
    lines_ : list of matplotlib Line2D
        The curve of the training loss, and that of the validation loss where there is one.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoencoderTransformer
    >>> from skae.inspection import LossCurveDisplay
    >>> X = load_digits().data
    >>> autoencoder = AutoencoderTransformer(n_components=2, max_iter=5, random_state=0).fit(X)
    >>> display = LossCurveDisplay.from_estimator(autoencoder)
    >>> [line.get_label() for line in display.lines_]
    ['training', 'unseen rows']
    """

    def __init__(self, loss, validation_loss=None, *, best_epoch=None):
        self.loss = loss
        self.validation_loss = validation_loss
        self.best_epoch = best_epoch

    @classmethod
    def from_estimator(cls, estimator, *, ax=None):
        """Plot the losses of a fitted estimator.

        Parameters
        ----------
        estimator : fitted estimator with ``loss_curve_``, or pipeline that ends in one
            Its `validation_loss_curve_` and `best_iter_` are drawn where there are any.
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a figure.

        Returns
        -------
        display : LossCurveDisplay
            The display, plotted.

        Raises
        ------
        TypeError
            If the estimator has no `loss_curve_`.
        """
        if isinstance(estimator, Pipeline):
            estimator = estimator[-1]
        if not hasattr(estimator, "loss_curve_"):
            raise TypeError(
                "`estimator` must be fitted and have a `loss_curve_`. Got "
                f"{type(estimator).__name__}. Fit an autoencoder first."
            )
        display = cls(
            estimator.loss_curve_,
            getattr(estimator, "validation_loss_curve_", None),
            best_epoch=getattr(estimator, "best_iter_", None),
        )
        return display.plot(ax=ax)

    def plot(self, ax=None, **kwargs):
        """Plot the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a figure.
        **kwargs : dict
            Passed on to `Axes.plot`, for both curves.

        Returns
        -------
        display : LossCurveDisplay
            The display, with its axes.
        """
        ax = take_axes(ax, "LossCurveDisplay.plot", _SIZE)
        self.ax_, self.figure_ = ax, ax.figure
        n_epochs = len(self.loss)
        style = {"marker": "o" if n_epochs <= 30 else None, "markersize": 3, **kwargs}
        curves = [(self.loss, "training", BLUE, "-")]
        if self.validation_loss is not None:
            curves.append((self.validation_loss, "unseen rows", COLORS[6], "--"))
        self.lines_ = []
        for values, label, color, dashes in curves:
            # A curve that is one longer begins before the first epoch.
            epochs = np.arange(n_epochs - len(values), n_epochs) + 1
            look = {"label": label, "color": color, "linestyle": dashes, **style}
            self.lines_ += ax.plot(epochs, values, **look)
        if self.best_epoch is not None:
            label = f"epoch chosen: {self.best_epoch}"
            ax.axvline(self.best_epoch, color=GREY, linestyle=":", label=label)
        ax.set(xlabel="epoch", ylabel="loss")
        ax.xaxis.get_major_locator().set_params(integer=True)
        _widen(ax.set_yscale, np.concatenate([values for values, *_ in curves]))
        ax.legend()
        return self


def _widen(set_scale, values, **options):
    """Make an axis logarithmic where values differ by a great factor."""
    if np.min(values) > 0 and np.max(values) / np.min(values) > _WIDE:
        set_scale("log", **options)


_METRICS = {
    "squared_error": "mean squared error per cell, held-out rows",
    "error_ratio": "squared error over PCA's, held-out rows",
    "explained_variance": "share of variance kept, held-out rows",
    "downstream_score": "{score_name} of a model on the codes, held-out rows",
}


class ComponentsCurveDisplay:
    """Error, or another figure, against the number of codes, with PCA beside it.

    Make one with `from_estimator`, or with `PCAComparison.plot`; both plot it as well.

    Parameters
    ----------
    comparison : PCAComparison
        The figures.
    metric : {"squared_error", "error_ratio", "explained_variance", "downstream_score"}, \
            default="squared_error"
        Which of them to draw.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        The figure.
    lines_ : list of matplotlib Line2D
        The curve of PCA, and that of the autoencoder.

    See Also
    --------
    skae.inspection.compare_with_pca : The same figures as a table.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skae import AutoencoderTransformer
    >>> from skae.inspection import ComponentsCurveDisplay
    >>> X = load_iris().data
    >>> autoencoder = AutoencoderTransformer(max_iter=5, early_stopping=False, random_state=0)
    >>> display = ComponentsCurveDisplay.from_estimator(autoencoder, X, n_components=(1, 2))
    >>> [line.get_label() for line in display.lines_]
    ['PCA', 'autoencoder']
    """

    def __init__(self, comparison, *, metric="squared_error"):
        self.comparison = comparison
        self.metric = metric

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y=None,
        *,
        n_components=(2, 8, 16, 32),
        metric="squared_error",
        X_test=None,
        y_test=None,
        test_size=0.25,
        standardize=False,
        random_state=0,
        ax=None,
    ):
        """Fit the estimator and PCA with several numbers of codes, and plot how they do.

        Parameters
        ----------
        estimator : transformer with ``n_components`` and ``inverse_transform``
            The autoencoder, cloned for each number of codes.
        X : array-like of shape (n_samples, n_features)
            The table, all numeric and finite.
        y : array-like of shape (n_samples,), default=None
            Class labels or quantities to predict from the codes.
        n_components : int or sequence of int, default=(2, 8, 16, 32)
            Numbers of codes.
        metric : {"squared_error", "error_ratio", "explained_variance", "downstream_score"}, \
                default="squared_error"
            What to draw; the last one needs `y`.
        X_test : array-like of shape (n_test, n_features), default=None
            The rows to hold out. None holds out a random part of `X`.
        y_test : array-like of shape (n_test,), default=None
            Their `y`.
        test_size : float or int, default=0.25
            Share, in (0, 1), or number of the rows to hold out, where `X_test` is None.
        standardize : bool, default=False
            Whether to scale each column to mean 0 and standard deviation 1 first.
        random_state : int, RandomState instance or None, default=0
            Seed of the choice of rows and of PCA's solver.
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a figure.

        Returns
        -------
        display : ComponentsCurveDisplay
            The display, plotted; its `comparison` has all figures.
        """
        _check_metric(metric, has_score=y is not None)
        comparison = compare_with_pca(
            X,
            y,
            n_components=n_components,
            estimator=estimator,
            X_test=X_test,
            y_test=y_test,
            test_size=test_size,
            standardize=standardize,
            random_state=random_state,
        )
        return cls(comparison, metric=metric).plot(ax=ax)

    def plot(self, ax=None, **kwargs):
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
            If there is no such metric.
        """
        comparison = self.comparison
        _check_metric(self.metric, has_score=comparison.score_name is not None)
        ax = take_axes(ax, "ComponentsCurveDisplay.plot", _SIZE)
        self.ax_, self.figure_, self.lines_ = ax, ax.figure, []
        looks = {"PCA": (GREY, "s", "--"), "autoencoder": (BLUE, "o", "-")}
        for method, (color, marker, dashes) in looks.items():
            results = [result for result in comparison.results if result.method == method]
            look = {"color": color, "marker": marker, "linestyle": dashes, "label": method}
            self.lines_ += ax.plot(
                [result.n_components for result in results],
                [getattr(result, self.metric) for result in results],
                **{**look, **kwargs},
            )
        label = _METRICS[self.metric].format(score_name=comparison.score_name)
        ax.set(xlabel="number of codes", ylabel=label)
        self._choose_scales()
        ax.legend()
        return self

    def _choose_scales(self):
        ax = self.ax_
        n_codes = sorted({result.n_components for result in self.comparison.results})
        _widen(ax.set_xscale, n_codes, base=2)
        ax.set_xticks(n_codes, n_codes)
        ax.minorticks_off()
        if self.metric == "squared_error":
            _widen(ax.set_yscale, [result.squared_error for result in self.comparison.results])
        elif self.metric == "error_ratio":
            ratios = [result.error_ratio for result in self.comparison.results]
            ax.set_ylim(0, 1.1 * max(ratios))


def _check_metric(metric, has_score):
    usable = [name for name in _METRICS if has_score or name != "downstream_score"]
    if metric not in usable:
        raise ValueError(
            f"`metric` must be one of {usable}. Got {metric!r}. "
            "Scores of a model on the codes need `y`."
        )
