"""Pooling of analyses of several imputed tables by Rubin's rules."""

from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from scipy import stats

from skae._shared.extras import import_extra

__all__ = ["PooledEstimates", "pool"]


@dataclass(frozen=True, eq=False, repr=False)
class PooledEstimates:
    """Estimates pooled over several imputed tables. Returned by `pool`.

    Examples
    --------
    >>> from skae.impute import pool
    >>> pooled = pool([([1.0, 0.1], [0.5, 0.1]), ([2.0, 0.3], [0.5, 0.1])])
    >>> pooled.estimates, pooled.standard_errors.round(2)
    (array([1.5, 0.2]), array([1.  , 0.2]))
    """

    names: list[str]
    """Names of the quantities."""

    estimates: np.ndarray
    """Mean of the estimates over the tables, of shape (n_quantities,)."""

    covariance: np.ndarray
    """Total covariance of the estimates, of shape (n_quantities, n_quantities); NaN off its
    diagonal where only standard errors were given."""

    within: np.ndarray
    """Mean covariance within a table, which would remain without missing values."""

    between: np.ndarray
    """Covariance of the estimates between tables, which is due to missing values."""

    df: np.ndarray
    """Degrees of freedom of each estimate. Infinite if all tables agree."""

    n_tables: int
    """Number of tables."""

    @property
    def standard_errors(self) -> np.ndarray:
        """Standard errors of the estimates, of shape (n_quantities,)."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def increase(self) -> np.ndarray:
        """Increase of the variance that is due to missing values, relative to complete tables."""
        added = (1 + 1 / self.n_tables) * np.diag(self.between)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(added == 0, 0.0, added / np.diag(self.within))

    @property
    def missing_information(self) -> np.ndarray:
        """Fraction of missing information of each estimate, from 0 to 1."""
        ratio = self.increase
        with np.errstate(invalid="ignore"):
            fraction = (ratio + 2 / (self.df + 3)) / (1 + ratio)
        return np.where(np.isinf(ratio), 1.0, fraction)

    @property
    def p_values(self) -> np.ndarray:
        """Two-sided p values of Student's t test of each quantity against 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = self.estimates / self.standard_errors
        return 2 * stats.t.sf(np.abs(ratio), self.df)

    def intervals(self, level=0.95) -> np.ndarray:
        """Return confidence intervals.

        Parameters
        ----------
        level : float in (0, 1), default=0.95
            Confidence level: the share of such intervals that contain the true value.

        Returns
        -------
        intervals : ndarray of shape (n_quantities, 2)
            Lower and upper ends.

        Raises
        ------
        ValueError
            If `level` is not between 0 and 1.
        """
        if not isinstance(level, int | float) or not 0 < level < 1:
            raise ValueError(f"`level` must be between 0 and 1. Got {level!r}. Try level=0.95.")
        half = stats.t.ppf((1 + level) / 2, self.df) * self.standard_errors
        return np.column_stack([self.estimates - half, self.estimates + half])

    def summary(self, level=0.95):
        """Return a pandas DataFrame with one row per quantity.

        Parameters
        ----------
        level : float in (0, 1), default=0.95
            Level of the intervals.

        Returns
        -------
        summary : pandas.DataFrame of shape (n_quantities, 7)
            Estimate, standard error, ends of the interval, p value, degrees of freedom and fraction
            of missing information.
        """
        pandas = import_extra("pandas", "table", "summary")
        return pandas.DataFrame(self._tabulate(level), index=self.names)

    def _tabulate(self, level) -> dict[str, np.ndarray]:
        lower, upper = self.intervals(level).T
        return {
            "estimate": self.estimates,
            "std_error": self.standard_errors,
            "lower": lower,
            "upper": upper,
            "p_value": self.p_values,
            "df": self.df,
            "missing_information": self.missing_information,
        }

    def __repr__(self) -> str:
        lines = self._format()
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
            for line in lines
        )

    def _repr_html_(self) -> str:
        head, *rows = self._format()
        body = "\n".join(f"<tr>{_join('td', row)}</tr>" for row in rows)
        return (
            f"<table>\n<thead><tr>{_join('th', head)}</tr></thead>\n"
            f"<tbody>\n{body}\n</tbody>\n</table>"
        )

    def _format(self) -> list[list[str]]:
        """Return the cells of the table as text, with the header first."""
        columns = self._tabulate(0.95)
        rows = [
            [name, *(f"{column[row]:.4g}" for column in columns.values())]
            for row, name in enumerate(self.names)
        ]
        return [["", *columns], *rows]


