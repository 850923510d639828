"""Looking at fitted autoencoders, and at whether one is worth having."""

from skae.inspection._code_display import CodeDisplay
from skae.inspection._compare import compare_with_pca
from skae.inspection._comparison import MethodResult, PCAComparison
from skae.inspection._curves import ComponentsCurveDisplay, LossCurveDisplay
from skae.inspection._error_display import ReconstructionErrorDisplay
from skae.inspection._explain import explain_codes
from skae.inspection._explanation import CodeExplanation
from skae.inspection._jacobian import code_jacobian
from skae.inspection._live_loss_curve import LiveLossCurve
from skae.inspection._reconstruction_display import ReconstructionDisplay
from skae.inspection._traversal_display import LatentTraversalDisplay

__all__ = [
    "CodeDisplay",
    "CodeExplanation",
    "ComponentsCurveDisplay",
    "LatentTraversalDisplay",
    "LiveLossCurve",
    "LossCurveDisplay",
    "MethodResult",
    "PCAComparison",
    "ReconstructionDisplay",
    "ReconstructionErrorDisplay",
    "code_jacobian",
    "compare_with_pca",
    "explain_codes",
]
