"""Program of outlier detectors."""

from functools import cached_property

import torch
from torch import Tensor

from skae._estimators.outlier import (
    _LEAST_SHARE,
    _MOST_RATIO,
    _WEIGHT,
    AutoencoderOutlierDetector,
)
from skae._estimators.range_units import FARTHEST, GREATEST_DISTANCE
from skae._estimators.row_space import FARTHEST_PLACE
from skae.onnx._programs._autoencoders import AutoencoderResults
from skae.onnx._programs._program import Program, Results, as_tensor, exports, make_program


class _DetectorResults(Results):
    @cached_property
    def whole(self) -> Tensor:
        """Rows in units of the ranges of the features."""
        program = self.program
        return (self.X.flatten(1).double() - program.least_value) / program.value_range

    @cached_property
    def beyond(self) -> Tensor:
        """Squared distances of cells from the range to which the autoencoder's input is clipped."""
        # The limit is a tensor because the exporter rounds Python floats to single precision.
        distance = (self.whole.abs() - FARTHEST).clamp_min(0).minimum(self.program.greatest)
        return distance.square().masked_fill(self.whole.isnan(), 0)

    @cached_property
    def own(self) -> AutoencoderResults:
        """Results of the autoencoder."""
        scaled = self.whole.clamp(-FARTHEST, FARTHEST).to(self.X.dtype)
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
        """Coordinates in which distances from the training rows are measured."""
        program, rows = self.program, self.own.X
        if program.autoencoder.network.filling is not None:
            rows = torch.where(rows.isnan(), self.own.reconstruct.flatten(1).to(rows.dtype), rows)
        # Cells that are missing even in the reconstruction count as their mean.
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


@exports(AutoencoderOutlierDetector)
class DetectorProgram(Program):
    """Program of an outlier detector.

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
        self.register_buffer("least_value", as_tensor(detector.data_min_))
        self.register_buffer("value_range", as_tensor(detector.data_range_))
        self.register_buffer("greatest", as_tensor(GREATEST_DISTANCE))
        self.register_buffer("center", as_tensor(detector._center))
        self.register_buffer("axes", as_tensor(detector._axes))
        known = as_tensor(detector._neighbors._fit_X)
        self.register_buffer("known", known)
        self.register_buffer("lengths", known.square().sum(1))
        self.units, self.unit = detector._units, detector._unit
        self.least, self.offset = detector._least, float(detector.offset_)
        self.n_neighbors = detector.n_neighbors_

    def find_squares(self, places: Tensor) -> Tensor:
        """Return mean squared distances from the nearest training rows."""
        # Inner products find the neighbours, but their distances are not exact enough to recognise
        # equal rows.
        order = self.lengths - 2 * places @ self.known.T
        nearest = order.topk(self.n_neighbors + 1, largest=False).indices
        squares = (self.known[nearest] - places[:, None]).square().sum(2)
        # A training row is not its own neighbour.
        is_known = squares[:, :1] <= self.least
        return torch.where(is_known, squares[:, 1:], squares[:, :-1]).mean(1)
