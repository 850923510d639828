"""Saving fitted estimators to files that are safe to load."""

from skae.saving._checkpoints import checkpoints
from skae.saving._objects import list_trusted_types
from skae.saving._save import load, read_about, save

TRUSTED_TYPES: list[str]
"""Classes of skae's estimators by name, for the parameter `trusted` of skops."""

__all__ = ["TRUSTED_TYPES", "checkpoints", "load", "read_about", "save"]


def __getattr__(name):
    # Computed on first use, because it imports all estimators.
    if name == "TRUSTED_TYPES":
        return list_trusted_types()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
