"""Methods of fitted estimators as functions of tensors, which torch can export."""

import copy
import math
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skae._estimators.adversarial import AdversarialAutoencoderTransformer
from skae._estimators.autoencoder import AutoencoderTransformer
from skae._estimators.base import BaseAutoencoder
from skae._estimators.imputer import AutoencoderImputer
from skae._estimators.neighbor_fills import LEAST_SQUARE, N_CANDIDATES, N_NEIGHBORS
from skae._estimators.outlier import (
    _FARTHEST,
    _GREATEST_DISTANCE,
    _LEAST_SHARE,
    _MOST_RATIO,
    _WEIGHT,
    AutoencoderOutlierDetector,
)
from skae._estimators.row_space import FARTHEST_PLACE
from skae._estimators.tokens import TokenAutoencoderTransformer
from skae._estimators.variational import _SEED_OF_DRAWS, VariationalAutoencoderTransformer
from skae.exceptions import ExportError
from skae.modules import Autoencoder, TokenAutoencoder

_N_DRAWS = 100
_UNKNOWN = 1


class Program(nn.Module):
    """Numbers of a fitted estimator, from which `results` computes.

    Attributes
    ----------
    results : type
        Class whose instances have the results of some rows, each computed once.
    methods : tuple of str
        Methods of the estimator among these results.
    usual : tuple of str
        Methods that a service asks for where nothing else is said.
    """

    results: ClassVar[type]
    methods: ClassVar[tuple[str, ...]] = ("transform",)
    usual: ClassVar[tuple[str, ...]] = ("transform",)

    def select(self, names) -> nn.Module:
        """Return a module whose outputs are the results of some methods."""
        return _Selection(self, tuple(names)).eval()


class _Selection(nn.Module):
    def __init__(self, program: Program, names: tuple[str, ...]):
        super().__init__()
        self.program, self.names = program, names

    def forward(self, X: Tensor) -> tuple[Tensor, ...]:
        results = self.program.results(self.program, X)
        return tuple(getattr(results, name) for name in self.names)


class _Results:
    """Results of methods for some rows, without the checks of what is passed.

    Parameters
    ----------
    program : Program
        Numbers of the estimator.
    X : Tensor of shape (n_rows, ...)
        Rows, or codes if only `inverse_transform` is exported.
    """

    def __init__(self, program, X: Tensor):
        self.program, self.X = program, X


class _AutoencoderResults(_Results):
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
        network = self.program.network
        return network.output(network.decode_raw(self.raw_code))

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
        """Return rows as samples, with NaN for cells that the network does not see."""
        given = self.program.form.given
        n_unseen = math.prod(given) - rows.shape[1]
        if n_unseen:
            rows = F.pad(rows, (0, n_unseen), value=math.nan)
        return rows if len(given) == 1 else rows.unflatten(1, given)


class AutoencoderProgram(Program):
    """Numbers of an autoencoder of rows.

    Parameters
    ----------
    estimator : BaseAutoencoder
        Fitted autoencoder.
    unscale : tuple of (factor, shift), default=None
        Arrays of shape (n_features,) that take reconstructions back to units before a scaler.
    """

    results = _AutoencoderResults
    methods: ClassVar[tuple[str, ...]] = (
        "transform",
        "inverse_transform",
        "reconstruct",
        "reconstruction_errors",
        "score_samples",
    )

    def __init__(self, estimator, unscale=None):
        super().__init__()
        self.network = _copy_network(estimator)
        standardization = estimator._standardization
        self.register_buffer("mean", torch.from_numpy(standardization.mean))
        self.scale, self.dtype = standardization.scale, standardization.dtype
        self.form = estimator._sample_form
        self.unscale = unscale and tuple(_as_tensor(part) for part in unscale)


class _VariationalResults(_AutoencoderResults):
    @property
    def posterior_std(self) -> Tensor:
        return self.program.network.encode_deviation(self.rows)

    @property
    def score_samples(self) -> Tensor:
        program = self.program
        ratios = program.network.find_log_ratios(self.rows, program.noise).double()
        bounds = ratios.logsumexp(1) - math.log(_N_DRAWS) - self.n_observed * program.unit
        return bounds.to(program.dtype)


