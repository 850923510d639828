"""Checks of single values."""

from collections.abc import Collection
from numbers import Integral


def check_count(name: str, value, remedy: str, *, least: int = 1, most: int | None = None) -> int:
    """Return an integer in a range, or raise an error that ends with the sentence `remedy`."""
    number = int(value) if isinstance(value, Integral) else least - 1
    if least <= number and (most is None or number <= most):
        return number
    wanted = "a positive integer" if least == 1 else f"a whole number of at least {least}"
    if most is not None:
        wanted = f"a whole number from {least} to {most}"
    raise ValueError(f"`{name}` must be {wanted}. Got {value!r}. {remedy}")


def check_choice(name: str, value, choices: Collection, remedy: str) -> None:
    """Raise an error that ends with the sentence `remedy` unless a value is one of the choices."""
    if value not in choices:
        raise ValueError(f"`{name}` must be one of {choices}. Got {value!r}. {remedy}")
