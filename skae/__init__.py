"""Autoencoders as scikit-learn transformers: PCA, but nonlinear, and never worse."""

from importlib import import_module
from typing import TYPE_CHECKING

from joblib import register_parallel_backend

if TYPE_CHECKING:
    from skae._estimators.adversarial import AdversarialAutoencoderTransformer
    from skae._estimators.autoencoder import AutoencoderTransformer
    from skae._estimators.imputer import AutoencoderImputer
    from skae._estimators.outlier import AutoencoderOutlierDetector
    from skae._estimators.sparse_codes import SparseAutoencoderTransformer
    from skae._estimators.tokens import TokenAutoencoderTransformer
    from skae._estimators.variational import VariationalAutoencoderTransformer
    from skae._shared.config import config_context, get_config, set_config
    from skae.onnx import to_onnx as to_onnx
    from skae.parallel import fit_many, transform_many
    from skae.saving import checkpoints, load, save

__version__ = "0.2.0"

# Without `to_onnx`, because a star import would then need an extra.
__all__ = [
    "AdversarialAutoencoderTransformer",
    "AutoencoderImputer",
    "AutoencoderOutlierDetector",
    "AutoencoderTransformer",
    "SparseAutoencoderTransformer",
    "TokenAutoencoderTransformer",
    "VariationalAutoencoderTransformer",
    "__version__",
    "checkpoints",
    "config_context",
    "fit_many",
    "get_config",
    "load",
    "save",
    "set_config",
    "transform_many",
]

_HOMES = {
    "AdversarialAutoencoderTransformer": "skae._estimators.adversarial",
    "AutoencoderImputer": "skae._estimators.imputer",
    "AutoencoderOutlierDetector": "skae._estimators.outlier",
    "AutoencoderTransformer": "skae._estimators.autoencoder",
    "SparseAutoencoderTransformer": "skae._estimators.sparse_codes",
    "TokenAutoencoderTransformer": "skae._estimators.tokens",
    "VariationalAutoencoderTransformer": "skae._estimators.variational",
    "checkpoints": "skae.saving",
    "config_context": "skae._shared.config",
    "fit_many": "skae.parallel",
    "get_config": "skae._shared.config",
    "load": "skae.saving",
    "save": "skae.saving",
    "set_config": "skae._shared.config",
    "to_onnx": "skae.onnx",
    "transform_many": "skae.parallel",
}

_MODULES = {
    "architectures",
    "base",
    "codes",
    "comparison",
    "corruption",
    "datasets",
    "exceptions",
    "generate",
    "impute",
    "inspection",
    "io",
    "metrics",
    "modules",
    "objectives",
    "onnx",
    "parallel",
    "saving",
    "sequences",
    "text",
    "zoo",
}


if not TYPE_CHECKING:  # With __getattr__, type checkers would accept any name.

    def __getattr__(name):
        # torch takes seconds to import, which `skae --help` need not wait for.
        if name in _HOMES:
            return getattr(import_module(_HOMES[name]), name)
        if name in _MODULES:
            return import_module(f"skae.{name}")
        raise AttributeError(f"module 'skae' has no attribute {name!r}")


def __dir__():
    return sorted({*__all__, *_HOMES, *_MODULES})


def _make_backend(**params):
    return import_module("skae.parallel").SideBySideBackend(**params)


register_parallel_backend("skae", _make_backend)
