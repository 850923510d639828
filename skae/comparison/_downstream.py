"""Predictions from codes and from principal components, compared by cross-validation."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.metrics import check_scoring
from sklearn.model_selection import RepeatedKFold, RepeatedStratifiedKFold, check_cv
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import _safe_indexing

from skae._estimators.linear_start import LinearStart
from skae._estimators.samples import flatten_samples
from skae._estimators.validation import is_masked
from skae._shared.extras import import_extra
from skae._shared.labels import keep_labelled
from skae.comparison._repeats import find_interval
from skae.metrics._predictor import holds_quantities, make_predictor
from skae.metrics._transformer import encode, find_frame_model, index_samples


@dataclass(frozen=True, eq=False, repr=False)
class DownstreamComparison:
    """Scores of a predictor on codes and on principal components, with confidence intervals.

    Attributes
    ----------
    scores : ndarray of shape (n_splits,)
        Scores on the codes of the estimator, one for each split of the rows.
    pca_scores : ndarray of shape (n_splits,)
        Scores on PCA's codes, on the same splits.
    test_share : float
        Number of test rows divided by the number of training rows in a split.
    confidence_level : float, default=0.95
        Confidence level of the intervals, in (0, 1).
    reference : {"PCA", "FAMD"}, default="PCA"
        Method beside the autoencoder: "FAMD", a factor analysis of mixed data, for data frames with
        columns of several kinds.

    Notes
    -----
    Splits share most of their training rows, so their scores are not independent, and the usual
    interval is much too short. The interval here is that of the corrected resampled t-test [1]_:
    the variance of the mean is estimated as ``1 / n_splits + test_share`` times the variance
    between the splits, instead of ``1 / n_splits`` times.

    References
    ----------
    .. [1] Nadeau, C. and Bengio, Y. (2003). Inference for the generalization error. Machine
       Learning 52. https://doi.org/10.1023/A:1024068626366

    Examples
    --------
    >>> import numpy as np
    >>> from skae.comparison import DownstreamComparison
    >>> comparison = DownstreamComparison(
    ...     np.array([0.92, 0.90, 0.94, 0.91]), np.array([0.85, 0.86, 0.88, 0.84]), 1 / 3
    ... )
    >>> print(comparison)
                     mean    95 % interval
    autoencoder     0.917   0.876 ... 0.959
    PCA             0.857   0.816 ... 0.899
    difference      0.060   0.026 ... 0.094
    """

    scores: np.ndarray
    pca_scores: np.ndarray
    test_share: float
    confidence_level: float = 0.95
    reference: str = "PCA"

    def interval(self, values) -> tuple[float, float]:
        """Return the confidence interval of the mean of one value per split.

        Parameters
        ----------
        values : array-like of shape (n_splits,)
            Scores, or differences of scores. With a single split, both ends are NaN.

        Returns
        -------
        low, high : float
            Ends of the interval, which may lie outside of the range of the score.

        Examples
        --------
        >>> import numpy as np
        >>> from skae.comparison import DownstreamComparison
        >>> comparison = DownstreamComparison(np.array([0.8, 0.9]), np.array([0.8, 0.9]), 0.25)
        >>> low, high = comparison.interval(comparison.scores - comparison.pca_scores)
        >>> low == high == 0
        True
        """
        values = np.asarray(values, dtype=np.float64)
        return find_interval(values, self.test_share, self.confidence_level)

    def to_frame(self) -> Any:
        """Return means and intervals as a DataFrame.

        Returns
        -------
        pandas.DataFrame of shape (3, 3)
            Rows "autoencoder", "PCA" (or "FAMD") and "difference" with the columns "mean", "low"
            and "high".

        Raises
        ------
        ImportError
            If pandas is not installed.

        Examples
        --------
        >>> import numpy as np
        >>> from skae.comparison import DownstreamComparison
        >>> comparison = DownstreamComparison(np.array([0.8, 0.9]), np.array([0.7, 0.8]), 0.25)
        >>> comparison.to_frame()["mean"].round(2).tolist()
        [0.85, 0.75, 0.1]
        """
        pandas = import_extra("pandas", "table", "to_frame")
        return pandas.DataFrame(
            self._list_rows(), index=self._names, columns=["mean", "low", "high"]
        )

    @property
    def _names(self):
        return "autoencoder", self.reference, "difference"

    def _list_rows(self):
        values = self.scores, self.pca_scores, self.scores - self.pca_scores
        return [(float(each.mean()), *self.interval(each)) for each in values]

    def __str__(self):
        lines = [f"{'':12} {'mean':>8}    {100 * self.confidence_level:g} % interval"]
        for name, (mean, low, high) in zip(self._names, self._list_rows(), strict=True):
            lines.append(f"{name:12} {mean:8.3f}  {low:6.3f} ... {high:.3f}")
        return "\n".join(lines)

    __repr__ = __str__


def compare_downstream(
    estimator,
    X,
    y,
    *,
    predictor=None,
    scoring=None,
    cv=None,
    confidence_level=0.95,
    random_state=0,
    n_jobs=None,
) -> DownstreamComparison:
    """Compare predictions of `y` from codes and from as many principal components.

    In each split, the estimator and PCA are fitted on the training rows without `y`. A predictor is
    then fitted on the codes of each, and scored on the codes of the test rows.

    Parameters
    ----------
    estimator : transformer
        Autoencoder, or a pipeline that ends in one; it is cloned. For PCA, the last step of a
        pipeline is replaced.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows, or images and sequences in any form that the estimator accepts. They are flattened for
        PCA. Data frames with columns of several kinds are compared with a factor analysis of mixed
        data (FAMD) instead.
    y : array-like of shape (n_samples,)
        Class labels or quantities. Rows with a missing label (NaN, None or NA) are left out, with a
        warning. Numbers are quantities if they have fractions, or if they have more distinct values
        than 20 and than a twentieth of the rows.
    predictor : classifier or regressor, default=None
        Model on the codes; it is cloned. None is a `LogisticRegression` for labels and a `Ridge`
        for quantities, after a `StandardScaler`.
    scoring : str or callable, default=None
        Score of the model, as in `cross_val_score`. None uses the `score` method of the model:
        accuracy or R2.
    cv : int, splitter or iterable of splits, default=None
        Cross-validation splits. None is five-fold cross-validation, repeated twice and stratified
        by class.
    confidence_level : float, default=0.95
        Confidence level of the intervals, in (0, 1).
    random_state : int, RandomState instance or None, default=0
        Seed of the default folds and of PCA's solver. The estimator has its own `random_state`.
    n_jobs : int, default=None
        Number of splits that run at the same time, as in `joblib.Parallel`.

    Returns
    -------
    DownstreamComparison
        Scores of all splits. Print it for means and intervals.

    Raises
    ------
    ValueError
        If `confidence_level` is not in (0, 1), or X and `y` differ in length.

    See Also
    --------
    skae.comparison.compare_with_pca : Errors, times and predictions on a single split.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoencoderTransformer
    >>> from skae.comparison import compare_downstream
    >>> X, y = load_digits(return_X_y=True)
    >>> estimator = AutoencoderTransformer(n_components=2, max_iter=5, random_state=0)
    >>> comparison = compare_downstream(estimator, X[:300], y[:300], cv=3)
    >>> bool(comparison.scores.mean() > comparison.pca_scores.mean())
    True
    """
    if not 0 < confidence_level < 1:
        raise ValueError(
            f"`confidence_level` must be in (0, 1). Got {confidence_level}. "
            "Try confidence_level=0.95."
        )
    y, X = keep_labelled(y, index_samples(X))
    quantities = holds_quantities(y)
    predictor = make_predictor(quantities) if predictor is None else predictor
    scorer = check_scoring(predictor, scoring)
    splits = list(_choose_splits(cv, y, quantities, random_state).split(X, y))
    scores, pca_scores, are_famd = zip(
        *Parallel(n_jobs=n_jobs)(
            delayed(_score_split)(estimator, predictor, scorer, X, y, train, test, random_state)
            for train, test in splits
        ),
        strict=True,
    )
    return DownstreamComparison(
        scores=np.array(scores),
        pca_scores=np.array(pca_scores),
        test_share=float(np.mean([len(test) / len(train) for train, test in splits])),
        confidence_level=confidence_level,
        reference="FAMD" if any(are_famd) else "PCA",
    )


def _choose_splits(cv, y, quantities, random_state):
    if cv is not None:
        return check_cv(cv, y, classifier=not quantities)
    folds = RepeatedKFold if quantities else RepeatedStratifiedKFold
    return folds(n_splits=5, n_repeats=2, random_state=random_state)


def _score_split(estimator, predictor, scorer, X, y, train, test, random_state):
    """Return the scores on the estimator's and on PCA's codes, and whether FAMD stands for PCA."""
    X_train, X_test = (_safe_indexing(X, rows) for rows in (train, test))
    fitted = clone(estimator).fit(X_train)
    n_codes = encode(fitted, _safe_indexing(X_test, slice(0, 1))).shape[1]
    is_famd = find_frame_model(fitted, X_test)[0] is not None
    last = fitted[-1] if isinstance(fitted, Pipeline) else fitted
    n_codes = min(n_codes, len(train), getattr(last, "n_features_in_", n_codes))
    has_linear_start = is_famd or is_masked(last)
    pca = _make_reference(estimator, n_codes, random_state, has_linear_start).fit(X_train)
    scores = []
    for each in (fitted, pca):
        model = clone(predictor).fit(encode(each, X_train), y[train])
        scores.append(float(scorer(model, encode(each, X_test), y[test])))
    return *scores, is_famd


def _make_reference(estimator, n_codes, random_state, has_linear_start):
    """Return the estimator, or the pipeline that ends in it, with PCA or FAMD in its place."""
    before = clone(estimator).steps[:-1] if isinstance(estimator, Pipeline) else []
    if has_linear_start:
        start = LinearStart(n_codes, missing="mask", early_stopping=False)
        return Pipeline([*before, ("start", start)])
    flatten = FunctionTransformer(flatten_samples).set_output(transform="default")
    pca = PCA(n_components=n_codes, random_state=random_state)
    return Pipeline([*before, ("flatten", flatten), ("pca", pca)])
