"""Noise on the rows that a denoising autoencoder sees; it is to reconstruct the clean rows."""

import math
import numbers
from dataclasses import dataclass

import torch
from sklearn.base import BaseEstimator
from torch import Tensor

# A share of cells is counted in steps of this, as a cell's draw has 16 bits.
_N_DRAWS = 2**16


@dataclass(frozen=True)
class Columns:
    """Unit and ranges of the columns of a table, for noise that depends on them.

    Attributes
    ----------
    scale : float
        Size of one standardised unit in the unit of X, greater than 0.
    lowest, highest : Tensor of shape (n_features,)
        Range of each column, standardised, on the device of the rows.

    Examples
    --------
    >>> import torch
    >>> from skae.corruption import Columns
    >>> Columns(scale=2.0, lowest=torch.zeros(3), highest=torch.ones(3)).scale
    2.0
    """

    scale: float
    lowest: Tensor
    highest: Tensor


class Corruption(BaseEstimator):
    """Base class of the kinds of noise.

    Constructor parameters are stored as they are and checked in use, as in any scikit-learn
    estimator, so that a search reaches them, as in ``corruption__level``. A fit works on a copy.

    A subclass must override `__call__`. It takes all random numbers from the generator, leaves the
    rows that it is given as they are, and leaves NaN where it is. Everything else is optional:
    `spread`, where the noise makes columns vary more; `check`, where it has other parameters than
    a level; and the attribute `hides`.

    Parameters
    ----------
    level : float in [0, 1]
        Probability of each cell to be changed, independently of the others; counted in steps of
        1 / 65536. A subclass with a constructor of its own need not have one.

    Attributes
    ----------
    hides : bool, default=False
        Whether the noise turns cells into missing ones; it needs ``missing="mask"`` then.

    Raises
    ------
    ValueError
        If `level` is not such a number, when the noise is used.

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoencoderTransformer
    >>> from skae.corruption import Corruption
    >>> class Doubling(Corruption):
    ...     def __call__(self, rows, columns, generator):
    ...         chosen = torch.rand(rows.shape, generator=generator) < self.level
    ...         return rows * (1 + chosen.to(rows))
    >>> X = load_digits().data[:300] / 16
    >>> model = AutoencoderTransformer(2, corruption=Doubling(0.1), max_iter=20, random_state=0)
    >>> model.fit_transform(X).shape
    (300, 2)
    >>> model.set_params(corruption__level=0.2).corruption
    Doubling(level=0.2)
    """

    hides: bool = False
    _description = "a share of the cells, from 0 to 1"
    _most = 1.0

    def __init__(self, level: float) -> None:
        self.level = level

    def check(self) -> None:
        """Refuse a `level` that is not as described, before any training.

        Raises
        ------
        ValueError
            If there is a `level` and it is not as described.
        """
        if not hasattr(self, "level"):
            return
        level = self.level
        is_number = isinstance(level, numbers.Real) and not isinstance(level, bool)
        if not (is_number and 0 <= level <= self._most and math.isfinite(level)):
            raise ValueError(
                f"`level` must be {self._description}. Got {level!r}. "
                f"{type(self).__name__}(0.1) is little noise, and 0 is none."
            )

    def __call__(self, rows: Tensor, columns: Columns, generator: torch.Generator) -> Tensor:
        """Return rows with noise.

        Parameters
        ----------
        rows : Tensor of shape (..., n_rows, n_features)
            Standardised rows. Axes before the last two tell models apart, which see nothing of
            each other's rows.
        columns : Columns
            Unit and ranges of the columns.
        generator : torch.Generator
            Source of the noise, on the CPU, so that draws are equal on every device.

        Returns
        -------
        corrupted : Tensor of shape (..., n_rows, n_features)
            Noisy rows in memory of their own. Missing cells, NaN, are missing still.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must have a method `__call__` that returns noisy rows."
        )

    def spread(self, deviations: Tensor, columns: Columns) -> Tensor:
        """Return the standard deviations that columns have with noise.

        The encoder is to see noisy columns in about unit size. A kind of noise that makes columns
        vary more says so here; one that does not leaves this as it is.

        Parameters
        ----------
        deviations : Tensor of shape (n_features,)
            Standard deviations without noise, standardised.
        columns : Columns
            Unit and ranges of the columns.

        Returns
        -------
        deviations : Tensor of shape (n_features,)
            Standard deviations with noise, standardised.
        """
        return deviations


class GaussianNoise(Corruption):
    """Adds normally distributed noise to every cell (Vincent et al., 2010).

    Parameters
    ----------
    level : float
        Standard deviation of the noise in units of X; at least 0. For columns of very different
        spread, scale X first.

    Raises
    ------
    ValueError
        If `level` is not such a number, when the noise is used.

    References
    ----------
    Vincent, P., Larochelle, H., Lajoie, I., Bengio, Y., Manzagol, P.-A. (2010). Stacked denoising
    autoencoders. Journal of Machine Learning Research 11, 3371-3408.
    https://www.jmlr.org/papers/v11/vincent10a.html

    Examples
    --------
    >>> import torch
    >>> from skae.corruption import Columns, GaussianNoise
    >>> columns = Columns(1.0, torch.zeros(2), torch.ones(2))
    >>> GaussianNoise(0.5)(torch.zeros(3, 2), columns, torch.Generator()).shape
    torch.Size([3, 2])
    """

    _description = "a standard deviation in units of X, 0 or more"
    _most = math.inf

    def __call__(self, rows: Tensor, columns: Columns, generator: torch.Generator) -> Tensor:
        """Return the rows plus noise."""
        self.check()
        noise = torch.randn(rows.shape, generator=generator, dtype=rows.dtype, device="cpu")
        return noise.mul_(self.level / columns.scale).to(rows.device).add_(rows)

    def spread(self, deviations: Tensor, columns: Columns) -> Tensor:
        """Return the roots of the sums of both variances."""
        return (deviations.square() + (self.level / columns.scale) ** 2).sqrt()


class HidingNoise(Corruption):
    """Takes cells away as if they were missing, so that a network learns to fill them.

    A row loses the cells that another row of the batch lacks, so that cells are hidden in the
    pattern in which they are missing, and each cell besides with the same probability.

    Parameters
    ----------
    level : float in [0, 1]
        Probability of each cell to be hidden besides. 0 is right where the pattern of the table's
        missing cells says all that matters; a table without missing cells needs more.
    groups : array-like of int of shape (n_features,), default=None
        Number of a group for each column, from 0. Columns of a group are hidden together, such
        as those that tell the categories of one feature. None makes each column its own group.

    Raises
    ------
    ValueError
        If `level` is not such a number, when the noise is used.

    Examples
    --------
    >>> import torch
    >>> from skae.corruption import Columns, HidingNoise
    >>> columns = Columns(1.0, -torch.ones(2), torch.ones(2))
    >>> HidingNoise(1.0)(torch.ones(1, 2), columns, torch.Generator())
    tensor([[nan, nan]])
    """

    hides = True

    def __init__(self, level: float, groups=None) -> None:
        super().__init__(level)
        self.groups = groups

    def __call__(self, rows: Tensor, columns: Columns, generator: torch.Generator) -> Tensor:
        """Return the rows with fewer cells."""
        self.check()
        order = torch.randperm(rows.shape[-2], generator=generator, device="cpu")
        # Missing cells are missing in a sum.
        hidden = rows + 0 * rows.index_select(-2, order.to(rows.device))
        if self.level == 0:
            return hidden
        groups = None if self.groups is None else torch.as_tensor(self.groups, device="cpu")
        first = rows if groups is None else rows[..., : int(groups.max()) + 1]
        chosen = _draw_cells(first, generator) <= _limit(self.level)
        if groups is not None:
            chosen = chosen[..., groups]
        return hidden.masked_fill_(chosen.to(rows.device), torch.nan)


class MaskingNoise(Corruption):
    """Sets cells to the mean of their column (Vincent et al., 2010).

    The paper sets an exact share of each row's cells to zero. Here each cell is chosen by itself,
    and the standardised zero says nothing about the row.

    Parameters
    ----------
    level : float in [0, 1]
        Probability of each cell to be set to the mean.

    Raises
    ------
    ValueError
        If `level` is not such a number, when the noise is used.

    References
    ----------
    Vincent, P., Larochelle, H., Lajoie, I., Bengio, Y., Manzagol, P.-A. (2010). Stacked denoising
    autoencoders. Journal of Machine Learning Research 11, 3371-3408.
    https://www.jmlr.org/papers/v11/vincent10a.html

    Examples
    --------
    >>> import torch
    >>> from skae.corruption import Columns, MaskingNoise
    >>> columns = Columns(1.0, -torch.ones(2), torch.ones(2))
    >>> MaskingNoise(1.0)(torch.ones(1, 2), columns, torch.Generator())
    tensor([[0., 0.]])
    """

    def __call__(self, rows: Tensor, columns: Columns, generator: torch.Generator) -> Tensor:
        """Return the rows with some cells zero, the standardised mean."""
        self.check()
        if self.level == 0:
            return rows.clone()
        # A product keeps what is missing, and takes a fifth of the time of a selection.
        return _draw_kept(_draw_cells(rows, generator), self.level, rows).mul_(rows)


class SaltAndPepperNoise(Corruption):
    """Sets cells to the least or the greatest value of their column (Vincent et al., 2010).

    Parameters
    ----------
    level : float in [0, 1]
        Probability of each cell to be changed; which of the two it becomes is evenly drawn.

    Raises
    ------
    ValueError
        If `level` is not such a number, when the noise is used.

    References
    ----------
    Vincent, P., Larochelle, H., Lajoie, I., Bengio, Y., Manzagol, P.-A. (2010). Stacked denoising
    autoencoders. Journal of Machine Learning Research 11, 3371-3408.
    https://www.jmlr.org/papers/v11/vincent10a.html

    Examples
    --------
    >>> import torch
    >>> from skae.corruption import Columns, SaltAndPepperNoise
    >>> columns = Columns(1.0, -torch.ones(2), torch.ones(2))
    >>> noise = SaltAndPepperNoise(1.0)
    >>> noise(torch.zeros(5, 2), columns, torch.Generator().manual_seed(0)).unique()
    tensor([-1.,  1.])
    """

    def __call__(self, rows: Tensor, columns: Columns, generator: torch.Generator) -> Tensor:
        """Return the rows with some cells at an end of their column's range."""
        self.check()
        if self.level == 0:
            return rows.clone()
        draws = _draw_cells(rows, generator)
        kept = _draw_kept(draws, self.level, rows)
        chosen = 1 - kept
        # The chosen draws are all below a limit; every other one of them is odd.
        upwards = draws.bitwise_and_(1).to(rows.device, rows.dtype).mul_(chosen)
        downwards = chosen.sub_(upwards)
        # Sums of which one term is not zero, so what is missing stays so and an end is exact.
        return (
            kept.mul_(rows).addcmul_(upwards, columns.highest).addcmul_(downwards, columns.lowest)
        )

    def spread(self, deviations: Tensor, columns: Columns) -> Tensor:
        """Return the deviations of a mixture of the columns and their ends."""
        ends = (columns.lowest.square() + columns.highest.square()) / 2
        shift = self.level * (columns.lowest + columns.highest) / 2
        mean_square = (1 - self.level) * deviations.square() + self.level * ends
        return (mean_square - shift.square()).sqrt()


