"""User-defined encoders and decoders, and samples of other shapes."""

import pickle
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from torch import nn

from skae import (
    AdversarialAutoencoderTransformer,
    AutoencoderTransformer,
    VariationalAutoencoderTransformer,
)
from skae.architectures import Architecture, Dense
from skae.base import Plain

pytestmark = pytest.mark.filterwarnings("ignore::skae.exceptions.SkaeWarning")


class Pictures(nn.Module):
    """Typical network of a user, with torch's initialisation of weights."""

    def __init__(self, sample_shape, n_components, n_outputs, width=6):
        super().__init__()
        _, height, _ = sample_shape
        self.encoder = nn.Sequential(
            nn.Conv2d(1, width, 3, stride=2, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Dropout(0.1),
            nn.Flatten(),
            nn.LazyLinear(n_outputs),
        )
        self.decoder = nn.Sequential(
            nn.Linear(n_components, width * (height // 2) ** 2),
            nn.Unflatten(1, (width, height // 2, height // 2)),
            nn.ConvTranspose2d(width, 1, 4, stride=2, padding=1),
        )


def make_pair(sample_shape, n_components, n_outputs):
    network = Pictures(sample_shape, n_components, n_outputs)
    return network.encoder, network.decoder


def make(kind=AutoencoderTransformer, architecture=Pictures, **params):
    params = {"sample_shape": (1, 8, 8), "max_iter": 1, "random_state": 0, **params}
    model = kind(3, architecture=architecture, **params)
    if "early_stopping" in model.get_params() and "early_stopping" not in params:
        model.set_params(early_stopping=False)
    return model


@pytest.mark.mostly_slow(3)
@pytest.mark.parametrize(
    "kind",
    [
        AutoencoderTransformer,
        VariationalAutoencoderTransformer,
        AdversarialAutoencoderTransformer,
    ],
)
@pytest.mark.parametrize("architecture", [Pictures, make_pair, partial(Pictures, width=2)])
def test_own_modules_are_trained(kind, architecture, images):
    model = make(kind, architecture).fit(images)
    codes = model.transform(images)
    assert codes.shape == (150, 3)
    assert model.inverse_transform(codes).shape == images.shape
    assert clone(model).architecture is not None
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.transform(images), codes)


def test_own_modules_start_as_pca(images):
    model = make(learning_rate_init=1e-12, output_range=None)
    model.fit(images)
    error = model.reconstruction_error_
    assert error == pytest.approx(model.pca_reconstruction_error_, rel=1e-4)


def test_own_modules_leave_the_global_generator_alone(images):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = make().fit(images).transform(images)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    second = make().fit(images).transform(images)
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_own_modules_compute_in_the_given_dtype(dtype, images):
    model = make(dtype=dtype).fit(images)
    assert model.transform(images).dtype == dtype


def swap(role, module):
    """Return a function that makes a pair with one module replaced."""

    def make_pair(sample_shape, n_components, n_outputs):
        network = Pictures(sample_shape, n_components, n_outputs)
        setattr(network, role, module)
        return network

    return make_pair


def test_networks_of_wrong_shapes_are_refused_before_training(images):
    for architecture, message in [
        (swap("encoder", nn.Sequential(nn.Conv2d(3, 4, 3))), r"layer `0` \(Conv2d.*in_channels=3"),
        (swap("encoder", nn.Sequential(nn.Flatten(), nn.Linear(60, 3))), r"in_features=60.*n, 64"),
        (swap("encoder", nn.Sequential(nn.Flatten(), nn.Linear(64, 5))), r"\(n, 3\).*Got \(n, 5\)"),
        (swap("encoder", nn.Sequential(nn.LSTM(8, 3), nn.Flatten())), "in its layer `[01]`"),
        (swap("decoder", nn.Linear(4, 64)), r"shape \(n, 3\).*in_features=4\), given \(n, 3\)"),
        (swap("decoder", nn.Linear(3, 60)), r"\(n, 1, 8, 8\).*Got \(n, 60\)"),
        (lambda n_features, n_codes: None, "must take three arguments.*too many positional"),
        (lambda *sizes: nn.Linear(64, 3), "must make a pair of torch modules"),
        (nn.Linear(64, 3), "Pass its class"),
        (Dense, "must be an instance"),
    ]:
        with pytest.raises(ValueError, match=message):
            make(architecture=architecture).fit(images)


def test_parameters_without_use_are_refused(images):
    for params in [
        {"tied_weights": True},
        {"hidden_layer_sizes": (8,)},
        {"activation": "relu"},
        {"normalization": "batch"},
        {"dropout": 0.1},
    ]:
        with pytest.raises(ValueError, match=f"`{next(iter(params))}` must be"):
            make(**params).fit(images)


class Wide(Architecture):
    def __init__(self, n_units=8):
        self.n_units = n_units

    def make_stacks(self, plan):
        return Dense().make_stacks(replace(plan, hidden_layer_sizes=(self.n_units,)))


@pytest.mark.slow
def test_a_search_reaches_the_parameters_of_an_architecture(images):
    search = GridSearchCV(
        AutoencoderTransformer(2, architecture=Wide(), max_iter=1),
        {"architecture__n_units": [3, 5]},
        cv=2,
    ).fit(images)
    assert search.best_estimator_.net_.module_.encoder.linears[0].out_features in (3, 5)


class Wrong(Architecture):
    """Dense layers with a wrong number of outputs."""

    def __init__(self, wrong):
        self.wrong = wrong

    def make_stacks(self, plan):
        sizes = [plan.n_inputs, plan.n_encoder_outputs, plan.n_components, plan.n_features]
        sizes[self.wrong] += 1
        return nn.Linear(*sizes[:2]), nn.Linear(*sizes[2:])


def test_an_architecture_with_wrong_shapes_is_refused_before_training(images):
    for wrong, message in [
        (0, r"an encoder that takes tensors of shape \(n, 64\)"),
        (1, r"an encoder that returns tensors of shape \(n, 3\).*Got \(n, 4\)"),
        (2, r"a decoder that takes tensors of shape \(n, 3\)"),
        (3, r"a decoder that returns tensors of shape \(n, 64\).*Got \(n, 65\)"),
    ]:
        with pytest.raises(ValueError, match=message):
            make(architecture=Wrong(wrong)).fit(images)


@pytest.mark.parametrize(
    ("sample_shape", "message"),
    [
        ((1, 8, 9), r"as many cells as X has columns, 64. Got \(1, 8, 9\), which has 72"),
        ((8, -8), "tuple of positive integers"),
        ((), "tuple of positive integers"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(sample_shape, message, images):
    with pytest.raises(ValueError, match=message):
        make(architecture="dense", sample_shape=sample_shape).fit(images)


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize("architecture", ["dense", Pictures])
def test_arrays_of_images_are_taken_as_they_are(architecture, images):
    samples = images.reshape(-1, 1, 8, 8)
    flat = make(architecture=architecture).fit(images)
    model = make(architecture=architecture, sample_shape=None).fit(samples)
    codes = model.transform(samples)
    np.testing.assert_array_equal(codes, flat.transform(images))
    np.testing.assert_array_equal(codes, model.transform(images))
    assert model.n_features_in_ == 64
    assert model.sample_shape_ == (1, 8, 8)
    assert model.inverse_transform(codes).shape == samples.shape
    assert model.reconstruction_errors(samples).shape == samples.shape
    assert model.score(samples) == flat.score(images)
    assert model.partial_fit(images).inverse_transform(codes).shape == images.shape


def test_images_whose_axes_are_in_another_order_are_refused(images):
    with pytest.raises(ValueError, match="shape of the samples in X"):
        make(architecture="dense", sample_shape=(2, 4, 8)).fit(images.reshape(-1, 4, 8, 2))


@pytest.mark.mostly_slow(3)
@pytest.mark.parametrize("architecture", ["dense", "conv", Pictures])
def test_images_whose_axes_are_others_than_in_fit_are_refused(architecture, images):
    model = make(architecture=architecture).fit(images)
    for method in (model.transform, model.score, model.partial_fit):
        with pytest.raises(ValueError, match=r"samples of shape \(1, 8, 8\).*Got \(1, 16, 4\)"):
            method(images.reshape(-1, 1, 16, 4))
    np.testing.assert_array_equal(
        model.transform(images.reshape(-1, 8, 8)), model.transform(images)
    )


@pytest.mark.slow
def test_lists_of_images_are_taken_as_arrays_are(images):
    samples = images.reshape(-1, 1, 8, 8)
    model = make(architecture="conv", sample_shape=None).fit(samples)
    codes = model.transform(samples)
    for X in (list(samples), tuple(samples), samples.tolist()):
        np.testing.assert_allclose(model.transform(X), codes, rtol=1e-5, atol=1e-6)
        assert clone(model).fit(X).sample_shape_ == (1, 8, 8)
    with pytest.raises(ValueError, match=r"one shape. Got \(1, 7, 8\) and \(1, 8, 8\)"):
        model.fit([samples[0], samples[1][:, :7]])


def test_own_modules_take_rows_with_missing_cells(images):
    X = images.copy()
    X[::3, 20] = np.nan
    model = make(missing="mask").fit(X)
    assert np.isfinite(model.inverse_transform(model.transform(X))).all()


def test_figures_of_own_modules_with_dropout_and_normalization_are_those_of_the_model(images):
    """Modules that work differently in training are measured as they are used."""
    model = make(max_iter=30, whiten=True).fit(images)
    assert model.best_iter_ > 0
    codes = model.transform(images)
    error = np.square(model.inverse_transform(codes) - images).mean()
    assert model.reconstruction_error_ == pytest.approx(error, rel=1e-4)
    np.testing.assert_allclose(np.cov(codes.T, bias=True), np.eye(3), atol=1e-4)


class FlatView(nn.Module):
    """Module that cannot take a batch without rows."""

    def forward(self, rows):
        return rows.view(len(rows), -1)


def make_flat_pair(sample_shape, n_components, n_outputs):
    encoder = nn.Sequential(FlatView(), nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Linear(8, n_outputs))
    return encoder, nn.Sequential(nn.Linear(n_components, 8), nn.Tanh(), nn.Linear(8, 8))


def test_own_modules_need_not_take_batches_without_rows():
    drawn = np.random.default_rng(0).uniform(-3, 3, (9000, 1))
    X = np.sin(drawn + np.arange(8))
    X[5, 3] = 6
    params = {"early_stopping": False, "max_iter": 5, "random_state": 0}
    model = AutoencoderTransformer(1, architecture=make_flat_pair, **params).fit(X)
    assert model.net_.module_.reach.usual is not None


def test_families_that_leave_out_a_planned_part_are_refused():
    class Short(Plain):
        def build(self, plan, generator):
            return super().build(replace(plan, **missing_parts), generator)

    class ShortAutoencoder(AutoencoderTransformer):
        def _make_family(self):
            return Short(**vars(super()._make_family()))

    X = np.random.default_rng(0).normal(size=(60, 4))
    gaps = np.where(X > 1, np.nan, X)
    model = ShortAutoencoder(2, missing="mask", max_iter=1, early_stopping=False)
    for name, value in [("linear_path", False), ("filling", None)]:
        missing_parts = {name: value}
        with pytest.raises(ValueError, match=f"`build` must return a network with `{name}`"):
            model.fit(gaps)
    missing_parts = {}
    model.fit(gaps)


class Scaling(nn.Module):
    """Module with a buffer that is not part of its state."""

    def __init__(self):
        super().__init__()
        self.register_buffer("factors", torch.arange(8.0), persistent=False)

    def forward(self, rows):
        return rows * self.factors


def make_scaled_pair(sample_shape, n_components, n_outputs):
    return nn.Linear(8, n_outputs), nn.Sequential(nn.Linear(n_components, 8), Scaling())


def test_copies_of_own_modules_have_all_buffers():
    X = np.random.default_rng(0).normal(size=(60, 8))
    params = {"early_stopping": False, "max_iter": 1, "random_state": 0}
    model = AutoencoderTransformer(2, architecture=make_scaled_pair, **params).fit(X)
    module = pickle.loads(pickle.dumps(model)).net_.module_
    (factors,) = (own for name, own in module.named_buffers() if name.endswith("factors"))
    assert factors.tolist() == list(range(8))


class Transposed(nn.Module):
    """Decoder with the weights of an encoder."""

    def __init__(self, encoder):
        super().__init__()
        self.weight = encoder.weight

    def forward(self, codes):
        return codes @ self.weight


def make_tied_pair(sample_shape, n_components, n_outputs):
    encoder = nn.Linear(8, n_outputs)
    return encoder, Transposed(encoder)


def test_copies_of_own_modules_share_the_same_weights():
    X = np.random.default_rng(0).normal(size=(60, 8))
    params = {"early_stopping": False, "max_iter": 1, "random_state": 0}
    model = AutoencoderTransformer(2, architecture=make_tied_pair, **params).fit(X)
    again = pickle.loads(pickle.dumps(model))
    codes = model.partial_fit(X).transform(X)
    np.testing.assert_array_equal(again.partial_fit(X).transform(X), codes)
