"""Base classes for kinds of autoencoders that are not in the library."""

from skae._base import BaseAutoencoder
from skae._training import Family, Plain, Step

__all__ = ["BaseAutoencoder", "Family", "Plain", "Step"]
