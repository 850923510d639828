"""Imputation of missing values."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_wine
from sklearn.impute import KNNImputer, MissingIndicator, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderImputer, AutoencoderTransformer
from skae._estimators.neighbor_fills import find_neighbor_changes
from skae.corruption import HidingNoise

pytestmark = pytest.mark.usefixtures("few_draws")


def hide(X, share=0.3, seed=0, value=np.nan):
    """Return X with values missing at random."""
    return np.where(np.random.default_rng(seed).random(X.shape) < share, value, X)


def make_imputer(**params):
    autoencoder = AutoencoderTransformer(
        hidden_layer_sizes=(16,),
        max_iter=3,
        corruption="hiding",
        corruption_level=0.2,
        early_stopping=False,
    )
    return AutoencoderImputer(**{"autoencoder": autoencoder, "random_state": 0, **params})


def find_error(X, filled, hidden):
    return np.square(filled - X)[np.isnan(hidden)].mean()


@pytest.fixture(scope="module")
def gappy():
    """Return the features of wine with missing values, and an imputer fitted to them."""
    X = hide(StandardScaler().fit_transform(load_wine().data))
    X.flags.writeable = False
    return X, make_imputer().fit(X)


@pytest.fixture
def mixed():
    """Return a frame of related numbers and categories, and the mask of missing values."""
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    kind = rng.integers(3, size=120)
    frame = pd.DataFrame(
        {
            "length": kind * 10.0 + rng.normal(size=120),
            "kind": pd.Categorical(np.array(["ant", "bee", "cat"])[kind]),
            "count": kind * 2 + 1,
            "name": np.array(["a", "b", "c"], dtype=object)[kind],
            "flies": kind == 1,
        },
        index=np.arange(500, 620),
    )
    missing = rng.random(frame.shape) < 0.2
    missing[:, 2] = False
    missing[:, 4] = False
    return frame, frame.mask(pd.DataFrame(missing, frame.index, frame.columns)), missing


def test_values_that_are_there_stay_as_they_are_to_the_last_bit(wine):
    for dtype in (np.float64, np.float32):
        X = hide(wine[0][:60]).astype(dtype)
        before = X.copy()
        filled = make_imputer().fit_transform(X)
        assert filled.dtype == dtype
        there = ~np.isnan(X)
        assert filled[there].tobytes() == X[there].tobytes()
        assert np.isfinite(filled).all()
        np.testing.assert_array_equal(X, before)


def test_values_filled_in_have_less_error_than_means_and_neighbours(wine, gappy):
    X, (hidden, imputer) = wine[0], gappy
    error = find_error(X, imputer.transform(hidden), hidden)
    rivals = [SimpleImputer(), KNNImputer()]
    errors = [find_error(X, rival.fit_transform(hidden), hidden) for rival in rivals]
    assert error < 0.7 * errors[0]
    assert error < errors[1]
    assert 0 <= imputer.learned_share_ <= 1
    assert imputer.error_ <= imputer.linear_error_
    # Errors of hidden values, in units of the variance.
    assert imputer.error_ == pytest.approx(error, rel=0.5)
    assert imputer.indicator_ is None


@pytest.mark.slow
def test_fills_of_the_network_are_used_where_they_reduce_the_error(digits):
    X = digits[0]
    hidden = hide(X, 0.4)
    imputer = AutoencoderImputer(random_state=0).fit(hidden)
    assert imputer.learned_share_ > 0.5
    assert imputer.error_ < imputer.linear_error_
    error = find_error(X, imputer.transform(hidden), hidden)
    imputer.learned_share_ = 0.0
    assert error < find_error(X, imputer.transform(hidden), hidden)


@pytest.mark.slow
def test_neighbours_count_where_they_help():
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(6, 8))
    X = centers[rng.integers(6, size=300)] + 0.05 * rng.normal(size=(300, 8))
    hidden = hide(X)
    imputer = make_imputer().fit(hidden)
    assert 0.5 < imputer.neighbor_share_ <= 1
    error = find_error(X, imputer.transform(hidden), hidden)
    assert imputer.error_ < imputer.linear_error_
    restored = pickle.loads(pickle.dumps(imputer))
    np.testing.assert_array_equal(restored.transform(hidden), imputer.transform(hidden))
    # Imputers in files of earlier versions have no neighbours.
    del imputer.neighbor_share_
    assert error < 0.5 * find_error(X, imputer.transform(hidden), hidden)


def test_neighbours_do_not_count_where_columns_are_linear():
    X = np.random.default_rng(0).normal(size=(200, 3)) @ np.ones((3, 6))
    assert make_imputer().fit(hide(X + np.arange(6))).neighbor_share_ == 0


def test_neighbours_of_a_cell_are_the_nearest_rows_where_it_is_observed():
    rng = np.random.default_rng(0)
    known, filled = rng.normal(size=(200, 4)), rng.normal(size=(30, 4))
    has, missing = rng.random(known.shape) < 0.7, rng.random(filled.shape) < 0.4
    missing[0] = True
    changes = find_neighbor_changes(filled, missing, known, has)
    for row, column in np.ndindex(filled.shape):
        squares = np.square(known - filled[row]).sum(axis=1)
        squares[~has[:, column]] = np.inf
        nearest = squares.argsort()[:5]
        mean = np.average(known[nearest, column], weights=1 / squares[nearest])
        is_changed = missing[row, column] and not missing[row].all()
        expected = mean - filled[row, column] if is_changed else 0
        assert changes[row, column] == pytest.approx(expected, abs=1e-3)


def test_new_rows_are_filled_one_by_one_as_together(gappy):
    X, imputer = gappy
    together = imputer.transform(X[100:120])
    apart = np.vstack([imputer.transform(row[None]) for row in X[100:120]])
    np.testing.assert_allclose(together, apart, rtol=1e-3, atol=1e-4)


def test_equal_seeds_give_equal_fills(gappy):
    X, first = gappy
    again = make_imputer().fit(X)
    np.testing.assert_array_equal(first.transform(X), again.transform(X))
    restored = pickle.loads(pickle.dumps(first))
    np.testing.assert_array_equal(first.transform(X), restored.transform(X))
    assert first.error_ == again.error_


def test_complete_rows_come_back(wine):
    X = wine[0]
    filled = make_imputer().fit_transform(X)
    np.testing.assert_array_equal(filled, X)
    assert filled is not X


def test_rows_without_a_value_get_the_mean(gappy):
    X, imputer = gappy
    filled = imputer.transform(np.full((1, 13), np.nan))
    assert np.abs(filled - np.nanmean(X, axis=0)).max() < 0.5


@pytest.mark.mostly_slow(2)
@pytest.mark.filterwarnings("ignore:Skipping features:UserWarning")
@pytest.mark.filterwarnings("ignore::skae.exceptions.ImputationWarning")
@pytest.mark.parametrize("keep", [False, True])
def test_features_without_a_value_are_dropped_or_kept_as_zeros(wine, keep):
    X = hide(wine[0][:60])
    X[:, 3] = np.nan
    imputer = make_imputer(keep_empty_features=keep, add_indicator=True).fit(X)
    simple = SimpleImputer(keep_empty_features=keep, add_indicator=True).fit(X)
    filled, expected = imputer.transform(X), simple.transform(X)
    assert filled.shape == expected.shape
    np.testing.assert_array_equal(imputer.get_feature_names_out(), simple.get_feature_names_out())
    if keep:
        np.testing.assert_array_equal(filled[:, 3], 0)
    all_empty = make_imputer(keep_empty_features=keep).fit(np.full((4, 2), np.nan))
    assert all_empty.transform(np.full((3, 2), np.nan)).shape == (3, 2 if keep else 0)


def test_indicators_are_those_of_scikit_learn(wine):
    X = hide(wine[0][:60], 0.1)
    X[:, 2] = wine[0][:60, 2]
    imputer = make_imputer(add_indicator=True).fit(X)
    filled = imputer.transform(X)
    indicator = MissingIndicator().fit(X)
    np.testing.assert_array_equal(filled[:, 13:], indicator.transform(X))
    expected = SimpleImputer(add_indicator=True).fit(X)
    np.testing.assert_array_equal(imputer.get_feature_names_out(), expected.get_feature_names_out())


def test_any_value_may_stand_for_a_missing_one(wine, gappy):
    X, imputer = gappy
    by_nan = imputer.transform(X)
    by_number = make_imputer(missing_values=-99).fit_transform(hide(wine[0], value=-99))
    np.testing.assert_array_equal(by_nan, by_number)
    whole = np.arange(20).reshape(10, 2)
    whole[3, 1] = -1
    filled = make_imputer(missing_values=-1).fit_transform(whole)
    assert filled[3, 1] >= 0
    with pytest.raises(ValueError, match="contains NaN"):
        make_imputer(missing_values=-99).fit(hide(wine[0]))


def test_infinite_values_are_refused(wine):
    X = hide(wine[0])
    X[0, 0] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        make_imputer().fit(X)


def test_frames_of_numbers_give_arrays_or_the_output_set(gappy):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(gappy[0][:40], columns=[f"f{i}" for i in range(13)])
    imputer = make_imputer().fit(frame)
    filled = imputer.transform(frame)
    assert isinstance(filled, np.ndarray)
    as_frame = imputer.set_output(transform="pandas").transform(frame)
    assert list(as_frame.columns) == list(frame.columns)
    np.testing.assert_array_equal(as_frame.to_numpy(), filled)
    with pytest.raises(ValueError, match="feature names"):
        imputer.transform(frame.rename(columns={"f0": "g0"}))


def test_categories_go_in_and_come_out(mixed):
    pd = pytest.importorskip("pandas")
    frame, hidden, missing = mixed
    filled = make_imputer().fit_transform(hidden)
    assert isinstance(filled, pd.DataFrame)
    assert filled.index.equals(frame.index)
    assert list(filled.columns) == list(frame.columns)
    assert not filled.isna().any(axis=None)
    assert filled["kind"].dtype == hidden["kind"].dtype
    assert filled["flies"].equals(hidden["flies"])
    assert filled["count"].equals(hidden["count"])
    for index, name in enumerate(frame.columns):
        there = ~missing[:, index]
        assert filled[name][there].equals(hidden[name][there])
    # All columns are equivalent, so missing values can be recovered.
    for name in ("kind", "name"):
        assert (filled[name].astype(str) == frame[name].astype(str)).mean() > 0.98
    assert np.abs(filled["length"] - frame["length"]).max() < 6


def test_categories_that_fit_has_not_seen_stay(mixed):
    _, hidden, _ = mixed
    imputer = make_imputer(add_indicator=True).fit(hidden)
    new = hidden.iloc[:4].copy()
    new["name"] = ["zebra", "a", None, "b"]
    filled = imputer.transform(new)
    assert filled["name"].iloc[0] == "zebra"
    assert filled["name"].iloc[2] in ("a", "b", "c")
    assert list(filled.columns) == list(imputer.get_feature_names_out())
    assert filled["missingindicator_name"].tolist() == [False, False, True, False]


@pytest.mark.slow
def test_polars_frames_keep_their_categories(mixed):
    pl = pytest.importorskip("polars")
    _, hidden, missing = mixed
    frame = pl.DataFrame(
        {
            "length": pl.Series(hidden["length"].to_numpy(), nan_to_null=True),
            "kind": pl.Series(hidden["kind"].astype(object).where(~missing[:, 1], None).tolist()),
            "count": pl.Series(hidden["count"].tolist()),
        }
    ).with_columns(pl.col("kind").cast(pl.Categorical))
    imputer = make_imputer().fit(frame)
    filled = imputer.transform(frame)
    assert isinstance(filled, pl.DataFrame)
    assert filled.schema == frame.schema
    assert filled.null_count().sum_horizontal().item() == 0
    assert filled["count"].equals(frame["count"])
    by_pandas = make_imputer().fit_transform(hidden[["length", "kind", "count"]])
    assert filled["kind"].to_list() == by_pandas["kind"].tolist()


def test_columns_keep_their_types_but_for_integers_with_gaps():
    pd = pytest.importorskip("pandas")
    kind = np.arange(60) % 3
    frame = pd.DataFrame(
        {
            "text": pd.array(np.array(["a", "b", "c"])[kind], dtype="string"),
            "whole": pd.array(kind * 3, dtype="Int64"),
            "flag": pd.array(kind == 1, dtype="boolean"),
            "single": kind.astype(np.float32),
        }
    )
    hidden = frame.copy()
    for row, name in enumerate(frame):
        hidden.loc[10 + row, name] = None
    filled = make_imputer().fit_transform(hidden)
    assert dict(filled.dtypes) == {**frame.dtypes, "whole": pd.Float64Dtype()}
    for name in ("text", "flag"):
        assert filled[name].equals(frame[name])
    assert np.abs(filled[["whole", "single"]] - frame[["whole", "single"]]).max(axis=None) < 0.5


def test_numbers_may_be_categories(wine):
    rng = np.random.default_rng(0)
    codes = rng.integers(3, size=100) * 7
    X = np.column_stack([codes, codes + rng.normal(size=100)])
    X[::5, 0] = np.nan
    for features in ([0], [True, False]):
        filled = make_imputer(categorical_features=features).fit_transform(X)
        assert set(filled[:, 0]) == {0, 7, 14}
        assert (filled[:, 0] == codes).mean() > 0.9


def test_columns_of_one_unit_keep_their_weights():
    X = np.random.default_rng(0).normal(size=(50, 3)) * [1.0, 10.0, 0.0]
    X[0, 0] = np.nan
    apart = make_imputer().fit(X)._encoding.scale
    np.testing.assert_allclose(apart, [np.nanstd(X[:, 0]), X[:, 1].std(), 1])
    together = make_imputer(standardize=False).fit(X)._encoding.scale
    np.testing.assert_allclose(together, np.sqrt(np.nanvar(X, axis=0).mean()))


@pytest.mark.parametrize("features", [[13], ["length"], [[0]], [True], "all"])
def test_features_that_do_not_exist_are_refused(wine, features):
    with pytest.raises(ValueError, match="categorical_features"):
        make_imputer(categorical_features=features).fit(hide(wine[0]))


def test_columns_of_dates_are_refused_by_name(mixed):
    pd = pytest.importorskip("pandas")
    frame = mixed[0].assign(when=pd.Timestamp("2020-01-01"))
    with pytest.raises(ValueError, match="X must hold numbers and categories. Got column 'when'"):
        make_imputer().fit(frame)


def test_columns_of_a_category_are_hidden_together():
    import torch

    noise = HidingNoise(0.5, groups=[0, 1, 1, 1])
    rows = torch.zeros(200, 4)
    hidden = noise(rows, None, torch.Generator().manual_seed(0)).isnan()
    assert torch.equal(hidden[:, 1], hidden[:, 3])
    assert not torch.equal(hidden[:, 0], hidden[:, 1])
    assert abs(float(hidden[:, 1].double().mean()) - 0.5) < 0.15


def test_user_defined_noise_hides_cells_in_training_and_in_judging(wine):
    class FirstColumn(HidingNoise):
        """Corruption that hides the first column."""

        def __call__(self, rows, columns, generator):
            rows = rows.clone()
            rows[..., 0] = np.nan
            return rows

    autoencoder = AutoencoderTransformer(
        hidden_layer_sizes=(16,), max_iter=2, early_stopping=False, corruption=FirstColumn(0.0)
    )
    imputer = make_imputer(autoencoder=autoencoder).fit(wine[0])
    hidden = wine[0].copy()
    hidden[:, 0] = np.nan
    error = find_error(wine[0], imputer.transform(hidden), hidden)
    assert imputer.error_ == pytest.approx(error, rel=0.5)


@pytest.mark.parametrize("n_samples", [2, 3, 12])
def test_few_rows_are_filled_linearly(n_samples):
    X = np.random.default_rng(0).normal(size=(n_samples, 3))
    X[0, 1] = np.nan
    imputer = make_imputer().fit(X)
    assert np.isfinite(imputer.transform(X)).all()
    assert imputer.learned_share_ == 0
    assert np.isnan(imputer.error_)


@pytest.mark.slow
def test_a_grid_before_a_classifier_of_named_classes(wine):
    X, y = hide(wine[0]), wine[1]
    pipeline = make_pipeline(make_imputer(), LogisticRegression())
    grid = {
        "autoencoderimputer__n_components": [2, 0.95],
        "autoencoderimputer__autoencoder__corruption_level": [0.1],
    }
    search = GridSearchCV(pipeline, grid, cv=2).fit(X, y)
    assert search.best_score_ > 0.85
    assert set(search.predict(X)) <= set(y)


def test_values_are_hidden_from_any_network(gappy):
    autoencoder = AutoencoderTransformer(early_stopping=False, max_iter=1)
    imputer = make_imputer(autoencoder=autoencoder).fit(gappy[0][:30])
    assert isinstance(imputer.autoencoder_.corruption, HidingNoise)
    assert imputer.autoencoder_.corruption.level == 0.2


def test_parameters_are_left_alone(gappy):
    imputer = make_imputer()
    template = clone(imputer.autoencoder)
    imputer.fit(gappy[0][:30])
    assert imputer.autoencoder.get_params() == template.get_params()
    assert not hasattr(imputer.autoencoder, "net_")


def make_readings(n_samples, level, noise, seed):
    """Return eight readings along a curve, and a sensor that rests."""
    rng = np.random.default_rng(seed)
    t = rng.uniform(0, 6, (n_samples, 1))
    X = np.hstack([np.cos(t + np.arange(7)), t / 3, np.full_like(t, level)])
    return X + np.append(np.full(8, 0.05), noise) * rng.normal(size=X.shape)


@pytest.mark.slow
@pytest.mark.parametrize(
    "noise", [1e-6, *(pytest.param(noise, marks=pytest.mark.slow) for noise in (1e-3, 0.02))]
)
def test_a_sensor_that_rested_in_training_may_move_later(noise):
    imputer = make_imputer(n_components=2)
    imputer.fit(make_readings(300, 20, noise, seed=0))
    hidden = np.random.default_rng(1).random((100, 9)) < 0.1
    hidden[:, 8] = False
    errors = []
    for level in (20, 21, -1000, 1e30):
        X = make_readings(100, level, noise, seed=1)
        gappy = np.where(hidden, np.nan, X)
        for filled in (imputer.transform(gappy), next(imputer.sample(gappy, 1, random_state=0))):
            errors.append(np.square(filled - X)[hidden].mean())
            np.testing.assert_array_equal(filled[:, 8], X[:, 8])
    usual, drawn = errors[:2]
    assert max(errors[::2]) < 1.5 * usual
    assert max(errors[1::2]) < 2 * drawn


def test_far_values_predict_others_where_columns_are_tied():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4))
    X[:, 1] = 2 * X[:, 0] + 0.1 * rng.normal(size=300)
    imputer = make_imputer(n_components=2).fit(X)
    rows = np.array([[20.0, np.nan, 0, 0], [1e3, np.nan, 0, 0], [1e3, np.nan, 1e3, 1e3]])
    fills = imputer.transform(rows)[:, 1]
    np.testing.assert_allclose(fills[[0, 2]], [40, 2000], rtol=0.1)
    assert abs(fills[1]) < 1
