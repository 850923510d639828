"""Programs of torch as graphs of ONNX, and these inside larger ones."""

import contextlib
import logging
import warnings
from typing import cast

import torch
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper

from skae.exceptions import ExportError

# torch names libraries here that it would also know to export, had they been installed.
_NOISY_LOGGER = "torch.onnx._internal.exporter._registration"


def export_program(module: torch.nn.Module, example: torch.Tensor, opset: int) -> ModelProto:
    """Return a module as a model of ONNX for any number of rows.

    Parameters
    ----------
    module : Module
        Module of one input, which returns a tuple of tensors.
    example : Tensor of shape (n_rows, ...)
        A few rows, of the shape and type of those to come.
    opset : int
        Version of the operators.

    Returns
    -------
    model : ModelProto
        The model.

    Raises
    ------
    skae.exceptions.ExportError
        If torch cannot express the module in operators of ONNX.
    """
    sizes = {0: torch.export.Dim("n_rows")}
    with _without_noise(), torch.no_grad():
        try:
            program = torch.onnx.export(
                module,
                (example,),
                dynamo=True,
                dynamic_shapes=(sizes,),
                opset_version=opset,
                verbose=False,
            )
        except Exception as error:
            raise ExportError(
                "The network must consist of operations that torch can export to ONNX. Got one "
                f"that it cannot: {_find_reason(error)} A network of your own must not choose its "
                "way by the values or the number of the rows."
            ) from error
    return cast(torch.onnx.ONNXProgram, program).model_proto


def _find_reason(error: BaseException) -> str:
    """Return the first line of the error that others are about."""
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
            # torch's own, of calls from one part of torch to another.
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        logger.setLevel(level)


def graft(graph: GraphProto, scope, container, inputs: list[str], outputs: list[str]):
    """Add a graph to one that skl2onnx makes.

    Parameters
    ----------
    graph : GraphProto
        Graph to add.
    scope : skl2onnx Scope
        Gives names that are free.
    container : skl2onnx ModelComponentContainer
        Receives nodes and constants.
    inputs, outputs : list of str
        Names, in the larger graph, of the inputs and outputs of the one to add.
    """
    names = {own.name: name for own, name in zip(graph.input, inputs, strict=True)}

    def rename(name: str) -> str:
        if name not in names:
            names[name] = scope.get_unique_variable_name(f"skae_{name}")
        return names[name]

    _name_all_inputs(graph)
    opset = container.target_opset_any_domain("")
    for own in graph.initializer:
        container.add_initializer(rename(own.name), None, None, own)
    for node in graph.node:
        _add_node(node, rename, container, opset)
    for own, name in zip(graph.output, outputs, strict=True):
        # Two outputs may be one tensor, and an output an input.
        container.add_node("Identity", [rename(own.name)], [name], op_version=opset)


def _add_node(node: NodeProto, rename, container, opset: int):
    attributes = {own.name: helper.get_attribute_value(own) for own in node.attribute}
    for name, value in attributes.items():
        if isinstance(value, GraphProto):
            attributes[name] = _rename_subgraph(value, rename)
    container.add_node(
        node.op_type,
        [rename(name) for name in node.input],
        [rename(name) for name in node.output],
        op_version=opset,
        **attributes,
    )


def _name_all_inputs(graph: GraphProto):
    """Replace operators that leave out an input before others, which skl2onnx cannot sort."""
    for place in reversed(range(len(graph.node))):
        node = graph.node[place]
        if "" not in node.input:
            continue
        if node.op_type == "Clip":
            node.op_type = "Min"
            node.input[:] = [node.input[0], node.input[2]]
        elif node.op_type in ("GRU", "LSTM"):
            node.input[4] = f"{node.output[0]}_lengths"
            for own in reversed(_count_steps(node.input[0], node.input[4])):
                graph.node.insert(place, own)
        else:
            raise ExportError(
                f"Operators must have all their inputs. Got {node.op_type} without one of them. "
                "Write this part of the network in another way."
            )


def _count_steps(sequences: str, lengths: str) -> list[NodeProto]:
    """Return operators that make lengths of sequences of shape (n_steps, n_samples, n_inputs)."""
    steps, samples, count = (f"{lengths}_{part}" for part in ("steps", "samples", "count"))
    return [
        helper.make_node("Shape", [sequences], [steps], start=0, end=1),
        helper.make_node("Shape", [sequences], [samples], start=1, end=2),
        helper.make_node("Cast", [steps], [count], to=TensorProto.INT32),
        helper.make_node("Expand", [count, samples], [lengths]),
    ]


def _rename_subgraph(graph: GraphProto, rename) -> GraphProto:
    """Return a branch or a loop's body with new names, those of values around it included."""
    renamed = GraphProto()
    renamed.CopyFrom(graph)
    for values in (renamed.input, renamed.output, renamed.initializer, renamed.value_info):
        for value in values:
            value.name = rename(value.name)
    for node in renamed.node:
        node.input[:] = [rename(name) for name in node.input]
        node.output[:] = [rename(name) for name in node.output]
        for attribute in node.attribute:
            if attribute.HasField("g"):
                attribute.g.CopyFrom(_rename_subgraph(attribute.g, rename))
    return renamed
