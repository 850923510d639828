"""Imputation of unusual tables: mixed types, odd names, objects, identifiers."""

import datetime
from decimal import Decimal

import numpy as np
import pytest
from sklearn import config_context
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

from skae import AutoencoderImputer, AutoencoderTransformer
from skae.exceptions import ImputationWarning, OutlyingCellWarning

pytestmark = pytest.mark.usefixtures("few_draws")

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")


def make_imputer(**params):
    autoencoder = AutoencoderTransformer(
        hidden_layer_sizes=(4,), max_iter=1, corruption="hiding", early_stopping=False
    )
    return AutoencoderImputer(**{"autoencoder": autoencoder, "random_state": 0} | params)


@pytest.fixture(scope="module")
def fitted():
    return make_imputer().fit(make_table())


@pytest.fixture(scope="module")
def fitted_to_polars():
    return make_imputer().fit(pl.DataFrame(make_table().to_dict("list"), strict=False))


@pytest.fixture(scope="module")
def filled_beside_indicators():
    return make_imputer(add_indicator=True).fit_transform(make_table())


@pytest.fixture
def table():
    return make_table()


def make_table():
    """Return 60 rows of text, boolean and number that determine each other, with missing values."""
    kind = np.arange(60) % 3
    frame = pd.DataFrame(
        {
            "kind": np.array(["a", "b", "c"], dtype=object)[kind],
            "flag": pd.Series(kind == 1, dtype=object),
            "size": kind * 10.0 + np.linspace(0, 1, 60),
        }
    )
    for row, name in enumerate(frame):
        frame.loc[10 + row, name] = None
    return frame


@pytest.fixture(scope="module")
def filled_numbers():
    return make_imputer().fit_transform(make_numbers())


def make_numbers():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 2)) @ rng.normal(size=(2, 3)) + 50
    return np.where(rng.random(X.shape) < 0.2, np.nan, X)


@pytest.mark.mostly_slow(4)
@pytest.mark.parametrize(
    "convert",
    [
        lambda X: pd.DataFrame(X).astype(object).where(~np.isnan(X), None),
        lambda X: pd.DataFrame(X).astype(object).where(~np.isnan(X), pd.NA),
        lambda X: pd.DataFrame(X).map(lambda x: None if np.isnan(x) else Decimal(x)),
        lambda X: pd.DataFrame(X.astype(object).T).T,
        lambda X: pd.DataFrame(X).astype("Float64"),
        lambda X: pd.DataFrame(X).astype(pd.SparseDtype(float)),
        lambda X: np.where(np.isnan(X), None, X),
        lambda X: np.where(np.isnan(X), None, X).tolist(),
        lambda X: pl.DataFrame(X, nan_to_null=True),
    ],
    ids=["None", "NA", "Decimal", "transposed", "Float64", "sparse", "array", "list", "polars"],
)
def test_numbers_are_filled_alike_in_all_containers(convert, filled_numbers):
    filled = make_imputer().fit_transform(convert(make_numbers()))
    assert isinstance(filled, np.ndarray)
    np.testing.assert_allclose(filled, filled_numbers, rtol=1e-12)


def test_text_that_spells_numbers_is_text():
    X = pd.DataFrame({"k": ["07", "12", None] * 10, "v": [7.0, 12.0, 7.0] * 10})
    filled = make_imputer().fit_transform(X)
    assert set(filled["k"]) == {"07", "12"}


NEW_ROWS = {
    "categories of their own": {"kind": pd.Categorical(["a", None]), "size": [0.0, 20.0]},
    "text without a value": {"kind": [np.nan, np.nan], "size": [0.0, 20.0]},
    "booleans without a value": {"flag": [np.nan, np.nan], "size": [0.0, 10.0]},
    "nothing but None": {"kind": [None, None], "flag": [None, None], "size": [None, 10.0]},
    "nullable types": {"flag": pd.array([None, True], dtype="boolean"), "size": [0.0, 10.0]},
    "integers without a value": {"kind": pd.array([None, None], dtype="Int64")},
    "dates without a value": {"kind": pd.to_datetime([None, None])},
    "numbers as objects": {"size": np.array([None, 3], dtype=object)},
    "numbers as text": {"size": ["10", None]},
    "sparse numbers": {"size": pd.arrays.SparseArray([np.nan, 10.0])},
}


