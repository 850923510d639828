"""AdamW's settings, for skorch and for the dense step alike."""

from skae._training._settings import TrainingSettings

_BETAS = (0.9, 0.99)
# Gradients near rounding noise shall not move weights: fits of equal data stay equal.
_EPSILON = 1e-6


# The linear path starts where it should be, so it moves less.
_LINEAR_PATH_RATE = 0.2


def stack_group(settings: TrainingSettings) -> dict:
    """Return AdamW's settings for the encoder and the decoder, under its parameters' names."""
    return {
        "lr": settings.learning_rate_init,
        "betas": _BETAS,
        "eps": _EPSILON,
        "weight_decay": settings.weight_decay,
    }


def linear_path_group(settings: TrainingSettings) -> dict:
    """Return AdamW's settings for the linear path, which is slower and does not decay."""
    rate = settings.learning_rate_init * _LINEAR_PATH_RATE
    return {**stack_group(settings), "lr": rate, "weight_decay": 0.0}
