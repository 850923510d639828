"""Sparse codes found by pursuit: a dictionary that encodes and decodes."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skae.modules._output import LinearOutput
from skae.modules._products import linear

# The threshold of a batch is sought among the scores above this share of the last one.
_SEARCHED = 0.7
# Thresholds stand below the least score that passes by at least this share of it, so that rounding
# does not decide.
_MARGIN = 1e-5
# Share of the threshold of one batch in the running one.
_RATE = 0.05


class PursuitAutoencoder(nn.Module):
    """An autoencoder of sparse, non-negative codes whose encoder and decoder share a dictionary.

    A row is reconstructed as an offset plus a sum of few dictionary rows of unit length, each times
    its code. The encoder is a pursuit in several rounds: each scores the dictionary rows by their
    products with what is not reconstructed yet, lets the codes of the best become active, and then
    moves all active codes along the gradient, as far as lowers the squared error most. As active
    counts what is above a threshold, so that rows that are hard to reconstruct may have more codes
    than others. A last step moves the active codes once more.

    Parameters
    ----------
    n_features : int
        Number of columns.
    n_components : int
        Number of dictionary rows.
    n_active : int
        Number of codes of a row that are active, on average.
    n_rounds : int, default=4
        Rounds of the pursuit. More find better codes, in proportionally more time.
    dtype : torch.dtype, default=torch.float32
        Type of all numbers.
    generator : torch.Generator, default=None
        Source of the dictionary; torch's global one where None.

    Attributes
    ----------
    thresholds : Tensor of shape (n_rounds,)
        Least score that lets a code become active in each round.

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
        # Entries of about unit size, as steps of an optimiser are about equal for all of them.
        self.directions = nn.Parameter(torch.randn(shape, generator=generator, **kind))
        self.shift = nn.Parameter(torch.zeros(n_features, **kind))
        self.register_buffer("thresholds", torch.zeros(n_rounds, **kind))
        self.register_buffer("unit", torch.ones((), **kind))
        self.output = LinearOutput()
        self.reach = None
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
        """Give all dictionary rows unit length."""
        lengths = torch.linalg.vector_norm(self.directions, dim=1, keepdim=True)
        tiny = torch.finfo(lengths.dtype).tiny
        self.directions.mul_(math.sqrt(self.directions.shape[1]) / lengths.clamp_min(tiny))

    @torch.no_grad()
    def start_(self, rows: Tensor, unit: float) -> None:
        """Begin anew from rows.

        Parameters
        ----------
        rows : Tensor of shape (n_rows, n_features)
            Starts of the first dictionary rows; those that are zero leave theirs as it is.
        unit : float
            Root mean square of the entries of rows, in whose units the offset is learned.
        """
        lengths = torch.linalg.vector_norm(rows, dim=1)
        given = torch.nonzero(lengths > unit * 1e-6)[:, 0]
        self.directions[given] = rows[given] / lengths[given, None]
        self.unit.fill_(unit)
        self.shift.zero_()
        self.normalise_()

    @torch.no_grad()
    def pursue(
        self,
        inputs: Tensor,
        weights: Tensor | None = None,
        *,
        thresholds: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return codes for rows, and the thresholds that they come from.

        Parameters
        ----------
        inputs : Tensor of shape (n_samples, n_features)
            Standardised rows.
        weights : Tensor of shape (n_samples,), default=None
            Weights of the rows in the average number of active codes; equal where None.
        thresholds : Tensor of shape (n_rounds,), default=None
            Least scores of codes that become active. Where None the rows are encoded together, and
            as many codes become active as are asked for, `n_active` for each row on average.

        Returns
        -------
        code : Tensor of shape (n_samples, n_components)
            Not negative, most of them zero. They have no gradient.
        thresholds : Tensor of shape (n_rounds,)
            Thresholds that were used.
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
        """Return a number that scores of so much weight reach, or all that are positive."""
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
        """Move the thresholds of new rows towards those of a batch; infinite ones say nothing."""
        known = thresholds.isfinite()
        moved = self.thresholds.lerp(thresholds.where(known, self.thresholds), share)
        first = known & (self.thresholds == 0)
        self.thresholds.copy_(torch.where(first, thresholds, moved))

    def fill(self, inputs: Tensor) -> Tensor:
        """Return standardised rows as they are, since no cells may be missing."""
        return inputs

    def encode_raw(self, inputs: Tensor) -> Tensor:
        """Return the codes of standardised rows, each row by itself."""
        return self.pursue(inputs, thresholds=self.thresholds)[0]

    def decode_raw(self, raw_code: Tensor) -> Tensor:
        """Return the reconstruction of codes, with a gradient by dictionary and offset."""
        return raw_code @ self.dictionary + self.offset

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
    """Return a number that scores of so much weight reach; None if there are no others above it.

    Scores that are not above `least` are left out, since sorting takes long.
    """
    high = scores > least
    values, order = scores[high].sort(descending=True)
    masses = weights[torch.nonzero(high)[:, 0]][order].cumsum(0, dtype=torch.float64)
    # Half a code of the average weight, as sums are rounded.
    n_passing = max(1, int((masses <= wanted + float(weights.mean()) / 2).sum()))
    if n_passing >= len(values):
        return None
    passing = values[n_passing - 1]
    return torch.minimum((passing + values[n_passing]) / 2, passing * (1 - _MARGIN))


def _list_places(active: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return rows and columns of what is true, and where each row begins among these."""
    rows, columns = torch.nonzero(active, as_tuple=True)
    return rows, columns, F.pad(active.sum(1).cumsum(0)[:-1], (1, 0))


def _add_up(sizes: Tensor, places, dictionary: Tensor) -> Tensor:
    """Return sums of dictionary rows times sizes, of which only those at some places are given."""
    _, columns, starts = places
    return F.embedding_bag(columns, dictionary, starts, mode="sum", per_sample_weights=sizes)


def _descend(code: Tensor, sizes: Tensor, places, dictionary, rows, *, need_rest: bool = True):
    """Move active codes along the gradient, to the least squared error on that line.

    Parameters
    ----------
    code : Tensor of shape (n_samples, n_components)
        Codes so far.
    sizes : Tensor of shape (n_places,)
        Negative gradient of half the squared error by the active codes.
    places : tuple of Tensor
        Rows, columns and beginnings of the active codes.
    dictionary : Tensor of shape (n_components, n_features)
        Rows of unit length.
    rows : Tensor of shape (n_samples, n_features)
        Rows to be reconstructed, less the offset.
    need_rest : bool, default=True
        Whether the rest is asked for.

    Returns
    -------
    code : Tensor of shape (n_samples, n_components)
        Codes, none negative.
    rest : Tensor of shape (n_samples, n_features)
        Part of the rows that they do not reconstruct; the rows where it is not asked for.
    """
    own_rows, columns, _ = places
    moves = _add_up(sizes, places, dictionary)
    # Squares of rows far off would overflow.
    unit = moves.abs().amax(1, keepdim=True).clamp_min_(torch.finfo(rows.dtype).tiny)
    length = (moves / unit).square_().sum(1)
    squares = (sizes / unit[own_rows, 0]).square_()
    square = rows.new_zeros(len(rows)).index_add_(0, own_rows, squares)
    step = torch.where(length > 0, square / length, 0)
    values = (code[own_rows, columns] + step[own_rows] * sizes).clamp_min_(0)
    code = torch.zeros_like(code).index_put_((own_rows, columns), values)
    return code, rows - _add_up(values, places, dictionary) if need_rest else rows
