"""Training step of adversarial autoencoders, with two optimisers in turn."""

from collections.abc import Sequence

import torch
from torch import Tensor

from skae._engine.steps.autograd import AutogradStep, load_states_
from skae._engine.steps.optimizer import AdamW
from skae.objectives import AdversarialObjective

# Learning rate of the discriminator, independent of that of the autoencoder, and the least share of
# it under a schedule, so that the discriminator does not fall behind codes that still change.
_RATE = 0.01
_LEAST_RATE = 0.1
# Low momentum, as the distribution of the codes keeps changing.
_BETAS = (0.5, 0.99)


def make_discriminator_groups(rates: Sequence[float], greatest: Sequence[float]) -> list[dict]:
    """Return AdamW's settings for discriminators, given the autoencoders' current rates."""
    shares = [rate / own for rate, own in zip(rates, greatest, strict=True)]
    fixed = {"betas": _BETAS, "eps": 1e-8, "weight_decay": 0.01}
    return [{"lr": _RATE * max(share, _LEAST_RATE), **fixed} for share in shares]


class AdversarialStep(AutogradStep):
    """Training step that updates a discriminator first, then the autoencoder.

    The parameters are those of `AutogradStep`: one optimizer per autoencoder. The step creates
    those of the discriminators, `discriminator_optimizers`.
    """

    objective: AdversarialObjective

    def __init__(self, modules, objective, optimizers, **params):
        super().__init__(modules, objective, optimizers, **params)
        self._greatest_rates = [groups[0]["lr"] for groups in self.groups]
        self.discriminator_optimizers = [
            AdamW(
                module.discriminator.parameters(),
                **make_discriminator_groups([1.0], [1.0])[0],
                fused=True,
            )
            for module in modules
        ]
        self._losses: list[Tensor] = []

    def _find_loss(self, module, inputs, rows, weights) -> tuple[Tensor, Tensor]:
        code = module.encode_raw(inputs)
        self._train_discriminator(self.modules.index(module), code.detach(), weights)
        return self.objective.of_code(module, code, rows, weights)

    def _train_discriminator(self, model: int, code: Tensor, weights):
        optimizer = self.discriminator_optimizers[model]
        rate = self.groups[model][0]["lr"]
        (settings,) = make_discriminator_groups([rate], [self._greatest_rates[model]])
        for group in optimizer.param_groups:
            group["lr"] = settings["lr"]
        # Clear gradients that the backward pass of the autoencoder has left here.
        optimizer.zero_grad()
        loss = self.objective.discriminate(self.modules[model], code, weights)
        loss.backward()
        parameters = self.modules[model].discriminator.parameters()
        self.exchange_([parameter.grad for parameter in parameters])
        optimizer.step()
        self._losses.append(loss.detach())

    def copy_moments(self):
        """Return the type of the optimisers and their states, those of discriminators last."""
        kind, states = super().copy_moments()
        own = [optimizer.state_dict()["state"] for optimizer in self.discriminator_optimizers]
        return kind, [*states, *own]

    def load_moments_(self, moments):
        if moments is None:
            return
        (kind, states), n_models = moments, len(self.modules)
        super().load_moments_((kind, states[:n_models]))
        load_states_(self.discriminator_optimizers, states[n_models:])

    def take_records(self) -> dict[str, float]:
        return take_losses_(self._losses)


def take_losses_(losses: list[Tensor]) -> dict[str, float]:
    """Return the mean loss of the discriminators, as a record, and empty the list of losses."""
    record = {"discriminator_loss": float(torch.stack(losses).mean())} if losses else {}
    losses.clear()
    return record
