"""The skorch net of an adversarial autoencoder: two optimisers take turns."""

import torch
from skorch.dataset import unpack_data
from skorch.utils import TeeGenerator

from skae._training._net import AutoencoderNet
from skae.objectives import AdversarialObjective

# Of the discriminator, whatever that of the autoencoder; and what the schedule leaves of it in the
# end, so that the discriminator does not fall behind codes that still change.
_RATE = 0.01
_LEAST_RATE = 0.1
# Little momentum, as the codes that it looks at move away.
_BETAS = (0.5, 0.99)


class AdversarialNet(AutoencoderNet):
    """A skorch net in which a discriminator learns to tell codes from draws of the prior.

    At each step the discriminator learns first, then the autoencoder. The history has the mean
    loss of both in each epoch: "train_loss" and "discriminator_loss".

    Attributes
    ----------
    discriminator_optimizer_ : torch.optim.Optimizer
        Of the discriminator; `optimizer_` is that of the autoencoder.
    """

    criterion_: AdversarialObjective
    discriminator_optimizer_: torch.optim.Optimizer

    def initialize_optimizer(self, triggered_directly=None):
        """Initialise both optimisers."""
        super().initialize_optimizer(triggered_directly)
        self.discriminator_optimizer_ = torch.optim.AdamW(
            self.module_.discriminator.parameters(), lr=_RATE, betas=_BETAS, fused=True
        )
        return self

    def get_all_learnable_params(self):
        """Yield the parameters of the autoencoder, for its optimiser."""
        for name, parameter in self.module_.named_parameters():
            if not name.startswith("discriminator."):
                yield name, parameter

    def train_step(self, batch, **fit_params):
        """Make a step of both networks.

        Parameters
        ----------
        batch : tuple
            Rows, and their weights or None.
        **fit_params : dict
            Not used.

        Returns
        -------
        step : dict
            The autoencoder's "loss" and the output, "y_pred".
        """
        # skorch would let each optimiser ask for both losses.
        self.optimizer_.zero_grad()
        step = self.train_step_single(batch, **fit_params)
        parameters = TeeGenerator(self.get_all_learnable_params())
        self.notify("on_grad_computed", named_parameters=parameters, batch=batch, training=True)
        self.optimizer_.step()
        return step

    def train_step_single(self, batch, **fit_params):
        """Train the discriminator; return the autoencoder's loss after storing its gradients.

        Parameters
        ----------
        batch : tuple
            Rows, and their weights or None.
        **fit_params : dict
            Not used.

        Returns
        -------
        step : dict
            The "loss" and the output, "y_pred".
        """
        self._set_training(True)
        rows, weights = unpack_data(batch)
        inputs = self.noise(rows)
        with self._precision():
            code = self.module_.encode_raw(inputs)
            self._train_discriminator(code.detach(), weights)
            loss, output = self.criterion_.of_code(self.module_, code, rows, weights)
        loss.backward()
        return {"loss": loss, "y_pred": output}

    def _train_discriminator(self, code, weights):
        # The autoencoder's backward pass has left gradients here that are not meant.
        self.discriminator_optimizer_.zero_grad()
        loss = self.criterion_.discriminate(self.module_, code, weights)
        loss.backward()
        self.discriminator_optimizer_.step()
        self._discriminator_losses.append(loss.detach())

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Train on all batches and record both mean losses.

        Parameters
        ----------
        iterator : iterable of (rows, weights) or None
            The batches; nothing is done where None.
        training : bool
            Whether to train.
        prefix : {"train", "valid"}
            Which loss is recorded.
        step_fn : callable
            What skorch does to a batch.
        **fit_params : dict
            Passed to `step_fn`.
        """
        self._discriminator_losses: list[torch.Tensor] = []
        super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)
        if self._discriminator_losses:
            mean = torch.stack(self._discriminator_losses).mean()
            self.history.record("discriminator_loss", float(mean))

    def _set_learning_rate(self, progress: float):
        super()._set_learning_rate(progress)
        share = self.optimizer_.param_groups[0]["lr"] / self._base_rates[0]
        for group in self.discriminator_optimizer_.param_groups:
            group["lr"] = _RATE * max(share, _LEAST_RATE)

    def release_training_state(self, callbacks):
        """Let go of what only training needs.

        Parameters
        ----------
        callbacks : list of Callback
            Callbacks that are not the user's.

        Returns
        -------
        optimizer_state : object
            What `load_optimizer_state` takes.
        """
        del self.discriminator_optimizer_
        return super().release_training_state(callbacks)