class SwapNoise(Corruption):
    """Replaces cells by the same column's cell of another row (Jahrer, 2017).

    The noise for tables of columns of different kinds: every cell keeps a value that its column
    has, and columns that take few values keep these.

    Parameters
    ----------
    level : float in [0, 1]
        Probability of each cell to be replaced. The other row is drawn, for each cell by itself,
        from the rest of the batch; where the value there is missing the cell stays as it is.

    Raises
    ------
    ValueError
        If `level` is not such a number, when the noise is used.

    References
    ----------
    Jahrer, M. (2017). First place in Porto Seguro's safe driver prediction.
    https://www.kaggle.com/c/porto-seguro-safe-driver-prediction/discussion/44629

    Yoon, J., Zhang, Y., Jordon, J., van der Schaar, M. (2020). VIME: extending the success of
    self- and semi-supervised learning to tabular domain. Advances in Neural Information Processing
    Systems 33, 11033-11043.

    Examples
    --------
    >>> import torch
    >>> from skae.corruption import Columns, SwapNoise
    >>> columns = Columns(1.0, torch.zeros(2), torch.ones(2))
    >>> SwapNoise(1.0)(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), columns, torch.Generator())
    tensor([[3., 4.],
            [1., 2.]])
    """

    def __call__(self, rows: Tensor, columns: Columns, generator: torch.Generator) -> Tensor:
        """Return the rows with some cells from other rows of the same model."""
        self.check()
        n_rows, n_features = rows.shape[-2:]
        if self.level == 0 or n_rows == 1:
            return rows.clone()
        chosen = (_draw_cells(rows, generator) <= _limit(self.level)).flatten().nonzero()[:, 0]
        steps = torch.randint(1, n_rows, chosen.shape, generator=generator, device="cpu")
        n_cells = n_rows * n_features
        place = chosen % n_cells
        other = chosen - place + (place + steps * n_features) % n_cells
        chosen, other, cells = chosen.to(rows.device), other.to(rows.device), rows.flatten()
        own, foreign = cells.index_select(0, chosen), cells.index_select(0, other)
        foreign = torch.where((own + foreign).isnan(), own, foreign)
        return cells.scatter(0, chosen, foreign).view(rows.shape)


