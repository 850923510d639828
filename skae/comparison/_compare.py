"""Comparison of an autoencoder with PCA on a table."""

import warnings
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from numbers import Integral, Real

import numpy as np
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from sklearn.utils import assert_all_finite, check_array, check_random_state

from skae._estimators.autoencoder import AutoencoderTransformer
from skae._estimators.frames import is_mixed_frame, summarize_columns, warn_of_left_out
from skae._estimators.linear_start import LinearStart
from skae._estimators.validation import is_masked
from skae._shared.labels import keep_labelled
from skae._shared.warning import warn_user
from skae.comparison._comparison import PCAComparison
from skae.comparison._epoch_counter import epochs_counted
from skae.comparison._measure import Evidence, Task, measure
from skae.comparison._results import (
    describe_dropped,
    format_figures,
    format_header,
    format_place,
    format_sizes,
)
from skae.exceptions import ColumnsLeftOutWarning, SkaeWarning
from skae.inspection._plotting import name_features
from skae.metrics._predictor import holds_quantities
from skae.metrics._transformer import index_samples, is_ragged, to_array

_LEAST_ROWS = 3


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
        comparison is with a PCA of the cells that are there, which is the start of an autoencoder
        with ``missing="mask"``, and errors are those of these cells. Data frames may have columns
        of several kinds and missing values. The comparison is then with a factor analysis of mixed
        data (FAMD), and by losses instead of squared errors. Read more in the
        :doc:`user guide </mixed>`.
    y : array-like of shape (n_samples,), default=None
        Class labels or quantities to predict from the codes. Numbers are quantities if they have
        fractions, or if they have more distinct values than 20 and than a twentieth of the rows.
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
    verbose : bool, default=False
        Whether to print the table line by line during the comparison.

    Returns
    -------
    PCAComparison
        Results of the comparison. Print it for a table; `to_frame` returns a DataFrame, and
        `to_html` a report page with plots.

    Raises
    ------
    ValueError
        If `n_components` contains no number of codes that PCA allows, if X has fewer than three
        rows or is not numeric, has infinite values, or missing ones with an `estimator` that takes
        none, if `y` has fewer than two classes or no class with
        several rows, if `X_test` and `y_test` do not match `X` and `y`, or if `n_splits` is not a
        whole number of at least 1, or above 1 with `X_test`.

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
    >>> comparison = compare_with_pca(X[:400], y[:400], n_components=8)
    >>> pca, autoencoder = comparison.results
    >>> autoencoder.squared_error < pca.squared_error
    True
    """
    candidates = _check_n_components(n_components)
    _check_n_splits(n_splits, X_test)
    allow_nan = estimator is None or is_masked(estimator)
    how = test_size, standardize
    task = _build_task(X, y, X_test, y_test, *how, random_state, allow_nan)
    n_train, n_test, n_features = task.count()
    usable, left_out = _leave_out(candidates, (n_train, n_features), verbose)
    tell = partial(print, flush=True) if verbose else _keep_silent
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
    names = name_features(X, None, None, task.X_train.shape[1])
    evidence = Evidence(task, {}, names, options)
    comparison = PCAComparison(
        (),
        n_train,
        n_test,
        n_features,
        task.score_name,
        left_out,
        evidence,
        task.reference,
        task.n_missing,
        task.drop_reasons,
    )
    if not verbose:
        warn_of_left_out(task.columns)
    tell(*describe_dropped(task.drop_reasons), format_sizes(comparison), sep="\n")
    tell(format_header(task.score_name, task.reference))
    comparison = replace(comparison, results=tuple(_list_results(evidence, tell)))
    for seed in check_random_state(random_state).randint(np.iinfo(np.int32).max, size=n_splits - 1):
        other = _build_task(X, y, None, None, *how, seed, allow_nan)
        results = tuple(_list_results(Evidence(other, {}, names, options), _keep_silent))
        comparison = replace(comparison, repeats=(*comparison.repeats, results))
    tell(comparison.summarize())
    return comparison


def _list_results(evidence, tell):
    """Yield the figures of each method with each number of codes; keep the fitted models."""
    options = evidence.options
    for n_codes in options["n_components"]:
        pca_error = None
        models = _build_models(evidence.task, n_codes, options)
        for method, model in models:
            tell(format_place(n_codes, method), end="")
            with (
                epochs_counted(model, wanted=tell is not _keep_silent),
                warnings.catch_warnings(),
            ):
                # The comparison has told.
                warnings.simplefilter("ignore", ColumnsLeftOutWarning)
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
            "`n_components` must be a whole number of at least 1, or a sequence of such. "
            f"Got {n_components!r}. Try n_components=(2, 8)."
        )
    return tuple(sorted({int(number) for number in candidates}))


def _check_n_splits(n_splits, X_test):
    if not isinstance(n_splits, Integral) or int(n_splits) < 1:
        raise ValueError(
            f"`n_splits` must be a whole number of at least 1. Got {n_splits!r}. Try n_splits=5."
        )
    if X_test is not None and int(n_splits) > 1:
        raise ValueError(
            f"`n_splits` must be 1 with `X_test`, which is one split. Got {n_splits}. "
            "Leave out one of them."
        )


def _leave_out(candidates, shape, verbose):
    most = min(shape)
    usable = tuple(number for number in candidates if number <= most)
    left_out = candidates[len(usable) :]
    size = f"{shape[0]} rows to fit on and {shape[1]} columns"
    if not usable:
        raise ValueError(
            f"`n_components` must hold a number of at most {most}: there are {size}. "
            f"Got {list(candidates)}. Ask for fewer codes."
        )
    if left_out:
        numbers = ", ".join(map(str, left_out))
        message = f"Left out {numbers} codes: with {size} PCA gives at most {most}."
        print(message) if verbose else warn_user(message, SkaeWarning)
    return usable, left_out


def _build_models(task, n_codes, options):
    estimator, random_state = options["estimator"], options["random_state"]
    missing = "mask" if task.n_missing else None
    if estimator is None:
        estimator = AutoencoderTransformer(random_state=random_state, missing=missing)
    reference: PCA | LinearStart = PCA(n_components=n_codes, random_state=random_state)
    if not task.is_plain:
        reference = LinearStart(n_codes, random_state=random_state, missing=missing)
    yield task.reference, reference
    yield "autoencoder", clone(estimator).set_params(n_components=n_codes)


def _build_task(X, y, X_test, y_test, test_size, standardize, random_state, allow_nan):
    X, sample_shape = _read_samples(X, "X", allow_nan)
    if y is not None:
        y, X = keep_labelled(y, X)
    score_name = None if y is None else _name_score(y)
    if X_test is None and len(X) < _LEAST_ROWS:
        raise ValueError(
            f"`X` must have at least {_LEAST_ROWS} rows: two to fit on, one to hold out. "
            f"Got {len(X)}. Give more rows."
        )
    if X_test is None:
        X, X_test, y, y_test = _hold_out(X, y, test_size, score_name, random_state)
    else:
        X_test, y_test = _check_held_out(X, y, X_test, y_test, allow_nan)
    if score_name == "accuracy" and len(np.unique(y)) < 2:
        raise ValueError(
            "`y` must hold at least two classes among the rows to fit on. Got one. "
            "Give more rows, or no target."
        )
    if score_name == "accuracy" and len(np.unique(y)) == len(y):
        raise ValueError(
            f"`y` must hold classes of several rows each. Got {len(y)} labels, all different. "
            "Name another target, or none."
        )
    if is_mixed_frame(X):
        columns = summarize_columns(X, X_test)
        n_missing = sum(own.n_missing for own in columns if own.reason is None)
        return Task(X, X_test, y, y_test, score_name, (), "FAMD", n_missing, tuple(columns))
    if standardize:
        scaler = StandardScaler().set_output(transform="default").fit(X)
        X, X_test = scaler.transform(X), scaler.transform(X_test)
    n_missing = int(np.isnan(X).sum() + np.isnan(X_test).sum())
    return Task(X, X_test, y, y_test, score_name, sample_shape, n_missing=n_missing)


def _read_samples(X, name, allow_nan):
    """Return samples as a complete table, and the shape of one."""
    if is_mixed_frame(X):
        return X, ()
    samples = index_samples(X)
    if is_ragged(samples):
        raise ValueError(
            f"`{name}` must hold samples of one shape, as PCA requires. Got sequences of "
            "different lengths. Cut or resample them to one length."
        )
    finite = "allow-nan" if allow_nan else True
    values = check_array(
        to_array(samples),
        dtype=(np.float64, np.float32),
        input_name=name,
        ensure_all_finite=finite,
    )
    return values, tuple(getattr(samples, "shape", ()))[1:]


def _name_score(y):
    """Return the name of the score that fits to `y`."""
    assert_all_finite(y, input_name="y")
    return "R2" if holds_quantities(y) else "accuracy"


def _hold_out(X, y, test_size, score_name, random_state):
    options = {"test_size": test_size, "random_state": random_state}
    if y is None:
        X_train, X_test = train_test_split(X, **options)
        return X_train, X_test, None, None
    if score_name == "accuracy" and _can_stratify(y, test_size):
        options["stratify"] = y
    return train_test_split(X, y, **options)


def _can_stratify(y, test_size):
    if not isinstance(test_size, Real):
        return False  # left to train_test_split, which refuses it
    _, counts = np.unique(y, return_counts=True)
    size = float(test_size)
    n_test = size * len(y) if size < 1 else size
    return counts.min() >= 2 and len(counts) <= min(n_test, len(y) - n_test)


def _check_held_out(X, y, X_test, y_test, allow_nan):
    X_test, _ = _read_samples(X_test, "X_test", allow_nan)
    if not is_mixed_frame(X):
        X_test = X_test.astype(X.dtype, copy=False)
    if X_test.shape[1] != X.shape[1]:
        raise ValueError(
            f"`X_test` must have {X.shape[1]} columns, as X has. Got {X_test.shape[1]}. "
            "Take both from one table."
        )
    if (y is None) != (y_test is None):
        raise ValueError(
            "`y_test` must be given where `X_test` and `y` are, and only there. "
            f"Got {'none' if y_test is None else 'one'}. Give both of `y` and `y_test`, or neither."
        )
    if y_test is not None:
        y_test, X_test = keep_labelled(y_test, X_test)
    return X_test, y_test
