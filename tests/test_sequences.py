"""Sequences of different lengths as rows, and their inverse."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from sklearn.base import clone

from skae.sequences import SequencePadder


@pytest.fixture
def sequences():
    source = np.random.default_rng(0)
    return [source.normal(size=(length, 3)) for length in (4, 1, 6, 2)]


@pytest.mark.parametrize("mark_end", [False, True])
def test_sequences_come_back_as_they_were(sequences, mark_end):
    padder = SequencePadder(mark_end=mark_end)
    rows = padder.fit_transform(sequences)
    assert rows.shape == (4, np.prod(padder.sample_shape_))
    assert rows.shape[1] == len(padder.get_feature_names_out())
    back = padder.inverse_transform(rows)
    for given, returned in zip(sequences, back, strict=True):
        np.testing.assert_array_equal(returned, given)


def test_cells_stand_step_after_step_and_nan_beyond_the_end(sequences):
    padder = SequencePadder().fit(sequences)
    assert padder.sample_shape_ == (6, 3)
    rows = padder.transform(sequences).reshape(4, 6, 3)
    for row, sequence in zip(rows, sequences, strict=True):
        np.testing.assert_array_equal(row[: len(sequence)], sequence)
        assert np.isnan(row[len(sequence) :]).all()
    assert padder.get_feature_names_out(["x", "y", "z"])[4] == "step1_y"


def test_the_mark_is_what_cuts_a_reconstruction(sequences):
    padder = SequencePadder(mark_end=True)
    rows = padder.fit_transform(sequences).reshape(4, 7, 4)
    assert list(np.nansum(rows[:, :, -1], axis=1)) == [1, 1, 1, 1]
    # A model imputes missing cells, and its end mark is below 1.
    filled = np.nan_to_num(rows, nan=0.3)
    filled[:, :, -1] *= 0.8
    lengths = [len(sequence) for sequence in padder.inverse_transform(filled)]
    assert lengths == [4, 1, 6, 2]
    filled[:, :, -1] = 0
    assert {len(sequence) for sequence in padder.inverse_transform(filled)} == {6}


def test_sequences_longer_than_in_fit_are_cut(sequences):
    padder = SequencePadder().fit(sequences[:2])
    rows = padder.transform(sequences)
    assert rows.shape == (4, 12)
    np.testing.assert_array_equal(rows[2].reshape(4, 3), sequences[2][:4])
    assert SequencePadder(2).fit(sequences).sample_shape_ == (2, 3)


def test_lists_of_numbers_and_arrays_are_sequences_too():
    padder = SequencePadder()
    rows = padder.fit_transform([[1, 2, 3], [4]])
    np.testing.assert_array_equal(rows, [[1, 2, 3], [4, np.nan, np.nan]])
    stacked = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    rows = clone(padder).fit_transform(stacked)
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows, stacked.reshape(2, 6))
    missing = [[1.0, np.nan, 3.0, np.nan]]
    assert [len(x) for x in padder.fit(missing).inverse_transform(padder.transform(missing))] == [3]


def test_elements_that_are_not_sequences_are_refused():
    for X, message in [
        ([], "X must be sequences, at least one. Got list of length 0"),
        ("abc", "X must be sequences"),
        ([np.zeros((3, 2)), np.zeros((3, 1))], "2 features in each step. Got 1 in sequence 1"),
        ([np.zeros((3, 2, 1))], r"Got an array of shape \(3, 2, 1\) for sequence 0"),
        ([[np.inf]], "Got infinite values for sequence 0"),
    ]:
        with pytest.raises(ValueError, match=message):
            SequencePadder().fit(X)


def test_wrong_widths_are_refused(sequences):
    padder = SequencePadder().fit(sequences)
    with pytest.raises(ValueError, match="3 features in each step. Got 1"):
        padder.transform([[1.0]])
    with pytest.raises(ValueError, match="rows of 18 cells, 3 for each of 6 steps. Got an array"):
        padder.inverse_transform(np.zeros((2, 17)))
    with pytest.raises(ValueError, match="`input_features` must have 3 names"):
        padder.get_feature_names_out(["x"])


def make_long(sequences, keys):
    """Return a frame with a row for each step."""
    frames = [
        pd.DataFrame(each, columns=list("xyz")).assign(key=key)
        for each, key in zip(sequences, keys, strict=True)
    ]
    return pd.concat(frames, ignore_index=True)


HOLDERS = {
    "series in another order": lambda X: pd.Series(X, index=[2, 0, 3, 1]),
    "series with names": lambda X: pd.Series(X, index=list("dacb")),
    "series of polars": lambda X: pl.Series([each.tolist() for each in X]),
    "column": lambda X: pd.DataFrame({"series": X}, index=[2, 0, 3, 1]),
    "objects": lambda X: np.array([None, *X], dtype=object)[1:],
    "generator": lambda X: (each for each in X),
    "values": lambda X: dict(enumerate(X)).values(),
    "frames": lambda X: [pd.DataFrame(each, columns=list("xyz")) for each in X],
    "frames of polars": lambda X: [pl.DataFrame(each, schema=list("xyz")) for each in X],
    "frames in other orders": lambda X: [
        pd.DataFrame(each, columns=list("xyz"))[list(order)]
        for each, order in zip(X, ["xyz", "zyx", "yxz", "xzy"], strict=True)
    ],
    "tensors": lambda X: [torch.as_tensor(each) for each in X],
    "data set with labels": lambda X: [(each, 1) for each in X],
    "groups": lambda X: make_long(X, "abcd").groupby("key"),
    "groups by position": lambda X: make_long(X, "dacb").groupby("key", sort=False),
    "groups of columns": lambda X: make_long(X, "abcd").groupby("key")[["x", "y", "z"]],
    "groups of polars": lambda X: pl.DataFrame(make_long(X, "dacb")).group_by(
        "key", maintain_order=True
    ),
}


def test_sequences_are_taken_in_their_order(sequences):
    for name in HOLDERS:
        hold, expected = HOLDERS[name], SequencePadder().fit_transform(sequences)
        np.testing.assert_array_equal(SequencePadder().fit_transform(hold(sequences)), expected)
        np.testing.assert_array_equal(
            SequencePadder().fit(sequences).transform(hold(sequences)), expected
        )


def test_tables_of_arrow_are_taken_like_frames():
    rng = np.random.default_rng(0)
    frames = [pd.DataFrame(rng.normal(size=(n, 2)), columns=["a", "b"]) for n in (3, 5)]
    expected = SequencePadder().fit_transform(frames)
    tables = [pa.Table.from_pandas(frame) for frame in (frames[0], frames[1][["b", "a"]])]
    np.testing.assert_array_equal(SequencePadder().fit_transform(tables), expected)
    steps = pa.Table.from_pandas(pd.concat(frames, keys=[7, 8], names=["id"]).reset_index("id"))
    np.testing.assert_array_equal(SequencePadder(id_column="id").fit_transform(steps), expected)


def test_frames_in_long_form_are_split_by_a_column(sequences):
    for convert in [lambda frame: frame, pl.DataFrame]:
        for keys in ["abcd", "dacb"]:
            padder = SequencePadder(id_column="key")
            rows = padder.fit_transform(convert(make_long(sequences, keys)))
            np.testing.assert_array_equal(rows, SequencePadder().fit_transform(sequences))
            assert padder.step_feature_names_ == list("xyz")
            assert padder.get_feature_names_out()[:4].tolist() == [
                "step0_x",
                "step0_y",
                "step0_z",
                "step1_x",
            ]
            other = convert(make_long(sequences, keys)[["z", "key", "x", "y"]])
            np.testing.assert_array_equal(padder.transform(other), rows)


def test_gaps_in_nullable_columns_are_missing_cells():
    frames = [pd.DataFrame({"a": pd.array([1, None, 3], dtype="Int64")}), pd.DataFrame({"a": [2]})]
    rows = SequencePadder().fit_transform(frames)
    np.testing.assert_array_equal(rows, [[1, np.nan, 3], [2, np.nan, np.nan]])


frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})


def test_input_without_sequences_has_a_clear_error():
    for X, message in [
        (frame, "DataFrame of shape.*id_column.*to_numpy"),
        (pl.DataFrame(frame), "DataFrame of shape.*id_column"),
        (pl.LazyFrame(frame), "collect"),
        ({"a": [1.0], "b": [2.0]}, "dict.*values"),
        ({(1.0, 2.0), (3.0,)}, "fixed order.*set.*list"),
        ((row for row in ()), "generator of length 0"),
        (5, "Got int"),
        ([frame, frame.rename(columns={"b": "c"})], r"\['a', 'c'\] for sequence 1"),
        ([frame, frame[["a"]]], r"\['a'\] for sequence 1"),
        ([frame, frame.assign(b=pd.Timestamp("2020"))], "sequence 1.*datetime64"),
        ([frame[["a"]], pd.DataFrame({"a": pd.to_datetime(["2020"])})], "sequence 1.*datetime64"),
        ([[1.0], ["tea"]], "sequence 1.*tea"),
        ([[[1.0, 2.0]], [[1.0, 2.0], [3.0]]], "sequence 1"),
        (pd.Series([1.0, 2.0]), "shape .* for sequence 0"),
        (pl.DataFrame(frame).group_by("a"), "maintain_order=True"),
    ]:
        with pytest.raises(ValueError, match=message):
            SequencePadder().fit(X)


@pytest.mark.parametrize(
    ("X", "message"),
    [(frame, "must be one of .*'key'"), (frame.assign(key=[1, None]), "missing values in")],
    ids=str,
)
def test_columns_that_do_not_identify_the_sequence_are_refused(X, message):
    with pytest.raises(ValueError, match=message):
        SequencePadder(id_column="key").fit(X)


def test_a_refused_refit_leaves_the_padder_as_it_was(sequences):
    padder = SequencePadder().fit(sequences)
    before = dict(vars(padder))
    with pytest.raises(ValueError, match="sequence 1"):
        padder.fit([np.ones((9, 2)), ["tea"]])
    assert vars(padder) == before
