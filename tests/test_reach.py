"""Far from the training rows, the model becomes PCA."""

import copy
import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_diabetes, make_swiss_roll
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from skae import (
    AdversarialAutoencoderTransformer,
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    SparseAutoencoderTransformer,
    VariationalAutoencoderTransformer,
    load,
    save,
)
from skae._engine.families.moments import correct_moments, measure_codes
from skae._engine.tables.batches import WeightedRows
from skae._engine.tables.rows import DenseRows
from skae.datasets import load_mnist
from skae.modules import Reach, leave_out_far_rows

FAMILIES = {
    "dense": AutoencoderTransformer(),
    "float64": AutoencoderTransformer(dtype="float64"),
    "masked": AutoencoderTransformer(missing="mask"),
    "denoising": AutoencoderTransformer(corruption="gaussian", corruption_level=0.1),
    "sparse": AutoencoderTransformer(penalty="l1", alpha=1e-3),
    "contractive": AutoencoderTransformer(penalty="contractive", alpha=1e-3),
    "conv": AutoencoderTransformer(architecture="conv", sample_shape=(1, 10)),
    "recurrent": AutoencoderTransformer(architecture="recurrent", sample_shape=(5, 2)),
    "variational": VariationalAutoencoderTransformer(beta=0.1),
    "conditional": VariationalAutoencoderTransformer(beta=0.1, conditional=True),
    "adversarial": AdversarialAutoencoderTransformer(),
    "discrepancy": AdversarialAutoencoderTransformer(divergence="mmd"),
    "huber": AutoencoderTransformer(loss="huber"),
    "nested": AutoencoderTransformer(nested=True),
}
# The others differ from these in the loss, the noise, the precision, or the kind of samples.
FAST = {"dense", "masked", "conv"}


@pytest.fixture(scope="module")
def roll():
    """Rows that a network reconstructs much better than PCA."""
    return make_swiss_roll(300, random_state=0)[0]


@pytest.fixture(scope="module")
def fitted(roll):
    """Autoencoder fitted to all rows."""
    params = {"early_stopping": False, "max_iter": 60, "random_state": 0}
    return AutoencoderTransformer(2, **params).fit(roll)


def squared_errors(estimator, X):
    """Return the squared error of each row."""
    return np.square(X - estimator.inverse_transform(estimator.transform(X))).sum(axis=1)


@pytest.fixture(scope="module")
def wide():
    """Return a large table, and a model of it."""
    rng = np.random.default_rng(0)
    X = np.tanh(2 * rng.normal(size=(6000, 2)) @ rng.normal(size=(2, 100)))
    params = {"max_iter": 1, "early_stopping": False, "random_state": 0}
    return X, AutoencoderTransformer(3, **params).fit(X)


@pytest.mark.parametrize("n_far", [6, pytest.param(2000, marks=pytest.mark.slow)])
def test_far_rows_of_large_tables_have_the_results_that_they_have_alone(n_far, wide):
    X, model = wide[0].copy(), wide[1]
    far = np.random.default_rng(0).choice(len(X), n_far, replace=False)
    X[far] *= 10
    # So far that only double precision suffices.
    X[far[0], 5] = 1e32
    for method in (model.transform, model.reconstruction_errors, model.score_samples):
        np.testing.assert_allclose(method(X)[far], method(X[far]), rtol=1e-4, atol=1e-4)
    X[far[1], 7] = 1e305
    with pytest.raises(ValueError, match=f"in row {far[1]}, column 7"):
        model.transform(X)


@pytest.mark.parametrize("factor", [10, 1000])
def test_far_rows_are_reconstructed_as_by_pca(fitted, roll, factor):
    far = roll.mean(axis=0) + factor * (roll - roll.mean(axis=0))
    pca = PCA(2).fit(roll)
    assert squared_errors(fitted, roll).sum() < 0.5 * squared_errors(pca, roll).sum()
    assert squared_errors(fitted, far).sum() < 1.05 * squared_errors(pca, far).sum()


def test_rows_of_the_fit_are_within_reach(fitted, roll):
    before = fitted.transform(roll)
    reach, fitted.net_.module_.reach = fitted.net_.module_.reach, None
    without = fitted.transform(roll)
    fitted.net_.module_.reach = reach
    np.testing.assert_allclose(before, without, rtol=1e-6, atol=1e-6)


def test_the_reach_grows_when_a_fit_continues(roll):
    model = AutoencoderTransformer(2, random_state=0).partial_fit(roll)
    first = model.net_.module_.reach
    model.partial_fit(roll[:50])
    reach = model.net_.module_.reach
    for name in ("row_bounds", "code_bounds"):
        before, after = getattr(first, name), getattr(reach, name)
        assert (after[0] <= before[0]).all()
        assert (after[1] >= before[1]).all()