@pytest.mark.parametrize("name", NEW_ROWS)
def test_new_rows_may_have_other_types_than_in_fit(fitted, name):
    rows = pd.DataFrame({"kind": ["a", "b"], "flag": [True, None], "size": [0.0, 10.0]})
    rows = rows.assign(**NEW_ROWS[name])
    before = rows.copy()
    filled = fitted.transform(rows)
    assert isinstance(filled, pd.DataFrame)
    assert not filled.isna().any(axis=None)
    assert set(filled["kind"]) <= {"a", "b", "c"}
    assert set(filled["flag"]) <= {True, False}
    assert filled["size"].dtype.kind == "f" or name == "sparse numbers"
    pd.testing.assert_frame_equal(rows, before)


def test_columns_that_are_empty_in_new_rows_get_the_type_of_the_fills(fitted):
    rows = pd.DataFrame({"kind": ["a", "b"], "flag": np.nan, "size": [0.0, 10.0]})
    filled = fitted.transform(rows)
    assert filled["flag"].dtype == bool
    assert filled["flag"].tolist() == [False, True]
    rows = pd.DataFrame({"kind": np.nan, "flag": False, "size": [0.0, 20.0]})
    assert fitted.transform(rows)["kind"].tolist() == ["a", "c"]


def test_a_text_in_a_column_of_numbers_is_refused_by_name(fitted, table):
    with pytest.raises(ValueError, match="X must hold numbers in column 'size', as in fit.*'big'"):
        fitted.transform(table.assign(size="big"))
    with pytest.raises(ValueError, match="Got infinity in column 'size'"):
        fitted.transform(table.assign(size=np.inf))


@pytest.mark.parametrize("changed", [{"kind": 1.5}, {"kind": True}, {"flag": "True"}])
def test_categories_of_another_kind_than_in_fit_are_refused_by_name(fitted, table, changed):
    with pytest.raises(ValueError, match=f"in column '{next(iter(changed))}', as in fit. Got"):
        fitted.transform(table.assign(**changed))
    with pytest.raises(ValueError, match="as in fit. Got"):
        fitted.transform(table.assign(**changed).to_numpy(dtype=object))


@pytest.mark.parametrize(
    "types",
    [{}, {"kind": pl.Categorical}, {"kind": pl.Null, "flag": pl.Null, "size": pl.Null}],
    ids=str,
)
def test_polars_nulls_are_filled(fitted_to_polars, types):
    rows = {"kind": ["a", None], "flag": [None, True], "size": [None, 10.0]}
    rows = pl.DataFrame(
        {name: [None] if pl.Null in types.values() else rows[name] for name in rows}
    )
    filled = fitted_to_polars.transform(rows.cast(types))
    assert isinstance(filled, pl.DataFrame)
    assert filled.null_count().sum_horizontal().item() == 0
    assert filled.schema["flag"] == pl.Boolean
    assert filled.schema["size"] == pl.Float64


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize("make", [lambda X: X, lambda X: X.tolist()], ids=["array", "list"])
def test_arrays_and_lists_may_hold_text(make):
    X = np.array([["a", 1.0], ["b", np.nan], [None, 1.0], ["b", 3.0]] * 10, dtype=object)
    imputer = make_imputer(add_indicator=True).fit(make(X))
    filled = imputer.transform(make(X))
    assert filled.dtype == object
    assert filled[2, 0] == "a"
    assert filled[0].tolist() == ["a", 1.0, False, False]
    assert abs(filled[1, 1] - 3) < 0.5
    with pytest.raises(ValueError, match="could not convert.*\n.*in an array of objects"):
        make_imputer().fit(X.astype(str))


def test_the_kind_of_result_is_that_of_fit(fitted, table):
    numbers = table[["size"]].assign(other=np.arange(60.0))
    model = make_pipeline(make_imputer(), LinearRegression()).fit(numbers, numbers["other"])
    one = pd.DataFrame([{"size": None, "other": 1.0}])
    assert isinstance(model[0].transform(numbers), np.ndarray)
    assert isinstance(model[0].transform(one), np.ndarray)
    model.predict(one)
    empty = pd.DataFrame({"kind": [np.nan], "flag": [np.nan], "size": [1.0]})
    assert isinstance(fitted.transform(empty), pd.DataFrame)


@pytest.mark.filterwarnings("ignore::skae.exceptions.ImputationWarning")
def test_rows_without_columns_stay_rows():
    for frame in (
        pd.DataFrame({"a": [None] * 5, "b": [None] * 5}),
        pd.DataFrame({"a": [None] * 5}, dtype="string"),
        pl.DataFrame({"a": [None] * 5}),
    ):
        assert make_imputer().fit_transform(frame).shape == (5, 0)


