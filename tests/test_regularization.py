"""Tied weights, dropout, normalisation."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.decomposition import PCA

from skae.modules import ACTIVATIONS

OPTIONS = [
    {"normalization": "batch"},
    {"normalization": "layer"},
    {"dropout": 0.3},
    {"tied_weights": True},
    {"tied_weights": True, "normalization": "layer", "dropout": 0.2, "penalty": "l1"},
]


def name_options(options):
    return "-".join(options)


@pytest.mark.mostly_slow(8, first=2)
@pytest.mark.parametrize("options", OPTIONS, ids=name_options)
def test_options_go_with_every_way_of_training(digits, any_autoencoder, options):
    X = digits[0][:100]
    estimator = any_autoencoder.set_params(**options)
    first, second = estimator.fit(X), clone(estimator).fit(X)
    np.testing.assert_array_equal(first.transform(X), second.transform(X))
    # Transforming is not random, unlike training.
    np.testing.assert_array_equal(first.transform(X), first.transform(X))


@pytest.mark.mostly_slow(5)
@pytest.mark.parametrize("options", OPTIONS, ids=name_options)
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_the_start_is_pca_with_every_option(digits, quick, options, activation):
    X, _ = digits
    params = {"max_iter": 1, "learning_rate_init": 1e-12, "output_range": None}
    model = quick(**{**options, "penalty": None}, **params, activation=activation).fit(X)
    pca = PCA(4).fit(X)
    expected = pca.inverse_transform(pca.transform(X))
    np.testing.assert_allclose(model.inverse_transform(model.transform(X)), expected, atol=1e-4)


@pytest.mark.slow
def test_a_batch_of_one_row_is_no_error(digits, quick):
    for normalization in ["batch", "layer"]:
        for n_rows in [2, 9]:
            X = digits[0][:n_rows]
            model = quick(normalization=normalization, batch_size=1, n_components=1).fit(X)
            model.partial_fit(X[:1])
            assert np.isfinite(model.transform(X)).all()


def test_codes_do_not_depend_on_the_other_rows(digits, quick):
    X, _ = digits
    model = quick(normalization="batch", max_iter=5, early_stopping=False).fit(X)
    np.testing.assert_allclose(model.transform(X)[:7], model.transform(X[:7]), atol=1e-5)


def test_tied_weights_are_half_the_weights(images, quick):
    X = images

    def count(model):
        stacks = (model.net_.module_.encoder, model.net_.module_.decoder)
        return sum(p.numel() for stack in stacks for p in stack.parameters() if p.ndim == 2)

    tied, plain = quick(tied_weights=True).fit(X), quick().fit(X)
    assert 2 * count(tied) == count(plain)


def test_tied_weights_stay_tied_through_training_and_pickling(digits, quick):
    import pickle

    X, _ = digits
    model = quick(tied_weights=True, max_iter=5, early_stopping=False).fit(X)
    restored = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(restored.transform(X), model.transform(X))
    with torch.no_grad():
        restored.net_.module_.encoder.linears[0].weight.zero_()
    # The decoder's last layer is the encoder's first.
    reconstruction = restored.inverse_transform(restored.transform(X[:2]))
    assert not np.allclose(reconstruction, model.inverse_transform(model.transform(X[:2])))


def test_dropout_leaves_the_global_generator_alone(digits, quick):
    before = torch.get_rng_state()
    quick(dropout=0.5).fit(digits[0])
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.slow
def test_deep_networks_learn_with_normalisation(digits, quick):
    X, _ = digits
    params = {"hidden_layer_sizes": (32, 32, 32), "max_iter": 20, "early_stopping": False}
    model = quick(normalization="layer", n_components=8, **params).fit(X)
    assert model.reconstruction_error_ < 0.5 * model.pca_reconstruction_error_


@pytest.mark.parametrize("dropout", [-0.1, 1.0])
def test_dropout_is_a_share_below_one(digits, quick, dropout):
    with pytest.raises(ValueError, match="dropout"):
        quick(dropout=dropout).fit(digits[0])
