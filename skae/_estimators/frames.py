"""Encoding of data frames with columns of several kinds as tables of numbers, and its inverse."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from scipy import special, stats

from skae._engine import Standardization, chunk_slices, column_losses, holds_many_bytes
from skae._estimators.code_density import draw_between
from skae._estimators.column_encoding import ColumnEncoding, Levels
from skae._estimators.column_types import ColumnType, read_seconds
from skae._estimators.encoded_rows import EncodedRows
from skae._estimators.level_groups import group_levels
from skae._estimators.mixed_columns import (
    check_categories,
    find_kind,
    is_boolean,
    is_frame,
    is_numeric,
    name_columns,
    read_cells,
    read_finite_numbers,
    take_column,
)
from skae._estimators.validation import check_missing
from skae._shared.extras import import_extra
from skae._shared.names import list_names
from skae._shared.scikit_learn import validate_data
from skae._shared.warning import warn_user
from skae.architectures import Convolutional, Recurrent
from skae.corruption import HidingNoise
from skae.exceptions import ColumnsLeftOutWarning
from skae.objectives import MixedLoss, OrthogonalDecoder, SquaredError
from skae.objectives._mixed import LEAST_ENTROPY

# In frames of this length, consecutive integers that occur once each are row numbers.
_FEWEST_NUMBERED_ROWS = 20
# Single precision cannot represent smaller errors of standardised numbers.
_LEAST_VARIANCE = 1e-8
# Less frequent categories of a column are pooled as rare ones.
_MOST_CATEGORIES = 10_000


def is_mixed_frame(X) -> bool:
    """Return whether X is a data frame with a column that is not numeric.

    Frames of booleans only are not: scikit-learn treats these as numbers. Columns of lists, complex
    numbers or other unsupported values are refused.
    """
    if not is_frame(X):
        return False
    dtypes = list(X.dtypes)
    if all(map(is_numeric, dtypes)) or all(map(is_boolean, dtypes)):
        return False
    kinds = (
        find_kind(take_column(X, index), name, np.nan)
        for index, name in enumerate(name_columns(X))
        if not is_numeric(dtypes[index])
    )
    return any(kind != "number" for kind in kinds)


@dataclass(frozen=True)
class ColumnSummary:
    """Description of a column of a frame."""

    name: Any
    """Name of the column."""

    kind: str
    """"number", "category" or "time"."""

    n_missing: int
    """Number of cells that are missing."""

    reason: str | None = None
    """Reason why models are fitted without the column. None if they are fitted with it."""


def summarize_columns(X, X_test=None) -> list[ColumnSummary]:
    """Describe the columns of a frame as they are used by a model fitted to it.

    Missing values of `X_test` are counted as well. A frame of which no column is left is refused.
    """
    kept = np.ones(len(X), dtype=bool)
    drafts = [_Draft.read(X, index, name, kept) for index, name in enumerate(name_columns(X))]
    _refuse_empty(drafts)
    return [
        ColumnSummary(
            own.name,
            own.kind,
            int(own.missing.sum()) + (0 if X_test is None else _count_missing(X_test, own)),
            own.reason,
        )
        for own in drafts
    ]


def _count_missing(X, draft: "_Draft") -> int:
    """Return the number of missing values of a column in further rows."""
    return int(_read_column(take_column(X, draft.position), draft.name, draft.kind)[1].sum())


def warn_of_left_out(columns):
    """Warn about columns that are left out, given the summaries of all columns."""
    text = _name_left_out(columns)
    if text:
        warn_user(
            f"Columns are left out of the model: {text}. `inverse_transform` does not give them "
            "back. Drop them to avoid this warning.",
            ColumnsLeftOutWarning,
            once=True,
        )


@dataclass(frozen=True)
class FrameForm:
    """Columns of several kinds, in the data frame and in the network.

    The counterpart of `SampleForm` for data frames.
    """

    positions: list[int]
    """Places in X of the columns that the model has."""

    names: list
    """Names of these columns."""

    kinds: list[str]
    """"number", "category" or "time", of each."""

    types: list[ColumnType]
    """Type of each in the frame of fit."""

    encoding: ColumnEncoding
    """Encoding of the columns as numbers of about unit size."""

    masked: bool
    """Whether cells may be missing."""

    error_name: ClassVar[str] = "loss per cell"
    reference_name: ClassVar[str] = "the factor analysis of the columns (FAMD)"

    @classmethod
    def fit(cls, estimator, X, weights: np.ndarray | None) -> "FrameForm":
        """Describe the columns that a model of a frame has, by the rows of positive weight.

        Raises an error if no column is left, and warns if some are left out.
        """
        check_frame(estimator, X, reset=True)
        kept = np.ones(len(X), dtype=bool) if weights is None else weights > 0
        drafts = [_Draft.read(X, index, name, kept) for index, name in enumerate(name_columns(X))]
        used = [draft for draft in drafts if draft.reason is None]
        _refuse_empty(drafts)
        warn_of_left_out(drafts)
        columns = [draft.numbers for draft in used]
        own = None if weights is None else weights[kept]
        levels = group_levels(columns, [draft.levels for draft in used])
        return cls(
            positions=[draft.position for draft in used],
            names=[draft.name for draft in used],
            kinds=[draft.kind for draft in used],
            types=[draft.type for draft in used],
            encoding=ColumnEncoding.fit(columns, levels, weights=own),
            masked=estimator.missing == "mask" or any(np.isnan(own).any() for own in columns),
        )

    @property
    def given(self) -> tuple[int, ...]:
        """Shape of an encoded row."""
        return (len(self.encoding.groups),)

    @property
    def seen(self) -> tuple[int, ...]:
        """Shape of an encoded row."""
        return self.given

    @property
    def loss(self) -> MixedLoss:
        """Loss of the columns, each in units of its baseline."""
        starts = np.searchsorted(self.encoding.groups, np.arange(len(self.names)))
        sizes: list[int] = []
        factors: list[float] = []
        parts: list[int] = []
        for start, levels in zip(starts, self.encoding.levels, strict=True):
            own = (0,) if levels is None else levels.sizes
            factor = 1.0 if levels is None else float(self.encoding.scale[start])
            sizes += own
            factors += [factor] * len(own)
            parts.append(len(own))
        return MixedLoss(tuple(sizes), tuple(factors), tuple(parts) if max(parts) > 1 else None)

    def adapt(self, estimator, settings):
        """Return settings for a table of encoded rows, with the loss of the columns.

        They allow missing values if there are any. Parameters that do not apply to columns of
        several kinds are refused.
        """
        _check_parameters(estimator, settings)
        family = settings.family.for_columns(self.loss)
        if family.corruption is not None:
            groups = self.encoding.groups
            family = replace(family, corruption=HidingNoise(family.corruption.level, groups))
        network = replace(settings.network, masked=self.masked, output_range=None)
        check_missing(family, network)
        return replace(settings, family=family, network=network)

    def read(self, estimator, X, *, lazily: bool = False):
        """Return the encoded rows of a frame, with NaN for missing values and unknown categories.

        With `lazily`, many rows are encoded only when they are taken. A frame without the columns
        of fit, or with missing values although fit had none, is refused.
        """
        check_frame(estimator, X, reset=False)
        parts = zip(self.names, self.kinds, self.types, self.encoding.levels, strict=True)
        columns = []
        for position, (name, kind, known, levels) in zip(self.positions, parts, strict=True):
            column = take_column(X, position)
            values, missing = _read_column(column, name, kind)
            if kind == "time" and not missing.all():
                _check_times(ColumnType.of(column), known, name)
            if levels is not None:
                check_categories(values[~missing], levels.categories, name)
            if missing.any() and not self.masked:
                _refuse_missing(estimator, name)
            if levels is not None:
                # Single precision represents these exactly, in half the memory.
                values = levels.number(values, missing, np.float32)
            columns.append(values)
        dtype = np.dtype(estimator.dtype)
        if lazily and holds_many_bytes((len(X), *self.given), dtype):
            return EncodedRows(columns, self.encoding, dtype)
        return self.encoding.encode(columns)

    def find_unknown(self, X, rows: np.ndarray) -> np.ndarray:
        """Return a mask of cells, given `rows` from `read`, whose category did not occur in fit."""
        parts = zip(self.positions, self.names, self.kinds, strict=True)
        missing = [_read_column(take_column(X, own), name, kind)[1] for own, name, kind in parts]
        return np.isnan(rows[:, self._first]) & ~np.column_stack(missing)

    def add_encoded(self, values: np.ndarray) -> np.ndarray:
        """Return sums of the values of encoded columns, of shape (n_samples, n_columns)."""
        return np.add.reduceat(values, self._first, axis=1)

    def list_categories(self) -> list:
        """Return the category of each encoded column, None for numbers and the rest."""
        categories: list = []
        for levels in self.encoding.levels:
            categories += [None] if levels is None else levels.labels
        return categories

    def name_encoded(self) -> list[str]:
        """Return names of the encoded columns, such as "colour=red" for a category."""
        names = [str(self.names[group]) for group in self.encoding.groups]
        pairs = zip(names, self.list_categories(), strict=True)
        return [name if own is None else f"{name}={own}" for name, own in pairs]

    def cut(self, rows):
        """Return rows unchanged: the network uses all of their columns."""
        return rows

    def complete(self, rows, mean: np.ndarray):
        """Return rows in which unknown categories are replaced by the mean of known ones."""
        if isinstance(rows, EncodedRows):
            return rows if self.masked else rows.filled(mean)
        return rows if self.masked else np.where(np.isnan(rows), mean, rows)

    def restore(self, rows: np.ndarray):
        """Return decoded rows as a frame of the library of fit, with its names and types."""
        columns = self.encoding.decode(rows)
        parts = zip(self.types, self.names, columns, self.kinds, strict=True)
        return self._gather(
            [own.make_column(name, values, kind) for own, name, values, kind in parts]
        )

    def restore_rows(self, rows: np.ndarray) -> np.ndarray:
        """Return one or more encoded rows unchanged."""
        return rows

    def measure_unit(self, rows: np.ndarray, scale: float) -> np.ndarray:
        """Return the logarithm of the unit of the density of each encoded row."""
        is_number = self._are_numbers[self.encoding.groups]
        units = np.where(is_number, np.log(self.encoding.scale * scale), 0.0)
        return np.where(np.isnan(rows), 0.0, units).sum(axis=1)

    def draw(self, rows: np.ndarray, deviations: np.ndarray, limits, source) -> np.ndarray:
        """Draw encoded rows from the distributions given by reconstructions.

        `rows` are means of numbers and shares of categories. Numbers get noise with the given
        standard deviations within the lower and upper limits. For a column of categories, one of
        them is drawn in each row, but never a rare one that shares an indicator with others.
        """
        drawn = np.zeros_like(rows)
        for index, levels in enumerate(self.encoding.levels):
            own = np.flatnonzero(self.encoding.groups == index)
            if levels is None:
                bounds = limits[0][own], limits[1][own]
                drawn[:, own] = draw_between(
                    stats.norm, rows[:, own], deviations[own], bounds, source
                )
                continue
            points = source.random_sample((len(rows), 1))
            for some in chunk_slices((len(rows), len(levels.categories))):
                shares = levels.find_shares(rows[some][:, own]).cumsum(axis=1)
                # One of the shares is positive, or all are alike.
                reached = shares > points[some] * shares[:, -1:]
                drawn[some, own] = levels.expand(reached.argmax(axis=1).astype(np.float64))
        return drawn

    def measure_cells(self, module, rows, standardization: Standardization):
        """Return the loss of every value in units of its column's baseline, as a frame."""
        return self.gather_numbers(column_losses(module, rows, standardization, self.loss)[..., 0])

    def convert_to_nats(self, errors, usual: np.ndarray, mean: np.ndarray):
        """Return losses of cells, in units of the baselines, as negative log-likelihoods.

        For numbers, these are negative logarithms of the densities of standardised values. `usual`
        has the mean loss of each column on rows that the model has not seen: for numbers, the
        variance of the errors in units of the variance of the column. `mean` is the mean of encoded
        training rows.
        """
        losses, variances = np.asarray(errors, dtype=np.float64), usual.clip(_LEAST_VARIANCE)
        of_numbers = 0.5 * (np.log(2 * np.pi * variances) + losses / variances)
        nats = np.where(self._are_numbers, of_numbers, losses * self._find_entropies(mean))
        return self.gather_numbers(nats)

    @property
    def _first(self) -> np.ndarray:
        """First encoded column of each column."""
        return np.unique(self.encoding.groups, return_index=True)[1]

    @property
    def _are_numbers(self) -> np.ndarray:
        return np.array([own is None for own in self.encoding.levels])

    def _find_entropies(self, mean: np.ndarray) -> np.ndarray:
        """Return the entropies of the shares of categories, in nats; of no use for numbers."""
        shares = np.clip(mean * self.encoding.scale, 0, None)
        return np.bincount(self.encoding.groups, special.entr(shares)).clip(LEAST_ENTROPY)

    def gather_numbers(self, values: np.ndarray):
        """Return numbers as a frame with the library and column names of fit."""
        types = ColumnType(self.types[0].library, "float64")
        if types.library == "polars":
            types = replace(types, name="Float64")
        parts = zip(self.names, values.T, strict=True)
        columns = [types.make_column(name, own, "number") for name, own in parts]
        if types.library == "polars":
            columns = [column.fill_nan(None) for column in columns]
        return self._gather(columns)

    def measure_rows(self, module, rows, standardization: Standardization) -> np.ndarray:
        """Return the loss of each row, and that of the baselines."""
        losses = column_losses(module, rows, standardization, self.loss)
        return np.nansum(losses, axis=1)

    def measure_deviations(self, rows, decoded, losses, deviations, mean) -> np.ndarray:
        """Return the deviations of values from their reconstructions as z-scores.

        `rows` and `decoded` are encoded; `losses` (of the cells) are in units of the baselines, and
        `deviations` are their typical square roots by column. The z-score of a category is the root
        of twice its cross-entropy, with which a number has as low a likelihood relative to its
        mode. `mean` is the mean of encoded training rows.
        """
        is_number, entropies = self._are_numbers, self._find_entropies(mean)
        signs = np.where(is_number, np.sign(rows - decoded)[:, self._first], 1.0)
        factors = np.where(is_number, 1 / deviations, np.sqrt(2 * entropies))
        return signs * np.sqrt(losses.clip(0)) * factors

    def count_cells(self, rows, *, masked: bool) -> np.ndarray:
        """Return the number of observed values of each row, at least 1."""
        if isinstance(rows, EncodedRows):
            return np.maximum(1, rows.count_observed())
        return np.maximum(1, np.count_nonzero(~np.isnan(rows[:, self._first]), axis=1))

    def _gather(self, columns: list):
        library = import_extra(self.types[0].library, "table", "inverse_transform")
        if self.types[0].library == "polars":
            return library.DataFrame(columns)
        frame = library.concat(columns, axis=1)
        frame.columns = self.names
        return frame


