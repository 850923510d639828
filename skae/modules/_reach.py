"""Distance of rows and codes from those that a network knows."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from skae.modules._recording import is_recording

# Squared distances are clipped here, so that no product is infinity times zero.
_GREATEST_DISTANCE = 1e30
# Share of the width of a range added on both sides. Without it, one run in 27 lost 8 % on held-out
# rows.
_MARGIN = 0.05
# Share of the width of a range at which about half of the excess of a single entry is still shown.
_TOLERANCE = 0.1
# Squared distance of PCA's code of a row with a single odd entry at which half of the network is
# left. Larger values keep PCA's errors away from the other entries for longer jumps, but rows of
# new data may have such codes: at 100, the worst of 44 fits went from 0.97 to 1.03 times PCA's
# held-out error.
_PATIENCE = 10.0
# Squared error of the other entries, in units of PCA's error, at which PCA's estimate of an odd
# entry counts half. Without it, held-out errors rise by a sixth on the optdigits table.
_LARGEST_ERROR = 3.0
# Share of the width of a range at which half of the way to PCA's estimate is gone.
_DOUBT = 0.3
# A smaller share of an entry in its own reconstruction error says too little about it.
_LEAST_REST = 0.05
_FEW_CELLS = 2**12


class Shown(NamedTuple):
    """Scaled rows or codes as input of a network, and the share of the network in the results.

    Examples
    --------
    Nothing fades if all rows are known:

    >>> import torch
    >>> from skae.modules import Shown
    >>> Shown(torch.ones(2, 3)).fade(torch.ones(2, 1))
    tensor([[1.],
            [1.]])
    """

    values: Tensor
    """Input of the network, close to known values, of shape (n_samples, n_entries)."""

    far: Tensor | None = None
    """Indices of the rows that may lie beyond the known ones. None means all rows."""

    share: Tensor | None = None
    """Share of the network in the results for these rows, (n_far, 1). None if all are known."""

    rest: Tensor | None = None
    """Part of these rows left to PCA, of shape (n_far, n_entries)."""

    def fade(self, learned: Tensor, first: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """Return results of the network that fade with the distance of rows from known ones.

        Parameters
        ----------
        learned : Tensor of shape (n_samples, n_outputs)
            Results of the network for `values`.
        first : callable, default=None
            Linear path before training, which is applied to the rest. None ignores the rest.

        Returns
        -------
        faded : Tensor of shape (n_samples, n_outputs)
            Faded results. Those for known rows are unchanged to the last bit.
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
    """Ranges of the rows and codes that a network knows, and its share beyond them.

    The ranges are widened by a twentieth on both sides, so that new rows at the edge count as
    known. The share of the network in the result is 1 for known rows and codes. Beyond the range of
    a code, the network gets the nearest value in the range, shrunk by the distance, and its share
    is ``1 / (1 + y)``, where `y` is the sum of ``x**2`` and `x` the distance of an entry from its
    range in units of `code_unit`.

    Beyond the range of a feature, the network gets the nearest value in the range or, if the entry
    is far beyond it, PCA's estimate from the other entries, and a part of the excess that falls
    with the distance. With `x` in units of `row_unit`, `d` the sum of ``leverage * x**2`` and `m`
    the largest of its terms, the share for rows is ``1 / (1 + d - m + y / p * d / (1 + d))`` with
    the `y` of PCA's codes. A single odd entry is thus ignored unless PCA's code of the row is far
    from known codes. How far, is up to `p`, which is at most 10.

    The estimate counts little, and `p` is 1, if other entries are odd, too, if PCA reconstructs the
    others badly, or if it has the odd entry almost in a code of its own (`leverage` near 1).

    Parameters
    ----------
    row_bounds : Tensor of shape (2, n_features)
        Minima and maxima of the known rows, scaled.
    code_bounds : Tensor of shape (2, n_components)
        Minima and maxima of the codes of these rows, scaled.
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
    >>> reach = Reach(bounds, bounds, ones, ones, ones)
    >>> rows = torch.tensor([[0.5, -0.5], [4.1, 0.5], [4.1, 4.1]])
    >>> shown = reach.limit_rows(rows, lambda rows: rows / 4.1, lambda codes: codes * 4.1)
    >>> shown.far
    tensor([1, 2])
    >>> shown.share
    tensor([[1.0000],
            [0.1000]])
    """

    row_bounds: Tensor
    code_bounds: Tensor
    row_unit: Tensor
    leverage: Tensor
    code_unit: Tensor

    def __init__(self, row_bounds, code_bounds, row_unit, leverage, code_unit) -> None:
        super().__init__()
        self.register_buffer("row_bounds", row_bounds)
        self.register_buffer("code_bounds", code_bounds)
        self.register_buffer("row_unit", row_unit)
        self.register_buffer("leverage", leverage)
        self.register_buffer("code_unit", code_unit)

    def limit_rows(
        self,
        scaled: Tensor,
        project: Callable[[Tensor], Tensor],
        restore: Callable[[Tensor], Tensor],
    ) -> Shown:
        """Return the input of the network for scaled rows, and the share of the network.

        Parameters
        ----------
        scaled : Tensor of shape (n_samples, n_features)
            Scaled rows.
        project : callable
            Function that returns the scaled codes of PCA for scaled rows.
        restore : callable
            Function that returns the scaled rows of PCA for its scaled codes.

        Returns
        -------
        shown : Shown
            Rows with entries beyond the ranges replaced, and share. Known rows are unchanged to the
            last bit, with share 1.
        """

        def fade(far: Tensor) -> Shown:
            return self._fade_rows(far, project(far), lambda rows: restore(project(rows)))

        return _limit(scaled, self.row_bounds, fade)

    def limit_codes(self, scaled: Tensor) -> Shown:
        """Return the input of the network for scaled codes, and the share of the network.

        Parameters
        ----------
        scaled : Tensor of shape (n_samples, n_components)
            Scaled codes.

        Returns
        -------
        shown : Shown
            Codes within the ranges, and share, which is 1 for known codes.
        """
        return _limit(scaled, self.code_bounds, self._fade_codes)

    def _fade_rows(
        self, scaled: Tensor, codes: Tensor, reconstruct: Callable[[Tensor], Tensor]
    ) -> Shown:
        """Return the input for rows, some of which may be known."""
        inside, beyond, squares = _split(scaled, self.row_bounds, self.row_unit)
        # That of single precision, in which ONNX stores constants.
        tiny = torch.finfo(torch.float32).tiny
        widths = (self.row_bounds[1] - self.row_bounds[0]).clamp_min(tiny)
        distances = (beyond / widths).square()
        excess = distances / _TOLERANCE**2
        # PCA would spread changes in these features to others.
        spread = (2 * (1 - self.leverage)).clamp_max(1)
        weight = spread * (1 - 1 / (1 + distances / _DOUBT**2))
        costs = squares.clamp_max(_GREATEST_DISTANCE) * self.leverage
        total, largest = costs.sum(-1, keepdim=True), costs.amax(-1, keepdim=True)
        others = total - largest
        errors = reconstruct(inside) - inside
        trust = self._trust(errors, 1 - 1 / (1 + excess)) / (1 + others)
        near = torch.lerp(inside, self._estimate(inside, errors), weight * trust)
        # If the width is zero, nothing of the excess is shown.
        shown = near + beyond / (1 + squares + excess)
        spread = (costs * spread).sum(-1, keepdim=True) / total.clamp_min(tiny)
        patience = 1 + (_PATIENCE - 1) * spread * trust
        distance = self._measure_codes(codes) / patience * (total / (1 + total))
        share = 1 / (1 + others + distance)
        mixed = torch.lerp(shown, scaled, largest / total.clamp_min(tiny))
        return Shown(shown, None, share, torch.addcmul(scaled, share, mixed, value=-1))

    def _estimate(self, inside: Tensor, errors: Tensor) -> Tensor:
        """Return PCA's estimate of each entry from the others, given PCA's errors.

        A reconstruction follows its entry by the leverage; what is left without this part depends
        on the other entries alone.
        """
        return torch.clamp(inside + errors / self._rest, *self.row_bounds)

    def _trust(self, errors: Tensor, odd: Tensor) -> Tensor:
        """Return numbers in [0, 1] that fall with the errors of the entries that are not odd."""
        # Replacing an entry by its estimate lowers the sum of squared errors by this quotient.
        left = (errors * self.row_unit).square() * (1 - odd / self._rest)
        return 1 / (1 + (left.sum(-1, keepdim=True).clamp_min(0) / _LARGEST_ERROR).square())

    @property
    def _rest(self) -> Tensor:
        """Share of each entry that its own reconstruction does not follow."""
        return (1 - self.leverage).clamp_min(_LEAST_REST)

    def _fade_codes(self, scaled: Tensor) -> Shown:
        """Return the input for codes, some of which may be known."""
        inside, _, squares = _split(scaled, self.code_bounds, self.code_unit)
        squares = squares.clamp_max(_GREATEST_DISTANCE)
        values, share = inside / (1 + squares), 1 / (1 + squares.sum(-1, keepdim=True))
        return Shown(values, None, share, torch.addcmul(scaled, share, values, value=-1))

    def _measure_codes(self, codes: Tensor) -> Tensor:
        """Return the sums of the squared distances of codes, of shape (n_samples, 1)."""
        squares = _split(codes, self.code_bounds, self.code_unit)[2]
        return squares.clamp_max(_GREATEST_DISTANCE).sum(-1, keepdim=True)


