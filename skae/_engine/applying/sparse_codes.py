"""Sparse codes of many rows, without their zeros."""

import torch
from scipy import sparse

from skae._engine.applying.rows import apply_to_rows
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

    def encode(net, rows):
        return net.encode(rows) * standardization.scale

    # Scores take as many cells as there are codes, and only a few rows' zeros are held at once.
    slices = chunk_slices((X.shape[0], len(module.directions)))
    parts = (apply_to_rows(module, X[rows], standardization, encode) for rows in slices)
    return sparse.vstack([sparse.csr_matrix(part) for part in parts], format="csr")
