"""Autoencoders as scikit-learn transformers: PCA, but nonlinear, and never worse."""

from skae._estimators.adversarial import AdversarialAutoencoderTransformer
from skae._estimators.autoencoder import AutoencoderTransformer
from skae._estimators.imputer import AutoencoderImputer
from skae._estimators.outlier import AutoencoderOutlierDetector
from skae._estimators.tokens import TokenAutoencoderTransformer
from skae._estimators.variational import VariationalAutoencoderTransformer
from skae.parallel import fit_many, transform_many
from skae.saving import load, save

__version__ = "0.1.0"

__all__ = [
    "AdversarialAutoencoderTransformer",
    "AutoencoderImputer",
    "AutoencoderOutlierDetector",
    "AutoencoderTransformer",
    "TokenAutoencoderTransformer",
    "VariationalAutoencoderTransformer",
    "__version__",
    "fit_many",
    "load",
    "save",
    "transform_many",
]
