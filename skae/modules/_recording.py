"""Whether torch runs a network or records it as a program, and for which rows."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

_LEFT_OUT: ContextVar[tuple[list[Tensor], bool] | None] = ContextVar("left_out", default=None)


def is_recording() -> bool:
    """Return whether torch records a program for export, for compilation, or in a trace.

    A program must work for any number of rows, with and without missing cells, so shortcuts that
    depend on these must not be taken.
    """
    return torch.compiler.is_compiling() or torch.jit.is_tracing()


@contextmanager
def leave_out_far_rows(*, odd: bool = True) -> Iterator[list[Tensor]]:
    """Context in which networks leave out rows with far or odd cells, however many these are.

    A program that torch records in this context is short, and valid for the other rows.

    Parameters
    ----------
    odd : bool, default=True
        Whether rows with odd cells within the range of the known rows are left out as well.

    Yields
    ------
    left_out : list of Tensor
        Indices of the rows whose results are not valid, one tensor for each call.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import Reach, leave_out_far_rows
    >>> bounds, ones = torch.tensor([[-1.0, -1.0], [1.0, 1.0]]), torch.ones(2)
    >>> reach = Reach(bounds, bounds, ones, ones, ones)
    >>> with leave_out_far_rows() as left_out:
    ...     shown = reach.limit_rows(torch.tensor([[0.5, 0.5], [9.0, 0.5]]), torch.clone)
    >>> left_out
    [tensor([1])]
    """
    left_out: list[Tensor] = []
    token = _LEFT_OUT.set((left_out, odd))
    try:
        yield left_out
    finally:
        _LEFT_OUT.reset(token)


def find_left_out() -> tuple[list[Tensor], bool] | None:
    """Return the list of `leave_out_far_rows` and its `odd`, None outside of this context."""
    return _LEFT_OUT.get()


def find_changed(rows: Tensor, inside: Tensor) -> Tensor:
    """Return the indices of rows that clipping has changed, in few operations of a program."""
    # ONNX Runtime finds no numbers in double precision that are not zero.
    return (rows - inside).abs().sum(-1).bool().nonzero()[:, 0]
