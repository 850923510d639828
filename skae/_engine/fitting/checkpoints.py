"""The state of training between two epochs, from which a later process can resume."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import torch
from skorch.callbacks import Callback

from skae._engine.fitting.packing import find_drawing, pack_draws, pack_history, unpack_history
from skae._engine.steps.step import Step
from skae._shared.names import get_class_path


class CheckpointStore(Protocol):
    """Storage of the training states of one fit."""

    every: int
    """Number of epochs from one state to the next."""

    def read(self) -> dict[str, Any] | None:
        """Return the latest state, or None."""

    def write(self, state: dict[str, Any], epoch: int) -> None:
        """Store the state after an epoch: nested dictionaries, lists, arrays, numbers, strings."""


class Checkpoints:
    """Writer of training states, which also resumes training from the latest one."""

    def __init__(self, store: CheckpointStore):
        self.store, self.state = store, store.read()
        self.seed = 0
        self.generators: Sequence[torch.Generator] = ()

    def settle_seed(self, seed: int) -> int:
        """Return the seed stored with the states or, if there are none, the given seed."""
        self.seed = seed if self.state is None else self.state["seed"]
        return self.seed

    def write(self, net, callbacks: Sequence[Callback]) -> None:
        state = {"seed": self.seed, **pack_training(net, callbacks, self.generators)}
        self.store.write(state, len(net.history))

    def resume_(self, net, callbacks: Sequence[Callback]) -> None:
        """Restore the latest state of a net and its callbacks before training."""
        if self.state is not None:
            unpack_training_(net, callbacks, self.generators, self.state)
            # Its arrays are no longer needed.
            self.state = None


class CheckpointWriter(Callback):
    """Store the state every few epochs; the last callback of all."""

    def __init__(self, checkpoints: Checkpoints, callbacks: Sequence[Callback]):
        self.checkpoints, self.callbacks = checkpoints, callbacks

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) % self.checkpoints.store.every == 0:
            self.checkpoints.write(net, self.callbacks)


def pack_training(
    net, callbacks: Sequence[Callback], generators: Sequence[torch.Generator]
) -> dict[str, Any]:
    """Return the state of a net, its callbacks and its random generators."""
    return {
        "callbacks": [_pack_callback(own) for own in callbacks],
        "history": pack_history(net.history),
        **pack_step(net.step_, net.optimizer_.param_groups, generators),
        "n_steps": net.n_steps_,
    }


def unpack_training_(
    net, callbacks: Sequence[Callback], generators: Sequence[torch.Generator], state: dict[str, Any]
) -> None:
    """Restore the state of a net and its callbacks before training."""
    for callback, values in zip(callbacks, state["callbacks"], strict=True):
        vars(callback).update({name: _unpack(own) for name, own in values.items()})
    unpack_step_(net.step_, net.optimizer_.param_groups, generators, state)
    net.n_steps_, net.history_ = state["n_steps"], unpack_history(state["history"])


def _pack_callback(callback: Callback) -> dict[str, Any]:
    """Return the attributes of a callback that change from epoch to epoch."""
    return {name: _pack(getattr(callback, name)) for name in getattr(callback, "lasting", ())}


def pack_step(
    step: Step, groups: Sequence[dict], generators: Sequence[torch.Generator]
) -> dict[str, Any]:
    """Return the state of a step, the learning rates of its optimisers, and the generators."""
    return {
        "values": _pack(step.copy_values()),
        "averaged": _pack(step.averaged.copy()),
        "moments": _pack(step.copy_moments()),
        "draws": [pack_draws(module) for module in step.modules],
        "drawn_ahead": _pack(step.copy_draws()),
        "emphasis": _pack(step.emphasis),
        "rates": [float(group["lr"]) for group in groups],
        "generators": [_pack(own.get_state()) for own in generators],
    }


def unpack_step_(
    step: Step, groups: Sequence[dict], generators: Sequence[torch.Generator], state: dict[str, Any]
) -> None:
    """Restore the state of a step, its learning rates and the generators before training."""
    # A state stores the class name of an optimiser; these are the classes allowed.
    kinds = {get_class_path(kind): kind for kind in _find_kinds(step.copy_moments())}
    step.load_values_(_unpack(state["values"]))
    step.averaged.load_(_unpack(state["averaged"]), step)
    step.load_moments_(_unpack(state["moments"], kinds))
    step.load_draws_(_unpack(state["drawn_ahead"]))
    step.emphasis = _unpack(state["emphasis"])
    for module, draws in zip(step.modules, state["draws"], strict=True):
        for name, part in find_drawing(module):
            part.unpack_draws_(draws[f"{name}.draws"])
    for group, rate in zip(groups, state["rates"], strict=True):
        group["lr"] = rate
    for generator, own in zip(generators, state["generators"], strict=True):
        generator.set_state(_unpack(own))


_KIND = "kind"


def _pack(value: Any) -> Any:
    """Return nested values with arrays for tensors, and names for classes."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().numpy()
    if isinstance(value, type):
        return {_KIND: get_class_path(value)}
    if isinstance(value, dict):
        return {key: _pack(own) for key, own in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_pack(own) for own in value)
    return value


def _unpack(value: Any, kinds: dict[str, type] | None = None) -> Any:
    """Return the argument of `_pack`, given its result."""
    if isinstance(value, dict):
        if value.keys() == {_KIND}:
            return (kinds or {})[value[_KIND]]
        return {key: _unpack(own, kinds) for key, own in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_unpack(own, kinds) for own in value)
    if hasattr(value, "dtype"):
        return torch.tensor(value, device="cpu")
    return value


def _find_kinds(value: Any) -> Iterator[type]:
    """Yield the classes among nested values."""
    if isinstance(value, type):
        yield value
    elif isinstance(value, list | tuple):
        for own in value:
            yield from _find_kinds(own)