def test_draws_of_the_prior_are_within_reach_and_posteriors_of_far_rows_are_those_of_pca(roll):
    models = [
        AdversarialAutoencoderTransformer(2, max_iter=1, random_state=0),
        VariationalAutoencoderTransformer(2, max_iter=3, early_stopping=False, random_state=0),
    ]
    for model in models:
        module = model.fit(roll[:100]).net_.module_
        draws = torch.tensor([[3.5, -3.5], [-3.5, 3.5]])
        assert module.reach.limit_codes(draws * module.code_scale).share is None
    _, log_variance = module.find_posterior(torch.full((1, 3), 1e6))
    expected = module.log_variance - 2 * module.code_scale.log()
    torch.testing.assert_close(log_variance[0], expected)


def test_codes_of_any_size_are_decoded_without_pca():
    X = np.random.default_rng(0).normal(size=(50, 4))
    model = AutoencoderTransformer(2, init="random", max_iter=2, random_state=0).fit(X)
    assert model.net_.module_.reach is None


def test_rows_fade_by_themselves(fitted, roll):
    """Results of a row do not depend on the other rows, also under vmap."""
    far = 3 * roll[:5]
    both = fitted.transform(np.vstack([roll[:20], far, roll[20:40]]))
    np.testing.assert_allclose(both[:20], fitted.transform(roll[:20]), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(both[20:25], fitted.transform(far), rtol=1e-5, atol=1e-6)
    module = fitted.net_.module_
    rows = fitted._standardization.apply(np.vstack([roll[:3], far]))
    with torch.no_grad():
        each = torch.func.vmap(lambda row: module.encode(row[None])[0])(rows)
        torch.testing.assert_close(each, module.encode(rows), rtol=1e-5, atol=1e-6)
        half = torch.autocast("cpu", torch.bfloat16)
        with half:
            assert torch.isfinite(module(rows)).all()


def make_readings(n_samples, level=20.0, seed=0):
    """Return nine readings along a curve, and a sensor that is constant except for rounding."""
    rng = np.random.default_rng(seed)
    t = rng.uniform(0, 6, n_samples)
    X = np.column_stack([np.cos(t + k) for k in range(8)] + [t / 3, np.full(n_samples, level)])
    return X + np.append(np.full(9, 0.05), 1e-6) * rng.normal(size=X.shape)


@pytest.fixture(
    scope="module",
    params=[
        name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in FAMILIES
    ],
)
def family(request):
    """Autoencoders of the readings, of each family, that are better than PCA."""
    model = clone(FAMILIES[request.param])
    # Sequences and images take the most time, and few epochs are enough for them.
    max_iter = 8 if request.param in ("conv", "recurrent") else 15
    params = {"n_components": 2, "max_iter": max_iter, "random_state": 0, "early_stopping": False}
    known = model.get_params().keys() & params.keys()
    X = make_readings(300)
    return model.set_params(**{name: params[name] for name in known}).fit(X, X[:, 0] > 0)


@pytest.fixture(scope="module")
def pca():
    """PCA of the readings."""
    return PCA(2, svd_solver="full").fit(make_readings(300))


def compare_errors(model, pca, X, columns):
    """Return the squared error of some columns relative to PCA's."""
    errors = [
        np.square(X - estimator.inverse_transform(estimator.transform(X)))[:, columns].sum()
        for estimator in (model, pca)
    ]
    return errors[0] / errors[1]


def test_a_jump_in_one_column_harms_the_others_no_more_than_in_pca(family, pca):
    X = make_readings(60, seed=1)
    deviations = make_readings(300).std(axis=0)
    jumps = [5, -5, 10, -20, 30, 1e3, 1e6, 1e12]
    for jump, column in [*itertools.product(jumps, [0, 9]), (-5, 3), (20, 8), (30, 3), (1e6, 8)]:
        odd = X.copy()
        odd[:, column] += jump * deviations[column]
        assert compare_errors(family, pca, odd, np.arange(10) != column) < 1.05, (jump, column)


def test_one_cell_at_the_largest_float_harms_the_others_no_more_than_in_pca(family, pca):
    for column in (0, 8, 9):
        odd = make_readings(20, seed=1)
        odd[:, column] = np.finfo(np.float32).max
        assert compare_errors(family, pca, odd, np.arange(10) != column) < 1.05, column


def test_a_column_that_rested_in_training_may_move_later(family, pca):
    before = compare_errors(family, pca, make_readings(100, seed=1), slice(9))
    assert before < 0.8
    for level in (20.001, 21.0, -1000.0):
        moved = make_readings(100, level, seed=1)
        assert compare_errors(family, pca, moved, slice(9)) < before + 0.2, level


@pytest.mark.parametrize("kind", ["array", pytest.param("frame", marks=pytest.mark.slow)])
def test_a_standardised_column_that_rested_leaves_the_others_alone(kind):
    """The column has as much weight as the others, unlike in its own units."""
    scaler = StandardScaler().fit(make_readings(300))
    columns = list("abcdefghij")

    def prepare(X):
        if kind == "array":
            return scaler.transform(X)
        return pd.DataFrame(X, columns=columns).assign(kind=np.where(X[:, 0] > 0, "u", "v"))

    def find_error(model, X):
        rows = prepare(X)
        again = model.inverse_transform(model.transform(rows))
        if kind == "array":
            return np.square(again - rows)[:, :9].mean()
        return np.square(again[columns[:9]] - rows[columns[:9]]).to_numpy().mean()

    params = {"early_stopping": False, "max_iter": 15, "random_state": 0}
    train = make_readings(300)
    model = AutoencoderTransformer(2, **params).fit(prepare(train))
    usual = find_error(model, make_readings(100, seed=1))
    for level in (20.001, 21.0, -1000.0, 1e12):
        moved = make_readings(100, level, seed=1)
        assert find_error(model, moved) < 3 * usual, level
    if kind == "array":
        return
    detector = AutoencoderOutlierDetector(2, autoencoder=AutoencoderTransformer(**params), cv=None)
    moved = prepare(make_readings(100, 21.0, seed=1))
    detector.set_params(random_state=0).fit(prepare(train))
    z_scores = detector.cell_z_scores(moved).abs()
    assert z_scores[columns[:9]].to_numpy().max() < 20
    assert z_scores["j"].min() > 1e6
    assert (detector.predict(moved) == -1).all()


def test_rows_that_are_odd_in_all_columns_are_reconstructed_as_by_pca(family, pca):
    X, draws = make_readings(300), np.random.default_rng(2).normal(size=(100, 10))
    for size in (3, 10, 1e3, 1e9, 1e15):
        odd = X.mean(axis=0) + size * X.std(axis=0) * draws
        assert compare_errors(family, pca, odd, slice(None)) < 1.05, size
    for factor in (10, 1e3, 1e9):
        odd = X.mean(axis=0) + factor * (X - X.mean(axis=0))
        assert compare_errors(family, pca, odd, slice(None)) < 1.05, factor


@pytest.fixture(scope="module")
def dictionary():
    """Sparse codes of the readings, standardised, and the map to these units."""
    scaler = StandardScaler().fit(make_readings(300))
    params = {"n_active": 3, "early_stopping": False, "random_state": 0}
    model = SparseAutoencoderTransformer(32, **params)
    return model.fit(scaler.transform(make_readings(300))), scaler


def test_sparse_codes_ignore_few_far_cells_and_follow_far_rows(dictionary):
    model, scaler = dictionary
    pca = PCA(3, svd_solver="full").fit(scaler.transform(make_readings(300)))
    X, rng = scaler.transform(make_readings(100, seed=1)), np.random.default_rng(0)
    for jump, column in itertools.product((5, -10, 30, -1e3, 1e6, 1e12, 1e37), (0, 3, 8, 9)):
        moved = np.arange(10) == column
        odd = np.where(moved, X + jump, X)
        assert compare_errors(model, pca, odd, ~moved) < 1.05, (jump, column)
    for level in (20.001, 21.0, -1000.0):
        odd = scaler.transform(make_readings(100, level, seed=1))
        assert np.square(odd - model.inverse_transform(model.transform(odd)))[:, :9].mean() < 0.1
    for marker, share in itertools.product((-999.0, 9999.0), (0.02, 0.1)):
        marked = rng.uniform(size=X.shape) < share
        odd = np.where(marked, marker, X)
        errors = [
            np.square(own.inverse_transform(own.transform(odd)) - odd)[~marked].sum()
            for own in (model, pca)
        ]
        assert errors[0] < 0.1 * errors[1]
    for factor in (3, 10, 1e3, 1e9):
        assert compare_errors(model, pca, factor * X, slice(None)) < 1.05, factor
        odd = X + factor * rng.normal(size=X.shape)
        assert compare_errors(model, pca, odd, slice(None)) < 1.05, factor


def test_sparse_codes_of_known_rows_do_not_depend_on_the_range(dictionary):
    model, scaler = dictionary
    X, module = scaler.transform(make_readings(300)), model.net_.module_
    codes = model.transform(X)
    reach, module.reach = module.reach, None
    without = model.transform(X)
    module.reach = reach
    np.testing.assert_array_equal(codes.toarray(), without.toarray())


def test_far_rows_have_the_same_sparse_codes_in_all_forms(dictionary, tmp_path, monkeypatch):
    model, scaler = dictionary
    X = scaler.transform(make_readings(40, seed=1))
    X[::2, 3] = 1e4
    X[1::20] *= 10
    codes = model.transform(X).toarray()
    np.testing.assert_allclose(model.transform(X[::2]).toarray(), codes[::2], rtol=1e-5, atol=1e-6)
    save(model, tmp_path / "model.skae")
    np.testing.assert_array_equal(load(tmp_path / "model.skae").transform(X).toarray(), codes)
    for name in ("_row_range", "_pursuit"):
        monkeypatch.setattr(f"skae.modules.{name}.is_recording", lambda: True)
    np.testing.assert_allclose(model.transform(X).toarray(), codes, rtol=1e-4, atol=1e-4)


def test_the_range_of_sparse_codes_grows_when_a_fit_continues(roll):
    model = SparseAutoencoderTransformer(8, n_active=2, random_state=0).partial_fit(roll[:50])
    model.partial_fit(3 * roll[:50])
    low, high = model._standardization.invert(model.net_.module_.row_bounds)
    rows = np.vstack([roll[:50], 3 * roll[:50]])
    np.testing.assert_allclose([low, high], [rows.min(0), rows.max(0)], rtol=1e-4, atol=1e-4)


def test_far_from_all_rows_a_variational_network_is_its_start():
    """Codes of probabilistic PCA are shorter than those of PCA."""
    X = make_readings(300)
    model = VariationalAutoencoderTransformer(2, max_iter=15, early_stopping=False, random_state=0)
    module = model.fit(X).net_.module_
    for factor in (1e3, 1e6, 1e9):
        rows = model._standardization.apply(X.mean(axis=0) + factor * (X - X.mean(axis=0)))
        with torch.no_grad():
            start = module.linear_path.decode_first(module.project(module.scale_rows(rows)))
            errors = [(own - rows).double().square().sum() for own in (module(rows), start)]
        assert errors[0] < 1.001 * errors[1], factor


def test_markers_of_missing_values_harm_the_other_cells_no_more_than_in_pca(family, pca):
    X, draws = make_readings(100, seed=1), np.random.default_rng(3)
    for marker, share in itertools.product((-999.0, 9999.0, 1e20), (0.02, 0.1)):
        marked = draws.uniform(size=X.shape) < share
        odd = np.where(marked, marker, X)
        errors = [
            np.square(own.inverse_transform(own.transform(odd)) - odd)[~marked].sum()
            for own in (family, pca)
        ]
        assert errors[0] < 1.05 * errors[1], (marker, share)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [pytest.param(1, marks=pytest.mark.slow), 5])
