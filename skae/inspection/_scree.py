"""Plot of the variance kept against the number of codes."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import check_cv
from sklearn.utils.parallel import Parallel, delayed

from skae._engine import count_components
from skae._estimators.frame_columns import is_mixed_frame
from skae._estimators.linear_start import LinearStart
from skae._shared.checks import check_choice
from skae.inspection._plotting import BLUE, GREY, take_axes, widen
from skae.metrics import explained_variance, neg_reconstruction_error
from skae.metrics._transformer import (
    check_complete,
    find_points,
    index_samples,
    select_samples,
    to_array,
)

_SIZE = (5.6, 4.0)
_TINY = np.finfo(float).tiny
_METRICS = {
    "explained_variance": "share of variance kept, held-out rows",
    "squared_error": "mean squared error per cell, held-out rows",
}
_METRICS_OF_FRAMES = {
    "explained_variance": "share of loss saved, held-out rows",
    "squared_error": "mean loss per cell, held-out rows",
}


@dataclass(eq=False, repr=False)
class ScreeDisplay:
    """Variance kept, or error, against the number of codes, for an autoencoder and PCA.

    The curves are means over the folds of a cross-validation, and the bands extend one standard
    deviation over the folds to both sides. A vertical line marks the number of components by
    parallel analysis: the components that explain more variance than they do after the columns have
    been shuffled independently.

    Create a display with `from_estimator`, which also plots it.

    Attributes
    ----------
    n_components : array-like of int of shape (n_numbers,)
        Numbers of codes, in ascending order.
    errors : array-like of shape (n_folds, n_numbers)
        Mean squared error per cell of the rows of each fold.
    pca_errors : array-like of shape (n_folds, n_numbers)
        Errors of PCA on the same rows.
    variances : array-like of shape (n_folds,)
        Mean squared error per cell of always predicting the mean of the training rows, in each
        fold.
    chosen : int, default=None
        Number of codes to mark. None marks no number.
    reference : {"PCA", "FAMD"}, default="PCA"
        Method of `pca_errors`: "FAMD", a factor analysis of mixed data, for data frames with
        columns of several kinds, whose errors are losses relative to the columns' baselines.
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        The figure.
    lines_ : list of matplotlib Line2D
        Curves of PCA and of the estimator.
    bands_ : list of matplotlib PolyCollection
        Bands of both curves.

    See Also
    --------
    skae.comparison.compare_with_pca : Errors, times and downstream scores on a single split.

    References
    ----------
    Cattell, R. B. (1966). The scree test for the number of factors. Multivariate Behavioral
    Research 1. https://doi.org/10.1207/s15327906mbr0102_10

    Horn, J. L. (1965). A rationale and test for the number of factors in factor analysis.
    Psychometrika 30. https://doi.org/10.1007/BF02289447

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoencoderTransformer
    >>> from skae.inspection import ScreeDisplay
    >>> X = load_digits().data[:200]
    >>> autoencoder = AutoencoderTransformer(8, nested=True, max_iter=3, random_state=0)
    >>> display = ScreeDisplay.from_estimator(autoencoder, X, cv=2)
    >>> display.n_components
    [1, 2, 3, 4, 5, 6, 7, 8]
    >>> display.chosen
    7
    """

    n_components: Sequence[int]
    errors: ArrayLike
    pca_errors: ArrayLike
    variances: ArrayLike
    _: KW_ONLY
    chosen: int | None = None
    reference: str = "PCA"

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        n_components=None,
        cv=5,
        metric="explained_variance",
        n_jobs=None,
        ax=None,
    ) -> Self:
        """Cross-validate an estimator for several numbers of codes, and plot the results.

        Parameters
        ----------
        estimator : transformer with ``n_components`` and ``inverse_transform``
            An autoencoder, which is cloned. With ``nested=True`` it is fitted once per fold,
            otherwise once per fold and number of codes.
        X : array-like of shape (n_samples, n_features)
            Rows of numbers, without missing cells; samples with more axes; or a data frame with
            columns of several kinds, which is compared with FAMD.
        n_components : array-like of int, default=None
            Numbers of codes. None uses all numbers up to the estimator's `n_components` with nested
            codes, and otherwise the powers of two up to it and the number itself. If the
            estimator's `n_components` is "auto", a share or None, the number from parallel analysis
            takes its place.
        cv : int or cross-validation splitter, default=5
            Number of folds, or a splitter.
        metric : {"explained_variance", "squared_error"}, default="explained_variance"
            Figure to plot.
        n_jobs : int, default=None
            Number of folds that run at the same time, as in `joblib.Parallel`. With joblib's
            backend "skae", their networks are trained side by side.
        ax : matplotlib Axes, default=None
            Axes to plot on. None creates a new figure.

        Returns
        -------
        display : ScreeDisplay
            The display, plotted.

        Raises
        ------
        TypeError
            If the estimator has no `n_components`.
        ValueError
            If `metric` or `n_components` is not as described, or X has missing cells.
        """
        check_choice("metric", metric, list(_METRICS), "Try metric='explained_variance'.")
        check_numbered(estimator)
        samples, points = index_samples(X), to_array(find_points(X))
        is_frame = is_mixed_frame(samples)
        rows = samples if is_frame else points
        shape = tuple(getattr(samples, "shape", ()))[1:]
        measure: Callable = _measure_frames if is_frame else partial(_measure, shape)
        check_complete(points)
        chosen = count_components(points)
        numbers = _read_numbers(n_components, estimator, chosen, points.shape)
        folds = Parallel(n_jobs=n_jobs)(
            delayed(measure)(estimator, *(select_samples(rows, part) for part in split), numbers)
            for split in check_cv(cv).split(points)
        )
        errors, pca_errors, variances = map(np.array, zip(*folds, strict=True))
        reference = "FAMD" if is_frame else "PCA"
        display = cls(numbers, errors, pca_errors, variances, chosen=chosen, reference=reference)
        return display.plot(ax, metric=metric)

    def plot(self, ax=None, *, metric="explained_variance", **kwargs) -> Self:
        """Plot the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. None creates a new figure.
        metric : {"explained_variance", "squared_error"}, default="explained_variance"
            Figure to plot.
        **kwargs : dict
            Passed to `Axes.plot` for both curves.

        Returns
        -------
        display : ScreeDisplay
            The display, with its axes.

        Raises
        ------
        ValueError
            If `metric` is not as described.
        """
        check_choice("metric", metric, list(_METRICS), "Try metric='explained_variance'.")
        ax = take_axes(ax, "ScreeDisplay.plot", _SIZE)
        self.ax_, self.figure_ = ax, ax.figure
        self.lines_: list[Any] = []
        self.bands_: list[Any] = []
        curves = [
            (self.reference, self.pca_errors, GREY, "--"),
            ("autoencoder", self.errors, BLUE, "-"),
        ]
        for name, errors, color, dashes in curves:
            style = {"color": color, "linestyle": dashes, "marker": ".", "label": name, **kwargs}
            self._draw_curve(self._find_values(errors, metric), color, style)
        if self.chosen is not None:
            mark_chosen(ax, self.chosen)
        labels = _METRICS if self.reference == "PCA" else _METRICS_OF_FRAMES
        ax.set(xlabel="number of codes", ylabel=labels[metric])
        widen(ax.set_xscale, list(self.n_components), base=2)
        ticks = [n for n in self.n_components if n & (n - 1) == 0 or n == self.n_components[-1]]
        ax.set_xticks(ticks, ticks)
        ax.minorticks_off()
        ax.legend()
        return self

    def _draw_curve(self, values, color, style):
        """Draw the mean over the folds, and a band of a standard deviation to both sides."""
        mean, spread = values.mean(axis=0), values.std(axis=0)
        self.lines_ += self.ax_.plot(self.n_components, mean, **style)
        band = self.ax_.fill_between(
            self.n_components, mean - spread, mean + spread, color=color, alpha=0.2, linewidth=0
        )
        self.bands_.append(band)

    def _find_values(self, errors, metric: str) -> np.ndarray:
        errors = np.asarray(errors, dtype=float)
        if metric == "squared_error":
            return errors
        return 1 - errors / np.asarray(self.variances, dtype=float)[:, None]


def mark_chosen(ax, n_components: int) -> None:
    """Draw a line at the number of codes that parallel analysis chooses."""
    label = f"parallel analysis: {n_components}"
    ax.axvline(n_components, color="black", linewidth=0.8, linestyle=":", label=label)


def check_numbered(estimator):
    """Raise an error for an estimator without `n_components`."""
    if not hasattr(estimator, "n_components"):
        raise TypeError(
            "`estimator` must have a parameter `n_components`. Got "
            f"{type(estimator).__name__}. Pass an autoencoder and preprocessed rows instead of a "
            "pipeline."
        )


def _read_numbers(n_components, estimator, chosen: int, shape) -> list[int]:
    """Return the numbers of codes to evaluate, in ascending order."""
    if n_components is not None:
        numbers = sorted({int(number) for number in n_components})
        if not numbers or numbers[0] < 1:
            raise ValueError(
                "`n_components` must contain numbers of codes of at least 1. "
                f"Got {n_components!r}. Try n_components=[1, 2, 4, 8]."
            )
        return numbers
    own = estimator.n_components
    most = own if isinstance(own, int | np.integer) else chosen
    most = max(1, min(int(most), shape[1]))
    if getattr(estimator, "nested", False):
        return list(range(1, most + 1))
    powers = [1 << power for power in range(most.bit_length())]
    return powers if powers[-1] == most else [*powers, most]


def _measure(shape, estimator, X_train, X_test, numbers: list[int]) -> tuple[list, list, float]:
    """Return the errors of the estimator and of PCA by number of codes, and of the mean."""
    pca = PCA(min(numbers[-1], *X_train.shape)).fit(X_train)
    deviations = X_test - pca.mean_
    squares = np.square(deviations).mean(axis=0).sum()
    explained = np.square(deviations @ pca.components_.T).mean(axis=0)
    left = np.maximum(squares - np.cumsum(explained), 0) / X_train.shape[1]
    pca_errors = [left[min(number, len(left)) - 1] for number in numbers]
    errors = _measure_estimator(shape, estimator, X_train, X_test, numbers)
    return errors, pca_errors, float(squares / X_train.shape[1])


def _measure_frames(estimator, X_train, X_test, numbers: list[int]) -> tuple[list, list, float]:
    """Return the losses of the estimator and of FAMD by number of codes, and of the baselines."""
    errors: list[list[float]] = []
    for model in (estimator, LinearStart(missing="mask", early_stopping=False)):
        models = [clone(model).set_params(n_components=number).fit(X_train) for number in numbers]
        errors.append([-neg_reconstruction_error(own, X_test) for own in models])
    own, famd = errors
    return own, famd, famd[-1] / max(1 - explained_variance(models[-1], X_test), _TINY)


def _measure_estimator(shape, estimator, X_train, X_test, numbers: list[int]) -> list[float]:
    """Return errors by number of codes; nested codes need a single fit."""
    samples, new = (rows.reshape(-1, *shape) for rows in (X_train, X_test))
    wanted = numbers[-1:] if getattr(estimator, "nested", False) else numbers
    models = [clone(estimator).set_params(n_components=number).fit(samples) for number in wanted]
    errors = []
    for number in numbers:
        model = models[bisect_left(wanted, number)]
        codes = to_array(model.transform(new))[:, :number]
        errors.append(float(np.square(to_array(model.inverse_transform(codes)) - X_test).mean()))
    return errors
