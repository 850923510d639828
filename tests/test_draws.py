"""Multiple imputation."""

import pickle
import types

import numpy as np
import pytest
import torch

import skae
from skae import AutoencoderImputer, AutoencoderTransformer
from skae._engine.applying.draws import Evidence, Feature, draw_tables
from skae._engine.applying.row_distribution import IncompleteRows
from skae.impute import pool

pytestmark = pytest.mark.usefixtures("few_draws")


def make_imputer(**params):
    autoencoder = AutoencoderTransformer(
        hidden_layer_sizes=(16,), max_iter=1, corruption="hiding", early_stopping=False
    )
    return AutoencoderImputer(**{"autoencoder": autoencoder, "random_state": 0, **params})


def hide(X, share=0.3, seed=0):
    return np.where(np.random.default_rng(seed).random(X.shape) < share, np.nan, X)


@pytest.fixture(scope="module")
def frame():
    """Return a frame with missing values in columns of every kind."""
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    n = 150
    kind = rng.integers(3, size=n)
    rain = np.clip(kind + rng.normal(size=n), 0, None)
    whole = pd.DataFrame(
        {
            "length": kind * 10.0 + rng.normal(size=n),
            "kind": pd.Categorical(np.array(["ant", "bee", "cat"])[kind]),
            "count": pd.array(rng.poisson(3 + kind), dtype="Int64"),
            "name": np.array(["a", "b", "c"], dtype=object)[kind],
            "flies": pd.array(kind == 1, dtype="boolean"),
            "rain": rain.astype(np.float32),
            "label": [f"animal {i}" for i in range(n)],
        },
        index=np.arange(500, 500 + n),
    )
    return whole.mask(rng.random(whole.shape) < 0.2)


@pytest.mark.parametrize("dtype", [pytest.param(np.float64, marks=pytest.mark.slow), np.float32])
def test_draws_differ_in_missing_cells_alone_and_come_again_with_their_seed(wine, dtype):
    X = hide(wine[0][:, :5]).astype(dtype)
    before, there = X.copy(), ~np.isnan(X)
    imputer = make_imputer().fit(X)
    draws = imputer.sample(X, 3, random_state=1)
    assert isinstance(draws, types.GeneratorType)
    draws = list(draws)
    for drawn in draws:
        assert drawn.dtype == dtype
        assert drawn[there].tobytes() == X[there].tobytes()
        assert np.isfinite(drawn).all()
    np.testing.assert_array_equal(X, before)
    assert (draws[0] != draws[1])[~there].mean() > 0.9
    copy = pickle.loads(pickle.dumps(imputer))
    for first, second in zip(draws, copy.sample(X, 2, random_state=1), strict=False):
        np.testing.assert_array_equal(first, second)
    assert not np.array_equal(next(imputer.sample(X)), next(imputer.sample(X)))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::skae.exceptions.ImputationWarning")
def test_frames_keep_types_and_values_that_their_columns_can_have(frame, tmp_path):
    bounds = np.full(7, np.inf)
    bounds[0] = 22.0
    imputer = make_imputer(max_value=bounds, add_indicator=True).fit(frame)
    filled = imputer.transform(frame)
    skae.save(imputer, tmp_path / "imputer.skae")
    again = skae.load(tmp_path / "imputer.skae").sample(frame, 4, random_state=0)
    missing = frame.isna()
    for drawn, own in zip(imputer.sample(frame, 4, random_state=0), again, strict=True):
        assert drawn.equals(own)
        assert dict(drawn.dtypes) == dict(filled.dtypes)
        assert drawn.index.equals(frame.index)
        assert drawn["label"].equals(frame["label"])
        for name in frame.columns[:-1]:
            there = ~missing[name]
            assert drawn[name][there].tolist() == frame[name][there].tolist()
            assert not drawn[name].isna().any()
        for name in ("kind", "name", "flies", "count", "rain"):
            assert set(drawn[name]) <= set(frame[name][~missing[name]])
        assert drawn["length"][missing["length"]].max() <= 22
        agree = (drawn["kind"].astype(str) == filled["kind"].astype(str))[missing["kind"]]
        assert agree.mean() > 0.8


