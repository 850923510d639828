"""Sparse codes of many rows, without their zeros."""

import numpy as np
import torch
from scipy import sparse

from skae._engine.applying.rows import device_of, standardised_chunks
from skae._engine.tables.rows import chunk_slices
from skae._engine.tables.standardization import Standardization


@torch.no_grad()
def encode_sparsely(module, X, standardization: Standardization) -> sparse.csr_matrix:
    """Return the codes of the rows of X.

    Parameters
    ----------
    module : PursuitAutoencoder
        The network.
    X : ndarray or CSR matrix of shape (n_samples, n_features)
        Rows, in their own unit.
    standardization : Standardization
        Centring and scaling of the network's rows.

    Returns
    -------
    codes : csr_matrix of shape (n_samples, n_components)
        In the unit of X and the precision of the network.
    """
    device, parts = device_of(module), []
    # Scores take as many cells as there are codes.
    for rows in chunk_slices((X.shape[0], len(module.directions))):
        chunks = standardised_chunks(X[rows], standardization, device)
        code = torch.cat([module.encode(chunk) for _, chunk in chunks])
        parts.append(sparse.csr_matrix(code.cpu().numpy()))
    codes = sparse.vstack(parts, format="csr")
    codes.data *= codes.dtype.type(standardization.scale)
    return codes
