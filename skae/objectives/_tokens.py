"""Objective of autoencoders of texts."""

from typing import Any

from torch import Tensor

from skae.objectives._objective import Objective


class TokenCrossEntropy(Objective):
    """Mean cross-entropy of the words of texts, in nats per word.

    Examples
    --------
    >>> from skae.objectives import TokenCrossEntropy
    >>> TokenCrossEntropy().rotates
    True
    """

    def judge(self, module: Any, inputs: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of each text, and its code.

        Parameters
        ----------
        module : TokenAutoencoder
            The network.
        inputs, rows : Tensor of shape (n_samples, length)
            Texts that the network reads, and texts to reconstruct.

        Returns
        -------
        losses : Tensor of shape (n_samples,)
            Mean cross-entropy of the words of each text, including its end.
        code : Tensor of shape (n_samples, n_components)
            Raw codes, instead of logits, which are too large to keep.
        """
        code = module.encode_raw(inputs)
        return module.find_losses(code, rows), code
