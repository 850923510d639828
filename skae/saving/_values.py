"""Values that JSON lacks and categories may be, such as dates and intervals."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np

from skae._shared.extras import import_extra


def name_value(value: Any) -> str | None:
    """Return the name of the class of a value, and None if it is not one of these classes."""
    own = type(value)
    name = f"{own.__module__.partition('.')[0]}.{own.__name__}"
    return name if name in _KINDS else None


def split_value(name: str, value: Any) -> list:
    """Return the parts of a value of a named class."""
    return list(_KINDS[name][0](value))


def join_value(name: str, parts: list) -> Any:
    """Return the value of a named class with these parts."""
    return _KINDS[name][1](*parts)


def _split_time(value):
    return [value.dtype.str, int(value.view("int64"))]


def _join_time(kind, number):
    return np.array(number, "int64").view(kind)[()]


def _split_timestamp(value):
    return [*_split_time(value.asm8), None if value.tz is None else str(value.tz)]


def _join_timestamp(kind, number, zone):
    value = _get_pandas().Timestamp(_join_time(kind, number))
    if zone is None:
        return value
    if not zone.startswith("UTC"):
        ZoneInfo(zone)  # Refuses paths, which pandas would read.
    return value.tz_localize("UTC").tz_convert(zone)


def _get_pandas():
    return import_extra("pandas", "table", "skae.load")


_KINDS: dict[str, tuple[Callable, Callable]] = {
    "builtins.bytes": (lambda value: [value.hex()], bytes.fromhex),
    "builtins.frozenset": (lambda value: sorted(value, key=repr), lambda *parts: frozenset(parts)),
    "datetime.date": (lambda value: [value.isoformat()], date.fromisoformat),
    "decimal.Decimal": (lambda value: [str(value)], Decimal),
    "uuid.UUID": (lambda value: [str(value)], UUID),
    "numpy.datetime64": (_split_time, _join_time),
    "numpy.timedelta64": (_split_time, _join_time),
    "pandas.Interval": (
        lambda value: [value.left, value.right, value.closed],
        lambda *parts: _get_pandas().Interval(*parts),
    ),
    "pandas.Period": (
        lambda value: [value.ordinal, value.freqstr],
        lambda ordinal, freq: _get_pandas().Period(ordinal=ordinal, freq=freq),
    ),
    "pandas.Timedelta": (
        lambda value: _split_time(value.asm8),
        lambda *parts: _get_pandas().Timedelta(_join_time(*parts)),
    ),
    "pandas.Timestamp": (_split_timestamp, _join_timestamp),
}
