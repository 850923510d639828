"""Encoding of data frames with columns of several kinds as tables of numbers, and its inverse."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from scipy import special, stats

from skae._engine import Standardization, chunk_slices, column_losses, holds_many_bytes
from skae._estimators.code_density import draw_between
from skae._estimators.column_encoding import ColumnEncoding
from skae._estimators.column_types import ColumnType
from skae._estimators.encoded_rows import EncodedRows
from skae._estimators.frame_columns import check_frame, draft_columns, read_column, warn_of_left_out
from skae._estimators.level_groups import group_levels
from skae._estimators.mixed_columns import check_categories, take_column
from skae._estimators.validation import check_missing
from skae._shared.extras import import_extra
from skae._shared.scikit_learn import keep_weighted_rows
from skae.architectures import Convolutional, Recurrent
from skae.corruption import HidingNoise
from skae.objectives import MixedLoss, OrthogonalDecoder, SquaredError
from skae.objectives._mixed import LEAST_ENTROPY

# Single precision cannot represent smaller errors of standardised numbers.
_LEAST_VARIANCE = 1e-8


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
    """Kind of each, "number", "category" or "time"."""

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
        drafts = draft_columns(X, kept)
        used = [draft for draft in drafts if draft.reason is None]
        warn_of_left_out(drafts)
        columns = [draft.numbers for draft in used]
        _, own = keep_weighted_rows(kept, weights, fewest=1)
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
            values, missing = read_column(column, name, kind)
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
        missing = [read_column(take_column(X, own), name, kind)[1] for own, name, kind in parts]
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

    def clip(self, rows: np.ndarray, limits) -> np.ndarray:
        """Return encoded rows with numbers clipped to lower and upper limits."""
        is_number = self._are_numbers[self.encoding.groups]
        return np.where(is_number, rows.clip(*limits), rows)

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
        """Return the entropies of the shares of categories, in nats; meaningless for numbers."""
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
        return signs * np.sqrt(losses) * factors

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


def _check_times(found: ColumnType, known: ColumnType, name):
    """Raise an error for dates, durations or times of another kind than in fit."""
    if found.meaning != known.meaning:
        raise ValueError(
            f"X must hold {known.meaning} in column {name!r}, as in fit. Got {found.meaning}. "
            "Convert the column, as with tz_localize or tz_convert of pandas."
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
