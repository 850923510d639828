"""Looking at fitted autoencoders, and at whether one is worth having."""

from skae.inspection._compare import compare_with_pca
from skae.inspection._comparison import MethodResult, PCAComparison

__all__ = ["MethodResult", "PCAComparison", "compare_with_pca"]
