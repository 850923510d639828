"""Check of whether torch runs a network or records it as a program."""

import torch


def is_recording() -> bool:
    """Return whether torch records a program for export, for compilation, or in a trace.

    A program must work for any number of rows, with and without missing cells, so shortcuts that
    depend on these must not be taken.
    """
    return torch.compiler.is_compiling() or torch.jit.is_tracing()
