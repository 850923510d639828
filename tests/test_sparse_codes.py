"""Autoencoder of sparse codes: reconstructions, thresholds, dead codes, sparse matrices."""

import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skae import SparseAutoencoderTransformer
from skae._engine.families.sparse_codes import SparseCodes, _draw_rows
from skae._engine.tables.batches import WeightedRows
from skae._engine.tables.rows import DenseRows
from skae.exceptions import NotBetterThanPCAWarning
from skae.modules import PursuitAutoencoder
from skae.objectives import PursuitObjective

N_PARTS = 24


def quick(**params):
    defaults = {"n_components": 32, "n_active": 3, "max_iter": 4, "random_state": 0}
    return SparseAutoencoderTransformer(**{"early_stopping": False, **defaults, **params})


def make_sums(n_rows, seed=0, n_parts=N_PARTS, n_features=16):
    """Return rows that are sums of about two parts, and the parts."""
    parts = np.random.RandomState(0).normal(size=(n_parts, n_features))
    parts /= np.linalg.norm(parts, axis=1, keepdims=True)
    source = np.random.RandomState(seed)
    codes = (source.uniform(size=(n_rows, n_parts)) < 2 / n_parts) * source.uniform(
        1, 2, size=(n_rows, n_parts)
    )
    return codes @ parts + 0.02 * source.normal(size=(n_rows, n_features)), parts


@pytest.fixture(scope="module")
def sums():
    return make_sums(600)[0]


@pytest.fixture(scope="module")
def few(sums):
    """Rows for tests that are not about what is learned."""
    return sums[:200]


@pytest.fixture(scope="module")
def model(sums):
    return quick(max_iter=12).fit(sums)


def test_sums_of_few_parts_are_reconstructed_far_better_than_by_pca(model):
    X, _ = make_sums(500, seed=1)
    pca = PCA(3).fit(make_sums(600)[0])
    left = ((X - pca.inverse_transform(pca.transform(X))) ** 2).sum()
    assert 1 - model.score(X) < 0.3 * left / ((X - pca.mean_) ** 2).sum()
    assert model.reconstruction_error_ < 0.3 * model.pca_reconstruction_error_


def test_the_dictionary_holds_the_parts(model):
    _, parts = make_sums(1)
    cosines = parts @ model.components_.T
    assert np.median(cosines.max(axis=1)) > 0.95


def test_a_part_of_many_rows_is_the_start_of_few_dictionary_rows():
    rows, parts = make_sums(1000, n_parts=200)
    rows += np.random.RandomState(1).choice([0, 8], size=(1000, 1)) * parts[0]
    model = quick(learning_rate_init=1e-6, max_iter=1).fit(rows)
    assert np.mean(np.abs(model.components_ @ parts[0]) > 0.9) < 0.2


def test_the_floor_is_pca_with_as_many_components_as_active_codes():
    X, _ = make_sums(400)
    model = quick(max_iter=1).fit(X)
    pca = PCA(3).fit(X)
    left = ((X - pca.inverse_transform(pca.transform(X))) ** 2).mean()
    assert_allclose(model.pca_reconstruction_error_, left, rtol=1e-4)


def test_rows_that_are_no_sums_of_parts_give_a_warning():
    X = np.random.RandomState(0).normal(size=(40, 3)) @ np.diag([1.0, 5.0, 0.01])
    with pytest.warns(NotBetterThanPCAWarning, match="PCA with 2 components"):
        quick(n_active=2, n_components=4, max_iter=1).fit(X)


def test_codes_are_few_and_not_negative_in_a_csr_matrix(model):
    X, _ = make_sums(500, seed=1)
    codes = model.transform(X)
    assert sparse.issparse(codes)
    assert codes.format == "csr"
    assert codes.shape == (500, 32)
    assert codes.dtype == np.float32
    assert codes.has_canonical_format
    assert (codes.data > 0).all()
    assert abs(codes.nnz / 500 - 3) < 0.5
    assert abs(model.n_active_ - 3) < 0.3


@pytest.mark.mostly_slow(4)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_reconstructions_are_the_codes_times_the_dictionary(few, dtype, offset):
    X = few + offset
    model = quick(dtype=dtype).fit(X)
    codes = model.transform(X)
    expected = codes.toarray() @ model.components_.astype(float) + model.intercept_
    tolerance = {"rtol": 1e-5, "atol": 1e-5}
    assert_allclose(model.inverse_transform(codes), expected, **tolerance)
    assert_allclose(model.inverse_transform(codes.tocoo()), expected, **tolerance)
    assert_allclose(model.inverse_transform(codes.toarray()), expected, **tolerance)
    assert_allclose(model.reconstruction_errors(X), (X - expected) ** 2, rtol=1e-3, atol=1e-4)
    left = ((X - expected) ** 2).sum() / ((X - model.mean_) ** 2).sum()
    assert_allclose(model.score(X), 1 - left, atol=1e-5)
    assert_allclose(model.score_samples(X), -((X - expected) ** 2).mean(1), rtol=1e-3, atol=1e-5)


