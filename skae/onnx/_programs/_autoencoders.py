"""Programs of autoencoders of rows and of texts."""

import math
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from skae._estimators.adversarial import AdversarialAutoencoderTransformer
from skae._estimators.autoencoder import AutoencoderTransformer
from skae._estimators.base import BaseAutoencoder
from skae._estimators.sparse_codes import SparseAutoencoderTransformer
from skae._estimators.tokens import TokenAutoencoderTransformer
from skae._estimators.variational import _SEED_OF_DRAWS, VariationalAutoencoderTransformer
from skae._shared.constants import UNKNOWN
from skae.onnx._programs._program import Program, Results, as_tensor, copy_network, exports

_N_DRAWS = 100


class AutoencoderResults(Results):
    @cached_property
    def rows(self) -> Tensor:
        """Rows in the units of the network."""
        program = self.program
        seen = self.X.flatten(1)[:, : len(program.mean)]
        return ((seen - program.mean) / program.scale).to(program.dtype)

    @cached_property
    def raw_code(self) -> Tensor:
        return self.program.network.encode_raw(self.rows)

    @cached_property
    def reconstruction(self) -> Tensor:
        return self.program.network.restore(self.raw_code)

    @cached_property
    def squared_errors(self) -> Tensor:
        return (self.reconstruction - self.rows).double().square() * self.program.scale**2

    @cached_property
    def n_observed(self) -> Tensor:
        if self.program.network.filling is None:
            return self.rows.new_full((), self.rows.shape[1], dtype=torch.float64)
        return (~self.rows.isnan()).sum(1).clamp_min(1).double()

    @cached_property
    def mean_errors(self) -> Tensor:
        errors = self.squared_errors
        if self.program.network.filling is not None:
            errors = errors.masked_fill(self.rows.isnan(), 0)
        return errors.sum(1) / self.n_observed

    @property
    def transform(self) -> Tensor:
        return self.program.network.basis(self.raw_code)

    @property
    def inverse_transform(self) -> Tensor:
        codes = self.X.to(self.program.dtype)
        return self._invert(self.program.network.decode(codes))

    @property
    def reconstruct(self) -> Tensor:
        return self._invert(self.reconstruction)

    @property
    def reconstruction_errors(self) -> Tensor:
        return self._restore(self.squared_errors)

    @property
    def score_samples(self) -> Tensor:
        return -self.mean_errors

    def _invert(self, rows: Tensor) -> Tensor:
        """Return rows in the units and the shape of X."""
        program = self.program
        rows = rows.to(program.mean.dtype) * program.scale + program.mean
        if program.unscale is not None:
            factor, shift = program.unscale
            rows = rows * factor + shift
        return self._restore(rows)

    def _restore(self, rows: Tensor) -> Tensor:
        """Return rows as samples, with NaN for cells beyond the input of the network."""
        given = self.program.form.given
        n_unseen = math.prod(given) - rows.shape[1]
        if n_unseen:
            rows = F.pad(rows, (0, n_unseen), value=math.nan)
        return rows if len(given) == 1 else rows.unflatten(1, given)


@exports(BaseAutoencoder, AutoencoderTransformer, AdversarialAutoencoderTransformer)
class AutoencoderProgram(Program):
    """Program of an autoencoder of rows.

    Parameters
    ----------
    estimator : BaseAutoencoder
        Fitted autoencoder.
    unscale : tuple of (factor, shift), default=None
        Arrays of shape (n_features,) that undo the scalers before the autoencoder.
    """

    results = AutoencoderResults
    methods: ClassVar[tuple[str, ...]] = (
        "transform",
        "inverse_transform",
        "reconstruct",
        "reconstruction_errors",
        "score_samples",
    )

    def __init__(self, estimator, unscale=None):
        super().__init__()
        self.network = copy_network(estimator)
        standardization = estimator._standardization
        self.register_buffer("mean", torch.from_numpy(standardization.mean))
        # Exporters round numbers that are not tensors to single precision.
        self.register_buffer("scale", as_tensor(standardization.scale))
        self.dtype = standardization.dtype
        self.form = estimator._sample_form
        self.unscale = unscale and tuple(as_tensor(part) for part in unscale)


class _SparseResults(AutoencoderResults):
    @property
    def transform(self) -> Tensor:
        return self.raw_code * self.program.scale

    @property
    def inverse_transform(self) -> Tensor:
        # ONNX Runtime rounds a single factor before a product of matrices to single precision.
        scale = self.program.scale.expand(self.X.shape[1])
        return self._invert(self.program.network.decode((self.X / scale).to(self.program.dtype)))


@exports(SparseAutoencoderTransformer)
class SparseProgram(AutoencoderProgram):
    """Program of sparse codes, which have the units of X."""

    results = _SparseResults


class _VariationalResults(AutoencoderResults):
    @property
    def posterior_std(self) -> Tensor:
        return self.program.network.encode_deviation(self.rows)

    @property
    def score_samples(self) -> Tensor:
        program = self.program
        ratios = program.network.find_log_ratios(self.rows, program.noise).double()
        bounds = ratios.logsumexp(1) - program.log_draws - self.n_observed * program.unit
        return bounds.to(program.dtype)


@exports(VariationalAutoencoderTransformer)
class VariationalProgram(AutoencoderProgram):
    """Program of a variational autoencoder; parameters are those of `AutoencoderProgram`."""

    results = _VariationalResults
    methods = (*AutoencoderProgram.methods, "posterior_std")

    def __init__(self, estimator, unscale=None):
        super().__init__(estimator, unscale)
        source = np.random.RandomState(_SEED_OF_DRAWS)
        noise = source.standard_normal((_N_DRAWS, estimator.n_components_))
        self.register_buffer("noise", torch.tensor(noise, dtype=self.dtype))
        unit = 0.0 if estimator.noise_scale_ is None else math.log(estimator.scale_)
        self.register_buffer("unit", as_tensor(unit))
        self.register_buffer("log_draws", as_tensor(math.log(_N_DRAWS)))


class _TokenResults(Results):
    @cached_property
    def tokens(self) -> Tensor:
        tokens = self.X[:, : self.program.length].long()
        return torch.where(tokens >= self.program.n_tokens, UNKNOWN, tokens)

    @cached_property
    def raw_code(self) -> Tensor:
        return self.program.network.encode_raw(self.tokens)

    @property
    def transform(self) -> Tensor:
        return self.program.network.basis(self.raw_code)

    @property
    def inverse_transform(self) -> Tensor:
        network = self.program.network
        return network.decode(self.X.to(network.encoder.vectors.dtype))

    @property
    def score_samples(self) -> Tensor:
        logits = self.program.network.decode_raw(self.raw_code)
        words = F.pad(self.tokens, (0, logits.shape[1] - self.tokens.shape[1]))
        losses = -logits.log_softmax(2).gather(2, words[:, :, None])[:, :, 0]
        places = torch.arange(words.shape[1])
        n_words = ((words != 0) * (places + 1)).amax(1, keepdim=True)
        # The end of a text counts as a word.
        counted = (places <= n_words).to(losses.dtype)
        return -(losses * counted).sum(1) / counted.sum(1)


@exports(TokenAutoencoderTransformer)
class TokenProgram(Program):
    """Program of an autoencoder of texts.

    Parameters
    ----------
    estimator : TokenAutoencoderTransformer
        Fitted autoencoder.
    """

    results = _TokenResults
    methods = ("transform", "inverse_transform", "score_samples")

    def __init__(self, estimator):
        super().__init__()
        self.network = copy_network(estimator)
        self.length, self.n_tokens = estimator.length_, estimator.n_tokens_
