"""Autoencoders as scikit-learn transformers: PCA, but nonlinear, and never worse."""

from skae._adversarial import AdversarialAutoencoderTransformer
from skae._autoencoder import AutoencoderTransformer
from skae._imputer import AutoencoderImputer
from skae._outlier import AutoencoderOutlierDetector
from skae._tokens import TokenAutoencoderTransformer
from skae._variational import VariationalAutoencoderTransformer

__version__ = "0.1.0"

__all__ = [
    "AdversarialAutoencoderTransformer",
    "AutoencoderImputer",
    "AutoencoderOutlierDetector",
    "AutoencoderTransformer",
    "TokenAutoencoderTransformer",
    "VariationalAutoencoderTransformer",
    "__version__",
]