def test_dictionary_rows_have_unit_length(model):
    assert_allclose(np.linalg.norm(model.components_, axis=1), 1, rtol=1e-5)


@pytest.mark.slow
def test_no_code_of_a_table_with_enough_parts_is_dead():
    X, _ = make_sums(1000, n_parts=64)
    model = quick(max_iter=2).fit(X)
    assert len(model.dead_codes_) == 0
    assert_array_equal(model.dead_codes_, np.flatnonzero(model.activity_ == 0))
    counts = np.asarray((model.transform(X) > 0).mean(axis=0)).ravel()
    assert_allclose(model.activity_, counts, atol=2 / len(X))


@pytest.mark.slow
def test_dead_codes_are_revived():
    rows = torch.from_numpy(make_sums(300)[0].astype(np.float32))
    module = PursuitAutoencoder(16, 32, 3, generator=torch.Generator().manual_seed(0))
    module.directions.data[8:] = -rows.mean(0)
    module.normalise_()
    objective = PursuitObjective([32])
    optimizer = torch.optim.Adam(module.parameters(), 0.1)
    for _ in range(60):
        optimizer.zero_grad()
        objective(module, rows, rows)[0].backward()
        optimizer.step()
        module.normalise_()
    assert ((module.pursue(rows)[0] > 0).any(0)).all()


@pytest.mark.slow
def test_first_codes_of_nested_ones_reconstruct_by_themselves(sums):
    def score_of_first(model, n_codes):
        codes = model.transform(sums).tolil()
        codes[:, n_codes:] = 0
        left = sums - model.inverse_transform(codes.tocsr())
        return 1 - (left**2).sum() / ((sums - sums.mean(0)) ** 2).sum()

    plain, nested = (quick(nested=nested, max_iter=6).fit(sums) for nested in (None, (8, 16)))
    assert score_of_first(nested, 8) > score_of_first(plain, 8) + 0.05
    assert score_of_first(nested, 32) > 0.5


@pytest.mark.slow
def test_more_rounds_find_better_codes(few):
    errors = [quick(n_rounds=n_rounds).fit(few).reconstruction_error_ for n_rounds in (1, 3)]
    assert errors[1] < errors[0]


def test_codes_of_a_row_do_not_depend_on_other_rows(model, sums):
    whole = model.transform(sums[:100]).toarray()
    for rows in (slice(0, 1), slice(7, 30), slice(None, None, -1)):
        assert_allclose(model.transform(sums[:100][rows]).toarray(), whole[rows], atol=1e-5)


def test_chunks_of_rows_train_the_model_further():
    X, _ = make_sums(500, seed=99)
    model, scores = quick(n_active=2), []
    for seed in range(4):
        model.partial_fit(make_sums(300, seed=seed)[0])
        scores.append(model.score(X))
    assert scores[-1] > scores[0] + 0.05
    assert 1 < model.transform(X).nnz / 500 < 3


def test_a_warm_start_continues_with_the_same_codes(few):
    model = quick(warm_start=True).fit(few)
    before = model.components_
    model.set_params(max_iter=1).fit(few)
    cosines = (before * model.components_).sum(axis=1)
    assert np.median(cosines) > 0.9
    with pytest.raises(ValueError, match="n_active"):
        model.set_params(n_active=5).fit(few)


@pytest.mark.filterwarnings("ignore::skae.exceptions.NotBetterThanPCAWarning")
def test_weights_of_rows_count(sums):
    X = np.vstack([sums[:300], 5 + np.random.RandomState(0).normal(size=(100, 16))])
    weights = np.repeat([1.0, 1e-3], [300, 100])
    model = quick(max_iter=2)
    plain, weighted = clone(model).fit(X), model.fit(X, sample_weight=weights)
    errors = [-model.score_samples(X[:300]).mean() for model in (plain, weighted)]
    assert errors[1] < errors[0]


def test_equal_seeds_give_equal_codes_and_others_do_not(few):
    model, again, other = (
        quick(max_iter=1, early_stopping=True, random_state=seed).fit(few).transform(few).toarray()
        for seed in (0, 0, 1)
    )
    assert_array_equal(again, model)
    assert not np.array_equal(other, model)


