"""Lists of names in messages, and names of classes."""

from collections.abc import Iterable
from typing import Any


def list_names(names: Iterable, most: int = 10) -> str:
    """Return the first names as text, with the number of further names, or "none"."""
    names = [str(name) for name in names]
    listed = ", ".join(names[:most]) or "none"
    return f"{listed} and {len(names) - most} more" if len(names) > most else listed


def get_class_path(kind: Any) -> str:
    """Return the name of a class or function with its module."""
    return f"{kind.__module__}.{kind.__qualname__}"
