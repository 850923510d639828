"""Structure of a network, from which the network can be built without its parameters."""

from dataclasses import dataclass, fields
from typing import Any

import torch

from skae._engine.settings import DTYPES
from skae.architectures._base import Architecture
from skae.modules import StackPlan


@dataclass(frozen=True)
class NetworkPlan:
    """Everything that determines the parameters of a network and their shapes."""

    sample_shape: tuple[int, ...]
    n_components: int
    architecture: Architecture
    hidden_layer_sizes: tuple[int, ...] | str
    activation: str
    normalization: str | None
    dropout: float
    tied_weights: bool
    linear_path: bool
    """Whether there is a linear path, beside which the stacks start as zero functions."""

    filling: str | None
    """Distribution that fills missing cells, "mean" or "normal". None if none can be missing."""

    bounded: bool
    """Whether reconstructions are bounded."""

    dtype: str
    options: tuple[tuple[str, Any], ...]
    """Names and values of the options of the family."""

    @property
    def n_features(self) -> int:
        return self.stack_plan(1, None).n_features

    @property
    def torch_dtype(self) -> torch.dtype:
        return DTYPES[self.dtype]

    def stack_plan(self, n_outputs: int, generator: torch.Generator | None) -> StackPlan:
        """Return the plan of encoder and decoder, with `n_outputs` outputs per code."""
        return StackPlan(
            sample_shape=self.sample_shape,
            n_components=self.n_components,
            n_encoder_outputs=n_outputs * self.n_components,
            hidden_layer_sizes=self.hidden_layer_sizes,
            activation=self.activation,
            normalization=self.normalization,
            dropout=self.dropout,
            tied_weights=self.tied_weights,
            masked=self.filling is not None,
            zero_last=self.linear_path,
            dtype=self.torch_dtype,
            generator=generator,
        )

    def find_differences(self, other: "NetworkPlan") -> dict[str, tuple[Any, Any]]:
        """Return the parameters that differ, with the values of both plans."""
        own, theirs = _list_values(self), _list_values(other)
        names = sorted(own.keys() | theirs.keys())
        pairs = {name: (own.get(name), theirs.get(name)) for name in names}
        return {
            name: pair for name, pair in pairs.items() if _describe(pair[0]) != _describe(pair[1])
        }


def _list_values(plan: NetworkPlan) -> dict[str, Any]:
    values = {field.name: getattr(plan, field.name) for field in fields(plan)}
    values |= {"init": "pca" if values.pop("linear_path") else "random"}
    values |= {"missing": "mask" if values.pop("filling") else None}
    del values["bounded"]
    return dict(values.pop("options")) | values


def _describe(value):
    """Return the type and the parameters of an object, by which it is compared."""
    if hasattr(value, "get_params"):
        return type(value), {name: _describe(own) for name, own in value.get_params().items()}
    return value
