"""Usual values of parameters and attributes, which files omit since format 2.

Never change the table, even if a default of an estimator changes: files written earlier rely on it.
A new default is then written to files like any other value.
"""

from typing import Any

from skae._shared.plain_state import CLASS_KEY

_PLAN: dict[str, Any] = {
    "hidden_layer_sizes": "auto",
    "activation": "silu",
    "normalization": None,
    "dropout": 0.0,
    "dtype": "float32",
}
_ESTIMATOR: dict[str, Any] = {
    **_PLAN,
    "architecture": "dense",
    "sample_shape": None,
    "init": "pca",
    "missing": None,
    "output_range": "auto",
    "batch_size": "auto",
    "learning_rate": "one_cycle",
    "learning_rate_init": 0.01,
    "max_iter": "auto",
    "weight_decay": 0.01,
    "warm_start": False,
    "mixed_precision": False,
    "device": "auto",
    "net_params": None,
    "random_state": None,
    "verbose": False,
}
_STOPPING: dict[str, Any] = {
    "early_stopping": True,
    "validation_fraction": 0.1,
    "n_iter_no_change": 30,
    "tol": 0.0001,
}
# Attributes of estimators after one fit.
_FITTED: dict[str, Any] = {
    "validation_loss_curve_": None,
    "_frame": None,
    "_network_dtype": "float32",
    "_n_fits": 1,
}
_USUAL: dict[str, dict[str, Any]] = {
    "AutoencoderTransformer": {
        **_ESTIMATOR,
        **_STOPPING,
        "tied_weights": False,
        "loss": "squared_error",
        "penalty": None,
        "alpha": None,
        "corruption": None,
        "corruption_level": 0.3,
        "whiten": False,
        "rotation": "pca",
        "nested": False,
    },
    "VariationalAutoencoderTransformer": {
        **_ESTIMATOR,
        **_STOPPING,
        "learning_rate_init": 0.003,
        "likelihood": "gaussian",
        "beta": 1.0,
        "beta_warm_up": 0.0,
        "conditional": False,
    },
    "AdversarialAutoencoderTransformer": {
        **_ESTIMATOR,
        "loss": "squared_error",
        "prior": "gaussian",
        "divergence": "adversarial",
        "alpha": None,
    },
    "NetworkPlan": {
        **_PLAN,
        "architecture": {CLASS_KEY: "Dense"},
        "tied_weights": False,
        "linear_path": True,
        "filling": None,
        "bounded": False,
        "options": (("loss", "identity"), ("penalty", None)),
    },
    "Plain": {
        "loss": {CLASS_KEY: "SquaredError"},
        "penalty": None,
        "alpha": 0.0,
        "sparsity": None,
        "corruption": None,
    },
}
_ESTIMATORS = [name for name in _USUAL if name.endswith("Transformer")]


def leave_out_usual(name: str, state: dict[str, Any]) -> dict[str, Any]:
    """Return the state of an object without the usual values of the class of this name."""
    usual = _list_usual(name, state)
    return {
        key: value for key, value in state.items() if key not in usual or not _is(usual[key], value)
    }


def fill_in_usual(name: str, rest: dict[str, Any]) -> dict[str, Any]:
    """Return the full state of an object, the inverse of `leave_out_usual`."""
    return {**_list_usual(name, rest), **rest}


def _list_usual(name: str, state: dict[str, Any]) -> dict[str, Any]:
    own = _USUAL.get(name, {})
    if name not in _ESTIMATORS or "net_" not in state:
        return own
    return {**own, **_FITTED, "n_samples_seen_": state.get("_n_rows")}


def _is(usual: Any, value: Any) -> bool:
    """Return whether a value equals the usual value, including its type: 0 is not 0.0."""
    return type(value) is type(usual) and repr(value) == repr(usual)
