"""Conversion of `SimpleImputer` in double precision, for text, and with indicators."""

import numpy as np
from onnx import TensorProto
from skl2onnx.common.data_types import guess_proto_type

from skae._estimators.mixed_columns import is_not_a_number
from skae.exceptions import ExportError

_OPSET = 18


def set_type(operator):
    """Set the output to the type of the input, with the columns that are kept or added."""
    imputer, given = operator.raw_operator, operator.inputs[0].type
    n_marked = 0 if imputer.indicator_ is None else len(imputer.indicator_.features_)
    operator.outputs[0].type = type(given)([None, len(_find_kept(imputer)) + n_marked])


def convert(scope, operator, container):
    """Add operators that fill in missing values and append indicators of missing values."""
    imputer, given = operator.raw_operator, operator.inputs[0]
    kind, kept = guess_proto_type(given.type), _find_kept(imputer)
    nodes = _Nodes(scope, container)
    missing = _mark(nodes, given.full_name, imputer.missing_values, kind)
    fills = nodes.hold(imputer.statistics_[kept].tolist(), kind)
    observed = nodes.select(given.full_name, kept)
    parts = [nodes.add("Where", nodes.select(missing, kept), fills, observed)]
    if imputer.indicator_ is not None:
        if kind == TensorProto.STRING:
            raise ExportError(
                "`add_indicator` must be False to export a SimpleImputer of text. Got True. "
                "Use a MissingIndicator in addition to the imputer."
            )
        marks = nodes.select(missing, imputer.indicator_.features_)
        parts.append(nodes.add("Cast", marks, to=kind))
    output = operator.outputs[0].full_name
    container.add_node("Concat", parts, [output], axis=1, op_version=_OPSET)


class _Nodes:
    """Builder of operators and constants with unique names."""

    def __init__(self, scope, container):
        self.scope, self.container = scope, container

    def add(self, op_type, *inputs, domain="", version=_OPSET, **attributes) -> str:
        name = self.scope.get_unique_variable_name(op_type.lower())
        options = {"op_domain": domain, "op_version": version}
        self.container.add_node(op_type, list(inputs), [name], **options, **attributes)
        return name

    def hold(self, values, kind) -> str:
        name = self.scope.get_unique_variable_name("constant")
        if kind == TensorProto.STRING:
            values = [str(value).encode() for value in values]
        self.container.add_initializer(name, kind, [len(values)], values)
        return name

    def select(self, table: str, columns) -> str:
        return self.add("Gather", table, self.hold(columns, TensorProto.INT64), axis=1)


def _mark(nodes: _Nodes, table: str, missing_values, kind) -> str:
    """Add operators that mark missing values."""
    if kind == TensorProto.STRING:
        # Text represents NaN by the word "nan".
        known = {"keys_strings": [str(missing_values)], "values_int64s": [1], "default_int64": 0}
        code = nodes.add("LabelEncoder", table, domain="ai.onnx.ml", version=2, **known)
        return nodes.add("Cast", code, to=TensorProto.BOOL)
    if is_not_a_number(missing_values):
        return nodes.add("IsNaN", table)
    return nodes.add("Equal", table, nodes.hold([missing_values], kind))


def _find_kept(imputer) -> np.ndarray:
    """Return the indices of columns that are kept, which are not empty."""
    is_empty = np.array([is_not_a_number(fill) for fill in imputer.statistics_.tolist()])
    return np.flatnonzero(~is_empty | imputer.keep_empty_features)
