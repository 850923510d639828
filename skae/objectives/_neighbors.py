"""Loss of codes that should keep the nearest neighbours of the rows."""

import hashlib
import math
import numbers

import torch
from torch import Tensor
from torch.nn import functional as F

from skae._shared.checks import check_count
from skae.objectives._objective import Objective
from skae.objectives._reconstruction import PreparedLoss, ReconstructionLoss, mean_loss
from skae.objectives._units import ColumnUnits

METRICS = ("cosine", "euclidean")
# Maximum number of cells of a matrix of similarities.
_MAX_CELLS = 2**23
# Maximum number of rows of a batch on which the decoder is trained.
_MAX_DECODED_ROWS = 256


class NeighborLoss(ReconstructionLoss):
    """Loss of codes that should have the same nearest neighbours as the rows.

    For each row of a batch, the similarities to the other rows are converted to probabilities,
    which are highest for the nearest rows. The same is done for the codes, and the loss is the
    cross-entropy of the two distributions. A decoder is trained at the same time with the squared
    error, and has no influence on the codes. Only for `AutoencoderTransformer`;
    ``loss="neighbors"`` is this loss with its defaults.

    Parameters
    ----------
    metric : {"cosine", "euclidean"}, default="cosine"
        Distance between rows. With "cosine", codes have unit length, so that Euclidean distances,
        cosines and inner products of codes give the same order of neighbours.
    n_neighbors : int, default=10
        Number of nearest neighbours of held-out rows that are counted to choose the epoch, and to
        decide whether the network is better than a linear map.
    temperature : float, default=0.05
        Increase of the squared distance that divides a probability by e, in units of the mean
        squared distance between rows. Greater than 0. Lower values concentrate the loss on the
        nearest rows.

    References
    ----------
    van der Maaten, L. (2009). Learning a parametric embedding by preserving local structure.
    AISTATS. https://proceedings.mlr.press/v5/maaten09a.html

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoencoderTransformer
    >>> from skae.metrics import neighbors_kept
    >>> from skae.objectives import NeighborLoss
    >>> X = load_digits().data[:300]
    >>> loss = NeighborLoss(metric="euclidean")
    >>> model = AutoencoderTransformer(8, loss=loss, max_iter=20, random_state=0).fit(X)
    >>> neighbors_kept(X, model.transform(X), metric="euclidean") > 0.6
    True
    """

    def __init__(self, metric="cosine", *, n_neighbors=10, temperature=0.05) -> None:
        self.metric = metric
        self.n_neighbors = n_neighbors
        self.temperature = temperature

    def check(self) -> None:
        if self.metric not in METRICS:
            raise ValueError(
                f"`metric` must be 'cosine' or 'euclidean'. Got {self.metric!r}. Use one of these."
            )
        remedy = "Use the number of neighbours for which you will search."
        check_count("n_neighbors", self.n_neighbors, remedy)
        is_number = isinstance(self.temperature, numbers.Real) and math.isfinite(self.temperature)
        if not is_number or self.temperature <= 0:
            raise ValueError(
                "`temperature` must be a finite number, greater than 0. Got "
                f"{self.temperature!r}. Use the default if in doubt."
            )

    def cells(self, output: Tensor, target: Tensor, units: ColumnUnits) -> Tensor:
        """Return the squared difference of each cell, which trains the decoder."""
        return (output - target).square()


