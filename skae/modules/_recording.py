"""Check of whether torch runs a network or records it as a program."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch

_SELECTS_ROWS: ContextVar[bool] = ContextVar("selects_rows", default=False)


def is_recording() -> bool:
    """Return whether torch records a program for export, for compilation, or in a trace.

    A program must work for any number of rows, with and without missing cells, so shortcuts that
    depend on these must not be taken.
    """
    return torch.compiler.is_compiling() or torch.jit.is_tracing()


@contextmanager
def select_rows() -> Iterator[None]:
    """Context in which recorded programs compute some results only for the rows that need them.

    Other programs work for networks that fix the number of rows as well.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import Autoencoder, CodeBasis, DenseStack, select_rows
    >>> model = Autoencoder(
    ...     DenseStack([4, 2]), DenseStack([2, 4]), CodeBasis(2), torch.ones(4), torch.ones(2)
    ... )
    >>> with select_rows():
    ...     program = torch.export.export(model, (torch.zeros(5, 4),))
    """
    token = _SELECTS_ROWS.set(True)
    try:
        yield
    finally:
        _SELECTS_ROWS.reset(token)


def selects_rows() -> bool:
    """Return whether `select_rows` holds."""
    return _SELECTS_ROWS.get()
