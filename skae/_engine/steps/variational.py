"""Training step of dense variational autoencoders with explicit gradients.

Shapes are those of `skae._engine.steps.dense`. The encoders have two outputs per code, for mean and
variance of the posterior.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from skae._engine.judgement import find_row_errors
from skae._engine.steps.dense import (
    DenseStep,
    FlatParameters,
    StackStep,
    is_plain,
    make_stack_steps,
)
from skae.modules import VariationalAutoencoder
from skae.modules._variational import LOG_VARIANCE_LIMITS
from skae.objectives import LIKELIHOODS, NegativeELBO, NoisyLikelihood, gaussian_divergence
from skae.objectives._draws import fresh_generator


class VariationalStep(DenseStep):
    """Training step for m dense variational autoencoders of one shape.

    Parameters
    ----------
    modules : list of VariationalAutoencoder
        Networks. Their parameters become views of the buffers of this step.
    objective : NegativeELBO
        Objective of each network.
    groups : list of list of dict
        Settings of AdamW for each network, as for `DenseStep`.
    """

    modules: Sequence[VariationalAutoencoder]
    objective: NegativeELBO

    def __init__(self, modules: Sequence[VariationalAutoencoder], objective: NegativeELBO, groups):
        self.likelihood: Any = modules[0].likelihood
        self.is_noisy = isinstance(self.likelihood, NoisyLikelihood)
        super().__init__(modules, objective, groups, self.likelihood.loss)
        self.log_variance = torch.stack([module.log_variance for module in modules])[:, None]

    def take_stacks(self) -> tuple[list[FlatParameters], tuple[StackStep, StackStep]]:
        """Return the parameters of each network in one buffer, and the passes of the stacks."""
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

    def accumulate_(self, inputs: Tensor, rows: Tensor, weights: Tensor | None = None) -> Tensor:
        """Compute the gradients of one batch of each network explicitly."""
        objective = self.objective
        generator = fresh_generator() if objective.generator is None else objective.generator
        rows = self.likelihood.observe(rows, generator)
        mean, log_variance = self._find_posterior(rows)
        noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype, device="cpu")
        noise = noise.to(mean.device)
        deviation = torch.exp(log_variance / 2)
        output = self.decode((mean + deviation * noise) * self.code_scale)

        _, n_rows, n_features = rows.shape
        shares = rows.new_ones(rows.shape[:2]) if weights is None else weights
        factors = (shares / (n_rows * n_features))[..., None]
        distances, by_output = self.loss.rows_and_gradient_(
            output, rows, factors * self._precision[:, None, None]
        )
        divergences = gaussian_divergence(mean, log_variance).sum(-1)
        losses = self._add_up(distances, divergences, objective.present_beta, n_features)
        self._store_scale_gradient(distances, shares)

        by_code = self.decode_backward(by_output) * self.code_scale
        factors = factors * objective.present_beta
        by_mean = by_code + factors * mean
        by_log_variance = (by_code * noise * deviation + factors * log_variance.expm1()) / 2
        self._encode_backward(by_mean, by_log_variance)
        return (losses * shares).mean(1)

    def _find_posterior(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return copies of mean and log variance (m, b, k) of the codes."""
        n_codes = self.code_scale.shape[-1]
        self.scaled_inputs = rows * self.input_scale
        outputs = self.encoder.forward(self.scaled_inputs)
        mean = outputs[..., :n_codes].contiguous()
        if self.linear_path is not None:
            mean = self.linear_path.encode_(mean, self.scaled_inputs)
        log_variance = outputs[..., n_codes:] + self.log_variance
        limited = log_variance.clamp(*LOG_VARIANCE_LIMITS)
        self.is_free = limited == log_variance
        return mean / self.code_scale, limited - 2 * self.code_scale.log()

    def _encode_backward(self, by_mean: Tensor, by_log_variance: Tensor):
        """Store the gradients of the encoder, given those by mean and log variance of the codes."""
        by_mean = by_mean / self.code_scale
        if self.linear_path is not None:
            self.linear_path.encode_backward(by_mean)
        both = torch.cat([by_mean, by_log_variance * self.is_free], -1)
        self.encoder.backward(both, to_inputs=False)

    @property
    def _log_scale(self) -> Tensor:
        """Logarithm of the noise scale of each network, of shape (m,), not bounded."""
        return self.parameters[0].views[-1]

    @property
    def _bounded_log_scale(self) -> Tensor:
        return self._log_scale.clamp_min(self.likelihood.least_log_scale)

    @property
    def _precision(self) -> Tensor:
        """Factor (m,) of the distance of a cell in its negative log-density."""
        if not self.is_noisy:
            return self.code_scale.new_ones(len(self.modules))
        power = self.likelihood.power
        return torch.exp(-power * self._bounded_log_scale) / power

    def _add_up(
        self, distances: Tensor, divergences: Tensor, beta: float, n_features: int
    ) -> Tensor:
        """Return the losses (m, b) of rows, given mean distances of their cells and divergences."""
        losses = distances * self._precision[:, None] + divergences * (beta / n_features)
        if self.is_noisy:
            losses += self.likelihood.log_constant + self._bounded_log_scale[:, None]
        return losses

    def _store_scale_gradient(self, distances: Tensor, shares: Tensor):
        if not self.is_noisy:
            return
        by_row = 1 - self.likelihood.power * self._precision[:, None] * distances
        is_free = self._log_scale >= self.likelihood.least_log_scale
        self.parameters[0].gradient_views[-1].copy_((by_row * shares).mean(1) * is_free)

    @torch.no_grad()
    def judge(self, inputs: Tensor, rows: Tensor) -> tuple[Tensor, ...]:
        """Return the loss and the squared error of each row, without training."""
        generators = [fresh_generator() for _ in self.modules]
        observed = torch.stack(
            [self.likelihood.observe(*own) for own in zip(rows, generators, strict=True)]
        )
        mean, log_variance = self._find_posterior(observed)
        # All networks are judged with the same draws.
        noise = torch.randn(mean.shape[1:], generator=generators[0], dtype=mean.dtype, device="cpu")
        code = mean + torch.exp(log_variance / 2) * noise.to(mean.device)
        distances = self.loss.rows(self.decode(code * self.code_scale), observed)
        divergences = gaussian_divergence(mean, log_variance).sum(-1)
        losses = self._add_up(distances, divergences, self.objective.beta, rows.shape[-1])
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
