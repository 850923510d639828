"""Data frames with columns of several kinds as input and output."""

import pickle
import re
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy.stats import entropy, norm
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skae
from skae import (
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    VariationalAutoencoderTransformer,
    inspection,
    metrics,
)
from skae.comparison import compare_downstream, compare_with_pca
from skae.exceptions import ColumnsLeftOutWarning, OvercompleteWarning

pytestmark = pytest.mark.usefixtures("few_draws")

N = 160


def make_frame(n=N, seed=0):
    """Return a frame whose columns depend on two latent variables, with noise."""
    draw = np.random.default_rng(seed)
    a, b = draw.normal(size=(2, n))
    days = pd.to_timedelta((a * 100).round(), unit="D")
    return pd.DataFrame(
        {
            "float": a + 0.05 * draw.normal(size=n),
            "single": (b**2).astype(np.float32),
            "whole": (10 * a + 3 * b).round().astype(np.int16),
            "nullable": pd.array((20 * b).round(), dtype="Int8"),
            "boolean": a > 0,
            "text": np.select([a**2 + b**2 < 0.5, b > 0], ["near", "up"], "down"),
            "ordered": pd.cut(a, [-9, -1, 0, 1, 9], labels=[*"dcba"]),
            "figures": pd.Categorical((b > a).astype(int), categories=[0, 1, 7]),
            "date": pd.Timestamp("2020-01-01", tz="Europe/Berlin") + days,
            "duration": pd.to_timedelta((np.exp(b) * 1000).round(), unit="s"),
        }
    )


def add_gaps(frame, seed=1):
    draw = np.random.default_rng(seed)
    gaps = draw.random(frame.shape) < 0.1
    kept = {"boolean": "boolean", "whole": "Int16"}
    return frame.astype(kept).mask(gaps).astype({"single": np.float32})


def to_polars(frame):
    choices = pl.Enum(["near", "up", "down"])
    columns = frame.assign(figures=frame["figures"].astype(str)).astype({"ordered": "str"})
    return pl.from_pandas(columns.convert_dtypes()).with_columns(
        pl.col("text").cast(choices),
        pl.col("ordered").cast(pl.Categorical),
        pl.col("date").dt.date().alias("day"),
        pl.col("date").dt.time().alias("time"),
    )


FRAMES = {
    "pandas": lambda: make_frame(),
    "gaps": lambda: add_gaps(make_frame()),
    "polars": lambda: to_polars(make_frame()).drop("time"),
    "polars, gaps": lambda: to_polars(add_gaps(make_frame())).drop("time"),
}


@pytest.fixture(scope="module")
def fitted():
    """Return frames with fitted models."""
    params = {"n_components": 3, "hidden_layer_sizes": (16,), "max_iter": 6, "random_state": 0}
    frames = {name: make() for name, make in FRAMES.items()}
    # Half of them are cross-validated, which takes most of the time.
    return {
        name: (frame, AutoencoderTransformer(**params, early_stopping=odd).fit(frame))
        for odd, (name, frame) in zip([True, False, False, True], frames.items(), strict=True)
    }


@pytest.mark.parametrize("name", FRAMES)
def test_frames_come_back_with_names_and_types(fitted, name):
    frame, model = fitted[name]
    codes = model.transform(frame)
    again = model.inverse_transform(codes)
    assert codes.shape == (N, 3)
    assert type(again) is type(frame)
    assert list(again.columns) == list(frame.columns)
    assert list(again.dtypes) == list(frame.dtypes)
    assert model.n_features_in_ == frame.shape[1]
    assert list(model.feature_names_in_) == list(frame.columns)
    told = np.asarray(frame["boolean"] == again["boolean"], dtype=object)
    assert np.mean([one is True or one is np.True_ for one in told]) > 0.8


@pytest.mark.parametrize("name", FRAMES)
def test_errors_are_those_of_columns_and_scores_their_means(fitted, name):
    frame, model = fitted[name]
    errors = model.reconstruction_errors(frame)
    assert list(errors.columns) == list(frame.columns)
    values = np.array(errors.to_numpy(), dtype=float)
    missing = frame.isna() if hasattr(frame, "isna") else frame.select(pl.all().is_null())
    np.testing.assert_array_equal(np.isnan(values), missing.to_numpy())
    np.testing.assert_allclose(model.score_samples(frame), -np.nanmean(values, 1), rtol=1e-6)
    assert 0.5 < model.score(frame) < 1
    assert model.reconstruction_error_ < model.pca_reconstruction_error_ < 1
    if model.early_stopping:
        assert model.validation_loss_curve_[0] >= min(model.validation_loss_curve_)