def test_a_model_survives_a_pickle(model, sums):
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.transform(sums).toarray(), model.transform(sums).toarray())
    assert_array_equal(again.components_, model.components_)
    assert again.partial_fit(sums[:100]).score(sums) > 0.5


@pytest.mark.slow
def test_classifiers_take_the_codes_in_a_pipeline():
    X, y = load_digits(return_X_y=True)
    pipeline = make_pipeline(
        quick(n_components=64, n_active=6, max_iter=1), LogisticRegression(C=0.1, max_iter=200)
    )
    assert pipeline.fit(X[:600], y[:600]).score(X[600:], y[600:]) > 0.85


def test_frames_of_codes_need_dense_codes(sums):
    with pytest.raises(ValueError, match="`sparse_output` must be False"):
        quick(max_iter=1).set_output(transform="pandas").fit_transform(sums)
    frame = quick(max_iter=1, sparse_output=False).set_output(transform="pandas")
    frame = frame.fit_transform(sums[:50])
    assert frame.shape == (50, 32)
    assert frame.columns[31] == "sparseautoencodertransformer31"


def test_tables_may_be_sparse(few):
    X = np.where(np.abs(few) > 0.3, few, 0)
    dense, other = (quick().fit(own).transform(X) for own in (X, sparse.csr_matrix(X)))
    assert_allclose(dense.toarray(), other.toarray(), atol=1e-3)


def test_images_come_back_as_images(sums):
    X = sums.reshape(-1, 4, 4)
    model = quick(max_iter=1).fit(X)
    assert model.inverse_transform(model.transform(X[:5])).shape == (5, 4, 4)
    assert model.components_.shape == (32, 16)


@pytest.mark.parametrize(
    ("X", "n_dead"),
    [(np.ones((30, 4)), 8), (np.array([[0.0, 1.0], [1.0, 0.0]]), None), (np.eye(3), None)],
    ids=["constant", "two rows", "fewer rows than codes"],
)
@pytest.mark.filterwarnings("ignore::skae.exceptions.NotBetterThanPCAWarning")
def test_odd_tables_have_finite_codes(X, n_dead):
    model = quick(n_components=8, n_active=2).fit(X)
    assert np.isfinite(model.transform(X).toarray()).all()
    assert np.isfinite(model.inverse_transform(model.transform(X))).all()
    assert n_dead is None or len(model.dead_codes_) == n_dead


def test_rows_to_start_from_are_drawn_by_weight_and_errors_are_those_of_nested_codes():
    heavy = torch.tensor([3, 8, 9])
    weights = torch.full((40,), 1e-6).index_fill_(0, heavy, 1e6)
    table = SimpleNamespace(training_rows=torch.arange(40), weights=weights)
    drawn = _draw_rows(table, 3, torch.Generator().manual_seed(0))
    assert drawn.sort().values.tolist() == heavy.tolist()
    assert SparseCodes(32, 3, 2, nested=(8, 16)).make_objective(table, None).widths == (8, 16, 32)


def test_few_held_out_rows_are_mixed_with_the_thresholds_of_training(few):
    rows = torch.tensor(few, dtype=torch.float32)
    family, start = SparseCodes(32, 3, 2), torch.tensor([0.5, 0.4])
    for n_rows, share in ((20, 0.12), (200, 1.0)):
        module = PursuitAutoencoder(16, 32, 3, n_rounds=2)
        module.thresholds.copy_(start)
        found = module.pursue(rows[:n_rows])[1]
        family.settle_(module, None, WeightedRows(DenseRows(rows[:n_rows])))
        torch.testing.assert_close(module.thresholds, start.lerp(found, share))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_active": 0}, "'n_active'"),
        ({"n_components": 0.5}, "'n_components'"),
        ({"nested": (16, 8)}, "`nested` must be None or numbers of codes in ascending order"),
        ({"nested": (8, 32)}, "`nested` must be None"),
        ({"nested": (0, 8)}, "`nested` must be None"),
        ({"nested": (8.5,)}, "`nested` must be None"),
        ({"nested": 8}, "'nested'"),
        ({"learning_rate_init": 0}, "'learning_rate_init'"),
    ],
)
def test_invalid_parameters_are_refused(sums, params, message):
    with pytest.raises(ValueError, match=message):
        quick(**params).fit(sums)


def test_rows_and_codes_that_do_not_fit_are_refused(model, sums):
    with pytest.raises(ValueError, match="NaN"):
        quick().fit(np.where(sums > 1, np.nan, sums))
    with pytest.raises(ValueError, match="32 columns, one for each code"):
        model.inverse_transform(np.zeros((2, 5)))
    with pytest.raises(ValueError, match="features"):
        model.transform(sums[:, :3])
