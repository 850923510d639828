"""Modules of torch as graphs of ONNX, and their insertion into larger graphs."""

import contextlib
import logging
import warnings
from typing import cast

import numpy as np
import torch
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper

from skae.exceptions import ExportError
from skae.modules import leave_out_far_rows
from skae.onnx._branches import add_branch_, rename_graph

# torch logs the names of optional libraries here that are not installed.
_NOISY_LOGGER = "torch.onnx._internal.exporter._registration"


def export_program(module: torch.nn.Module, example: torch.Tensor, opset: int) -> GraphProto:
    """Return a module as a graph of ONNX for any number of rows, or raise an `ExportError`.

    The module takes one tensor, of the shape and type of the example rows, and returns a tuple.
    What it needs for far and odd rows alone is a branch that others do not enter.
    """
    try:
        return _export_by_rows(module, example, opset)
    except Exception as error:
        raise ExportError(
            "The network must consist of operations that torch can export to ONNX. Got an "
            f"error: {_find_reason(error)} In a network of your own, avoid conditions on the "
            "values or the number of the rows."
        ) from error


def _export_by_rows(module: torch.nn.Module, example: torch.Tensor, opset: int) -> GraphProto:
    """Return the graph for known rows, with that for odd ones and that for far ones as branches."""
    with torch.no_grad():
        n_results = len(module(example))
    graph = _export(_KnownRows(module, odd=True).eval(), example, opset)
    if len(graph.output) == n_results:
        return graph
    other = _export(module, example, opset)
    if any(getattr(own, "usual", None) is not None for own in module.modules()):
        of_odd = _export(_KnownRows(module, odd=False).eval(), example, opset)
        add_branch_(of_odd, other)
        other = of_odd
    add_branch_(graph, other)
    return graph


class _KnownRows(torch.nn.Module):
    """Module whose last output has the indices of rows that the others are not valid for.

    These are the rows with far cells and, if `odd`, those with odd ones. A network that treats all
    rows alike has no such output.
    """

    def __init__(self, module: torch.nn.Module, *, odd: bool):
        super().__init__()
        self.module, self.odd = module, odd

    def forward(self, X: torch.Tensor) -> tuple[torch.Tensor, ...]:
        with leave_out_far_rows(odd=self.odd) as rows:
            results = self.module(X)
        return (*results, torch.cat(rows).unique()) if len(rows) > 1 else (*results, *rows)


def _export(module: torch.nn.Module, example: torch.Tensor, opset: int) -> GraphProto:
    with _without_noise(), torch.no_grad():
        program = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("n_rows")},),
            opset_version=opset,
            verbose=False,
        )
    graph = cast(torch.onnx.ONNXProgram, program).model_proto.graph
    _name_all_inputs(graph)
    _count_axes_from_the_first(graph)
    return graph


def _find_reason(error: BaseException) -> str:
    """Return the first line of the root cause of an error."""
    while error.__cause__ is not None:
        error = error.__cause__
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


@contextlib.contextmanager
def _without_noise():
    logger = logging.getLogger(_NOISY_LOGGER)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            # Calls between parts of torch give such warnings.
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        logger.setLevel(level)


def graft(graph: GraphProto, scope, container, inputs: list[str], outputs: list[str]):
    """Insert a graph into the graph that skl2onnx builds in `container`, with names from `scope`.

    `inputs` and `outputs` are the names of the inserted graph's ends in the larger graph.
    """
    names = {own.name: name for own, name in zip(graph.input, inputs, strict=True)}

    def rename(name: str) -> str:
        if name not in names:
            names[name] = scope.get_unique_variable_name(f"skae_{name}")
        return names[name]

    opset = container.target_opset_any_domain("")
    for own in graph.initializer:
        container.add_initializer(rename(own.name), None, None, own)
    for node in graph.node:
        _add_node(node, rename, container, opset)
    for own, name in zip(graph.output, outputs, strict=True):
        # Several outputs may be one tensor, and an output may be an input.
        container.add_node("Identity", [rename(own.name)], [name], op_version=opset)


def _add_node(node: NodeProto, rename, container, opset: int):
    attributes = {own.name: helper.get_attribute_value(own) for own in node.attribute}
    for name, value in attributes.items():
        if isinstance(value, GraphProto):
            attributes[name] = rename_graph(value, rename)
    container.add_node(
        node.op_type,
        [rename(name) for name in node.input],
        [rename(name) for name in node.output],
        op_version=opset,
        **attributes,
    )