@pytest.mark.mostly_slow(2, first=1)
@pytest.mark.parametrize("name", ["gaps", "polars, gaps"])
def test_metrics_take_frames(fitted, name):
    frame, model = fitted[name]
    pipeline = make_pipeline("passthrough", model)
    errors = np.array(model.reconstruction_errors(frame).to_numpy(), dtype=float)
    for own in (model, pipeline):
        assert metrics.neg_reconstruction_error(own, frame) == pytest.approx(-np.nanmean(errors))
        assert metrics.explained_variance(own, frame) == pytest.approx(model.score(frame))
    codes = model.transform(frame)
    # Neighbours are those of standardised numbers and indicators, with means for missing cells.
    few = frame[["float", "text"]]
    table = few if name == "gaps" else few.to_pandas()
    numbers = (table["float"] - table["float"].mean()) / table["float"].std(ddof=0)
    dummies = pd.get_dummies(table["text"].astype(str).where(table["text"].notna()), dtype=float)
    dummies[table["text"].isna()] = np.nan
    dummies = dummies / np.sqrt(dummies.var(ddof=0).sum())
    points = np.column_stack([numbers.fillna(0), dummies.fillna(dummies.mean())])
    assert metrics.neighbors_kept(few, points, metric="euclidean") > 0.97
    assert metrics.continuity(few, points) > 0.999  # ties
    assert 0.9 < metrics.continuity(frame, codes) < 1
    assert 0.3 < metrics.neighbors_kept_score(pipeline, frame) < 1


@pytest.mark.mostly_slow(2, first=1)
@pytest.mark.parametrize("name", ["gaps", "polars, gaps"])
def test_codes_of_frames_are_explained_by_numbers_and_categories(fitted, name):
    frame, model = fitted[name]
    pipeline = make_pipeline("passthrough", model)
    explanation = inspection.explain_codes(pipeline, frame, n_rows=20)
    names = list(explanation.feature_names)
    assert {"float", "text=near", "boolean=True"} < set(names)
    assert explanation.inputs.shape == (3, 20, len(names))
    # The effect of a code on a number agrees with decoded data frames.
    jacobian = inspection.code_jacobian(model, frame)
    scale = float(np.nanstd(np.asarray(frame["float"], dtype=float)))
    step = 0.02 * scale
    is_polars = isinstance(frame, pl.DataFrame)
    moved = frame["float"] + step
    moved = frame.with_columns(moved) if is_polars else frame.assign(float=moved)
    # With other missing cells, the fills of the network change as well.
    errors = np.array(model.reconstruction_errors(frame).to_numpy(), dtype=float)
    there = ~np.isnan(errors).any(axis=1)
    slopes = (model.transform(moved) - model.transform(frame))[there] / 0.02
    np.testing.assert_allclose(slopes, jacobian[there, :, 0], atol=0.05 * np.abs(slopes).max())
    assert len(inspection.top_rows(pipeline, frame, code=1, n_rows=4)) == 4


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gaps", pytest.param("polars, gaps", marks=pytest.mark.slow)])
def test_displays_draw_frames(fitted, name, quick):
    frame, model = fitted[name]
    errors = np.array(model.reconstruction_errors(frame).to_numpy(), dtype=float)
    labels = np.arange(N) % 2
    display = inspection.ReconstructionErrorDisplay
    columns = display.from_estimator(model, frame)
    np.testing.assert_allclose(columns.feature_errors, np.nanmean(errors, axis=0))
    rows = display.from_estimator(
        model, frame, labels, kind="rows", feature_names=np.array(frame.columns)
    )
    np.testing.assert_allclose(rows.row_errors, np.nanmean(errors, axis=1))
    assert columns.feature_names == rows.feature_names == list(frame.columns)
    decoded = model.inverse_transform(model.transform(frame))
    again = display.from_predictions(frame, decoded)
    is_float = [column == "float" for column in frame.columns]
    expected = columns.feature_errors[is_float]
    assert again.feature_errors[is_float] == pytest.approx(expected, rel=0.01)
    display = inspection.ReconstructionDisplay
    shown = (
        display.from_estimator(model, frame, n_rows=2),
        display.from_predictions(frame[:2], decoded[:2]),
    )
    assert [own.X.shape == own.reconstructions.shape for own in shown] == [True, True]
    traversal = inspection.LatentTraversalDisplay.from_estimator(model, frame, n_steps=3)
    assert "text=near" in traversal.feature_names
    inspection.CodeDisplay.from_estimator(model, frame, labels)
    scree = inspection.ScreeDisplay.from_estimator(
        quick(max_iter=1), frame, n_components=[1, 3], cv=2
    )
    assert (scree.reference, scree.errors.shape) == ("FAMD", (2, 2))
    assert (scree.pca_errors[:, 1] < scree.pca_errors[:, 0]).all()
    assert ((scree.variances > 0.5) & (scree.variances < 2)).all()
    plt.close("all")


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param("gaps", marks=pytest.mark.slow), "polars, gaps"])
def test_predictions_from_codes_of_frames_are_compared_with_famd(fitted, name, quick):
    frame, _ = fitted[name]
    labels = np.array(make_frame()["boolean"])
    model = quick(max_iter=1)
    estimator = model if name == "gaps" else make_pipeline("passthrough", model)
    comparison = compare_downstream(estimator, frame, labels, cv=2)
    assert "FAMD" in str(comparison)
    assert comparison.pca_scores.min() > 0.6
    assert (metrics.code_stability(estimator, frame, n_seeds=2).from_all > 0.5).all()


