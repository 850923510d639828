"""What the autoencoder of texts minimises."""

from typing import Any

from torch import Tensor

from skae.objectives._objective import Objective


class TokenCrossEntropy(Objective):
    """The mean over texts of the cross-entropy of their words, in nats for each word.

    Examples
    --------
    >>> from skae.objectives import TokenCrossEntropy
    >>> TokenCrossEntropy().rotates
    True
    """

    def judge(self, module: Any, inputs: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of each text, and the logits of its words.

        Parameters
        ----------
        module : TokenAutoencoder
            The network.
        inputs, rows : Tensor of shape (n_samples, length)
            Texts that the network reads, and those that it is to write.

        Returns
        -------
        losses : Tensor of shape (n_samples,)
            Mean cross-entropy of the words of each text, its end included.
        output : Tensor of shape (n_words, n_tokens)
            Logits of all words of the texts, one text after the other.
        """
        return module.judge(module.encode_raw(inputs), rows)
