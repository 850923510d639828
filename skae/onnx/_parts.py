"""Outputs from the middle of a pipeline: its first steps as a model of their own."""

from typing import Any, NamedTuple

import onnx
from sklearn.pipeline import Pipeline

from skae.onnx._programs import find_program
from skae.onnx._steps import list_methods, list_steps, unwrap

_SEPARATOR = "__"


class Part(NamedTuple):
    """First steps of a model up to one whose methods become outputs.

    Attributes
    ----------
    prefix : str
        Prefix of the names of its outputs: the name of the step, empty for the last one.
    model : estimator
        The steps.
    methods : tuple of str
        Methods of the last one.
    """

    prefix: str
    model: Any
    methods: tuple[str, ...]

    def name_outputs(self, results: dict[str, Any]) -> dict[str, Any]:
        """Return results of methods under the names of the outputs."""
        return {f"{self.prefix}{method}": result for method, result in results.items()}


def split(model, methods) -> list[Part]:
    """Return the parts of a model that are to be exported.

    Parameters
    ----------
    model : estimator
        A fitted model.
    methods : str, list of str or None
        Names of methods, those of a step before the last behind its name and two underscores.

    Returns
    -------
    parts : list of Part
        Parts of the model; the whole model comes first if methods of its last step are exported.

    Raises
    ------
    ValueError
        If there is no such step, or it has no such method.
    """
    model = unwrap(model)
    if methods is None:
        return [Part("", model, _list_usual(model))]
    methods = (methods,) if isinstance(methods, str) else tuple(methods)
    # The last step first, also where no method is given, which is an error.
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
            f"`methods` must name steps of the pipeline before {_SEPARATOR!r}, which are {names}. "
            f"Got {step!r}. Name methods of the last step without a step."
        )
    return Pipeline(model.steps[: names.index(step) + 1])


def _check_methods(last, methods: tuple[str, ...]) -> None:
    known = list_methods(last)
    if not methods or not set(methods) <= set(known):
        raise ValueError(
            f"`methods` must be among {', '.join(known)}, those of {type(last).__name__} that can "
            f"be exported. Got {list(methods)!r}. Leave others out."
        )
    if "inverse_transform" in methods and len(methods) > 1:
        raise ValueError(
            "`methods` must be 'inverse_transform' alone, whose input is codes, or others. Got "
            f"{list(methods)!r}. Export it to a file of its own; 'reconstruct' goes from rows to "
            "their reconstructions."
        )


def join(exported: dict[str, onnx.ModelProto]) -> onnx.ModelProto:
    """Return one model of several with the same inputs.

    Parameters
    ----------
    exported : dict of str to ModelProto
        Models under the prefixes of their outputs. ONNX Runtime computes once what they share.

    Returns
    -------
    model : ModelProto
        With the outputs of all.
    """
    (_, model), *others = exported.items()
    for prefix, other in others:
        graph = onnx.compose.add_prefix(other, prefix, rename_inputs=False).graph
        model.graph.node.extend(graph.node)
        model.graph.initializer.extend(graph.initializer)
        model.graph.sparse_initializer.extend(graph.sparse_initializer)
        model.graph.output.extend(graph.output)
        known = {own.domain for own in model.opset_import}
        model.opset_import.extend(own for own in other.opset_import if own.domain not in known)
    return model
