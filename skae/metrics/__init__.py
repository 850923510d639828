"""Figures that say how good codes and reconstructions are."""

from skae.metrics._codes import active_units, code_correlation, continuity, neighborhood_hit
from skae.metrics._downstream import DownstreamComparison, compare_downstream
from skae.metrics._reconstruction import explained_variance, neg_reconstruction_error

__all__ = [
    "DownstreamComparison",
    "active_units",
    "code_correlation",
    "compare_downstream",
    "continuity",
    "explained_variance",
    "neg_reconstruction_error",
    "neighborhood_hit",
]
