"""What all reconstruction losses share: means over cells and rows, weights, missing cells."""

import torch
from torch import Tensor, nn


class ReconstructionLoss(nn.Module):
    """Base of the losses: a mean over the cells of a row, then over the rows by their weights.

    A subclass says in `_cells` what one cell costs. For the dense training step it may also say,
    in one go, what rows cost and how that changes with the output (`_rows_and_gradient_`). Both
    have the signature of the method without the underscore and see no missing cells.

    Attributes
    ----------
    masked : bool, default=False
        Whether targets may hold NaN, cells that are missing. They cost nothing and have no
        gradient, and a row costs the sum over its other cells divided by the number of features.
        Set it to True where there are any: looking for them takes time.

    Examples
    --------
    >>> import torch
    >>> from skae.objectives import ReconstructionLoss, SquaredError
    >>> issubclass(SquaredError, ReconstructionLoss)
    True
    >>> loss = SquaredError()
    >>> loss.masked = True
    >>> loss(torch.tensor([[3.0, 1.0]]), torch.tensor([[1.0, torch.nan]]))
    tensor(2.)
    """

    masked: bool = False

    @property
    def has_gradient(self) -> bool:
        """Whether `rows_and_gradient_` can be called: a class has written its gradient out."""
        for kind in type(self).__mro__:
            if "_rows_and_gradient_" in vars(kind):
                return kind is not ReconstructionLoss
            if vars(kind).keys() & {"_cells", "cells", "rows"}:
                # Whoever changes the loss alone inherits a gradient of another one.
                return False
        return False

    def _cells(self, output: Tensor, target: Tensor) -> Tensor:
        raise NotImplementedError

    def _rows_and_gradient_(self, output: Tensor, target: Tensor, factor) -> tuple[Tensor, Tensor]:
        raise NotImplementedError

    def cells(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each cell, of the shape of the target."""
        if not self.masked:
            return self._cells(output, target)
        output, target, missing = _fill_missing(output, target)
        return self._cells(output, target).masked_fill(missing, 0)

    def rows_and_gradient_(self, output: Tensor, target: Tensor, factor) -> tuple[Tensor, Tensor]:
        """Return the losses of rows, and turn the output into `factor` times the cells' gradient.

        Parameters
        ----------
        output : Tensor of shape (..., n_features)
            What the model's `forward` returned; overwritten.
        target : Tensor of the same shape
            Standardised rows.
        factor : float or Tensor of shape (..., 1)
            What the derivative of each cell's loss by the output is multiplied with.

        Returns
        -------
        rows : Tensor of shape (...)
            Mean loss of each row's cells.
        gradient : Tensor of shape (..., n_features)
            The memory of the output with the gradient in it.
        """
        if not self.masked:
            return self._rows_and_gradient_(output, target, factor)
        rows = self.rows(output, target)
        missing = target.isnan()
        _, gradient = self._rows_and_gradient_(output, target.masked_fill(missing, 0), factor)
        return rows, gradient.masked_fill_(missing, 0)

    def rows(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the mean loss of each row's cells."""
        return self.cells(output, target).mean(-1)

    def forward(self, output: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return the loss of a batch.

        Parameters
        ----------
        output : Tensor of shape (n_samples, n_features)
            What the model's `forward` returned.
        target : Tensor of shape (n_samples, n_features)
            Standardised rows.
        weight : Tensor of shape (n_samples,), default=None
            Weights of the rows, 1 on average over all batches; equal where None. A batch is not
            divided by its own sum of weights, so that heavy rows count as much in heavy batches.

        Returns
        -------
        loss : Tensor of shape ()
            Mean over the rows, times their weights, of the mean over their cells.
        """
        rows = self.rows(output, target)
        return rows.mean() if weight is None else (rows * weight).mean()


def _fill_missing(output: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return output and target with zeros for what is missing in the target, and where that is.

    Both, because a derivative that is infinite or NaN stays so when it is multiplied with zero.
    """
    missing = torch.isnan(target)
    return output.masked_fill(missing, 0), target.masked_fill(missing, 0), missing