@pytest.mark.mostly_slow(2, first=1)
@pytest.mark.parametrize("name", ["gaps", "polars, gaps"])
def test_models_of_frames_can_be_pickled_and_saved(fitted, name, tmp_path):
    frame, model = fitted[name]
    skae.save(model, tmp_path / "model.skae")
    for again in (pickle.loads(pickle.dumps(model)), skae.load(tmp_path / "model.skae")):
        codes = again.transform(frame)
        np.testing.assert_array_equal(codes, model.transform(frame))
        assert again.inverse_transform(codes).equals(model.inverse_transform(codes))
        assert again.reconstruction_error_ == model.reconstruction_error_
        nats = again.reconstruction_errors(frame, unit="nats")
        assert nats.equals(model.reconstruction_errors(frame, unit="nats"))


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize("n", [N, 1200])  # cross-validated, and with rows held out
def test_nats_are_log_likelihoods_with_the_variances_of_held_out_rows(n, quick):
    frame, new = (make_frame(n, seed)[["float", "date", "text", "boolean"]] for seed in (0, 7))
    frame.loc[::9, "text"] = None
    new.loc[3, ["float", "text"]] = None
    model = quick(max_iter=2, batch_size=100).fit(frame)
    assert model.column_errors_.mean() == pytest.approx(model.reconstruction_error_, rel=0.05)
    errors, nats = model.reconstruction_errors(new), model.reconstruction_errors(new, unit="nats")
    np.testing.assert_array_equal(nats.isna(), new.isna())
    deviation = np.sqrt(model.column_errors_[0])
    distances = (new["float"] - model.inverse_transform(model.transform(new))["float"]) / deviation
    expected = -norm.logpdf(distances / frame["float"].std(ddof=0)) + np.log(deviation)
    np.testing.assert_allclose(nats["float"], expected, rtol=1e-3, atol=1e-3)
    for name in ("text", "boolean"):
        shares = frame[name].value_counts(normalize=True)
        np.testing.assert_allclose(nats[name], errors[name] * entropy(shares), rtol=1e-2)
    # Without held-out rows, the variances are those of the training rows.
    again = clone(model).set_params(early_stopping=False).fit(frame)
    means = again.reconstruction_errors(frame).mean()
    np.testing.assert_allclose(again.column_errors_, means, rtol=1e-4)


def test_nats_are_refused_where_there_is_no_variance_of_each_column(quick):
    numbers = quick().fit(make_frame()[["float", "single"]])
    assert numbers.column_errors_ is None
    with pytest.raises(ValueError, match="must be None for tables of numbers, as"):
        numbers.reconstruction_errors(make_frame()[["float", "single"]], unit="nats")
    with pytest.raises(ValueError, match="`unit` must be 'nats' or None. Got 'bits'"):
        numbers.reconstruction_errors(make_frame()[["float", "single"]], unit="bits")


