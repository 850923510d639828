"""Base of all autoencoder estimators: fitting, encoding, decoding and scoring."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skae._engine import (
    DTYPES,
    RANKS,
    Family,
    LoopSettings,
    NetworkSettings,
    Standardization,
    StartingPoint,
    TrainedModel,
    count_components,
    decode_table,
    encode_table,
    find_rows_without_giants,
    ordinary_torch_state,
    train_autoencoder,
)
from skae._estimators.atomic import atomic_fit, sees_one_fit
from skae._estimators.checkpoints import find_checkpoints
from skae._estimators.dask_blocks import maps_dask
from skae._estimators.epoch_tasks import make_epoch_tasks
from skae._estimators.frame_columns import is_mixed_frame
from skae._estimators.frames import FrameForm
from skae._estimators.held_out import keep_rows, leave_out_giants, read_separation
from skae._estimators.html import HTMLMixin
from skae._estimators.parameters import (
    check_net_params,
    check_output_range,
    check_range,
    check_single_schedule,
    read_layer_sizes,
    read_n_components,
    read_precision,
    take_parameters,
    warn_if_overcomplete,
    warn_of_no_gain,
)
from skae._estimators.parts import check_row_losses
from skae._estimators.processes import check_agreement, refuse_continuation, refuse_parts
from skae._estimators.samples import (
    SampleForm,
    check_sample_shape,
    find_sample_shape,
    read_form,
    stack_samples,
    warn_of_doubtful_axes,
)
from skae._estimators.states import PlainStateMixin, tell_time
from skae._estimators.validation import (
    check_columns_are_observed,
    check_missing,
    is_masked,
    read_codes,
    validate_table,
)
from skae._shared.scikit_learn import (
    CallbackSupportMixin,
    check_weights,
    fit_context,
)
from skae.architectures._read import read_architecture


@dataclass(frozen=True)
class Settings:
    """Parameters of an estimator as objects and numbers."""

    family: Family
    network: NetworkSettings
    loop: LoopSettings


class BaseAutoencoder(
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    CallbackSupportMixin,
    PlainStateMixin,
    HTMLMixin,
    BaseEstimator,
):
    """Base class of autoencoder estimators, with fit, transform, inverse_transform and score.

    A subclass must override `_make_family`, which returns the kind of autoencoder, and have a
    constructor with those parameters of `AutoencoderTransformer` that its family uses: the
    parameters of the network and of the training loop. It may override `_fitted_attributes` to add
    attributes from the family's `describe`.

    Examples
    --------
    An autoencoder for tables in which outliers count for less, without other losses:

    >>> from sklearn.datasets import load_iris
    >>> from skae import AutoencoderTransformer
    >>> from skae.base import Plain
    >>> from skae.objectives import HuberLoss
    >>> class RobustTransformer(AutoencoderTransformer):
    ...     def _make_family(self):
    ...         return Plain(HuberLoss(delta=1.0))
    >>> RobustTransformer(2, max_iter=2, random_state=0).fit_transform(load_iris().data).shape
    (150, 2)
    """

    _loss_parameter = "loss"
    _takes_mixed_frames = False
    _frame: FrameForm | None = None

    @atomic_fit
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None, groups=None) -> Self:
        """Fit the autoencoder to X.

        Parameters
        ----------
        X : {array-like, sparse matrix, path} of shape (n_samples, n_features)
            Training rows, at least two, all finite except for missing cells. Sparse matrices are
            converted to dense ones batch by batch. Memory maps, HDF5 and Zarr arrays, Arrow and
            Parquet data sets, Dask arrays and data frames, and paths to such files are read block
            by block if they are large. Arrays with more than two axes, and lists of samples, are
            flattened. All methods accept these inputs. `AutoencoderTransformer` also accepts data
            frames of pandas and polars with columns that are not numbers; see the :doc:`user guide
            </mixed>`.
        y : object, default=None
            Ignored; here because scikit-learn's pipelines pass it.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows. Rows with weight zero have no influence.
        groups : array-like of shape (n_samples,), default=None
            Group labels of rows that belong together, such as the rows of one patient. A group is
            either used for training or held out, and is not divided between the folds of a
            cross-validation, so the model is evaluated on new groups. Without early stopping, no
            rows are held out, and groups have no effect. In a pipeline, groups are passed by
            metadata routing: ``set_fit_request(groups=True)``.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If X or a parameter is not as described. The message names a remedy.
        skae.exceptions.NonFiniteLossError
            If the loss becomes infinite or NaN. The estimator is then left unchanged.
        """
        start = self._starting_point() if self.warm_start else None
        if start is not None:
            refuse_continuation()
        with RANKS.get().stay():
            return self._fit(X, y, sample_weight, self._make_settings(), start, groups)

    @atomic_fit
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None, sample_weight=None) -> Self:
        """Train for one epoch on a chunk of rows, at a constant learning rate.

        The first call computes the mean, the scale and the PCA of its chunk, from which training
        starts. Later calls continue from there, and their error may exceed that of a PCA of their
        own chunk. No rows are held out, and ``output_range="auto"`` detects no bounds. The state of
        the optimizer is kept between calls, but not in pickles and copies.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Chunk of training rows.
        y : object, default=None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        self : object
            The estimator, fitted to one more chunk.
        """
        refuse_continuation()
        return self._fit(X, y, sample_weight, self._make_chunk_settings(), self._starting_point())

    def _fit(
        self, X, y, sample_weight, settings: Settings, start: StartingPoint | None, groups=None
    ):
        X = stack_samples(X, lazily=True)
        with ordinary_torch_state():
            frame, settings = self._open_frame(X, sample_weight, settings, anew=start is None)
            rows, weights, separation = self._validate_training_data(
                X, y, sample_weight, groups, settings, frame, reset=start is None
            )
            form = frame or self._read_form(X, rows, settings.network, anew=start is None)
            rows = form.cut(rows)
            network = replace(settings.network, sample_shape=form.seen)
            if self.n_components in (None, "auto"):
                n_codes = self._count_codes(rows, weights) if start is None else self.n_components_
                network = replace(network, n_components=n_codes)
            own = {"sample_shape_": form.seen, "_form": form.given, "_frame": frame}
            own |= self._count_rows(rows, start)

            def describe(model):
                mean = form.restore_rows(model.standardization.mean)
                later = {"mean_": mean, "_fitted_at": tell_time()}
                return {**self._fitted_attributes(model), **own, **later}

            tasks = make_epoch_tasks(self, X, describe)
            checkpoints = find_checkpoints(self, rows, weights, separation, start=start)
            model = train_autoencoder(
                rows,
                weights,
                settings.family,
                network,
                settings.loop,
                self.random_state,
                separation=separation,
                start=start,
                tasks=tasks,
                checkpoints=checkpoints,
            )
        self.__dict__.update(describe(model))
        if self.verbose and RANKS.get().rank == 0:
            print(model.summarize(form.reference_name), flush=True)
        if tasks is not None:
            tasks.end_fit()
        self._warn_of_weak_fit()
        return self

    def _open_frame(
        self, X, sample_weight, settings: Settings, *, anew: bool
    ) -> tuple[FrameForm | None, Settings]:
        """Return the form of a frame with columns of several kinds, and the adapted settings.

        The form is None for all other tables.
        """
        frame = self._frame
        if anew:
            is_mixed = self._takes_mixed_frames and is_mixed_frame(X)
            if is_mixed:
                refuse_parts("A fit to columns of several kinds")
            frame = FrameForm.fit(self, X, check_weights(sample_weight, X)) if is_mixed else None
        return frame, settings if frame is None else frame.adapt(self, settings)

    def _count_rows(self, rows, start: StartingPoint | None) -> dict[str, Any]:
        """Return the attributes that count rows, over all processes."""
        n_rows = RANKS.get().count(rows.shape[0])
        n_earlier = 0 if start is None else self.n_samples_seen_
        return {"_n_rows": n_rows, "n_samples_seen_": n_earlier + n_rows}

    def _read_form(self, X, rows, network: NetworkSettings, *, anew: bool) -> SampleForm:
        """Return the shapes of the samples of a fit."""
        known = None if anew else SampleForm(self._form, self.sample_shape_)
        form = read_form(X, rows, self.sample_shape, known=known, padded=network.padded)
        if anew:
            warn_of_doubtful_axes(self.architecture, form.seen, self.sample_shape)
        return form

    @sees_one_fit
    @maps_dask
    def transform(self, X) -> Any:
        """Return the codes of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, all finite except for missing cells.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_components_)
            Codes in the precision of the network.
        """
        return self._apply(encode_table, X)

    def _apply(self, compute: Callable, X) -> np.ndarray:
        """Apply a function of the engine to the network and to rows in the form of the user."""
        rows = self._validate_rows(X)
        rows = self._sample_form.complete(rows, self.mean_)
        with ordinary_torch_state():
            return compute(self.net_.module_, rows, self._standardization)

    @sees_one_fit
    @maps_dask
    def inverse_transform(self, X) -> Any:
        """Return the reconstructions of codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components_)
            Codes. With ``nested=True``, the first codes alone are accepted, in fewer columns.

        Returns
        -------
        reconstructions : ndarray or data frame of shape (n_samples, n_features_in_)
            Rows in the units and the precision of the table in `fit`. A data frame with the types
            of `fit` if that had columns of several kinds, without the columns that were left out.
        """
        codes = read_codes(self, X)
        with ordinary_torch_state():
            rows = decode_table(self.net_.module_, codes, self._standardization)
        return self._sample_form.restore(rows)

    @sees_one_fit
    @maps_dask
    def reconstruction_errors(self, X, *, unit=None) -> Any:
        """Return the error of every cell.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, all finite except for missing cells.
        unit : {"nats"} or None, default=None
            Unit of the errors of data frames with columns of several kinds; must be None for other
            tables. None measures each column relative to its baseline. "nats" returns negative
            log-likelihoods: of numbers as normally distributed about their reconstruction with the
            held-out variance in `column_errors_`, and of the probabilities of categories. Numbers
            are standardised for this, so their densities, and the sum over a row, do not depend on
            the units of the columns.

        Returns
        -------
        errors : ndarray or data frame of shape (n_samples, n_features)
            Squared differences between X and its reconstruction, in units of X squared; NaN where
            a cell is missing. For data frames with columns of several kinds, a data frame, with
            squared errors over the variance and cross-entropies over the entropy of the column's
            shares, or with nats.

        Raises
        ------
        ValueError
            If `unit` is not as described.
        """
        if unit not in (None, "nats"):
            raise ValueError(f"`unit` must be 'nats' or None. Got {unit!r}. None is the default.")
        X = self._validate_rows(X)
        with ordinary_torch_state():
            errors = self._sample_form.measure_cells(self.net_.module_, X, self._standardization)
        return errors if unit is None else self._convert_to_nats(errors)

    def _convert_to_nats(self, errors):
        """Return errors of the columns of a frame as negative log-likelihoods."""
        if self._frame is None:
            raise ValueError(
                "`unit` must be None for tables of numbers, as the model has no variance for each "
                "of their columns. Got 'nats'. Leave it out."
            )
        if (usual := getattr(self, "column_errors_", None)) is None:
            raise ValueError(
                "`unit` must be None for models that were fitted before version 0.2. Got 'nats'. "
                "Fit the model again."
            )
        return self._frame.convert_to_nats(errors, usual, self.mean_)

    @sees_one_fit
    @maps_dask
    def score_samples(self, X) -> np.ndarray:
        """Return the negative mean error of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, all finite except for missing cells.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Negative errors in units of X squared. The lower the score, the worse the reconstruction
            of the row. For data frames with columns of several kinds, in units of the baselines
            of the columns.
        """
        X = self._validate_rows(X)
        errors, _ = self._row_errors(X)
        return -errors / self._sample_form.count_cells(X, masked=is_masked(self))

    @sees_one_fit
    def score(self, X, y=None, sample_weight=None) -> float:
        """Return the share of the variance of X that is reconstructed.

        The variance is computed about the mean of the training rows, so the score is comparable to
        the sum of PCA's `explained_variance_ratio_`. For data frames with columns of several
        kinds, it is the share of the baselines' loss that the model saves.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, all finite except for missing cells.
        y : object, default=None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        score : float
            At most 1. A model that always reconstructs the training mean has score 0. If all rows
            equal the training mean, the score is 1 if they are reconstructed exactly, and 0
            otherwise.
        """
        X = self._validate_rows(X)
        weights = check_weights(sample_weight, X)
        errors, deviations = self._row_errors(X)
        if weights is not None:
            errors, deviations = errors * weights, deviations * weights
        # Sums of very large numbers may overflow although their ratio does not.
        unit = max(errors.max(), deviations.max(), np.finfo(np.float64).tiny)
        error, deviation = float((errors / unit).sum()), float((deviations / unit).sum())
        if deviation == 0:
            return float(error == 0)
        return 1 - error / deviation

    def _row_errors(self, X):
        with ordinary_torch_state():
            measured = self._sample_form.measure_rows(self.net_.module_, X, self._standardization)
        return measured.T

    @property
    def _sample_form(self) -> SampleForm | FrameForm:
        return self._frame or SampleForm(self._form, self.sample_shape_)

    @property
    def _standardization(self) -> Standardization:
        mean = self.mean_[: math.prod(self.sample_shape_)]
        return Standardization(mean, self.scale_, DTYPES[self._network_dtype])

    @property
    def _n_features_out(self) -> int:
        """Number of codes, which `get_feature_names_out` names."""
        return self.n_components_

    def _make_settings(self) -> Settings:
        """Return the parameters as objects and numbers, for the engine."""
        check_output_range(self.output_range)
        check_net_params(self.net_params)
        check_single_schedule(self.learning_rate, self.net_params)
        settings = Settings(self._make_family(), self._make_network(), self._make_loop())
        check_missing(settings.family, settings.network)
        return settings

    def _make_family(self) -> Family:
        """Return the kind of autoencoder, with its losses."""
        raise NotImplementedError

    def _make_network(self) -> NetworkSettings:
        own = take_parameters(self, NetworkSettings) | {
            "n_components": read_n_components(self.n_components),
            "architecture": read_architecture(self.architecture),
            "hidden_layer_sizes": read_layer_sizes(self.hidden_layer_sizes),
            "linear_path": self.init == "pca",
            "masked": self.missing == "mask",
        }
        return NetworkSettings(**own)

    def _make_loop(self) -> LoopSettings:
        mixed_precision = read_precision(self.mixed_precision, self.dtype, self.device)
        own = take_parameters(self, LoopSettings) | {"mixed_precision": mixed_precision}
        return LoopSettings(**own)

    def _make_chunk_settings(self) -> Settings:
        """Return the parameters for one epoch on a chunk of rows."""
        settings = self._make_settings()
        network, loop = settings.network, settings.loop
        if network.output_range == "auto":
            # A chunk may not cover the range of later ones.
            network = replace(network, output_range=None)
        loop = replace(loop, max_iter=1, learning_rate="constant", early_stopping=False)
        return replace(settings, network=network, loop=loop)

    def _count_codes(self, rows, weights) -> int:
        """Return the default number of codes for a table."""
        if self.n_components is None:
            return min(RANKS.get().count(rows.shape[0]), rows.shape[1])
        refuse_parts("n_components='auto'")
        return count_components(rows, weights)

    def _starting_point(self) -> StartingPoint | None:
        """Return the fitted network to continue from, or None."""
        if not self.__sklearn_is_fitted__():
            return None
        return StartingPoint(
            module=self.net_.module_,
            plan=self.net_.plan,
            standardization=self._standardization,
            n_fits=self._n_fits,
            moments=getattr(self, "_moments", None),
        )

    def _fitted_attributes(self, model: TrainedModel) -> dict:
        """Return the learned attributes for a trained model."""
        return {
            "net_": model.net,
            "n_components_": model.n_components,
            "n_iter_": model.n_iter,
            "best_iter_": model.best_iter,
            "loss_curve_": model.loss_curve,
            "validation_loss_curve_": model.validation_loss_curve,
            "reconstruction_error_": model.reconstruction_error,
            "pca_reconstruction_error_": model.pca_reconstruction_error,
            "explained_variance_": model.explained_variance,
            "explained_variance_ratio_": model.explained_variance_ratio,
            "scale_": model.standardization.scale,
            **self._describe_prefixes(model),
            **({"column_errors_": model.column_losses} if self._takes_mixed_frames else {}),
            "_network_dtype": self.dtype,
            "_n_fits": model.n_fits,
            "_moments": model.moments,
        }

    def _describe_prefixes(self, model: TrainedModel) -> dict:
        """Return the attributes that describe prefixes of nested codes."""
        if not model.net.family.is_nested:
            return {}
        curves = (None, None) if model.prefixes is None else model.prefixes.find_scores()
        return {"score_curve_": curves[0], "pca_score_curve_": curves[1]}

    def _validate_training_data(self, X, y, sample_weight, groups, settings, frame, *, reset: bool):
        """Return the rows of positive weight, their weights, and their groups.

        Weights are None where all are equal.
        """
        if frame is None:
            X = validate_table(self, X, reset=reset, ensure_min_samples=2 if reset else 1)
        else:
            X = frame.read(self, X, lazily=True)
            X = X if reset else frame.complete(X, self.mean_)
        weights = check_weights(sample_weight, X)
        given = X, y, weights
        separation = read_separation(*given, groups, settings.loop)
        X, weights = keep_rows(X, weights, 2 if reset else 1)
        places = range(X.shape[1])
        names = getattr(self, "feature_names_in_", places) if frame is None else places
        parameter, network, family = self._loss_parameter, settings.network, settings.family
        named_loss = f"{parameter}={getattr(self, parameter)!r}"
        check_range(X, names, family.loss, network.output_range, named_loss=named_loss)
        if reset:
            check_row_losses(family.loss, settings, X.shape[1], weights, name=parameter)
        check_agreement(self, X, weights, separation)
        if family.may_copy:
            warn_if_overcomplete(self.n_components, X.shape[1])
        kept = find_rows_without_giants(X, masked=network.masked)
        if kept is not None:
            X, weights, separation = leave_out_giants(*given, groups, settings.loop, kept)
        if network.masked:
            check_columns_are_observed(X, names, padded=network.padded)
        return X, weights, separation

    def _validate_rows(self, X):
        check_is_fitted(self)
        samples = stack_samples(X, lazily=True)
        if self._frame is not None:
            return self._frame.read(self, samples, lazily=True)
        rows = validate_table(self, samples, reset=False)
        check_sample_shape(find_sample_shape(samples, rows.shape[1]), self.sample_shape_)
        return self._sample_form.cut(rows)

    def _warn_of_weak_fit(self):
        continued = self._n_fits > 1
        if continued or self.reconstruction_error_ < self.pca_reconstruction_error_:
            return
        if self.best_iter_ > 0 and not self._make_family().aims_at_squared_error:
            # The estimator minimises another error, and succeeded.
            return
        if self.best_iter_ > 0 and self._gains_with_fewer_codes():
            return
        rounding = float(np.finfo(self._network_dtype).eps) * self.scale_**2
        if self.pca_reconstruction_error_ <= rounding:
            return
        warn_of_no_gain(
            self.reconstruction_error_,
            self.pca_reconstruction_error_,
            is_pca=self.best_iter_ == 0 and self.init == "pca",
            measure=self._sample_form.error_name,
            reference=self._sample_form.reference_name,
        )

    def _gains_with_fewer_codes(self) -> bool:
        """Return whether some prefix of nested codes reconstructs more than PCA."""
        if not self.net_.family.is_nested:
            return False
        return bool((self.score_curve_ > self.pca_score_curve_).any())

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "net_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = is_masked(self)
        tags.input_tags.sparse = not tags.input_tags.allow_nan
        tags.transformer_tags.preserves_dtype = [self.dtype]
        return tags

    def __getstate__(self):
        state = dict(super().__getstate__())
        state.pop("_moments", None)
        if self.__sklearn_is_fitted__():
            # Monitors may hold open connections, and are no longer needed.
            state.pop("_skl_callbacks", None)
        return state
