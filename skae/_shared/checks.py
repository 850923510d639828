"""Checks of single values."""

from numbers import Integral


def check_count(name: str, value, remedy: str) -> int:
    """Return a positive integer, or raise an error that ends with the sentence `remedy`."""
    if not isinstance(value, Integral) or value < 1:
        raise ValueError(f"`{name}` must be a positive integer. Got {value!r}. {remedy}")
    return int(value)
