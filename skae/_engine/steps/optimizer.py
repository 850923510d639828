"""AdamW for the parts of an autoencoder."""

import inspect
from collections.abc import Sequence

import torch
from torch import nn

from skae._engine.settings import LoopSettings
from skae.modules import Autoencoder

_BETAS = (0.9, 0.99)
# Gradients at the level of rounding errors must not move weights, so that equal data give equal
# fits. The loss is a mean over the features, so its gradients shrink with their number.
_EPSILON_OF_SUM = 1e-5
# The linear path usually starts close to its optimum, so its learning rate is lower.
LINEAR_PATH_RATE = 0.2


class AdamW(torch.optim.AdamW):
    """AdamW that is made without torch's compiler, whose import takes longer than a small fit."""

    add_param_group = inspect.unwrap(torch.optim.AdamW.add_param_group)


def adamw_groups(
    loop: LoopSettings, n_features: int, *, linear_path: bool, path_rate: float = LINEAR_PATH_RATE
) -> list[dict]:
    """Return AdamW's settings for the parameters of an autoencoder.

    They are for the encoder and the decoder and, if there is one, for the linear path, whose
    learning rate is `path_rate` times that of the loop.
    """
    stacks: dict = {
        "lr": loop.learning_rate_init,
        "betas": _BETAS,
        "eps": _EPSILON_OF_SUM / n_features,
        "weight_decay": loop.weight_decay,
        # One call for all parameters instead of one for each operation.
        "fused": True,
    }
    if not linear_path:
        return [stacks]
    path = {**stacks, "lr": stacks["lr"] * path_rate, "weight_decay": 0.0}
    return [stacks, path]


def make_adamw(module: Autoencoder, groups: Sequence[dict]) -> AdamW:
    """Return an optimiser of all parameters with settings returned by `adamw_groups`."""
    parts = zip(split_parameters(module), groups, strict=True)
    return AdamW([{"params": part, **group} for part, group in parts])


def split_parameters(module: Autoencoder) -> list[list[nn.Parameter]]:
    """Return the parameters in the groups of `adamw_groups`."""
    if module.linear_path is None:
        return [list(module.parameters())]
    linear_path = list(module.linear_path.parameters())
    names = set(map(id, linear_path))
    return [[p for p in module.parameters() if id(p) not in names], linear_path]


def is_own_adamw(
    optimizer: torch.optim.Optimizer, module: Autoencoder, others: Sequence[nn.Parameter]
) -> bool:
    """Return whether an optimiser updates a module as one of `make_adamw` would.

    `others` are parameters of the module that another optimiser trains.
    """
    groups = optimizer.param_groups
    if type(optimizer) not in (AdamW, torch.optim.AdamW) or any(
        group["amsgrad"] or group["maximize"] for group in groups
    ):
        return False
    left_out = set(map(id, others))
    expected = [set(map(id, part)) - left_out for part in split_parameters(module)]
    return [set(map(id, group["params"])) for group in groups] == expected
