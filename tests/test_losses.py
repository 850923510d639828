"""Losses by name, and user-defined losses."""

import copy
import pickle
import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV

from skae import AdversarialAutoencoderTransformer
from skae.exceptions import NotBetterThanPCAWarning, RowLossWarning
from skae.objectives import LOSSES, HuberLoss, PoissonLoss, ReconstructionLoss, SquaredError


@pytest.fixture
def contaminated(digits):
    """Return images, and copies with a few distant cells."""
    X, _ = digits
    rng = np.random.default_rng(0)
    return X, np.where(rng.random(X.shape) < 0.02, 20.0, X)


@pytest.fixture
def counts():
    """Return counts that depend on two latent variables, and their rates."""
    rng = np.random.default_rng(0)
    rates = np.exp(rng.normal(size=(400, 2)) @ rng.normal(size=(2, 12)) * 0.7 + 0.5)
    return rng.poisson(rates).astype(float), rates


@pytest.mark.mostly_slow(4)
@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_every_loss_falls_in_every_way_of_training(digits, any_autoencoder, loss):
    X, _ = digits
    model = clone(any_autoencoder).set_params(loss=loss, max_iter=8, learning_rate_init=3e-3)
    model.fit(X)
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    assert np.isfinite(model.inverse_transform(model.transform(X))).all()


@pytest.mark.slow
def test_robust_losses_look_past_outliers(contaminated, quick):
    clean, X = contaminated
    params = {"n_components": 8, "max_iter": 30, "early_stopping": False, "output_range": None}
    errors = {}
    for name in ("squared_error", "absolute_error", "huber"):
        model = quick(loss=name, hidden_layer_sizes=(64,), **params).fit(X)
        errors[name] = np.abs(clean - model.inverse_transform(model.transform(X))).mean()
    assert errors["absolute_error"] < 0.7 * errors["squared_error"]
    assert errors["huber"] < 0.7 * errors["squared_error"]


@pytest.mark.slow
def test_poisson_reconstructs_rates_of_counts(counts, quick):
    X, rates = counts
    model = quick(
        n_components=2, loss="poisson", max_iter=30, hidden_layer_sizes=(32,), early_stopping=False
    )
    model.fit(X)
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
    model, same = (quick(loss=each, early_stopping=False).fit(X) for each in (loss, smooth))
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    np.testing.assert_allclose(model.loss_curve_, same.loss_curve_, rtol=1e-5)


def test_a_given_criterion_is_not_changed(digits, quick):
    criterion = torch.nn.SmoothL1Loss(beta=0.5)
    estimator = quick(loss=criterion).fit(digits[0])
    assert estimator.loss is criterion
    assert criterion.reduction == "mean"
    assert criterion.training


def test_a_criterion_of_the_wrong_shape_is_refused(digits, quick):
    with pytest.raises(ValueError, match="loss"):
        quick(loss=lambda output, target: (output - target)[:, :3]).fit(digits[0])


class LogCosh(ReconstructionLoss):
    """User-defined loss."""

    def __init__(self, sharpness=1.0):
        self.sharpness = sharpness

    def cells(self, output, target, units):
        return torch.log(torch.cosh(self.sharpness * (output - target)))


class Cosine(ReconstructionLoss):
    """User-defined loss of whole rows."""

    def rows(self, output, target, units):
        return 1 - torch.nn.functional.cosine_similarity(output, target)


def mean_square(output, target):
    return (output - target).square().mean()


def test_a_name_is_a_short_form_of_an_object(digits, quick):
    for name in sorted(LOSSES):
        X, _ = digits
        by_name, by_object = (
            quick(loss=loss, early_stopping=False).fit(X) for loss in (name, LOSSES[name]())
        )
        np.testing.assert_array_equal(by_name.transform(X), by_object.transform(X))
        assert by_name.reconstruction_error_ == by_object.reconstruction_error_


@pytest.mark.mostly_slow(3)
@pytest.mark.parametrize("loss", [HuberLoss(delta=2.0), LogCosh(), Cosine()])
def test_losses_given_as_objects_take_weights(digits, quick, loss):
    X, _ = digits
    weights = np.r_[np.full(100, 3.0), np.full(len(X) - 100, 0.1)]
    params = {"loss": loss, "max_iter": 8, "early_stopping": False, "n_components": 2}
    weighted = quick(**params).fit(X, sample_weight=weights)
    plain = quick(**params).fit(X)
    gain = weighted.score_samples(X) - plain.score_samples(X)
    assert gain[:100].mean() > gain[100:].mean()