def test_the_start_is_pca_of_standardised_numbers_and_scaled_indicators():
    frame = make_frame()[["float", "whole", "text", "boolean"]]
    start = AutoencoderTransformer(2, max_iter=1, learning_rate_init=1e-12, dtype="float64")
    start.set_params(early_stopping=False, random_state=0).fit(frame)
    blocks = [frame[["float"]], frame[["whole"]]]
    blocks += [pd.get_dummies(frame[name]) for name in ("text", "boolean")]
    blocks = [block.to_numpy(dtype=float) for block in blocks]
    scales = [np.sqrt(block.var(0).sum()) for block in blocks]
    rows = np.hstack([own / scale for own, scale in zip(blocks, scales, strict=True)])
    mean = rows.mean(0)
    axes = np.linalg.svd(rows - mean, full_matrices=False)[2][:2]
    linear = (rows - mean) @ axes.T @ axes + mean
    parts = np.split(linear, [1, 2, 5], axis=1)
    expected = []
    for block, scale, part in zip(blocks, scales, parts, strict=True):
        if block.shape[1] == 1:
            expected.append((part * scale - block)[:, 0] ** 2 / block.var())
            continue
        shares = block.mean(0)
        least = np.maximum(part * scale, 0.02 * shares)
        weights = least * np.exp(4 * (part * scale - least) / shares)
        chances = weights / weights.sum(1, keepdims=True)
        expected.append(-np.log((chances * block).sum(1)) / entropy(shares))
    np.testing.assert_allclose(
        start.reconstruction_errors(frame).to_numpy(), np.column_stack(expected), rtol=1e-4
    )
    assert start.pca_reconstruction_error_ == pytest.approx(np.mean(expected), rel=1e-4)


def test_a_network_no_better_than_famd_stays_famd():
    draw = np.random.default_rng(0)
    noise = pd.DataFrame({"a": draw.normal(size=N), "b": draw.choice([*"xyz"], N)})
    with pytest.warns(skae.exceptions.NotBetterThanPCAWarning, match="factor analysis"):
        model = AutoencoderTransformer(1, max_iter=4, random_state=0).fit(noise)
    assert model.best_iter_ == 0
    assert model.reconstruction_error_ == model.pca_reconstruction_error_
    for seed in range(2):
        kept = AutoencoderTransformer(1, max_iter=3, early_stopping=False, random_state=seed)
        kept.fit(make_frame(60, seed))
        assert kept.reconstruction_error_ <= kept.pca_reconstruction_error_


def test_frames_of_plain_numbers_are_tables_as_before(quick):
    rows = make_frame()[["float", "single", "whole"]].to_numpy(dtype=np.float64)
    for library, table in ((pd, rows), (pd, rows > 0), (pl, rows)):
        frame = library.DataFrame(table, None if library is pd else [*"abc"])
        expected = quick(n_components=2).fit(table)
        model = quick(n_components=2).fit(frame)
        np.testing.assert_array_equal(model.transform(frame), expected.transform(table))
        np.testing.assert_array_equal(
            model.reconstruction_errors(frame), expected.reconstruction_errors(table)
        )


def test_uninformative_columns_are_left_out_and_named(quick):
    frame = make_frame().assign(
        key=[f"k{i}" for i in range(N)], row=range(N, 0, -1), same="x", empty=None, one=1.5
    )
    frame["day"] = pd.date_range("2024-01-05", periods=N).strftime("%d.%m.%Y")
    frame["minute"] = pd.date_range("2024-01-05", periods=N, freq="min").astype(str)
    frame["version"] = [f"1.{i}.0" for i in range(N)]
    frame["words"] = [f"{'abc'[i % 3] * (i // 2)}" for i in range(N)]
    with pytest.warns(ColumnsLeftOutWarning) as caught:
        model = quick().fit(frame)
    for part in (
        "'key' (identifiers, all different)",
        "'day' (dates as text: convert them, as with pandas.to_datetime)",
        "'minute' (dates as text",
        "'version' (identifiers, all different)",
        "'row' (numbers of rows)",
        "'same' (constant)",
        "'empty' (no values)",
        "'one' (constant)",
        "'words' (most values are rare, as in free text)",
    ):
        assert part in str(caught[0].message)
    again = model.inverse_transform(model.transform(frame))
    assert list(again.columns) == list(make_frame().columns)
    with pytest.raises(ValueError, match="X must have a column of numbers, dates, or categories"):
        quick().fit(frame[["key", "same"]])


