"""Data frames with columns of hundreds of categories, and with many rows."""

import warnings

import numpy as np
import pandas as pd
import pytest

import skae
from skae import AutoencoderOutlierDetector, AutoencoderTransformer
from skae import VariationalAutoencoderTransformer as Variational
from skae._estimators import frames
from skae._estimators.column_encoding import LevelGrid, Levels
from skae._estimators.level_groups import group_levels

N, N_LEVELS = 4500, 300
PARAMS = {"hidden_layer_sizes": (16,), "max_iter": 6, "random_state": 0}


def make_frame(n=N, seed=0):
    """Return rows on a line with three hundred stops, named in random order."""
    draw = np.random.default_rng(seed)
    place = draw.random(n)
    number = (N_LEVELS * (place + 0.02 * draw.normal(size=n)).clip(0, 1 - 1e-9)).astype(int)
    names = np.random.default_rng(0).permutation([f"stop {i}" for i in range(N_LEVELS)])
    return pd.DataFrame(
        {
            "stop": names[number],
            "west": place < 0.3,
            "minute": 60 * place + draw.normal(size=n),
            "fare": (2 + 5 * place).round(1),
        }
    )


def find_places(stops):
    names = np.random.default_rng(0).permutation([f"stop {i}" for i in range(N_LEVELS)])
    place_of = {name: place for place, name in enumerate(names)}
    return np.array([place_of[stop] for stop in stops])


@pytest.fixture(scope="module")
def fitted():
    return AutoencoderTransformer(2, **PARAMS).fit(make_frame())


def test_hundreds_of_categories_take_few_columns_and_come_back(fitted):
    frame = make_frame(500, seed=1)
    again = fitted.inverse_transform(fitted.transform(frame))
    assert list(again.dtypes) == list(frame.dtypes)
    assert len(fitted.mean_) < 60
    # Reconstructed stops are close to the originals on the line, which names do not reveal.
    distances = np.abs(find_places(again["stop"]) - find_places(frame["stop"]))
    assert np.median(distances) < 0.05 * N_LEVELS
    errors = fitted.reconstruction_errors(frame)
    assert list(errors.columns) == list(frame.columns)
    assert errors["stop"].mean() < 0.75
    np.testing.assert_allclose(fitted.score_samples(frame), -errors.mean(axis=1), rtol=1e-5)


def test_groups_contain_similar_categories(fitted):
    grid = fitted._frame.encoding.levels[0]
    assert isinstance(grid, LevelGrid)
    places, groups = find_places(grid.categories), grid.places[: len(grid.categories), 0]
    spread = np.mean([places[groups == group].std() for group in np.unique(groups)])
    assert spread < 0.1 * places.std()
    assert len(np.unique(grid.places, axis=0)) == grid.n_levels


@pytest.mark.slow
def test_models_of_many_categories_are_saved_and_trained_further(fitted, tmp_path):
    frame = make_frame(200, seed=1)
    skae.save(fitted, tmp_path / "model.skae")
    again = skae.load(tmp_path / "model.skae")
    codes = again.transform(frame)
    np.testing.assert_array_equal(codes, fitted.transform(frame))
    pd.testing.assert_frame_equal(again.inverse_transform(codes), fitted.inverse_transform(codes))
    before = again.reconstruction_errors(frame).to_numpy().mean()
    again.partial_fit(make_frame(seed=2))
    assert again.reconstruction_errors(frame).to_numpy().mean() < 1.1 * before


def test_rare_and_unknown_categories_are_never_returned():
    frame = make_frame()
    frame.loc[:40, "stop"] = [f"closed {i}" for i in range(41)]
    model = AutoencoderTransformer(2, **PARAMS | {"max_iter": 1}).fit(frame)
    new = make_frame(50, seed=1).assign(stop="unheard of")
    again = model.inverse_transform(model.transform(new))
    assert set(again["stop"]) <= set(make_frame()["stop"])
    assert np.isfinite(model.reconstruction_errors(new)["stop"]).all()


@pytest.mark.parametrize("gaps", [pytest.param(False, marks=pytest.mark.slow), True])
def test_rows_encoded_when_they_are_needed_give_the_same_model(gaps, monkeypatch):
    frame, new = make_frame(1500), make_frame(300, seed=1)
    if gaps:
        for part in (frame, new):
            part.loc[::7, "stop"] = None
            part.loc[::5, "minute"] = np.nan
    new.loc[3, "stop"] = "unheard of"
    weights = np.where(np.arange(1500) % 10, 1.0, 0.0)
    params = PARAMS | {"max_iter": 1, "dtype": "float64"}
    model = AutoencoderTransformer(2, **params)
    usual = model.fit(frame, sample_weight=weights).reconstruction_errors(new)
    scores = model.score_samples(new)
    monkeypatch.setattr(frames, "holds_many_bytes", lambda shape, dtype: True)
    lazy = AutoencoderTransformer(2, **params).fit(frame, sample_weight=weights)
    np.testing.assert_allclose(lazy.reconstruction_errors(new), usual, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(lazy.score_samples(new), scores, rtol=1e-3)
    np.testing.assert_allclose(lazy.transform(new), model.transform(new), rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_samples_and_outliers_of_frames_with_many_categories():
    frame = make_frame()
    model = Variational(2, **PARAMS).fit(frame)
    drawn = model.sample(400, random_state=0, noise=True)
    assert set(drawn["stop"]) <= set(frame["stop"])
    assert drawn["stop"].nunique() > 100
    detector = AutoencoderOutlierDetector(2, autoencoder=AutoencoderTransformer(**PARAMS))
    usual, odd = frame.iloc[3500:], frame.iloc[3500:].assign(stop=frame["stop"].iloc[0])
    scores = detector.fit(frame.iloc[:3500]).score_samples
    assert scores(odd).mean() < scores(usual).mean()


def test_groups_are_found_beside_numbers_of_any_size_and_numbers_that_are_all_missing():
    frame = make_frame()
    stops, none = frame["stop"].to_numpy(dtype=object), np.zeros(len(frame), dtype=bool)
    known = Levels.find(stops, none, most=N_LEVELS)
    columns = [known.number(stops, none), frame["minute"].to_numpy()]
    every = np.arange(len(known.categories))
    expected = group_levels(columns, [known, None])[0].locate(every)
    columns = [columns[0], columns[1] * 1e200, np.full(len(frame), np.nan)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        grouped = group_levels(columns, [known, None, None])
    np.testing.assert_array_equal(grouped[0].locate(every), expected)
