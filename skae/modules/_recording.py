"""Whether torch runs a network or records it as a program."""

import torch


def is_recording() -> bool:
    """Tell whether torch records a program: for export, for compilation, or by a trace.

    A program must serve any number of rows, with and without missing cells. So shortcuts that
    depend on either are not to be taken then.
    """
    return torch.compiler.is_compiling() or torch.jit.is_tracing()
