"""Rubin's rules."""

import types

import numpy as np
import pytest

from skae.impute import pool

ESTIMATES = np.array([[1.0, -2.0], [1.4, -2.2], [1.2, -1.8]])
ERRORS = np.array([[0.5, 0.4], [0.6, 0.4], [0.55, 0.5]])


def test_numbers_are_those_of_rubin_and_of_barnard_and_rubin():
    pooled = pool(zip(ESTIMATES, ERRORS, strict=True), df=47)
    within, between = np.mean(ERRORS**2, axis=0), ESTIMATES.var(axis=0, ddof=1)
    total = within + 4 / 3 * between
    np.testing.assert_allclose(pooled.estimates, ESTIMATES.mean(axis=0))
    np.testing.assert_allclose(pooled.standard_errors, np.sqrt(total))
    share = 4 / 3 * between / total
    old, observed = 2 / share**2, 48 / 50 * 47 * (1 - share)
    np.testing.assert_allclose(pooled.df, old * observed / (old + observed))
    np.testing.assert_allclose(pool(zip(ESTIMATES, ERRORS, strict=True)).df, old)
    ratio = 4 / 3 * between / within
    np.testing.assert_allclose(
        pooled.missing_information, (ratio + 2 / (pooled.df + 3)) / (1 + ratio)
    )
    lower, upper = pooled.intervals().T
    assert (lower < pooled.estimates).all()
    # The level of an interval that just contains 0 is the p value.
    edge = pooled.intervals(1 - pooled.p_values[1])[1]
    assert edge[1] == pytest.approx(0, abs=1e-6)
    narrow = pooled.intervals(0.5)
    assert ((narrow[:, 0] > lower) & (narrow[:, 1] < upper)).all()


def test_results_of_models_are_taken_as_they_are():
    pd = pytest.importorskip("pandas")
    names = ["age", "weight"]
    fits = [
        types.SimpleNamespace(params=pd.Series(row, names), bse=pd.Series(own, names), df_resid=47)
        for row, own in zip(ESTIMATES, ERRORS, strict=True)
    ]
    pairs = list(zip(ESTIMATES, ERRORS, strict=True))
    pooled, plain = pool(iter(fits)), pool(pairs, df=47)
    assert pooled.names == names
    assert plain.names == ["x0", "x1"]
    np.testing.assert_array_equal(pooled.df, plain.df)
    summary = pooled.summary(0.9)
    assert list(summary.index) == names
    np.testing.assert_array_equal(summary["lower"], pooled.intervals(0.9)[:, 0])
    assert "<td>weight</td>" in pooled._repr_html_()
    assert repr(pooled).count("\n") == 2
    full = pool([(row, np.diag(own**2)) for row, own in pairs], df=47)
    np.testing.assert_allclose(full.standard_errors, plain.standard_errors)
    assert np.isfinite(full.covariance).all()
    # Standard errors do not determine the correlation of estimates.
    assert np.isnan(plain.covariance[0, 1])


def test_results_of_statsmodels_are_taken_as_they_are():
    api = pytest.importorskip("statsmodels.api")
    rng = np.random.default_rng(0)
    fits = []
    for _ in range(3):
        X = rng.normal(size=(50, 2))
        fits.append(api.OLS(X @ [1.0, 2.0] + rng.normal(size=50), api.add_constant(X)).fit())
    pooled = pool(fits)
    assert pooled.names == ["const", "x1", "x2"]
    assert (pooled.df < 47).all()
    np.testing.assert_allclose(pooled.within, np.mean([fit.cov_params() for fit in fits], axis=0))


def test_tables_that_agree_leave_the_usual_interval():
    pooled = pool([(1.0, 0.5), (1.0, 0.5)], df=20)
    assert pooled.missing_information[0] < 0.1
    assert pooled.df[0] == pytest.approx(21 / 23 * 20)
    certain = pool([(1.0, 0.0), (1.0, 0.0)])
    assert certain.p_values[0] == 0
    np.testing.assert_array_equal(certain.intervals(), [[1, 1]])


def test_results_that_cannot_be_pooled_are_refused():
    for results, error, message in [
        ([(1.0, 0.5)], ValueError, "at least two results. Got 1"),
        ([1.0, 2.0], TypeError, "pairs of estimates"),
        ([(1.0, 0.5), ([1.0, 2.0], [0.5, 0.5])], ValueError, "the same quantities"),
        ([([1.0, 2.0], [0.5])] * 2, ValueError, "of the same shape"),
        ([(np.nan, 0.5)] * 2, ValueError, "finite"),
        ([([1.0], [[-1.0]])] * 2, ValueError, "negative"),
    ]:
        with pytest.raises(error, match=message):
            pool(results)


def test_degrees_of_freedom_and_levels_are_checked():
    pairs = [(1.0, 0.5), (1.2, 0.5)]
    with pytest.raises(ValueError, match="`df` must be"):
        pool(pairs, df=0)
    for level in (0, 1, "95 %"):
        with pytest.raises(ValueError, match="`level` must be"):
            pool(pairs).intervals(level)
