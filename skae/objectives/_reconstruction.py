"""Reconstruction losses, with the gradients that the dense training step uses."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ReconstructionLoss(nn.Module):
    """Base of the losses: a mean over the cells of a row, then over the rows by their weights.

    A subclass says what one cell costs (`cells`). For the dense training step it also says, in one
    go, what rows cost and how that changes with the output (`rows_and_gradient_`).

    Examples
    --------
    >>> from skae.objectives import ReconstructionLoss, SquaredError
    >>> issubclass(SquaredError, ReconstructionLoss)
    True
    """

    def cells(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each cell, of the shape of the target."""
        raise NotImplementedError

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
        raise NotImplementedError

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


class SquaredError(ReconstructionLoss):
    """Squared difference in standardised units.

    Where features have a range the output is clipped to it before the comparison, while the
    gradient passes as if it had not been: an output beyond a bound costs nothing if the target
    lies on that bound, and is drawn back if it does not.

    Parameters
    ----------
    lower, upper : Tensor of shape (n_features,), default=None
        Range of the features in standardised units, as in `skae.modules.LinearOutput`.

    Examples
    --------
    >>> import torch
    >>> from skae.objectives import SquaredError
    >>> SquaredError()(torch.tensor([[1.0, 3.0]]), torch.tensor([[1.0, 1.0]]))
    tensor(2.)
    """

    lower: Tensor | None
    upper: Tensor | None

    def __init__(self, lower: Tensor | None = None, upper: Tensor | None = None):
        super().__init__()
        self.register_buffer("lower", lower)
        self.register_buffer("upper", upper)

    def cells(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the squared difference of each cell."""
        if self.lower is not None:
            clipped = torch.clamp(output, self.lower, self.upper)
            output = output + (clipped - output).detach()
        return (output - target).square()

    def rows_and_gradient_(self, output: Tensor, target: Tensor, factor) -> tuple[Tensor, Tensor]:
        """Return the losses of rows, and turn the output into the gradient."""
        if self.lower is not None:
            torch.clamp(output, self.lower, self.upper, out=output)
        difference = output.sub_(target)
        rows = torch.linalg.vector_norm(difference, dim=-1).square_().div_(output.shape[-1])
        return rows, difference.mul_(2 * factor)


class BinaryCrossEntropy(ReconstructionLoss):
    """Cross-entropy of each cell, taken as a probability in the unit of X.

    Parameters
    ----------
    mean : Tensor of shape (n_features,)
        Mean of X.
    scale : Tensor of shape ()
        What X was divided by after centring.

    Examples
    --------
    >>> import torch
    >>> from skae.objectives import BinaryCrossEntropy
    >>> loss = BinaryCrossEntropy(torch.zeros(1), torch.tensor(1.0))
    >>> loss(torch.tensor([[0.0]]), torch.tensor([[1.0]]))
    tensor(0.6931)
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, mean: Tensor, scale: Tensor):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)

    def _probability(self, target: Tensor) -> Tensor:
        return torch.addcmul(self.mean, target, self.scale)

    def cells(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the cross-entropy of each cell, in nats."""
        return F.binary_cross_entropy_with_logits(
            output, self._probability(target), reduction="none"
        )

    def rows_and_gradient_(self, output: Tensor, target: Tensor, factor) -> tuple[Tensor, Tensor]:
        """Return the losses of rows, and turn the output into the gradient."""
        probability = self._probability(target)
        rows = F.binary_cross_entropy_with_logits(output, probability, reduction="none").mean(-1)
        return rows, output.sigmoid_().sub_(probability).mul_(factor)