def _draw_cells(rows: Tensor, generator: torch.Generator) -> Tensor:
    """Return a random whole number from -2^15 to 2^15 - 1 for each cell, on the CPU.

    Four of them from one draw of 64 bits: half the time of as many uniform floats, and masking is
    a good part of a training step.
    """
    packed = torch.empty(-(-rows.numel() // 4), dtype=torch.int64, device="cpu")
    packed.random_(-(2**63), None, generator=generator)
    return packed.view(torch.int16)[: rows.numel()].view(rows.shape)


def _limit(level: float) -> int:
    """Return the greatest number of `_draw_cells` that is among a share of them, above 0."""
    return max(1, round(level * _N_DRAWS)) - 1 - _N_DRAWS // 2


def _draw_kept(draws: Tensor, level: float, rows: Tensor) -> Tensor:
    """Return 0 where a cell is to be changed and 1 elsewhere, as factors of the rows."""
    kept = torch.empty(rows.shape, dtype=rows.dtype, device="cpu")
    return torch.gt(draws, _limit(level), out=kept).to(rows.device)


CORRUPTIONS: dict[str, type[Corruption]] = {
    "gaussian": GaussianNoise,
    "hiding": HidingNoise,
    "masking": MaskingNoise,
    "salt_and_pepper": SaltAndPepperNoise,
    "swap": SwapNoise,
}

__all__ = [
    "CORRUPTIONS",
    "Columns",
    "Corruption",
    "GaussianNoise",
    "HidingNoise",
    "MaskingNoise",
    "SaltAndPepperNoise",
    "SwapNoise",
]
