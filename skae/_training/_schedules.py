"""Learning rates as functions of how far training has come."""

import math
from collections.abc import Callable

# The cosine rises over this share of training and falls over the rest.
_WARM_UP = 0.3
_START_DIVISOR = 25.0
_END_DIVISOR = 1e4


def one_cycle(progress: float) -> float:
    """Return the factor of the learning rate of the one-cycle policy.

    Up along a cosine from 1/25, down along another to almost nothing.

    Parameters
    ----------
    progress : float in [0, 1]
        Share of all steps that has been made.

    Returns
    -------
    factor : float in (0, 1]
        What the greatest learning rate is multiplied with.

    References
    ----------
    Smith, L. N. and Topin, N. (2019). Super-convergence: very fast training of neural networks
    using large learning rates. https://doi.org/10.1117/12.2520589
    """
    if progress < _WARM_UP:
        return _along_cosine(1 / _START_DIVISOR, 1.0, progress / _WARM_UP)
    return _along_cosine(1.0, 1 / _END_DIVISOR, (progress - _WARM_UP) / (1 - _WARM_UP))


def constant(progress: float) -> float:
    """Return 1, however far training has come."""
    return 1.0


def _along_cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


SCHEDULES: dict[str, Callable[[float], float]] = {
    "one_cycle": one_cycle,
    "constant": constant,
    # Lowered by a callback, epoch by epoch.
    "adaptive": constant,
}
