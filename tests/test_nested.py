"""Nested codes: any number of first codes is a model."""

import contextlib
import copy
import pickle
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from skorch.callbacks import Callback

import skae
from skae import AutoencoderTransformer
from skae._engine.fitting.prefixes import PrefixErrors, choose_numbers, list_numbers
from skae._engine.judgement import Judgement, find_rises, is_nowhere_worse
from skae._engine.settings import AutomaticLoop, LoopSettings
from skae._engine.steps.nested import (
    NestedAutogradStep,
    NestedDenseStep,
    draw_numbers,
    lay_out,
)
from skae._engine.steps.optimizer import adamw_groups, make_adamw
from skae.exceptions import NotBetterThanPCAWarning
from skae.modules import CodeBasis, order_nested_codes_
from skae.objectives import BinaryCrossEntropy, ReconstructionObjective, SquaredError

pytestmark = pytest.mark.filterwarnings("ignore::skae.exceptions.NotBetterThanPCAWarning")
SMALL = {"n_components": 6, "hidden_layer_sizes": (24,), "nested": True, "random_state": 0}


def measure(model, X, n_codes):
    """Return the mean squared error of reconstructions from the first codes."""
    return np.square(model.inverse_transform(model.transform(X)[:, :n_codes]) - X).mean()


def measure_pca(X, X_test, n_codes):
    pca = PCA(n_codes).fit(X)
    return np.square(pca.inverse_transform(pca.transform(X_test)) - X_test).mean()


@pytest.fixture(scope="module")
def halves():
    X = load_digits().data / 16
    return X[:800], X[800:]


@pytest.fixture(scope="module")
def fitted(halves):
    return AutoencoderTransformer(**SMALL, max_iter=15).fit(halves[0])


@pytest.mark.parametrize("n_codes", range(1, 7))
def test_the_first_codes_reconstruct_new_rows_better_than_as_many_principal_components(
    fitted, halves, n_codes
):
    assert measure(fitted, halves[1], n_codes) < 0.95 * measure_pca(*halves, n_codes)


def test_the_score_curve_is_that_of_unseen_rows_and_nowhere_below_pcas(fitted, halves):
    X, X_test = halves
    curve = fitted.score_curve_
    assert curve.shape == (6,)
    assert (np.diff(curve) >= 0).all()
    assert (1 - curve <= 1.01 * (1 - fitted.pca_score_curve_) + 1e-5).all()
    variance = np.square(X_test - X.mean(axis=0)).mean()
    scores = [1 - measure(fitted, X_test, n_codes) / variance for n_codes in range(1, 7)]
    np.testing.assert_allclose(curve, scores, atol=0.05)
    expected = [1 - measure_pca(X, X_test, n_codes) / variance for n_codes in range(1, 7)]
    np.testing.assert_allclose(fitted.pca_score_curve_, expected, atol=0.05)
    own_variance = np.square(X - X.mean(axis=0)).mean()
    score = 1 - fitted.reconstruction_error_ / own_variance
    assert curve[-1] == pytest.approx(score, abs=1e-4)


def test_reconstructions_from_all_codes_have_the_error_of_the_score(fitted, halves):
    errors = fitted.reconstruction_errors(halves[1]).mean()
    assert measure(fitted, halves[1], 6) == pytest.approx(errors, rel=1e-5)


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize("whiten", [False, True])
def test_codes_are_centred_and_uncorrelated_and_no_code_depends_on_later_ones(halves, whiten):
    X = halves[0][:200]
    params = {"max_iter": 10, "early_stopping": False, "whiten": whiten}
    model = AutoencoderTransformer(**SMALL, **params).fit(X)
    codes = model.transform(X)
    assert np.abs(codes.mean(axis=0)).max() < 1e-3 * codes.std(axis=0).max()
    assert np.abs(np.corrcoef(codes.T) - np.eye(6)).max() < 1e-3
    if whiten:
        np.testing.assert_allclose(codes.std(axis=0), 1, rtol=1e-3)
    basis = model.net_.module_.basis
    np.testing.assert_array_equal(np.tril(basis.forward_map.numpy(), -1), 0)
    np.testing.assert_array_equal(np.tril(basis.inverse_map.numpy(), -1), 0)
    assert model.explained_variance_ratio_.sum() == pytest.approx(model.score(X), abs=1e-5)


