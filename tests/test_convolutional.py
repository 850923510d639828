"""Convolutional networks, on images and signals of any size."""

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.model_selection import GridSearchCV
from torch import nn

from skae import (
    AdversarialAutoencoderTransformer,
    AutoencoderImputer,
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    VariationalAutoencoderTransformer,
)
from skae.architectures import Convolutional
from skae.modules import ConvolutionalDecoder, ConvolutionalEncoder, StackPlan

pytestmark = [
    pytest.mark.usefixtures("few_draws"),
    pytest.mark.filterwarnings("ignore::skae.exceptions.SkaeWarning"),
]

TINY = Convolutional(n_channels=(2, 3))


@pytest.fixture(scope="module")
def images(images):
    return images[:60]


def make(kind=AutoencoderTransformer, **params):
    defaults = {"architecture": TINY, "sample_shape": (1, 8, 8), "max_iter": 2, "random_state": 0}
    if kind is not AdversarialAutoencoderTransformer:
        defaults["early_stopping"] = False
    return kind(3, **(defaults | params))


@pytest.mark.mostly_slow(3, first=1)
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_samples_of_any_size_keep_their_size(kernel_size):
    images = [(1, 28, 28), (3, 9, 7), (2, 1, 5), (1, 1, 1), (1, 2, 130)]
    for shape in [*images, (1, 100), (4, 33), (2, 1)]:
        plan = StackPlan(shape, n_components=2, n_encoder_outputs=4)
        encoder, decoder = Convolutional(kernel_size=kernel_size).make_stacks(plan)
        rows = torch.ones(3, plan.n_features)
        assert encoder(rows).shape == (3, 4), shape
        assert decoder(torch.ones(3, 2)).shape == rows.shape, shape


def test_layers_are_as_many_as_the_shape_needs():
    for shape, n_layers in [((1, 8, 8), 2), ((1, 32, 20), 2), ((1, 33, 1), 3), ((1, 1000), 7)]:
        encoder, decoder = Convolutional().make_stacks(StackPlan(shape, 2, 2))
        assert len(encoder.convolutions) == len(decoder.convolutions) == n_layers


def test_layers_compute_the_convolutions_of_torch():
    generator = torch.Generator().manual_seed(0)
    shape = (2, 7, 6)
    encoder = ConvolutionalEncoder(shape, 3, (4,), 3, (5,), generator=generator)
    decoder = ConvolutionalDecoder(shape, 3, (4,), 3, (5,), generator=generator)
    rows, code = torch.randn(5, 84), torch.randn(5, 3)
    maps = nn.functional.silu(encoder.convolutions[0](rows.view(5, *shape)))
    first, last = encoder.dense.linears
    expected = last(nn.functional.silu(first(maps.flatten(1))))
    torch.testing.assert_close(encoder(rows), expected)
    layer = decoder.convolutions[0]
    maps = nn.functional.silu(decoder.dense(code)).view(5, 4, 4, 3)
    expected = nn.functional.conv_transpose2d(
        maps, layer.weight, layer.bias, 2, 1, output_padding=(0, 1)
    )
    torch.testing.assert_close(decoder(code), expected.flatten(1))


@pytest.mark.parametrize("shape", [(2, 9), (2, 7, 6)])
def test_normalised_maps_do_not_depend_on_the_scale_of_the_weights(shape):
    rows = torch.randn(5, 2 * np.prod(shape[1:]), generator=torch.Generator().manual_seed(0))
    for normalization in ("batch", "layer"):
        encoder = ConvolutionalEncoder(shape, 3, (4,), normalization=normalization)
        expected = encoder(rows)
        encoder.convolutions[0].weight.data.mul_(10)
        torch.testing.assert_close(encoder(rows), expected, rtol=0, atol=1e-3)


@pytest.mark.mostly_slow(3, first=2)
@pytest.mark.parametrize("normalization", [None, "batch", "layer"])
def test_values_keep_their_size_from_layer_to_layer(normalization):
    # Initial weights preserve the variance of the input with the identity as activation.
    generator = torch.Generator().manual_seed(0)
    plan = StackPlan(
        (1, 64, 64), 8, 8, activation="identity", normalization=normalization, generator=generator
    )
    encoder, decoder = Convolutional().make_stacks(plan)
    code = encoder(torch.randn(64, 4096, generator=generator))
    assert 0.5 < code.std() < 2
    assert 0.5 < decoder(torch.randn(64, 8, generator=generator)).std() < 2


def test_convolutions_start_as_pca(images):
    model = make(learning_rate_init=1e-12, output_range=None).fit(images)
    assert model.reconstruction_error_ == pytest.approx(model.pca_reconstruction_error_, rel=1e-4)


@pytest.mark.slow
def test_weights_are_drawn_from_the_seed_alone(images):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    params = {"dropout": 0.2, "normalization": "batch"}
    first = make(**params).fit(images).transform(images)
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(make(**params).fit(images).transform(images), first)


