"""Column types of data frames as plain values, and columns of these types."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from skae._estimators.filled_columns import write_floats
from skae._shared.extras import import_extra

_CALLER = "inverse_transform"
_SECONDS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_SECONDS_OF_A_DAY = 86_400
# Attributes of those types of polars that have parameters.
_OPTIONS_OF_POLARS = {
    "Datetime": ("time_unit", "time_zone"),
    "Decimal": ("precision", "scale"),
    "Duration": ("time_unit",),
    "Enum": ("categories",),
}

# Dates of polars are days in 32 bits, and times of day end with the day.
_LIMITS_OF_POLARS = {"Date": (-(2.0**31), 2.0**31 - 1), "Time": (0.0, 86_400e9 - 1)}


@dataclass(frozen=True)
class ColumnType:
    """Type of a column of pandas or polars."""

    library: str
    """The library, "pandas" or "polars"."""

    name: str
    """Name of the type in this library."""

    options: dict[str, Any] = field(default_factory=dict)
    """Everything else that makes the type."""

    @classmethod
    def of(cls, column) -> "ColumnType":
        dtype = column.dtype
        if not hasattr(column, "iloc"):
            name = str(dtype).partition("(")[0]
            options = {key: getattr(dtype, key) for key in _OPTIONS_OF_POLARS.get(name, ())}
            return cls("polars", name, {key: _to_plain(own) for key, own in options.items()})
        if hasattr(dtype, "categories"):
            options = {"categories": dtype.categories.tolist(), "ordered": bool(dtype.ordered)}
            return cls("pandas", "category", options)
        return cls("pandas", str(getattr(dtype, "subtype", _without_arrow(dtype))))

    @property
    def meaning(self) -> str:
        """Kind of date, duration or time of this type."""
        name = self.name.lower()
        if "duration" in name or "timedelta" in name:
            return "durations"
        if name == "time" or name.startswith(("time32", "time64")):
            return "times of the day"
        has_zone = self.options.get("time_zone") or "," in name
        return "dates with a time zone" if has_zone else "dates without a time zone"

    def make_column(self, name, values: np.ndarray, kind: str):
        """Return a column of this type from floats, seconds or categories, by its kind.

        Integers are rounded and clipped to the range of the type. `kind` is "number", "time" (in
        seconds) or "category".
        """
        library = import_extra(self.library, "table", _CALLER)
        make = _make_for_pandas if self.library == "pandas" else _make_for_polars
        return make(library, self, name, values, kind)


def read_seconds(column) -> np.ndarray:
    """Return dates in seconds since 1970, and durations in seconds; NaN where missing."""
    if not hasattr(column, "iloc"):
        unit = _find_unit_of_polars(column.dtype)
        return column.to_physical().cast(float).to_numpy() / unit
    column = column.astype(_without_arrow(column.dtype))
    if getattr(column.dtype, "tz", None) is not None:
        column = column.dt.tz_convert(None)
    values = column.to_numpy()
    unit = _SECONDS[np.datetime_data(values.dtype)[0]]
    return np.where(np.isnat(values), np.nan, values.view(np.int64) / unit)


def _without_arrow(dtype):
    """Return the equivalent of a type of PyArrow in pandas where no name makes this type again."""
    if not hasattr(dtype, "pyarrow_dtype") or dtype.kind not in "mMO":
        return dtype
    return np.dtype(object) if dtype.kind == "O" else dtype.pyarrow_dtype.to_pandas_dtype()


def _to_plain(option):
    return option.to_list() if hasattr(option, "to_list") else option


def _make_for_pandas(pandas, own: ColumnType, name, values, kind: str):
    if own.name == "category":
        return pandas.Series(pandas.Categorical(values, **own.options), name=name)
    dtype = pandas.api.types.pandas_dtype(own.name)
    if kind == "category":
        return pandas.Series(values, dtype=object, name=name).astype(dtype)
    if kind == "time":
        unit = _SECONDS[getattr(dtype, "unit", None) or np.datetime_data(dtype)[0]]
        return pandas.Series(_round(values * unit, np.int64), name=name).astype(dtype)
    if dtype.kind not in "iuf":
        return pandas.Series(values, name=name)
    of_numpy = getattr(dtype, "numpy_dtype", dtype)
    numbers = write_floats(values, of_numpy) if dtype.kind == "f" else _round(values, of_numpy)
    return pandas.Series(numbers, dtype=dtype, name=name)


def _make_for_polars(polars, own: ColumnType, name, values, kind: str):
    dtype = getattr(polars, own.name)
    dtype = dtype(**own.options) if own.options else dtype()
    if kind == "category":
        return polars.Series(name, values.tolist(), dtype=dtype)
    if kind == "time":
        least, most = _LIMITS_OF_POLARS.get(own.name, (-np.inf, np.inf))
        numbers = _round((values * _find_unit_of_polars(dtype)).clip(least, most), np.int64)
        return polars.Series(name, numbers).cast(dtype)
    if dtype.is_integer():
        # NumPy has no integers of 128 bits.
        of_numpy = np.dtype(own.name.lower().replace("128", "64"))
        return polars.Series(name, _round(values, of_numpy), dtype=dtype)
    return polars.Series(name, values).cast(dtype if dtype.is_numeric() else polars.Float64)


def _find_unit_of_polars(dtype) -> float:
    """Return the number of units per second of a type of dates, durations or times."""
    if str(dtype) == "Date":
        return 1 / _SECONDS_OF_A_DAY
    return _SECONDS[getattr(dtype, "time_unit", "ns")]


def _round(values: np.ndarray, dtype) -> np.ndarray:
    """Return integers of a type, clipped to its range."""
    limits = np.iinfo(dtype)
    rounded = np.rint(values)
    whole = np.zeros(values.shape, dtype)
    inside = (rounded > limits.min) & (rounded < limits.max)
    whole[inside] = rounded[inside]
    whole[rounded <= limits.min], whole[rounded >= limits.max] = limits.min, limits.max
    return whole
