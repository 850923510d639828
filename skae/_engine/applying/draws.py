"""Random draws of missing values, given the observed values."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.special import ndtr

from skae._engine.applying.row_distribution import IncompleteRows

# Number of turns for numbers, and for categories; each turn depends on the draws before it.
_N_TURNS = 4
# Number of turns for wider tables, whose columns are better predicted and whose turns are slower.
_WIDE, _N_WIDE_TURNS = 40, 2
# Number of rows with hidden values, from which residuals are taken.
_LEAST_DONORS, _MOST_DONORS, _DONORS_PER_ROW = 1000, 20_000, 3
_MOST_DONOR_PRODUCTS = 2e8
_NEAREST, _FEWEST = 20, 5


@dataclass(frozen=True)
class Feature:
    """A feature of the table, in encoded columns."""

    columns: np.ndarray
    """Indices of its columns: one for a number, one for each category."""

    n_categories: int = 0
    """Number of categories that may be drawn, the first of its columns; 0 for a number."""

    is_matched: bool = False
    """Whether only values of similar rows are drawn."""

    zero: np.ndarray | None = None
    """Encoded zeros of the columns of a category."""

    one: np.ndarray | None = None
    """Encoded ones of the columns of a category."""


@dataclass(frozen=True)
class Evidence:
    """Training rows and network on which draws are based."""

    rows: np.ndarray
    """Encoded rows of the training table, all or some of them, of shape (n_kept, n_encoded)."""

    n_rows: int
    """Number of rows of the training table."""

    correct: Callable[[np.ndarray], np.ndarray]
    """Maps encoded rows with missing cells to what the network adds to their linear fills."""

    spread: float
    """Factor of residuals, above 1 where the network fits its training rows better than others."""


@dataclass(frozen=True)
class _Turn:
    """Features drawn together, and rows with hidden values that determine the draws."""

    features: list[Feature]
    is_hidden: np.ndarray
    """Cells of the donors that are hidden, while their values are known; (n_donors, n_encoded)."""

    expected: np.ndarray
    """Expectations of their cells."""

    deviation: np.ndarray
    """Deviations of their missing and hidden cells."""

    gap_deviation: np.ndarray
    """Deviations of the missing cells of the rows that are filled; (n_gappy, n_encoded)."""


def draw_tables(
    Z: np.ndarray, features: list[Feature], evidence: Evidence, n_draws: int, seed: int
) -> Iterator[np.ndarray]:
    """Yield tables in which missing values of encoded rows Z are replaced by random draws.

    For each table, a normal distribution is fitted to a bootstrap sample of the training rows,
    which represents parameter uncertainty. With the network's correction, it gives the expected
    value of a missing value. To this the draw adds a residual of a value that was hidden in a
    training row with a similar expectation. The residual is selected by a draw from the normal
    distribution, so that the values of a row vary together as they do in the table. Categories are
    drawn with the shares that they have among hidden values with similar expectations.
    """
    generator = np.random.default_rng(seed)
    gappy = np.isnan(Z).any(axis=1)
    gaps = Z[gappy]
    if not gappy.any():
        yield from (Z.copy() for _ in range(n_draws))
        return
    rows = IncompleteRows(evidence.rows)
    normal = rows.fit()
    origin, donors, hidden = _choose_donors(gaps, features, evidence.rows, generator)
    turns = _plan_turns(gaps, features, donors, hidden, normal, evidence)
    for _ in range(n_draws):
        own = rows.draw(normal, evidence.n_rows, generator)
        chosen = _bootstrap_donors(origin, len(evidence.rows), generator)
        current = gaps.copy()
        for turn in turns:
            _take_turn(turn, current, donors, chosen, (normal, own), evidence, generator)
        drawn = Z.copy()
        drawn[gappy] = current
        yield drawn


def _choose_donors(gaps, features, rows, generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the indices and values of training rows, and the mask of their hidden values.

    A training row loses the values that are missing in a row to be filled. Rows are chosen for each
    feature in turn, so that every feature has enough hidden values.
    """
    first = [feature.columns[0] for feature in features]
    lacks, has = np.isnan(gaps[:, first]), ~np.isnan(rows[:, first])
    wanted = np.flatnonzero(lacks.any(axis=0) & has.any(axis=0))
    n_donors = np.clip(_DONORS_PER_ROW * len(rows), _LEAST_DONORS, _MOST_DONORS)
    n_donors = min(n_donors, max(1000, int(_MOST_DONOR_PRODUCTS / rows.shape[1] ** 2)))
    n_each = -(-n_donors // max(1, len(wanted)))
    origin, patterns = [np.empty(0, dtype=int)], [np.empty(0, dtype=int)]
    for index in wanted:
        origin.append(generator.choice(np.flatnonzero(has[:, index]), n_each))
        patterns.append(generator.choice(np.flatnonzero(lacks[:, index]), n_each))
    chosen = np.concatenate(origin)
    donors = rows[chosen]
    hidden = np.isnan(gaps[np.concatenate(patterns)]) & ~np.isnan(donors)
    return chosen, donors, hidden


def _bootstrap_donors(origin, n_rows: int, generator) -> np.ndarray:
    """Return the donors selected by a bootstrap of their rows."""
    counts = generator.multinomial(n_rows, np.full(n_rows, 1 / n_rows))
    return np.repeat(np.arange(len(origin)), counts[origin])


def _plan_turns(gaps, features, donors, hidden, normal, evidence) -> list[_Turn]:
    turns, missing, concealed = [], np.isnan(gaps), hidden.copy()
    for own in _order_features(missing, features):
        rows = np.where(concealed, np.nan, donors)
        deviation, gap_deviation = (
            normal.find_deviations(unknown) for unknown in (np.isnan(rows), missing)
        )
        expected = normal.expect(rows) + evidence.correct(rows)
        turns.append(_Turn(own, concealed.copy(), expected, deviation, gap_deviation))
        known = np.concatenate([feature.columns for feature in own])
        concealed[:, known] = False
        missing = missing.copy()
        missing[:, known] = False
    return turns


def _order_features(missing, features) -> list[list[Feature]]:
    """Return groups of features drawn together: categories first, then by number of gaps."""
    lacking = [feature for feature in features if missing[:, feature.columns[0]].any()]
    lacking.sort(key=lambda feature: missing[:, feature.columns[0]].sum())
    categories = [feature for feature in lacking if feature.n_categories]
    numbers = [feature for feature in lacking if not feature.n_categories]
    n_turns = _N_TURNS if missing.shape[1] < _WIDE else _N_WIDE_TURNS
    return _split(categories, n_turns) + _split(numbers, n_turns)


def _split(features: list[Feature], n_parts: int) -> list[list[Feature]]:
    bounds = np.linspace(0, len(features), min(n_parts, len(features)) + 1).astype(int)
    return [features[first:last] for first, last in pairwise(bounds)]


def _take_turn(turn, current, donors, chosen, distributions, evidence, generator):
    """Draw the missing values of the features of a turn, in place.

    Rows and donors are matched by their expectations under the distribution of all rows.
    Those under a bootstrap may lie outside the donors' range if columns are weakly related.
    """
    missing = np.isnan(current)
    correction = evidence.correct(current)
    similar, expected = (own.expect(current) + correction for own in distributions)
    residuals = distributions[1].draw_residuals(missing, generator)
    for feature in turn.features:
        column = feature.columns[0]
        rows = np.flatnonzero(missing[:, column])
        if feature.n_categories:
            # No distribution gives the uncertainty of shares.
            own = chosen[turn.is_hidden[chosen, column]]
            given = donors[own], turn.expected[own]
            _draw_category(feature, current, rows, similar, *given, generator)
            continue
        own = np.flatnonzero(turn.is_hidden[:, column])
        values, at_donors = donors[own, column], turn.expected[own, column]
        donor_cells = _Residuals(at_donors, values, turn.deviation[own, column], evidence.spread)
        current[rows, column] = donor_cells.draw(
            similar[rows, column],
            expected[rows, column],
            turn.gap_deviation[rows, column],
            residuals[rows, column],
            is_matched=feature.is_matched,
        )


@dataclass(frozen=True)
class _Residuals:
    """Hidden values of one column with their expectations and standard deviations."""

    expected: np.ndarray
    values: np.ndarray
    deviation: np.ndarray
    spread: float

    def draw(self, similar, expected, deviation, residuals, *, is_matched: bool) -> np.ndarray:
        """Return draws around expectations, with residuals in the order of normal residuals.

        The residuals are those of the donors whose expectations are nearest to `similar`.
        """
        if len(self.values) < _FEWEST:
            return expected + residuals * self.spread
        order = np.argsort(self.expected, kind="stable")
        standardised = ((self.values - self.expected) / self.deviation)[order]
        near = _find_nearest(self.expected[order], similar)
        n_near = near.shape[1]
        rank = np.minimum((ndtr(residuals / deviation) * n_near).astype(int), n_near - 1)
        candidates = np.sort(standardised[near], axis=1)
        chosen = np.take_along_axis(candidates, rank[:, None], axis=1)[:, 0]
        drawn = expected + chosen * deviation * self.spread
        if not is_matched:
            return drawn
        values = self.values[order][near]
        closest = np.abs(values - drawn[:, None]).argmin(axis=1)
        return np.take_along_axis(values, closest[:, None], axis=1)[:, 0]


def _find_nearest(sorted_values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return the positions of the values nearest to each wanted one, (n_wanted, n_near)."""
    n_near = min(_NEAREST, len(sorted_values))
    first = np.searchsorted(sorted_values, wanted) - n_near // 2
    return first.clip(0, len(sorted_values) - n_near)[:, None] + np.arange(n_near)


def _draw_category(feature, current, rows, expected, truth, at_donors, generator):
    """Draw categories by their shares among donors with similar expectations, in place."""
    drawable = feature.columns[: feature.n_categories]
    middle = (feature.zero + feature.one)[: feature.n_categories] / 2
    shares = np.empty((len(rows), len(drawable)))
    for place, column in enumerate(drawable):
        wanted = expected[rows, column]
        zero, one = feature.zero[place], feature.one[place]
        if len(truth) < _FEWEST:
            shares[:, place] = ((wanted - zero) / (one - zero)).clip(0, 1)
            continue
        order = np.argsort(at_donors[:, column], kind="stable")
        is_so = (truth[:, column] > middle[place])[order]
        shares[:, place] = is_so[_find_nearest(at_donors[order, column], wanted)].mean(axis=1)
    shares += 1e-9
    bounds = np.cumsum(shares, axis=1)
    drawn = (generator.random(len(rows))[:, None] * bounds[:, -1:] >= bounds[:, :-1]).sum(axis=1)
    current[np.ix_(rows, feature.columns)] = feature.zero
    current[rows, drawable[drawn]] = feature.one[drawn]