@pytest.mark.mostly_slow(4)
@pytest.mark.parametrize(("action", "n_shown"), [("default", 1), ("always", 3)])
@pytest.mark.parametrize("column", ["constant", "too many codes"])
def test_the_default_filter_shows_a_warning_of_all_folds_once(action, n_shown, column):
    # scikit-learn ignores other warnings for a while in each fold, after which Python forgets what
    # it has shown.
    frame = make_frame(60)[["float", "text"]].assign(same=action)
    if column != "constant":
        frame = frame[["float"]].assign(other=n_shown)
    model = AutoencoderTransformer(3, max_iter=1, hidden_layer_sizes=(4,), early_stopping=False)
    category = ColumnsLeftOutWarning if column == "constant" else OvercompleteWarning
    for filters, expected in (("ignore", 0), (action, n_shown)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter(filters)
            cross_val_score(model, frame, cv=3)
        assert sum(own.category is category for own in caught) == expected


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize("make", [lambda: make_frame(), lambda: add_gaps(make_frame())])
def test_unknown_categories_are_accepted_without_an_error_of_reconstruction(make, quick):
    frame = make()
    model = quick().fit(frame)
    new = frame.assign(text="unheard of", figures=7)
    assert np.isfinite(model.transform(new)).all()
    errors = model.reconstruction_errors(new)
    assert errors[["text", "figures"]].isna().all(axis=None)
    assert np.isfinite(model.score(new))


@pytest.mark.slow
def test_training_on_odd_rows_leaves_categories_as_they_are():
    # Rows with shifted indicators would have huge losses that dominate training.
    a, b = np.random.default_rng(0).normal(size=(2, 1200))
    turn = np.arctan2(a, b)
    frame = pd.DataFrame({"a": a, "b": b, "way": pd.cut(turn, 40, labels=False).astype(str)})
    model = AutoencoderTransformer(2, max_iter=15, random_state=0).fit(frame)
    assert max(model.loss_curve_) < 1
    assert model.reconstruction_error_ < 0.8 * model.pca_reconstruction_error_


def test_rare_categories_are_pooled(quick):
    frame = make_frame()
    frame.loc[:3, "text"] = ["odd", "strange", "rare", "queer"]
    model = quick().fit(frame)
    again = model.inverse_transform(model.transform(frame))
    assert set(again["text"]) <= {"near", "up", "down"}
    assert model.reconstruction_errors(frame.assign(text="unheard of")).notna().all(axis=None)


def test_weights_are_repeated_rows(quick):
    frame = make_frame(60)
    weights = np.where(np.arange(60) % 3, 1.0, 2.0)
    params = {"batch_size": 1000, "early_stopping": False, "dtype": "float64"}
    weighted = quick(**params).fit(frame, sample_weight=weights)
    repeated = frame.loc[frame.index.repeat(weights.astype(int))]
    expected = quick(**params).fit(repeated)
    errors = [own.reconstruction_errors(frame).to_numpy() for own in (weighted, expected)]
    np.testing.assert_allclose(*errors, rtol=1e-5)
    strange = pd.concat([frame, frame.assign(text="odd", float=1e9)])
    ignored = quick(**params).fit(strange, sample_weight=np.repeat([1.0, 0.0], 60))
    expected = quick(**params).fit(frame)
    np.testing.assert_array_equal(ignored.transform(frame), expected.transform(frame))


def test_mixed_frames_go_through_scikit_learn(quick):
    frame = make_frame()
    search = GridSearchCV(quick(max_iter=1), {"n_components": [1, 3]}, cv=2).fit(frame)
    assert search.best_params_ == {"n_components": 3}
    columns = make_column_transformer(
        (StandardScaler(), ["float"]), (quick(max_iter=1), list(frame.columns[1:]))
    )
    pipeline = make_pipeline(columns, quick(n_components=2, max_iter=1)).set_output(
        transform="pandas"
    )
    codes = clone(pipeline).fit_transform(frame)
    assert list(codes.columns) == ["autoencodertransformer0", "autoencodertransformer1"]


def test_later_fits_keep_the_categories_of_the_first(quick):
    frame = make_frame()
    model = quick(warm_start=True).fit(frame)
    before = model.score(frame)
    for _ in range(3):
        model.partial_fit(frame.assign(text="unheard of"))
    model.fit(frame)
    assert model.score(frame) > before
    rows = make_frame()[["float", "single", "whole"]].to_numpy(dtype=float)
    with pytest.raises(ValueError, match="X must be a data frame with the columns of fit"):
        model.partial_fit(rows)
    assert model.set_params(warm_start=False).fit(rows).inverse_transform([[0.0] * 4]).shape == (
        1,
        3,
    )


def test_hidden_categories_are_hidden_whole(quick):
    frame = make_frame()
    model = quick(missing="mask", corruption="hiding", corruption_level=0.3).fit(frame)
    assert model.net_.family.corruption.groups.max() == frame.shape[1] - 1
    assert np.isfinite(model.transform(add_gaps(frame))).all()


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"loss": "huber"}, "Each kind of column has its own loss"),
        ({"nested": True}, "Numbers of codes"),
        ({"penalty": "orthogonal"}, "no such directions"),
        ({"corruption": "swap"}, "'hiding' hides them together"),
        ({"architecture": "conv"}, "no neighbours"),
        ({"output_range": (0, 1)}, "several units"),
    ],
    ids=str,
)
def test_parameters_without_a_meaning_are_refused(params, reason, quick):
    (name,) = params
    message = f"`{name}` must be left at its default with a data frame of several kinds.*{reason}"
    with pytest.raises(ValueError, match=message):
        quick(**params).fit(make_frame())


