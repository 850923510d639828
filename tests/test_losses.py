"""The losses by name, and those of one's own."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.decomposition import PCA

from skae.objectives import LOSSES


@pytest.fixture
def contaminated(digits):
    """Return images, and the same with a few cells far off."""
    X, _ = digits
    rng = np.random.default_rng(0)
    return X, np.where(rng.random(X.shape) < 0.02, 20.0, X)


@pytest.fixture
def counts():
    """Return counts that depend on two hidden numbers, and their rates."""
    rng = np.random.default_rng(0)
    rates = np.exp(rng.normal(size=(400, 2)) @ rng.normal(size=(2, 12)) * 0.7 + 0.5)
    return rng.poisson(rates).astype(float), rates


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_every_loss_falls_in_every_way_of_training(digits, any_autoencoder, loss):
    X, _ = digits
    model = clone(any_autoencoder).set_params(loss=loss, max_iter=8, learning_rate_init=3e-3)
    model.fit(X)
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    assert np.isfinite(model.inverse_transform(model.transform(X))).all()


@pytest.mark.parametrize("loss", ["absolute_error", "huber"])
def test_robust_losses_look_past_outliers(contaminated, quick, loss):
    clean, X = contaminated
    params = {"n_components": 8, "max_iter": 60, "early_stopping": False, "output_range": None}
    errors = {}
    for name in ("squared_error", loss):
        model = quick(loss=name, hidden_layer_sizes=(64,), **params).fit(X)
        errors[name] = np.abs(clean - model.inverse_transform(model.transform(X))).mean()
    assert errors[loss] < 0.7 * errors["squared_error"]


def test_poisson_reconstructs_rates_of_counts(counts, quick):
    X, rates = counts
    model = quick(n_components=2, loss="poisson", max_iter=60, hidden_layer_sizes=(32,)).fit(X)
    reconstruction = model.inverse_transform(model.transform(X))
    assert (reconstruction > 0).all()
    pca = PCA(2).fit(X)
    pca_error = np.square(rates - pca.inverse_transform(pca.transform(X))).mean()
    assert np.square(rates - reconstruction).mean() < 0.9 * pca_error


def test_counts_are_not_negative(wine, quick):
    with pytest.raises(ValueError, match=r"X must lie in \[0, inf\] with loss='poisson'"):
        quick(loss="poisson").fit(wine[0])


def smooth(output, target):
    return torch.nn.functional.smooth_l1_loss(output, target, reduction="none")


@pytest.mark.parametrize(
    "loss", [torch.nn.SmoothL1Loss, torch.nn.SmoothL1Loss(), smooth], ids=["class", "object", "def"]
)
def test_criteria_of_torch_and_functions_are_losses(digits, quick, loss):
    X, _ = digits
    model, same = quick(loss=loss, max_iter=8).fit(X), quick(loss=smooth, max_iter=8).fit(X)
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    np.testing.assert_allclose(model.loss_curve_, same.loss_curve_, rtol=1e-5)


def test_a_criterion_is_left_as_it_was(digits, quick):
    criterion = torch.nn.SmoothL1Loss(beta=0.5)
    estimator = quick(loss=criterion).fit(digits[0])
    assert estimator.loss is criterion
    assert criterion.reduction == "mean"
    assert criterion.training


def test_a_criterion_of_the_wrong_shape_is_refused(digits, quick):
    with pytest.raises(ValueError, match="loss"):
        quick(loss=lambda output, target: (output - target)[:, :3]).fit(digits[0])