def test_columns_without_a_value_are_named():
    X = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": np.nan, "k": ["u", None, "w"]})
    with pytest.warns(ImputationWarning, match="without a single value are dropped: 'b'. Set"):
        filled = make_imputer().fit_transform(X)
    assert list(filled.columns) == ["a", "k"]
    kept = make_imputer(keep_empty_features=True).fit_transform(X)
    assert kept["b"].tolist() == [0.0] * 3


@pytest.mark.parametrize("n_samples", [40, pytest.param(300, marks=pytest.mark.slow)])
def test_identifiers_are_left_as_they_are(n_samples):
    kind = np.arange(n_samples) % 2
    table = pd.DataFrame({"kind": np.array(["u", "v"])[kind], "size": kind * 3.0})
    table.loc[::7, "kind"] = None
    table["name"] = [None if row % 5 == 0 else f"person {row}" for row in range(n_samples)]
    with pytest.warns(ImputationWarning, match="such as identifiers, stay as they are.*'name'"):
        imputer = make_imputer().fit(table)
    filled = imputer.transform(table)
    pd.testing.assert_series_equal(filled["name"], table["name"])
    assert filled["kind"].tolist() == np.array(["u", "v"])[kind].tolist()
    assert imputer.categories_[2] is None
    assert imputer.autoencoder_.n_features_in_ == 3


def test_rare_categories_are_never_filled_in():
    kind = np.array(["u", "v"] * 100, dtype=object)
    kind[:60:2] = [f"only {row}" for row in range(30)]
    table = pd.DataFrame({"kind": kind, "size": np.arange(200) % 2 * 3.0})
    table.loc[100:120, "kind"] = None
    imputer = make_imputer().fit(table)
    assert imputer.categories_[0].tolist() == ["u", "v"]
    filled = imputer.transform(table)
    assert set(filled["kind"][100:121]) == {"u", "v"}
    assert filled["kind"][:100].tolist() == table["kind"][:100].tolist()


def test_distinct_values_in_a_few_rows_are_no_identifiers():
    X = pd.DataFrame({"k": ["a", "b", None], "v": [1.0, 2.0, 2.0]})
    assert make_imputer().fit_transform(X)["k"].tolist()[2] in ("a", "b")


def test_of_many_categories_the_most_frequent_are_kept():
    numbers = np.repeat(np.arange(150), np.repeat([4, 2], 75))
    table = pd.DataFrame({"k": [f"{number:03}" for number in numbers], "v": numbers * 1.0})
    imputer = make_imputer().fit(table)
    assert len(imputer.categories_[0]) == 75


@pytest.mark.slow
def test_a_hundred_categories_are_kept_at_most():
    numbers = np.repeat(np.arange(150), np.repeat([20, 10], 75))
    table = pd.DataFrame({"k": [f"{number:03}" for number in numbers], "v": numbers * 1.0})
    assert len(make_imputer().fit(table).categories_[0]) == 100


@pytest.mark.parametrize("frame_of", [pd.DataFrame, pl.DataFrame])
def test_names_of_indicators_that_are_taken_get_a_number(frame_of):
    X = frame_of(
        {"k": ["a", "b"] * 15, "v": [1.0, None] * 15, "missingindicator_v": [2.0, 3.0] * 15}
    )
    imputer = make_imputer(add_indicator=True)
    filled = imputer.fit_transform(X)
    expected = ["k", "v", "missingindicator_v", "missingindicator_v_2"]
    assert list(filled.columns) == list(imputer.get_feature_names_out()) == expected
    assert list(filled["missingindicator_v"])[:2] == [2.0, 3.0]
    assert list(filled["missingindicator_v_2"])[:2] == [False, True]


def test_equal_names_are_refused():
    X = pd.DataFrame([["a", 1.0, 2.0], ["b", None, 3.0]] * 10, columns=["k", "v", "v"])
    with pytest.raises(ValueError, match="X must have columns of different names. Got .*'v'"):
        make_imputer().fit(X)


def test_numbers_for_names_become_names_beside_indicators():
    X = pd.DataFrame([["a", 1.0], ["b", None], [None, 2.0]] * 10)
    imputer = make_imputer().fit(X)
    assert list(imputer.transform(X).columns) == [0, 1]
    imputer = make_imputer(add_indicator=True)
    filled = imputer.fit_transform(X)
    assert list(filled.columns) == list(imputer.get_feature_names_out())