def pool(results, *, df=None) -> PooledEstimates:
    """Pool the results of an analysis of several imputed tables.

    Estimates are averaged over the tables. Their variance is the mean variance within a table plus
    ``1 + 1 / n_tables`` times the variance of the estimates between tables.

    Parameters
    ----------
    results : iterable
        One result per table, at least two: pairs of estimates and their standard errors or
        covariance matrix, or results of statsmodels or similar objects with `params` and
        `cov_params()` or `bse`. A generator is read once.
    df : float, default=None
        Degrees of freedom of the analysis of a complete table, such as the number of rows minus the
        number of coefficients. None uses `df_resid` of the results, or infinity if they do not have
        it.

    Returns
    -------
    pooled : PooledEstimates
        Estimates, standard errors, degrees of freedom by Barnard and Rubin, intervals, p values and
        fractions of missing information.

    Raises
    ------
    ValueError
        If there are fewer than two results, or if they do not match.
    TypeError
        If a result is neither a pair nor an object with parameters.

    References
    ----------
    Rubin, D. B. (1987). Multiple imputation for nonresponse in surveys.
    https://doi.org/10.1002/9780470316696

    Barnard, J. and Rubin, D. B. (1999). Small-sample degrees of freedom with multiple imputation.
    Biometrika 86. https://doi.org/10.1093/biomet/86.4.948

    Examples
    --------
    Correlation of two columns, pooled over imputed tables:

    >>> import numpy as np
    >>> from sklearn.datasets import load_diabetes
    >>> from skae import AutoencoderImputer
    >>> from skae.impute import pool
    >>> X = load_diabetes().data[:60, 2:6].copy()
    >>> X[np.random.default_rng(0).random(X.shape) < 0.1] = np.nan
    >>> def correlate(X_drawn):
    ...     correlation = np.corrcoef(X_drawn[:, 0], X_drawn[:, 1])[0, 1]
    ...     return np.arctanh(correlation), 1 / np.sqrt(len(X_drawn) - 3)
    >>> imputer = AutoencoderImputer(random_state=0).fit(X)
    >>> pooled = pool(map(correlate, imputer.sample(X, 5, random_state=0)))
    >>> pooled.intervals().shape
    (1, 2)
    """
    read = [_read(result) for result in results]
    _check(read)
    names = next((own.names for own in read if own.names is not None), None)
    estimates = np.stack([own.estimates for own in read])
    n_tables, n_quantities = estimates.shape
    within = np.mean([own.covariance for own in read], axis=0)
    between = np.atleast_2d(np.cov(estimates, rowvar=False))
    total = within + (1 + 1 / n_tables) * between
    complete_df = _check_df(min(own.df for own in read) if df is None else df)
    return PooledEstimates(
        names or [f"x{index}" for index in range(n_quantities)],
        estimates.mean(axis=0),
        total,
        within,
        between,
        _find_df(np.diag(between), np.diag(total), n_tables, complete_df),
        n_tables,
    )


@dataclass(frozen=True)
class _Result:
    """Result of the analysis of one table."""

    estimates: np.ndarray
    covariance: np.ndarray
    df: float = np.inf
    names: list[str] | None = None


