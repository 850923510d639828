"""Autoencoders as scikit-learn transformers: PCA, but nonlinear, and never worse."""

from skae._autoencoder import AutoencoderTransformer

__version__ = "0.1.0"

__all__ = ["AutoencoderTransformer", "__version__"]
