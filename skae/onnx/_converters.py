"""Converters of skl2onnx for the estimators of skae."""

import torch
from skl2onnx import update_registered_converter
from skl2onnx.common.data_types import (
    BooleanTensorType,
    DoubleTensorType,
    FloatTensorType,
    Int64TensorType,
)

from skae.exceptions import ExportError
from skae.onnx._graphs import export_program, graft
from skae.onnx._programs import Program, find_program, make_program

# Oldest version of operators that the exporter of torch supports.
LEAST_OPSET = 18
_N_EXAMPLES = 3
_TYPES = {
    torch.bool: BooleanTensorType,
    torch.float32: FloatTensorType,
    torch.float64: DoubleTensorType,
    torch.int64: Int64TensorType,
}


def register_converters(kinds):
    """Register classes of estimators with skl2onnx."""
    for kind in kinds:
        update_registered_converter(
            kind,
            _name(kind),
            _set_output_types,
            _convert,
            parser=_parse,
            options={"methods": None, "unscale": None},
        )


def _name(kind: type) -> str:
    return f"Skae{kind.__name__}"


def _parse(scope, model, inputs, custom_parsers=None):
    """Declare one output for each exported method of an estimator."""
    options = scope.get_options(model, {"methods": None, "unscale": None})
    operator = scope.declare_local_operator(_name(type(model)), model)
    operator.inputs = [_merge(scope, inputs)]
    operator.methods = _check_methods(model, options["methods"])
    operator.unscale = options["unscale"]
    for name in operator.methods:
        operator.outputs.append(scope.declare_local_variable(name, FloatTensorType()))
    return operator.outputs


def _check_methods(model, methods) -> tuple[str, ...]:
    """Return the methods of an estimator to export; None stands for the usual ones."""
    program = find_program(type(model)) or Program
    if methods is None:
        return program.usual
    for name in methods:
        if name not in program.methods:
            raise ExportError(
                f"`methods` must be among {', '.join(program.methods)} for a "
                f"{type(model).__name__}. Got {name!r}, which cannot be exported. Leave it out."
            )
    return tuple(methods)


def _merge(scope, inputs):
    """Return separate columns merged into one table."""
    if len(inputs) == 1:
        return inputs[0]
    operator = scope.declare_local_operator("SklearnConcat")
    operator.inputs = inputs
    table = scope.declare_local_variable("merged_columns", type(inputs[0].type)([None, None]))
    operator.outputs.append(table)
    return table


def _set_output_types(operator):
    program, example = _make_selection(operator)
    with torch.no_grad():
        results = program(example)
    for output, result in zip(operator.outputs, results, strict=True):
        output.type = _TYPES[result.dtype]([None, *result.shape[1:]])


def _make_selection(operator) -> tuple[torch.nn.Module, torch.Tensor]:
    """Return the module to export for an operator, and example rows."""
    model = operator.raw_operator
    params = {} if operator.unscale is None else {"unscale": operator.unscale}
    program: Program = make_program(model, **params)
    given = operator.inputs[0].type
    dtypes = [dtype for dtype, own in _TYPES.items() if isinstance(given, own)]
    if not dtypes:
        raise ExportError(
            f"The input of a {type(model).__name__} must be numbers. Got {given}. Encode text in "
            "an earlier step."
        )
    shape = tuple(given.shape[1:])
    if not shape or None in shape:
        is_decoder = operator.methods == ("inverse_transform",)
        shape = (model.n_components_ if is_decoder else model.n_features_in_,)
    return program.select(operator.methods), torch.zeros(_N_EXAMPLES, *shape, dtype=dtypes[0])


def _convert(scope, operator, container):
    opset = container.target_opset_any_domain("")
    if opset < LEAST_OPSET:
        raise ExportError(
            f"`target_opset` must be {LEAST_OPSET} or more for estimators of skae. Got {opset}. "
            f"Pass target_opset={LEAST_OPSET}."
        )
    graph = export_program(*_make_selection(operator), opset)
    inputs, outputs = (
        [own.full_name for own in ends] for ends in (operator.inputs, operator.outputs)
    )
    graft(graph, scope, container, inputs, outputs)
