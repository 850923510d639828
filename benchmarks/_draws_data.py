"""Tables of known regressions, and their missing values."""

from dataclasses import dataclass

import numpy as np

N_ROWS = 250
PATTERNS = ("MCAR", "MAR")
SHARE_MISSING = 0.3


@dataclass(frozen=True)
class Table:
    """Covariates and, in the last column, the outcome of a regression."""

    values: np.ndarray
    coefficients: np.ndarray
    categories: tuple[int, ...] = ()


def make_linear(rng):
    """Make correlated normal covariates."""
    covariance = 0.4 + 0.6 * np.eye(4)
    X = rng.multivariate_normal(np.zeros(4), covariance, size=N_ROWS)
    return regress(X, [1.0, -0.5, 0.5, 0.0], rng)


def make_bent(rng):
    """Make a covariate that is a quadratic function of another."""
    a, b = rng.normal(size=(2, N_ROWS))
    X = np.column_stack(
        [a, a**2 + 0.5 * rng.normal(size=N_ROWS), 0.5 * (a + b) + rng.normal(size=N_ROWS), b]
    )
    return regress(X, [1.0, 0.5, -0.5, 0.5], rng)


def make_skewed(rng):
    """Make lognormal and gamma-distributed covariates."""
    a, b = rng.normal(size=(2, N_ROWS))
    X = np.column_stack([np.exp(0.6 * a), rng.gamma(2.0, size=N_ROWS) + 0.5 * a, a + b, b])
    return regress(X, [1.0, -0.5, 0.5, 0.5], rng)


def make_steps(rng):
    """Make counts and a binary covariate, as integers."""
    a, b = rng.normal(size=(2, N_ROWS))
    X = np.column_stack([rng.poisson(np.exp(0.5 + 0.4 * a)), a + b > 0.5, a, b])
    return regress(X.astype(float), [0.5, 1.0, 0.5, -0.5], rng)


def make_kinds(rng):
    """Make a covariate with three categories, which shift the other covariates."""
    kind = rng.choice(3, size=N_ROWS, p=[0.5, 0.3, 0.2])
    a = 1.5 * (kind == 1) + rng.normal(size=N_ROWS)
    b = np.where(kind == 2, -a, a) + rng.normal(size=N_ROWS)
    X = np.column_stack([kind, a, b])
    design = expand(X, (0,))
    y = design @ np.array([1.0, -1.0, 0.5, 0.5]) + rng.normal(size=N_ROWS)
    return Table(np.column_stack([X, y]), np.array([1.0, -1.0, 0.5, 0.5]), (0,))


def make_waves(rng):
    """Make a covariate that is a sine of another, and one with growing variance."""
    a = rng.uniform(-2, 2, size=N_ROWS)
    wave = np.sin(2 * a) + 0.4 * rng.normal(size=N_ROWS)
    cone = a + (0.2 + 0.4 * np.abs(a)) * rng.normal(size=N_ROWS)
    return regress(np.column_stack([a, wave, cone]), [0.5, 1.0, -0.5], rng)


def make_shares(rng):
    """Make covariates within 0 and 1, with many zeros."""
    a, b = rng.normal(size=(2, N_ROWS))
    X = np.column_stack([np.clip(0.3 + 0.4 * a, 0, 1), 1 / (1 + np.exp(-a - b)), b])
    return regress(X, [2.0, -2.0, 0.5], rng)


def make_crowd(rng):
    """Make ten covariates that depend on three latent variables."""
    X = rng.normal(size=(N_ROWS, 3)) @ rng.normal(size=(3, 10)) + rng.normal(size=(N_ROWS, 10))
    return regress(X, np.tile([0.5, -0.5, 0.0, 0.3, 0.2], 2), rng)


# The first tables were used to choose methods, the others to judge them.
TABLES = {
    "linear": make_linear,
    "bent": make_bent,
    "skewed": make_skewed,
    "steps": make_steps,
    "kinds": make_kinds,
    "waves": make_waves,
    "shares": make_shares,
    "crowd": make_crowd,
}
SEEN = ("linear", "bent", "skewed", "kinds")


def regress(X, coefficients, rng):
    """Return covariates and a linear outcome with noise of unit variance."""
    coefficients = np.asarray(coefficients)
    y = X @ coefficients + rng.normal(size=len(X))
    return Table(np.column_stack([X, y]), coefficients)


def expand(X, categories):
    """Return covariates with an indicator column for each category except the first."""
    columns = []
    for index, column in enumerate(X.T):
        if index in categories:
            columns += [column == value for value in (1, 2)]
        else:
            columns.append(column)
    return np.column_stack(columns).astype(float)


def hide(values, pattern, rng):
    """Return the table with values missing at random, or depending on the last covariate.

    With "MAR" the last covariate has no missing value; the greater it is, the more others have.
    """
    chances = np.full(values.shape, SHARE_MISSING)
    if pattern == "MAR":
        guide = values[:, -2]
        rank = guide.argsort().argsort() / (len(guide) - 1)
        chances *= 0.4 + 1.2 * rank[:, None]
        chances[:, -2] = 0
    return np.where(rng.random(values.shape) < chances, np.nan, values)


def estimate(values, categories):
    """Return least-squares coefficients, without the intercept, and their covariance and df."""
    X = expand(values[:, :-1], categories)
    X = np.column_stack([np.ones(len(X)), X])
    inverse = np.linalg.pinv(X.T @ X)
    coefficients = inverse @ X.T @ values[:, -1]
    df = len(X) - X.shape[1]
    variance = np.square(values[:, -1] - X @ coefficients).sum() / df
    return coefficients[1:], (variance * inverse)[1:, 1:], df
