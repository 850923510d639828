"""Conversion of fitted estimators to plain values, for pickles and files."""

from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from typing import Any

from sklearn.base import BaseEstimator

from skae._engine import (
    Adversarial,
    AutoencoderNet,
    Neighbors,
    Nested,
    NetworkPlan,
    Plain,
    SparseCodes,
    Tokens,
    Variational,
)
from skae._estimators.code_density import ClassDensities, Mixture, MixturePrior
from skae._estimators.column_encoding import ColumnEncoding, LevelGrid, Levels
from skae._estimators.column_types import ColumnType
from skae._estimators.frames import FrameForm
from skae._shared.plain_state import CLASS_KEY
from skae._shared.versions import check_versions, current_versions
from skae.architectures import Convolutional, Dense, Recurrent
from skae.architectures._own import Checked
from skae.corruption import CORRUPTIONS
from skae.objectives import CODE_LOSSES, LOSSES, PENALTIES, MixedLoss

# Classes whose instances are stored as dictionaries, by name.
_CLASSES: dict[str, type] = {
    own.__name__: own
    for own in (
        Adversarial,
        AutoencoderNet,
        Checked,
        ClassDensities,
        ColumnEncoding,
        ColumnType,
        Convolutional,
        Dense,
        FrameForm,
        LevelGrid,
        Levels,
        Mixture,
        MixturePrior,
        MixedLoss,
        Neighbors,
        Nested,
        NetworkPlan,
        Plain,
        Recurrent,
        SparseCodes,
        Tokens,
        Variational,
        *CORRUPTIONS.values(),
        *CODE_LOSSES.values(),
        *LOSSES.values(),
        *PENALTIES.values(),
    )
}


def tell_time() -> str:
    """Return the current time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def flatten(value: Any) -> Any:
    """Return nested lists, tuples and dictionaries with skae's small classes as dictionaries."""
    if type(value) in (list, tuple):
        return type(value)(map(flatten, value))
    if type(value) is dict:
        return {key: flatten(item) for key, item in value.items()}
    name = type(value).__name__
    if _CLASSES.get(name) is type(value):
        return {CLASS_KEY: name, **{key: flatten(own) for key, own in _read_state(value).items()}}
    return value


def restore(flat: Any) -> Any:
    """Return the value from the result of `flatten`, or raise KeyError for an unknown class."""
    if type(flat) in (list, tuple):
        return type(flat)(map(restore, flat))
    if type(flat) is not dict:
        return flat
    state = {key: restore(item) for key, item in flat.items()}
    return _make(_CLASSES[state.pop(CLASS_KEY)], state) if CLASS_KEY in state else state


def _read_state(value: Any) -> dict[str, Any]:
    if isinstance(value, AutoencoderNet):
        return value.__getstate__()
    if isinstance(value, BaseEstimator):
        return value.get_params(deep=False)
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return vars(value)


def _make(own: type, state: dict[str, Any]) -> Any:
    if own is not AutoencoderNet:
        return own(**state)
    net = own.__new__(own)
    net.__setstate__(state)
    return net


class PlainStateMixin(BaseEstimator):
    """Pickle fitted estimators as arrays, numbers and strings, with versions."""

    def __getstate__(self):
        state = dict(super().__getstate__())
        # Identical fits have identical states.
        state.pop("_fitted_at", None)
        if "net_" in state:
            state["_versions"] = current_versions()
        return flatten(state)

    def __setstate__(self, state):
        state = restore(dict(state))
        versions = state.pop("_versions", {})
        super().__setstate__(state)
        check_versions(versions, type(self).__name__)
