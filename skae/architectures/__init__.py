"""What the encoder and the decoder of an autoencoder are made of."""

from skae.architectures._base import Architecture
from skae.architectures._dense import Dense
from skae.architectures._read import ARCHITECTURES, read_architecture

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "Dense",
    "read_architecture",
]
