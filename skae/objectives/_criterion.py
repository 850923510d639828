"""Losses of the user's own."""

import copy
import functools
import inspect
from collections.abc import Callable

from torch import Tensor, nn

from skae.objectives._reconstruction import ReconstructionLoss, _fill_missing


class CriterionLoss(ReconstructionLoss):
    """Any criterion as a reconstruction loss, in standardised units.

    Parameters
    ----------
    criterion : callable or class
        ``criterion(output, target)``, or a class of torch's such as `torch.nn.SmoothL1Loss` or an
        instance of one. It returns the loss of each cell, of each row, or a single number. What
        has a `reduction` is told to reduce nothing, so that rows can be weighted and judged one by
        one. A single number counts for every row alike.

    Raises
    ------
    ValueError
        If `criterion` cannot be called.

    Notes
    -----
    Where targets may be missing (`masked`), output and target of such a cell are both set to zero
    before they are compared. A criterion of cells then counts zero for it, a criterion of rows or
    of batches what it says of two zeros. The gradient is zero for either.

    Examples
    --------
    >>> import torch
    >>> from skae.objectives import CriterionLoss
    >>> loss = CriterionLoss(torch.nn.SmoothL1Loss)
    >>> loss.rows(torch.tensor([[0.0, 2.0], [0.0, 0.0]]), torch.zeros(2, 2))
    tensor([0.7500, 0.0000])
    """

    def __init__(self, criterion: Callable[[Tensor, Tensor], Tensor] | type[nn.Module]):
        super().__init__()
        if not callable(criterion):
            raise ValueError(
                f"`criterion` must be a callable or a class of criteria. Got {criterion!r}. "
                "torch.nn.SmoothL1Loss is one."
            )
        self.criterion = _without_reduction(criterion)

    def _judge(self, output: Tensor, target: Tensor) -> Tensor:
        """Return what the criterion says: of cells, of rows, or of the batch."""
        if not self.masked:
            return self._call(output, target)
        output, target, missing = _fill_missing(output, target)
        value = self._call(output, target)
        return value.masked_fill(missing, 0) if value.shape == target.shape else value

    def _call(self, output: Tensor, target: Tensor) -> Tensor:
        value = self.criterion(output, target)
        shape = getattr(value, "shape", None)
        if shape not in (target.shape, target.shape[:-1], ()):
            raise ValueError(
                f"`criterion` must return a tensor of shape {tuple(target.shape)}, "
                f"{tuple(target.shape[:-1])} or (). "
                f"Got {type(value).__name__ if shape is None else tuple(shape)}. "
                "Return the loss of each cell if in doubt."
            )
        return value

    def cells(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each cell; that of its row or its batch where there is no other."""
        value = self._judge(output, target)
        if value.shape == target.shape[:-1]:
            value = value[..., None]
        return value.expand_as(target)

    def rows(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each row; that of its batch where there is no other."""
        return _to_rows(self._judge(output, target), target)

    def forward(self, output: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return the loss of a batch.

        Parameters
        ----------
        output, target : Tensor of shape (n_samples, n_features)
            As for any reconstruction loss.
        weight : Tensor of shape (n_samples,), default=None
            Weights of the rows, 1 on average over all batches; equal where None.

        Returns
        -------
        loss : Tensor of shape ()
            Mean over the rows, times their weights.

        Raises
        ------
        ValueError
            If there are weights and the criterion returns a single number.
        """
        value = self._judge(output, target)
        if weight is None:
            return value.mean()
        if value.ndim == 0:
            raise ValueError(
                "`criterion` must return the loss of each row or cell where rows have weights. "
                "Got a single number. Leave out its mean over the rows, or fit without "
                "`sample_weight`."
            )
        return (_to_rows(value, target) * weight).mean()


def _to_rows(value: Tensor, target: Tensor) -> Tensor:
    if value.shape == target.shape:
        return value.mean(-1)
    return value.expand(target.shape[:-1])


def _without_reduction(criterion):
    """Return an instance, or a function, that returns the loss of each cell if it can."""
    if isinstance(criterion, nn.Module):
        if hasattr(criterion, "reduction"):
            criterion = copy.copy(criterion)
            criterion.reduction = "none"
        return criterion
    options = {"reduction": "none"} if _takes_reduction(criterion) else {}
    if inspect.isclass(criterion):
        return criterion(**options)
    return functools.partial(criterion, **options) if options else criterion


def _takes_reduction(criterion) -> bool:
    try:
        return "reduction" in inspect.signature(criterion).parameters
    except ValueError:
        # Some callables written in C have no signature to read.
        return False