class VariationalProgram(AutoencoderProgram):
    """Numbers of a variational autoencoder; parameters are those of `AutoencoderProgram`."""

    results = _VariationalResults
    methods = (*AutoencoderProgram.methods, "posterior_std")

    def __init__(self, estimator, unscale=None):
        super().__init__(estimator, unscale)
        source = np.random.RandomState(_SEED_OF_DRAWS)
        noise = source.standard_normal((_N_DRAWS, estimator.n_components_))
        self.register_buffer("noise", torch.tensor(noise, dtype=self.dtype))
        self.unit = 0.0 if estimator.noise_scale_ is None else math.log(estimator.scale_)


class _DetectorResults(_Results):
    @cached_property
    def whole(self) -> Tensor:
        """Rows in units of the ranges of the features."""
        program = self.program
        return (self.X.flatten(1).double() - program.least_value) / program.value_range

    @cached_property
    def beyond(self) -> Tensor:
        """Squared distances of what lies farther away than the autoencoder gets to see."""
        # A tensor, as the exporter rounds limits that are numbers to single precision.
        distance = (self.whole.abs() - _FARTHEST).clamp_min(0).minimum(self.program.greatest)
        return distance.square().masked_fill(self.whole.isnan(), 0)

    @cached_property
    def own(self) -> _AutoencoderResults:
        """Results of the autoencoder."""
        scaled = self.whole.clamp(-_FARTHEST, _FARTHEST).to(self.X.dtype)
        return self.program.autoencoder.results(self.program.autoencoder, scaled)

    @cached_property
    def score_samples(self) -> Tensor:
        program = self.program
        errors = self.own.mean_errors * len(program.least_value)
        far, bad = program.units
        remoteness = program.find_squares(self.places) / far + _LEAST_SHARE
        misfit = (errors / bad + _LEAST_SHARE).maximum(remoteness / _MOST_RATIO)
        misfit = misfit.minimum(remoteness * _MOST_RATIO)
        return -remoteness.pow(1 - _WEIGHT) * misfit.pow(_WEIGHT) / program.unit

    @property
    def places(self) -> Tensor:
        """Coordinates whose distances from the training rows count."""
        program, rows = self.program, self.own.X
        if program.autoencoder.network.filling is not None:
            rows = torch.where(rows.isnan(), self.own.reconstruct.flatten(1).to(rows.dtype), rows)
        # Cells that the network does not see count as their mean.
        centered = (rows.double() - program.center).masked_fill(rows.isnan(), 0)
        return (centered @ program.axes).clamp(-FARTHEST_PLACE, FARTHEST_PLACE)

    @cached_property
    def decision_function(self) -> Tensor:
        return self.score_samples - self.program.offset

    @property
    def predict(self) -> Tensor:
        return torch.where(self.decision_function < 0, -1, 1)

    @property
    def reconstruction_errors(self) -> Tensor:
        errors = self.own.reconstruction_errors
        return errors + self.beyond.reshape(errors.shape)


class DetectorProgram(Program):
    """Numbers of an outlier detector.

    Parameters
    ----------
    detector : AutoencoderOutlierDetector
        Fitted detector.
    """

    results = _DetectorResults
    methods = ("predict", "decision_function", "score_samples", "reconstruction_errors")
    usual = ("predict", "decision_function")

    known: Tensor
    lengths: Tensor

    def __init__(self, detector):
        super().__init__()
        self.autoencoder = make_program(detector.autoencoder_)
        self.register_buffer("least_value", _as_tensor(detector.data_min_))
        self.register_buffer("value_range", _as_tensor(detector.data_range_))
        self.register_buffer("greatest", _as_tensor(_GREATEST_DISTANCE))
        self.register_buffer("center", _as_tensor(detector._center))
        self.register_buffer("axes", _as_tensor(detector._axes))
        known = _as_tensor(detector._neighbors._fit_X)
        self.register_buffer("known", known)
        self.register_buffer("lengths", known.square().sum(1))
        self.units, self.unit = detector._units, detector._unit
        self.least, self.offset = detector._least, float(detector.offset_)
        self.n_neighbors = detector.n_neighbors_

    def find_squares(self, places: Tensor) -> Tensor:
        """Return mean squared distances from the neighbours."""
        # Inner products find the neighbours. Their distances are computed once more, to the last
        # digit, as equal rows are to be known.
        order = self.lengths - 2 * places @ self.known.T
        nearest = order.topk(self.n_neighbors + 1, largest=False).indices
        squares = (self.known[nearest] - places[:, None]).square().sum(2)
        # A training row finds itself first, and is not its own neighbour.
        is_known = squares[:, :1] <= self.least
        return torch.where(is_known, squares[:, 1:], squares[:, :-1]).mean(1)