def test_a_model_that_stays_pca_is_pca_with_any_number_of_codes(wine):
    X = np.random.default_rng(0).normal(size=(60, 8)) * np.arange(1, 9)
    params = {"dtype": "float64", "output_range": None, "max_iter": 5}
    model = AutoencoderTransformer(**SMALL, **params).fit(X)
    assert model.best_iter_ == 0
    for n_codes in range(1, 7):
        assert measure(model, X, n_codes) == pytest.approx(measure_pca(X, X, n_codes), rel=1e-9)
    np.testing.assert_allclose(model.score_curve_, model.pca_score_curve_, atol=1e-9)


@pytest.mark.mostly_slow(3)
@pytest.mark.parametrize("n_components", [1, 2, 3])
def test_one_to_three_nested_codes_are_accepted(halves, n_components):
    params = SMALL | {"n_components": n_components, "max_iter": 3}
    model = AutoencoderTransformer(**params).fit(halves[0][:100])
    assert model.score_curve_.shape == (n_components,)
    assert model.inverse_transform(np.zeros((2, 1))).shape == (2, 64)


def test_more_codes_than_the_table_has_ranks(wine):
    X = np.repeat(wine[0][:, :3], 3, axis=1)
    model = AutoencoderTransformer(**SMALL, max_iter=3).fit(X)
    assert np.isfinite(model.inverse_transform(model.transform(X)[:, :5])).all()
    assert model.score_curve_[-1] == pytest.approx(1, abs=1e-3)


@pytest.mark.mostly_slow(4)
@pytest.mark.parametrize(
    "params",
    [
        {"early_stopping": True},
        {"loss": "binary_cross_entropy"},
        {"init": "random"},
        {"corruption": "masking"},
        {"missing": "mask"},
        {"normalization": "batch"},
        {"dropout": 0.2, "normalization": "layer"},
        {"net_params": {"optimizer__weight_decay": 0.1}},
        {"output_range": None, "dtype": "float64"},
        {"architecture": "conv", "sample_shape": (1, 8, 8)},
    ],
    ids=str,
)
def test_nested_codes_go_with_other_parameters(halves, params, tmp_path):
    X = halves[0][:60].copy()
    if "missing" in params:
        X[::7, 3] = np.nan
    short = {"max_iter": 2, "early_stopping": False}
    model = AutoencoderTransformer(**SMALL | short | params).fit(X)
    codes = model.transform(X)
    first = model.inverse_transform(codes[:, :2])
    changed = codes.copy()
    changed[:, 2:] = 0
    assert first.shape == X.shape
    assert np.abs(first - model.inverse_transform(codes)).max() > 1e-3
    for other in (pickle.loads(pickle.dumps(model)), save_and_load(model, tmp_path)):
        np.testing.assert_array_equal(other.inverse_transform(codes[:, :2]), first)
        np.testing.assert_array_equal(other.score_curve_, model.score_curve_)
    np.testing.assert_array_equal(clone(model).fit(X).transform(X), codes)


def save_and_load(model, folder):
    skae.save(model, folder / "model.skae")
    return skae.load(folder / "model.skae")


def test_sparse_rows_names_and_chunks(halves):
    X = halves[0][:100]
    model = AutoencoderTransformer(**SMALL, max_iter=2).fit(sparse.csr_matrix(X))
    np.testing.assert_allclose(model.transform(sparse.csr_matrix(X)), model.transform(X), atol=1e-4)
    assert list(model.get_feature_names_out())[-1] == "autoencodertransformer5"
    chunks = AutoencoderTransformer(**SMALL)
    for chunk in np.split(X, 2):
        chunks.partial_fit(chunk)
    assert chunks.inverse_transform(chunks.transform(X)[:, :3]).shape == X.shape
    assert chunks.score_curve_.shape == (6,)


