"""Program of imputers."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from skae._estimators.column_encoding import FARTHEST
from skae._estimators.imputer import AutoencoderImputer
from skae._estimators.neighbor_fills import LEAST_SQUARE, N_CANDIDATES, N_NEIGHBORS
from skae.exceptions import ExportError
from skae.onnx._programs._autoencoders import AutoencoderProgram
from skae.onnx._programs._program import Program, Results, as_tensor, exports


class _ImputerResults(Results):
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
        """Fills of all features, 0 for features without any value in training."""
        program, rows = self.program, self.X.flatten(1).double()
        if not program.used:
            return torch.zeros_like(rows)
        encoded = (rows[:, program.used] - program.mean) / program.scale
        fills = self._fill(encoded.clamp(-FARTHEST, FARTHEST)) * program.scale + program.mean
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
        """Return weighted means of the nearest rows with an observed cell, or fills without one."""
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


@exports(AutoencoderImputer)
class ImputerProgram(Program):
    """Program of an imputer.

    Parameters
    ----------
    imputer : AutoencoderImputer
        Fitted imputer of numbers.

    Raises
    ------
    skae.exceptions.ExportError
        If the imputer has categorical columns, or other missing values than NaN.
    """

    results = _ImputerResults

    def __init__(self, imputer):
        super().__init__()
        _check_imputer(imputer)
        self.register_buffer("bounds", as_tensor(imputer._bounds))
        self.used, self.kept = imputer._find_used().tolist(), imputer._find_kept().tolist()
        self.marked = [] if imputer.indicator_ is None else imputer.indicator_.features_.tolist()
        places = {index: place for place, index in enumerate(self.used)}
        self.places = [places.get(i, len(places)) for i in range(imputer.n_features_in_)]
        if imputer._encoding is not None:
            self.autoencoder = AutoencoderProgram(imputer.autoencoder_)
            self.share = imputer.learned_share_
            self.neighbor_share = getattr(imputer, "neighbor_share_", 0.0)
            if self.neighbor_share:
                self.register_buffer("known", as_tensor(imputer._neighbors))
                self.register_buffer("has", as_tensor(imputer._neighbors_have))
            self.register_buffer("mean", as_tensor(imputer._encoding.mean))
            self.register_buffer("scale", as_tensor(imputer._encoding.scale))


def _check_imputer(imputer):
    if imputer._is_categorical.any():
        raise ExportError(
            "An AutoencoderImputer must be fitted to numbers to be exported. Got one with "
            "categorical columns, for which ONNX has no operators. Encode categories before the "
            "imputer, as by OneHotEncoder, or export the steps after the imputer."
        )
    if not isinstance(imputer.missing_values, float) or not np.isnan(imputer.missing_values):
        raise ExportError(
            "An AutoencoderImputer must have missing_values=nan to be exported. Got "
            f"{imputer.missing_values!r}. Replace these values by NaN before fitting."
        )
