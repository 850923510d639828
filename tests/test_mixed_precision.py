"""Products in bfloat16 while training."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from skae import AutoencoderTransformer
from skae.exceptions import NotBetterThanPCAWarning


@pytest.fixture
def images():
    return load_digits().data[:400]


@pytest.fixture
def fitted(images):
    return AutoencoderTransformer(
        8, mixed_precision=True, early_stopping=False, max_iter=10, random_state=0
    ).fit(images)


def test_the_error_is_about_that_of_full_precision(fitted, images):
    full = AutoencoderTransformer(8, early_stopping=False, max_iter=10, random_state=0).fit(images)
    assert fitted.reconstruction_error_ < fitted.pca_reconstruction_error_
    assert fitted.score(images) == pytest.approx(full.score(images), abs=0.02)
    # It is not the same computation under another name.
    assert fitted.loss_curve_ != full.loss_curve_


def test_weights_and_codes_keep_their_precision(fitted, images):
    assert {parameter.dtype for parameter in fitted.net_.module_.parameters()} == {torch.float32}
    assert fitted.transform(images).dtype == np.float32


def test_the_start_is_pca_to_full_precision():
    # bfloat16 has three digits: it would round the first column by as much as the others vary.
    rng = np.random.default_rng(0)
    X = np.column_stack([300 * rng.normal(size=200), rng.normal(size=200), rng.normal(size=200)])
    autoencoder = AutoencoderTransformer(
        2, mixed_precision=True, early_stopping=False, max_iter=1, learning_rate_init=1e-9
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
