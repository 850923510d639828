"""Sparse codes of many rows as a sparse matrix."""

import torch
from scipy import sparse

from skae._engine.applying.rows import apply_to_rows
from skae._engine.tables.rows import chunk_slices
from skae._engine.tables.standardization import Standardization


@torch.no_grad()
def encode_sparsely(module, X, standardization: Standardization) -> sparse.csr_matrix:
    """Return the codes of the rows of X, in units of X and the precision of the network."""

    def encode(net, rows):
        return net.encode(rows) * standardization.scale

    # Dense codes are held for a few rows at a time.
    slices = chunk_slices((X.shape[0], len(module.directions)))
    parts = (apply_to_rows(module, X[rows], standardization, encode) for rows in slices)
    return sparse.vstack([sparse.csr_matrix(part) for part in parts], format="csr")
