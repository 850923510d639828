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
    attributes set by earlier fits, unless the fit continues them with ``warm_start=True``.

    The method may set attributes of `self`, but must not modify the objects that they refer to.
    This decorator goes outside `fit_context`.
    """

    @functools.wraps(fit)
    def fit_draft(self, *args, **kwargs):
        draft = copy_attributes(self)
        earlier = _list_learned(self)
        if fit.__name__ == "fit" and not getattr(self, "warm_start", False):
            for name in earlier:
                vars(draft).pop(name, None)
            earlier = []
        before = dict(vars(draft))
        fit(draft, *args, **kwargs)
        changed = [name for name in vars(draft) if vars(draft)[name] is not before.get(name, ...)]
        draft._learned = sorted({*earlier, *changed} - {"_learned"})
        self.__dict__ = vars(draft)
        return self

    return cast(_Method, fit_draft)


def _list_learned(estimator) -> list[str]:
    """Return the names of the attributes set by fits, without those that a user attached."""
    own = vars(estimator)
    if "_learned" in own:
        return own["_learned"]
    # Estimators of 0.2.0 have no such list.
    return [name for name in own if name.endswith("_") and not name.startswith("_")]


def sees_one_fit(method: _Method) -> _Method:
    """Call a method that sets no attributes on a shallow copy, so that it sees a single fit.

    Without the copy, another thread that fits meanwhile could change some of the attributes.
    """

    @functools.wraps(method)
    def call_on_copy(self, *args, **kwargs):
        return method(copy_attributes(self), *args, **kwargs)

    return cast(_Method, call_on_copy)


def copy_attributes(estimator):
    """Return a shallow copy without calling `__getstate__`, which may omit attributes."""
    copy = object.__new__(type(estimator))
    # A single call, which no other thread can interrupt.
    vars(copy).update(vars(estimator))
    return copy
