"""Training of the autoencoder of texts: its start, its loop, and its use on many texts."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import torch
from scipy import sparse

from skae._training._batches import OrderedBatches, WeightedRows
from skae._training._columns import describe_columns
from skae._training._device import resolve_device
from skae._training._inference import device_of
from skae._training._judgement import Judgement, mean_of_rows
from skae._training._moments import CodeMoments
from skae._training._net import AutoencoderNet
from skae._training._noise import InputNoise
from skae._training._principal_components import PrincipalComponents, find_principal_components
from skae._training._random import make_generators
from skae._training._rows import DenseRows, chunk_slices
from skae._training._run import Split, TrainedModel, TrainingRun
from skae._training._settings import TrainingSettings
from skae._training._train import split_rows
from skae.corruption import Columns
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

# Counts to which this is added have a logarithm.
_LEAST_COUNT = 0.5
_BATCH_SIZE = 256
_CELLS_OF_LOGITS = 2**22


@dataclass(frozen=True)
class TokenModel:
    """The network of texts, and what training needs to know of it."""

    n_tokens: int
    """Words that there are, with padding and what stands for unknown ones."""

    embedding_size: int
    """Length of the vector of a word."""

    encoder_options: dict
    """Options of `RecurrentEncoder` beside those of both."""

    options: dict
    """Options of the recurrent encoder and decoder."""

    keeps_order = False

    @property
    def net_class(self) -> type:
        """What trains the network."""
        return TokenNet

    def make_objective(self, problem, generator: torch.Generator) -> TokenCrossEntropy:
        """Return what training minimises."""
        return TokenCrossEntropy()

    def measure(self, module, dataset) -> None:
        """Return nothing: there is no more to be known of the codes."""

    def make_module(self, problem: "TokenProblem", generator: torch.Generator) -> TokenAutoencoder:
        """Return a new network, which starts as latent semantic analysis.

        Parameters
        ----------
        problem : TokenProblem
            The texts.
        generator : torch.Generator
            Source of the weights.

        Returns
        -------
        module : TokenAutoencoder
            On the CPU.
        """
        length, n_components, dtype = problem.length, problem.n_components, problem.torch_dtype
        shared = {**self.options, "zero_last": True, "dtype": dtype, "generator": generator}
        reader = RecurrentEncoder(
            (length, self.embedding_size), n_components, **self.encoder_options, **shared
        )
        return TokenAutoencoder(
            TokenEncoder(self.n_tokens, reader, generator=generator),
            RecurrentDecoder(n_components, (length + 1, self.n_tokens), **shared),
            CodeBasis(n_components, dtype=dtype),
            problem.start.make_path(n_components, dtype),
        )


@dataclass(frozen=True)
class WordStatistics:
    """What is known of the words of the training texts."""

    components: PrincipalComponents
    """Those of the weighted shares of words in a text."""

    word_weights: np.ndarray
    """What shares are multiplied with, of shape (n_tokens,)."""

    means: np.ndarray
    """Mean shares, of shape (n_tokens,)."""

    frequencies: np.ndarray
    """Share of each token in all texts, their ends included, of shape (n_tokens,)."""

    def make_path(self, n_components: int, dtype: torch.dtype) -> WordPath:
        """Return the linear path, in which the first component has unit variance."""
        found, variance = self.components.components, self.components.explained_variance
        axes = np.zeros((n_components, len(self.means)))
        axes[: len(found)] = found
        unit = np.sqrt(variance[0]) if len(variance) else 1.0
        parts = axes, self.word_weights / unit, self.frequencies, self.means
        return WordPath(*(torch.tensor(part, dtype=dtype) for part in parts))


@dataclass(frozen=True)
class TokenProblem:
    """Texts made ready for training; for `TrainingRun` what `TrainingProblem` is for tables."""

    settings: TrainingSettings
    rows: DenseRows
    weights: torch.Tensor | None
    start: WordStatistics
    n_components: int
    length: int
    device: torch.device
    # A loss is already in a unit of its own.
    standardization = SimpleNamespace(scale=1.0)

    @property
    def n_features(self) -> int:
        """Words of the longest text."""
        return self.length

    @property
    def torch_dtype(self) -> torch.dtype:
        """Precision of the network."""
        return self.settings.torch_dtype

    def dataset(self, indices: torch.Tensor | None = None) -> WeightedRows:
        """Return some texts with their weights, all where no indices are given."""
        return WeightedRows(self.rows, self.weights, indices, self.device)


class TokenNet(AutoencoderNet):
    """The skorch net of an autoencoder of texts."""

    def judge(self, dataset: WeightedRows) -> Judgement:
        """Return what texts cost: the loss is the error."""
        self._set_training(False)
        losses = [self._judge_batch(rows)[0] for rows, _ in self.get_iterator(dataset)]
        return Judgement(torch.cat(losses), torch.cat(losses))


class TokenRun(TrainingRun):
    """The training of one autoencoder of texts. PCA's part is that of the network's start."""

    def train_all_epochs(self) -> TrainedModel:
        """Train on all texts, and judge by them."""
        start = self._loss_of_training_texts()
        self._train(self.max_iter)
        errors = self._loss_of_training_texts(), start
        return self._finish(self._measure(), errors, best_iter=len(self.net.history))

    def _loss_of_training_texts(self) -> float:
        return mean_of_rows(self.net.judge(self.train_set).losses, self.train_set.own_weights)

    def _pca_error(self, dataset: WeightedRows) -> float:
        return self.best_epoch.losses_[0]

    def snapshot(self) -> TrainedModel:
        """Refuse: nobody outside is told of the epochs."""
        raise NotImplementedError

    @torch.no_grad()
    def _measure(self) -> CodeMoments:
        module, sums = self.net.module_, []
        for rows, weights in OrderedBatches(self.train_set, batch_size=_BATCH_SIZE):
            code, counts = module.encode_raw(rows), module.linear_path.count(rows.long())
            weights = torch.ones_like(code[:, 0]) if weights is None else weights
            weighted = code * weights[:, None]
            parts = [weights.sum(), weighted.sum(0), weighted.T @ code, counts.T @ weighted]
            sums.append([part.double().cpu() for part in [*parts, weights @ counts]])
        mass, code, square, cross, counts = (sum(parts) for parts in zip(*sums, strict=True))
        code, counts = code / mass, counts / mass
        covariance = square / mass - torch.outer(code, code)
        cross_covariance = cross / mass - torch.outer(counts, code)
        return CodeMoments(code, covariance, cross_covariance, 0.0, [])

    def _order_codes(self, moments: CodeMoments) -> np.ndarray:
        basis = self.net.module_.basis
        return order_codes_(
            basis, moments.mean, moments.covariance, moments.cross_covariance
        ).numpy()


def train_token_autoencoder(
    tokens: np.ndarray, weights: np.ndarray | None, settings: TrainingSettings, random_state
) -> TrainedModel:
    """Train an autoencoder on texts.

    Parameters
    ----------
    tokens : ndarray of int of shape (n_samples, length)
        The texts, 0 beyond the end.
    weights : ndarray of shape (n_samples,) or None
        Positive weights of the texts; equal where None.
    settings : TrainingSettings
        Parameters of the estimator; `latent` is a `TokenModel`.
    random_state : int, RandomState instance or None
        Seeds the split, the network and the order of the texts.

    Returns
    -------
    model : TrainedModel
        The trained network and how it did; errors are cross-entropies.
    """
    split_source, network_source, order_source = make_generators(random_state, 3)
    split = split_rows(len(tokens), settings, False, split_source)
    problem = _make_problem(tokens, weights, split, settings)
    module = settings.latent.make_module(problem, network_source)
    columns = Columns(1.0, torch.zeros(()), torch.zeros(()))
    noise = InputNoise(None, columns, torch.Generator())
    run = TokenRun(
        cast(Any, problem), split, module, noise, order_source, tasks=None, n_earlier_fits=0
    )
    return run.train_all_epochs() if split.held_out is None else run.train_to_best_epoch()


def _make_problem(tokens, weights, split: Split, settings: TrainingSettings) -> TokenProblem:
    train = split.train.numpy()
    if weights is not None:
        weights = weights / weights[train].mean()
    rows = DenseRows(torch.tensor(tokens, dtype=settings.torch_dtype))
    # Batches that are judged make as many logits; those of a few texts at once will do.
    rows.n_features = max(1, tokens.shape[1] * settings.latent.n_tokens // 8)
    device = resolve_device(settings.device, settings.dtype)
    return TokenProblem(
        settings=settings,
        rows=rows.to(device),
        weights=None if weights is None else torch.from_numpy(weights),
        start=describe_words(tokens[train], None if weights is None else weights[train], settings),
        n_components=int(settings.n_components),
        length=tokens.shape[1],
        device=device,
    )


def describe_words(tokens: np.ndarray, weights, settings: TrainingSettings) -> WordStatistics:
    """Return what words texts have, and the principal components of their weighted shares.

    A word's share of a text is weighted with the logarithm of how rare the texts are that it
    occurs in, as in TF-IDF.

    Parameters
    ----------
    tokens : ndarray of int of shape (n_samples, length)
        The texts.
    weights : ndarray of shape (n_samples,) or None
        Weights of the texts.
    settings : TrainingSettings
        How many components are wanted.

    Returns
    -------
    statistics : WordStatistics
        In double precision.
    """
    n_texts = len(tokens)
    shares = np.full(n_texts, 1 / n_texts) if weights is None else weights / weights.sum()
    text, place = np.nonzero(tokens)
    lengths = np.bincount(text, minlength=n_texts).clip(1)
    counts = sparse.coo_matrix(
        (np.ones(len(text)), (text, tokens[text, place])), (n_texts, settings.latent.n_tokens)
    ).tocsr()
    occurs = shares @ (counts > 0)
    word_weights = 1 + np.log((1 + 1 / n_texts) / (occurs + 1 / n_texts))
    in_text = sparse.diags(1 / lengths) @ counts
    weighted = (in_text @ sparse.diags(word_weights)).tocsr()
    components = find_principal_components(
        weighted, describe_columns(weighted, shares), shares, int(settings.n_components)
    )
    totals = n_texts * (shares @ counts) + _LEAST_COUNT
    totals[0] += n_texts
    return WordStatistics(components, word_weights, shares @ in_text, totals / totals.sum())


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
    """Return the likeliest texts for codes, of shape (n_samples, length)."""
    n_logits = module.encoder.vectors.shape[0] * module.decoder.sample_shape[0]
    dtype = module.encoder.vectors.dtype
    return _apply(module, codes, lambda code: module.decode(code.to(dtype)), n_logits)


@torch.no_grad()
def _apply(module, rows: np.ndarray, function, n_cells: int) -> np.ndarray:
    """Return what a function of the network makes of rows, so many cells for each at a time."""
    device = device_of(module)
    parts = (
        function(torch.tensor(rows[some], device=device)).cpu().numpy()
        for some in chunk_slices((len(rows), n_cells), _CELLS_OF_LOGITS)
    )
    return np.concatenate(list(parts))
