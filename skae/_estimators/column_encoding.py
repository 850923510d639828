"""Encoding of columns of numbers and categories as standardised columns, and its inverse."""

from collections import Counter
from dataclasses import dataclass
from itertools import repeat
from numbers import Real

import numpy as np

from skae._engine import chunk_slices

# A category is rare if it has fewer than a hundredth of the observed rows, within these limits.
# In very short tables, no category counts as rare.
_FEWEST_ROWS, _MOST_ROWS = 2, 10
_SHORT_TABLE = 20
MOST_INDICATORS = 100
_LEAST_SHARE_OF_FREQUENT = 0.5
# Values are cut off at this number of standard deviations, because squares of larger values may
# overflow in single precision.
FARTHEST = 1e6
# Name of the indicator that rare categories share.
_RARE = "rare categories"


@dataclass(frozen=True)
class Levels:
    """The categories of a column that are frequent enough to learn."""

    categories: np.ndarray
    """Frequent categories, in order."""

    pools: bool
    """Whether all others share a column of the encoding, which is never filled in."""

    @classmethod
    def find(
        cls, values: np.ndarray, missing: np.ndarray, most: int = MOST_INDICATORS
    ) -> "Levels | None":
        """Return the categories of a column, or None if most values are rare, as with identifiers.

        At least one value is not missing. At most `most` categories are kept, the most frequent
        ones; all others count as rare.
        """
        counts = Counter(values[~missing].tolist())
        n_present = counts.total()
        fewest = 1
        if n_present >= _SHORT_TABLE:
            fewest = min(max(n_present // 100, _FEWEST_ROWS), _MOST_ROWS)
        ranked = sorted(counts, key=lambda value: (-counts[value], *_order(value)))
        frequent = [value for value in ranked[:most] if counts[value] >= fewest]
        n_frequent = sum(counts[value] for value in frequent)
        if n_frequent < _LEAST_SHARE_OF_FREQUENT * n_present:
            return None
        categories = np.empty(len(frequent), dtype=values.dtype)
        categories[:] = sorted(frequent, key=_order)
        return cls(categories, pools=len(frequent) < len(counts))

    def number(self, values: np.ndarray, missing: np.ndarray, dtype=np.float64) -> np.ndarray:
        """Return the index of each value's category, NaN if missing or unknown."""
        numbers = {category: number for number, category in enumerate(self.categories.tolist())}
        found = np.full(len(values), np.nan, dtype=dtype)
        present = values[~missing].tolist()
        others = float(len(numbers)) if self.pools else np.nan
        places = map(numbers.get, present, repeat(others))
        found[~missing] = np.fromiter(places, dtype=dtype, count=len(present))
        return found

    @property
    def n_levels(self) -> int:
        """Number of categories, where all that are pooled count as one."""
        return len(self.categories) + self.pools

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of indicators of each part of the encoding."""
        return (self.n_levels,)

    @property
    def labels(self) -> list:
        """Descriptions of the columns of the encoding."""
        return [*self.categories, *[_RARE] * self.pools]

    def locate(self, numbers: np.ndarray) -> np.ndarray:
        """Return the columns of the encoding that are 1, (n_samples, n_parts)."""
        return numbers[:, None]

    def expand(self, numbers: np.ndarray) -> np.ndarray:
        """Return the columns of the encoding, all NaN for missing values."""
        rows = np.flatnonzero(~np.isnan(numbers))
        block = np.zeros((len(numbers), sum(self.sizes)))
        block[rows[:, None], self.locate(numbers[rows].astype(np.intp))] = 1.0
        block[np.isnan(numbers)] = np.nan
        return block

    def find_shares(self, block: np.ndarray) -> np.ndarray:
        """Return estimated shares of the categories that are not pooled, up to a factor."""
        return block[:, : len(self.categories)].clip(0)

    def choose(self, block: np.ndarray) -> np.ndarray:
        """Return the most likely category of each row."""
        return self.categories[block[:, : len(self.categories)].argmax(axis=1)]


@dataclass(frozen=True)
class LevelGrid(Levels):
    """Many categories in groups of equal size.

    A category is encoded by indicators of its group and of its place in the group. Its probability
    is the product of theirs. Both together take about twice as many columns as the square root of
    the number of categories.
    """

    places: np.ndarray
    """Group of each category and place in the group, of shape (n_levels, 2)."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of groups, and number of places in a group."""
        return tuple((self.places.max(axis=0) + 1).tolist())

    @property
    def labels(self) -> list:
        """Descriptions of the columns: groups by their most frequent category."""
        first = np.flatnonzero(self.places[:, 1] == 0)
        order = first[np.argsort(self.places[first, 0])]
        names = [*self.categories, _RARE]
        groups = [f"{names[index]} and the like" for index in order]
        return groups + [f"no. {place + 1} of its group" for place in range(self.sizes[1])]

    def locate(self, numbers: np.ndarray) -> np.ndarray:
        return self.places[numbers] + [0, self.sizes[0]]

    def find_shares(self, block: np.ndarray) -> np.ndarray:
        group, place = self.places[: len(self.categories)].T
        block = block.clip(0)
        return block[:, group] * block[:, self.sizes[0] + place]

    def choose(self, block: np.ndarray) -> np.ndarray:
        chosen = np.empty(len(block), dtype=np.intp)
        for rows in chunk_slices((len(block), len(self.categories))):
            chosen[rows] = self.find_shares(block[rows]).argmax(axis=1)
        return self.categories[chosen]


def _order(value) -> tuple:
    """Return a sort key for values of all types; numbers and text sort as usual."""
    return type(value).__name__, value if isinstance(value, Real | str) else repr(value)


@dataclass(frozen=True)
class ColumnEncoding:
    """Map between columns of numbers and categories and roughly standardised columns.

    Each category becomes an indicator column of 0 and 1. The indicators of a feature are divided by
    one number, so that their total variance is that of a standardised number.
    """

    levels: list[Levels | None]
    """Categories of each column, None for numbers."""

    mean: np.ndarray
    """Means of the numbers, which are subtracted first; 0 for categories."""

    scale: np.ndarray
    """Numbers by which they are then divided."""

    groups: np.ndarray
    """Column that each encoded one belongs to."""

    @classmethod
    def fit(cls, columns, levels, *, standardize: bool = True, weights=None) -> "ColumnEncoding":
        """Describe columns: floats, or numbers of categories, with NaN where a cell is missing.

        `levels` has None for each column of numbers. With `standardize`, each is divided by its own
        deviation, otherwise by that of all numbers. Rows may have weights.
        """
        moments = [
            find_moments(own[:, None], weights)
            if known is None
            else _find_shares(own, known, weights)
            for own, known in zip(columns, levels, strict=True)
        ]
        deviations = [deviation for _, deviation in moments]
        of_numbers = [own for own, known in zip(deviations, levels, strict=True) if known is None]
        for index, known in enumerate(levels):
            if known is not None:
                deviations[index][:] = np.sqrt(np.square(deviations[index]).sum())
            elif not standardize:
                deviations[index] = _root_mean_square(np.concatenate(of_numbers))
        scale = np.concatenate(deviations)
        groups = np.repeat(np.arange(len(moments)), [len(own) for own, _ in moments])
        mean = np.concatenate(
            [
                own if known is None else np.zeros_like(own)
                for (own, _), known in zip(moments, levels, strict=True)
            ]
        )
        return cls(list(levels), mean, np.where(scale > 0, scale, 1.0), groups)

    def encode(self, columns) -> np.ndarray:
        """Return the roughly standardised table, (n_samples, n_encoded)."""
        blocks = [
            own[:, None] if known is None else known.expand(own)
            for own, known in zip(columns, self.levels, strict=True)
        ]
        with np.errstate(over="ignore"):
            encoded = (np.hstack(blocks) - self.mean) / self.scale
        return np.clip(encoded, -FARTHEST, FARTHEST)

    def encode_numbers(self, column: np.ndarray, index: int) -> np.ndarray:
        """Return a column of numbers as the encoded column with this index."""
        with np.errstate(over="ignore"):
            encoded = (column - self.mean[index]) / self.scale[index]
        return np.clip(encoded, -FARTHEST, FARTHEST)

    def decode(self, encoded: np.ndarray) -> list[np.ndarray]:
        """Return columns of floats or of the most likely categories."""
        with np.errstate(over="ignore"):
            encoded = encoded * self.scale + self.mean
        columns = []
        for index, known in enumerate(self.levels):
            block = encoded[:, self.groups == index]
            columns.append(block[:, 0] if known is None else known.choose(block))
        return columns


def _find_shares(numbers: np.ndarray, levels: Levels, weights) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and standard deviation of the indicators of a column."""
    there = ~np.isnan(numbers)
    own = None if weights is None else weights[there]
    counts = np.bincount(numbers[there].astype(np.intp), own, minlength=levels.n_levels)
    shares = counts / counts.sum()
    mean = shares @ levels.expand(np.arange(levels.n_levels, dtype=np.float64))
    return mean, np.sqrt(mean * (1 - mean))


def find_moments(block: np.ndarray, weights) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and standard deviation of columns whose squares may overflow."""
    unit = _find_unit(block)
    if weights is None:
        mean, deviation = np.nanmean(block / unit, axis=0), np.nanstd(block / unit, axis=0)
        return mean * unit, deviation * unit
    # All columns of a block have missing values in the same rows.
    there = ~np.isnan(block[:, 0])
    shares = weights[there] / weights[there].sum()
    scaled = block[there] / unit
    mean = shares @ scaled
    deviation = np.sqrt(shares @ np.square(scaled - mean))
    return mean * unit, deviation * unit


def _root_mean_square(values: np.ndarray) -> np.ndarray:
    unit = _find_unit(values)
    return np.sqrt(np.square(values / unit).mean(keepdims=True)) * unit


def _find_unit(values: np.ndarray) -> float:
    """Return 1 or, for very large or very small values, a power of two of their magnitude."""
    greatest = np.nanmax(np.abs(values))
    is_usual = greatest == 0 or 1e-100 < greatest < 1e100
    return 1.0 if is_usual else float(np.ldexp(1.0, np.frexp(greatest)[1] - 1))
