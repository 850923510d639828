"""New networks for a table: random hidden layers, beside a linear path that is its PCA."""

import numpy as np
import torch
from torch import nn

from skae._training._losses import make_output
from skae._training._missing import MaskedPrincipalComponents
from skae._training._noise import find_input_scale
from skae._training._principal_components import PrincipalComponents
from skae._training._problem import TrainingProblem
from skae.modules import (
    Autoencoder,
    CodeBasis,
    LinearPath,
    StackPlan,
)

# Codes that vary by more than so many times PCA's error per cell all count as equally wide.
_GREATEST_SPREAD = 100.0


def make_module(
    problem: TrainingProblem, components: PrincipalComponents, generator: torch.Generator
) -> Autoencoder:
    """Return a new network that starts from principal components.

    Parameters
    ----------
    problem : TrainingProblem
        The table, and the settings that describe the network.
    components : PrincipalComponents
        Those of the table, or of a part of it.
    generator : torch.Generator
        Source of the weights.

    Returns
    -------
    module : Autoencoder
        On the CPU.
    """
    latent = problem.settings.latent
    if latent is None:
        module = _make_plain(problem, components, generator)
    else:
        stacks = _make_stacks(problem, generator, latent.n_outputs * problem.n_components)
        module = latent.make_module(problem, components, stacks, generator)
    if isinstance(components, MaskedPrincipalComponents):
        module.filling = components.distribution.make_filling(
            problem.standardization, module.input_scale
        )
    return module


def _make_plain(problem: TrainingProblem, components, generator) -> Autoencoder:
    """Return a new network of which nothing is known of the codes."""
    settings, n_components = problem.settings, problem.n_components
    encoder, decoder = _make_stacks(problem, generator, n_components)
    input_scale = find_input_scale(problem)
    code_scale = torch.ones(n_components, dtype=settings.torch_dtype)
    linear_path = None
    if settings.init == "pca":
        code_scale[: len(components.components)] = _find_code_scale(problem, components)
        linear_path = _make_linear_path(problem, components, input_scale, code_scale)
    return Autoencoder(
        encoder,
        decoder,
        CodeBasis(n_components, dtype=settings.torch_dtype),
        input_scale,
        code_scale,
        linear_path=linear_path,
        output=make_output(problem),
        sparsity=_make_sparsity(problem),
    )


def _make_stacks(
    problem: TrainingProblem, generator, n_encoder_outputs: int
) -> tuple[nn.Module, nn.Module]:
    """Return the encoder and the decoder; beside a linear path they start as zero functions."""
    settings = problem.settings
    plan = StackPlan(
        sample_shape=settings.sample_shape or (problem.n_features,),
        n_components=problem.n_components,
        n_encoder_outputs=n_encoder_outputs,
        hidden_layer_sizes=settings.hidden_layer_sizes,
        activation=settings.activation,
        normalization=settings.normalization,
        dropout=settings.dropout,
        tied_weights=settings.tied_weights,
        masked=settings.masked,
        zero_last=settings.init == "pca",
        dtype=settings.torch_dtype,
        generator=generator,
    )
    return settings.architecture.make_stacks(plan)


def _find_code_scale(problem: TrainingProblem, components: PrincipalComponents) -> torch.Tensor:
    """Return what gives the widest code unit size, and the others their share of that.

    Smaller codes at their own size make smoother decoders, which do better on new rows. Penalties
    take codes of one size.
    """
    spread = np.sqrt(components.explained_variance) / problem.standardization.scale
    if not problem.settings.shapes_codes:
        spread = spread.clip(min=min(spread.max(initial=0.0), _GREATEST_SPREAD))
    return problem.tensor(1 / spread)


@torch.no_grad()
def _make_sparsity(problem: TrainingProblem) -> nn.Module | None:
    """Return the part that sets codes to zero, None where there is none."""
    sparsity = problem.settings.sparsity
    if sparsity is None:
        return None
    module = sparsity.make_module(problem.n_components)
    if not isinstance(module, nn.Module):
        raise ValueError(
            f"{sparsity!r} must make a torch module. Got {type(module).__name__}. Let the class of "
            "what it returns derive from torch.nn.Module."
        )
    module = module.to(problem.settings.torch_dtype)
    codes = torch.zeros(2, problem.n_components, dtype=problem.settings.torch_dtype)
    found = getattr(module(codes), "shape", None)
    if found != codes.shape:
        raise ValueError(
            f"{sparsity!r} must make a module that returns codes of shape (n, {codes.shape[1]}). "
            f"Got {found if found is None else ('n', *found[1:])}. Set codes to zero, and leave "
            "their number as it is."
        )
    return module


def _make_linear_path(problem, components, input_scale, code_scale) -> LinearPath:
    """Return PCA in terms of scaled rows and codes; codes without an axis start at zero."""
    axes = torch.zeros(len(code_scale), len(input_scale), dtype=input_scale.dtype)
    axes[: len(components.components)] = problem.tensor(components.components)
    return LinearPath(axes / input_scale, axes / code_scale[:, None])
