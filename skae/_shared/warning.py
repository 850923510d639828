"""Warnings that point to the user's code."""

import sys
import warnings

# Packages between the user's line and the origin of the warning.
_BETWEEN = {"joblib", "skae", "skorch", "sklearn", "torch"}
# Warnings that were shown once, with the user's line.
_SHOWN: set[tuple] = set()


def warn_user(message: str, category: type[Warning], *, once: bool = False):
    """Warn at the innermost line outside skae and the packages that call it.

    With `once`, the filter "default" shows the warning once for each line. Python means to, but
    forgets what was shown whenever some library ignores warnings for a while, as scikit-learn does
    between the folds of a cross-validation.
    """
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and _is_between(frame):
        frame, level = frame.f_back, level + 1
    key = (message, category, frame.f_code.co_filename, frame.f_lineno)
    counts = once and _find_action(message, category, frame) == "default"
    if counts and key in _SHOWN:
        return
    warnings.warn(message, category, stacklevel=level)
    if counts:
        _SHOWN.add(key)


def _find_action(message: str, category: type[Warning], frame) -> str:
    """Return the action of the first filter that matches a warning at a line."""
    name = frame.f_globals.get("__name__") or "<unknown>"
    for action, text, kind, module, line in warnings.filters:
        if (
            (text is None or text.match(message))
            and issubclass(category, kind)
            and (module is None or module.match(name))
            and line in (0, frame.f_lineno)
        ):
            return action
    return "default"


def _is_between(frame) -> bool:
    return frame.f_globals.get("__name__", "").partition(".")[0] in _BETWEEN