@pytest.mark.parametrize(
    "loss",
    [
        LogCosh(),
        *(
            pytest.param(each, marks=pytest.mark.slow)
            for each in (HuberLoss(), SquaredError(), smooth)
        ),
    ],
    ids=["cells", "huber", "square", "function"],
)
def test_an_epoch_that_is_better_by_chance_is_refused(quick, loss):
    # Independent columns, so that any reduction of the loss is due to chance.
    X = np.random.default_rng(0).normal(size=(200, 5))
    held_out = {"net_params": {"callbacks": []}, "early_stopping": True}
    with pytest.warns(NotBetterThanPCAWarning):
        model = quick(loss=loss, n_components=2, max_iter=15, **held_out).fit(X)
    assert min(model.validation_loss_curve_) < model.validation_loss_curve_[0]
    assert model.best_iter_ == 0


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize("estimator", ["plain", "adversarial"])
def test_parameters_of_losses_are_searched(digits, quick, estimator):
    model = quick(max_iter=2, early_stopping=False)
    if estimator == "adversarial":
        model = AdversarialAutoencoderTransformer(4, max_iter=2, random_state=0)
    loss = HuberLoss()
    grid = {"loss__delta": [0.3, 1.0, 5.0]}
    search = GridSearchCV(model.set_params(loss=loss), grid, cv=2, error_score="raise")
    search.fit(digits[0])
    assert len(set(search.cv_results_["mean_test_score"])) == 3
    assert loss.delta == 1.35


def test_a_given_loss_object_is_not_changed(digits, quick):
    class Counting(LogCosh):
        n_calls = 0

        def cells(self, output, target, units):
            self.n_calls += 1
            return super().cells(output, target, units)

    loss = Counting(2.0)
    before = copy.deepcopy(vars(loss))
    quick(loss=loss).fit(digits[0])
    assert vars(loss) == before


def test_a_model_with_a_loss_object_can_be_pickled_and_printed(digits, quick):
    X, _ = digits
    model = quick(loss=HuberLoss(delta=2.0)).fit(X)
    again = pickle.loads(pickle.dumps(model))
    assert again.loss.delta == 2.0
    np.testing.assert_array_equal(again.transform(X), model.transform(X))
    assert "loss=HuberLoss(delta=2.0)" in repr(model)


class NegativeBinomial(ReconstructionLoss):
    """User-defined loss for overdispersed counts."""

    link = "exponential"
    domain = (0.0, np.inf)

    def __init__(self, dispersion=1.0):
        self.dispersion = dispersion

    def cells(self, output, target, units):
        count, size = units.restore(target), 1 / self.dispersion
        return (count + size) * torch.log(size + output.exp()) - count * output


@pytest.mark.slow
def test_a_user_defined_loss_may_be_in_the_unit_of_x(counts, quick):
    X, rates = counts
    params = {"max_iter": 10, "early_stopping": False}
    model = quick(n_components=2, loss=NegativeBinomial(0.1), **params).fit(X)
    reconstruction = model.inverse_transform(model.transform(X))
    assert (reconstruction > 0).all()
    assert np.square(rates - reconstruction).mean() < np.square(X - rates).mean()
    with pytest.raises(ValueError, match=r"X must lie in \[0, inf\] with loss=Negative"):
        model.fit(-X)


class Misspelt(LogCosh):
    link = "exp"


def test_invalid_losses_are_refused_before_training(wine, quick):
    for loss, message in [
        (Misspelt(), "`link` of Misspelt must be one of"),
        (HuberLoss(delta=-1), "`delta` must be a finite number above 0"),
        (HuberLoss, "`loss` must be an instance. Got the class HuberLoss"),
        (PoissonLoss(), r"X must lie in \[0, inf\] with loss=PoissonLoss\(\)"),
    ]:
        with pytest.raises(ValueError, match=message):
            quick(loss=loss, max_iter=1).fit(wine[0] - wine[0].mean(0))


@pytest.mark.mostly_slow(2, first=1)
@pytest.mark.parametrize("params", [{}, {"net_params": {"optimizer": torch.optim.Adam}}])
def test_a_criterion_of_a_single_number_warns_once(digits, quick, params):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        quick(loss=mean_square, early_stopping=True, **params).fit(digits[0])
    messages = [str(one.message) for one in caught if one.category is RowLossWarning]
    assert len(messages) == 1
    assert "`loss` returns a single number for all rows" in messages[0]


def test_losses_of_cells_or_rows_give_no_warning_of_single_numbers(digits, quick):
    for loss in [smooth, torch.nn.L1Loss(), torch.nn.MSELoss, "huber", SquaredError(), Cosine()]:
        with warnings.catch_warnings():
            warnings.simplefilter("error", RowLossWarning)
            quick(loss=loss, max_iter=1, early_stopping=False).fit(digits[0])


def test_a_single_number_cannot_be_weighted(digits, quick):
    X, _ = digits
    model = quick(loss=mean_square, early_stopping=True)
    with pytest.raises(ValueError, match="`loss` must return the loss of each row or cell"):
        model.fit(X, sample_weight=np.linspace(1, 2, len(X)))
    with pytest.warns(RowLossWarning):
        model.fit(X, sample_weight=np.ones(len(X)))


@pytest.mark.mostly_slow(3)
@pytest.mark.parametrize("loss", [HuberLoss(2.0), LogCosh(), Cosine()])
def test_missing_cells_do_not_count(digits, quick, loss):
    X = digits[0][:150, 16:32]
    X = np.where(np.random.default_rng(0).random(X.shape) < 0.2, np.nan, X)
    X = X[:, ~np.isnan(X).all(axis=0)]
    model = quick(loss=loss, missing="mask", early_stopping=False).fit(X)
    assert np.isfinite(model.loss_curve_).all()
    assert np.isfinite(model.transform(X)).all()
