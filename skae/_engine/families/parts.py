"""Parts that several families have: stacks, linear path, filling, output and loss."""

from typing import Any

import torch
from torch import Tensor, nn

from skae._engine.families.plan import NetworkPlan
from skae._engine.start.incomplete import MaskedPrincipalComponents
from skae._engine.start.prepared_table import PreparedTable
from skae._engine.start.principal_components import PrincipalComponents
from skae._engine.tables.units import Units, make_blank_units
from skae.modules import (
    Autoencoder,
    CodeBasis,
    ExponentialOutput,
    GaussianFilling,
    LinearOutput,
    LinearPath,
    LogisticOutput,
    MixedOutput,
)
from skae.objectives import ColumnUnits, PreparedLoss, ReconstructionLoss

# Outputs of the network in the units of X, by the link of the loss.
_OUTPUTS: dict[str, type[nn.Module]] = {
    "logistic": LogisticOutput,
    "exponential": ExponentialOutput,
    "mixed": MixedOutput,
}


def make_parts(
    plan: NetworkPlan, generator: torch.Generator | None, n_outputs: int = 1
) -> dict[str, Any]:
    """Return the parts common to the networks of all families, as arguments of `Autoencoder`.

    The encoder has `n_outputs` outputs per code. Encoder and decoder are zero functions if there is
    a linear path; the other parts have no values yet.
    """
    encoder, decoder = plan.architecture.make_stacks(plan.stack_plan(n_outputs, generator))
    units = make_blank_units(plan.n_features, plan.torch_dtype, bounded=plan.bounded)
    return {
        "encoder": encoder,
        "decoder": decoder,
        "basis": CodeBasis(plan.n_components, dtype=plan.torch_dtype),
        "input_scale": torch.ones(plan.n_features, dtype=plan.torch_dtype),
        "linear_path": _make_linear_path(plan),
        "output": make_output(dict(plan.options)["loss"], units),
        "filling": _make_filling(plan),
    }


def _make_linear_path(plan: NetworkPlan) -> LinearPath | None:
    if not plan.linear_path:
        return None
    shape = plan.n_components, plan.n_features
    projection, back_projection = torch.zeros(2, *shape, dtype=plan.torch_dtype)
    return LinearPath(projection.clone(), back_projection.clone())


def _make_filling(plan: NetworkPlan) -> GaussianFilling | None:
    if plan.filling is None:
        return None
    n_features, dtype = plan.n_features, plan.torch_dtype
    identity = None
    if plan.filling == "normal":
        # Without storage, `torch.eye` imports torch's compiler.
        identity = torch.zeros(n_features, n_features, dtype=dtype).fill_diagonal_(1)
    return GaussianFilling(torch.zeros(n_features, dtype=dtype), identity)


@torch.no_grad()
def start_parts_(
    module: Autoencoder,
    table: PreparedTable,
    components: PrincipalComponents,
    input_scale: Tensor,
    link: str | tuple,
) -> None:
    """Set the input scale, the output and the filling of a network.

    `components` must have a distribution if cells may be missing. `input_scale` has positive
    factors that scale the columns to about unit size. The output depends on the link of the loss.
    """
    module.input_scale.copy_(input_scale)
    module.output.load_state_dict(make_output(link, table.units).state_dict())
    if isinstance(components, MaskedPrincipalComponents) and module.filling is not None:
        filling = components.distribution.make_filling(table.standardization, module.input_scale)
        module.filling.load_state_dict(filling.state_dict())


def start_linear_path_(module: Any, axes: Tensor, back_axes: Tensor) -> None:
    """Initialise the linear path. Codes beyond the number of axes stay zero.

    `axes` and `back_axes` of shape (n_found, n_features) map standardised rows to codes, and scaled
    codes back to rows.
    """
    module.linear_path.start_(axes / module.input_scale, back_axes)


def make_output(link: str | tuple, units: Units) -> nn.Module:
    """Return the part of the network that turns the decoder's output into reconstructions."""
    name, *structure = (link,) if isinstance(link, str) else link
    if name in _OUTPUTS:
        return _OUTPUTS[name](units.mean, units.scale, *structure)
    return LinearOutput(*units.limits)


def make_loss(loss: ReconstructionLoss, units: Units, *, masked: bool) -> PreparedLoss:
    """Return the loss prepared for a table, whose cells may be missing if `masked`."""
    lower, upper = units.limits if loss.link == "identity" else (None, None)
    return loss.prepare(ColumnUnits(units.mean, units.scale, lower, upper), masked=masked)
