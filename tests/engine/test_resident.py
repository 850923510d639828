"""Passes over a table on a GPU agree with those on the CPU."""

import numpy as np
import pytest
import torch

from skae._engine.start.principal_components import find_principal_components
from skae._engine.tables import resident
from skae._engine.tables.columns import describe_columns, find_bounds
from skae._engine.tables.resident import ResidentTable, make_resident
from skae._engine.tables.standardization import Standardization

CPU = torch.device("cpu")


@pytest.fixture(params=["float32", "float64", "columns first", "read-only"])
def table(request):
    """Return a table far from zero, with a column that has many values at its bound."""
    X = np.random.default_rng(0).normal(1e3, [1, 2, 3, 4, 5], size=(200, 5))
    X[:80, 2] = X[:, 2].max()
    if request.param == "columns first":
        return np.asfortranarray(X)
    X = X.astype("float32" if request.param == "float32" else "float64")
    X.setflags(write=request.param != "read-only")
    return X


@pytest.fixture
def shares():
    weights = np.random.default_rng(1).random(200) * (np.arange(200) % 7 > 0)
    return weights / weights.sum()


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(resident, "_CELLS_AT_ONCE", 100)


def test_columns_have_equal_descriptions(table, shares):
    found = ResidentTable(table, CPU).describe_columns(shares)
    expected = describe_columns(table, shares)
    for name in ("mean", "variance", "lowest", "highest"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-12)


def test_principal_components_are_the_same(table, shares):
    arguments = table, describe_columns(table, shares), shares, 3
    find_covariance = ResidentTable(table, CPU).find_covariance
    found = find_principal_components(*arguments, find_covariance=find_covariance)
    expected = find_principal_components(*arguments)
    np.testing.assert_allclose(found.components, expected.components, atol=1e-9)
    np.testing.assert_allclose(found.explained_variance, expected.explained_variance)


def test_bounds_are_the_same(table, shares):
    statistics = describe_columns(table, shares)
    found = find_bounds(table, statistics, ResidentTable(table, CPU).count_cells)
    expected = find_bounds(table, statistics)
    np.testing.assert_array_equal(found, expected)
    assert np.isfinite(expected[1][2])


def test_rows_are_standardised_to_the_same_bits(table):
    for dtype in [torch.float32, torch.float64]:
        standardization = Standardization(table.mean(0), 1.7, dtype)
        rows = ResidentTable(table, CPU).standardise(standardization)
        np.testing.assert_array_equal(rows.tensor, standardization.apply(table))


def test_the_table_is_not_changed(table, shares):
    before = table.copy()
    own = ResidentTable(table, CPU)
    own.find_covariance(own.describe_columns(shares).mean, shares)
    own.standardise(Standardization(table.mean(0), 1.7, torch.float32))
    np.testing.assert_array_equal(table, before)


def test_the_processor_needs_no_copy(table):
    assert make_resident(table, CPU) is None
