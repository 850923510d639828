"""Rotations of codes of unit variance, which do not change reconstructions."""

from collections.abc import Callable

import numpy as np
import torch
from sklearn.decomposition import FastICA
from torch import Tensor

from skae._engine.start.prepared_table import PreparedTable
from skae._engine.tables.batches import OrderedBatches
from skae._engine.tables.rows import sample_evenly
from skae.modules import Autoencoder

_BATCH_SIZE = 4096
# Most rows on whose codes independent components are fitted.
_MOST_ROWS = 20_000
_VARIMAX_STEPS, _ICA_STEPS = 500, 1000
_TOLERANCE = 1e-9


def _make_varimax(module: Autoencoder, table: PreparedTable) -> Callable:
    return lambda loadings, to_codes: find_varimax(loadings)


def find_varimax(loadings: Tensor) -> Tensor:
    """Return the rotation that maximises the variance of the squared loadings of each code.

    `loadings` of shape (n_features, n_codes) are covariances of features and codes of unit
    variance.
    """
    rotation, reached = torch.eye(loadings.shape[1], dtype=loadings.dtype), 0.0
    for _ in range(_VARIMAX_STEPS):
        turned = loadings @ rotation
        ascent = loadings.T @ (turned**3 - turned * turned.square().mean(0))
        left, sizes, right = torch.linalg.svd(ascent)
        rotation, before, reached = left @ right, reached, float(sizes.sum())
        if reached <= before * (1 + _TOLERANCE):
            break
    return rotation


def _make_ica(module: Autoencoder, table: PreparedTable) -> Callable:
    return lambda loadings, to_codes: find_independent(_sample_codes(module, table) @ to_codes)


def find_independent(codes: Tensor) -> Tensor:
    """Return the rotation with which FastICA makes codes independent.

    `codes` of shape (n_samples, n_codes) are uncorrelated, with mean 0 and variance 1. The search
    starts from them, so it is deterministic.
    """
    n_codes = codes.shape[1]
    if n_codes < 2:
        return torch.eye(n_codes, dtype=codes.dtype)
    ica = FastICA(whiten=False, max_iter=_ICA_STEPS, w_init=np.eye(n_codes))
    return torch.from_numpy(ica.fit(codes.numpy()).components_.T.copy())


@torch.no_grad()
def _sample_codes(module: Autoencoder, table: PreparedTable) -> Tensor:
    """Return centred raw codes of a sample of rows, in which rows are repeated by weight."""
    weights = None if table.weights is None else table.weights.double().numpy()
    drawn = sample_evenly(len(table.dataset()), _MOST_ROWS, weights)
    dataset = table.dataset(torch.from_numpy(drawn))
    batches = OrderedBatches(dataset, batch_size=_BATCH_SIZE)
    codes = torch.cat([module.encode_raw(rows).cpu().double() for rows, _ in batches])
    return codes - codes.mean(0)


# Functions that return the parameter `find_rotation` of `order_codes_`: a function of loadings and
# a map to codes that returns a rotation, or None for PCA's own.
ROTATIONS: dict[str, Callable[[Autoencoder, PreparedTable], Callable | None]] = {
    "ica": _make_ica,
    "pca": lambda module, table: None,
    "varimax": _make_varimax,
}
