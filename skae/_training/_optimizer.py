"""AdamW's settings, for skorch and for the dense step alike."""

from torch import nn

from skae._training._settings import TrainingSettings
from skae.modules import Autoencoder

_BETAS = (0.9, 0.99)
# Gradients near rounding noise shall not move weights: fits of equal data stay equal. The loss is a
# mean over the features, so its gradients get smaller with their number.
_EPSILON_OF_SUM = 1e-5
# The linear path starts where it should be, so it moves less.
_LINEAR_PATH_RATE = 0.2


def adamw_groups(settings: TrainingSettings, n_features: int) -> list[dict]:
    """Return AdamW's settings for the parameters of an autoencoder.

    Parameters
    ----------
    settings : TrainingSettings
        Parameters of the estimator.
    n_features : int
        Number of features.

    Returns
    -------
    groups : list of dict
        Settings for the encoder and the decoder and, where there is one, for the linear path, under
        the names of AdamW's own parameters.
    """
    stacks: dict = {
        "lr": settings.learning_rate_init,
        "betas": _BETAS,
        "eps": _EPSILON_OF_SUM / n_features,
        "weight_decay": settings.weight_decay,
        # One call for all parameters instead of one for each of their operations.
        "fused": True,
    }
    if settings.init == "random":
        return [stacks]
    linear_path = {**stacks, "lr": stacks["lr"] * _LINEAR_PATH_RATE, "weight_decay": 0.0}
    return [stacks, linear_path]


def split_parameters(module: Autoencoder) -> list[list[nn.Parameter]]:
    """Return the parameters in the groups that `adamw_groups` has settings for."""
    if module.linear_path is None:
        return [list(module.parameters())]
    linear_path = list(module.linear_path.parameters())
    names = set(map(id, linear_path))
    return [[p for p in module.parameters() if id(p) not in names], linear_path]
