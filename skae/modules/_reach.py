"""How far rows and codes lie from those that a network knows."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from skae.modules._recording import is_recording

# Squared distances end here, so that no product of one is infinite times zero.
_GREATEST_DISTANCE = 1e30
# Share of a range's width, on both sides. Without it one run in 27 lost 8 % on held-out rows.
_MARGIN = 0.05


class Shown(NamedTuple):
    """Scaled rows or codes as a network is shown them, and its share in the results.

    Examples
    --------
    Nothing fades where all rows are known:

    >>> import torch
    >>> from skae.modules import Shown
    >>> Shown(torch.ones(2, 3)).fade(torch.ones(2, 1))
    tensor([[1.],
            [1.]])
    """

    values: Tensor
    """Nearest values that the network knows, of shape (n_samples, n_entries)."""

    far: Tensor | None = None
    """Numbers of the rows that may lie beyond the known ones, None for all rows."""

    share: Tensor | None = None
    """Network's share in the results for these rows, (n_far, 1); None where all are known."""

    rest: Tensor | None = None
    """Part of these rows that is left to PCA, of shape (n_far, n_entries)."""

    def fade(self, learned: Tensor, first: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """Return what has been learned, less the more the further away a row lies.

        Parameters
        ----------
        learned : Tensor of shape (n_samples, n_outputs)
            Results of the network for `values`.
        first : callable, default=None
            Linear path before the training, which takes the rest; nothing does where None.

        Returns
        -------
        faded : Tensor of shape (n_samples, n_outputs)
            Results for known rows are returned as they are, to the bit.
        """
        if self.share is None or self.rest is None:
            return learned
        faded = self.share * (learned if self.far is None else learned[self.far])
        if first is not None:
            faded = faded + first(self.rest)
        if self.far is None:
            return faded
        return learned.to(faded.dtype).index_copy(0, self.far, faded)


class Reach(nn.Module):
    """The ranges of the rows and codes that a network knows, and what lies beyond.

    The ranges are widened by a twentieth on both sides, so that new rows at the edge are known.
    With `x` the distance of an entry from its range, in units of `row_unit` or `code_unit`, the
    network is shown the nearest value in the range, divided by ``1 + x**2``: an entry that lies far
    off says no more than a mean does. The network's share of the result is ``1 / (1 + d)``, where
    `d` sums ``leverage * x**2`` over the entries of a row, and ``x**2`` over those of a code.

    Parameters
    ----------
    row_bounds : Tensor of shape (2, n_features)
        Least and greatest entries of the known rows, scaled.
    code_bounds : Tensor of shape (2, n_components)
        Least and greatest entries of their codes, scaled.
    row_unit : Tensor of shape (n_features,)
        Factors that turn differences of scaled rows into distances.
    leverage : Tensor of shape (n_features,)
        Share of a change in a feature that PCA's reconstruction follows, in [0, 1].
    code_unit : Tensor of shape (n_components,)
        Factors that turn differences of scaled codes into distances.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import Reach
    >>> bounds, ones = torch.tensor([[-1.0, -1.0], [1.0, 1.0]]), torch.ones(2)
    >>> reach = Reach(bounds, bounds, ones, torch.tensor([1.0, 0.0]), ones)
    >>> shown = reach.limit_rows(torch.tensor([[0.5, -0.5], [4.1, 0.5], [0.5, 4.1]]))
    >>> shown.values
    tensor([[ 0.5000, -0.5000],
            [ 0.1100,  0.5000],
            [ 0.5000,  0.1100]])
    >>> shown.far
    tensor([1, 2])
    >>> shown.share
    tensor([[0.1000],
            [1.0000]])
    """

    row_bounds: Tensor
    code_bounds: Tensor
    row_unit: Tensor
    leverage: Tensor
    code_unit: Tensor

    def __init__(self, row_bounds, code_bounds, row_unit, leverage, code_unit):
        super().__init__()
        self.register_buffer("row_bounds", row_bounds)
        self.register_buffer("code_bounds", code_bounds)
        self.register_buffer("row_unit", row_unit)
        self.register_buffer("leverage", leverage)
        self.register_buffer("code_unit", code_unit)

    def limit_rows(self, scaled: Tensor) -> Shown:
        """Return what the network is shown of scaled rows, and its share.

        Parameters
        ----------
        scaled : Tensor of shape (n_samples, n_features)
            Scaled rows.

        Returns
        -------
        shown : Shown
            Rows within the ranges; known rows are returned as they are, to the bit, and the
            network's share is 1 for them.
        """
        return _limit(scaled, self.row_bounds, self.row_unit, self.leverage)

    def limit_codes(self, scaled: Tensor) -> Shown:
        """Return what the network is shown of scaled codes, and its share.

        Parameters
        ----------
        scaled : Tensor of shape (n_samples, n_components)
            Scaled codes.

        Returns
        -------
        shown : Shown
            Codes within the ranges; the network's share is 1 for known codes.
        """
        return _limit(scaled, self.code_bounds, self.code_unit, None)


def _limit(scaled: Tensor, bounds: Tensor, unit: Tensor, leverage: Tensor | None) -> Shown:
    """Return rows drawn into their ranges; the work is done on rows that are not within them."""
    if is_recording() or scaled.is_cuda or scaled.ndim != 2:
        return _fade(scaled, bounds, unit, leverage)
    lower, upper = bounds
    # Several times as fast as `torch.clamp` with a bound for each column.
    inside = torch.minimum(torch.maximum(scaled, lower), upper)
    try:
        if torch.equal(inside, scaled):
            return Shown(scaled)
    except RuntimeError:
        # Functions over rows, as by `torch.func.vmap`, cannot ask for values.
        return _fade(scaled, bounds, unit, leverage)
    far = (scaled - inside).abs_().amax(-1).nonzero()[:, 0]
    part = _fade(scaled[far], bounds, unit, leverage)
    return Shown(scaled.index_copy(0, far, part.values), far, part.share, part.rest)


def _fade(scaled: Tensor, bounds: Tensor, unit: Tensor, leverage: Tensor | None) -> Shown:
    """Return rows drawn into their ranges, and the network's share of each."""
    lower, upper = bounds
    margin = _MARGIN * (upper - lower)
    inside = torch.clamp(scaled, lower - margin, upper + margin)
    distance = ((scaled - inside) * unit).square().clamp_max(_GREATEST_DISTANCE)
    values, costs = inside / (1 + distance), distance if leverage is None else distance * leverage
    share = 1 / (1 + costs.sum(-1, keepdim=True))
    return Shown(values, None, share, scaled - share * values)
