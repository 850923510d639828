"""Parameter checks beyond scikit-learn's constraints."""

from dataclasses import fields
from numbers import Integral, Real
from typing import Any

import numpy as np
from skorch.callbacks import LRScheduler

from skae._engine import find_ends, multiplies_in_bfloat16, resolve_device
from skae._shared.warning import warn_user
from skae.exceptions import MixedPrecisionWarning, NotBetterThanPCAWarning, OvercompleteWarning

# Options of skorch that the estimator does not set itself.
_NET_PARAMS = ("callbacks", "compile", "optimizer")
_OWN_NAMES = {
    "batch_size": "batch_size",
    "criterion": "loss",
    "device": "device",
    "lr": "learning_rate_init",
    "max_epochs": "max_iter",
    "verbose": "verbose",
    "warm_start": "warm_start",
}


def take_parameters(estimator, settings: type) -> dict[str, Any]:
    """Return the parameters of an estimator that are fields of a class of settings."""
    given = estimator.get_params(deep=False)
    return {own.name: given[own.name] for own in fields(settings) if own.name in given}


def read_n_components(n_components) -> int | float | str | None:
    """Return a number of codes, a share of variance, "auto" or None as a Python object."""
    if n_components is None or isinstance(n_components, str):
        return n_components
    return int(n_components) if isinstance(n_components, Integral) else float(n_components)


def read_layer_sizes(hidden_layer_sizes) -> tuple[int, ...] | str:
    """Return the sizes of the hidden layers as positive integers, or "auto"."""
    if isinstance(hidden_layer_sizes, str):
        return hidden_layer_sizes
    single = isinstance(hidden_layer_sizes, Integral)
    sizes = (hidden_layer_sizes,) if single else tuple(hidden_layer_sizes)
    if not all(isinstance(size, Integral) and int(size) > 0 for size in sizes):
        raise ValueError(
            "`hidden_layer_sizes` must be positive integers, one for each hidden layer of the "
            f"encoder. Got {hidden_layer_sizes!r}. Pass () for a network without hidden layers."
        )
    return tuple(int(size) for size in sizes)


def check_output_range(output_range):
    """Raise an error unless `output_range` is a lower and a larger upper bound."""
    if output_range is None or isinstance(output_range, str):
        return
    real = len(output_range) == 2 and all(isinstance(bound, Real) for bound in output_range)
    if not real or not output_range[0] < output_range[1]:
        raise ValueError(
            "`output_range` must be 'auto', None, or a lower and a greater upper bound of the "
            f"features, such as (0, 1). Got {output_range!r}. Use infinity where there is no bound."
        )


def check_net_params(net_params: dict | None):
    """Raise an error for options of skorch that do not exist or are set by the estimator."""
    for name, value in (net_params or {}).items():
        if not isinstance(name, str) or name.partition("__")[0] not in _NET_PARAMS:
            own = _OWN_NAMES.get(name)
            remedy = f"Set the estimator's own `{own}` instead." if own else "Leave it out."
            raise ValueError(
                "`net_params` must hold only skorch's 'callbacks', 'compile', 'optimizer', and "
                f"names that begin with these and two underscores. Got {name!r}. {remedy}"
            )
        if name == "callbacks" and not isinstance(value, list | tuple | None):
            raise ValueError(
                "`net_params['callbacks']` must be a list of skorch callbacks. "
                f"Got {value!r}. Leave it out if there are none."
            )


def read_precision(mixed_precision: bool, dtype: str, device: str) -> bool:
    """Return whether to multiply in half precision: if it is requested and available.

    Raises an error if it is requested for a network in double precision, and warns if it is not
    available.
    """
    if not mixed_precision:
        return False
    if dtype != "float32":
        raise ValueError(
            f"`mixed_precision` must be False with dtype={dtype!r}. Got True. Use dtype='float32' "
            "for speed, or mixed_precision=False for precision."
        )
    if multiplies_in_bfloat16(resolve_device(device, dtype)):
        return True
    warn_user(
        f"`mixed_precision` is True, but torch cannot train in bfloat16 on device={device!r} of "
        "this machine. Products are computed in single precision. Use mixed_precision=False to "
        "avoid this warning.",
        MixedPrecisionWarning,
    )
    return False


