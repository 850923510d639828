"""Information about a model in the header of its file."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.pipeline import FeatureUnion, Pipeline

from skae._shared.versions import current_versions

_ATTRIBUTES = {
    "fitted": "_fitted_at",
    "rows": "_n_rows",
    "columns": "n_features_in_",
    "codes": "n_components_",
    "error": "reconstruction_error_",
    "pca_error": "pca_reconstruction_error_",
    "lsa_error": "lsa_reconstruction_error_",
}
_MOST_PARTS = 10


def describe(model, card: dict[str, Any] | None) -> dict[str, Any]:
    """Return information about a model.

    It consists of class, time of saving, versions, numbers of rows and columns, errors, the same
    for autoencoders inside the model, and the user's card, a dictionary that JSON can represent.
    """
    about: dict[str, Any] = {
        "class": type(model).__name__,
        "saved": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": current_versions(),
        **_read_attributes(model),
    }
    names = getattr(model, "feature_names_in_", None)
    if names is not None:
        about["names"] = list(map(str, names))
    if not hasattr(model, "net_"):
        parts = [{"class": type(own).__name__, **_read_attributes(own)} for own in _walk(model)]
        if parts:
            about["parts"] = parts[:_MOST_PARTS]
    if card is not None:
        about["card"] = _check_card(card)
    return about


def _read_attributes(model) -> dict[str, Any]:
    read = {name: getattr(model, key, None) for name, key in _ATTRIBUTES.items()}
    return {name: value for name, value in read.items() if value is not None}


def _walk(value: Any, seen: set[int] | None = None) -> Iterator[BaseEstimator]:
    """Yield the fitted autoencoders inside an estimator, each once."""
    seen = set() if seen is None else seen
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, list | tuple):
        inner = list(value)
    elif isinstance(value, dict):
        inner = list(value.values())
    elif isinstance(value, BaseEstimator):
        if hasattr(value, "net_"):
            yield value
            return
        # Parameters may be fitted estimators as well, but the model computes with their clones.
        learns_in_place = isinstance(value, Pipeline | FeatureUnion)
        inner = [own for name, own in vars(value).items() if learns_in_place or name.endswith("_")]
    else:
        return
    for item in inner:
        yield from _walk(item, seen)


def _check_card(card: dict[str, Any]) -> dict[str, Any]:
    try:
        if not isinstance(card, dict) or not all(isinstance(key, str) for key in card):
            raise TypeError
        return json.loads(json.dumps(card, allow_nan=False))
    except (TypeError, ValueError):
        raise TypeError(
            "`card` must be a dictionary of texts, finite numbers, and lists and dictionaries of "
            f"these. Got {card!r}. Turn other values into texts."
        ) from None
