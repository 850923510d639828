"""Penalties on codes and decoders: sparse, contractive, orthogonal."""

import copy
import warnings

import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV

from skae.architectures import Sparsity
from skae.exceptions import SkaeWarning
from skae.objectives import PENALTIES, KLSparsity, L1Sparsity, Penalty


@pytest.fixture
def overcomplete(quick):
    """Return a function that makes an estimator with many codes and epochs."""

    def make(**params):
        defaults = {
            "n_components": 16,
            "hidden_layer_sizes": (64,),
            "max_iter": 40,
            "early_stopping": False,
        }
        return quick(**{**defaults, **params})

    return make


def jacobian_norm(model, X):
    """Return the mean squared norm of the Jacobian of the codes, by differences."""
    step, base = 1e-3, model.transform(X)
    changes = [model.transform(X + step * row) - base for row in np.eye(X.shape[1])]
    return float(np.square(np.array(changes) / step).sum((0, 2)).mean())


def share_near_zero(codes):
    deviations = np.sqrt(np.square(codes).mean(0))
    return float((np.abs(codes) < 0.1 * deviations).mean())


@pytest.mark.mostly_slow(8)
@pytest.mark.parametrize("penalty", sorted(PENALTIES))
def test_every_penalty_works_in_every_way_of_training(digits, any_autoencoder, penalty):
    X = digits[0][:100]
    model = any_autoencoder.set_params(penalty=penalty).fit(X)
    assert np.isfinite(model.transform(X)).all()
    assert model.explained_variance_ratio_.shape == (4,)
    assert (np.diff(model.explained_variance_ratio_) <= 1e-9).all()


def test_l1_makes_codes_sparse_and_they_stay_so(digits, overcomplete):
    X, _ = digits
    sparse = overcomplete(penalty="l1", alpha=10.0, max_iter=20).fit(X)
    dense = overcomplete(penalty="l1", alpha=0.0, max_iter=20).fit(X)
    assert share_near_zero(sparse.transform(X)) > 3 * share_near_zero(dense.transform(X))
    assert sparse.score(X) > 0.8


@pytest.mark.slow
def test_kl_sparsity_lowers_the_activity(digits, overcomplete):
    X, _ = digits
    activities = []
    for penalty in (None, "kl_sparsity"):
        model = overcomplete(penalty=penalty, alpha=10.0, whiten=False).fit(X)
        scaled = torch.as_tensor((X - model.mean_) / model.scale_, dtype=torch.float32)
        module = model.net_.module_
        with torch.no_grad():
            code = module.encode_raw(scaled) * module.code_scale
        code = code / code.square().mean(0).sqrt()
        activities.append(float((code**2 / (1 + code**2)).mean()))
    assert activities[1] < 0.6 * activities[0]


@pytest.mark.slow
def test_contractive_codes_change_less_with_the_row(digits, overcomplete):
    X = digits[0]
    params = {"whiten": True, "tied_weights": True, "n_components": 4}
    norms = []
    for penalty in (None, "contractive"):
        model = overcomplete(penalty=penalty, alpha=1.0, **params).fit(X)
        norms.append(jacobian_norm(model, X[:20]))
    assert norms[1] < 0.8 * norms[0]


@pytest.mark.slow
def test_orthogonal_codes_move_reconstructions_in_orthogonal_directions(digits, overcomplete):
    X = digits[0]

    def cosines(model):
        module = model.net_.module_
        scaled = torch.as_tensor((X[:20] - model.mean_) / model.scale_, dtype=torch.float32)
        decode = torch.func.jacrev(lambda code: module.decode_raw(code[None])[0])
        rows = torch.stack([decode(code).T for code in module.encode_raw(scaled).detach()])
        rows = torch.nn.functional.normalize(rows, dim=2)
        gram = rows @ rows.mT - torch.eye(rows.shape[1])
        return float(gram.square().mean())

    plain = overcomplete(n_components=6).fit(X)
    orthogonal = overcomplete(n_components=6, penalty="orthogonal", alpha=10.0).fit(X)
    assert cosines(orthogonal) < 0.5 * cosines(plain)


class Shrinkage(Penalty):
    """User-defined penalty: mean square of the codes."""

    default_alpha = 0.1

    def __call__(self, module, inputs, code, *, generator=None):
        return code.square().mean()


