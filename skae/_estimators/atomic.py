"""Fits that change their estimator in one step or not at all, and methods that see one fit."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

_Method = TypeVar("_Method", bound=Callable[..., Any])


def atomic_fit(fit: _Method) -> _Method:
    """Let a fit change its estimator in one step, at its end.

    The fit works on a draft, a shallow copy of the estimator, whose attributes then take the place
    of the estimator's own. Where the fit fails or is interrupted the estimator is as it was before,
    and other threads see the attributes of one fit or of the other, never of both.

    Parameters
    ----------
    fit : function
        A method such as `fit` or `partial_fit`. It sets attributes of `self`, and changes in place
        no object that these refer to. This decorator goes outside of `fit_context`.

    Returns
    -------
    atomic : function
        The method, which returns the estimator.
    """

    @functools.wraps(fit)
    def fit_draft(self, *args, **kwargs):
        draft = copy_attributes(self)
        fit(draft, *args, **kwargs)
        self.__dict__ = vars(draft)
        return self

    return cast(_Method, fit_draft)


def sees_one_fit(method: _Method) -> _Method:
    """Let a method see the attributes of a single fit, even if another thread fits meanwhile.

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
    """Return a shallow copy that goes past `__getstate__`, which may leave something out.

    Parameters
    ----------
    estimator : object
        With attributes in its `__dict__`.

    Returns
    -------
    copy : object
        Copy with the same attributes in a `__dict__` of its own.
    """
    copy = object.__new__(type(estimator))
    # One call, which no other thread can come between.
    vars(copy).update(vars(estimator))
    return copy
