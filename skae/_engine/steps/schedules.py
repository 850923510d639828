"""Learning rates during training."""

import math
from collections.abc import Callable, Sequence

# The rate rises over this share of training and falls over the rest.
_WARM_UP = 0.1
_START_DIVISOR = 25.0
_LEAST_END = 1e-4


def one_cycle(progress: float, end: float = 0.0) -> float:
    """Return the factor of the learning rate in the one-cycle policy, in (0, 1].

    It rises from 1/25 along a cosine in the first tenth of the steps, then falls linearly to `end`,
    or to almost zero. `progress` is the share of steps so far.

    References
    ----------
    Smith, L. N. and Topin, N. (2019). Super-convergence: very fast training of neural networks
    using large learning rates. https://doi.org/10.1117/12.2520589
    """
    if progress < _WARM_UP:
        rise = (1 - math.cos(math.pi * progress / _WARM_UP)) / 2
        return 1 / _START_DIVISOR + (1 - 1 / _START_DIVISOR) * rise
    return max(end + (1 - end) * (1 - progress) / (1 - _WARM_UP), end, _LEAST_END)


# None if the rate is constant, or lowered by a callback after epochs.
SCHEDULES: dict[str, Callable[[float, float], float] | None] = {
    "one_cycle": one_cycle,
    "constant": None,
    "adaptive": None,
}


class LearningRates:
    """Learning rates of parameter groups, whose present `lr` is the highest rate of the schedule.

    "adaptive" and "constant" rates are not changed here, so that callbacks can set them.
    "one_cycle" ends with the share `end` of the highest rate.
    """

    def __init__(self, groups: Sequence[dict], schedule: str, end: float = 0.0):
        self.groups, self.greatest = groups, [group["lr"] for group in groups]
        self.end = end
        self.schedule = SCHEDULES[schedule]

    def set_(self, progress: float):
        """Set the rates for the next step, given the share of steps so far in [0, 1]."""
        if self.schedule is not None:
            factor = self.schedule(progress, self.end)
            for group, rate in zip(self.groups, self.greatest, strict=True):
                group["lr"] = rate * factor
