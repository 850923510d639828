"""Application of an autoencoder of texts to many texts."""

import numpy as np
import torch

from skae._engine.applying.rows import device_of
from skae._engine.tables.rows import chunk_slices
from skae._shared.progress import show_progress
from skae.modules import TokenAutoencoder

_CELLS_OF_LOGITS = 2**22


def encode_tokens(module: TokenAutoencoder, tokens: np.ndarray) -> np.ndarray:
    """Return the codes of texts, of shape (n_samples, n_components)."""
    return _apply(module, tokens, module.encode, module.encoder.vectors.shape[1] * tokens.shape[1])


def find_token_losses(module: TokenAutoencoder, tokens: np.ndarray) -> np.ndarray:
    """Return the mean cross-entropy of each text's words, of shape (n_samples,)."""
    n_logits = module.encoder.vectors.shape[0] * tokens.shape[1]
    return _apply(
        module, tokens, lambda rows: module.find_losses(module.encode_raw(rows), rows), n_logits
    )


def decode_tokens(module: TokenAutoencoder, codes: np.ndarray) -> np.ndarray:
    """Return the most likely texts for codes, of shape (n_samples, length)."""
    n_logits = module.encoder.vectors.shape[0] * module.decoder.sample_shape[0]
    dtype = module.encoder.vectors.dtype
    return _apply(module, codes, lambda code: module.decode(code.to(dtype)), n_logits)


@torch.no_grad()
def _apply(module, rows: np.ndarray, function, n_cells: int) -> np.ndarray:
    """Apply a function of the network to batches of rows, sized by the memory per row."""
    device = device_of(module)
    parts = []
    with show_progress(len(rows), unit="texts") as progress:
        for some in chunk_slices((len(rows), n_cells), _CELLS_OF_LOGITS):
            parts.append(function(torch.tensor(rows[some], device=device)).cpu().numpy())
            progress.add(len(parts[-1]))
    return np.concatenate(parts)
