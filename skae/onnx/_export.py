"""Export of fitted models to ONNX."""

import numpy as np
import onnx
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import (
    DoubleTensorType,
    FloatTensorType,
    Int64TensorType,
    StringTensorType,
)
from sklearn.base import is_classifier
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.utils.validation import check_is_fitted

from skae._estimators.base import BaseAutoencoder
from skae._estimators.tokens import TokenAutoencoderTransformer
from skae._shared.files import write_bytes
from skae._shared.versions import current_versions
from skae.exceptions import ExportError
from skae.onnx import _imputing
from skae.onnx._check import check_model, compute_originals
from skae.onnx._converters import register_converters
from skae.onnx._parts import Part, join, split
from skae.onnx._programs import check_network, find_program
from skae.onnx._rows import draw_rows, holds_text, read_inputs
from skae.onnx._steps import find_unscale, list_methods, list_steps

OPSETS = {"": 18, "ai.onnx.ml": 3}
_TYPES = {
    "float32": FloatTensorType,
    "float64": DoubleTensorType,
    "int64": Int64TensorType,
    "object": StringTensorType,
}


def to_onnx(model, path, *, methods=None, check=None) -> dict[str, float]:
    """Export a fitted model to ONNX, to run it without skae, scikit-learn and PyTorch.

    The file contains the whole pipeline: the steps of scikit-learn as converted by skl2onnx, and
    the autoencoder with its centring, its bounds, and its return to PCA far from the training rows.
    It uses standard operators only (opset 18; ONNX Runtime 1.14 or later) and takes any number of
    rows. Before the file is written, its outputs are computed with ONNX Runtime and compared with
    those of the model.

    Parameters
    ----------
    model : estimator
        Fitted estimator of skae, `Pipeline` of scikit-learn, or search over one.
    path : str or path-like
        File to write, usually with the suffix ".onnx". An existing file is replaced only if the
        export succeeds.
    methods : list of str, default=None
        Names of the methods of the last step that become outputs. None is "transform" for a
        transformer, "predict" and "decision_function" for an outlier detector, and "predict" and
        "predict_proba" for a classifier. Autoencoders also have "reconstruct" (the reconstruction
        of a row), "score_samples" and "reconstruction_errors", and variational autoencoders
        "posterior_std". "inverse_transform" cannot be combined with others, because its input is
        codes. For earlier steps, write the name of the step and two underscores first, as in
        "encoder__score_samples".
    check : array-like or data frame of shape (n_samples, n_features), default=None
        Rows for the comparison. Pass a data frame if the pipeline selects columns by name; each
        column is then an input. By default, random rows around the training mean are used, which
        requires that the model begins with an autoencoder, or with scalers before an autoencoder.

    Returns
    -------
    differences : dict of str to float
        Maximum difference of each output from the model, divided by the maximum of the same column
        if that exceeds 1. For labels, the share of rows with a different label.

    Raises
    ------
    skae.exceptions.ExportError
        If a part of the model cannot be exported, or the exported model differs from the original
        by more than 1e-4.
    ValueError
        If a step does not exist, or does not have the method.

    See Also
    --------
    skae.save : Save a model for use in Python, including further training.

    Notes
    -----
    The input is named "X" and has the shape (n_samples, n_features), or the shape of the samples in
    `fit`. It is in double precision, or in single precision if `check` is such an array. If `check`
    is a data frame, there is one input of shape (n_samples, 1) per column: double-precision
    numbers, with NaN for missing values, or strings, with "nan" for missing values.

    The exported model does not validate its input: unexpected NaN give NaN, and values beyond
    single precision give infinities.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> import skae
    >>> X = load_iris().data
    >>> encoder = skae.AutoencoderTransformer(1, max_iter=20, random_state=0)
    >>> model = make_pipeline(StandardScaler(), encoder).fit(X)
    >>> with TemporaryDirectory() as folder:
    ...     differences = skae.to_onnx(model, Path(folder) / "iris.onnx", check=X)
    >>> differences["transform"] < 1e-5
    True
    """
    check_is_fitted(model)
    steps = list_steps(model)
    for step in steps:
        if isinstance(step, BaseAutoencoder):
            check_network(step)
    register_converters({type(step) for step in steps if find_program(type(step))})
    parts = split(model, methods)
    X = draw_rows(steps) if check is None else check
    computed = [_compute(part, X) for part in parts]
    inputs = computed[0][0]
    originals = {name: result for _, results in computed for name, result in results.items()}
    exported = join({part.prefix: _convert(part, inputs) for part in parts})
    _check_operators(exported)
    onnx.helper.set_model_props(exported, current_versions())
    content = exported.SerializeToString()
    differences = check_model(content, inputs, originals)
    write_bytes(path, content)
    return differences


def _compute(part: Part, X) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the inputs of an exported part, and the outputs of the original."""
    steps, decodes = list_steps(part.model), part.methods == ("inverse_transform",)
    if decodes:
        X = compute_originals(steps, ("transform",), X)["transform"]
    takes_columns = any(isinstance(step, ColumnTransformer) for step in steps)
    of_tokens = isinstance(steps[0], TokenAutoencoderTransformer) and not decodes
    by_column = takes_columns or holds_text(X)
    inputs = read_inputs(X, by_column=by_column, of_tokens=of_tokens)
    return inputs, part.name_outputs(compute_originals(steps, part.methods, X))


def _convert(part: Part, inputs) -> onnx.ModelProto:
    steps = list_steps(part.model)
    last, decodes = steps[-1], part.methods == ("inverse_transform",)
    produced = part.methods if find_program(type(last)) else list_methods(last)
    initial_types = [
        (name, _TYPES[values.dtype.name]([None, *values.shape[1:]]))
        for name, values in inputs.items()
    ]
    try:
        exported = convert_sklearn(
            last if decodes or len(steps) == 1 else make_pipeline(*steps),
            name=type(last).__name__,
            initial_types=initial_types,
            final_types=[(name, None) for name in produced],
            target_opset=OPSETS,
            options={id(last): _make_options(steps, part.methods)},
            custom_conversion_functions={SimpleImputer: _imputing.convert},
            custom_shape_calculators={SimpleImputer: _imputing.set_type},
        )
    except ExportError:
        raise
    except Exception as error:
        # skl2onnx raises errors of many types for unsupported steps.
        raise ExportError(f"The model cannot be exported to ONNX: {error}") from error
    for output in list(exported.graph.output):
        if output.name not in part.methods:
            exported.graph.output.remove(output)
    return exported


def _make_options(steps, methods) -> dict:
    """Return options of skl2onnx for the last step."""
    last = steps[-1]
    if find_program(type(last)) is None:
        return {"zipmap": False} if is_classifier(last) else {}
    undoes = not {"reconstruct", "inverse_transform"}.isdisjoint(methods)
    return {"methods": methods, "unscale": find_unscale(steps[:-1]) if undoes else None}


def _check_operators(exported: onnx.ModelProto):
    """Raise an error for operators that only some runtimes support."""
    foreign = {own.op_type for own in exported.graph.node if own.domain not in OPSETS}
    if foreign:
        raise ExportError(
            "The model must consist of steps with standard operators of ONNX. Got a step that "
            f"needs {', '.join(sorted(foreign))}. Run this step outside of ONNX, and export the "
            "later steps."
        )