def test_a_cell_moved_within_its_range_harms_the_others_less_than_in_pca(seed):
    """A network that follows the move takes the row for another one."""
    X = StandardScaler().fit_transform(load_diabetes(scaled=False).data)
    X = X[np.random.default_rng(seed).permutation(len(X))]
    params = {"output_range": None, "max_iter": 40, "random_state": seed}
    model = AutoencoderTransformer(5, **params).fit(X[:340])
    pca = PCA(5, svd_solver="full").fit(X[:340])
    assert model.best_iter_ > 0
    for column, jump in itertools.product(range(10), (-3, 3)):
        odd = X[340:] + jump * (np.arange(10) == column)
        assert compare_errors(model, pca, odd, np.arange(10) != column) < 1, (column, jump)


def make_plant(n_samples, n_stopped, seed):
    """Return readings along a curve, and a pressure that rises where the plant has stopped."""
    rng = np.random.default_rng(seed)
    t = rng.uniform(0, 6, n_samples)
    X = np.column_stack([np.cos(t + k) for k in range(8)] + [t / 3, np.zeros(n_samples)])
    X[:n_stopped] = 0
    X[:n_stopped, 9] = np.linspace(6, 12, n_stopped)
    return X + 0.05 * rng.normal(size=X.shape)


@pytest.fixture(scope="module")
def plant():
    """Autoencoder that knows high pressures, and PCA of the same rows."""
    X = make_plant(1000, 6, seed=0)
    params = {"max_iter": 30, "early_stopping": False, "random_state": 0}
    return AutoencoderTransformer(2, **params).fit(X), PCA(2, svd_solver="full").fit(X)


