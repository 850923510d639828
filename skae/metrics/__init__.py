"""Metrics of codes and reconstructions."""

from skae.metrics._codes import active_units, code_correlation, continuity, neighborhood_hit
from skae.metrics._neighbors import neighbors_kept, neighbors_kept_score
from skae.metrics._reconstruction import explained_variance, neg_reconstruction_error
from skae.metrics._stability import CodeStability, code_stability

__all__ = [
    "CodeStability",
    "active_units",
    "code_correlation",
    "code_stability",
    "continuity",
    "explained_variance",
    "neg_reconstruction_error",
    "neighborhood_hit",
    "neighbors_kept",
    "neighbors_kept_score",
]
