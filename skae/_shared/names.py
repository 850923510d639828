"""Lists of names in messages."""

from collections.abc import Iterable


def list_names(names: Iterable, most: int = 10) -> str:
    """Return the first names as text, with the number of further names, or "none"."""
    names = [str(name) for name in names]
    listed = ", ".join(names[:most]) or "none"
    return f"{listed} and {len(names) - most} more" if len(names) > most else listed
