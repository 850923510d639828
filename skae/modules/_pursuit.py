"""Sparse codes found by pursuit, with one dictionary for encoding and decoding."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skae.modules._output import LinearOutput
from skae.modules._products import linear
from skae.modules._recording import is_recording
from skae.modules._row_range import RowRange

# The threshold of a batch is searched among the scores above this share of the current one.
_SEARCHED = 0.7
# Thresholds are below the lowest passing score by at least this share of it, so that rounding does
# not matter.
_MARGIN = 1e-5
# Weight of the threshold of one batch in the running average.
_RATE = 0.05


class PursuitAutoencoder(nn.Module):
    """Autoencoder of sparse, non-negative codes with a dictionary shared by encoder and decoder.

    A row is reconstructed as an offset plus a sum of few dictionary rows of unit length, each times
    its code. The encoder is a pursuit in several rounds. Each round scores the dictionary rows by
    their products with the residual, makes the codes with the highest scores active, and moves all
    active codes along the gradient to the lowest squared error. Codes become active if their score
    exceeds a threshold, so rows that are hard to reconstruct may have more active codes than
    others. A last step moves the active codes once more.

    Parameters
    ----------
    n_features : int
        Number of columns.
    n_components : int
        Number of dictionary rows.
    n_active : int
        Mean number of active codes per row.
    n_rounds : int, default=4
        Number of rounds of the pursuit. More rounds find better codes, in proportionally more time.
    dtype : torch.dtype, default=torch.float32
        Data type of the parameters.
    generator : torch.Generator, default=None
        Generator of the dictionary. None is PyTorch's global generator.

    Attributes
    ----------
    thresholds : Tensor of shape (n_rounds,)
        Lowest score at which a code becomes active in each round.
    reach : RowRange or None
        Range of the known rows, set by `set_reach_`.

    References
    ----------
    Bussmann, B., Leask, P. and Nanda, N. (2024). BatchTopK sparse autoencoders.
    https://doi.org/10.48550/arXiv.2412.06410

    Costa, V. et al. (2025). From flat to hierarchical: extracting sparse representations with
    matching pursuit. https://doi.org/10.48550/arXiv.2506.03093

    Examples
    --------
    >>> import torch
    >>> from skae.modules import PursuitAutoencoder
    >>> generator = torch.Generator().manual_seed(0)
    >>> model = PursuitAutoencoder(4, 8, n_active=2, generator=generator)
    >>> rows = torch.randn(100, 4, generator=generator)
    >>> codes, _ = model.pursue(rows)
    >>> round(float((codes > 0).sum() / len(rows)))
    2
    """

    thresholds: Tensor
    unit: Tensor
    filling = None
    linear_path = None
    sparsity = None

    def __init__(
        self,
        n_features: int,
        n_components: int,
        n_active: int,
        *,
        n_rounds: int = 4,
        dtype=torch.float32,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.n_active, self.n_rounds = n_active, n_rounds
        shape, kind = (n_components, n_features), {"dtype": dtype, "device": "cpu"}
        # Entries of about unit size, as optimisers take steps of about equal size for all of them.
        self.directions = nn.Parameter(torch.randn(shape, generator=generator, **kind))
        self.shift = nn.Parameter(torch.zeros(n_features, **kind))
        self.register_buffer("thresholds", torch.zeros(n_rounds, **kind))
        self.register_buffer("unit", torch.ones((), **kind))
        self.output = LinearOutput()
        self.reach: RowRange | None = None
        self.normalise_()

    @property
    def dictionary(self) -> Tensor:
        """Dictionary rows of unit length, of shape (n_components, n_features)."""
        return self.directions / math.sqrt(self.directions.shape[1])

    @property
    def offset(self) -> Tensor:
        """Reconstruction of a row without active codes, of shape (n_features,)."""
        return self.shift * self.unit

    @torch.no_grad()
    def normalise_(self) -> None:
        """Scale all dictionary rows to unit length."""
        lengths = torch.linalg.vector_norm(self.directions, dim=1, keepdim=True)
        tiny = torch.finfo(lengths.dtype).tiny
        self.directions.mul_(math.sqrt(self.directions.shape[1]) / lengths.clamp_min(tiny))

    @torch.no_grad()
    def start_(self, rows: Tensor, unit: float) -> None:
        """Initialise the dictionary from rows.

        Parameters
        ----------
        rows : Tensor of shape (n_rows, n_features)
            Rows that become the first dictionary rows. Rows of zeros are skipped.
        unit : float
            Root mean square of the entries of rows, the unit in which the offset is learned.
        """
        lengths = torch.linalg.vector_norm(rows, dim=1)
        given = torch.nonzero(lengths > unit * 1e-6)[:, 0]
        self.directions[given] = rows[given] / lengths[given, None]
        self.unit.fill_(unit)
        self.shift.zero_()
        self.normalise_()

    @torch.no_grad()
    def pursue(
        self, inputs: Tensor, weights: Tensor | None = None, *, thresholds: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the codes of rows, and the thresholds used to find them.

        Parameters
        ----------
        inputs : Tensor of shape (n_samples, n_features)
            Standardised rows.
        weights : Tensor of shape (n_samples,), default=None
            Weights of the rows in the mean number of active codes. None means equal weights.
        thresholds : Tensor of shape (n_rounds,), default=None
            Lowest scores at which codes become active. If None, rows are encoded together, with
            thresholds for which `n_active` codes per row are active on average.

        Returns
        -------
        code : Tensor of shape (n_samples, n_components)
            Non-negative codes, most of them zero, without a gradient.
        thresholds : Tensor of shape (n_rounds,)
            Thresholds used.
        """
        dictionary, rows = self.dictionary, inputs - self.offset
        weights = rows.new_ones(len(rows)) if weights is None else weights
        mass = float(weights.sum())
        code = rows.new_zeros(len(rows), len(dictionary))
        active, left, used = code > 0, rows, []
        for number in range(self.n_rounds):
            scores = linear(left, dictionary)
            fresh = scores.masked_fill(active, 0)
            if thresholds is None:
                wanted = mass * self.n_active * (number + 1) / self.n_rounds
                wanted -= float(weights @ active.sum(1).to(weights.dtype))
                used.append(self._find_threshold(fresh, weights, wanted, number))
            else:
                used.append(thresholds[number])
            active |= fresh >= used[-1]
            places = _list_places(active)
            code, left = _descend(code, scores[active], places, dictionary, rows)
            active = code > 0
        places = _list_places(active)
        sizes = (left[places[0]] * dictionary[places[1]]).sum(1)
        code, _ = _descend(code, sizes, places, dictionary, rows, need_rest=False)
        return code, torch.stack(used)

    def _find_threshold(
        self, scores: Tensor, weights: Tensor, wanted: float, number: int
    ) -> Tensor:
        """Return a threshold reached by scores of a given total weight, or by all positive ones."""
        if wanted <= 0:
            return scores.new_tensor(torch.inf)
        found = None
        if (known := self.thresholds[number]) > 0:
            found = _find_quantile(scores, weights, wanted, _SEARCHED * known)
        if found is None:
            found = _find_quantile(scores, weights, wanted, 0)
        return scores.new_tensor(torch.finfo(scores.dtype).tiny) if found is None else found

    @torch.no_grad()
    def follow_(self, thresholds: Tensor, share: float = _RATE) -> None:
        """Move the thresholds for new rows towards those of a batch, except infinite ones."""
        known = thresholds.isfinite()
        moved = self.thresholds.lerp(thresholds.where(known, self.thresholds), share)
        first = known & (self.thresholds == 0)
        self.thresholds.copy_(torch.where(first, thresholds, moved))

    @property
    def row_bounds(self) -> Tensor | None:
        """Range of known standardised rows, of shape (2, n_features), if any."""
        return None if self.reach is None else self.reach.row_bounds

    def set_reach_(self, row_bounds: Tensor, **_) -> None:
        """Make codes ignore cells beyond the range of known rows where they harm the others.

        Parameters
        ----------
        row_bounds : Tensor of shape (2, n_features)
            Minima and maxima of the known rows, standardised.
        """
        self.reach = RowRange(row_bounds)

    def fill(self, inputs: Tensor) -> Tensor:
        """Return standardised rows unchanged, as no cells may be missing."""
        return inputs

    def encode_raw(self, inputs: Tensor) -> Tensor:
        """Return the codes of standardised rows, each found independently of other rows."""
        if self.reach is None:
            return self._encode_each(inputs)
        return self.reach.encode(inputs, self._encode_each, self.decode_raw)

    def _encode_each(self, inputs: Tensor) -> Tensor:
        if is_recording():
            return self._pursue_densely(inputs)
        return self.pursue(inputs, thresholds=self.thresholds)[0]

    @torch.no_grad()
    def _pursue_densely(self, inputs: Tensor) -> Tensor:
        """Return the codes by operations whose shapes do not depend on the active codes."""
        dictionary, rows = self.dictionary, inputs - self.offset
        code, left = rows.new_zeros(rows.shape[0], dictionary.shape[0]), rows
        for threshold in self.thresholds.unbind():
            scores = linear(left, dictionary)
            active = (code > 0) | (scores >= threshold)
            code, left = _descend_densely(code, scores, active, dictionary, rows)
        return _descend_densely(code, linear(left, dictionary), code > 0, dictionary, rows)[0]

    def decode_raw(self, raw_code: Tensor) -> Tensor:
        """Return the reconstruction of codes, differentiable by dictionary and offset."""
        return raw_code @ self.dictionary + self.offset

    def restore(self, raw_code: Tensor) -> Tensor:
        """Return the reconstruction of codes."""
        return self.decode_raw(raw_code)

    def encode(self, inputs: Tensor) -> Tensor:
        """Return the codes of standardised rows."""
        return self.encode_raw(inputs)

    def decode(self, code: Tensor) -> Tensor:
        """Return the reconstruction of codes."""
        return self.decode_raw(code)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the reconstruction of standardised rows."""
        return self.decode_raw(self.encode_raw(inputs))

    def reconstruct(self, inputs: Tensor) -> Tensor:
        """Return the reconstruction of standardised rows."""
        return self.forward(inputs)


def _find_quantile(scores: Tensor, weights: Tensor, wanted: float, least) -> Tensor | None:
    """Return a threshold reached by scores of a given total weight. None if all scores reach it.

    Scores that are not above `least` are ignored, as sorting is slow.
    """
    high = scores > least
    values, order = scores[high].sort(descending=True)
    masses = weights[torch.nonzero(high)[:, 0]][order].cumsum(0, dtype=torch.float64)
    # A margin of half a code of average weight, as sums are rounded.
    n_passing = max(1, int((masses <= wanted + float(weights.mean()) / 2).sum()))
    if n_passing >= len(values):
        return None
    passing = values[n_passing - 1]
    return torch.minimum((passing + values[n_passing]) / 2, passing * (1 - _MARGIN))


def _list_places(active: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return rows and columns of true entries, and the position of the first entry of each row."""
    rows, columns = torch.nonzero(active, as_tuple=True)
    return rows, columns, F.pad(active.sum(1).cumsum(0)[:-1], (1, 0))


