"""Results of a training."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from skae._engine.families.moments import CodeMoments
from skae._engine.families.plan import NetworkPlan
from skae._engine.fitting.net import AutoencoderNet
from skae._engine.fitting.prefixes import PrefixErrors
from skae._engine.tables.standardization import Standardization


@dataclass(frozen=True)
class TrainedModel:
    """A trained network, with its errors, curves and units."""

    net: AutoencoderNet
    plan: NetworkPlan
    standardization: Standardization
    n_components: int
    n_iter: int
    best_iter: int
    loss_curve: list[float]
    validation_loss_curve: list[float] | None
    reconstruction_error: float
    pca_reconstruction_error: float
    explained_variance: np.ndarray
    """Variance that each code accounts for, in units of X squared, without bias."""

    explained_variance_ratio: np.ndarray
    """Share of the variance of the rows that each code accounts for."""

    moments: Any
    """State of the optimiser, for a fit that continues from this one."""

    prefixes: PrefixErrors | None
    """Errors by number of codes of the rows that judge, None where codes are not nested."""

    column_losses: np.ndarray | None
    """Mean losses of the columns of a frame on these rows, None for tables of numbers alone."""

    n_fits: int
    """This fit and those before it that it went on from."""

    description: Any
    """Further knowledge of the codes of the training rows that the family has, else None."""

    def summarize(self, reference: str) -> str:
        """Return a sentence with the chosen epoch, its error, and that of the reference."""
        rows = "training" if self.validation_loss_curve is None else "held-out"
        epochs = f"Epoch {self.best_iter} of {self.n_iter}"
        if self.best_iter == 0:
            return f"{epochs} is kept: no later epoch is clearly better on the {rows} rows."
        error, other = self.reconstruction_error, self.pca_reconstruction_error
        compared = f", {error / other:.3f} times that of {reference}" if other > 0 else ""
        return f"{epochs} is kept: error {error:.4g} on the {rows} rows{compared}."


@dataclass(frozen=True, kw_only=True)
class JudgedEpoch:
    """An epoch, and the errors after it of the rows that judge it."""

    best_iter: int
    """Number of the epoch; 0 where none is clearly better than the start."""

    error: float
    """Mean squared error per cell, in units of X squared."""

    pca_error: float
    """Error of PCA, or of the start."""

    prefixes: PrefixErrors | None = None
    """Errors by number of codes, None where codes are not nested."""

    column_losses: np.ndarray | None = None
    """Mean losses of the columns of a frame."""


@dataclass(frozen=True, kw_only=True)
class ChosenEpochs(JudgedEpoch):
    """Number of epochs chosen on held-out rows."""

    train_losses: list[float]
    """Training loss of each epoch, averaged over the folds where there are any."""

    valid_losses: list[float]
    """Loss of the rows that judge, at the start and after each epoch."""

    emphasis: Tensor | None = None
    """Emphasis of the step in that epoch, which another training is to have from its start."""

    @property
    def n_iter(self) -> int:
        """Number of epochs tried."""
        return len(self.train_losses)


@dataclass(frozen=True, kw_only=True)
class Outcome(JudgedEpoch):
    """A network with the weights of an epoch, before its codes are sorted."""

    moments: CodeMoments
