"""Comparison of an autoencoder with PCA on a table."""

import warnings
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from numbers import Integral

import numpy as np
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.utils import check_random_state
from sklearn.utils.parallel import Parallel, delayed

from skae._estimators.autoencoder import AutoencoderTransformer
from skae._estimators.frame_columns import warn_of_left_out
from skae._estimators.linear_start import LinearStart
from skae._estimators.validation import is_masked
from skae._shared.checks import check_count
from skae._shared.warning import warn_user
from skae.comparison._comparison import Evidence, PCAComparison
from skae.comparison._epoch_counter import epochs_counted
from skae.comparison._measure import measure
from skae.comparison._results import (
    describe_dropped,
    format_figures,
    format_header,
    format_place,
    format_sizes,
)
from skae.comparison._task import make_task
from skae.exceptions import ColumnsLeftOutWarning, SkaeWarning
from skae.inspection._plotting import name_features
from skae.inspection._scree import check_numbered


def compare_with_pca(
    X,
    y=None,
    *,
    n_components=(2, 8, 16, 32),
    estimator=None,
    X_test=None,
    y_test=None,
    test_size=0.25,
    standardize=False,
    n_splits=1,
    random_state=0,
    n_jobs=None,
    verbose=False,
) -> PCAComparison:
    """Compare PCA and an autoencoder on held-out rows.

    Both are fitted on the same rows with the same number of codes. Held-out rows show how well each
    of them reconstructs, and how well a simple model predicts `y` from the codes: a
    `LogisticRegression` for class labels, or a `Ridge` for quantities, each after a
    `StandardScaler`.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Numeric rows; sparse matrices are converted to dense ones. Images and sequences of equal
        length may have more axes and are flattened for PCA. With missing values (NaN), the
        comparison is with a PCA of the observed cells, from which an autoencoder with
        ``missing="mask"`` starts, and errors are those of the observed cells. Data frames may have
        columns of several kinds and missing values. They are compared with a factor analysis of
        mixed data (FAMD), by losses instead of squared errors. Read more in the
        :doc:`user guide </mixed>`.
    y : array-like of shape (n_samples,), default=None
        Class labels or quantities to predict from the codes. Numbers are quantities if some have
        fractions, or if there are more distinct values than 20 and than a twentieth of the rows.
        Rows with a missing label (NaN, None or NA) are left out, with a warning. None skips the
        prediction.
    n_components : int or sequence of int, default=(2, 8, 16, 32)
        Numbers of codes, each at least 1. Numbers above the number of columns or of training rows,
        which PCA does not allow, are left out with a warning.
    estimator : transformer with ``n_components`` and ``inverse_transform``, default=None
        The autoencoder, cloned for each number of codes. None means
        ``AutoencoderTransformer(random_state=random_state)``, with ``missing="mask"`` if values
        are missing.
    X_test : array-like of shape (n_test, n_features), default=None
        Held-out rows. None holds out a random part of `X`.
    y_test : array-like of shape (n_test,), default=None
        Labels or quantities of the held-out rows. Required with `X_test` if `y` is given.
    test_size : float or int, default=0.25
        Share in (0, 1), or number, of the rows to hold out if `X_test` is None. The split is
        stratified by class labels if possible.
    standardize : bool, default=False
        Whether to scale each column to mean 0 and standard deviation 1, computed on the training
        rows. Choose True if columns have different units, because squared errors are summed over
        columns.
    n_splits : int, default=1
        Number of random splits. With more than one, the comparison is repeated on further splits,
        which shows how much it depends on the rows held out. Tables, plots and reports are those
        of the first split, with the range of the ratios, and intervals of the scores, over all.
    random_state : int, RandomState instance or None, default=0
        Seed of the splits, of PCA's solver, and of the default estimator.
    n_jobs : int, default=None
        Number of further splits that run at the same time, as in `joblib.Parallel`. With joblib's
        backend "skae", their networks are trained side by side. Their seconds then include waiting.
    verbose : bool, default=False
        Whether to print the table line by line during the comparison.

    Returns
    -------
    PCAComparison
        Results of the comparison. Print it for a table; `to_frame` returns a DataFrame, and
        `to_html` a report page with plots.

    Raises
    ------
    TypeError
        If `estimator` has no parameter `n_components`.
    ValueError
        If `n_components` contains no number of codes that PCA allows; if X has fewer than three
        rows, is not numeric, or has infinite values, or missing values that `estimator` does not
        accept; if `y` has fewer than two classes or no class with several rows; if `X_test` and
        `y_test` do not match `X` and `y`; or if `n_splits` is not a whole number of at least 1, or
        is above 1 with `X_test`.

    Warns
    -----
    SkaeWarning
        If some of `n_components` are left out. With `verbose`, this is printed instead.
    ColumnsLeftOutWarning
        If columns of a data frame are left out. With `verbose`, they are printed instead.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae.comparison import compare_with_pca
    >>> X, y = load_digits(return_X_y=True)
    >>> comparison = compare_with_pca(X[:100], y[:100], n_components=8)
    >>> pca, autoencoder = comparison.results
    >>> autoencoder.squared_error < pca.squared_error
    True
    """
    candidates = _check_n_components(n_components)
    if estimator is not None:
        check_numbered(estimator)
    _check_n_splits(n_splits, X_test)
    split = partial(
        make_task,
        X,
        y,
        test_size=test_size,
        standardize=standardize,
        allow_nan=estimator is None or is_masked(estimator),
    )
    task = split(X_test, y_test, random_state=random_state)
    usable, left_out = _leave_out(candidates, task, verbose)
    options = {
        "n_components": usable,
        "estimator": estimator,
        "X_test": X_test,
        "y_test": y_test,
        "test_size": test_size,
        "standardize": standardize,
        "n_splits": n_splits,
        "random_state": random_state,
    }
    names = name_features(None, task.X_train.shape[1], X)
    comparison = _begin(Evidence(task, {}, names, options), left_out)
    tell = partial(print, flush=True) if verbose else _keep_silent
    if not verbose:
        warn_of_left_out(task.columns)
    tell(*describe_dropped(task.drop_reasons), format_sizes(comparison), sep="\n")
    tell(format_header(task.score_name, task.reference))
    seeds = check_random_state(random_state).randint(np.iinfo(np.int32).max, size=n_splits - 1)
    with warnings.catch_warnings():
        # The columns left out have been reported once for all models.
        warnings.simplefilter("ignore", ColumnsLeftOutWarning)
        results = tuple(_list_results(comparison.evidence, tell))
        repeats = Parallel(n_jobs=n_jobs)(delayed(_repeat)(split, seed, options) for seed in seeds)
    comparison = replace(comparison, results=results, repeats=tuple(repeats))
    tell(comparison.summarize())
    return comparison


