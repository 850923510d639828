"""Checks of single values."""

from numbers import Integral


def check_count(name: str, value, remedy: str) -> int:
    """Return a positive integer; refuse what is none.

    Parameters
    ----------
    name : str
        Name of the parameter.
    value : object
        As the user gave it.
    remedy : str
        Sentence that tells what to do about a wrong value.

    Returns
    -------
    count : int
        The number.

    Raises
    ------
    ValueError
        If it is not a positive integer.
    """
    if not isinstance(value, Integral) or value < 1:
        raise ValueError(f"`{name}` must be a positive integer. Got {value!r}. {remedy}")
    return int(value)
