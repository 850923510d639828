"""Functions and PyTorch criteria as reconstruction losses."""

import copy
import functools
import inspect
from collections.abc import Callable

import torch
from torch import Tensor, nn

from skae.objectives._reconstruction import PreparedLoss, ReconstructionLoss
from skae.objectives._units import ColumnUnits


class CriterionLoss(ReconstructionLoss):
    """Any function or PyTorch criterion as a reconstruction loss, in standardised units.

    Estimators use this class if `loss` is a function or a PyTorch criterion.

    Parameters
    ----------
    criterion : callable or class
        Function ``criterion(output, target)``, or a PyTorch criterion such as
        `torch.nn.SmoothL1Loss`, as class or instance. It returns the loss of each cell, of each
        row, or a single number. A criterion with a `reduction` is copied and set to no reduction if
        possible, so that rows can be weighted and compared one by one. A single number is used as
        the loss of every row.

    Raises
    ------
    ValueError
        If `criterion` is not callable. Raised when the loss is used.

    Notes
    -----
    Outputs are clipped to the range of their column before the criterion is called, and the output
    and the target of a missing cell are both set to zero.
    If the criterion returns the loss of each cell, the loss of missing cells is set to zero. If it
    returns the loss of rows or of the batch, a missing cell contributes its value for two zeros.
    The gradient is zero in both cases.

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
        """Raise an error if the criterion is not callable."""
        if not callable(self.criterion):
            raise ValueError(
                f"`criterion` must be a callable or a class of criteria. Got {self.criterion!r}. "
                "Pass for example torch.nn.SmoothL1Loss."
            )

    @torch.no_grad()
    def tells_rows_apart(self, n_features: int, dtype: torch.dtype = torch.float32) -> bool:
        """Return whether the criterion returns more than a single number for two rows."""
        rows = torch.zeros(2, n_features, dtype=dtype, device="cpu")
        try:
            return self.prepare().judge(rows, rows).ndim > 0
        except Exception:
            # Errors are raised in the fit, with real rows and on the right device.
            return True

    def prepare(
        self, units: ColumnUnits | None = None, *, masked: bool = False
    ) -> "PreparedCriterion":
        return PreparedCriterion(copy.deepcopy(self), units, masked=masked)


class PreparedCriterion(PreparedLoss):
    """Criterion for one table, with its own copy."""

    loss: CriterionLoss

    def __init__(
        self, loss: CriterionLoss, units: ColumnUnits | None = None, *, masked: bool = False
    ) -> None:
        super().__init__(loss, units, masked=masked)
        self.criterion = _without_reduction(loss.criterion)
        self._is_tried = not _has_reduction(loss.criterion)
        if isinstance(self.criterion, nn.Module):
            # Otherwise, training could lower the loss by changing the criterion.
            self.criterion.requires_grad_(False)

    def judge(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the losses of cells or of rows, or a single number, as returned by the criterion.

        If each cell has a loss, those of missing cells are 0. Other results are refused.
        """
        output, target, missing = self._complete(output, target)
        value = self._call(self.units.clip(output), target)
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
        """Use the criterion with its reduction if it does not work without."""
        self._is_tried = True
        try:
            works = _is_loss(self.criterion(output, target), target)
        except (TypeError, ValueError, RuntimeError, NotImplementedError):
            works = False
        if not works:
            given = self.loss.criterion
            self.criterion = given() if inspect.isclass(given) else given

    def cells(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each cell, or that of its row or batch if cells have none."""
        value = self.judge(output, target)
        if value.shape == target.shape[:-1]:
            value = value[..., None]
        return value.expand_as(target)

    def rows(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each row, or that of its batch if rows have none."""
        return _to_rows(self.judge(output, target), target)

    def forward(self, output: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return the weighted mean loss, for weights that are 1 on average over all batches.

        Weights are refused if the criterion returns a single number.
        """
        value = self.judge(output, target)
        if weight is None:
            return value.mean()
        if value.ndim == 0:
            raise ValueError(
                "`criterion` must return the loss of each row or cell if rows have weights. "
                "Got a single number. Do not take the mean over the rows, or fit without "
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
        # Some callables written in C have no signature.
        return False