def test_other_frames_than_in_fit_are_refused(quick):
    frame = make_frame()
    model = quick().fit(frame)
    with pytest.raises(ValueError, match=r"Got missing values in column '.*'. Set missing='mask'"):
        model.transform(add_gaps(frame))
    with pytest.raises(ValueError, match="X must hold dates or times in column 'date'"):
        model.transform(frame.assign(date=1.0))
    with pytest.raises(ValueError, match="feature names"):
        model.transform(frame.drop(columns="text"))
    twice = pd.concat([frame, frame[["text"]]], axis=1)
    with pytest.raises(ValueError, match="Got more than one 'text'"):
        quick().fit(twice)


@pytest.mark.parametrize(
    "change", [pytest.param(lambda frame: frame, marks=pytest.mark.slow), to_polars]
)
def test_comparisons_of_frames_have_famd_in_the_place_of_pca(change, quick):
    frame, target = change(add_gaps(make_frame())), make_frame()["boolean"].to_numpy()
    comparison = compare_with_pca(frame, target, n_components=2, estimator=quick(max_iter=10))
    famd, autoencoder = comparison.results
    assert (famd.method, autoencoder.method) == ("FAMD", "autoencoder")
    assert autoencoder.error_ratio == autoencoder.squared_error / famd.squared_error < 1
    model = comparison.evidence.models[2, "autoencoder"]
    held_out = comparison.evidence.task.X_test
    assert autoencoder.explained_variance == pytest.approx(model.score(held_out))
    assert re.search(r"codes +method +loss +vs FAMD +loss saved.* nats", str(comparison))
    assert autoencoder.nats < famd.nats
    assert comparison.summarize().endswith(" times FAMD's.")


@pytest.mark.slow
@pytest.mark.parametrize("change", [lambda frame: frame, to_polars])
def test_pages_of_comparisons_of_frames_show_famd_and_columns_of_all_kinds(change, quick):
    frame = change(add_gaps(make_frame()))
    page = compare_with_pca(frame, n_components=2, estimator=quick()).to_html()
    for part in (
        "FAMD and an autoencoder",
        "date or time",
        "What the codes stand for",
        "boolean: ",
    ):
        assert part in page


def test_variational_autoencoders_give_synthetic_frames(tmp_path):
    frame = FRAMES["gaps"]()
    params = {"hidden_layer_sizes": (16,), "max_iter": 15, "random_state": 0}
    model = VariationalAutoencoderTransformer(3, early_stopping=False, **params).fit(frame)
    assert model.reconstruction_error_ < model.pca_reconstruction_error_ < 1
    assert np.isfinite(model.score(frame))
    assert model.posterior_std(frame).shape == (N, 3)
    rows = model.sample(N, random_state=0, noise=True)
    assert list(rows.dtypes) == list(frame.dtypes)
    assert rows["float"].between(frame["float"].min(), frame["float"].max()).all()
    shares = rows["text"].value_counts(normalize=True)
    known = frame["text"].value_counts(normalize=True)
    assert (shares - known).abs().max() < 0.15
    assert ((rows["float"] > 0) == rows["boolean"]).mean() > 0.75
    skae.save(model, tmp_path / "model.skae")
    again = skae.load(tmp_path / "model.skae")
    assert again.sample(N, random_state=0, noise=True).equals(rows)
    assert not model.sample(N, random_state=0).equals(rows)


@pytest.mark.slow
def test_densities_of_frames_are_in_units_of_their_numbers():
    frame = make_frame()[["float", "text", "whole"]]
    params = {"hidden_layer_sizes": (16,), "max_iter": 2, "random_state": 0}
    params["early_stopping"] = False
    model = VariationalAutoencoderTransformer(2, **params).fit(frame)
    larger = VariationalAutoencoderTransformer(2, **params).fit(frame.assign(float=frame.float * 8))
    scores = [model.score(frame), larger.score(frame.assign(float=frame.float * 8))]
    assert scores[0] - scores[1] == pytest.approx(np.log(8), abs=1e-2)
    with pytest.raises(ValueError, match="`likelihood` must be left at its default"):
        VariationalAutoencoderTransformer(2, likelihood="laplace").fit(frame)
    labels = make_frame()["boolean"].to_numpy()
    conditional = VariationalAutoencoderTransformer(2, conditional=True, **params)
    rows = conditional.fit(frame, labels).sample(200, 0, y=True)
    assert rows["float"].mean() > frame["float"].mean()


MOMENTS = pd.date_range("2020-01-01", periods=60, tz="Europe/Rome", freq="h")


