"""Figures that say how good codes and reconstructions are."""

from skae.metrics._codes import active_units, code_correlation, continuity, neighborhood_hit
from skae.metrics._reconstruction import explained_variance, neg_reconstruction_error

__all__ = [
    "active_units",
    "code_correlation",
    "continuity",
    "explained_variance",
    "neg_reconstruction_error",
    "neighborhood_hit",
]