def check_single_schedule(learning_rate: str, net_params: dict | None):
    """Raise an error if skorch and the estimator both have a learning rate schedule."""
    for callback in (net_params or {}).get("callbacks") or []:
        callback = callback[1] if isinstance(callback, tuple) else callback
        kind = callback if isinstance(callback, type) else type(callback)
        if issubclass(kind, LRScheduler) and learning_rate != "constant":
            raise ValueError(
                "`learning_rate` must be 'constant' where `net_params['callbacks']` holds an "
                f"LRScheduler. Got {learning_rate!r}. Leave out one of the two schedules."
            )


def check_range(X, names, loss, output_range, *, named_loss):
    """Raise an error for a value outside the output range or the domain of the loss.

    The message names its column, and the parameter of the loss with its value (`named_loss`).
    """
    if loss.domain is not None:
        (lower, upper), reason = loss.domain, named_loss
        name = named_loss.partition("=")[0]
        remedy = f"Scale X to that range (pixels: divide by 255), or leave `{name}` at its default."
    elif output_range is None or isinstance(output_range, str):
        return
    else:
        (lower, upper), reason = output_range, f"output_range={output_range!r}"
        remedy = "Widen `output_range`, or leave it at 'auto'."
    lowest, highest = find_ends(X)
    outside = np.flatnonzero((lowest < lower) | (highest > upper))
    if len(outside):
        column = outside[0]
        raise ValueError(
            f"X must lie in [{lower:g}, {upper:g}] with {reason}. Got values from "
            f"{lowest[column]:.6g} to {highest[column]:.6g} in column {names[column]!r}, and "
            f"{len(outside)} such columns in all. {remedy}"
        )


def warn_if_overcomplete(n_components: int | float | str | None, n_features: int):
    """Warn if there are enough codes to copy the features."""
    if isinstance(n_components, Integral) and n_components > n_features:
        warn_user(
            f"n_components={n_components} is more than the {n_features} features of X, so "
            "the codes can copy them and nothing is compressed. Use fewer codes than features, or "
            "SparseAutoencoderTransformer for many codes of which few are active in a row.",
            OvercompleteWarning,
            once=True,
        )


def warn_of_no_gain(error: float, pca_error: float, *, is_pca: bool, measure: str, reference: str):
    """Warn that an autoencoder is not better than PCA, or that it stayed PCA.

    `measure` and `reference` are the names of the error and of the method compared with.
    """
    outcome = f"so the model is {reference}" if is_pca else "training did not help"
    warn_user(
        f"The {measure}, {error:.6g}, is not below that of {reference}, {pca_error:.6g}, "
        f"on the rows used for the comparison ({outcome}). The features may depend on each other "
        f"linearly, or there may be too few rows; {reference} is then just as good. More rows, "
        "other `n_components`, or a larger `max_iter` may help.",
        NotBetterThanPCAWarning,
    )


def warn_of_no_neighbors_gained(linear_map: str, *, is_linear: bool):
    """Warn that an autoencoder keeps no more neighbours than a linear map, or is that map."""
    names = {
        "pca": "PCA",
        "svd": "the singular value decomposition without centring (TruncatedSVD)",
        "half_whitened_pca": "PCA with codes divided by the roots of their standard deviations",
    }
    outcome = f"so the model is {names[linear_map]}" if is_linear else "training did not help"
    warn_user(
        "The network does not clearly keep more nearest neighbours of held-out rows than the best "
        f"linear map ({outcome}). There may be too few rows. More rows, other "
        "`n_components`, or a larger `max_iter` may help.",
        NotBetterThanPCAWarning,
    )
