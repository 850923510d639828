"""The networks, as plain torch modules that know nothing of noise, losses or training."""

from skae.modules._autoencoder import INPUT_LIMIT, Autoencoder, CodeBasis, LinearPath
from skae.modules._basis import order_codes_
from skae.modules._dense import ACTIVATIONS, DenseStack
from skae.modules._output import LinearOutput, LogisticOutput

__all__ = [
    "ACTIVATIONS",
    "INPUT_LIMIT",
    "Autoencoder",
    "CodeBasis",
    "DenseStack",
    "LinearOutput",
    "LinearPath",
    "LogisticOutput",
    "order_codes_",
]
