"""Sequences of different lengths as rows, and back."""

import numpy as np
import pytest
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
    # A model fills what was missing, and is less than sure of the end.
    filled = np.nan_to_num(rows, nan=0.3)
    filled[:, :, -1] *= 0.8
    lengths = [len(sequence) for sequence in padder.inverse_transform(filled)]
    assert lengths == [4, 1, 6, 2]
    filled[:, :, -1] = 0
    assert {len(sequence) for sequence in padder.inverse_transform(filled)} == {6}


def test_what_is_longer_than_in_fit_is_cut(sequences):
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


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([], "X must be sequences, at least one. Got list of length 0"),
        ("abc", "X must be sequences"),
        ([np.zeros((3, 2)), np.zeros((3, 1))], "2 features in each step. Got 1 in sequence 1"),
        ([np.zeros((3, 2, 1))], r"Got an array of shape \(3, 2, 1\) for sequence 0"),
        ([[np.inf]], "Got infinite values for sequence 0"),
    ],
)
def test_what_is_no_sequence_is_refused(X, message):
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
