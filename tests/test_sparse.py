"""Sparse matrices give the results of dense tables, with less memory."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler

from skae import AutoencoderTransformer

pytestmark = pytest.mark.filterwarnings("ignore::skae.exceptions.NotBetterThanPCAWarning")

FORMATS = {
    "csr_matrix": sparse.csr_matrix,
    "csc_matrix": sparse.csc_matrix,
    "coo_matrix": sparse.coo_matrix,
    "lil_matrix": sparse.lil_matrix,
    "csr_array": sparse.csr_array,
    "csc_array": sparse.csc_array,
    "coo_array": sparse.coo_array,
}
# By default, small dense tables are cross-validated, but sparse tables are not.
HOLD_OUT = {"learning_rate": "adaptive"}
ALL_ROWS = {"early_stopping": False}


def make(**params):
    params = {"n_components": 4, "max_iter": 3, "random_state": 0} | params
    return AutoencoderTransformer(**params)


def apply(estimator, X):
    return {
        "transform": estimator.transform(X),
        "score": estimator.score(X),
        "score_samples": estimator.score_samples(X),
        "reconstruction_errors": estimator.reconstruction_errors(X),
        "reconstruction_error_": estimator.reconstruction_error_,
        "pca_reconstruction_error_": estimator.pca_reconstruction_error_,
        "loss_curve_": estimator.loss_curve_,
        "explained_variance_ratio_": estimator.explained_variance_ratio_,
    }


def assert_equal_results(found, expected):
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-3, atol=1e-4, err_msg=name)


@pytest.mark.mostly_slow(4)
@pytest.mark.parametrize("to_sparse", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("params", [ALL_ROWS, HOLD_OUT], ids=str)
def test_a_sparse_table_gives_the_results_of_the_dense_one(digits, params, to_sparse):
    X = digits[0]
    expected = apply(make(**params).fit(X), X)
    assert_equal_results(apply(make(**params).fit(to_sparse(X)), to_sparse(X)), expected)


def test_an_estimator_fitted_to_dense_rows_takes_sparse_ones(digits):
    X = digits[0][:80]
    estimator = make(**ALL_ROWS).fit(X)
    for to_sparse in FORMATS.values():
        assert_equal_results(apply(estimator, to_sparse(X)), apply(estimator, X))


@pytest.mark.slow
def test_parameters_mean_the_same_for_sparse_tables(digits):
    for params in [
        {"loss": "binary_cross_entropy"},
        {"output_range": (0, 1)},
        {"init": "random"},
        {"n_components": 0.8},
        {"dtype": "float64"},
    ]:
        X = digits[0][:60]
        expected = apply(make(**ALL_ROWS, **params).fit(X), X)
        found = apply(make(**ALL_ROWS, **params).fit(sparse.csr_array(X)), sparse.csr_array(X))
        assert_equal_results(found, expected)


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize("params", [ALL_ROWS, HOLD_OUT], ids=str)
def test_weights_mean_the_same_for_sparse_tables(digits, params):
    X, weights = digits[0], digits[1].astype(float)
    expected = make(**params).fit(X, sample_weight=weights)
    found = make(**params).fit(sparse.csr_matrix(X), sample_weight=weights)
    assert_equal_results(apply(found, sparse.csr_matrix(X)), apply(expected, X))
    np.testing.assert_allclose(
        found.score(sparse.csr_matrix(X), sample_weight=weights),
        expected.score(X, sample_weight=weights),
        rtol=1e-5,
    )


def test_partial_fit_takes_sparse_chunks(digits):
    # Columns vary in every chunk, as rounding errors would otherwise become optimiser steps.
    X = digits[0][:, digits[0].std(axis=0) > 0.15]
    # Double precision, because rounding errors grow from chunk to chunk at a constant rate.
    dense, from_sparse = make(dtype="float64"), make(dtype="float64")
    for chunk in np.array_split(X, 3):
        dense.partial_fit(chunk)
        from_sparse.partial_fit(sparse.csr_array(chunk))
    assert_equal_results(apply(from_sparse, X), apply(dense, X))


def test_a_sparse_table_is_not_changed(digits):
    X = sparse.csr_matrix(digits[0])
    before = X.copy()
    make().fit(X).transform(X)
    assert (before != X).nnz == 0
    assert X.has_sorted_indices == before.has_sorted_indices


def test_default_parameters_take_sparse_tables(digits):
    X = sparse.csr_matrix(digits[0])
    estimator = AutoencoderTransformer(4, max_iter=3, random_state=0).fit(X)
    assert estimator.reconstruction_error_ <= estimator.pca_reconstruction_error_


def test_counts_of_words_are_taken():
    texts = [f"{'one ' * (i % 3)}{'two ' * (i % 5)}{'three ' * (i % 7)}four" for i in range(60)]
    pipeline = make_pipeline(
        CountVectorizer(), MaxAbsScaler(), AutoencoderTransformer(2, max_iter=2, random_state=0)
    )
    codes = pipeline.fit_transform(texts)
    assert codes.shape == (60, 2)
    assert np.isfinite(codes).all()


def test_infinity_in_a_sparse_table_is_refused(digits):
    X = sparse.csr_matrix(digits[0])
    X.data[3] = np.inf
    with pytest.raises(ValueError, match="X contains inf"):
        make().fit(X)


def test_cross_entropy_names_the_column_of_a_sparse_table(digits):
    X = sparse.lil_matrix(digits[0])
    X[3, 20] = 1.5
    with pytest.raises(ValueError, match="to 1.5 in column 20"):
        make(loss="binary_cross_entropy").fit(X)


MEMORY_OF_A_WIDE_FIT = """
    import re
    import resource
    import sys
    from pathlib import Path

    import numpy as np
    from scipy import sparse
    from skae import AutoencoderTransformer

    n_samples, n_features, n_in_row = 20_000, 30_000, 30
    rng = np.random.default_rng(0)
    data = rng.random(n_samples * n_in_row, dtype=np.float32)
    columns = rng.integers(n_features, size=len(data))
    starts = np.arange(0, len(data) + 1, n_in_row)
    X = sparse.csr_matrix((data, columns, starts), shape=(n_samples, n_features))
    estimator = AutoencoderTransformer(16, max_iter=1, random_state=0).fit(X)
    assert estimator.score(X[:2000]) > 0
    status = Path("/proc/self/status")
    if status.exists():
        # Linux hands the greatest size of the parent on to getrusage of its children.
        print(1024 * int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read_text())[1]))
    else:
        unit = 1 if sys.platform == "darwin" else 1024
        print(unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_a_wide_sparse_table_is_fitted_in_little_memory():
    """A table of density 0.001 must take less than 4 GB; its array would take 2.4 GB."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(MEMORY_OF_A_WIDE_FIT)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) < 2e9
