"""Outputs of earlier steps of a pipeline, as separate models that are joined."""

from typing import Any, NamedTuple

import onnx
from sklearn.pipeline import Pipeline

from skae.onnx._branches import rename_graph
from skae.onnx._programs import find_program
from skae.onnx._steps import list_methods, list_steps, unwrap

_SEPARATOR = "__"


class Part(NamedTuple):
    """First steps of a model, up to a step whose methods become outputs.

    The prefix of the names of these outputs is the name of the step and two underscores, or an
    empty string for the last step of the model.
    """

    prefix: str
    model: Any
    methods: tuple[str, ...]

    def name_outputs(self, results: dict[str, Any]) -> dict[str, Any]:
        """Return the results of methods by name of the output."""
        return {f"{self.prefix}{method}": result for method, result in results.items()}


def split(model, methods) -> list[Part]:
    """Return the parts of a model to export, for `methods` as in `to_onnx`.

    The whole model comes first if methods of its last step are exported. Steps and methods that do
    not exist are refused.
    """
    model = unwrap(model)
    if methods is None:
        return [Part("", model, _list_usual(model))]
    methods = (methods,) if isinstance(methods, str) else tuple(methods)
    # Sorting puts the last step first. Without methods, the check of the last step raises an error.
    prefixes = sorted(set(map(_read_prefix, methods or ("",))))
    return [
        _make_part(model, prefix, [own for own in methods if _read_prefix(own) == prefix])
        for prefix in prefixes
    ]


def _list_usual(model) -> tuple[str, ...]:
    last = list_steps(model)[-1]
    program = find_program(type(last))
    return list_methods(last) if program is None else program.usual


def _read_prefix(method: str) -> str:
    step, separator, _ = method.rpartition(_SEPARATOR)
    return step + separator


def _make_part(model, prefix: str, names: list[str]) -> Part:
    if prefix:
        model = _cut(model, prefix.removesuffix(_SEPARATOR))
    methods = tuple(name.removeprefix(prefix) for name in names)
    _check_methods(list_steps(model)[-1], methods)
    return Part(prefix, model, methods)


def _cut(model, step: str) -> Pipeline:
    names = [name for name, _ in model.steps] if isinstance(model, Pipeline) else []
    if step not in names:
        raise ValueError(
            f"`methods` must have the name of a step before {_SEPARATOR!r}, one of {names}. "
            f"Got {step!r}. Give methods of the last step without a step."
        )
    return Pipeline(model.steps[: names.index(step) + 1])


def _check_methods(last, methods: tuple[str, ...]) -> None:
    known = list_methods(last)
    if not methods or not set(methods) <= set(known):
        raise ValueError(
            f"`methods` must be among {', '.join(known)}, the methods of {type(last).__name__} "
            f"that can be exported. Got {list(methods)!r}. Leave out the others."
        )
    if "inverse_transform" in methods and len(methods) > 1:
        raise ValueError(
            "`methods` must not combine 'inverse_transform', whose input is codes, with others. "
            f"Got {list(methods)!r}. Export it to a separate file, or export 'reconstruct', whose "
            "input is rows."
        )


def join(exported: dict[str, onnx.ModelProto]) -> onnx.ModelProto:
    """Join models with equal inputs, by the prefix of their outputs, into one with all outputs.

    ONNX Runtime computes common steps once.
    """
    (_, model), *others = exported.items()
    for prefix, other in others:
        kept = {"", *(own.name for own in other.graph.input)}
        graph = rename_graph(
            other.graph,
            lambda name, kept=kept, prefix=prefix: name if name in kept else prefix + name,
        )
        model.graph.node.extend(graph.node)
        model.graph.initializer.extend(graph.initializer)
        model.graph.sparse_initializer.extend(graph.sparse_initializer)
        model.graph.output.extend(graph.output)
        known = {own.domain for own in model.opset_import}
        model.opset_import.extend(own for own in other.opset_import if own.domain not in known)
    return model