def test_a_frame_keeps_index_attributes_and_title(table):
    table.attrs, table.columns.name, table.index = {"unit": "m"}, "columns", table.index + 7
    for imputer in (make_imputer(), make_imputer(add_indicator=True)):
        filled = imputer.fit_transform(table)
        assert filled.attrs == {"unit": "m"}
        assert filled.columns.name == "columns"
        assert filled.index.equals(table.index)


def test_sparse_columns_stay_sparse(table):
    cells = np.where(np.arange(60) % 4, 0.0, 1.0)
    cells[::9] = np.nan
    table["s"] = pd.arrays.SparseArray(cells)
    filled = make_imputer().fit_transform(table)
    assert isinstance(filled["s"].dtype, pd.SparseDtype)
    assert not filled["s"].isna().any()
    there = ~np.isnan(cells)
    np.testing.assert_array_equal(filled["s"].to_numpy()[there], cells[there])


@pytest.mark.parametrize("output", ["pandas", pytest.param("polars", marks=pytest.mark.slow)])
def test_results_do_not_depend_on_the_global_output_of_scikit_learn(
    table, filled_beside_indicators, output
):
    frame_of = {"pandas": pd.DataFrame, "polars": pl.DataFrame}[output]
    expected = filled_beside_indicators
    with config_context(transform_output=output):
        filled = make_imputer(add_indicator=True).fit_transform(table)
        assert isinstance(filled, frame_of)
        numbers = make_imputer(add_indicator=True).fit_transform(make_numbers())
        assert isinstance(numbers, frame_of)
    assert list(filled.columns) == list(expected.columns)
    assert filled["size"].to_list() == expected["size"].to_list()


@pytest.mark.parametrize(
    ("column", "error"),
    [
        ([datetime.date(2020, 1, 1)], ValueError),
        ([datetime.timedelta(1)], ValueError),
        ([1j], ValueError),
        ([[1, 2]], TypeError),
        ([{"a": 1}], TypeError),
    ],
    ids=["date", "timedelta", "complex", "list", "dict"],
)
def test_objects_that_are_no_categories_are_refused_by_name(table, column, error):
    with pytest.raises(error, match="X must hold numbers and categories. Got .*'odd'"):
        make_imputer().fit(table.assign(odd=pd.Series(column * 60)))


def test_frames_to_be_computed_are_refused():
    with pytest.raises(ValueError, match=r"Got a LazyFrame.* Pass X.collect\(\)"):
        make_imputer().fit(pl.LazyFrame({"a": [1.0, None], "b": ["x", "y"]}))


def test_bounds_hold_in_units_of_the_table():
    rng = np.random.default_rng(0)
    a = rng.beta(0.3, 0.3, 200)
    X = np.column_stack([a, a + 0.1 * rng.normal(size=200), 100 * rng.normal(size=200)])
    hidden = np.where(rng.random(X.shape) < 0.3, np.nan, X)
    gaps = np.isnan(hidden)
    free = make_imputer().fit_transform(hidden)
    assert (free < 0)[gaps].any()
    imputer = make_imputer(min_value=[0, 0.1, -np.inf], max_value=1000)
    filled = imputer.fit_transform(hidden)
    np.testing.assert_array_equal(filled, np.where(gaps, free.clip([0, 0.1, -np.inf], 1000), X))
    frame = pd.DataFrame(hidden, columns=list("abc")).assign(k=["u", "v"] * 100)
    named = pd.DataFrame(hidden, columns=list("abc"))
    bounds = pd.Series({"b": 0.1, "c": -np.inf, "a": 0})
    imputer = make_imputer(min_value=bounds, max_value=1000).fit(named)
    np.testing.assert_array_equal(imputer.transform(named), filled)
    filled = make_imputer(min_value=0).fit_transform(frame)
    assert (filled[["a", "b", "c"]].to_numpy()[gaps] >= 0).all()


def test_columns_of_a_single_value_are_filled_with_it():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2)) @ rng.normal(size=(2, 5))
    X[rng.random(X.shape) < 0.2] = np.nan
    # A unit of 1 for columns without variance would be a million times these values.
    X[:, 3], X[:, 4] = (
        np.where(np.arange(60) == 3, 1e-6, np.nan),
        np.where(X[:, 4] > 0, 7e-6, np.nan),
    )
    imputer = make_imputer().fit(X)
    for filled in (imputer.transform(X), *imputer.sample(X, 2)):
        assert (filled[:, 3:] == [1e-6, 7e-6]).all()
    assert (make_imputer(min_value=1).fit_transform(X)[4:, 3] == 1).all()


