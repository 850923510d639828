"""Blocks of columns: single numbers, and the indicators of categories."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

# Logits are clipped to this distance from their block's mean, to avoid overflow of exponentials.
_GREATEST_LOGIT = 80.0


class ColumnBlocks(nn.Module):
    """Blocks of columns: one column per number, and one per level of a category.

    The tensors are buffers, so they move with the network to its device.

    Parameters
    ----------
    levels : sequence of int
        Number of levels of each block; 0 for a number, which has one column.

    Examples
    --------
    >>> import torch
    >>> from skae._shared.blocks import ColumnBlocks
    >>> blocks = ColumnBlocks((0, 2))
    >>> blocks.log_softmax(torch.tensor([[5.0, 1.0, 1.0]]))
    tensor([[ 0.0000, -0.6931, -0.6931]])
    """

    is_level: Tensor
    owner: Tensor

    def __init__(self, levels: Sequence[int]):
        super().__init__()
        self.n_blocks, self.n_categories = len(levels), sum(own > 0 for own in levels)
        # Numbers belong to an extra block at the end.
        numbers, owners = iter(range(self.n_categories)), []
        for own in levels:
            owners += [next(numbers)] * own if own else [self.n_categories]
        self.register_buffer("owner", torch.tensor(owners, dtype=torch.int64))
        self.register_buffer("is_level", self.owner < self.n_categories)
        # Not a buffer: it is as large as all others together, and can be derived from them.
        self._membership: Tensor | None = None

    def log_softmax(self, output: Tensor) -> Tensor:
        """Return log-probabilities of levels from their logits (..., n_columns); 0 for numbers.

        Those of a block sum to 1 as probabilities.
        """
        if output.dtype in (torch.bfloat16, torch.float16):
            output = output.float()
        logits = torch.where(self.is_level, output, 0.0)
        with torch.autocast(output.device.type, enabled=False):
            # Products with zeros and ones are faster than indexing.
            members = self._find_membership(logits)
            means = logits @ members / members.sum(0)
            logits = (logits - means @ members.T).clamp(-_GREATEST_LOGIT, _GREATEST_LOGIT)
            return logits - (logits.exp() @ members).log() @ members.T

    def _find_membership(self, like: Tensor) -> Tensor:
        """Return the membership of columns in categories, 0 or 1, (n_columns, n_categories)."""
        known = self._membership
        if known is None or known.device != like.device or known.dtype != like.dtype:
            categories = torch.arange(self.n_categories, device=like.device)
            known = self._membership = (self.owner[:, None] == categories).to(like.dtype)
        return known


def count_columns(levels: Sequence[int]) -> int:
    """Return the number of columns of blocks."""
    return sum(max(1, own) for own in levels)


def repeat_for_columns(values: Sequence[float], levels: Sequence[int]) -> list[float]:
    """Repeat a number per block for each of its columns."""
    return [value for value, own in zip(values, levels, strict=True) for _ in range(max(1, own))]
