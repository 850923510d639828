"""Codes that keep nearest neighbours."""

import pickle

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.preprocessing import normalize

from skae import AdversarialAutoencoderTransformer, AutoencoderTransformer, load, save
from skae._engine.fitting.packing import pack_net, unpack_net
from skae.corruption import MaskingNoise
from skae.exceptions import NotBetterThanPCAWarning
from skae.metrics import neighbors_kept
from skae.objectives import NeighborLoss

# Most tests do not depend on whether a network is clearly better after a few steps.
pytestmark = pytest.mark.filterwarnings("ignore::skae.exceptions.NotBetterThanPCAWarning")

LINEAR_MAPS = ["half_whitened_pca", "pca", "svd"]
METRICS = ["cosine", "euclidean"]


@pytest.fixture(scope="module")
def X():
    return load_digits().data[:800] / 16


def make_model(**params):
    defaults = {"loss": "neighbors", "max_iter": 5, "hidden_layer_sizes": 64, "batch_size": 128}
    return AutoencoderTransformer(**{"n_components": 6, "random_state": 0, **defaults, **params})


def make_linear():
    """Return rows that a linear map describes completely."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(300, 2)) @ rng.normal(size=(2, 8))


@pytest.fixture(
    scope="module", params=["cosine", pytest.param("euclidean", marks=pytest.mark.slow)]
)
def fitted(request, X):
    return make_model(loss=NeighborLoss(request.param), max_iter=15).fit(X[:600])


def test_new_rows_keep_more_neighbours_than_with_pca(fitted, X):
    metric = fitted.loss.metric
    kept = [
        neighbors_kept(X, model.transform(X), metric=metric, n_queries=300)
        for model in (fitted, PCA(6).fit(X[:600]))
    ]
    assert kept[0] > 1.08 * kept[1]


def test_the_shares_of_neighbours_kept_by_the_model_and_linear_maps_are_recorded(fitted):
    assert sorted(fitted.linear_neighbors_kept_) == LINEAR_MAPS
    best = max(fitted.linear_neighbors_kept_.values())
    assert fitted.linear_neighbors_kept_[fitted.linear_start_] == best
    # The model starts as this map.
    assert 1 - fitted.validation_loss_curve_[0] == pytest.approx(best)
    assert fitted.neighbors_kept_ > best
    assert fitted.neighbors_kept_ == 1 - fitted.validation_loss_curve_[fitted.best_iter_]


def test_codes_are_uncorrelated_and_in_order(fitted, X):
    codes = fitted.transform(X[:600])
    correlations = np.corrcoef(codes.T) - np.eye(6)
    assert np.abs(correlations).max() < 1e-3
    ratios = fitted.explained_variance_ratio_
    assert (np.diff(ratios) <= 0).all()
    assert ratios.sum() == pytest.approx(fitted.score(X[:600]), abs=1e-3)


def test_codes_by_cosine_have_unit_length(X):
    X = X[:200]
    codes = make_model().fit(X).transform(X)
    np.testing.assert_allclose(np.linalg.norm(codes, axis=1), 1, rtol=1e-5)


@pytest.mark.slow
def test_short_codes_learn_a_higher_temperature(X):
    module = make_model(max_iter=10, early_stopping=False).fit(X).net_.module_
    assert 0.3 < module.scale_logits(torch.ones(())) < 0.95


def test_weights_of_0_2_0_can_be_loaded(X):
    net = make_model(max_iter=1).fit(X[:200]).net_
    rows = torch.rand(5, X.shape[1], generator=torch.Generator().manual_seed(0))
    expected, packed = net.module_.encode(rows), pack_net(net)
    del packed["arrays"]["logit_scale"]
    module, _, _ = unpack_net(packed)
    torch.testing.assert_close(module.encode(rows), expected)
    assert module.scale_logits(torch.ones(())) == 1


def test_codes_of_distances_have_the_scale_of_the_rows(X):
    def spread(table):
        return np.sqrt(table.var(0).sum())

    X = X[:200]
    models = [make_model(loss=NeighborLoss("euclidean")).fit(t).transform(t) for t in (X, 100 * X)]
    np.testing.assert_allclose(100 * models[0], models[1], rtol=1e-2, atol=1e-1)
    assert 0.5 * spread(X) < spread(models[0]) < 1.2 * spread(X)


def test_rows_are_reconstructed(fitted, X):
    reconstruction = fitted.inverse_transform(fitted.transform(X))
    assert reconstruction.shape == X.shape
    assert fitted.score(X) > 0.4


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize("metric", METRICS)
def test_a_linear_map_that_keeps_all_neighbours_is_kept_with_a_warning(metric):
    X = make_linear()
    model = make_model(n_components=2, loss=NeighborLoss(metric), max_iter=5)
    with pytest.warns(NotBetterThanPCAWarning, match="so the model is"):
        model.fit(X)
    assert model.best_iter_ == 0
    assert neighbors_kept(X, model.transform(X), metric=metric) > 0.99


def test_best_linear_map_is_the_one_that_the_data_ask_for():
    # Cosines of rows with a common direction need the mean, which PCA removes.
    rng = np.random.default_rng(0)
    X = np.hstack([rng.normal(size=(500, 3)), 2 + 2 * rng.random((500, 1))])
    with pytest.warns(NotBetterThanPCAWarning, match="without centring"):
        model = make_model(n_components=4, max_iter=1).fit(X)
    assert model.linear_start_ == "svd"
    assert model.linear_neighbors_kept_["svd"] > 0.99 > model.linear_neighbors_kept_["pca"]
    assert neighbors_kept(X, model.transform(X)) > 0.99


def test_fits_are_reproducible_and_survive_pickling_and_saving(X, tmp_path):
    X = X[:200]
    model, again = make_model().fit(X), make_model().fit(X)
    codes = model.transform(X)
    np.testing.assert_array_equal(codes, again.transform(X))
    save(model, tmp_path / "model.skae")
    for copy in (pickle.loads(pickle.dumps(model)), load(tmp_path / "model.skae")):
        np.testing.assert_array_equal(codes, copy.transform(X))
        np.testing.assert_array_equal(model.inverse_transform(codes), copy.inverse_transform(codes))
        assert copy.neighbors_kept_ == model.neighbors_kept_
        assert copy.linear_start_ == model.linear_start_


def test_parameters_of_the_loss_can_be_set_and_cloned():
    model = clone(make_model(loss=NeighborLoss()).set_params(loss__metric="euclidean"))
    assert model.loss.metric == "euclidean"
    assert model.get_params()["loss__temperature"] == NeighborLoss().temperature


@pytest.mark.slow
def test_a_heavy_row_counts_for_more(X):
    X = X[:150]
    weights = np.where(np.arange(len(X)) % 2, 10.0, 0.1)
    even, weighted = make_model().fit(X), make_model().fit(X, sample_weight=weights)
    assert not np.allclose(even.transform(X), weighted.transform(X), atol=1e-3)
    double = make_model().fit(X, sample_weight=np.full(len(X), 7.0))
    np.testing.assert_allclose(double.transform(X), even.transform(X), atol=1e-3)


def test_a_row_of_weight_zero_has_no_influence(X):
    weights = np.r_[np.ones(200), np.zeros(200)]
    X = X[:400]
    spoilt = np.vstack([X[:200], 50 + X[200:]])
    a = make_model().fit(X, sample_weight=weights)
    b = make_model().fit(spoilt, sample_weight=weights)
    np.testing.assert_array_equal(a.transform(X), b.transform(X))


@pytest.mark.mostly_slow(3)
@pytest.mark.parametrize(
    "params",
    [
        {"corruption": MaskingNoise(0.2)},
        {"early_stopping": False},
        {"init": "random"},
        {"dtype": "float64"},
        {"loss": NeighborLoss("euclidean"), "n_components": 0.8},
        {"learning_rate": "adaptive"},
        {"tied_weights": True},
        {"output_range": None, "n_components": 80},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore::skae.exceptions.SkaeWarning")
def test_the_neighbor_loss_goes_with_other_parameters(X, params):
    model = make_model(**{**params, "max_iter": 2}).fit(X[:200])
    assert np.isfinite(model.inverse_transform(model.transform(X))).all()


def test_training_continues(X):
    X = X[:200]
    model = make_model(warm_start=True, max_iter=2).fit(X).fit(X)
    assert model.net_.module_.spherical
    model.partial_fit(X[:100])
    assert np.isfinite(model.transform(X)).all()


def test_sparse_rows_and_images(X):
    X = X[:200]
    dense, by_csr = (make_model(output_range=None).fit(t) for t in (X, sparse.csr_matrix(X)))
    np.testing.assert_allclose(dense.transform(X), by_csr.transform(X), atol=2e-2)
    images = X[:100].reshape(-1, 1, 8, 8)
    model = make_model(architecture="conv", hidden_layer_sizes="auto", max_iter=1).fit(images)
    assert model.inverse_transform(model.transform(images)).shape == images.shape


@pytest.mark.mostly_slow(3, first=1)
@pytest.mark.parametrize("n_rows", [2, 3, 12])
def test_few_rows_are_no_error(X, n_rows):
    assert make_model(n_components=2).fit(X[:n_rows]).transform(X).shape == (len(X), 2)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"penalty": "l1"}, "`penalty` must be None"),
        ({"whiten": True}, "`whiten` must be False"),
        ({"rotation": "varimax"}, "`rotation` must be 'pca'"),
        ({"missing": "mask"}, "`missing` must be None"),
    ],
)
def test_parameters_that_would_change_neighbours_are_refused(X, params, message):
    with pytest.raises(ValueError, match=message):
        make_model(**params).fit(X)


def test_other_estimators_refuse_the_loss(X):
    with pytest.raises(ValueError, match="`AutoencoderTransformer` alone"):
        AdversarialAutoencoderTransformer(2, loss=NeighborLoss()).fit(X)


def test_other_losses_record_no_neighbours(X, quick):
    X = X[:200]
    model = make_model(max_iter=1).fit(X).set_params(loss="squared_error").fit(X)
    for name in ("neighbors_kept_", "linear_neighbors_kept_", "linear_start_"):
        assert not hasattr(model, name)


def test_equal_rows_by_cosine_of_unequal_length_have_equal_neighbours():
    X = normalize(np.random.default_rng(0).normal(size=(300, 5)))
    lengths = np.exp(np.random.default_rng(1).normal(size=(300, 1)))
    with pytest.warns(NotBetterThanPCAWarning):
        model = make_model(n_components=5, max_iter=1).fit(X * lengths)
    assert model.linear_neighbors_kept_["svd"] > 0.99
