"""Autoencoders of texts that start as latent semantic analysis."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import sparse

from skae._engine.families.family import Family
from skae._engine.families.moments import CodeMoments
from skae._engine.start.noise import InputNoise
from skae._engine.start.prepared_table import Prepared, share_weights
from skae._engine.start.principal_components import PrincipalComponents, find_principal_components
from skae._engine.steps.autograd import AutogradStep
from skae._engine.tables.batches import OrderedBatches
from skae._engine.tables.columns import describe_columns
from skae._engine.tables.rows import DenseRows
from skae.modules import (
    CodeBasis,
    RecurrentDecoder,
    RecurrentEncoder,
    TokenAutoencoder,
    TokenEncoder,
    WordPath,
    order_codes_,
)
from skae.objectives import TokenCrossEntropy

# Added to the counts of words, so that their logarithms are finite.
_LEAST_COUNT = 0.5
_BATCH_SIZE = 256


@dataclass(frozen=True)
class WordStatistics:
    """Statistics of the words of the training texts."""

    components: PrincipalComponents
    """Principal components of the weighted shares of words in a text."""

    word_weights: np.ndarray
    """Weights of the words' shares, of shape (n_tokens,)."""

    means: np.ndarray
    """Mean shares, of shape (n_tokens,)."""

    frequencies: np.ndarray
    """Share of each token in all texts, including their ends, of shape (n_tokens,)."""

    def make_path(self, n_components: int, dtype: torch.dtype) -> WordPath:
        """Return the linear path, with unit variance of the first component."""
        found, variance = self.components.components, self.components.explained_variance
        axes = np.zeros((n_components, len(self.means)))
        axes[: len(found)] = found
        unit = np.sqrt(variance[0]) if len(variance) else 1.0
        parts = axes, self.word_weights / unit, self.frequencies, self.means
        return WordPath(*(torch.tensor(part, dtype=dtype) for part in parts))


@dataclass(frozen=True)
class PreparedTexts(Prepared):
    """Texts prepared for training, with their latent semantic analysis."""

    principal_components: WordStatistics
    length: int
    """Number of words of the longest text."""

    standardization = None

    @property
    def n_features(self) -> int:
        return self.length


class TokenStep(AutogradStep):
    """Training step of autoencoders of texts, in which the error is the loss."""

    def _find_loss(self, module, inputs, rows, weights):
        # Logits are too large to be kept as the output.
        return self.objective(module, inputs, rows, weights)[0], rows

    def _find_errors(self, module, losses, output, rows):
        return losses