@pytest.mark.parametrize(
    "bounds",
    [
        {"min_value": 2, "max_value": 2},
        {"min_value": [0, 1]},
        {"max_value": [np.nan, 0, 1]},
        {"min_value": [0, 0, 3], "max_value": 3},
        {"min_value": {"a": 0}},
        {"max_value": [0, 1, "x"]},
    ],
    ids=str,
)
def test_invalid_bounds_are_refused(bounds):
    with pytest.raises(ValueError, match="`m.._value` must be"):
        make_imputer(**bounds).fit(make_numbers())


def test_a_set_of_categorical_features_is_refused(table):
    with pytest.raises(ValueError, match="`categorical_features` must be .* a list of names"):
        make_imputer(categorical_features={"kind"}).fit(table)


def test_an_error_of_the_autoencoder_names_its_units():
    autoencoder = AutoencoderTransformer(output_range=(0, 1))
    with pytest.raises(ValueError, match="in units of their standard deviation.*`min_value`"):
        make_imputer(autoencoder=autoencoder).fit(make_numbers())


@pytest.mark.parametrize(
    "value", [1e39, *(pytest.param(x, marks=pytest.mark.slow) for x in (1e200, 1.7e308, 5e-324))]
)
def test_extreme_values_leave_finite_fills(value):
    X = make_numbers()
    rows = X[:4].copy()
    rows[:2, 0] = value, -value
    rows[:2, 1] = np.nan
    assert np.isfinite(make_imputer().fit(X).transform(rows)).all()
    with np.errstate(over="ignore", under="ignore"):
        whole = np.sign(X - 50) * value
    assert np.isfinite(make_imputer().fit_transform(whole)).all()


@pytest.mark.mostly_slow(4)
@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("cell", [1e20, 1e32, 1e155, 1e300])
@pytest.mark.filterwarnings("ignore::skae.exceptions.OutlyingCellWarning")
def test_a_giant_cell_in_training_leaves_finite_fills(standardize, cell):
    X = make_numbers()
    X[3, 1] = cell
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        filled = make_imputer(standardize=standardize).fit_transform(X)
    assert np.isfinite(filled).all()


def test_a_giant_cell_gives_a_warning_in_tables_with_missing_cells():
    X = make_numbers()
    X[3, 1] = 1e20
    with pytest.warns(OutlyingCellWarning, match=r"A column of X has a cell so large"):
        AutoencoderTransformer(2, missing="mask", max_iter=1, early_stopping=False).fit(X)


@pytest.mark.parametrize(
    "container", [pd.DataFrame, pytest.param(pl.DataFrame, marks=pytest.mark.slow)]
)
def test_frames_of_filled_images_have_a_column_for_each_pixel(images, container):
    X = images[:30].reshape(-1, 1, 8, 8).copy()
    X[::2, :, 2:4, 3] = np.nan
    imputer = make_imputer(n_components=3).fit(X)
    name = container.__module__.partition(".")[0]
    with config_context(transform_output=name):
        frame = imputer.transform(X)
    assert isinstance(frame, container)
    assert list(frame.columns) == imputer.get_feature_names_out().tolist()
    np.testing.assert_array_equal(frame.to_numpy(), imputer.transform(X).reshape(30, -1))


def test_the_fitted_autoencoder_is_of_a_public_class():
    assert type(make_imputer().fit(make_numbers()).autoencoder_) is AutoencoderTransformer


@pytest.mark.mostly_slow(4)
@pytest.mark.parametrize(
    "make", [lambda X: X, list, lambda X: X.tolist()], ids=["array", "list", "nested"]
)
@pytest.mark.parametrize("architecture", ["dense", "conv"])
def test_images_may_have_separate_axes(images, make, architecture):
    X = images[:40].reshape(-1, 1, 8, 8) + 0.01 * np.random.default_rng(0).normal(
        size=(40, 1, 8, 8)
    )
    X[::2, :, 2:4, 3] = np.nan
    autoencoder = AutoencoderTransformer(
        architecture=architecture, hidden_layer_sizes=(8,), max_iter=1, early_stopping=False
    )
    imputer = make_imputer(n_components=3, autoencoder=autoencoder).fit(make(X))
    filled = imputer.transform(make(X))
    assert filled.shape == X.shape
    assert imputer.autoencoder_.sample_shape_ == (1, 8, 8)
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[1::2], X[1::2])
    with pytest.raises(ValueError, match="X must have samples of shape"):
        imputer.transform(X.reshape(-1, 2, 4, 8))
