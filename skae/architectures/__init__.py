"""What the encoder and the decoder of an autoencoder are made of."""

from skae.architectures._base import Architecture
from skae.architectures._convolutional import Convolutional
from skae.architectures._dense import Dense
from skae.architectures._recurrent import Recurrent

__all__ = [
    "Architecture",
    "Convolutional",
    "Dense",
    "Recurrent",
]
