"""Atomic fits, and methods that read the attributes of a single fit."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

_Method = TypeVar("_Method", bound=Callable[..., Any])


def atomic_fit(fit: _Method) -> _Method:
    """Make a fit atomic: the estimator changes in one step, at the end of the fit.

    The fit works on a draft, a shallow copy of the estimator, whose attributes then replace its
    own. If the fit fails or is interrupted, the estimator is unchanged, and other threads see the
    attributes of either the old or the new fit, never a mixture. The draft of `fit` has none of the
    learned attributes, unless the fit continues an earlier one with ``warm_start=True``.

    Parameters
    ----------
    fit : function
        A method such as `fit` or `partial_fit`. It sets attributes of `self`, and does not modify
        the objects that they refer to. This decorator goes outside `fit_context`.

    Returns
    -------
    atomic : function
        The method, which returns the estimator.
    """

    @functools.wraps(fit)
    def fit_draft(self, *args, **kwargs):
        draft = copy_attributes(self)
        if fit.__name__ == "fit" and not getattr(self, "warm_start", False):
            _forget(draft)
        fit(draft, *args, **kwargs)
        self.__dict__ = vars(draft)
        return self

    return cast(_Method, fit_draft)


def _forget(draft):
    """Remove learned attributes, some of which the next fit may not set."""
    for name in [name for name in vars(draft) if name.endswith("_") and not name.startswith("_")]:
        delattr(draft, name)


def sees_one_fit(method: _Method) -> _Method:
    """Let a method read the attributes of a single fit, even if another thread fits meanwhile.

    Parameters
    ----------
    method : function
        A method that reads several learned attributes and sets none.

    Returns
    -------
    consistent : function
        The method, called on a shallow copy of the estimator.
    """

    @functools.wraps(method)
    def call_on_copy(self, *args, **kwargs):
        return method(copy_attributes(self), *args, **kwargs)

    return cast(_Method, call_on_copy)


def copy_attributes(estimator):
    """Return a shallow copy without calling `__getstate__`, which may omit attributes.

    Parameters
    ----------
    estimator : object
        Estimator with attributes in its `__dict__`.

    Returns
    -------
    copy : object
        Copy with its own `__dict__` of the same attributes.
    """
    copy = object.__new__(type(estimator))
    # A single call, which no other thread can interrupt.
    vars(copy).update(vars(estimator))
    return copy