def _add_up(sizes: Tensor, places, dictionary: Tensor) -> Tensor:
    """Return the product of sparse codes, given by values and places, and the dictionary."""
    _, columns, starts = places
    return F.embedding_bag(columns, dictionary, starts, mode="sum", per_sample_weights=sizes)


def _descend(code: Tensor, sizes: Tensor, places, dictionary, rows, *, need_rest: bool = True):
    """Move active codes along the gradient, to the lowest squared error on that line.

    `sizes` (n_places,) is the negative gradient of half the squared error by the active codes, and
    `places` are their rows and columns and the position of the first one of each row. The rows to
    reconstruct come without the offset. Return non-negative codes, and the residuals of the rows,
    or the rows if residuals are not needed.
    """
    own_rows, columns, _ = places
    moves = _add_up(sizes, places, dictionary)
    # Squares of extreme rows would overflow.
    unit = moves.abs().amax(1, keepdim=True).clamp_min_(torch.finfo(rows.dtype).tiny)
    length = (moves / unit).square_().sum(1)
    squares = (sizes / unit[own_rows, 0]).square_()
    square = rows.new_zeros(len(rows)).index_add_(0, own_rows, squares)
    step = torch.where(length > 0, square / length, 0)
    values = (code[own_rows, columns] + step[own_rows] * sizes).clamp_min_(0)
    code = torch.zeros_like(code).index_put_((own_rows, columns), values)
    return code, rows - _add_up(values, places, dictionary) if need_rest else rows


def _descend_densely(code: Tensor, scores: Tensor, active: Tensor, dictionary, rows):
    """Return codes and residuals as `_descend` does, for all scores and a mask of active codes."""
    sizes = scores.where(active, 0)
    moves = sizes @ dictionary
    unit = moves.abs().amax(1, keepdim=True).clamp_min(torch.finfo(rows.dtype).tiny)
    length = (moves / unit).square().sum(1, keepdim=True)
    square = (sizes / unit).square().sum(1, keepdim=True)
    step = torch.where(length > 0, square / length, 0)
    code = (code + step * sizes).clamp_min(0).where(active, 0)
    return code, rows - code @ dictionary