def _name_all_inputs(graph: GraphProto):
    """Replace operators that omit an input before others, which skl2onnx cannot sort."""
    for place in reversed(range(len(graph.node))):
        node = graph.node[place]
        if "" not in node.input:
            continue
        if node.op_type == "Clip":
            node.op_type = "Min"
            node.input[:] = [node.input[0], node.input[2]]
        elif node.op_type in ("GRU", "LSTM"):
            before, after = _accept_no_rows(graph, node)
            node.input[4] = f"{node.output[0]}_lengths"
            before += _count_steps(node.input[0], node.input[4])
            for own in reversed(after):
                graph.node.insert(place + 1, own)
            for own in reversed(before):
                graph.node.insert(place, own)
        else:
            raise ExportError(
                f"Operators must have all their inputs. Got {node.op_type} without one of them. "
                "Write this part of the network in another way."
            )


def _accept_no_rows(graph: GraphProto, node: NodeProto) -> tuple[list[NodeProto], list[NodeProto]]:
    """Return operators before and after a recurrent one, which add a row if there is none.

    ONNX Runtime crashes on recurrent operators without rows.
    """
    own = f"{node.output[0]}_rows"
    for name, values in {"zero": [0], "one": [1], "two": [2], "zeros": [0] * 4}.items():
        constant = numpy_helper.from_array(np.array(values, dtype=np.int64), f"{own}_{name}")
        graph.initializer.append(constant)
    before = [
        helper.make_node("Shape", [node.input[0]], [own], start=1, end=2),
        helper.make_node("Sub", [f"{own}_one", own], [f"{own}_lacking"]),
        helper.make_node("Max", [f"{own}_lacking", f"{own}_zero"], [f"{own}_added"]),
        helper.make_node(
            "Concat", [f"{own}_zeros", f"{own}_added", f"{own}_zero"], [f"{own}_pads"], axis=0
        ),
    ]
    # The rows, and the states before the first step.
    for place in {0, *range(5, len(node.input))}:
        if given := node.input[place]:
            node.input[place] = f"{own}_padded_{place}"
            before.append(helper.make_node("Pad", [given, f"{own}_pads"], [node.input[place]]))
    after = []
    for place, axis in enumerate(("two", "one", "one")[: len(node.output)]):
        if given := node.output[place]:
            node.output[place] = f"{own}_longer_{place}"
            ends = [node.output[place], f"{own}_zero", own, f"{own}_{axis}"]
            after.append(helper.make_node("Slice", ends, [given]))
    return before, after


def _count_axes_from_the_first(graph: GraphProto):
    """Replace axes counted from the last: ONNX Runtime passes over them if there are no rows."""
    described = (*graph.input, *graph.value_info)
    ranks = {own.name: len(own.type.tensor_type.shape.dim) for own in described}
    constants = {own.name: numpy_helper.to_array(own) for own in graph.initializer}
    replaced: set[str] = set()
    for node in graph.node:
        if not node.op_type.startswith("Reduce") or len(node.input) < 2:
            continue
        rank, axes = ranks.get(node.input[0]), constants.get(node.input[1])
        if not rank or axes is None:
            continue
        name = f"{node.input[1]}_of_{rank}"
        if name not in constants:
            constants[name] = axes % rank
            graph.initializer.append(numpy_helper.from_array(constants[name], name))
        replaced.add(node.input[1])
        node.input[1] = name
    # Constants that nothing uses give a warning.
    used = {name for node in graph.node for name in node.input}
    for own in [own for own in graph.initializer if own.name in replaced - used]:
        graph.initializer.remove(own)


def _count_steps(sequences: str, lengths: str) -> list[NodeProto]:
    """Return operators that compute lengths of sequences of shape (n_steps, n_samples, ...)."""
    steps, samples, count = (f"{lengths}_{part}" for part in ("steps", "samples", "count"))
    return [
        helper.make_node("Shape", [sequences], [steps], start=0, end=1),
        helper.make_node("Shape", [sequences], [samples], start=1, end=2),
        helper.make_node("Cast", [steps], [count], to=TensorProto.INT32),
        helper.make_node("Expand", [count, samples], [lengths]),
    ]
