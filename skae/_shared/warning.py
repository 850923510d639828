"""Warnings that point to the user's code."""

import sys
import warnings

# Packages between the user's line and the origin of the warning.
_BETWEEN = {"joblib", "skae", "skorch", "sklearn", "torch"}


def warn_user(message: str, category: type[Warning]):
    """Warn at the innermost line outside skae and the packages that call it.

    Parameters
    ----------
    message : str
        Text of the warning.
    category : type of Warning
        Class of the warning.
    """
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and _is_between(frame):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def _is_between(frame) -> bool:
    return frame.f_globals.get("__name__", "").partition(".")[0] in _BETWEEN
