"""Steps of pipelines, their methods, and the inverses of scalers."""

import numpy as np
from sklearn.base import is_classifier, is_clusterer, is_outlier_detector, is_regressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

from skae.exceptions import ExportError
from skae.onnx._programs import find_program


def unwrap(model):
    """Return the model that a search has chosen, or the model itself."""
    while hasattr(model, "best_estimator_"):
        model = model.best_estimator_
    return model


def list_steps(model) -> list:
    """Return the fitted steps of a pipeline, including those of nested pipelines."""
    model = unwrap(model)
    if not isinstance(model, Pipeline):
        return [model]
    steps = [step for _, step in model.steps if step not in (None, "passthrough")]
    return [own for step in steps for own in list_steps(step)]


def list_methods(step) -> tuple[str, ...]:
    """Return the methods of a step that can be exported, in the order of outputs."""
    program = find_program(type(step))
    if program is not None:
        return program.methods
    if is_classifier(step):
        return "predict", "predict_proba" if hasattr(step, "predict_proba") else "decision_function"
    if is_regressor(step):
        return ("predict",)
    if is_outlier_detector(step):
        return "predict", "decision_function"
    return ("predict", "transform") if is_clusterer(step) else ("transform",)


def find_unscale(steps) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the factor and the shift that undo scalers, None without steps.

    Steps other than scalers are refused.
    """
    if not steps:
        return None
    factor, shift = np.float64(1), np.float64(0)
    for step in reversed(steps):
        own_factor, own_shift = _read_scaler(step)
        factor, shift = factor * own_factor, shift * own_factor + own_shift
    n_features = steps[0].n_features_in_
    return np.broadcast_to(factor, n_features), np.broadcast_to(shift, n_features)


def _read_scaler(step):
    """Return the factor and the shift that turn scaled values into the original ones."""
    kind = type(step)
    if kind is StandardScaler:
        return _or(step.scale_, 1.0), _or(step.mean_ if step.with_mean else None, 0.0)
    if kind is RobustScaler:
        return _or(step.scale_, 1.0), _or(step.center_, 0.0)
    if kind is MaxAbsScaler:
        return step.scale_, np.float64(0)
    if kind is MinMaxScaler:
        return 1 / step.scale_, -step.min_ / step.scale_
    raise ExportError(
        "Steps before the autoencoder must be StandardScaler, MinMaxScaler, MaxAbsScaler or "
        f"RobustScaler if reconstructions are exported. Got {step!r}, which operators of ONNX "
        "cannot invert. Export only the last step, and invert the others outside of ONNX."
    )


def _or(value, other):
    return np.float64(other) if value is None else value
