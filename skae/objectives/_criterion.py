"""Functions and torch criteria as reconstruction losses."""

import copy
import functools
import inspect
from collections.abc import Callable

import torch
from torch import Tensor, nn

from skae.objectives._reconstruction import PreparedLoss, ReconstructionLoss
from skae.objectives._units import ColumnUnits


class CriterionLoss(ReconstructionLoss):
    """Any criterion as a reconstruction loss, in standardised units.

    Estimators make one where `loss` is a function or a torch criterion.

    Parameters
    ----------
    criterion : callable or class
        ``criterion(output, target)``, or a class of torch's such as `torch.nn.SmoothL1Loss` or an
        instance of one. It returns the loss of each cell, of each row, or a single number. A
        criterion that has a `reduction` is copied and told to reduce nothing, so that rows can be
        weighted and judged one by one; where that fails it is used as it is. A single number
        counts for every row alike.

    Raises
    ------
    ValueError
        If `criterion` cannot be called, when the loss is used.

    Notes
    -----
    Where cells may be missing, output and target of such a cell are both set to zero before they
    are compared. A criterion that returns the loss of each cell counts zero for it; one that
    returns the loss of rows or of the batch counts its value for two zeros. The gradient is zero
    for either.

    Examples
    --------
    >>> import torch
    >>> from skae.objectives import CriterionLoss
    >>> loss = CriterionLoss(torch.nn.SmoothL1Loss).prepare()
    >>> loss.rows(torch.tensor([[0.0, 2.0], [0.0, 0.0]]), torch.zeros(2, 2))
    tensor([0.7500, 0.0000])
    """

    def __init__(self, criterion: Callable[[Tensor, Tensor], Tensor] | type[nn.Module]) -> None:
        self.criterion = criterion

    def check(self) -> None:
        """Refuse a criterion that cannot be called."""
        if not callable(self.criterion):
            raise ValueError(
                f"`criterion` must be a callable or a class of criteria. Got {self.criterion!r}. "
                "torch.nn.SmoothL1Loss is one."
            )

    @torch.no_grad()
    def tells_rows_apart(self, n_features: int, dtype: torch.dtype = torch.float32) -> bool:
        """Tell whether the criterion returns more than a single number for two rows."""
        rows = torch.zeros(2, n_features, dtype=dtype, device="cpu")
        try:
            return self.prepare().judge(rows, rows).ndim > 0
        except Exception:
            # Whatever is wrong shows in the fit, with real rows and on the right device.
            return True

    def prepare(
        self, units: ColumnUnits | None = None, *, masked: bool = False
    ) -> "PreparedCriterion":
        """Return a copy of the loss that is ready for one table."""
        return PreparedCriterion(copy.deepcopy(self), units, masked=masked)


class PreparedCriterion(PreparedLoss):
    """A criterion for one table, on a copy of its own."""

    loss: CriterionLoss

    def __init__(
        self, loss: CriterionLoss, units: ColumnUnits | None = None, *, masked: bool = False
    ) -> None:
        super().__init__(loss, units, masked=masked)
        self.criterion = _without_reduction(loss.criterion)
        self._is_tried = not _has_reduction(loss.criterion)
        if isinstance(self.criterion, nn.Module):
            # Training would make the loss small by changing the loss.
            self.criterion.requires_grad_(False)

    def judge(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the losses of cells or of rows, or a single number, as the criterion gives them.

        Parameters
        ----------
        output, target : Tensor of shape (..., n_features)
            Outputs of the network, and standardised rows.

        Returns
        -------
        losses : Tensor of shape (..., n_features), (...) or ()
            Losses; 0 for missing cells where each cell has its own.

        Raises
        ------
        ValueError
            If the criterion returns something else.
        """
        output, target, missing = self._complete(output, target)
        value = self._call(output, target)
        if missing is None or value.shape != target.shape:
            return value
        return value.masked_fill(missing, 0)

    def _call(self, output: Tensor, target: Tensor) -> Tensor:
        if not self._is_tried:
            self._try(output, target)
        value = self.criterion(output, target)
        if not _is_loss(value, target):
            shape = getattr(value, "shape", None)
            raise ValueError(
                f"`criterion` must return a tensor of shape {tuple(target.shape)}, "
                f"{tuple(target.shape[:-1])} or (). "
                f"Got {type(value).__name__ if shape is None else tuple(shape)}. "
                "Return the loss of each cell if in doubt."
            )
        return value

    @torch.no_grad()
    def _try(self, output: Tensor, target: Tensor):
        """Go back to the criterion as it was given where it cannot do without its reduction."""
        self._is_tried = True
        try:
            works = _is_loss(self.criterion(output, target), target)
        except (TypeError, ValueError, RuntimeError, NotImplementedError):
            works = False
        if not works:
            given = self.loss.criterion
            self.criterion = given() if inspect.isclass(given) else given

    def cells(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each cell; that of its row or its batch where there is no other."""
        value = self.judge(output, target)
        if value.shape == target.shape[:-1]:
            value = value[..., None]
        return value.expand_as(target)

    def rows(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each row; that of its batch where there is no other."""
        return _to_rows(self.judge(output, target), target)

    def forward(self, output: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return the loss of a batch.

        Parameters
        ----------
        output, target : Tensor of shape (n_samples, n_features)
            Outputs of the network, and standardised rows.
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
        value = self.judge(output, target)
        if weight is None:
            return value.mean()
        if value.ndim == 0:
            raise ValueError(
                "`criterion` must return the loss of each row or cell where rows have weights. "
                "Got a single number. Leave out its mean over the rows, or fit without "
                "`sample_weight`."
            )
        return (_to_rows(value, target) * weight).mean()


def _is_loss(value, target: Tensor) -> bool:
    return getattr(value, "shape", None) in (target.shape, target.shape[:-1], ())


def _to_rows(value: Tensor, target: Tensor) -> Tensor:
    if value.shape == target.shape:
        return value.mean(-1)
    return value.expand(target.shape[:-1])


def _has_reduction(criterion) -> bool:
    if isinstance(criterion, nn.Module):
        return hasattr(criterion, "reduction")
    return _takes_reduction(criterion)


def _without_reduction(criterion):
    """Return an instance, or a function, that returns the loss of each cell if it can."""
    if inspect.isclass(criterion):
        return _instantiate_without_reduction(criterion)
    if not _has_reduction(criterion):
        return criterion
    if isinstance(criterion, nn.Module):
        criterion = copy.copy(criterion)
        criterion.reduction = "none"
        return criterion
    return functools.partial(criterion, reduction="none")


def _instantiate_without_reduction(criterion: type):
    if not _takes_reduction(criterion):
        return criterion()
    try:
        return criterion(reduction="none")
    except (ValueError, NotImplementedError):
        return criterion()


def _takes_reduction(criterion) -> bool:
    try:
        return "reduction" in inspect.signature(criterion).parameters
    except ValueError:
        # Some callables written in C have no signature to read.
        return False