class _ImputerResults(_Results):
    @property
    def transform(self) -> Tensor:
        program, rows = self.program, self.X.flatten(1)
        missing = rows.isnan()
        fills = self.fills.clamp(*program.bounds).to(rows.dtype)
        filled = torch.where(missing, fills, rows)[:, program.kept]
        if program.marked:
            return torch.cat([filled, missing[:, program.marked].to(rows.dtype)], 1)
        return filled.reshape(self.X.shape) if filled.shape[1] == rows.shape[1] else filled

    @property
    def fills(self) -> Tensor:
        """Fills of all features, 0 for those without a value."""
        program, rows = self.program, self.X.flatten(1).double()
        if not program.used:
            return torch.zeros_like(rows)
        encoded = (rows[:, program.used] - program.mean) / program.scale
        fills = self._fill(encoded.clamp(-_FARTHEST, _FARTHEST)) * program.scale + program.mean
        return F.pad(fills, (0, 1))[:, program.places]

    def _fill(self, encoded: Tensor) -> Tensor:
        own = self.program.autoencoder
        results = own.results(own, encoded)
        linear = own.network.output(own.network.fill(results.rows))
        fills = torch.lerp(linear, results.reconstruction, self.program.share)
        fills = fills.to(own.mean.dtype) * own.scale + own.mean
        if not self.program.neighbor_share:
            return fills
        filled = torch.where(encoded.isnan(), fills, encoded)
        means = self._find_neighbor_means(filled)
        means = torch.where(encoded.isnan().all(1, keepdim=True), filled, means)
        return torch.lerp(filled, means, self.program.neighbor_share)

    def _find_neighbor_means(self, filled: Tensor) -> Tensor:
        """Return weighted means of the nearest rows that have a cell, fills where none has."""
        known, has = self.program.known, self.program.has
        order = known.square().sum(1) - 2 * filled @ known.T
        nearest = order.topk(min(N_CANDIDATES, len(known)), largest=False).indices
        rows, counts = known[nearest], has[nearest]
        counts = counts * (counts.cumsum(1) <= N_NEIGHBORS)
        squares = (rows - filled[:, None]).square().sum(2, keepdim=True)
        weights = counts / (squares + LEAST_SQUARE * known.shape[1])
        total = weights.sum(1)
        means = (weights * rows).sum(1) / torch.where(total > 0, total, 1.0)
        return torch.where(total > 0, means, filled)


class ImputerProgram(Program):
    """Numbers of an imputer.

    Parameters
    ----------
    imputer : AutoencoderImputer
        Fitted imputer of numbers.

    Raises
    ------
    skae.exceptions.ExportError
        If it fills in categories, or something else than NaN.
    """

    results = _ImputerResults

    def __init__(self, imputer):
        super().__init__()
        _check_imputer(imputer)
        self.register_buffer("bounds", _as_tensor(imputer._bounds))
        self.used, self.kept = imputer._find_used().tolist(), imputer._find_kept().tolist()
        self.marked = [] if imputer.indicator_ is None else imputer.indicator_.features_.tolist()
        places = {index: place for place, index in enumerate(self.used)}
        self.places = [places.get(i, len(places)) for i in range(imputer.n_features_in_)]
        if imputer._encoding is not None:
            self.autoencoder = AutoencoderProgram(imputer.autoencoder_)
            self.share = imputer.learned_share_
            self.neighbor_share = getattr(imputer, "neighbor_share_", 0.0)
            if self.neighbor_share:
                self.register_buffer("known", _as_tensor(imputer._neighbors))
                self.register_buffer("has", _as_tensor(imputer._neighbors_have))
            self.register_buffer("mean", _as_tensor(imputer._encoding.mean))
            self.register_buffer("scale", _as_tensor(imputer._encoding.scale))