@dataclass(frozen=True)
class Tokens(Family):
    """Autoencoders of texts, judged by the cross-entropy of their words."""

    n_tokens: int
    """Number of words, including padding and the word that stands for unknown words."""

    embedding_size: int
    """Length of the word vectors."""

    encoder_options: dict
    """Options of `RecurrentEncoder` only."""

    options: dict
    """Options of both the recurrent encoder and the decoder."""

    starts_as_reference = True
    cross_validates = False

    def prepare(self, X, weights, in_training, settings, device, units=None) -> PreparedTexts:
        """Prepare texts, given as word indices of shape (n_samples, length), for training."""
        weights, shares = share_weights(weights, in_training)
        # The largest tensor for a row holds the probabilities of all words at each position.
        n_cells = max(1, X.shape[1] * self.n_tokens // 8)
        n_components = int(settings.n_components)
        own = shares[in_training]
        return PreparedTexts(
            rows=DenseRows(torch.tensor(X, dtype=settings.torch_dtype), n_cells).to(device),
            weights=weights,
            n_components=n_components,
            device=device,
            principal_components=describe_words(X[in_training], own, self.n_tokens, n_components),
            length=X.shape[1],
        )

    def network_options(self) -> dict[str, Any]:
        return {"n_tokens": self.n_tokens, "embedding_size": self.embedding_size}

    def build(self, plan, generator) -> TokenAutoencoder:
        (length,), dtype = plan.sample_shape, plan.torch_dtype
        shared = {**self.options, "zero_last": True, "dtype": dtype, "generator": generator}
        reader = RecurrentEncoder(
            (length, self.embedding_size), plan.n_components, **self.encoder_options, **shared
        )
        axes = torch.zeros(plan.n_components, self.n_tokens, dtype=dtype)
        ones = torch.ones(self.n_tokens, dtype=dtype)
        return TokenAutoencoder(
            TokenEncoder(self.n_tokens, reader, generator=generator),
            RecurrentDecoder(plan.n_components, (length + 1, self.n_tokens), **shared),
            CodeBasis(plan.n_components, dtype=dtype),
            WordPath(axes, ones, ones / self.n_tokens, ones / self.n_tokens),
        )

    @torch.no_grad()
    def start_(self, module, table, components: WordStatistics):
        """Initialise the network as latent semantic analysis."""
        start = components.make_path(table.n_components, module.basis.origin.dtype)
        module.linear_path.load_state_dict(start.state_dict())

    def make_objective(self, table, generator) -> TokenCrossEntropy:
        return TokenCrossEntropy()

    def make_noise(self, table, generator) -> InputNoise:
        return InputNoise(None, None, generator)

    def make_autograd_step(self, modules, objective, optimizers, *, precision):
        return TokenStep(modules, objective, optimizers, precision=precision)

    @torch.no_grad()
    def measure_codes(self, module, dataset) -> CodeMoments:
        """Return moments of the codes, with the shares of words as columns."""
        sums = []
        for rows, weights in OrderedBatches(dataset, batch_size=_BATCH_SIZE):
            code, counts = module.encode_raw(rows), module.linear_path.count(rows.long())
            weights = torch.ones_like(code[:, 0]) if weights is None else weights
            weighted = code * weights[:, None]
            parts = [weights.sum(), weighted.sum(0), weighted.T @ code, counts.T @ weighted]
            sums.append([part.double().cpu() for part in [*parts, weights @ counts]])
        mass, code, square, cross, counts = (sum(parts) for parts in zip(*sums, strict=True))
        code, counts = code / mass, counts / mass
        covariance = square / mass - torch.outer(code, code)
        cross_covariance = cross / mass - torch.outer(counts, code)
        return CodeMoments(code, covariance, cross_covariance, 0.0, 0.0, [])

    def order_codes_(self, module, moments, table, *, whiten, rotate, find_rotation=None):
        """Sort the codes by the variance of word shares that a regression on them explains."""
        return order_codes_(module.basis, *moments.of_codes).numpy()

    def find_unit(self, table, dataset) -> float:
        """Return 1, as cross-entropies do not depend on the unit of a table."""
        return 1.0

    def find_error_unit(self, table, dataset) -> float:
        return 1.0


def describe_words(
    tokens: np.ndarray, shares: np.ndarray, n_tokens: int, n_components: int
) -> WordStatistics:
    """Return statistics of the words, and principal components of their weighted shares.

    As in TF-IDF, the share of a word in a text is weighted by the logarithm of the inverse share of
    texts in which the word occurs. `tokens` has the word indices of the texts, and `shares` the
    weights of the texts, which sum to 1.
    """
    n_texts = len(tokens)
    text, place = np.nonzero(tokens)
    lengths = np.bincount(text, minlength=n_texts).clip(1)
    counts = sparse.coo_matrix(
        (np.ones(len(text)), (text, tokens[text, place])), (n_texts, n_tokens)
    ).tocsr()
    occurs = shares @ (counts > 0)
    word_weights = 1 + np.log((1 + 1 / n_texts) / (occurs + 1 / n_texts))
    in_text = sparse.diags(1 / lengths) @ counts
    weighted = (in_text @ sparse.diags(word_weights)).tocsr()
    components = find_principal_components(
        weighted, describe_columns(weighted, shares), shares, n_components
    )
    totals = n_texts * (shares @ counts) + _LEAST_COUNT
    totals[0] += n_texts
    return WordStatistics(components, word_weights, shares @ in_text, totals / totals.sum())