def _read(result: Any) -> _Result:
    if hasattr(result, "params"):
        return _read_fitted_model(result)
    try:
        estimates, uncertainty = result
    except (TypeError, ValueError):
        raise TypeError(
            "`results` must be pairs of estimates and standard errors or covariance, or objects "
            f"with `params` and `bse` such as results of statsmodels. Got {result!r}. Pass "
            "(estimates, standard_errors) for each table."
        ) from None
    return _make(estimates, uncertainty, np.inf, _find_names(estimates))


def _read_fitted_model(result: Any) -> _Result:
    params = result.params
    uncertainty = result.cov_params() if hasattr(result, "cov_params") else result.bse
    names = _find_names(params)
    if names is None and np.ndim(params) == 1:
        names = getattr(getattr(result, "model", None), "exog_names", None)
        names = list(map(str, names)) if names is not None and len(names) == len(params) else None
    df = getattr(result, "df_resid", None)
    return _make(params, uncertainty, np.inf if df is None else float(df), names)


def _make(estimates, uncertainty, df: float, names) -> _Result:
    estimates = np.atleast_1d(np.asarray(estimates, dtype=np.float64))
    uncertainty = np.atleast_1d(np.asarray(uncertainty, dtype=np.float64))
    n_quantities = len(estimates)
    fits = uncertainty.shape in ((n_quantities,), (n_quantities, n_quantities))
    if estimates.ndim != 1 or not fits:
        raise ValueError(
            "Estimates must be of shape (n_quantities,), and standard errors of the same shape, or "
            "their covariance of shape (n_quantities, n_quantities). Got "
            f"{estimates.shape} and {uncertainty.shape}. Flatten tables of coefficients."
        )
    if not (np.isfinite(estimates).all() and np.isfinite(uncertainty).all()):
        raise ValueError(
            "Estimates and standard errors must be finite. Got NaN or infinity. Find out why the "
            "analysis fails on some of the tables."
        )
    if uncertainty.ndim == 1:
        # Standard errors do not determine covariances.
        own = np.eye(n_quantities, dtype=bool)
        uncertainty = np.where(own, uncertainty**2, np.nan)
    if (np.diag(uncertainty) < 0).any():
        raise ValueError(
            "A covariance must have a diagonal of at least 0. Got a negative variance. Find out "
            "why the analysis fails on some of the tables."
        )
    return _Result(estimates, uncertainty, df, names)


def _find_names(estimates: Any) -> list[str] | None:
    index = getattr(estimates, "index", None)
    return None if index is None or callable(index) else list(map(str, index))


def _check(read: list[_Result]):
    if len(read) < 2:
        raise ValueError(
            f"`results` must be at least two results. Got {len(read)}. Draw more tables; 20 are "
            "usual."
        )
    kinds = {(own.estimates.shape, tuple(own.names or ())) for own in read}
    if len(kinds) > 1:
        raise ValueError(
            "`results` must estimate the same quantities in every table. Got "
            f"{' and '.join(str(names or shape) for shape, names in sorted(kinds)[:2])}. Set the "
            "categories of columns before the analysis, so that all tables have them."
        )


def _check_df(df: Any) -> float:
    if not isinstance(df, int | float | np.number) or not df > 0:
        raise ValueError(
            f"`df` must be None or a positive number. Got {df!r}. Pass the number of rows minus "
            "the number of coefficients, or leave it out."
        )
    return float(df)


def _find_df(between, total, n_tables: int, complete_df: float) -> np.ndarray:
    """Return the degrees of freedom of Barnard and Rubin, or of Rubin for large tables."""
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(total > 0, (1 + 1 / n_tables) * between / total, 0.0)
        between_tables = (n_tables - 1) / share**2
    if np.isinf(complete_df):
        return between_tables
    factor = (complete_df + 1) / (complete_df + 3)
    observed = factor * complete_df * (1 - share)
    with np.errstate(divide="ignore"):
        return 1 / (1 / between_tables + 1 / observed)


def _join(tag: str, cells: list[str]) -> str:
    return "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells)
