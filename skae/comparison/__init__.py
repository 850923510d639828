"""Autoencoders compared with PCA: errors, predictions from the codes, and a report."""

from skae.comparison._compare import compare_with_pca
from skae.comparison._comparison import PCAComparison
from skae.comparison._components_curve import ComponentsCurveDisplay
from skae.comparison._downstream import DownstreamComparison, compare_downstream
from skae.comparison._results import MethodResult

__all__ = [
    "ComponentsCurveDisplay",
    "DownstreamComparison",
    "MethodResult",
    "PCAComparison",
    "compare_downstream",
    "compare_with_pca",
]