class _TokenResults(_Results):
    @cached_property
    def tokens(self) -> Tensor:
        tokens = self.X[:, : self.program.length].long()
        return torch.where(tokens >= self.program.n_tokens, _UNKNOWN, tokens)

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
        # The end of a text is a word, too.
        counted = (places <= n_words).to(losses.dtype)
        return -(losses * counted).sum(1) / counted.sum(1)


class TokenProgram(Program):
    """Numbers of an autoencoder of texts.

    Parameters
    ----------
    estimator : TokenAutoencoderTransformer
        Fitted autoencoder.
    """

    results = _TokenResults
    methods = ("transform", "inverse_transform", "score_samples")

    def __init__(self, estimator):
        super().__init__()
        self.network = _copy_network(estimator)
        self.length, self.n_tokens = estimator.length_, estimator.n_tokens_


def _check_imputer(imputer):
    if imputer._is_categorical.any():
        raise ExportError(
            "An AutoencoderImputer must be one of numbers to be exported. Got one that fills in "
            "categories, for which ONNX has no operators. Encode categories before the imputer, "
            "as by OneHotEncoder, or export the pipeline behind it."
        )
    if not isinstance(imputer.missing_values, float) or not np.isnan(imputer.missing_values):
        raise ExportError(
            "An AutoencoderImputer must have missing_values=nan to be exported. Got "
            f"{imputer.missing_values!r}. Replace these values by NaN before fitting."
        )


PROGRAMS: dict[type, type[Program]] = {
    AdversarialAutoencoderTransformer: AutoencoderProgram,
    AutoencoderImputer: ImputerProgram,
    AutoencoderOutlierDetector: DetectorProgram,
    AutoencoderTransformer: AutoencoderProgram,
    TokenAutoencoderTransformer: TokenProgram,
    VariationalAutoencoderTransformer: VariationalProgram,
}


def find_program(kind: type) -> type[Program] | None:
    """Return the program of a class of estimators, that of its base class where it has none."""
    known = (PROGRAMS[base] for base in kind.__mro__ if base in PROGRAMS)
    return next(known, AutoencoderProgram if issubclass(kind, BaseAutoencoder) else None)


def make_program(estimator, **params) -> Program:
    """Return the program of a fitted estimator of skae."""
    kind = find_program(type(estimator))
    if kind is None:
        raise TypeError(f"{type(estimator).__name__} is not an estimator of skae")
    return kind(estimator, **params)


def check_network(estimator):
    """Raise an error for estimators of frames, and for networks with row-dependent steps."""
    if getattr(estimator, "_frame", None) is not None:
        raise ExportError(
            f"{type(estimator).__name__} must be fitted to numbers to be exported. Got one fitted "
            "to a data frame with several kinds of columns. Encode the columns by a "
            "ColumnTransformer before it, or serve it with skae."
        )
    network = estimator.net_.module_
    if not isinstance(network, Autoencoder | TokenAutoencoder):
        raise ExportError(
            "The network must take the same steps for all rows to be exported. Got that of a "
            f"{type(estimator).__name__}, a {type(network).__name__}, whose steps depend on which "
            "codes are active. Use another estimator, or serve it with skae."
        )


def _copy_network(estimator) -> nn.Module:
    """Return a copy of a network on the CPU, where programs are made."""
    check_network(estimator)
    return copy.deepcopy(estimator.net_.module_).cpu().eval()


def _as_tensor(values) -> Tensor:
    return torch.tensor(np.asarray(values), dtype=torch.float64)
