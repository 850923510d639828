"""Held-out rows choose the number of epochs, and are then trained on."""

import weakref

import numpy as np
import pytest
from scipy import sparse
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer, VariationalAutoencoderTransformer
from skae._engine.fitting import fit as _fit
from skae._engine.tables.rows import DenseRows

pytestmark = pytest.mark.filterwarnings("ignore::skae.exceptions.NotBetterThanPCAWarning")


def make_wide(n_samples=200, n_features=600):
    """Return rows with many columns, so that a held-out tenth matters."""
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(n_samples, 3)) @ rng.normal(size=(3, n_features))
    return 5 + signal + rng.normal(size=(n_samples, n_features))


@pytest.mark.mostly_slow(4)
@pytest.mark.parametrize("hold", [np.asarray, sparse.csr_matrix], ids=["dense", "sparse"])
@pytest.mark.parametrize("params", [{}, {"whiten": True}, {"dtype": "float64"}], ids=str)
def test_a_model_that_stays_pca_is_the_pca_of_all_rows(hold, params):
    X = make_wide()
    model = AutoencoderTransformer(3, max_iter=1, random_state=0, **params).fit(hold(X))
    pca = PCA(3, whiten=params.get("whiten", False)).fit(X)
    assert model.best_iter_ == 0
    np.testing.assert_allclose(model.mean_, pca.mean_, rtol=1e-5)
    np.testing.assert_allclose(
        np.abs(model.transform(X)), np.abs(pca.transform(X)), rtol=0.01, atol=0.01
    )
    assert model.reconstruction_error_ == model.pca_reconstruction_error_
    # The error is that of the held-out rows.
    assert model.reconstruction_error_ > 1.02 * -model.score_samples(X).mean()


def test_a_weighted_model_that_stays_pca_counts_weights_of_all_rows():
    X = make_wide()
    weights = np.random.default_rng(1).integers(1, 4, len(X))
    model = AutoencoderTransformer(3, max_iter=1, random_state=0).fit(X, sample_weight=weights)
    np.testing.assert_allclose(model.mean_, np.average(X, axis=0, weights=weights), rtol=1e-6)


def make_bent(n_samples, n_features):
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 3, size=(n_samples, 1))
    return np.sin(angle + np.linspace(0, 6, n_features)) + 0.01 * rng.normal(
        size=(n_samples, n_features)
    )


def test_few_rows_are_all_trained_on_for_the_chosen_epochs():
    X = make_bent(120, 160)
    model = AutoencoderTransformer(1, max_iter=8, random_state=0).fit(X)
    assert model.best_iter_ > 0
    np.testing.assert_allclose(model.mean_, X.mean(axis=0), atol=1e-12)
    assert len(model.validation_loss_curve_) == model.n_iter_ + 1


def test_many_rows_keep_the_network_that_was_judged():
    X = make_bent(1500, 8)
    model = AutoencoderTransformer(1, max_iter=8, random_state=0).fit(X)
    assert model.best_iter_ > 0
    assert np.abs(model.mean_ - X.mean(axis=0)).max() > 1e-6


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize(
    "model",
    [
        AutoencoderTransformer(2, max_iter=4, random_state=0),
        AutoencoderTransformer(2, max_iter=4, random_state=0, corruption="gaussian"),
        AutoencoderTransformer(2, max_iter=4, random_state=0, init="random"),
        AutoencoderTransformer(2, max_iter=4, random_state=0, missing="mask"),
        VariationalAutoencoderTransformer(2, max_iter=4, random_state=0),
    ],
    ids=["plain", "denoising", "random", "masked", "variational"],
)
def test_codes_are_described_on_all_rows_of_the_fit(model):
    X = make_bent(1200, 8)
    if getattr(model, "missing", None):
        X[np.random.default_rng(1).random(X.shape) < 0.1] = np.nan
    codes = model.fit_transform(X).astype(float)
    np.testing.assert_allclose(codes.mean(axis=0), 0, atol=1e-4 * codes.std())
    if not isinstance(model, VariationalAutoencoderTransformer):
        explained = model.explained_variance_ratio_.sum()
        np.testing.assert_allclose(explained, model.score(X), atol=1e-5)
        assert abs(np.corrcoef(codes.T)[0, 1]) < 1e-4


@pytest.mark.mostly_slow(6)
@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.csc_array, sparse.coo_array])
@pytest.mark.parametrize("shape", [(150, 12), (1100, 12)], ids=str)
def test_a_sparse_table_makes_the_model_of_the_dense_one(kind, shape):
    X = np.maximum(make_bent(*shape), 0)
    params = {"n_components": 2, "max_iter": 3, "random_state": 0}
    dense = AutoencoderTransformer(**params).fit(X)
    loose = AutoencoderTransformer(**params).fit(kind(X))
    np.testing.assert_array_equal(loose.transform(X), dense.transform(X))
    assert loose.validation_loss_curve_ == dense.validation_loss_curve_


def test_a_sparse_table_beyond_cross_validation_makes_the_model_of_the_dense_one(monkeypatch):
    monkeypatch.setattr(_fit, "_MAX_CROSS_VALIDATED_CELLS", 0)
    X = np.maximum(make_bent(1100, 12), 0)
    params = {"n_components": 2, "max_iter": 3, "random_state": 0}
    dense, loose = (
        AutoencoderTransformer(**params).fit(kind(X)) for kind in (np.asarray, sparse.csr_array)
    )
    np.testing.assert_allclose(loose.transform(X), dense.transform(X), rtol=1e-3, atol=1e-3)


def test_rows_of_one_training_are_gone_before_those_of_the_next_are_made(monkeypatch):
    made, kept = [], DenseRows.__init__

    def make(self, *args, **kwargs):
        n_alive.append(sum(rows() is not None for rows in made))
        kept(self, *args, **kwargs)
        made.append(weakref.ref(self))

    n_alive: list[int] = []
    monkeypatch.setattr(DenseRows, "__init__", make)
    X = np.random.default_rng(0).normal(size=(1200, 300)).astype(np.float32)
    assert AutoencoderTransformer(2, max_iter=1, random_state=0).fit(X).best_iter_ == 0
    # Of each training there are those on the CPU, and these on their device.
    assert n_alive == [0, 1, 0, 1]
