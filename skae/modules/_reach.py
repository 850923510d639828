"""Distance of rows and codes from those that a network knows."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from skae.modules._far_codes import find_better_codes
from skae.modules._odd_cells import (
    Coder,
    are_few,
    find_differences,
    ignore_few_odd_cells,
    ignore_odd_cells,
)
from skae.modules._recording import find_changed, find_left_out, is_recording

# Scaled rows and codes are clipped at this value before the encoder and the decoder.
INPUT_LIMIT = 5.0
# Scaled values beyond this value are odd, even if some rows of `fit` have them.
ODD_LIMIT = 4.0
# Squared distances are clipped here, so that no product is infinity times zero.
_GREATEST_DISTANCE = 1e30
# Share of the width of a range added on both sides. Without it, one run in 27 lost 8 % on held-out
# rows.
_MARGIN = 0.05
# Ranges count as at most this wide, in about standard deviations. A single value on one side of the
# mean says nothing about values on the other side.
_GREATEST_WIDTH = 10.0
# Share of the width of the range of codes, on both sides of it, beyond which detected bounds of
# reconstructions yield. Among new rows of a table with long tails, one had cells far beyond bounds
# in which many rows of `fit` end, and PCA's reconstruction of it was better without them.
_YIELDING = 0.5
# Share of the width of a range at which about half of the excess of a single entry is still shown.
_TOLERANCE = 0.1
# An excess is left out if PCA follows at most this share of its square, and kept from twice on.
_FOLLOWED = 0.02
_FEW_CELLS = 2**12
# Share of far rows above which it takes less time to fade them with the others than by themselves.
_SHARE_PUT_OFF = 1 / 16
_NO_ROWS = torch.empty(0, dtype=torch.int64, device="cpu")
_PUT_OFF: ContextVar[list[Tensor] | None] = ContextVar("put_off", default=None)


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

    clipped: Tensor | None = None
    """Values within `INPUT_LIMIT`, of the same shape. None if they are not known yet."""

    far: Tensor | None = None
    """Indices of the rows that may lie beyond the known ones. None means all rows."""

    share: Tensor | None = None
    """Share of the network in the results for these rows, (n_far, 1). None if all are known."""

    rest: Tensor | None = None
    """Part of these rows left to PCA, of shape (n_far, n_entries)."""

    odd: Tensor | None = None
    """Indices of the rows with few odd cells. None if they are not known."""

    @property
    def is_usual(self) -> bool:
        """Whether all rows are known, and none has odd cells."""
        return self.share is None and self.odd is not None and len(self.odd) == 0

    def clip(self) -> Tensor:
        """Return the values within `INPUT_LIMIT`, as inputs of the encoder or the decoder."""
        if self.clipped is not None:
            return self.clipped
        return self.values.clamp(-INPUT_LIMIT, INPUT_LIMIT)

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


_Fade: TypeAlias = Callable[[Tensor, tuple[Tensor, Tensor]], Shown]


@contextmanager
def put_off_far_rows() -> Iterator[list[Tensor]]:
    """Context in which networks leave out the far rows of a block, if these are few.

    Fading few rows takes about as long as fading many, so that it is worth doing for all blocks at
    once.

    Yields
    ------
    put_off : list of Tensor
        Indices of the rows of a block whose results are not valid, one tensor for each call.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import Reach, put_off_far_rows
    >>> bounds, ones = torch.tensor([[-1.0, -1.0], [1.0, 1.0]]), torch.ones(2)
    >>> rows = torch.zeros(5000, 2)
    >>> rows[7] = 9
    >>> with put_off_far_rows() as put_off:
    ...     shown = Reach(bounds, bounds, ones, ones, ones).limit_rows(rows, torch.clone)
    >>> put_off
    [tensor([7])]
    """
    put_off: list[Tensor] = []
    token = _PUT_OFF.set(put_off)
    try:
        yield put_off
    finally:
        _PUT_OFF.reset(token)


class Reach(nn.Module):
    """Ranges of the rows and codes that a network knows, and its share beyond them.

    The ranges are widened by a twentieth on both sides, and by at most 0.5, so that new rows at the
    edge count as known. Beyond a range, the network gets the nearest value in the range plus a part
    of the excess of a row that falls with its distance, or the nearest value in the range of a
    code, shrunk by its distance. The share of the network in the result is 1 for known rows and
    codes. For codes, it is ``1 / (1 + y)``, where `y` is the sum of ``x**2`` and `x` the distance
    of an entry from its range in units of `code_unit`.

    Rows with a single odd entry are treated differently from rows with many. With `x` in units of
    `row_unit`, `d` the sum of ``leverage * x**2`` and `m` the largest of its terms, the share for
    rows is ``1 / (1 + d - m + y * d / (1 + d))`` with the `y` of PCA's codes. A single odd entry is
    ignored as long as a decoder would take PCA's code of the row for that of a known row. An excess
    that PCA would hardly follow, as in a column that rested in training, is left out beforehand.
    Within the range as well, odd cells, more than about four standard deviations from the mean, are
    replaced by usual values where they are at most half of a row, and where the network's errors in
    the other cells would be above PCA's.

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
    yielding_limits : Tensor of shape (2, n_components), default=None
        Scaled codes beyond which bounds of reconstructions yield. None means that they hold
        everywhere.
    usual : Tensor of shape (2, n_features), default=None
        Range of usual scaled values of each feature. None keeps odd cells as they are.
    improving : Tensor of shape (), default=None
        Any number if codes of far rows are improved where errors would be above PCA's.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import Reach
    >>> bounds, ones = torch.tensor([[-1.0, -1.0], [1.0, 1.0]]), torch.ones(2)
    >>> reach = Reach(bounds, bounds, ones, ones, ones)
    >>> rows = torch.tensor([[0.5, -0.5], [4.1, 0.5], [4.1, 4.1]])
    >>> shown = reach.limit_rows(rows, lambda rows: rows / 4.1)
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

    yielding_limits: Tensor | None
    usual: Tensor | None
    improving: Tensor | None

    def __init__(
        self,
        row_bounds,
        code_bounds,
        row_unit,
        leverage,
        code_unit,
        *,
        yielding_limits=None,
        usual=None,
        improving=None,
    ) -> None:
        super().__init__()
        self.register_buffer("row_bounds", row_bounds)
        self.register_buffer("code_bounds", code_bounds)
        self.register_buffer("row_unit", row_unit)
        self.register_buffer("leverage", leverage)
        self.register_buffer("code_unit", code_unit)
        self.register_buffer("yielding_limits", yielding_limits)
        self.register_buffer("usual", usual)
        self.register_buffer("improving", improving)

    @property
    def bounds(self) -> list[Tensor]:
        """Ranges that grow if a fit continues: those of rows and codes."""
        return [self.row_bounds, self.code_bounds]

    def limit_rows(self, scaled: Tensor, project: Callable[[Tensor], Tensor]) -> Shown:
        """Return the input of the network for scaled rows, and the share of the network.

        Parameters
        ----------
        scaled : Tensor of shape (n_samples, n_features)
            Scaled rows. Those that are left out by `put_off_far_rows` are set to zero.
        project : callable
            Function that returns the scaled codes of PCA for scaled rows.

        Returns
        -------
        shown : Shown
            Rows moved towards the ranges, and share. Known rows are unchanged to the last bit, with
            share 1.
        """

        def fade(far: Tensor, limits: tuple[Tensor, Tensor]) -> Shown:
            far = self._leave_out_loose(far, limits)
            return self._fade_rows(far, limits, project(far))

        limit = INPUT_LIMIT if self.usual is None else ODD_LIMIT
        found = find_left_out()
        if found is not None:
            left_out, odd = found
            known = _clip_odd(scaled, _widen(self.row_bounds), limit if odd else math.inf)
            left_out.append(find_changed(scaled, known))
            return Shown(scaled, scaled, odd=_NO_ROWS) if odd else Shown(scaled)
        return _limit(scaled, self.row_bounds, fade, _PUT_OFF.get(), limit)

    def settle_codes(
        self, code: Tensor, scaled: Tensor, coder: Coder, odd: Tensor | None = None
    ) -> Tensor:
        """Return codes that ignore few odd cells of their rows that harm the others.

        Parameters
        ----------
        code : Tensor of shape (n_samples, n_components)
            Codes of the rows.
        scaled : Tensor of shape (n_samples, n_features)
            Scaled rows.
        coder : Coder
            Network and PCA.
        odd : Tensor of int of shape (n_odd,), default=None
            Indices of rows with few odd cells, as found by `limit_rows`. None means unknown.

        Returns
        -------
        code : Tensor of shape (n_samples, n_components)
            Codes, the same for rows without odd cells.
        """
        if self.usual is None:
            return code
        limits = self._find_odd_limits()
        if odd is None:
            if is_recording() or scaled.ndim != 2:
                return ignore_odd_cells(code, scaled, limits, self.usual, coder)
            try:
                odd = self.find_odd(scaled)
            except RuntimeError:
                # As in `_limit`.
                return ignore_odd_cells(code, scaled, limits, self.usual, coder)
        if len(odd) == 0:
            return code
        put_off = _PUT_OFF.get()
        if put_off is not None and len(odd) <= _SHARE_PUT_OFF * len(scaled):
            put_off.append(odd)
            return code
        return ignore_few_odd_cells(code, scaled, limits, self.usual, coder, odd, put_off)

    def improve_codes(self, code: Tensor, scaled: Tensor, coder: Coder, shown: Shown) -> Tensor:
        """Return codes that are improved for far rows whose errors would be above PCA's.

        Parameters
        ----------
        code : Tensor of shape (n_samples, n_components)
            Codes of the rows.
        scaled : Tensor of shape (n_samples, n_features)
            Scaled rows.
        coder : Coder
            Network and PCA.
        shown : Shown
            Result of `limit_rows` for these rows.

        Returns
        -------
        code : Tensor of shape (n_samples, n_components)
            Codes, the same for known rows. Their derivatives are those of the codes given.
        """
        if self.improving is None or shown.share is None:
            return code
        limits = _widen(self.row_bounds)
        far = _find_far(scaled, limits) if shown.far is None else shown.far
        if far is None:
            better = find_better_codes(code, scaled, limits, coder, None, selects=False)
            return code + (better - code).detach()
        if len(far) == 0:
            return code
        own = code[far]
        better = find_better_codes(own, scaled[far], limits, coder, far, selects=True)
        return code.index_copy(0, far, own + (better - own).detach())

    def find_odd(self, scaled: Tensor) -> Tensor:
        """Return the indices of rows with few odd cells.

        Parameters
        ----------
        scaled : Tensor of shape (n_samples, n_features)
            Scaled rows.

        Returns
        -------
        odd : Tensor of int of shape (n_odd,)
            Indices of the rows whose codes `settle_codes` may change.
        """
        cells = find_differences(scaled, torch.clamp(scaled, *self._find_odd_limits()))
        counts = torch.bincount(cells // scaled.shape[1], minlength=len(scaled))
        return _find_few(counts, scaled)

    def _find_odd_limits(self) -> tuple[Tensor, Tensor]:
        """Return the limits beyond which cells are odd, each of shape (n_features,)."""
        lower, upper = _widen(self.row_bounds)
        return lower.clamp(-ODD_LIMIT, ODD_LIMIT), upper.clamp(-ODD_LIMIT, ODD_LIMIT)

    @contextmanager
    def keep_odd_cells(self) -> Iterator[None]:
        """Context in which codes ignore no odd cells."""
        usual, self.usual = self.usual, None
        try:
            yield
        finally:
            self.usual = usual

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

    def _leave_out_loose(self, scaled: Tensor, limits: tuple[Tensor, Tensor]) -> Tensor:
        """Return rows without the excess of entries that PCA's reconstruction hardly follows.

        PCA reconstructs nothing of the excess itself, but spreads a small share of it over the
        other entries, which is much if a column that rested in training moves.
        """
        beyond = _split(scaled, limits, self.row_unit)[1]
        distance = beyond * self.row_unit
        tiny = torch.finfo(torch.float32).tiny
        distance = distance / distance.abs().amax(-1, keepdim=True).clamp_min(tiny)
        # At most this share of the squared excess is followed.
        followed = (distance.abs() @ self.leverage.sqrt()[:, None]).square()
        followed = followed / distance.square().sum(-1, keepdim=True).clamp_min(tiny)
        loose = (2 - followed / _FOLLOWED).clamp(0, 1) * (self.leverage.sum() > 0)
        return torch.addcmul(scaled, loose, beyond, value=-1)

    def find_release(self, scaled: Tensor) -> Tensor | None:
        """Return how far bounds of reconstructions yield, which rises as the network fades.

        Parameters
        ----------
        scaled : Tensor of shape (n_samples, n_components)
            Scaled codes.

        Returns
        -------
        release : Tensor of shape (n_samples, 1) or None
            Share of PCA's excess over the bounds by which these widen, ``y / (1 + y)`` with `y` as
            for the share of the network, but beyond `yielding_limits`. None if no code exceeds
            these.
        """
        if self.yielding_limits is None:
            return None
        limits = self.yielding_limits[0], self.yielding_limits[1]
        if _are_equal(scaled, torch.clamp(scaled, *limits)):
            return None
        distance = self._measure_codes(scaled, limits)
        return distance / (1 + distance)

    def _fade_rows(self, scaled: Tensor, limits: tuple[Tensor, Tensor], codes: Tensor) -> Shown:
        """Return the input for rows, some of which may be known."""
        inside, beyond, squares = _split(scaled, limits, self.row_unit)
        widths = _find_widths(self.row_bounds) * _TOLERANCE
        # That of single precision, in which ONNX stores constants.
        tiny = torch.finfo(torch.float32).tiny
        # If the width is zero, nothing of the excess is shown.
        excess = (beyond / widths.clamp_min(tiny)).square()
        shown = inside + beyond / (1 + squares + excess)
        costs = squares.clamp_max(_GREATEST_DISTANCE) * self.leverage
        total, largest = costs.sum(-1, keepdim=True), costs.amax(-1, keepdim=True)
        distance = self._measure_codes(codes, _widen(self.code_bounds))
        distance = distance * (total / (1 + total))
        share = 1 / (1 + (total - largest) + distance)
        mixed = torch.lerp(shown, scaled, largest / total.clamp_min(tiny))
        return Shown(shown, None, None, share, torch.addcmul(scaled, share, mixed, value=-1))

    def _fade_codes(self, scaled: Tensor, limits: tuple[Tensor, Tensor]) -> Shown:
        """Return the input for codes, some of which may be known."""
        inside, _, squares = _split(scaled, limits, self.code_unit)
        squares = squares.clamp_max(_GREATEST_DISTANCE)
        values, share = inside / (1 + squares), 1 / (1 + squares.sum(-1, keepdim=True))
        return Shown(values, None, None, share, torch.addcmul(scaled, share, values, value=-1))

    def _measure_codes(self, codes: Tensor, limits: tuple[Tensor, Tensor]) -> Tensor:
        """Return sums of squared distances of codes from limits, of shape (n_samples, 1)."""
        squares = _split(codes, limits, self.code_unit)[2]
        return squares.clamp_max(_GREATEST_DISTANCE).sum(-1, keepdim=True)


def _limit(
    scaled: Tensor,
    bounds: Tensor,
    fade: _Fade,
    put_off: list[Tensor] | None = None,
    limit: float = INPUT_LIMIT,
) -> Shown:
    """Return the input for rows, computed only for those beyond the limits.

    Cells beyond `limit`, at most `INPUT_LIMIT`, are odd.
    """
    if is_recording() or scaled.is_cuda or scaled.ndim != 2:
        return fade(scaled, _widen(bounds))
    try:
        # For a single row, finding the limits takes as long as a layer.
        if scaled.numel() <= _FEW_CELLS:
            clipped = torch.clamp(scaled, *bounds.clamp(-limit, limit).unbind())
            if torch.equal(scaled, clipped):
                return Shown(scaled, clipped, odd=_NO_ROWS)
        limits = _widen(bounds)
        # Rows that are odd or clipped for the network alone are few, so one pass serves all three.
        clipped = _clip_odd(scaled, limits, limit)
        cells = find_differences(scaled, clipped)
    except RuntimeError:
        # Functions mapped over rows, as by `torch.func.vmap`, cannot branch on values.
        return fade(scaled, _widen(bounds))
    if len(cells) == 0:
        return Shown(scaled, clipped, odd=_NO_ROWS)
    return _limit_few(scaled, clipped, cells, limits, fade, put_off)


def _clip_odd(scaled: Tensor, limits: tuple[Tensor, Tensor], limit: float) -> Tensor:
    """Return rows without odd cells: within limits, and at most `limit`."""
    return torch.clamp(scaled, *(own.clamp(-limit, limit) for own in limits))


def _limit_few(
    scaled: Tensor,
    clipped: Tensor,
    cells: Tensor,
    limits: tuple[Tensor, Tensor],
    fade: _Fade,
    put_off: list[Tensor] | None,
) -> Shown:
    """Return the input for rows, given the places of their odd cells; changes `clipped`."""
    rows, columns = cells // scaled.shape[1], cells % scaled.shape[1]
    values = scaled.take(cells)
    inside = torch.clamp(values, *(own.index_select(0, columns) for own in limits))
    clipped.put_(cells, inside.clamp(-INPUT_LIMIT, INPUT_LIMIT))
    far = torch.unique_consecutive(rows[values != inside])
    counts = torch.bincount(rows, minlength=len(scaled))
    if put_off is not None and 0 < len(far) <= _SHARE_PUT_OFF * len(scaled):
        put_off.append(far)
        odd = _find_few(counts.index_fill_(0, far, 0), scaled)
        return Shown(scaled.index_fill_(0, far, 0), clipped, odd=odd)
    odd = _find_few(counts, scaled)
    if len(far) == 0:
        return Shown(scaled, clipped, odd=odd)
    faded = fade(scaled.index_select(0, far), limits)
    values = scaled.index_copy(0, far, faded.values)
    clipped.index_copy_(0, far, faded.clip())
    return Shown(values, clipped, far, faded.share, faded.rest, odd)


def _find_far(scaled: Tensor, limits: tuple[Tensor, Tensor]) -> Tensor | None:
    """Return the indices of rows beyond limits, None if their number must not matter."""
    if scaled.ndim != 2 or is_recording():
        return None
    try:
        return (scaled != torch.clamp(scaled, *limits)).any(-1).nonzero()[:, 0]
    except RuntimeError:
        # As in `_limit`.
        return None


def _find_few(counts: Tensor, rows: Tensor) -> Tensor:
    """Return the indices of rows with few odd cells, given their numbers."""
    return are_few(counts, rows.shape[1]).nonzero()[:, 0]


def find_yielding_limits(code_bounds: Tensor) -> Tensor:
    """Return limits of scaled codes, (2, n_components), beyond which detected bounds yield."""
    margin = _YIELDING * _find_widths(code_bounds)
    return torch.stack([code_bounds[0] - margin, code_bounds[1] + margin])


def _are_equal(values: Tensor, others: Tensor) -> bool:
    """Return whether values are known to be equal, without waiting for a GPU to compute them."""
    if is_recording() or values.is_cuda:
        return False
    try:
        return torch.equal(values, others)
    except RuntimeError:
        # As in `_limit`.
        return False


def _widen(bounds: Tensor) -> tuple[Tensor, Tensor]:
    """Return the limits of the known entries, with a margin."""
    lower, upper = bounds
    margin = _MARGIN * _find_widths(bounds)
    return lower - margin, upper + margin


def _find_widths(bounds: Tensor) -> Tensor:
    """Return the widths of ranges, by which new values may lie beyond them."""
    return (bounds[1] - bounds[0]).clamp_max(_GREATEST_WIDTH)


def _split(
    values: Tensor, limits: tuple[Tensor, Tensor], unit: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return values clipped to limits, excesses, and squared distances."""
    inside = torch.clamp(values, *limits)
    beyond = values - inside
    return inside, beyond, (beyond * unit).square()
