"""Training step of dense variational autoencoders with explicit gradients.

Shapes are those of `skae._engine.steps.dense`. The encoders have two outputs per code, for mean and
variance of the posterior.
"""

import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from skae._engine.judgement import find_row_errors
from skae._engine.steps.dense import DenseNetworks, DenseStep, make_stack_steps
from skae._engine.steps.flat import FlatParameters
from skae._engine.steps.passes import StackStep
from skae._engine.steps.products import make_stack
from skae._engine.steps.stacks import is_plain
from skae.modules import VariationalAutoencoder
from skae.modules._variational import LOG_VARIANCE_LIMITS
from skae.objectives import LIKELIHOODS, NegativeELBO, NoisyLikelihood, gaussian_divergence
from skae.objectives._draws import fresh_generator


class PosteriorNetworks(DenseNetworks):
    """Forward and backward passes of m dense variational autoencoders of one shape.

    `likelihood` is that of one of the models, for everything that they have in common.
    `log_variance` (m, 1, k) is added to the logarithm of the posterior variance of each code.
    """

    likelihood: Any
    log_variance: Tensor

    @property
    def posterior_views(self) -> tuple[list[Tensor], list[Tensor]]:
        """Parameters of stacks and likelihoods, and their gradients."""
        raise NotImplementedError

    def find_distances_(self, output: Tensor, rows: Tensor, factors) -> tuple[Tensor, Tensor]:
        """Return the mean distances of the cells of rows, and turn the outputs into gradients."""
        raise NotImplementedError

    def bound_(self, rows: Tensor, noise: Tensor, shares: Tensor, betas: Tensor) -> Tensor:
        """Store the gradients of the negative evidence lower bound, and return the losses (m, b).

        `rows` (m, b, p) are those to reconstruct, as the likelihood observes them, `noise` (m, b,
        k) are standard normal draws, `shares` (m, b) the weights of the rows, and `betas` (m,) the
        factors of the divergence.
        """
        _, n_rows, n_features = rows.shape
        mean, log_variance = self.find_posterior(rows)
        deviation, precision = torch.exp(log_variance / 2), self.find_precision()
        code = self._take_memory("code", n_rows, mean.shape[-1])
        torch.mul(mean + deviation * noise, self.code_scale, out=code)
        output = self.decode(code)

        factors = (shares / (n_rows * n_features))[..., None]
        distances, by_output = self.find_distances_(
            output, rows, factors * precision[:, None, None]
        )
        divergences = gaussian_divergence(mean, log_variance).sum(-1)
        losses = self.add_up(distances, divergences, betas / n_features, precision)
        self._store_scale_gradient(distances, shares, precision)

        by_code = self.decode_backward(by_output) * self.code_scale
        factors = factors * betas[:, None, None]
        by_mean = by_code + factors * mean
        by_log_variance = (by_code * noise * deviation + factors * log_variance.expm1()) / 2
        self._encode_backward(by_mean, by_log_variance)
        return losses * shares

    def find_posterior(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean and the logarithm of the variance (m, b, k) of codes, in new memory."""
        n_rows, n_codes = rows.shape[1], self.code_scale.shape[-1]
        scaled = self._take_memory("scaled rows", n_rows, rows.shape[-1])
        torch.mul(rows, self.input_scale, out=scaled)
        outputs = self.encoder.forward(scaled)
        mean = self._take_memory("mean", n_rows, n_codes).copy_(outputs[..., :n_codes])
        if self.linear_path is not None:
            mean = self.linear_path.encode_(mean, scaled)
        log_variance = outputs[..., n_codes:] + self.log_variance
        limited = log_variance.clamp(*LOG_VARIANCE_LIMITS)
        self.is_free = limited == log_variance
        return mean / self.code_scale, limited - 2 * self.code_scale.log()

    def _encode_backward(self, by_mean: Tensor, by_log_variance: Tensor):
        """Store the encoder's gradients, given those with respect to mean and log-variance."""
        _, n_rows, n_codes = by_mean.shape
        both = self._take_memory("gradients", n_rows, 2 * n_codes)
        torch.div(by_mean, self.code_scale, out=both[..., :n_codes])
        torch.mul(by_log_variance, self.is_free, out=both[..., n_codes:])
        if self.linear_path is not None:
            by_path = self._take_memory("gradient of the path", n_rows, n_codes)
            self.linear_path.encode_backward(by_path.copy_(both[..., :n_codes]))
        self.encoder.backward(both, to_inputs=False)

    def _take_memory(self, name: str, n_rows: int, n_columns: int) -> Tensor:
        """Return the matrices (m, n_rows, n_columns) that are kept under a name."""
        key = name, n_rows
        if key not in self.memory:
            shape = len(self.code_scale), n_rows, n_columns
            self.memory[key] = make_stack(shape, self.code_scale)
        return self.memory[key]

    @functools.cached_property
    def memory(self) -> dict[tuple[str, int], Tensor]:
        """Matrices that are kept from step to step, by name and number of rows."""
        return {}

    @property
    def is_noisy(self) -> bool:
        """Whether the scale of the noise is learned."""
        return isinstance(self.likelihood, NoisyLikelihood)

    @property
    def _log_scale(self) -> Tensor:
        """Logarithm of the noise scale of each model, of shape (m,), without a bound."""
        return self.posterior_views[0][-1]

    @property
    def _bounded_log_scale(self) -> Tensor:
        return self._log_scale.clamp_min(self.likelihood.least_log_scale)

    def find_precision(self) -> Tensor:
        """Return the factor (m,) of a cell's distance in its negative log-density."""
        if not self.is_noisy:
            return self.code_scale.new_ones(len(self.code_scale))
        power = self.likelihood.power
        return torch.exp(-power * self._bounded_log_scale) / power

    def add_up(
        self, distances: Tensor, divergences: Tensor, factors: Tensor, precision: Tensor
    ) -> Tensor:
        """Return the losses of rows (m, b), given mean distances of their cells and divergences.

        Divergences have a factor for each model, and distances have the precision.
        """
        losses = distances * precision[:, None] + divergences * factors[:, None]
        if self.is_noisy:
            losses += self.likelihood.log_constant + self._bounded_log_scale[:, None]
        return losses

    def _store_scale_gradient(self, distances: Tensor, shares: Tensor, precision: Tensor):
        if not self.is_noisy:
            return
        by_row = 1 - self.likelihood.power * precision[:, None] * distances
        is_free = self._log_scale >= self.likelihood.least_log_scale
        self.posterior_views[1][-1].copy_((by_row * shares).mean(1) * is_free)


class VariationalStep(PosteriorNetworks, DenseStep):
    """Training step for m dense variational autoencoders of one shape.

    The parameters are those of `DenseStep`, with a `NegativeELBO` as the objective.
    """

    modules: Sequence[VariationalAutoencoder]
    objective: NegativeELBO

    def __init__(self, modules: Sequence[VariationalAutoencoder], objective: NegativeELBO, groups):
        self.likelihood = modules[0].likelihood
        DenseStep.__init__(self, modules, objective, groups, self.likelihood.loss)
        self.log_variance = torch.stack([module.log_variance for module in modules])[:, None]

    def take_stacks(self) -> tuple[list[FlatParameters], tuple[StackStep, StackStep]]:
        flat = FlatParameters(
            [
                [
                    *module.encoder.parameters(),
                    *module.decoder.parameters(),
                    *module.likelihood.parameters(),
                ]
                for module in self.modules
            ]
        )
        return [flat], make_stack_steps(self.modules[0], flat)

    @property
    def posterior_views(self) -> tuple[list[Tensor], list[Tensor]]:
        return self.parameters[0].views, self.parameters[0].gradient_views

    def accumulate_(self, inputs: Tensor, rows: Tensor, weights: Tensor | None = None) -> Tensor:
        rows, noise = self.draw(rows)
        shares = rows.new_ones(rows.shape[:2]) if weights is None else weights
        betas = rows.new_full((len(rows),), self.objective.present_beta)
        return self.bound_(rows, noise, shares, betas)

    def draw(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return rows as the likelihood observes them, and the noise (m, b, k) of their codes."""
        generator = self.objective.generator
        generator = fresh_generator() if generator is None else generator
        rows = self.likelihood.observe(rows, generator)
        shape = *rows.shape[:2], self.code_scale.shape[-1]
        noise = torch.randn(shape, generator=generator, dtype=rows.dtype, device="cpu")
        return rows, noise.to(rows.device)

    def find_distances_(self, output: Tensor, rows: Tensor, factors) -> tuple[Tensor, Tensor]:
        return self.loss.rows_and_gradient_(output, rows, factors)

    def judge_rows(self, inputs: Tensor, rows: Tensor) -> tuple[Tensor, ...]:
        generators = [fresh_generator() for _ in self.modules]
        observed = torch.stack(
            [self.likelihood.observe(*own) for own in zip(rows, generators, strict=True)]
        )
        mean, log_variance = self.find_posterior(observed)
        # All models are judged with the same draws.
        noise = torch.randn(mean.shape[1:], generator=generators[0], dtype=mean.dtype, device="cpu")
        code = mean + torch.exp(log_variance / 2) * noise.to(mean.device)
        distances = self.loss.rows(self.decode(code * self.code_scale), observed)
        divergences = gaussian_divergence(mean, log_variance).sum(-1)
        factors = rows.new_full((len(rows),), self.objective.beta / rows.shape[-1])
        losses = self.add_up(distances, divergences, factors, self.find_precision())
        output = self.decode(mean * self.code_scale)
        return losses, find_row_errors(self.output(output), rows)


def is_variational(module: nn.Module, objective: Any) -> bool:
    """Return whether `VariationalStep` can train a module for an objective."""
    return (
        type(module) is VariationalAutoencoder
        and all(is_plain(stack) for stack in (module.encoder, module.decoder))
        and module.filling is None
        and type(objective) is NegativeELBO
        and type(module.likelihood) in LIKELIHOODS.values()
        and module.likelihood.loss.has_gradient
        and not module.likelihood.loss.masked
    )