@pytest.fixture(scope="module", params=[pd.DataFrame, pl.from_pandas], ids=["pandas", "polars"])
def of_types(request):
    """Return a frame, a function from frames to the input of a model, and the model."""
    columns = {"x": np.random.default_rng(0).normal(size=60), "seen": MOMENTS}
    flags = np.arange(60) % 7 < 3
    frame = pd.DataFrame(columns | {"kind": ["a", "b", "c"] * 20, "flag": flags})
    model = AutoencoderTransformer(2, max_iter=1, early_stopping=False, random_state=0)
    return frame, request.param, model.fit(request.param(frame))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"seen": MOMENTS - MOMENTS[0]}, "'seen', as in fit. Got durations"),
        ({"seen": MOMENTS.tz_localize(None)}, "with a time zone in .* Got dates without"),
        ({"kind": np.arange(60)}, "must hold text in column 'kind', as in fit. Got numbers"),
        ({"flag": ["True", "False"] * 30}, "numbers or booleans in column 'flag'.* Got text"),
    ],
)
def test_values_that_mean_something_else_than_in_fit_are_refused(of_types, changed, message):
    frame, convert, model = of_types
    with pytest.raises(ValueError, match=message):
        model.transform(convert(frame.assign(**changed)))


def test_equal_times_in_another_time_zone_are_equal(of_types):
    frame, convert, model = of_types
    same = frame.assign(seen=MOMENTS.tz_convert("UTC"))
    np.testing.assert_array_equal(model.transform(convert(same)), model.transform(convert(frame)))


def test_columns_of_dates_without_values_may_have_any_type(quick):
    values = pd.Series([None] * 20 + list(MOMENTS[20:]), dtype=MOMENTS.dtype)
    frame = pd.DataFrame({"x": np.random.default_rng(0).normal(size=60), "seen": values})
    for convert in (pd.DataFrame, pl.from_pandas):
        model = quick(missing="mask").fit(convert(frame))
        blank = model.transform(convert(frame[:20]))
        for cell, dtype in [(None, object), (np.nan, float), (None, "Int64"), (None, "string")]:
            empty = frame[:20].assign(seen=pd.Series(cell, range(20), dtype))
            np.testing.assert_array_equal(model.transform(convert(empty)), blank)


@pytest.mark.mostly_slow(3)
@pytest.mark.parametrize(
    "columns",
    [
        {"price": pa.decimal128(24, 2), "seen": pa.date32(), "kind": pa.large_string()},
        {"price": pa.float32(), "seen": pa.timestamp("us", "Europe/Rome"), "kind": pa.string()},
        {"price": pa.int16(), "seen": pa.duration("s"), "kind": pa.dictionary("int32", "string")},
    ],
)
def test_columns_of_pyarrow_types_are_what_those_of_numpy_types_are(columns):
    draw = np.random.default_rng(0)
    days = draw.integers(0, 900, 60)
    pure = {"price": draw.integers(0, 9, 60), "seen": days, "kind": ["a", "b", "c"] * 20}
    plain, arrow = pd.DataFrame(pure), {}
    as_time = pa.types.is_temporal(columns["seen"]) and not pa.types.is_duration(columns["seen"])
    start = pd.Timestamp("2020-01-01") if as_time else pd.Timedelta(0)
    plain["seen"] = start + pd.to_timedelta(days, unit="D")
    if getattr(columns["seen"], "tz", None):
        plain["seen"] = plain["seen"].dt.tz_localize(columns["seen"].tz)
    for name, column in plain.items():
        cells = pa.array(column.tolist())
        # Older releases of PyArrow cannot cast to dictionaries.
        as_levels = pa.types.is_dictionary(columns[name])
        cells = cells.dictionary_encode() if as_levels else cells.cast(columns[name])
        arrow[name] = pd.arrays.ArrowExtensionArray(cells)
    model = AutoencoderTransformer(2, max_iter=1, random_state=0)
    Z, again = model.fit_transform(plain), clone(model).fit(pd.DataFrame(arrow))
    np.testing.assert_allclose(again.transform(pd.DataFrame(arrow)), Z, atol=1e-5)
    back = again.inverse_transform(Z)
    np.testing.assert_array_equal(back["kind"].astype(str), model.inverse_transform(Z)["kind"])
    difference = back["seen"].astype(plain["seen"].dtype) - model.inverse_transform(Z)["seen"]
    assert difference.abs().max() <= pd.Timedelta(seconds=20)


