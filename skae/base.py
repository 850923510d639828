"""Base classes for new kinds of autoencoders."""

from skae._engine import Family, Plain, Step
from skae._estimators.base import BaseAutoencoder

__all__ = ["BaseAutoencoder", "Family", "Plain", "Step"]
