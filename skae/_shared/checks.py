"""Checks of single values."""

from numbers import Integral


def check_count(name: str, value, remedy: str) -> int:
    """Return a positive integer, or raise an error.

    Parameters
    ----------
    name : str
        Name of the parameter.
    value : object
        Value given by the user.
    remedy : str
        Sentence with a remedy for a wrong value.

    Returns
    -------
    count : int
        The number.

    Raises
    ------
    ValueError
        If the value is not a positive integer.
    """
    if not isinstance(value, Integral) or value < 1:
        raise ValueError(f"`{name}` must be a positive integer. Got {value!r}. {remedy}")
    return int(value)
