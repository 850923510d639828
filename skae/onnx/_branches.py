"""Graphs of ONNX in which some rows take a branch of their own."""

import numpy as np
from onnx import (
    GraphProto,
    NodeProto,
    TensorProto,
    TensorShapeProto,
    ValueInfoProto,
    numpy_helper,
)
from onnx.helper import make_graph, make_node, make_value_info

# Indices of the rows that take the branch, of shape (n_far, 1), these rows, and whether any do.
_INDICES, _FAR, _HAS_FAR = "branch_indices", "branch_rows", "branch_condition"
_AXIS = numpy_helper.from_array(np.array([1], dtype=np.int64), "axis")


def add_branch_(graph: GraphProto, other: GraphProto) -> None:
    """Let the rows whose indices are the last output of a graph take another graph.

    The other outputs of `graph` are those of `other`, which is not run without such rows. Weights
    that the graphs have in common are stored once.
    """
    rows, (*outputs, indices) = graph.input[0], graph.output
    other.initializer.append(_AXIS)
    names = _share_weights(graph, other) | {other.input[0].name: _FAR}
    other = rename_graph(other, lambda name: names.get(name, f"branch_{name}"))
    changed = [
        make_node("Unsqueeze", [indices.name, names[_AXIS.name]], [_INDICES]),
        make_node("GatherND", [rows.name, _INDICES], [_FAR]),
        *other.node,
    ]
    kept = []
    for place, (own, new) in enumerate(zip(outputs, other.output, strict=True)):
        changed.append(make_node("ScatterND", [own.name, _INDICES, new.name], [f"far_{place}"]))
        kept.append(make_node("Identity", [own.name], [f"known_{place}"]))
    ends = {suffix: _number(outputs, suffix) for suffix in ("far", "known", "joined")}
    described = [_describe_far(rows, f"n_{len(other.node)}")]
    branches = {
        "then_branch": make_graph(changed, "far", [], ends["far"], value_info=described),
        "else_branch": make_graph(kept, "known", [], ends["known"]),
    }
    graph.node.extend(_make_condition(indices, outputs))
    graph.node.append(make_node("If", [_HAS_FAR], [own.name for own in ends["joined"]], **branches))
    del graph.output[:]
    graph.output.extend(ends["joined"])


def _number(values: list[ValueInfoProto], prefix: str) -> list[ValueInfoProto]:
    """Return descriptions of values with numbered names, as several may be one tensor."""
    return [make_value_info(f"{prefix}_{place}", own.type) for place, own in enumerate(values)]


def _make_condition(indices: ValueInfoProto, outputs: list[ValueInfoProto]) -> list[NodeProto]:
    """Return operators that compute whether there are indices, after outputs.

    skl2onnx sorts operators by their inputs, and values that branches take from outside are none.
    """
    sizes = [f"branch_size_{place}" for place in range(len(outputs) + 1)]
    nodes = [make_node("Shape", [indices.name], [sizes[0]])]
    for own, size in zip(outputs, sizes[1:], strict=True):
        # Of no axis.
        nodes.append(make_node("Shape", [own.name], [size], start=0, end=0))
    nodes.append(make_node("Concat", sizes, ["branch_size"], axis=0))
    return [*nodes, make_node("Cast", ["branch_size"], [_HAS_FAR], to=TensorProto.BOOL)]


def _share_weights(graph: GraphProto, other: GraphProto) -> dict[str, str]:
    """Add constants of another graph to a graph, and return their names there."""
    known, names = {_read(own): own.name for own in graph.initializer}, {}
    for own in other.initializer:
        content = _read(own)
        if content not in known:
            known[content] = f"branch_{own.name}"
            values = numpy_helper.to_array(own)
            graph.initializer.append(numpy_helper.from_array(values, known[content]))
        names[own.name] = known[content]
    return names


def _read(constant: TensorProto) -> tuple[str, tuple[int, ...], bytes]:
    values = numpy_helper.to_array(constant)
    return values.dtype.str, values.shape, values.tobytes()


def _describe_far(rows: ValueInfoProto, size: str) -> ValueInfoProto:
    """Describe the rows of the branch.

    ONNX Runtime plans the use of memory in a time that rises with the square of the number of
    operators if it knows nothing of their sizes.
    """
    described = make_value_info(_FAR, rows.type)
    described.type.tensor_type.shape.dim[0].CopyFrom(TensorShapeProto.Dimension(dim_param=size))
    return described


def rename_graph(graph: GraphProto, rename) -> GraphProto:
    """Return a graph with new names of values and without those of operators.

    Values that branches and bodies of loops take from outside have new names as well.
    """
    renamed = GraphProto()
    renamed.CopyFrom(graph)
    for values in (renamed.input, renamed.output, renamed.initializer, renamed.value_info):
        for value in values:
            value.name = rename(value.name)
    for sparse in renamed.sparse_initializer:
        sparse.values.name = rename(sparse.values.name)
    for node in renamed.node:
        node.ClearField("name")
        # Stack traces, which take more space than the weights.
        node.ClearField("metadata_props")
        node.input[:] = [rename(name) for name in node.input]
        node.output[:] = [rename(name) for name in node.output]
        for attribute in node.attribute:
            if attribute.HasField("g"):
                attribute.g.CopyFrom(rename_graph(attribute.g, rename))
    return renamed