def test_weights_count_as_rows_of_the_score_curve(halves):
    """Rows of weight zero are equivalent to absent rows."""
    X = halves[0][:60]
    params = {"early_stopping": False, "max_iter": 2}
    weights = np.r_[np.full(50, 2.0), np.zeros(10)]
    one = AutoencoderTransformer(**SMALL, **params).fit(X, sample_weight=weights)
    other = AutoencoderTransformer(**SMALL, **params).fit(X[:50])
    np.testing.assert_allclose(one.score_curve_, other.score_curve_, atol=1e-5)


def test_too_many_columns_are_refused(fitted):
    with pytest.raises(ValueError, match="X must have at most 6 columns, one for each code"):
        fitted.inverse_transform(np.zeros((2, 7)))


def test_other_codes_are_not_cut(quick, halves):
    model = quick().fit(halves[0][:100])
    for nested in (False, True):
        with pytest.raises(ValueError, match="X must have 4 columns"):
            model.set_params(nested=nested).inverse_transform(np.zeros((2, 2)))


@pytest.mark.parametrize(
    "params", [{"penalty": "contractive"}, {"tied_weights": True}, {"rotation": "ica"}], ids=str
)
def test_parameters_that_do_not_go_with_nested_codes_are_refused(halves, params):
    with pytest.raises(ValueError, match=f"`{next(iter(params))}` must be .* with nested=True"):
        AutoencoderTransformer(**SMALL, **params).fit(halves[0][:100])


def test_nested_and_other_fits_do_not_continue_each_other(halves):
    model = AutoencoderTransformer(**SMALL | {"nested": False}, max_iter=1, warm_start=True)
    model.fit(halves[0][:100]).set_params(nested=True)
    with pytest.raises(ValueError, match="Got other values of `nested`"):
        model.fit(halves[0][:100])


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize("loss", [SquaredError(), BinaryCrossEntropy()], ids=str)
@pytest.mark.parametrize("weighted", [False, True])
def test_gradients_by_hand_are_those_of_autograd(halves, loss, weighted):
    params = {"loss": loss, "max_iter": 1, "dtype": "float64", "early_stopping": False}
    model = AutoencoderTransformer(**SMALL, **params).fit(halves[0][:100])
    generator = torch.Generator().manual_seed(0)
    rows = torch.rand(2, 25, 64, generator=generator, dtype=torch.float64)
    weights = torch.rand(2, 25, generator=generator, dtype=torch.float64) if weighted else None
    # Targets beyond the range of the training rows have gradients that only autograd ignores.
    rows = model.net_.criterion_.loss.units.clip(rows)
    results = []
    for by_hand in (True, False):
        modules = [copy.deepcopy(model.net_.module_) for _ in range(2)]
        with torch.no_grad():
            modules[1].encoder.linears[0].weight.mul_(1.5)
        step = make_step(modules, model, by_hand=by_hand)
        losses = []
        for _ in range(3):
            losses.append(step.accumulate_(rows, rows, weights).mean(1))
            step.update_()
        results.append([*losses, *step.judge(rows, rows)])
        results[-1] += [p.detach().clone() for own in modules for p in own.parameters()]
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


def make_step(modules, model, *, by_hand):
    for module in modules:
        module.reach = None
    loop = LoopSettings("auto", "constant", 0.01, 5, 0.01, "cpu")
    groups = adamw_groups(loop, 64, linear_path=True)
    optimizers = [make_adamw(module, groups) for module in modules]
    loss = model.net_.criterion_.loss if hasattr(model.net_.criterion_, "loss") else None
    objective = ReconstructionObjective(loss or SquaredError().prepare())
    generator = torch.Generator().manual_seed(1)
    if by_hand:
        own = [optimizer.param_groups for optimizer in optimizers]
        return NestedDenseStep(generator, modules, objective, own)
    precision = contextlib.nullcontext
    return NestedAutogradStep(generator, modules, objective, optimizers, precision=precision)


