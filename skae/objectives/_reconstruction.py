"""Base class of reconstruction losses, with means, weights and missing cells."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from sklearn.base import BaseEstimator
from torch import Tensor, nn

from skae.objectives._units import ColumnUnits

# Methods by which a subclass changes the loss.
_LOSS_METHODS = frozenset({"cells", "rows"})


class ReconstructionLoss(BaseEstimator):
    """Base class of losses, which compare outputs of the network with rows.

    As in any scikit-learn estimator, the constructor stores its parameters unchanged, and they are
    checked when used. A search can set them, as in ``loss__delta``. `fit` uses a copy of the
    object, which `prepare` adapts to the table.

    A subclass must override `cells`, or `rows` if the loss of a row is not a mean over its cells.
    Everything else is optional: the attributes below, `check`, and `rows_and_gradient_`, with which
    dense networks train without autograd. Missing cells are handled before these methods are
    called, and outputs are already clipped to the range of the columns.

    Attributes
    ----------
    link : {"identity", "logistic", "exponential"} or tuple, default="identity"
        Meaning of the network's output: a standardised value, the logit of a value in [0, 1], or
        the logarithm of a positive value. The latter two are in the units of X. A tuple has the
        name "mixed", followed by the structure of the columns, as in `MixedLoss`.
    domain : tuple of two floats or None, default=None
        Range of allowed values of X, in its own units.
    must_beat_pca : bool, default=False
        Whether the model becomes PCA if its squared error is higher than PCA's. Not inherited by a
        subclass that overrides `cells` or `rows`.
    is_error : bool, default=False
        Whether models are compared by this loss instead of the squared error. They are then
        compared with the start of the network.
    cell_shares : sequence of float of length n_features or None, default=None
        Share of each column of X in a column of the loss, such as ``1 / n_levels`` for a level of a
        category. None means 1 for all columns.
    holds_numbers : sequence of bool of length n_features or None, default=None
        Whether each column of X holds numbers, which may have other values than in X while a
        network is trained. None means all do.
    has_gradient : bool
        Whether the class has `rows_and_gradient_`. Not inherited by a subclass that overrides
        `cells` or `rows`, because its gradient differs.

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
    >>> model = AutoencoderTransformer(2, loss=LogCosh(2.0), max_iter=3, random_state=0)
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
    holds_numbers: Sequence[bool] | None = None
    has_gradient: bool = False

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        cls.has_gradient = _goes_with_loss(cls, "rows_and_gradient_")
        cls.must_beat_pca = cls.must_beat_pca and _goes_with_loss(cls, "must_beat_pca")

    def check(self) -> None:
        """Raise an error for invalid parameters, before any training.

        Raises
        ------
        ValueError
            If a parameter is not as described. The base class accepts everything.
        """

    def cells(self, output: Tensor, target: Tensor, units: ColumnUnits) -> Tensor:
        """Return the loss of each cell.

        Parameters
        ----------
        output : Tensor of shape (..., n_features)
            Outputs of the network, whose meaning is given by `link`.
        target : Tensor of shape (..., n_features)
            Standardised rows.
        units : ColumnUnits
            Units of the columns, for losses in the units of X.

        Returns
        -------
        losses : Tensor of shape (..., n_features)
            Losses that autograd can differentiate with respect to the output.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must have a method `cells` that returns the loss of each cell, "
            "or a method `rows` that returns the loss of each row."
        )

    def rows(self, output: Tensor, target: Tensor, units: ColumnUnits) -> Tensor:
        """Return the loss of each row: the mean over its cells, unless overridden.

        Parameters
        ----------
        output, target : Tensor of shape (..., n_features)
            Outputs and standardised rows, as for `cells`. Both are 0 in missing cells.
        units : ColumnUnits
            Units of the columns.

        Returns
        -------
        losses : Tensor of shape (...)
            Losses that autograd can differentiate with respect to the output.
        """
        return self.cells(output, target, units).mean(-1)

    def rows_and_gradient_(
        self, output: Tensor, target: Tensor, factor, units: ColumnUnits
    ) -> tuple[Tensor, Tensor]:
        """Return the losses of rows, and overwrite the output with `factor` times the gradient.

        Optional. Called without autograd.

        Parameters
        ----------
        output : Tensor of shape (..., n_features)
            Outputs of the network, which are overwritten.
        target : Tensor of shape (..., n_features)
            Standardised rows.
        factor : float or Tensor of shape (..., 1)
            Factor of the derivative of the loss of each cell with respect to the output.
        units : ColumnUnits
            Units of the columns.

        Returns
        -------
        losses : Tensor of shape (...)
            Mean loss over the cells of each row.
        gradient : Tensor of shape (..., n_features)
            Gradient, in the memory of the output.
        """
        raise NotImplementedError

    def tells_rows_apart(self, n_features: int, dtype: torch.dtype = torch.float32) -> bool:
        """Return whether each row has its own loss, as with all losses except some criteria.

        Parameters
        ----------
        n_features : int
            Number of columns of the table.
        dtype : torch.dtype, default=torch.float32
            Precision of the network.

        Returns
        -------
        tells : bool
            Whether rows can be weighted and compared one by one.
        """
        return True

    def prepare(self, units: ColumnUnits | None = None, *, masked: bool = False) -> "PreparedLoss":
        """Return a copy of the loss that is prepared for one table.

        Parameters
        ----------
        units : ColumnUnits, default=None
            Units of the columns. None is for a table that is already standardised.
        masked : bool, default=False
            Whether targets may contain NaN, which are missing cells. Checking for them takes time.

        Returns
        -------
        loss : PreparedLoss
            PyTorch module that computes the loss of outputs and rows.
        """
        return PreparedLoss(copy.deepcopy(self), units, masked=masked)


def _goes_with_loss(kind: type, name: str) -> bool:
    """Return whether `name` is defined by the class that defines the loss, or by a subclass."""
    for base in kind.__mro__:
        if base is ReconstructionLoss:
            return False
        if name in vars(base):
            return True
        if vars(base).keys() & _LOSS_METHODS:
            return False
    return False


class PreparedLoss(nn.Module):
    """Reconstruction loss for one table: a mean over the cells of a row, then over the rows.

    Parameters
    ----------
    loss : ReconstructionLoss
        Loss of cells or rows.
    units : ColumnUnits, default=None
        Units of the columns. None is for a table that is already standardised.
    masked : bool, default=False
        Whether targets may contain NaN, which are missing cells. They have zero loss and no
        gradient, and the loss of a row is the sum over its observed cells divided by the number of
        features.

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
        """Return the loss of each cell, of the shape of the target. 0 for missing cells."""
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
        """Return the losses of rows, and overwrite the output with `factor` times the gradient.

        Arguments and results have the shapes of `ReconstructionLoss.rows_and_gradient_`.
        """
        # PyTorch takes a microsecond to find a submodule by its name.
        units: Any = self._modules["units"]
        if not self.masked:
            rows, gradient = self.loss.rows_and_gradient_(
                units.clip_(output), target, factor, units
            )
        else:
            rows, missing = self.rows(output, target), target.isnan()
            _, gradient = self.loss.rows_and_gradient_(
                units.clip_(output), target.masked_fill(missing, 0), factor, units
            )
            gradient.masked_fill_(missing, 0)
        # Users' losses may have returned a tensor of their own.
        return rows, gradient if gradient is output else output.copy_(gradient)

    def forward(self, output: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return the loss of a batch.

        Parameters
        ----------
        output : Tensor of shape (n_samples, n_features)
            Outputs of the network's `forward`.
        target : Tensor of shape (n_samples, n_features)
            Standardised rows.
        weight : Tensor of shape (n_samples,), default=None
            Weights of the rows, 1 on average over all batches. None gives all rows equal weight.
            Losses are not divided by the sum of weights of the batch, so the effect of a row does
            not depend on the weights of other rows in its batch.

        Returns
        -------
        loss : Tensor of shape ()
            Weighted mean over the rows.
        """
        return mean_loss(self.rows(output, target), weight)

    def _complete(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return output and target with 0 for missing cells, and the mask of these.

        Both are filled, as infinite derivatives and NaN remain when they are multiplied by 0.
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
                "Do not take the mean over the rows, which is taken afterwards."
            )


def mean_loss(losses: Tensor, weights: Tensor | None) -> Tensor:
    """Return the mean of the losses of rows, multiplied by weights if there are any."""
    return losses.mean() if weights is None else (losses * weights).mean()
