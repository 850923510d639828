"""Base class of families of autoencoders."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from skae._engine.families.moments import (
    CodeMoments,
    find_observed_share,
    measure_codes,
    measure_error,
)
from skae._engine.families.plan import NetworkPlan
from skae._engine.settings import AutomaticLoop, NetworkSettings
from skae._engine.start.incomplete import MaskedPrincipalComponents
from skae._engine.start.noise import InputNoise, describe_columns
from skae._engine.start.odd_cells import OddCells
from skae._engine.start.prepared_table import PreparedTable, prepare_table
from skae._engine.steps.autograd import AutogradStep
from skae._engine.steps.optimizer import LINEAR_PATH_RATE, is_own_adamw
from skae._engine.steps.step import Step
from skae._engine.tables.batches import WeightedRows
from skae._engine.tables.units import Units
from skae.corruption import Corruption
from skae.modules import Autoencoder, order_codes_
from skae.objectives import MixedLoss, Objective, Penalty, ReconstructionLoss


class Family:
    """Kind of autoencoder: network, start, objective, and meaning of the codes.

    A family holds the user's choice of losses as objects and numbers. A fit calls its methods in
    this order: `prepare` prepares a table, `plan` describes the network, `build` creates it with
    random weights, `start_` initialises it from the table, `make_noise`, `make_objective` and
    `make_step` return the noise on its input, the objective and the training step. After training,
    `settle_` brings the codes into their final form, `measure_codes` computes their moments,
    `order_codes_` orders them, and `describe` returns further information.

    A subclass must override `build`, `start_` and `make_objective`. All other methods have defaults
    for networks of tables that are compared with PCA by the squared error.

    Attributes
    ----------
    loss : ReconstructionLoss
        Loss of the reconstructions.
    penalty : Penalty or None
        Term added to the loss.
    corruption : Corruption or None
        Noise on the rows in training.
    n_outputs : int
        Number of outputs of the encoder per code.
    draws_codes : bool
        Whether codes are also drawn from a standard normal prior, and decoded.
    keeps_scale, keeps_order : bool
        Whether codes must keep the scale, and the order, that they have in the network.
    cross_validates : bool
        Whether small tables are cross-validated.
    spreads : bool
        Whether several processes may train a network together. This requires that the objective is
        a mean over rows and that everything else uses only sums over rows.
    fewest_rows : int
        Number of rows below which a new network is always trained on all rows for the chosen number
        of epochs.
    automatic : AutomaticLoop
        Batch size and number of epochs for "auto".
    linear_path_rate : float
        Learning rate of the linear path, as a multiple of that of encoder and decoder.

    Examples
    --------
    Plain autoencoders whose decoder starts at random instead of zero:

    >>> import torch
    >>> from skae import AutoencoderTransformer
    >>> from skae.base import Plain
    >>> class LateStart(Plain):
    ...     def start_(self, module, table, components):
    ...         super().start_(module, table, components)
    ...         generator = torch.Generator().manual_seed(0)
    ...         weight = module.decoder.linears[-1].weight
    ...         torch.nn.init.normal_(weight, std=0.01, generator=generator)
    >>> class LateStartTransformer(AutoencoderTransformer):
    ...     def _make_family(self):
    ...         return LateStart(**vars(super()._make_family()))
    >>> from sklearn.datasets import load_iris
    >>> X = load_iris().data
    >>> LateStartTransformer(2, max_iter=2, random_state=0).fit_transform(X).shape
    (150, 2)
    """

    loss: ReconstructionLoss
    penalty: Penalty | None = None
    corruption: Corruption | None = None
    n_outputs: ClassVar[int] = 1
    draws_codes: ClassVar[bool] = False
    keeps_scale: bool = False
    keeps_order: bool = False
    cross_validates: ClassVar[bool] = True
    spreads: ClassVar[bool] = False
    fewest_rows: ClassVar[int] = 0
    automatic: ClassVar[AutomaticLoop] = AutomaticLoop()
    linear_path_rate: ClassVar[float] = LINEAR_PATH_RATE

    @property
    def starts_as_reference(self) -> bool:
        """Whether the model is compared with its start instead of PCA."""
        return self.loss.is_error

    @property
    def column_loss(self) -> MixedLoss | None:
        """Loss of the columns of a frame, None for tables of numbers alone."""
        loss = getattr(self, "loss", None)
        return loss if isinstance(loss, MixedLoss) else None

    @property
    def is_nested(self) -> bool:
        """Whether any number of first codes can be used alone."""
        return False

    @property
    def aims_at_squared_error(self) -> bool:
        """Whether a network must not have a higher squared error than PCA."""
        return False

    @property
    def ignores_odd_cells(self) -> bool:
        """Whether codes ignore single odd cells that harm the reconstruction of the others."""
        return False

    @property
    def may_copy(self) -> bool:
        """Whether a network with more codes than columns can simply copy the columns."""
        return False

    def for_columns(self, loss: ReconstructionLoss) -> Any:
        """Return the family with another loss, that of columns of several kinds."""
        family: Any = self
        return replace(family, loss=loss)

    def prepare(
        self,
        X,
        weights: np.ndarray | None,
        in_training: np.ndarray,
        settings: NetworkSettings,
        device: torch.device,
        units: Units | None = None,
    ) -> Any:
        """Return a table prepared for training. The parameters are those of `prepare_table`."""
        return prepare_table(X, weights, in_training, settings, device, units)

    def plan(self, settings: NetworkSettings, table: PreparedTable) -> NetworkPlan:
        """Return the structure of the network for a table.

        Parameters
        ----------
        settings : NetworkSettings
            Settings of the network.
        table : PreparedTable
            Prepared table: shape, number of codes, bounds and missing cells.

        Returns
        -------
        plan : NetworkPlan
            Input of `build`.
        """
        filling, components = None, table.principal_components
        if isinstance(components, MaskedPrincipalComponents):
            filling = "mean" if components.distribution.precision is None else "normal"
        return NetworkPlan(
            sample_shape=settings.sample_shape or (table.n_features,),
            n_components=table.n_components,
            architecture=settings.architecture,
            hidden_layer_sizes=settings.hidden_layer_sizes,
            activation=settings.activation,
            normalization=settings.normalization,
            dropout=settings.dropout,
            tied_weights=settings.tied_weights,
            linear_path=settings.linear_path,
            filling=filling,
            bounded=table.bounded,
            dtype=settings.dtype,
            options=tuple(self.network_options().items()),
        )

    def network_options(self) -> dict[str, Any]:
        """Return further options on which the structure of the network depends.

        Returns
        -------
        options : dict
            Numbers, strings and objects with parameters, by the names of the estimator's
            parameters.
        """
        return {"loss": self.loss.link}

    def build(self, plan: NetworkPlan, generator: torch.Generator | None) -> Any:
        """Return a network with random weights. `start_` sets everything that depends on the table.

        Parameters
        ----------
        plan : NetworkPlan
            Structure of the network.
        generator : torch.Generator or None
            Generator of the random weights. None is torch's global generator.

        Returns
        -------
        module : Autoencoder
            Network on the CPU.
        """
        raise NotImplementedError

    def start_(self, module: Any, table: Any, components: Any) -> None:
        """Initialise a network from the statistics of a table.

        Parameters
        ----------
        module : Autoencoder
            Network returned by `build`, on the CPU.
        table : PreparedTable
            Units and statistics of the rows.
        components : PrincipalComponents
            Principal components of the table, or of a part of it.
        """
        raise NotImplementedError

    def make_module(self, plan, table, components, generator: torch.Generator) -> Autoencoder:
        """Return a new network that starts from principal components, on the CPU."""
        module = self.build(plan, generator)
        _check_parts(module, plan)
        self.start_(module, table, components)
        return module

    def make_objective(self, table: PreparedTable, generator: torch.Generator) -> Objective:
        """Return the objective of the training, on the CPU.

        Parameters
        ----------
        table : PreparedTable
            Units of the rows, and whether cells may be missing.
        generator : torch.Generator
            Generator of its random draws.

        Returns
        -------
        objective : Objective
            Objective, with loss and penalty.
        """
        raise NotImplementedError

    def make_noise(self, table: PreparedTable, generator: torch.Generator) -> InputNoise:
        """Return the noise on the input of the network, with a copy of the user's corruption."""
        columns = describe_columns(table, table.device)
        return InputNoise(copy.deepcopy(self.corruption), columns, generator)

    def make_odd_cells(self, table: PreparedTable, generator: torch.Generator) -> OddCells | None:
        """Return the object that shifts single cells in training. None by default."""

    def make_step(
        self,
        modules: Sequence[Autoencoder],
        objective: Objective,
        optimizers: Sequence[torch.optim.Optimizer],
        *,
        by_autograd: bool,
        precision: Callable,
    ) -> Step:
        """Return the training step for one network or for several side by side.

        It is that of `find_explicit_step`, if there is one and skae's AdamW trains the networks,
        and otherwise that of `make_autograd_step`.

        Parameters
        ----------
        modules : list of Autoencoder
            Networks of the same structure.
        objective : Objective
            Objective of each network.
        optimizers : list of Optimizer
            One optimizer per network.
        by_autograd : bool
            Whether gradients must be computed by autograd, because callbacks use them or the
            network is compiled.
        precision : callable
            Function that returns the context, such as autocast, in which networks are computed.

        Returns
        -------
        step : Step
            Step for batches whose first axis is the network.
        """
        pairs = zip(modules, optimizers, strict=True)
        if not by_autograd and all(
            is_own_adamw(optimizer, module, self.list_own_parameters(module))
            for module, optimizer in pairs
        ):
            groups = [own.param_groups for own in optimizers]
            step = self.find_explicit_step(modules, objective, groups)
            if step is not None:
                return step
        return self.make_autograd_step(modules, objective, optimizers, precision=precision)

    def find_explicit_step(
        self, modules: Sequence[Any], objective: Any, groups: Sequence[list[dict]]
    ) -> Step | None:
        """Return a step with explicit gradients and AdamW that supports the networks, if any."""

    def make_autograd_step(
        self, modules: Sequence[Any], objective: Any, optimizers: Sequence, *, precision: Callable
    ) -> Step:
        """Return a step for all other networks and optimizers."""
        return AutogradStep(modules, objective, optimizers, precision=precision)

    def list_own_parameters(self, module: Autoencoder) -> list[nn.Parameter]:
        """Return parameters that the step trains with its own optimizer."""
        return []

    def settle_(
        self, module: Autoencoder, dataset: WeightedRows, held_out: WeightedRows | None
    ) -> None:
        """Transform the codes to their final form after training. Does nothing by default.

        Parameters
        ----------
        module : Autoencoder
            The trained network.
        dataset : WeightedRows
            All rows.
        held_out : WeightedRows or None
            Rows that were held out. None if there are none.
        """

    def measure_codes(self, module: Autoencoder, dataset: WeightedRows) -> CodeMoments:
        """Return moments of the codes of a data set, and the error of the network."""
        return measure_codes(module, dataset)

    def find_pca_error(
        self, table: PreparedTable, module: Autoencoder, dataset: WeightedRows, noise: InputNoise
    ) -> float:
        """Return PCA's mean squared error per cell on a data set, in standardised units.

        The network fills missing cells, after `noise` has changed or hidden some cells.
        """
        axes = table.units.tensor(table.principal_components.components).to(table.device)
        return measure_error(lambda rows: (module.fill(rows) @ axes.T) @ axes, dataset, noise)

    def order_codes_(
        self,
        module: Autoencoder,
        moments: CodeMoments,
        table: PreparedTable,
        *,
        whiten: bool,
        rotate: bool,
        find_rotation: Callable | None = None,
    ) -> np.ndarray:
        """Order the codes.

        Parameters
        ----------
        module : Autoencoder
            Trained network, whose basis is set.
        moments : CodeMoments
            Moments of the codes on all rows.
        table : PreparedTable
            Units of the rows.
        whiten, rotate : bool
            Whether to scale codes to unit variance, and whether they may be rotated.
        find_rotation : callable, default=None
            Function that finds another rotation than PCA's, as in `skae.modules.order_codes_`.

        Returns
        -------
        ratios : ndarray of shape (n_components,)
            Share of the variance of the rows about their mean that each code explains.
        """
        explained = order_codes_(
            module.basis,
            *moments.of_codes,
            unit=table.standardization.scale,
            whiten=whiten,
            rotate=rotate,
            keep_scale=self.keeps_scale,
            keep_order=self.keeps_order,
            find_rotation=find_rotation,
        )
        return share_variance(explained, moments)

    def find_unit(self, table: PreparedTable, dataset: WeightedRows) -> float:
        """Return the factor that takes mean errors of a data set to units of X squared."""
        # Errors of rows count missing cells as zeros.
        return table.standardization.scale**2 / self.find_observed_share(table, dataset)

    def find_error_unit(self, table: PreparedTable, dataset: WeightedRows) -> float:
        """Return the factor that takes mean errors of models to those of a cell."""
        if not self.loss.is_error:
            return self.find_unit(table, dataset)
        return 1 / find_observed_share(dataset, self.loss.cell_shares) if table.masked else 1.0

    def find_observed_share(self, table: PreparedTable, dataset: WeightedRows) -> float:
        """Return the weighted share of the cells of a data set that are not missing."""
        return find_observed_share(dataset) if table.masked else 1.0

    def describe(
        self, module: Autoencoder, dataset: WeightedRows, held_out: WeightedRows | None
    ) -> Any:
        """Return further information about the codes, if any. Parameters as in `settle_`."""


def share_variance(explained: torch.Tensor, moments: CodeMoments) -> np.ndarray:
    """Return the share of each code in the variance that the network reconstructs.

    The shares are proportional to `explained`, the variance of the rows that a linear regression on
    each code explains.
    """
    variance = moments.mean_square
    share = max(0.0, 1 - moments.squared_error / variance) if variance > 0 else 0.0
    return (explained * (share / max(float(explained.sum()), 1e-300))).numpy()


def _check_parts(module: Any, plan: NetworkPlan):
    """Raise an error for a network of a user's family that has other parts than planned."""
    wanted = {"linear_path": plan.linear_path, "filling": plan.filling is not None}
    for name, is_wanted in wanted.items():
        is_found = getattr(module, name, None) is not None
        if is_found != is_wanted:
            words = ["without", "with"]
            raise ValueError(
                f"`build` must return a network {words[is_wanted]} `{name}`, as planned. Got one "
                f"{words[is_found]} it. Override `plan` as well to change the plan."
            )
