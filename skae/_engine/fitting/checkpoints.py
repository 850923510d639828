"""The state of a training between two epochs, from which a later process can go on with it."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import torch
from skorch.callbacks import Callback

from skae._engine.fitting.packing import (
    find_drawing,
    pack_draws,
    pack_history,
    unpack_history,
)


class CheckpointStore(Protocol):
    """Somebody who keeps the states of one fit."""

    every: int
    """Number of epochs from one state to the next."""

    def read(self) -> dict[str, Any] | None:
        """Return the latest state, None where there is none."""

    def write(self, state: dict[str, Any], epoch: int) -> None:
        """Keep the state after an epoch: nested dictionaries, lists, arrays, numbers, strings."""


class Checkpoints:
    """Writes the states of a training, and lets it go on from the latest one.

    Parameters
    ----------
    store : CheckpointStore
        Keeps the states.
    """

    def __init__(self, store: CheckpointStore):
        self.store, self.state = store, store.read()
        self.seed = 0
        self.generators: Sequence[torch.Generator] = ()

    def settle_seed(self, seed: int) -> int:
        """Return the seed of the fit: that of the states where there are any, else a given one."""
        self.seed = seed if self.state is None else self.state["seed"]
        return self.seed

    def write(self, net, callbacks: Sequence[Callback]) -> None:
        """Keep the state of a net and of the callbacks that belong to its training."""
        state = {
            "seed": self.seed,
            "generators": [_pack(own.get_state()) for own in self.generators],
            "callbacks": [_pack_callback(own) for own in callbacks],
            **_pack_net(net),
        }
        self.store.write(state, len(net.history))

    def resume_(self, net, callbacks: Sequence[Callback]) -> None:
        """Bring a net that is about to be trained, and its callbacks, to the latest state."""
        if self.state is None:
            return
        for generator, own in zip(self.generators, self.state["generators"], strict=True):
            generator.set_state(_unpack(own))
        for callback, values in zip(callbacks, self.state["callbacks"], strict=True):
            vars(callback).update({name: _unpack(own) for name, own in values.items()})
        _unpack_net_(net, self.state)
        # Its arrays are no longer needed.
        self.state = None


class CheckpointWriter(Callback):
    """Keep the state after every few epochs; comes after all other callbacks of a training."""

    def __init__(self, checkpoints: Checkpoints, callbacks: Sequence[Callback]):
        self.checkpoints, self.callbacks = checkpoints, callbacks

    def on_epoch_end(self, net, **kwargs):
        """Keep the state where it is time to."""
        if len(net.history) % self.checkpoints.store.every == 0:
            self.checkpoints.write(net, self.callbacks)


def _pack_callback(callback: Callback) -> dict[str, Any]:
    """Return the attributes of a callback that change from epoch to epoch."""
    return {name: _pack(getattr(callback, name)) for name in getattr(callback, "lasting", ())}


def _pack_net(net) -> dict[str, Any]:
    return {
        "values": _pack(net.step_.copy_values()),
        "moments": _pack(net.step_.copy_moments()),
        "draws": pack_draws(net.module_),
        "drawn_ahead": _pack(net.step_.copy_draws()),
        "rates": [float(group["lr"]) for group in net.optimizer_.param_groups],
        "n_steps": net.n_steps_,
        "history": pack_history(net.history),
    }


def _unpack_net_(net, state: dict[str, Any]) -> None:
    # A state names the kind of an optimiser; these are the kinds that there may be.
    kinds = {_name(kind): kind for kind in _find_kinds(net.step_.copy_moments())}
    net.step_.load_values_(_unpack(state["values"]))
    net.step_.load_moments_(_unpack(state["moments"], kinds))
    net.step_.load_draws_(_unpack(state["drawn_ahead"]))
    for name, part in find_drawing(net.module_):
        part.unpack_draws_(state["draws"][f"{name}.draws"])
    for group, rate in zip(net.optimizer_.param_groups, state["rates"], strict=True):
        group["lr"] = rate
    net.n_steps_, net.history_ = state["n_steps"], unpack_history(state["history"])


_KIND = "kind"


def _pack(value: Any) -> Any:
    """Return nested values with arrays for tensors, and names for classes."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().numpy()
    if isinstance(value, type):
        return {_KIND: _name(value)}
    if isinstance(value, dict):
        return {key: _pack(own) for key, own in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_pack(own) for own in value)
    return value


def _unpack(value: Any, kinds: dict[str, type] | None = None) -> Any:
    """Return what `_pack` was given."""
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


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