def test_integers_of_128_bits_come_back():
    frame = pl.DataFrame({"n": pl.Series([1, 5, 2**40] * 8, dtype=pl.Int128), "k": ["a", "b"] * 12})
    model = AutoencoderTransformer(1, max_iter=1, random_state=0).fit(frame)
    assert model.inverse_transform(model.transform(frame)).schema == frame.schema


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize("names", [range(3), ["x", "kind", "tag"]])
def test_detectors_take_frames_whose_columns_have_other_names_or_numbers(names):
    draw = np.random.default_rng(0)
    columns = {"x": draw.normal(size=40), "kind": ["a", "b"] * 20, "tag": np.ones(40)}
    frame = pd.DataFrame(columns)
    template = AutoencoderTransformer(max_iter=1, early_stopping=False, hidden_layer_sizes=(2,))
    detector = AutoencoderOutlierDetector(1, autoencoder=template, random_state=0)
    with pytest.warns(ColumnsLeftOutWarning, match="constant"):
        detector.fit(frame.set_axis(names, axis=1))
    scores = detector.score_samples(frame.set_axis(names, axis=1))
    for others in (range(3), ["x", "kind", "tag"]):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "X (does not have|has).* feature names")
            found = detector.score_samples(frame.set_axis(others, axis=1))
        np.testing.assert_array_equal(found, scores)


KINDS = ["float", "whole", "boolean", "text", "date"]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(lambda frame: frame, id="pandas"),
        pytest.param(to_polars, id="polars", marks=pytest.mark.slow),
    ],
)
def detection(request):
    """Return a detector for missing values, and a function from rows of a frame to its input."""

    def convert(rows):
        return request.param(rows.assign(tag=[f"no. {i}" for i in range(len(rows))]))[
            [*KINDS, "tag"]
        ]

    template = AutoencoderTransformer(
        hidden_layer_sizes=(16,), max_iter=15, batch_size=32, early_stopping=False
    )
    detector = AutoencoderOutlierDetector(3, autoencoder=template, random_state=0)
    with pytest.warns(ColumnsLeftOutWarning, match="'tag'"):
        return detector.fit(convert(add_gaps(make_frame(300)))), convert


def test_outliers_in_frames_are_found_and_their_columns_named(detection):
    detector, convert = detection
    usual = make_frame(300).head(40)
    usual = usual[usual["float"].abs() > 0.5]
    false = convert(usual.assign(boolean=~usual["boolean"]))
    far = convert(usual.assign(float=usual["float"] + 3))
    scores = detector.score_samples(convert(usual))
    for rows, column in ((false, "boolean"), (far, "float")):
        assert np.mean(detector.score_samples(rows) < scores) > 0.9
        z_scores = detector.cell_z_scores(rows)
        assert list(z_scores.columns) == KINDS
        found = np.array(KINDS)[np.abs(z_scores.to_numpy()).argmax(axis=1)]
        assert np.mean(found == column) > 0.6
    assert np.median(detector.cell_z_scores(far)["float"]) > 3
    assert detector.p_values(far).max() < 0.2


def test_a_category_that_is_new_makes_a_row_unusual(detection):
    detector, convert = detection
    usual = make_frame(300).head(40)
    scores = detector.score_samples(convert(usual))
    missing = detector.score_samples(convert(usual.assign(text=None)))
    rows = convert(usual)
    is_polars = isinstance(rows, pl.DataFrame)
    new = pl.lit("sideways") if is_polars else "sideways"
    changed = (rows.with_columns if is_polars else rows.assign)(text=new)
    assert np.mean(detector.score_samples(changed) < scores) > 0.9
    assert np.mean(detector.score_samples(changed) < missing) > 0.9
    z_scores = np.array(detector.cell_z_scores(changed).to_numpy(), dtype=float)
    column = list(changed.columns).index("text")
    np.testing.assert_allclose(z_scores[:, column], np.sqrt(2 * np.log(271)), rtol=1e-6)
    assert np.mean(np.abs(z_scores).argmax(axis=1) == column) > 0.8


def test_detectors_of_frames_pass_over_gaps_and_can_be_saved(detection, tmp_path):
    detector, convert = detection
    frame = add_gaps(make_frame(300))
    errors = np.array(detector.reconstruction_errors(convert(frame)).to_numpy(), dtype=float)
    np.testing.assert_array_equal(np.isnan(errors), frame[KINDS].isna().to_numpy())
    skae.save(detector, tmp_path / "detector.skae")
    again = skae.load(tmp_path / "detector.skae").score_samples(convert(frame))
    np.testing.assert_array_equal(again, detector.score_samples(convert(frame)))
    with pytest.raises(ValueError, match="data frame with the columns of fit"):
        detector.predict(np.zeros((2, 7)))