def test_a_value_of_other_rows_does_not_make_a_row_one_of_them(plant):
    """With one cell as in a few rows of `fit`, all other cells were as in these rows."""
    model, pca = plant
    running, others = make_plant(100, 0, seed=1), np.arange(10) != 9
    for pressure in (4, 6, 9, 12, 20):
        running[:, 9] = pressure
        assert compare_errors(model, pca, running, others) < 0.6, pressure
    assert compare_errors(model, pca, make_plant(20, 20, seed=2), slice(None)) < 0.2


@pytest.mark.parametrize(
    "kind",
    [
        "variational",
        *(pytest.param(own, marks=pytest.mark.slow) for own in ("adversarial", "huber")),
    ],
)
def test_a_value_of_other_rows_is_ignored_by_other_families(plant, kind):
    kinds = {
        "variational": VariationalAutoencoderTransformer(beta=0.1, early_stopping=False),
        "adversarial": AdversarialAutoencoderTransformer(),
        "huber": AutoencoderTransformer(loss="huber", early_stopping=False),
    }
    model = kinds[kind].set_params(n_components=2, max_iter=30, random_state=0)
    model.fit(make_plant(1000, 6, seed=0))
    running, others = make_plant(100, 0, seed=1), np.arange(10) != 9
    for pressure in (4, 6, 9, 12, 20):
        running[:, 9] = pressure
        assert compare_errors(model, plant[1], running, others) < 0.7, pressure
    assert compare_errors(model, plant[1], make_plant(20, 20, seed=2), slice(None)) < 0.2
    running[::2, 9] = 0
    codes, rows = model.transform(running), model._standardization.apply(running)
    np.testing.assert_allclose(codes[1:2], model.transform(running[1:2]), rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        each = torch.func.vmap(lambda row: model.net_.module_.encode(row[None])[0])(rows)
    np.testing.assert_allclose(each.numpy(), codes, rtol=1e-4, atol=1e-4)


def test_the_codes_of_pca_of_variational_networks_reconstruct_its_rows():
    """Codes inside of the network differ from those that users see by `code_scale`."""
    X = make_readings(200)
    model = VariationalAutoencoderTransformer(2, max_iter=8, early_stopping=False, random_state=0)
    module = model.fit(X).net_.module_
    assert (module.code_scale != 1).all()
    scaled = module.scale_rows(model._standardization.apply(X))
    first = module.linear_path.encode_first(scaled)
    torch.testing.assert_close(module.project(scaled), first)
    bounds = module.reach.code_bounds
    assert (first >= bounds[0] - 1e-4).all()
    assert (first <= bounds[1] + 1e-4).all()


def test_two_values_of_other_rows_do_not_make_a_row_one_of_them(plant):
    model, pca = plant
    running = make_plant(100, 0, seed=1)
    running[:, 7] += 2
    for pressure in (4, 6, 9, 12):
        running[:, 9] = pressure
        assert compare_errors(model, pca, running, np.arange(7)) < 1, pressure


def test_rows_have_the_same_codes_in_recorded_programs(plant, monkeypatch):
    model, _ = plant
    X = make_plant(100, 0, seed=1)
    X[::2, 9] = np.linspace(4, 20, 50)
    X[1::20] *= 10
    codes = model.transform(X)
    monkeypatch.setattr("skae.modules._reach.is_recording", lambda: True)
    np.testing.assert_allclose(model.transform(X), codes, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_rows_with_odd_cells_have_the_same_codes_in_all_forms(plant, tmp_path):
    model, _ = plant
    X = make_plant(20_000, 0, seed=1)
    odd = np.arange(0, 20_000, 40)
    X[odd, 9] = np.linspace(4, 20, len(odd))
    codes = model.transform(X)
    np.testing.assert_allclose(codes[odd], model.transform(X[odd]), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(codes[odd[:1]], model.transform(X[odd[:1]]), rtol=1e-4, atol=1e-5)
    module, rows = model.net_.module_, model._standardization.apply(X[odd[:50]])
    with torch.no_grad():
        each = torch.func.vmap(lambda row: module.encode(row[None])[0])(rows)
    np.testing.assert_allclose(each.numpy(), codes[odd[:50]], rtol=1e-4, atol=1e-5)
    save(model, tmp_path / "model.skae")
    np.testing.assert_array_equal(load(tmp_path / "model.skae").transform(X[odd]), codes[odd])
    exported = torch.export.export(module, (rows,))
    np.testing.assert_allclose(exported.module()(rows).detach(), module(rows).detach(), atol=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU here")
def test_rows_with_odd_cells_have_the_same_codes_on_a_gpu(plant):
    model, _ = plant
    X = make_plant(200_000, 0, seed=1)
    X[::4000, 9] = np.linspace(4, 20, 50)
    expected = model.transform(X)
    on_gpu = copy.deepcopy(model)
    on_gpu.net_.module_.to("cuda")
    np.testing.assert_allclose(on_gpu.transform(X), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("weighted", [False, True])
def test_moments_with_ignored_cells_are_those_of_all_rows(plant, weighted):
    model, _ = plant
    X = make_plant(300, 6, seed=1)
    X[50:70, 9] = np.linspace(6, 12, 20)
    rows = DenseRows(model._standardization.apply(X))
    weights = torch.linspace(0, 2, 300) if weighted else None
    module, dataset = model.net_.module_, WeightedRows(rows, weights)
    with module.reach.keep_odd_cells():
        before = measure_codes(module, dataset)
    corrected = correct_moments(module, module.reach, dataset, before)
    expected = measure_codes(module, dataset)
    assert expected.squared_error != pytest.approx(before.squared_error, rel=0.01)
    assert corrected.squared_error == pytest.approx(expected.squared_error, rel=1e-5)
    for name in ("mean", "covariance", "cross_covariance"):
        found, known = getattr(corrected, name), getattr(expected, name)
        np.testing.assert_allclose(found, known, atol=1e-5 * float(known.abs().max()))


@pytest.mark.parametrize("missing", [None, "mask"])
def test_figures_of_the_fit_are_those_of_the_model_that_ignores_odd_cells(missing):
    X = make_plant(1000, 6, seed=0)
    X[500:504, 9] = 7
    params = {"max_iter": 30, "early_stopping": False, "random_state": 0}
    model = AutoencoderTransformer(2, missing=missing, **params).fit(X)
    codes = model.transform(X)
    error = np.square(model.inverse_transform(codes) - X).mean()
    assert model.reconstruction_error_ == pytest.approx(error, rel=1e-4)
    assert model.explained_variance_ratio_.sum() == pytest.approx(model.score(X), abs=1e-5)
    assert abs(np.corrcoef(codes.T)[0, 1]) < 1e-5
    with model.net_.module_.reach.keep_odd_cells():
        kept = model.inverse_transform(model.transform(X))
    # Otherwise, nothing is ignored here.
    assert np.square(kept - X).mean() < error / 2


def test_odd_cells_are_kept_where_ignoring_them_would_make_the_model_worse_than_pca(monkeypatch):
    def correct(module, reach, dataset, moments):
        return replace(moments, squared_error=2.0)

    monkeypatch.setattr("skae._engine.fitting.run.correct_moments", correct)
    X = make_plant(300, 6, seed=0)
    params = {"max_iter": 10, "early_stopping": False, "random_state": 0}
    model = AutoencoderTransformer(2, **params).fit(X)
    assert model.net_.module_.reach.usual is None
    error = np.square(model.inverse_transform(model.transform(X)) - X).mean()
    assert model.reconstruction_error_ == pytest.approx(error, rel=1e-4)
    assert error < model.pca_reconstruction_error_


@pytest.fixture(scope="module")
def bounded():
    """Rows in which many cells of two columns are zero, the lowest value."""
    drawn = np.random.default_rng(0).uniform(-1, 1, (300, 2))
    return np.column_stack([np.maximum(0, drawn), drawn**2, drawn.prod(axis=1), drawn])


def test_detected_bounds_yield_for_far_codes_and_given_bounds_hold(bounded):
    params = {"n_components": 2, "max_iter": 10, "early_stopping": False, "random_state": 0}
    models = [
        AutoencoderTransformer(output_range=own, **params).fit(bounded)
        for own in ("auto", (-1.0, 1.0), None)
    ]
    detected, given, free = (model.net_.module_ for model in models)
    assert (detected.output.lower.isfinite()).any()
    assert detected.reach.yielding_limits is not None
    assert given.reach.yielding_limits is None
    assert free.reach.yielding_limits is None
    mean = bounded.mean(axis=0)
    far = mean - 100 * (bounded - mean)
    pca = PCA(2, svd_solver="full").fit(bounded)
    reconstructed, clipped, _ = (model.inverse_transform(model.transform(far)) for model in models)
    assert reconstructed[:, :2].min() < -10
    assert np.abs(clipped).max() <= 1 + 1e-6
    for rows in (far, bounded - 10 * bounded.std(axis=0), 10 * bounded):
        errors = squared_errors(models[0], rows).sum()
        assert errors < 1.05 * squared_errors(pca, rows).sum()
    known = models[0].inverse_transform(models[0].transform(bounded))
    assert known[:, :2].min() > -1e-6


def test_bounds_yield_as_much_after_a_copy_and_as_before_in_files_without_limits(bounded, tmp_path):
    params = {"n_components": 2, "max_iter": 3, "early_stopping": False, "random_state": 0}
    model = AutoencoderTransformer(**params).fit(bounded)
    mean = bounded.mean(axis=0)
    codes = model.transform(mean - 100 * (bounded - mean))
    expected = model.inverse_transform(codes)
    save(model, tmp_path / "model.skae")
    loaded = load(tmp_path / "model.skae")
    np.testing.assert_array_equal(loaded.inverse_transform(codes), expected)
    # As in files of earlier releases.
    model.net_.module_.reach.yielding_limits = None
    save(model, tmp_path / "earlier.skae")
    earlier = load(tmp_path / "earlier.skae")
    assert earlier.inverse_transform(codes)[:, :2].min() >= -1e-6


def test_values_on_one_side_do_not_extend_a_range_on_the_other():
    bounds, ones = torch.tensor([[0.0], [40.0]]), torch.ones(1)
    shown = Reach(bounds, bounds, ones, ones, ones).limit_codes(torch.tensor([[-0.6], [0.5]]))
    assert shown.far.tolist() == [0]
    torch.testing.assert_close(shown.share, 1 / (1 + torch.tensor([[0.1]]) ** 2))


@pytest.mark.slow
def test_rows_fade_to_the_pca_of_all_rows_where_some_were_held_out():
    """With a few huge rows, the PCA of nine tenths of a table differs from that of all."""
    rng = np.random.default_rng(1)
    X = make_readings(1200)
    is_giant = rng.random(1200) < 0.01
    X[is_giant] = X.mean(axis=0) + 20 * X.std(axis=0) * rng.normal(size=(is_giant.sum(), 10))
    pca = PCA(2, svd_solver="full").fit(X)
    model = AutoencoderTransformer(2, max_iter=20, random_state=0).fit(X)
    assert model.best_iter_ > 0
    for column in range(10):
        odd = make_readings(50, seed=3)
        odd[:, column] += 1e6 * X[:, column].std()
        assert compare_errors(model, pca, odd, np.arange(10) != column) < 1.01


def test_where_nothing_was_learned_the_model_is_pca_everywhere():
    X = np.random.default_rng(0).normal(size=(200, 6))
    model = AutoencoderTransformer(3, max_iter=10, random_state=0, output_range=None).fit(X)
    pca = PCA(3, svd_solver="full").fit(X)
    assert model.best_iter_ == 0
    for odd in (X + [10, 0, 0, 0, 0, 0], 5 * X, X + 1e6):
        expected = pca.inverse_transform(pca.transform(odd))
        found = model.inverse_transform(model.transform(odd))
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


GREATEST = float(np.finfo(np.float32).max)


def test_a_cell_of_any_size_that_codes_can_express_is_taken(family, pca):
    for cell in (1e25, -GREATEST):
        check_cell(family, pca, cell, np.float64)
    for cell in (-1e36, GREATEST):
        check_cell(family, pca, cell, np.float32)


def check_cell(family, pca, cell, dtype):
    odd = make_readings(10, seed=1).astype(dtype)
    usual = family.transform(odd)
    odd[4, 3] = cell
    with np.errstate(all="raise"):
        codes = family.transform(odd)
        again = family.inverse_transform(codes)
        errors, scores = family.reconstruction_errors(odd), family.score_samples(odd)
    assert codes.dtype == usual.dtype
    for results in (again, errors, scores):
        assert np.isfinite(results).all()
    np.testing.assert_array_equal(np.delete(codes, 4, axis=0), np.delete(usual, 4, axis=0))
    true = np.square((again[4] - odd[4].astype(float)) / cell).sum()
    expected = pca.inverse_transform(pca.transform(odd[4:5].astype(float)))[0]
    assert true < 1.05 * np.square((expected - odd[4]) / cell).sum()
    assert (errors[4] / cell**2).sum() == pytest.approx(true, rel=1e-3)
    assert scores[4] == scores.min()
    assert family.score(odd) <= 1


@pytest.mark.parametrize("cell", [1e40, 1e200, -1e307])
def test_cells_that_codes_cannot_express_are_refused(fitted, roll, cell):
    odd = roll[:5].copy()
    odd[3, 1] = cell
    with np.errstate(all="raise"), pytest.raises(ValueError, match=r"express.*row 3, column 1"):
        fitted.transform(odd)


def test_errors_that_no_double_can_hold_are_refused(roll):
    odd = roll[:5].copy()
    odd[3, 1] = 1e160
    for dtype in ("float32", "float64"):
        model = AutoencoderTransformer(2, early_stopping=False, max_iter=1, dtype=dtype).fit(roll)
        for method in (model.score_samples, model.score, model.reconstruction_errors):
            with np.errstate(all="raise"), pytest.raises(ValueError, match=r"row 3, column 1"):
                method(odd)


@pytest.mark.parametrize("missing", [None, "mask"])
def test_the_largest_doubles_are_refused_or_found_without_warnings(missing):
    X = np.random.default_rng(0).normal(size=(60, 4))
    greatest = np.sign(X) * np.finfo(np.float64).max
    template = AutoencoderTransformer(2, max_iter=1, missing=missing, early_stopping=False)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        with pytest.raises(ValueError, match="must deviate from its mean by less than"):
            clone(template).fit(greatest)
        detector = AutoencoderOutlierDetector(2, autoencoder=template, random_state=0).fit(X)
        assert (detector.predict(greatest) == -1).all()


def test_codes_whose_reconstructions_overflow_are_refused(roll):
    params = {"max_iter": 9, "random_state": 0, "early_stopping": False}
    model = AutoencoderTransformer(2, **params).fit(roll.astype(np.float32))
    codes = model.transform(roll)
    with pytest.raises(ValueError, match="codes whose reconstructions are numbers"):
        model.inverse_transform(codes.astype(float) * 1e40)
    assert np.isfinite(model.inverse_transform(codes * np.float32(1e33))).all()


def test_reconstructions_fade_to_pca_gradually(fitted, roll):
    """Beyond the known rows, the reconstruction changes about as fast as the row."""
    corner = roll.max(axis=0)
    path = np.linspace(1.0, 1.2, 200)[:, None] * corner
    fading = copy.deepcopy(fitted)
    # Codes that are improved may jump.
    fading.net_.module_.reach.improving = None
    reconstructions = fading.inverse_transform(fading.transform(path))
    steps = np.linalg.norm(np.diff(reconstructions, axis=0), axis=1)
    assert steps.max() < 20 * np.linalg.norm(path[1] - path[0])


def test_rows_shifted_as_a_whole_are_reconstructed_no_worse_than_by_pca(fitted, roll):
    """Each code was within its range, but not their combination: twice PCA's error."""
    pca, deviations = PCA(2, svd_solver="full").fit(roll), roll.std(axis=0)
    for shift in (-3, 3):
        assert compare_errors(fitted, pca, roll + shift * deviations, slice(None)) < 1.02, shift
    for factor in (2, 3, 10):
        assert compare_errors(fitted, pca, roll * factor, slice(None)) < 1.05, factor


def test_improved_codes_are_the_same_in_all_forms(fitted, roll, tmp_path, monkeypatch):
    X = np.concatenate([roll, roll + 3 * roll.std(axis=0)])[::20]
    codes, module = fitted.transform(X), fitted.net_.module_
    plain = copy.deepcopy(fitted)
    plain.net_.module_.reach.improving = None
    assert (plain.transform(X) != codes).any(axis=1).sum() > 5
    np.testing.assert_array_equal(plain.transform(roll), fitted.transform(roll))
    save(fitted, tmp_path / "model.skae")
    np.testing.assert_array_equal(load(tmp_path / "model.skae").transform(X), codes)
    forms = [np.concatenate([fitted.transform(row[None]) for row in X])]
    with torch.no_grad():
        rows = fitted._standardization.apply(X)
        forms.append(torch.func.vmap(lambda row: module.encode(row[None])[0])(rows).numpy())
        with leave_out_far_rows() as left_out:
            known = module.encode(rows).numpy()
    forms.append(codes.copy())
    others = np.delete(np.arange(len(X)), left_out[0])
    assert 5 < len(others) < len(X) - 5
    forms[-1][others] = known[others]
    monkeypatch.setattr("skae.modules._reach.is_recording", lambda: True)
    forms.append(fitted.transform(X))
    for own in forms:
        np.testing.assert_allclose(own, codes, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
@pytest.mark.needs_data("mnist.npz")
@pytest.mark.parametrize("level", [0.1, 0.3, 0.5])
def test_noise_does_no_more_harm_than_in_pca(level):
    images = load_mnist(random_state=0).X_train[:3500].reshape(3500, -1)
    train, test = images[:3000], images[3000:]
    noisy = test + level * np.random.default_rng(0).normal(size=test.shape).astype(test.dtype)
    models = AutoencoderTransformer(32, random_state=0), PCA(32)
    errors = [
        np.square(model.fit(train).inverse_transform(model.transform(noisy)) - test).mean()
        for model in models
    ]
    assert errors[0] < errors[1]


def test_few_far_rows_among_many_are_shown_as_if_alone():
    n_features = 20
    bounds, ones = torch.tensor([[-1.0], [1.0]]).repeat(1, n_features), torch.ones(n_features)
    reach = Reach(bounds, bounds, ones, ones, ones)
    rows = torch.rand(400, n_features, generator=torch.Generator().manual_seed(0)) * 2 - 1
    rows[7, 3], rows[250], rows[399, 0] = 4.0, -3.0, float("nan")
    before, far = rows.clone(), [7, 250, 399]

    shown = reach.limit_rows(rows, lambda own: own / 4)
    assert torch.equal(rows.nan_to_num(99), before.nan_to_num(99))
    assert shown.far.tolist() == far
    others = torch.ones(len(rows), dtype=torch.bool)
    others[far] = False
    assert torch.equal(shown.values[others], rows[others])
    learned = torch.ones(len(rows), n_features)
    faded = shown.fade(learned)
    assert torch.equal(faded[others], learned[others])
    for row in far:
        alone = reach.limit_rows(rows[row : row + 1], lambda own: own / 4)
        own = shown.values[row : row + 1], faded[row : row + 1]
        expected = alone.values, alone.fade(learned[:1])
        torch.testing.assert_close(own, expected, equal_nan=True)
