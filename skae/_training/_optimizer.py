"""AdamW's settings, for skorch and for the dense step alike."""

from skae._training._settings import TrainingSettings

_BETAS = (0.9, 0.99)
# Gradients near rounding noise shall not move weights: fits of equal data stay equal.
_EPSILON = 1e-6


def adamw_params(settings: TrainingSettings) -> dict:
    """Return AdamW's settings, under the names of its constructor and its parameter groups."""
    return {
        "lr": settings.learning_rate_init,
        "betas": _BETAS,
        "eps": _EPSILON,
        "weight_decay": settings.weight_decay,
    }
