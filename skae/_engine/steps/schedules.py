"""Learning rates as functions of how far training has come."""

import math
from collections.abc import Callable

# The rate rises over this share of training and falls over the rest.
_WARM_UP = 0.1
_START_DIVISOR = 25.0
_END_DIVISOR = 1e4


def one_cycle(progress: float) -> float:
    """Return the factor of the learning rate of the one-cycle policy.

    Up along a cosine from 1/25 in the first tenth of the steps, then straight down to almost
    nothing.

    Parameters
    ----------
    progress : float in [0, 1]
        Share of all steps that has been made.

    Returns
    -------
    factor : float in (0, 1]
        Factor of the greatest learning rate.

    References
    ----------
    Smith, L. N. and Topin, N. (2019). Super-convergence: very fast training of neural networks
    using large learning rates. https://doi.org/10.1117/12.2520589
    """
    if progress < _WARM_UP:
        rise = (1 - math.cos(math.pi * progress / _WARM_UP)) / 2
        return 1 / _START_DIVISOR + (1 - 1 / _START_DIVISOR) * rise
    return max((1 - progress) / (1 - _WARM_UP), 1 / _END_DIVISOR)


# None where the rate stays as it is, or is lowered by a callback, epoch by epoch.
SCHEDULES: dict[str, Callable[[float], float] | None] = {
    "one_cycle": one_cycle,
    "constant": None,
    "adaptive": None,
}