@pytest.mark.parametrize(("nested", "factor"), [(True, 3.0), (False, 0.2)])
def test_linear_path_of_nested_codes_has_a_high_learning_rate(halves, nested, factor):
    rates, decays = [], []

    class Watch(Callback):
        def on_epoch_end(self, net, **_):
            rates.append([group["lr"] for group in net.optimizer_.param_groups])
            decays.extend(group["weight_decay"] for group in net.optimizer_.param_groups)

    settings = {"learning_rate": "constant", "max_iter": 1, "net_params": {"callbacks": [Watch()]}}
    AutoencoderTransformer(**SMALL | settings | {"nested": nested}).fit(halves[0][:100])
    assert rates == [pytest.approx([0.01, factor * 0.01])]
    # The start, which is PCA, does not decay.
    assert decays[0] > decays[1] == 0


@pytest.mark.parametrize("batch_size", [1, 2, 5, 64])
def test_every_row_of_a_batch_is_decoded(batch_size):
    layout = lay_out(4, batch_size, torch.device("cpu"))
    assert set(layout.places.flatten().tolist()) == set(range(batch_size))
    found = layout.places[layout.own_stage, layout.own_place]
    assert found.tolist() == list(range(batch_size))


def test_every_number_of_codes_is_drawn_by_its_stage():
    numbers = draw_numbers((1, 2, 4, 7), (50, 8), torch.Generator().manual_seed(0))
    found = [set(own.flatten().tolist()) for own in numbers.unbind(1)]
    assert found == [{1}, {2}, {3, 4}, {5, 6, 7}]
    assert (numbers[:, 3] == 7).double().mean() > 0.5


def test_numbers_of_many_codes_are_judged_in_part():
    assert list_numbers(3) == [1, 2, 3]
    many = list_numbers(700)
    assert many[:64] == list(range(1, 65))
    assert many[-1] == 700
    assert len(many) < 100


