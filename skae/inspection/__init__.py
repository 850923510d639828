"""Plots and explanations of fitted autoencoders."""

from skae.inspection._code_display import CodeDisplay
from skae.inspection._error_display import ReconstructionErrorDisplay
from skae.inspection._explain import explain_codes
from skae.inspection._explanation import CodeExplanation
from skae.inspection._jacobian import code_jacobian
from skae.inspection._live_loss_curve import LiveLossCurve
from skae.inspection._loss_curve import LossCurveDisplay
from skae.inspection._reconstruction_display import ReconstructionDisplay
from skae.inspection._scree import ScreeDisplay
from skae.inspection._top import TopEntries, top_columns, top_rows
from skae.inspection._traversal_display import LatentTraversalDisplay

__all__ = [
    "CodeDisplay",
    "CodeExplanation",
    "LatentTraversalDisplay",
    "LiveLossCurve",
    "LossCurveDisplay",
    "ReconstructionDisplay",
    "ReconstructionErrorDisplay",
    "ScreeDisplay",
    "TopEntries",
    "code_jacobian",
    "explain_codes",
    "top_columns",
    "top_rows",
]
