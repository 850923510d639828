"""Comparison of an exported model with the original."""

import numpy as np
from onnxruntime import InferenceSession

from skae.exceptions import ExportError

# Largest difference attributed to single precision, relative to values above 1.
TOLERANCE = 1e-4


def compute_originals(steps, methods, X) -> dict[str, np.ndarray]:
    """Return the results of methods of the original model as arrays, by method.

    The methods are those of the last step, or "reconstruct". X holds codes if the only method is
    "inverse_transform".
    """
    *before, last = steps
    if methods == ("inverse_transform",):
        return {"inverse_transform": _undo(before, last.inverse_transform(X))}
    for step in before:
        X = step.transform(X)
    results = {}
    for name in methods:
        if name == "reconstruct":
            results[name] = _undo(before, last.inverse_transform(_to_array(last.transform(X))))
        else:
            results[name] = getattr(last, name)(X)
    return {name: _to_array(result) for name, result in results.items()}


def _undo(steps, rows):
    for step in reversed(steps):
        rows = step.inverse_transform(rows)
    return rows


def _to_array(result) -> np.ndarray:
    return result.toarray() if hasattr(result, "toarray") else np.asarray(result)


def check_model(content: bytes, inputs, originals) -> dict[str, float]:
    """Compare an exported model with the original, on all rows together and on the first alone.

    Return the maximum difference of each output, divided by the maximum of the same column if that
    exceeds 1, or the share of rows with a different label. A difference above 1e-4 is an error.
    """
    session = InferenceSession(content, providers=["CPUExecutionProvider"])
    names = list(originals)
    found = session.run(names, inputs)
    first = session.run(names, {name: values[:1] for name, values in inputs.items()})
    differences = {
        name: max(_compare(own, originals[name]), _compare(one, originals[name][:1]))
        for name, own, one in zip(names, found, first, strict=True)
    }
    worst = max(differences, key=differences.__getitem__)
    if not differences[worst] <= TOLERANCE:
        raise ExportError(
            f"The exported model must agree with the original to {TOLERANCE:.0e}. Got a "
            f"difference of {differences[worst]:.1e} in {worst!r}, so no file was written. Export "
            "parts of the pipeline to find the step that ONNX computes differently."
        )
    return differences


def _compare(found, original) -> float:
    found, original = (np.asarray(own).reshape(len(own), -1) for own in (found, original))
    if found.shape != original.shape:
        return float("inf")
    if not all(own.dtype.kind in "iufb" for own in (found, original)):
        return float(np.mean(found.astype(str) != original.astype(str)))
    if original.dtype.kind in "iub":
        return float(np.mean(found != original))
    scale = np.fmax.reduce(np.abs(original), axis=0, initial=1.0)
    is_same = (found == original) | (np.isnan(found) & np.isnan(original))
    differences = np.where(is_same, 0, np.abs(found.astype(np.float64) - original) / scale)
    return float(np.nan_to_num(differences, nan=np.inf).max())