# Further parameters, each for another part of the training.
COMBINATIONS = [
    {"penalty": "contractive"},
    {"penalty": "orthogonal"},
    {"penalty": "kl_sparsity", "normalization": "layer"},
    {"corruption": "masking", "dropout": 0.1, "early_stopping": True},
    {"missing": "mask", "corruption": "hiding"},
    {"loss": "binary_cross_entropy", "normalization": "batch"},
    {"loss": "poisson", "init": "random"},
    {"learning_rate": "adaptive", "dtype": "float64", "early_stopping": True},
    {"net_params": {"optimizer": torch.optim.SGD, "optimizer__momentum": 0.9}},
    {"mixed_precision": True},
    {"hidden_layer_sizes": (8,), "whiten": True, "activation": "relu"},
]


@pytest.mark.mostly_slow(3)
@pytest.mark.parametrize("params", COMBINATIONS, ids=str)
def test_convolutions_go_together_with(params, images):
    X = images.copy()
    if "missing" in params:
        X[::4, 10:20] = np.nan
    model = make(**params).fit(X, sample_weight=np.linspace(0, 1, len(X)))
    codes = model.transform(X)
    assert np.isfinite(codes).all()
    assert np.isfinite(model.inverse_transform(codes)).all()


@pytest.mark.parametrize(
    "kind", [VariationalAutoencoderTransformer, AdversarialAutoencoderTransformer]
)
def test_convolutions_in_models_that_draw(kind, images):
    model = make(kind).fit(images.reshape(-1, 1, 8, 8))
    assert model.sample(4, random_state=0).shape == (4, 1, 8, 8)
    assert np.isfinite(model.transform(images)).all()


def test_convolutions_take_rows_of_all_kinds(images, tmp_path):
    dense = make(output_range=None).fit(images)
    codes = dense.transform(images)
    rows = sparse.csr_array(images)
    of_sparse = make(output_range=None).fit(rows)
    np.testing.assert_allclose(of_sparse.transform(rows), codes, rtol=1e-3, atol=1e-3)
    np.save(tmp_path / "images.npy", images.reshape(-1, 1, 8, 8))
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    np.testing.assert_array_equal(dense.transform(mapped), codes)
    frame = dense.set_output(transform="pandas").transform(images.reshape(-1, 1, 8, 8))
    assert list(frame) == [f"autoencodertransformer{i}" for i in range(3)]


def test_training_continues_after_a_fit(images):
    samples = images.reshape(-1, 1, 8, 8)
    model = make(sample_shape=None, warm_start=True).fit(samples)
    assert model.fit(samples).n_iter_ == 2
    model.partial_fit(images[:50])
    with pytest.raises(ValueError, match="`architecture`"):
        model.set_params(architecture=Convolutional(n_channels=(4,))).fit(samples)


@pytest.mark.slow
def test_a_search_reaches_the_kernel(images):
    search = GridSearchCV(make(max_iter=1), {"architecture__kernel_size": [3, 5]}, cv=2)
    best = search.fit(images).best_estimator_
    shape = best.net_.module_.encoder.convolutions[0].kernel_size
    assert shape == (best.architecture.kernel_size,) * 2


def test_parameters_that_do_not_go_together_are_refused(images):
    for params, message in [
        ({"sample_shape": None}, r"`sample_shape` must be .*Got \(64,\)"),
        ({"sample_shape": (1, 2, 4, 8)}, "`sample_shape` must be"),
        ({"tied_weights": True}, "`tied_weights` must be False"),
        ({"architecture": Convolutional(kernel_size=4)}, "`kernel_size` must be odd"),
        ({"architecture": Convolutional(n_channels=())}, "`n_channels` must be"),
        ({"architecture": Convolutional(n_channels=(4, 0))}, "`n_channels` must be"),
        ({"architecture": Convolutional(n_channels=2.5)}, r"`n_channels` must be.*Got 2.5"),
        ({"architecture": Convolutional(n_channels="many")}, "`n_channels` must be"),
    ]:
        with pytest.raises(ValueError, match=message):
            make(**params).fit(images)


@pytest.mark.slow
def test_convolutions_learn_more_than_pca(images):
    model = make(architecture="conv", max_iter=15).fit(images)
    assert model.reconstruction_error_ < 0.7 * model.pca_reconstruction_error_


@pytest.mark.slow
def test_outliers_are_found_by_convolutions(images):
    detector = AutoencoderOutlierDetector(3, autoencoder=make()).fit(images)
    noise = np.random.RandomState(0).uniform(size=(5, 64))
    assert (detector.score_samples(noise) < np.median(detector.score_samples(images))).all()


def test_missing_pixels_are_filled_by_convolutions(images):
    X = images + 0.01 * np.random.RandomState(0).normal(size=images.shape)
    X[::3, 27:30] = np.nan
    imputer = AutoencoderImputer(3, autoencoder=make(max_iter=1), random_state=0)
    filled = imputer.fit_transform(X)
    assert np.isfinite(filled).all()
    np.testing.assert_allclose(filled[1::3], X[1::3])
