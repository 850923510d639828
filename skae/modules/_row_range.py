"""Range of the rows that a network without PCA knows, and cells beyond it."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from skae.modules._recording import find_changed, find_left_out, is_recording

# Share of the width of a range that is added on both sides.
_MARGIN = 0.05
# Power of the share of the cells within the range. With 2, rows that are far as a whole were
# reconstructed worse, and with 4, a jump of one of ten columns harmed the others more.
_POWER = 3


class RowRange(nn.Module):
    """Range of known rows, beyond which cells are ignored where they harm the others.

    Rows with cells beyond the range are also encoded with these cells at its ends. This code is
    used if it lowers the squared error `a` of the cells within the range and ``w log(a) + (1 - w)
    log(b)``, where `b` is the squared error of all cells and `w` the third power of the share of
    the cells within the range. Few far cells are thus ignored, and a row that is far as a whole is
    not.

    Parameters
    ----------
    row_bounds : Tensor of shape (2, n_features)
        Minima and maxima of the known rows. The range is wider by a twentieth on both sides.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import RowRange
    >>> known, axis = RowRange(torch.tensor([[-1.0, -1.0], [1.0, 1.0]])), torch.tensor([[0.6, 0.8]])
    >>> rows = torch.tensor([[0.6, 0.8], [0.6, 80.0], [60.0, 80.0]])
    >>> known.encode(rows, lambda rows: rows @ axis.T, lambda code: code @ axis)
    tensor([[  1.0000],
            [  1.2400],
            [100.0000]])
    """

    row_bounds: Tensor
    usual = None

    def __init__(self, row_bounds: Tensor) -> None:
        super().__init__()
        self.register_buffer("row_bounds", row_bounds)

    @property
    def bounds(self) -> list[Tensor]:
        """Ranges that grow if a fit continues: those of the rows."""
        return [self.row_bounds]

    def encode(
        self,
        rows: Tensor,
        encode: Callable[[Tensor], Tensor],
        decode: Callable[[Tensor], Tensor],
    ) -> Tensor:
        """Return the codes of rows.

        Parameters
        ----------
        rows : Tensor of shape (n_samples, n_features)
            Rows, centred.
        encode, decode : callable
            Functions from rows to codes and back.

        Returns
        -------
        code : Tensor of shape (n_samples, n_components)
            Codes. Those of rows within the range are the results of `encode`.
        """
        code, inside = encode(rows), self._clip(rows)
        found = find_left_out()
        if found is not None:
            found[0].append(find_changed(rows, inside))
            return code
        if is_recording():
            return _choose(code, encode(inside), rows, inside, decode)
        far = (rows != inside).any(-1).nonzero()[:, 0]
        if len(far) == 0:
            return code
        part, inside = rows[far], inside[far]
        return code.index_copy(0, far, _choose(code[far], encode(inside), part, inside, decode))

    def _clip(self, rows: Tensor) -> Tensor:
        lower, upper = self.row_bounds[0], self.row_bounds[1]
        margin = _MARGIN * (upper - lower)
        return torch.clamp(rows, lower - margin, upper + margin)


def _choose(
    code: Tensor, other: Tensor, rows: Tensor, inside: Tensor, decode: Callable[[Tensor], Tensor]
) -> Tensor:
    """Return the better code, `code` where both are equal."""
    # Squares of extreme cells would overflow.
    unit = rows.abs().amax(-1, keepdim=True).clamp_min(torch.finfo(rows.dtype).tiny)
    is_known = rows == inside
    weight = is_known.double().mean(-1, keepdim=True).pow(_POWER)
    pairs = []
    for own in (code, other):
        squares = ((decode(own) - rows) / unit).double().square()
        total = squares.sum(-1, keepdim=True)
        # Known cells that only rounding changes do not count.
        known = squares.where(is_known, 0).sum(-1, keepdim=True)
        known = known + torch.finfo(rows.dtype).eps ** 2 * total
        pairs.append((known, torch.lerp(total.log(), known.log(), weight)))
    (known, cost), (other_known, other_cost) = pairs
    return torch.where((other_known < known) & (other_cost < cost), other, code)