@pytest.mark.slow
def test_frames_of_polars_give_frames_of_polars(frame):
    pl = pytest.importorskip("polars")
    columns = {name: frame[name].astype(object).where(frame[name].notna(), None) for name in frame}
    table = pl.DataFrame({name: columns[name].tolist() for name in ("length", "kind", "flies")})
    imputer = make_imputer().fit(table)
    for drawn in imputer.sample(table, 2, random_state=0):
        assert isinstance(drawn, pl.DataFrame)
        assert drawn.schema == table.schema
        assert drawn.null_count().sum_horizontal().item() == 0
        known = table["length"].is_not_null()
        assert drawn["length"].filter(known).equals(table["length"].filter(known))


def test_draws_have_the_conditional_distribution_of_their_row():
    rng = np.random.default_rng(0)
    covariance = np.array([[1.0, 0.8, 0.6], [0.8, 1.0, 0.6], [0.6, 0.6, 1.0]])
    X = rng.multivariate_normal(np.zeros(3), covariance, size=2000)
    hidden = X.copy()
    hidden[:600, :2] = np.nan
    hidden[600:900, 0] = np.nan
    imputer = make_imputer().fit(hidden)
    differences = np.stack([drawn - X for drawn in imputer.sample(hidden, 10, random_state=0)])
    # The difference of a draw and the value is that of two residuals.
    both = np.mean([np.cov(one[:600, :2].T) for one in differences], axis=0) / 2
    expected = covariance[:2, :2] - np.outer(covariance[:2, 2], covariance[2, :2])
    np.testing.assert_allclose(both, expected, atol=0.06)
    single = differences[:, 600:900, 0].var() / 2
    others = covariance[0, 1:]
    given_both = 1 - others @ np.linalg.solve(covariance[1:, 1:], others)
    assert single == pytest.approx(given_both, rel=0.15)


def test_draws_from_few_rows_vary_like_their_parameters():
    rng = np.random.default_rng(0)
    known = rng.normal(size=(20, 2))
    Z = np.column_stack([rng.normal(size=200), np.full(200, np.nan)])
    features = [Feature(np.array([index])) for index in range(2)]
    evidence = Evidence(known, 20, np.zeros_like, 1.0)
    means = [drawn[:, 1].mean() for drawn in draw_tables(Z, features, evidence, 10, seed=0)]
    # The standard error of the mean of the known rows is about 0.22, and that of the fills 0.07.
    assert 0.12 < np.std(means) < 0.4


def test_residuals_grow_with_the_spread_and_parameters_vary_less_where_rows_are_left_out():
    rng = np.random.default_rng(0)
    known = rng.normal(size=(20, 2))
    Z = np.column_stack([rng.normal(size=5), np.full(5, np.nan)])
    features = [Feature(np.array([index])) for index in range(2)]
    drawn = [
        next(draw_tables(Z, features, Evidence(known, 20, np.zeros_like, spread), 1, seed=0))
        for spread in (0.0, 1.0, 2.0)
    ]
    assert (drawn[1] != drawn[0])[:, 1].all()
    np.testing.assert_allclose(drawn[2] - drawn[0], 2 * (drawn[1] - drawn[0]))
    rows = IncompleteRows(known)
    origin = rows.fit()
    means = [rows.draw(origin, n_all, np.random.default_rng(1)).mean for n_all in (20, 80)]
    np.testing.assert_allclose(means[0] - origin.mean, 2 * (means[1] - origin.mean))


@pytest.mark.slow
def test_categories_are_drawn_by_their_shares_and_agree_with_the_other_columns():
    rng = np.random.default_rng(0)
    kind = rng.choice(3, size=1500, p=[0.7, 0.2, 0.1])
    X = np.column_stack([kind, 4.0 * kind + rng.normal(size=1500), rng.normal(size=1500)])
    hidden = X.copy()
    hidden[:400, :2] = np.nan
    imputer = make_imputer(categorical_features=[0]).fit(hidden)
    drawn = np.stack(list(imputer.sample(hidden, 10, random_state=0)))[:, :400]
    shares = [(drawn[:, :, 0] == value).mean() for value in range(3)]
    np.testing.assert_allclose(shares, [0.7, 0.2, 0.1], atol=0.04)
    for value in range(3):
        assert drawn[drawn[:, :, 0] == value][:, 1].mean() == pytest.approx(4 * value, abs=0.4)


