"""New networks for a table: random hidden layers, beside a linear path that is its PCA."""

import numpy as np
import torch
from torch import nn

from skae._training._losses import make_output
from skae._training._missing import MaskedPrincipalComponents
from skae._training._noise import find_input_deviations
from skae._training._principal_components import PrincipalComponents
from skae._training._problem import TrainingProblem
from skae.modules import (
    Autoencoder,
    CodeBasis,
    LinearPath,
    StackPlan,
    TopK,
)

# Codes that vary by more than so many times PCA's error per cell all count as equally wide.
_GREATEST_SPREAD = 100.0
# Of the codes that "top_k" keeps where no `alpha` was given.
_SHARE_OF_CODES = 0.25


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
    deviations = find_input_deviations(problem)
    # Constant features stay as they are.
    input_scale = torch.where(deviations > 0, 1 / deviations, 1.0)
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
    if problem.settings.penalty is None:
        spread = spread.clip(min=min(spread.max(initial=0.0), _GREATEST_SPREAD))
    return problem.tensor(1 / spread)


def _make_sparsity(problem: TrainingProblem) -> TopK | None:
    """Return what keeps codes sparse, None where nothing does."""
    if problem.settings.penalty != "top_k":
        return None
    share = _SHARE_OF_CODES if problem.settings.alpha is None else problem.settings.alpha
    return TopK(max(1, round(share * problem.n_components)))


def _make_linear_path(problem, components, input_scale, code_scale) -> LinearPath:
    """Return PCA in terms of scaled rows and codes; codes without an axis start at zero."""
    axes = torch.zeros(len(code_scale), len(input_scale), dtype=input_scale.dtype)
    axes[: len(components.components)] = problem.tensor(components.components)
    return LinearPath(axes / input_scale, axes / code_scale[:, None])
