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
        """Return the mean cross-entropy of the words and the end of each text, and its raw code.

        Codes are returned instead of logits, which are too large to keep.
        """
        code = module.encode_raw(inputs)
        return module.find_losses(code, rows), code
