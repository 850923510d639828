"""Continuing with rows far from the first ones gives a warning."""

import warnings

import numpy as np
import pytest

from skae import (
    AdversarialAutoencoderTransformer,
    AutoencoderTransformer,
    SparseAutoencoderTransformer,
    VariationalAutoencoderTransformer,
)
from skae.exceptions import DriftWarning


@pytest.fixture
def rows():
    return np.random.default_rng(0).normal(size=(200, 4)) + [0, 100, 0, -5]


def shift_one(rows):
    return rows + [0, 0, 30, 0]


def stretch(rows):
    return rows.mean(axis=0) + 20 * (rows - rows.mean(axis=0))


def change_units(rows):
    return rows * 1000


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize("change", [shift_one, stretch, change_units])
@pytest.mark.parametrize(
    "model",
    [
        AutoencoderTransformer(2, random_state=0),
        AutoencoderTransformer(2, missing="mask", random_state=0),
        VariationalAutoencoderTransformer(2, random_state=0),
        AdversarialAutoencoderTransformer(2, random_state=0),
    ],
    ids=["plain", "masked", "variational", "adversarial"],
)
def test_chunks_far_from_the_first_one_warn(model, change, rows):
    model.partial_fit(rows[:100])
    with pytest.warns(DriftWarning, match="from the mean of the first rows"):
        model.partial_fit(change(rows[100:]))


def test_the_warning_names_the_column_that_moved_most(rows):
    model = AutoencoderTransformer(2, random_state=0).partial_fit(rows)
    with pytest.warns(DriftWarning, match=r"^Column 3 of X is (9|10)\d "):
        model.partial_fit(rows + [0, 0, 0, 100])
    with pytest.warns(DriftWarning, match="^Column 1 and 1 more of X are up to "):
        model.partial_fit(rows + [50, 100, 0, 0])


def test_models_of_sparse_codes_give_no_warning_of_drift(rows):
    model = SparseAutoencoderTransformer(8, n_active=2, max_iter=1, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DriftWarning)
        model.partial_fit(rows[:100]).partial_fit(shift_one(rows[100:]))


def test_a_warm_start_on_rows_from_elsewhere_warns(rows):
    model = AutoencoderTransformer(2, warm_start=True, max_iter=1, random_state=0).fit(rows)
    with pytest.warns(DriftWarning):
        model.fit(shift_one(rows))


def test_chunks_of_one_table_do_not_warn(rows):
    with warnings.catch_warnings():
        warnings.simplefilter("error", DriftWarning)
        model = AutoencoderTransformer(2, random_state=0)
        for chunk in np.array_split(rows, 4):
            model.partial_fit(chunk)
        model.partial_fit(rows[:1] + 2 * rows.std(axis=0))
