"""Base classes for kinds of autoencoders that are not in the library."""

from skae._engine import Family, Plain, Step
from skae._estimators.base import BaseAutoencoder

__all__ = ["BaseAutoencoder", "Family", "Plain", "Step"]