def _begin(evidence, left_out):
    """Return a comparison without results."""
    task = evidence.task
    n_train, n_test, n_features = task.count()
    return PCAComparison(
        results=(),
        n_train=n_train,
        n_test=n_test,
        n_features=n_features,
        score_name=task.score_name,
        left_out=left_out,
        evidence=evidence,
        reference=task.reference,
        n_missing=task.n_missing,
        drop_reasons=task.drop_reasons,
    )


def _repeat(split, seed, options):
    """Return the results on another split."""
    evidence = Evidence(split(random_state=seed), {}, [], options)
    return tuple(_list_results(evidence, _keep_silent))


def _list_results(evidence, tell):
    """Yield the result of each method for each number of codes, and keep the fitted models."""
    options = evidence.options
    for n_codes in options["n_components"]:
        pca_error = None
        for method, model in _make_models(evidence.task, n_codes, options):
            tell(format_place(n_codes, method), end="")
            with epochs_counted(model, wanted=tell is not _keep_silent):
                result = measure(evidence.task, model, n_codes, method, pca_error)
            tell(format_figures(result))
            pca_error = result.squared_error
            evidence.models[n_codes, method] = model
            yield result


def _keep_silent(*parts, **options):
    """Stand in for `print`."""


def _check_n_components(n_components):
    candidates = list(n_components) if isinstance(n_components, Iterable) else [n_components]
    whole = all(isinstance(number, Integral) and int(number) >= 1 for number in candidates)
    if not candidates or not whole:
        raise ValueError(
            "`n_components` must be a whole number of at least 1, or a sequence of these. "
            f"Got {n_components!r}. Try n_components=(2, 8)."
        )
    return tuple(sorted({int(number) for number in candidates}))


def _check_n_splits(n_splits, X_test):
    check_count("n_splits", n_splits, "Try n_splits=5.")
    if X_test is not None and int(n_splits) > 1:
        raise ValueError(
            f"`n_splits` must be 1 if `X_test` is given. Got {n_splits}. Leave out one of them."
        )


def _leave_out(candidates, task, verbose):
    """Return the numbers of codes that PCA allows, and the others."""
    n_train, _, n_features = task.count()
    most = min(n_train, n_features)
    usable = tuple(number for number in candidates if number <= most)
    left_out = candidates[len(usable) :]
    size = f"{n_train} rows to fit on and {n_features} columns"
    if not usable:
        raise ValueError(
            f"`n_components` must contain a number of at most {most}: there are {size}. "
            f"Got {list(candidates)}. Ask for fewer codes."
        )
    if left_out:
        numbers = ", ".join(map(str, left_out))
        message = f"Left out {numbers} codes: with {size} PCA gives at most {most}."
        print(message) if verbose else warn_user(message, SkaeWarning)
    return usable, left_out


def _make_models(task, n_codes, options):
    """Yield the name and the unfitted model of both methods."""
    estimator, random_state = options["estimator"], options["random_state"]
    missing = "mask" if task.n_missing else None
    if estimator is None:
        estimator = AutoencoderTransformer(random_state=random_state, missing=missing)
    reference: PCA | LinearStart = PCA(n_components=n_codes, random_state=random_state)
    if not task.is_plain:
        reference = LinearStart(n_codes, random_state=random_state, missing=missing)
    yield task.reference, reference
    yield "autoencoder", clone(estimator).set_params(n_components=n_codes)
