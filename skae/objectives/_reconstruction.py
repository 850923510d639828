"""Base of all reconstruction losses: means over cells and rows, weights, missing cells."""

import copy
from collections.abc import Sequence

import torch
from sklearn.base import BaseEstimator
from torch import Tensor, nn

from skae.objectives._units import ColumnUnits

# Methods by which a subclass changes the loss.
_LOSS_METHODS = frozenset({"cells", "rows"})


class ReconstructionLoss(BaseEstimator):
    """Base class of the losses, which compare an output of the network with the row it is for.

    A loss is a description: constructor parameters are stored as they are and checked in use, as
    in any scikit-learn estimator, so that a search reaches them, as in ``loss__delta``. A fit
    works on a copy that `prepare` makes ready for the table.

    A subclass must override `cells`, or `rows` if the loss of a row is no mean over its cells.
    Everything else is optional: the attributes below, `check`, and `rows_and_gradient_`, which
    lets dense networks train without autograd. Methods see no missing cells, and outputs that are
    clipped to the range of the columns.

    Attributes
    ----------
    link : {"identity", "logistic", "exponential"} or tuple, default="identity"
        Meaning of the network's output: a standardised value, the logit of a value in [0, 1], or
        the logarithm of a positive value. The latter two are in the unit of X. A tuple begins
        with the name "mixed", which the structure of the columns follows, as in `MixedLoss`.
    domain : tuple of two floats or None, default=None
        Range that X must lie in, in its own unit.
    must_beat_pca : bool, default=False
        Whether training has failed where its squared error is above PCA's. The model is PCA then.
        Not inherited by a subclass that overrides `cells` or `rows`.
    is_error : bool, default=False
        Whether models are compared with PCA by the loss itself instead of the squared error; with
        the PCA that the network starts as, that is.
    cell_shares : sequence of float of length n_features or None, default=None
        Share of each column of X in a column that the loss counts; None where each is one.
    has_gradient : bool
        Whether the class has `rows_and_gradient_`. Not inherited by a subclass that overrides
        `cells` or `rows`, whose gradient is another one.

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import load_iris
    >>> from skae import AutoencoderTransformer
    >>> from skae.objectives import ReconstructionLoss
    >>> class LogCosh(ReconstructionLoss):
    ...     def __init__(self, sharpness=1.0):
    ...         self.sharpness = sharpness
    ...
    ...     def cells(self, output, target, units):
    ...         return torch.log(torch.cosh(self.sharpness * (output - target)))
    >>> model = AutoencoderTransformer(2, loss=LogCosh(2.0), max_iter=20, random_state=0)
    >>> model.fit_transform(load_iris().data).shape
    (150, 2)
    >>> model.set_params(loss__sharpness=0.5).loss
    LogCosh(sharpness=0.5)
    """

    link: str | tuple = "identity"
    domain: tuple[float, float] | None = None
    must_beat_pca: bool = False
    is_error: bool = False
    cell_shares: Sequence[float] | None = None
    has_gradient: bool = False

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        cls.has_gradient = _goes_with_loss(cls, "rows_and_gradient_")
        cls.must_beat_pca = cls.must_beat_pca and _goes_with_loss(cls, "must_beat_pca")

    def check(self) -> None:
        """Refuse parameters that are not as described, before any training.

        Raises
        ------
        ValueError
            If a parameter is not as described. The base class refuses nothing.
        """

    def cells(self, output: Tensor, target: Tensor, units: ColumnUnits) -> Tensor:
        """Return the loss of each cell.

        Parameters
        ----------
        output : Tensor of shape (..., n_features)
            Outputs of the network, as `link` says.
        target : Tensor of shape (..., n_features)
            Standardised rows.
        units : ColumnUnits
            Units of the columns, for losses in the unit of X.

        Returns
        -------
        losses : Tensor of shape (..., n_features)
            Losses that autograd can differentiate by the output.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must have a method `cells` that returns the loss of each cell, "
            "or a method `rows` that returns the loss of each row."
        )

    def rows(self, output: Tensor, target: Tensor, units: ColumnUnits) -> Tensor:
        """Return the loss of each row, the mean over its cells unless overridden.

        Parameters
        ----------
        output, target : Tensor of shape (..., n_features)
            Outputs and standardised rows, as for `cells`. Where a cell is missing both are 0.
        units : ColumnUnits
            Units of the columns.

        Returns
        -------
        losses : Tensor of shape (...)
            Losses that autograd can differentiate by the output.
        """
        return self.cells(output, target, units).mean(-1)

    def rows_and_gradient_(
        self, output: Tensor, target: Tensor, factor, units: ColumnUnits
    ) -> tuple[Tensor, Tensor]:
        """Return the losses of rows, and turn the output into `factor` times the cells' gradient.

        Optional, and called without autograd.

        Parameters
        ----------
        output : Tensor of shape (..., n_features)
            Outputs of the network; overwritten.
        target : Tensor of shape (..., n_features)
            Standardised rows.
        factor : float or Tensor of shape (..., 1)
            Factor of the derivative of each cell's loss by the output.
        units : ColumnUnits
            Units of the columns.

        Returns
        -------
        losses : Tensor of shape (...)
            Mean loss of each row's cells.
        gradient : Tensor of shape (..., n_features)
            The memory of the output with the gradient in it.
        """
        raise NotImplementedError

    def tells_rows_apart(self, n_features: int, dtype: torch.dtype = torch.float32) -> bool:
        """Tell whether every row has a loss of its own, which all but some criteria give.

        Parameters
        ----------
        n_features : int
            Number of columns of the table.
        dtype : torch.dtype, default=torch.float32
            Precision of the network.

        Returns
        -------
        tells : bool
            Whether rows can be weighted and judged one by one.
        """
        return True

    def prepare(self, units: ColumnUnits | None = None, *, masked: bool = False) -> "PreparedLoss":
        """Return a copy of the loss that is ready for one table.

        Parameters
        ----------
        units : ColumnUnits, default=None
            Units of the columns; those of a standardised table where None.
        masked : bool, default=False
            Whether targets may hold NaN, cells that are missing. Looking for them takes time.

        Returns
        -------
        loss : PreparedLoss
            A torch module that takes outputs and rows.
        """
        return PreparedLoss(copy.deepcopy(self), units, masked=masked)


def _goes_with_loss(kind: type, name: str) -> bool:
    """Tell whether the class that defines `name` is not above the one that defines the loss."""
    for base in kind.__mro__:
        if base is ReconstructionLoss:
            return False
        if name in vars(base):
            return True
        if vars(base).keys() & _LOSS_METHODS:
            return False
    return False


class PreparedLoss(nn.Module):
    """A reconstruction loss for one table: means over the cells of a row, then over the rows.

    Parameters
    ----------
    loss : ReconstructionLoss
        The loss of cells or rows.
    units : ColumnUnits, default=None
        Units of the columns; those of a standardised table where None.
    masked : bool, default=False
        Whether targets may hold NaN, cells that are missing. They cost nothing and have no
        gradient, and a row costs the sum over its other cells divided by the number of features.

    Raises
    ------
    ValueError
        If a parameter of the loss is not as described.

    Examples
    --------
    >>> import torch
    >>> from skae.objectives import SquaredError
    >>> loss = SquaredError().prepare(masked=True)
    >>> loss(torch.tensor([[3.0, 1.0]]), torch.tensor([[1.0, torch.nan]]))
    tensor(2.)
    """

    def __init__(
        self, loss: ReconstructionLoss, units: ColumnUnits | None = None, *, masked: bool = False
    ) -> None:
        super().__init__()
        loss.check()
        self.loss, self.masked = loss, masked
        self.units = ColumnUnits() if units is None else units
        self._has_own_rows = type(loss).rows is not ReconstructionLoss.rows

    @property
    def has_gradient(self) -> bool:
        """Whether `rows_and_gradient_` can be called."""
        return self.loss.has_gradient

    def cells(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each cell, of the shape of the target; 0 for missing cells."""
        output, target, missing = self._complete(output, target)
        cells = self.loss.cells(self.units.clip(output), target, self.units)
        self._check_shape("cells", cells, target.shape)
        return cells if missing is None else cells.masked_fill(missing, 0)

    def rows(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each row."""
        if not self._has_own_rows:
            return self.cells(output, target).mean(-1)
        output, target, _ = self._complete(output, target)
        rows = self.loss.rows(self.units.clip(output), target, self.units)
        self._check_shape("rows", rows, target.shape[:-1])
        return rows

    def rows_and_gradient_(self, output: Tensor, target: Tensor, factor) -> tuple[Tensor, Tensor]:
        """Return the losses of rows, and turn the output into `factor` times the cells' gradient.

        Parameters
        ----------
        output : Tensor of shape (..., n_features)
            Outputs of the network; overwritten.
        target : Tensor of shape (..., n_features)
            Standardised rows.
        factor : float or Tensor of shape (..., 1)
            Factor of the derivative of each cell's loss by the output.

        Returns
        -------
        losses : Tensor of shape (...)
            Mean loss of each row's cells.
        gradient : Tensor of shape (..., n_features)
            The memory of the output with the gradient in it.
        """
        if not self.masked:
            return self.loss.rows_and_gradient_(
                self.units.clip_(output), target, factor, self.units
            )
        rows, missing = self.rows(output, target), target.isnan()
        _, gradient = self.loss.rows_and_gradient_(
            self.units.clip_(output), target.masked_fill(missing, 0), factor, self.units
        )
        return rows, gradient.masked_fill_(missing, 0)

    def forward(self, output: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return the loss of a batch.

        Parameters
        ----------
        output : Tensor of shape (n_samples, n_features)
            Outputs of the network's `forward`.
        target : Tensor of shape (n_samples, n_features)
            Standardised rows.
        weight : Tensor of shape (n_samples,), default=None
            Weights of the rows, 1 on average over all batches; equal where None. A batch is not
            divided by its own sum of weights, so that heavy rows count as much in heavy batches.

        Returns
        -------
        loss : Tensor of shape ()
            Mean over the rows, times their weights.
        """
        return mean_loss(self.rows(output, target), weight)

    def _complete(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return output and target with 0 for missing cells, and where these are.

        Both, because a derivative that is infinite or NaN stays so when it is multiplied with 0.
        """
        if not self.masked:
            return output, target, None
        missing = torch.isnan(target)
        return output.masked_fill(missing, 0), target.masked_fill(missing, 0), missing

    def _check_shape(self, method: str, losses, shape: torch.Size):
        found = getattr(losses, "shape", None)
        if found != shape:
            shown = type(losses).__name__ if found is None else tuple(found)
            raise ValueError(
                f"`{method}` of {type(self.loss).__name__} must return a tensor of shape "
                f"{tuple(shape)}. Got {shown}. "
                "Leave out the mean over the rows, which is taken afterwards."
            )


def mean_loss(losses: Tensor, weights: Tensor | None) -> Tensor:
    """Return the mean of the losses of rows, times their weights where there are any."""
    return losses.mean() if weights is None else (losses * weights).mean()