def test_one_number_of_codes_that_is_more_than_a_hundredth_worse_is_noticed():
    pca = np.array([3.0, 2.0, 1.0])
    every = np.arange(1, 4)
    assert not PrefixErrors(pca + [-1, 0.019, -0.5], pca, 4.0, every).exceed_pca
    assert PrefixErrors(pca + [-1, 0.021, -0.5], pca, 4.0, every).exceed_pca
    before = Judgement(torch.ones(2), torch.ones(2), torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    after = Judgement(torch.ones(2), torch.ones(2), torch.tensor([[0.0, 2.3], [3.0, 4.0]]))
    assert find_rises(before, after).tolist() == pytest.approx([-0.25, 0.05])
    assert is_nowhere_worse(before, before)
    assert not is_nowhere_worse(before, after)
    little = Judgement(torch.ones(2), torch.ones(2), torch.tensor([[0.0, 2.01], [3.0, 4.0]]))
    assert not is_nowhere_worse(before, little)
    assert is_nowhere_worse(before, replace(little, losses=torch.full((2,), 0.9)))
    assert is_nowhere_worse(before, after, torch.tensor([0.0, 1.0], dtype=torch.float64))


def test_weight_decay_is_stronger_where_there_are_few_rows_for_each_column():
    loop, automatic = LoopSettings("auto", "constant", 0.01, 5, 0.01, "cpu"), AutomaticLoop()
    shapes = [(1000, 5), (500, 10), (10, 10)]
    assert {loop.resolve_weight_decay(shape, automatic) for shape in shapes} == {0.01}
    automatic = AutomaticLoop(decay_rows=100)
    decays = [loop.resolve_weight_decay(shape, automatic) for shape in shapes]
    assert decays == pytest.approx([0.01, 0.04, 0.3])


def make_load_curves(n_samples, n_features=48):
    """Return curves with two peaks whose time, height and width vary, and a little noise."""
    random = np.random.default_rng(0)
    hours = np.linspace(0, 24, n_features)
    X = 0.05 * random.normal(size=(n_samples, n_features))
    for time, spread, height, width in [
        (8, 1.2, (0.5, 1.5), (0.8, 2)),
        (19, 1.5, (0.8, 2), (1, 3)),
    ]:
        times = random.normal(time, spread, (n_samples, 1))
        heights, widths = (random.uniform(*own, (n_samples, 1)) for own in (height, width))
        X += heights * np.exp(-0.5 * np.square((hours - times) / widths))
    return X


@pytest.mark.slow
@pytest.mark.parametrize("n_samples", [600, 1500])
def test_codes_beyond_those_that_count_do_not_make_pca_of_all(n_samples):
    """Twelve components leave only noise, which no network can reduce."""
    X, X_test = np.split(make_load_curves(n_samples + 1000), [n_samples])
    with warnings.catch_warnings():
        warnings.simplefilter("error", NotBetterThanPCAWarning)
        model = AutoencoderTransformer(12, nested=True, max_iter=25, random_state=0).fit(X)
    errors = [
        measure(model, X_test, n_codes) / measure_pca(X, X_test, n_codes)
        for n_codes in range(1, 13)
    ]
    assert max(errors[1:8]) < 0.9
    assert max(errors) < 1.01


def test_numbers_of_codes_that_do_worse_than_at_the_start_count_more(fitted):
    step = make_step([copy.deepcopy(fitted.net_.module_)], fitted, by_hand=True)
    weights = step.prefix_weights
    step.heed_(torch.tensor([-0.1, -0.2, 0.0, -0.1]))
    assert step.weigh(weights) is weights
    for _ in range(9):
        step.heed_(torch.tensor([-0.1, -0.2, -0.1, 0.002]))
    shares = (step.weigh(weights) / weights)[0]
    torch.testing.assert_close(shares / shares[0], torch.tensor([1.0, 1, 1, 1, 8, 8]))
    assert shares.mean() == pytest.approx(1)


def test_a_further_code_that_does_harm_is_not_used():
    errors = np.array([5.0, 3.0, 4.0, 2.0, 2.5])
    assert choose_numbers(errors, [1, 2, 3, 4, 5]).tolist() == [1, 2, 2, 4, 5]
    assert choose_numbers(errors, [1, 2, 4, 6, 8]).tolist() == [1, 2, 3, 2, 2, 6, 7, 8]


@pytest.mark.slow
def test_more_codes_never_reconstruct_worse_rows_that_judge(halves):
    """Without the rule, a ninth code would be harmful to the decoder of sixteen."""
    params = SMALL | {"n_components": 12, "max_iter": 30, "early_stopping": False}
    model = AutoencoderTransformer(**params).fit(halves[0])
    errors = np.array([measure(model, halves[0], n_codes) for n_codes in range(1, 12)])
    assert (np.diff(errors) <= 1e-7).all()
    np.testing.assert_allclose(
        errors, (1 - model.score_curve_[:-1]) * np.var(halves[0], axis=0).mean(), rtol=1e-3
    )


def test_dead_codes_keep_the_basis_invertible():
    covariance = torch.tensor([[4.0, 4.0, 0.0], [4.0, 4.0, 0.0], [0.0, 0.0, 1.0]]).double()
    basis = CodeBasis(3, dtype=torch.float64)
    explained = order_nested_codes_(basis, torch.zeros(3), covariance, covariance)
    assert explained[1] == 0
    product = basis.forward_map @ basis.inverse_map
    torch.testing.assert_close(product, torch.eye(3, dtype=torch.float64))
