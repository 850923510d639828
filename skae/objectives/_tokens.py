"""What the autoencoder of texts minimises."""

from torch import Tensor, nn


class TokenCrossEntropy(nn.Module):
    """The mean over texts of the cross-entropy of their words.

    Attributes
    ----------
    progress : float
        Share of the training that has been made; not used.
    rotates : bool
        Whether the codes may be rotated once training is over.

    Examples
    --------
    >>> from skae.objectives import TokenCrossEntropy
    >>> TokenCrossEntropy().rotates
    True
    """

    progress: float = 1.0
    rotates = True

    def forward(
        self, module: nn.Module, inputs: Tensor, rows: Tensor, weights: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the loss of a batch, and the codes.

        Parameters
        ----------
        module : Module
            The autoencoder.
        inputs, rows : Tensor of shape (n_samples, length)
            What it reads, and the texts that it is to write.
        weights : Tensor of shape (n_samples,), default=None
            Weights of the texts, 1 on average over all batches; equal where None.

        Returns
        -------
        loss : Tensor of shape ()
            In nats for each word.
        code : Tensor of shape (n_samples, n_components)
            What the network made of its inputs.
        """
        losses, code = self.judge(module, inputs, rows)
        return losses.mean() if weights is None else (losses * weights).mean(), code

    def judge(self, module, inputs: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of each text, and the codes."""
        code = module.encode_raw(inputs)
        return module.find_losses(code, rows), code