@pytest.mark.slow
def test_a_user_defined_penalty_is_applied(digits, overcomplete):
    X = digits[0]
    penalty = Shrinkage()
    before = copy.deepcopy(vars(penalty))
    variances = []
    for alpha in (0.0, None, 100.0):
        model = overcomplete(penalty=penalty, alpha=alpha, n_components=4, max_iter=5).fit(X)
        assert model.penalty is penalty
        variances.append(model.score(X))
    assert vars(penalty) == before
    assert variances[0] > variances[2]


def test_a_name_is_a_short_form_of_an_object(digits, overcomplete):
    X, _ = digits
    by_name = overcomplete(penalty="l1", alpha=0.3, max_iter=3).fit(X)
    by_object = overcomplete(penalty=L1Sparsity(), alpha=0.3, max_iter=3).fit(X)
    np.testing.assert_array_equal(by_name.transform(X), by_object.transform(X))


def test_factors_and_levels_without_effect_are_warned_of(digits, quick):
    X = digits[0][:50]
    for params, message in [
        ({"alpha": 0.5}, "alpha=0.5 has no effect without a `penalty`"),
        ({"corruption_level": 0.5}, "corruption_level=0.5 has no effect without a `corruption`"),
    ]:
        with pytest.warns(SkaeWarning, match=message):
            quick(**params, max_iter=1).fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quick(alpha=0, corruption_level=0, max_iter=1).fit(X)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:alpha=.* has no effect:skae.exceptions.SkaeWarning")
def test_penalties_are_searched_by_name(digits, quick):
    grid = {"penalty": [None, "contractive"], "alpha": [1e-3, 1e-1]}
    search = GridSearchCV(quick(max_iter=1), grid, cv=2).fit(digits[0])
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


class Threshold(Sparsity):
    """User-defined sparsity: small codes are zero."""

    def __init__(self, least=0.5):
        self.least = least

    def make_module(self, n_components):
        return torch.nn.Hardshrink(self.least)


class Gates(Sparsity):
    """User-defined sparsity with weights."""

    def make_module(self, n_components):
        return Gated(n_components)


class Gated(torch.nn.Module):
    def __init__(self, n_components):
        super().__init__()
        self.least = torch.nn.Parameter(torch.full((n_components,), 0.1))

    def forward(self, code):
        return code.sign() * (code.abs() - self.least).clamp(min=0)


@pytest.mark.mostly_slow(4)
@pytest.mark.parametrize("penalty", [Threshold(1.0), Gates()])
def test_a_user_defined_sparsity_works_in_every_way_of_training(digits, any_autoencoder, penalty):
    X, _ = digits
    codes = any_autoencoder.set_params(penalty=penalty).fit(X).transform(X)
    assert (codes == 0).any()
    assert (codes != 0).any()


@pytest.mark.parametrize("net_params", [None, {"optimizer": torch.optim.SGD}])
def test_weights_of_a_sparsity_are_trained(digits, quick, net_params):
    module = quick(penalty=Gates(), net_params=net_params).fit(digits[0]).net_.module_
    assert (module.sparsity.least != 0.1).any()


@pytest.mark.parametrize(
    ("penalty", "grid"),
    [
        (Threshold(), {"penalty__least": [0.1, 1.0, 2.0]}),
        (KLSparsity(), {"penalty__target": [0.01, 0.1, 0.5]}),
    ],
)
@pytest.mark.slow
def test_parameters_of_penalties_are_searched(digits, quick, penalty, grid):
    before = copy.deepcopy(vars(penalty))
    search = GridSearchCV(quick(penalty=penalty), grid, cv=2, error_score="raise").fit(digits[0])
    assert len(set(search.cv_results_["mean_test_score"])) == 3
    assert vars(penalty) == before


class Halving(Sparsity):
    def make_module(self, n_components):
        return torch.nn.Linear(n_components, n_components // 2)


class Functional(Sparsity):
    def make_module(self, n_components):
        return torch.relu


class Columnwise(Penalty):
    def __call__(self, module, inputs, code, *, generator=None):
        return code.square().mean(0)


def test_invalid_penalties_are_refused(digits, quick):
    for params, message in [
        ({"penalty": Threshold(), "alpha": 0.5}, "`alpha` must be None with penalty=Threshold"),
        ({"penalty": "top_k"}, "Use SparseAutoencoderTransformer for codes of which few are"),
        ({"penalty": KLSparsity(2)}, "`target` must be a mean activity"),
        ({"penalty": Functional()}, "must make a torch module. Got builtin"),
        ({"penalty": Halving()}, "must make a module that returns codes of shape"),
        ({"penalty": Columnwise()}, r"Columnwise must return a tensor of shape \(\)"),
    ]:
        with pytest.raises(ValueError, match=message):
            quick(**params).fit(digits[0])