@dataclass(frozen=True)
class _Draft:
    """A column during fit: its values and how it is used."""

    position: int
    name: Any
    kind: str
    type: ColumnType
    numbers: np.ndarray
    """Floats, or numbers of categories; NaN where a cell is missing or its category unknown."""

    missing: np.ndarray
    levels: Levels | None
    reason: str | None
    """Reason why the column is left out. None if it is used."""

    @classmethod
    def read(cls, X, position: int, name, kept: np.ndarray) -> "_Draft":
        column = take_column(X, position)
        kind = find_kind(column, name, np.nan)
        values, missing = (own[kept] for own in _read_column(column, name, kind))
        levels, reason = _judge(values, missing, kind, is_whole=is_numeric(column.dtype))
        if levels is not None:
            values = levels.number(values, missing, np.float32)
        elif reason is None:
            values = values.astype(np.float64)
        return cls(position, name, kind, ColumnType.of(column), values, missing, levels, reason)


def check_frame(estimator, X, *, reset: bool):
    """Raise an error unless X is a frame of a row or more (two for fit) with the columns of fit.

    `reset` stores the columns of X as those of fit, which must have different names.
    """
    if not is_frame(X):
        raise ValueError(
            "X must be a data frame with the columns of fit, which had several kinds. Got "
            f"{type(X).__name__}. Pass a frame of pandas or polars."
        )
    names = name_columns(X)
    if len(set(names)) < len(names):
        name = next(name for name in names if names.count(name) > 1)
        raise ValueError(
            f"X must have columns of different names. Got more than one {name!r}. Rename them, "
            "or pass the values alone, as in X.to_numpy()."
        )
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    fewest = 2 if reset else 1
    if X.shape[0] < fewest or X.shape[1] == 0:
        raise ValueError(
            f"X must have a column and a minimum of {fewest} rows. Got shape={X.shape}. Pass more."
        )


