"""Squared error of sparse codes, and an additional loss for codes that are never active."""

from collections.abc import Sequence

import torch
from torch import Tensor

from skae.objectives._objective import Objective
from skae.objectives._reconstruction import mean_loss

# Codes are dead if they were not active for this multiple of the rows between two activations of an
# average code.
_PATIENCE = 20
# Weight of the loss of dead codes, as in Gao et al.
_REVIVAL = 1 / 32


class PursuitObjective(Objective):
    """Squared error of reconstructions from the first codes, for several numbers of codes.

    Codes that have not been active for a long time get an additional loss: the error with which
    they reconstruct the residual of the other codes.

    Parameters
    ----------
    widths : sequence of int
        Numbers of codes in ascending order, ending with the number of all codes.

    References
    ----------
    Gao, L. et al. (2024). Scaling and evaluating sparse autoencoders.
    https://doi.org/10.48550/arXiv.2406.04093

    Bussmann, B. et al. (2025). Learning multi-level features with Matryoshka sparse autoencoders.
    https://doi.org/10.48550/arXiv.2503.17547

    Examples
    --------
    >>> import torch
    >>> from skae.modules import PursuitAutoencoder
    >>> from skae.objectives import PursuitObjective
    >>> model = PursuitAutoencoder(4, 8, n_active=2)
    >>> rows = torch.zeros(5, 4)
    >>> loss, output = PursuitObjective([8])(model, rows, rows)
    >>> loss.item(), output.shape
    (0.0, torch.Size([5, 4]))
    """

    rotates = False
    idle: Tensor

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.widths = tuple(widths)
        self.register_buffer("idle", torch.zeros(self.widths[-1]))

    def forward(self, module, inputs, rows, weights=None):
        """Return the loss of a batch and the reconstructions, and update counts of idle codes."""
        code, thresholds = module.pursue(inputs, weights)
        module.follow_(thresholds)
        losses, output = self._compare(module, code, rows)
        loss = mean_loss(losses, weights)
        self.idle += len(rows)
        self.idle[(code > 0).any(0)] = 0
        dead = torch.nonzero(self.idle > _PATIENCE * len(self.idle) / module.n_active)[:, 0]
        if len(dead):
            loss = loss + _REVIVAL * _find_revival(module, dead, (rows - output).detach())
        return loss, output

    def judge(self, module, inputs, rows):
        """Return the loss of each row, and the reconstructions.

        The mean number of active codes of these rows is that of training, ignoring their weights.
        """
        return self._compare(module, module.pursue(inputs)[0], rows)

    def _compare(self, module, code, rows):
        dictionary, output, losses = module.dictionary, module.offset, 0.0
        for first, last in zip((0, *self.widths), self.widths, strict=False):
            output = output + code[:, first:last] @ dictionary[first:last]
            losses = losses + (output - rows).square().mean(-1)
        return losses / len(self.widths), output


def _find_revival(module, dead: Tensor, rest: Tensor) -> Tensor:
    """Return the mean squared error with which dead codes reconstruct the residuals of rows."""
    dictionary = module.dictionary[dead]
    with torch.no_grad():
        scores = torch.relu(rest @ dictionary.T)
        best = scores.topk(min(module.n_active, len(dead)), dim=1)
        code = torch.zeros_like(scores).scatter_(1, best.indices, best.values)
        moves = code @ dictionary
        length = moves.square().sum(1, keepdim=True)
        code *= torch.where(length > 0, code.square().sum(1, keepdim=True) / length, 0)
    return (code @ dictionary - rest).square().mean()