@pytest.mark.slow
def test_half_the_values_missing_at_random_are_half_of_the_information():
    X = np.random.default_rng(0).normal(size=(400, 3))
    hidden = X.copy()
    hidden[::2, 0] = np.nan
    imputer = make_imputer().fit(hidden)
    draws = [drawn[:, 0] for drawn in imputer.sample(hidden, 20, random_state=0)]
    pooled = pool([(own.mean(), own.std() / 20) for own in draws])
    assert pooled.missing_information[0] == pytest.approx(0.5, abs=0.12)
    assert pooled.standard_errors[0] == pytest.approx(1 / np.sqrt(200), rel=0.2)


@pytest.mark.slow
def test_the_network_makes_draws_more_accurate():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 2))
    X = np.column_stack([X, X[:, 0] ** 2])
    hidden = X.copy()
    hidden[::3, 2] = np.nan
    groups = np.arange(300) // 2
    autoencoder = AutoencoderTransformer(
        hidden_layer_sizes=(32,), learning_rate_init=0.02, max_iter=20, early_stopping=False
    )
    imputer = make_imputer(autoencoder=autoencoder).fit(hidden, groups=groups)
    assert imputer.learned_share_ > 0.5
    errors = []
    for share in (imputer.learned_share_, 0.0):
        imputer.learned_share_ = share
        draws = list(imputer.sample(hidden, 2, random_state=0))
        errors.append(np.mean([np.square(drawn - X).sum() for drawn in draws]))
    assert errors[0] < 0.6 * errors[1]


def test_tables_without_values_to_draw_by(wine):
    X = wine[0]
    imputer = make_imputer().fit(X)
    for drawn in imputer.sample(X, 2):
        np.testing.assert_array_equal(drawn, X)
    rows = next(imputer.sample(np.full((2, 13), np.nan), 1, random_state=0))
    assert np.isfinite(rows).all()
    with pytest.warns(skae.exceptions.ImputationWarning):
        empty = make_imputer().fit(np.full((4, 2), np.nan))
    assert next(empty.sample(np.full((3, 2), np.nan))).shape == (3, 0)
    few = np.array([[1.0, 2.5], [3.0, np.nan], [np.nan, 4.5]])
    assert np.isfinite(list(make_imputer().fit(few).sample(few, 3))).all()


def test_samples_keep_their_axes():
    X = hide(np.random.default_rng(0).random((40, 1, 3, 3)))
    imputer = make_imputer(min_value=0, max_value=1, standardize=False).fit(X)
    drawn = next(imputer.sample(X, 1, random_state=0))
    assert drawn.shape == X.shape
    assert 0 <= drawn.min() <= drawn.max() <= 1


def test_invalid_requests_for_draws_are_refused_at_once(wine):
    imputer = make_imputer().fit(wine[0])
    for n_draws in (0, -1, 2.5, "all"):
        with pytest.raises(ValueError, match="`n_draws` must be"):
            imputer.sample(wine[0], n_draws)
    with pytest.raises(ValueError, match="features"):
        imputer.sample(wine[0][:, :3])
    del imputer._kept_rows
    with pytest.raises(ValueError, match="store rows of fit"):
        imputer.sample(wine[0])


@pytest.mark.slow
def test_tables_too_wide_for_draws_are_refused():
    wide = make_imputer().fit(np.random.default_rng(0).random((4, 2001)))
    with pytest.raises(ValueError, match="X must have 2000 columns at most"):
        wide.sample(np.zeros((1, 2001)))


def test_draws_ignore_the_default_device_and_leave_it_to_the_caller(wine):
    X = hide(wine[0][:, :3])
    imputer = make_imputer().fit(X)
    expected = list(imputer.sample(X, 2, random_state=0))
    torch.set_default_device("meta")
    try:
        for drawn, own in zip(imputer.sample(X, 2, random_state=0), expected, strict=True):
            np.testing.assert_array_equal(drawn, own)
            assert torch.empty(1).is_meta
    finally:
        torch.set_default_device(None)
