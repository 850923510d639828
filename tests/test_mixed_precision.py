"""Products in bfloat16 while training."""

import pickle
import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits

from skae import (
    AdversarialAutoencoderTransformer,
    AutoencoderTransformer,
    VariationalAutoencoderTransformer,
)
from skae._engine import multiplies_in_bfloat16
from skae._engine.compute import device as _device
from skae.architectures import Convolutional, Recurrent
from skae.exceptions import MixedPrecisionWarning, NotBetterThanPCAWarning

needs_bfloat16 = pytest.mark.skipif(
    not multiplies_in_bfloat16(torch.device("cpu")),
    reason="this processor cannot train in bfloat16",
)

KINDS = {
    "dense": AutoencoderTransformer(),
    "random": AutoencoderTransformer(init="random"),
    "conv": AutoencoderTransformer(
        architecture=Convolutional(n_channels=(2, 4)), sample_shape=(1, 8, 8)
    ),
    "gru": AutoencoderTransformer(architecture="recurrent", sample_shape=(8, 8)),
    "lstm": AutoencoderTransformer(architecture=Recurrent(cell="lstm"), sample_shape=(8, 8)),
    "variational": VariationalAutoencoderTransformer(),
    "adversarial": AdversarialAutoencoderTransformer(),
}


@pytest.fixture(scope="module")
def images():
    return load_digits().data[:200]


@pytest.fixture
def without_bfloat16(monkeypatch):
    """Make products in bfloat16 fail, as on processors without them."""

    def fail(device):
        raise RuntimeError("could not create a primitive descriptor")

    monkeypatch.setattr(_device, "_train_in_bfloat16", fail)
    multiplies_in_bfloat16.cache_clear()
    yield
    multiplies_in_bfloat16.cache_clear()


@pytest.fixture(scope="module")
def fitted(images):
    return AutoencoderTransformer(
        8, mixed_precision=True, early_stopping=False, max_iter=10, random_state=0
    ).fit(images)


@needs_bfloat16
def test_the_error_is_about_that_of_full_precision(fitted, images):
    full = AutoencoderTransformer(8, early_stopping=False, max_iter=10, random_state=0).fit(images)
    assert fitted.reconstruction_error_ < fitted.pca_reconstruction_error_
    assert fitted.score(images) == pytest.approx(full.score(images), abs=0.02)
    # The results differ from those in single precision.
    assert fitted.loss_curve_ != full.loss_curve_


@needs_bfloat16
def test_weights_and_codes_keep_their_precision(fitted, images):
    assert {parameter.dtype for parameter in fitted.net_.module_.parameters()} == {torch.float32}
    assert fitted.transform(images).dtype == np.float32


@needs_bfloat16
def test_the_start_is_pca_to_full_precision():
    # bfloat16 has three digits: it would round the first column by as much as the others vary.
    rng = np.random.default_rng(0)
    X = np.column_stack([300 * rng.normal(size=200), rng.normal(size=200), rng.normal(size=200)])
    # A single batch has no rows with shifted cells, which would increase the loss.
    autoencoder = AutoencoderTransformer(
        2,
        mixed_precision=True,
        early_stopping=False,
        max_iter=1,
        learning_rate_init=1e-9,
        batch_size=200,
    )
    with pytest.warns(NotBetterThanPCAWarning):
        autoencoder.fit(X)
    assert autoencoder.reconstruction_error_ == pytest.approx(
        autoencoder.pca_reconstruction_error_, rel=1e-3
    )
    assert autoencoder.loss_curve_[0] == pytest.approx(1, rel=1e-3)


def test_double_precision_is_refused(images):
    with pytest.raises(ValueError, match="`mixed_precision` must be False with dtype='float64'"):
        AutoencoderTransformer(mixed_precision=True, dtype="float64").fit(images)


def fit_quickly(estimator, images, **params):
    params |= {"n_components": 4, "max_iter": 1, "random_state": 0}
    if "early_stopping" in estimator.get_params():
        params["early_stopping"] = False
    estimator = clone(estimator).set_params(**params)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotBetterThanPCAWarning)
        return estimator.fit(images[:80])


@pytest.mark.mostly_slow(3, first=1)
@pytest.mark.filterwarnings("ignore::skae.exceptions.MixedPrecisionWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_network_is_fitted_on_any_processor(images, kind):
    fitted = fit_quickly(KINDS[kind], images, mixed_precision=True)
    assert np.isfinite(fitted.transform(images)).all()


@pytest.mark.mostly_slow(3)
@pytest.mark.usefixtures("without_bfloat16")
@pytest.mark.parametrize("kind", KINDS)
def test_single_precision_stands_in_with_a_warning(images, kind):
    with pytest.warns(MixedPrecisionWarning, match="cannot train in bfloat16 on device='auto'"):
        mixed = fit_quickly(KINDS[kind], images, mixed_precision=True).transform(images)
    single = fit_quickly(KINDS[kind], images, mixed_precision=False).transform(images)
    np.testing.assert_array_equal(mixed, single)


def test_a_net_from_another_machine_computes_in_single_precision(images, request):
    fitted = fit_quickly(KINDS["lstm"], images)
    fitted.net_.set_params(mixed_precision=True)
    net = pickle.loads(pickle.dumps(fitted.net_))
    request.getfixturevalue("without_bfloat16")
    rows = ((images - fitted.mean_) / fitted.scale_).astype(np.float32)
    with torch.no_grad():
        expected = fitted.net_.module_(torch.from_numpy(rows))
    np.testing.assert_allclose(net.predict(rows), expected, rtol=1e-5, atol=1e-5)


def test_looking_for_the_precision_leaves_torch_as_it_was():
    multiplies_in_bfloat16.cache_clear()
    state = torch.get_rng_state()
    with torch.no_grad():
        multiplies_in_bfloat16(torch.device("cpu"))
        assert not torch.is_grad_enabled()
    assert torch.equal(torch.get_rng_state(), state)