def _limit(scaled: Tensor, bounds: Tensor, fade: Callable[[Tensor], Shown]) -> Shown:
    """Return the input for rows, computed only for those beyond the widened bounds."""
    if is_recording() or scaled.is_cuda or scaled.ndim != 2:
        return fade(scaled)
    inside = torch.clamp(scaled, *_widen(bounds))
    try:
        far = _find_differences(scaled, inside)
    except RuntimeError:
        # Functions mapped over rows, as by `torch.func.vmap`, cannot branch on values.
        return fade(scaled)
    if far is None:
        return Shown(scaled)
    part = fade(scaled.index_select(0, far))
    # The other rows are those of `scaled`, and need no memory of their own.
    return Shown(inside.index_copy_(0, far, part.values), far, part.share, part.rest)


def _find_differences(rows: Tensor, others: Tensor) -> Tensor | None:
    """Return the numbers of the rows that differ from the others, None where none does."""
    # Comparing many numbers takes longer than all the rest.
    if rows.numel() <= _FEW_CELLS and torch.equal(rows, others):
        return None
    found = (rows - others).abs_().amax(-1).nonzero()[:, 0]
    return found if len(found) else None


def _widen(bounds: Tensor) -> tuple[Tensor, Tensor]:
    """Return the limits of the known entries, with a margin."""
    lower, upper = bounds
    margin = _MARGIN * (upper - lower)
    return lower - margin, upper + margin


def _split(values: Tensor, bounds: Tensor, unit: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return values clipped to their ranges, excesses, and squared distances."""
    inside = torch.clamp(values, *_widen(bounds))
    beyond = values - inside
    return inside, beyond, (beyond * unit).square()