def _read_column(column, name, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Return floats or objects, and a mask of missing values."""
    if kind == "category":
        return read_cells(column, np.nan)
    if kind == "number":
        return read_finite_numbers(column, name, np.nan)
    if find_kind(column, name, np.nan) != "time":
        raise ValueError(
            f"X must hold dates or times in column {name!r}, as in fit. Got the type "
            f"{column.dtype}. Convert it, as with pandas.to_datetime."
        )
    seconds = read_seconds(column)
    return seconds, np.isnan(seconds)


def _check_times(found: ColumnType, known: ColumnType, name):
    """Raise an error for dates, durations or times of another kind than in fit."""
    if found.meaning != known.meaning:
        raise ValueError(
            f"X must hold {known.meaning} in column {name!r}, as in fit. Got {found.meaning}. "
            "Convert the column, as with tz_localize or tz_convert of pandas."
        )


def _judge(values, missing, kind: str, *, is_whole: bool) -> tuple[Levels | None, str | None]:
    """Return the categories of a column, and the reason if it is left out."""
    present = values[~missing]
    distinct = set(present.tolist())
    if not len(present):
        return None, "no values"
    if len(distinct) == 1:
        return None, "constant"
    are_all_different = len(distinct) == len(present)
    if kind != "category":
        is_count = is_whole and are_all_different and _counts(present)
        return None, "numbers of rows" if is_count else None
    if are_all_different and len(present) > 2:
        return None, "identifiers, all different"
    levels = Levels.find(values, missing, _MOST_CATEGORIES)
    return levels, "most values are rare, as in free text" if levels is None else None


def _counts(numbers: np.ndarray) -> bool:
    """Return whether distinct numbers are consecutive integers."""
    is_long = len(numbers) >= _FEWEST_NUMBERED_ROWS
    return is_long and bool(numbers.max() - numbers.min() == len(numbers) - 1)


def _name_left_out(columns) -> str:
    """Return the names of columns that are left out, with reasons."""
    left_out = [own for own in columns if own.reason is not None]
    return list_names(f"{own.name!r} ({own.reason})" for own in left_out) if left_out else ""


def _refuse_empty(columns):
    """Raise an error for a frame without usable columns."""
    if all(own.reason is not None for own in columns):
        raise ValueError(
            "X must have a column of numbers, dates, or categories that occur several times. Got "
            f"{_name_left_out(columns)}. Pass other columns."
        )


def _refuse_missing(estimator, name):
    raise ValueError(
        f"X must be complete, as it was in fit. Got missing values in column {name!r}. Set "
        f"missing='mask' to fit {type(estimator).__name__} to rows with missing values."
    )


def _check_parameters(estimator, settings):
    """Raise an error for parameters that do not apply to columns of several kinds."""
    family, network = settings.family, settings.network
    images = isinstance(network.architecture, Convolutional | Recurrent)
    noise = family.corruption
    refused = {
        estimator._loss_parameter: type(family.loss) is not SquaredError
        and "Each kind of column has its own loss",
        "nested": family.is_nested and "Numbers of codes are compared by the squared error",
        "penalty": isinstance(family.penalty, OrthogonalDecoder)
        and "Probabilities of categories have no such directions",
        "corruption": not (noise is None or type(noise) is HidingNoise)
        and "Categories are several columns to the network. 'hiding' hides them together",
        "architecture": images and "Columns have no neighbours",
        "sample_shape": network.sample_shape is not None and "Columns have no neighbours",
        "output_range": isinstance(network.output_range, tuple) and "Columns have several units",
    }
    for name, reason in refused.items():
        if reason:
            raise ValueError(
                f"`{name}` must be left at its default with a data frame of several kinds of "
                f"columns. Got {getattr(estimator, name)!r}. {reason}."
            )