class NeighborObjective(Objective):
    """Loss of codes whose neighbours differ from those of the rows, and loss of the decoder.

    Held-out rows are judged by the share of their nearest neighbours in the table that are not
    nearest neighbours among the codes.

    Parameters
    ----------
    loss : PreparedLoss
        `NeighborLoss` prepared for the table.
    database : Tensor of shape (n_known, n_features)
        Standardised rows among which neighbours are searched.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import Autoencoder, CodeBasis, DenseStack
    >>> from skae.objectives import NeighborLoss, NeighborObjective
    >>> database = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    >>> loss = NeighborLoss("euclidean").prepare()
    >>> objective = NeighborObjective(loss, database)
    >>> copy = torch.nn.Linear(4, 4, bias=False).requires_grad_(False)
    >>> copy.weight.copy_(torch.eye(4))
    Parameter containing:
    tensor([[1., 0., 0., 0.],
            [0., 1., 0., 0.],
            [0., 0., 1., 0.],
            [0., 0., 0., 1.]])
    >>> model = Autoencoder(copy, copy, CodeBasis(4), torch.ones(4), torch.ones(4))
    >>> losses, output = objective.judge(model, database[:3] / 2, database[:3] / 2)
    >>> losses
    tensor([0., 0., 0.])
    """

    database: Tensor
    spread: Tensor

    def __init__(self, loss: PreparedLoss, database: Tensor) -> None:
        super().__init__()
        self.loss = loss
        self.settings: NeighborLoss = loss.loss
        self.register_buffer("database", database, persistent=False)
        places = self._place(database)
        spread = 2 * (places - places.mean(0)).square().sum(1).mean()
        # If all rows are equal, the scale is arbitrary.
        self.register_buffer("spread", torch.where(spread > 0, spread, 1.0))
        self._known: dict[bytes, Tensor] = {}

    def release(self) -> None:
        self.database = self.database[:0]
        self._known = {}

    def forward(self, module, inputs, rows, weights=None) -> tuple[Tensor, Tensor]:
        """Return the loss of a batch, and the output for its first rows.

        Neighbours are searched within the batch. A few of its rows are enough for the decoder.
        """
        code = module.encode_raw(inputs)
        similarities = module.scale_logits(find_similarities(code))
        losses = self._compare(self._place(rows), similarities, weights)
        own = slice(_MAX_DECODED_ROWS)
        output = module.decode_raw(code[own].detach())
        own_weights = None if weights is None else weights[own]
        loss = mean_loss(losses, weights)
        return loss + self.loss(output, rows[own], own_weights), output

    def _compare(self, places: Tensor, similarities: Tensor, weights: Tensor | None) -> Tensor:
        """Return the loss of each row by the similarities of codes in the batch."""
        factor = 2 / (self.settings.temperature * self.spread)
        # A row of weight two counts as two rows.
        shift = 0.0 if weights is None else weights.log()
        with torch.no_grad():
            wanted = find_similarities(places).mul_(factor).add_(shift)
            probabilities = _leave_out_itself(wanted).softmax(1)
        found = _leave_out_itself(similarities * factor + shift)
        return found.logsumexp(1) - (probabilities * found).sum(1)

    @torch.no_grad()
    def judge(self, module, inputs, rows) -> tuple[Tensor, Tensor]:
        """Return the share of neighbours that the code of each row has lost, and the output."""
        code = module.encode_raw(inputs)
        known_codes = torch.cat([module.encode_raw(part) for part in self.database.split(4096)])
        n_neighbors = min(self.settings.n_neighbors, len(self.database))
        found = find_nearest(code, known_codes, n_neighbors)
        kept = find_kept(self._find_truth(rows, n_neighbors), found)
        return 1 - kept.to(code.dtype), module.decode_raw(code)

    def _find_truth(self, rows: Tensor, n_neighbors: int) -> Tensor:
        """Return the nearest rows of the table, cached for rows seen before."""
        key = hashlib.sha256(rows.cpu().numpy().tobytes()).digest()
        if key not in self._known:
            own, others = self._place(rows), self._place(self.database)
            self._known[key] = find_nearest(own, others, n_neighbors)
        return self._known[key]

    def _place(self, rows: Tensor) -> Tensor:
        """Return points whose Euclidean distances order rows as the metric does."""
        return place_rows(rows, self.settings.metric, self.loss.units)


def place_rows(rows: Tensor, metric: str, units: ColumnUnits) -> Tensor:
    """Return points whose Euclidean distances order rows as "cosine" or "euclidean" does."""
    return F.normalize(units.restore(rows), dim=-1) if metric == "cosine" else rows


def find_similarities(points: Tensor, others: Tensor | None = None) -> Tensor:
    """Return similarities that are higher for nearer points, of shape (n_points, n_others).

    They are minus half the squared distances, up to a constant for each point.
    """
    others = points if others is None else others
    return torch.addmm(others.square().sum(1) / 2, points, others.T, beta=-1)


def _leave_out_itself(similarities: Tensor) -> Tensor:
    """Set the similarity of each point to itself to the lowest finite value.

    With minus infinity, a single point would have no probabilities.
    """
    itself = torch.eye(len(similarities), dtype=torch.bool, device=similarities.device)
    return similarities.masked_fill(itself, torch.finfo(similarities.dtype).min)


@torch.no_grad()
def find_nearest(points: Tensor, database: Tensor, n_neighbors: int) -> Tensor:
    """Return the indices of the nearest points of a database, of shape (n_points, n_neighbors)."""
    n_at_once = max(1, _MAX_CELLS // len(database))
    parts = (find_similarities(part, database) for part in points.split(n_at_once))
    return torch.cat([part.topk(n_neighbors).indices for part in parts])


def find_kept(some: Tensor, others: Tensor) -> Tensor:
    """Return the share of the indices in each row that are also in the same row of `others`."""
    return (some[:, :, None] == others[:, None, :]).any(2).double().mean(1)
