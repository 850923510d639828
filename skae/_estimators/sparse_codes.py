"""The autoencoder of sparse codes."""

import math
from dataclasses import fields, replace
from itertools import pairwise
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn import config_context
from sklearn.utils import check_array
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from skae._engine import (
    LoopSettings,
    NetworkSettings,
    SparseCodes,
    TrainedModel,
    encode_sparsely,
    ordinary_torch_state,
)
from skae._estimators.atomic import sees_one_fit
from skae._estimators.autoencoder import AutoencoderTransformer
from skae._estimators.base import BaseAutoencoder, Settings
from skae._estimators.dask_blocks import maps_dask
from skae._shared.scikit_learn import returns_frames
from skae._shared.warning import warn_user
from skae.architectures import Dense
from skae.exceptions import NotBetterThanPCAWarning

_SHARED = (
    "batch_size",
    "device",
    "dtype",
    "early_stopping",
    "learning_rate_init",
    "n_iter_no_change",
    "random_state",
    "tol",
    "validation_fraction",
    "verbose",
    "warm_start",
)
# Steps of one constant rate end farther from the optimum than those of a falling one.
_RATE_OF_CHUNKS = 0.2


class SparseAutoencoderTransformer(BaseAutoencoder):
    r"""Sparse codes: each row as a sum of a few rows of a large dictionary.

    There are more codes than features, but only a few of them differ from zero on any row, and none
    is negative. Such codes tend to stand for one thing each, such as a topic of a text, which makes
    them readable where dense codes are not. With `D` the dictionary, whose rows have unit length,
    and `b` an offset, the reconstruction is

    .. math:: x' = D^T z + b .

    The encoder is a pursuit: in each of `n_rounds` rounds the codes whose dictionary rows fit best
    to what is not reconstructed yet become active, and all active codes are adapted. Encoder and
    decoder share the dictionary, so there are half as many weights to overfit as in the usual
    sparse autoencoders.

    A row has `n_active` active codes on average: easy rows have fewer, others more. In training
    that holds for each batch. New rows are compared with thresholds, so that their codes do not
    depend on the rows beside them; rows held out in `fit` set these.

    Parameters
    ----------
    n_components : int, default=512
        Number of codes, and of the rows of the dictionary. There may be far more than features; on
        few rows more codes overfit.
    n_active : int, default=16
        Number of codes of a row that differ from zero, on average; all of them where
        there are no more. Fewer are easier to read, more reconstruct better.
    n_rounds : int, default=4
        Rounds of the pursuit. More find better codes, in proportionally more time; with 1 the
        encoder is that of the usual sparse autoencoders with tied weights.
    nested : tuple of int or None, default=None
        Smaller numbers of codes, in ascending order, such as (32, 128): rows are reconstructed from
        so many first codes as well, so that these stand for what is most common. Known as
        Matryoshka sparse autoencoders.
    sparse_output : bool, default=True
        Return codes as a SciPy CSR matrix. With False they are an array, which `set_output` needs.
    batch_size : int or "auto", default="auto"
        Rows in a training step. "auto" is a twentieth of the rows, within 32 and 256.
    learning_rate_init : float, default=0.3
        Greatest learning rate, as the share of its length by which a step may move a dictionary
        row. The rate rises over the first tenth of all steps and falls to almost nothing.
    max_iter : int, default=20
        Number of epochs, at most.
    early_stopping : bool, default=True
        Hold out rows to choose the epoch and the thresholds by. With False all rows are trained on
        to the end, and new rows have more than `n_active` active codes.
    validation_fraction : float in (0, 1) or cross-validation splitter, default=0.1
        Share of the rows held out, as in `AutoencoderTransformer`.
    n_iter_no_change : int, default=5
        Training ends after so many epochs without progress on the rows that judge.
    tol : float, default=1e-4
        Share of the loss that counts as progress.
    warm_start : bool, default=False
        Let `fit` go on from the present dictionary instead of a new one.
    dtype : {"float32", "float64"}, default="float32"
        Precision of the network and the codes.
    device : str, default="auto"
        "cpu", "cuda", "mps", or "auto": CUDA where there is one.
    random_state : int, RandomState instance or None, default=None
        Seeds the start of the dictionary, the held-out rows and the order of the batches.
    verbose : bool or int, default=False
        Print skorch's table of epochs.

    Attributes
    ----------
    components_ : ndarray of shape (n_components_, n_features_in_)
        The dictionary, in rows of unit length: what one unit of each code adds to a reconstruction.
    intercept_ : ndarray of shape (n_features_in_,)
        The offset: the reconstruction of a row without active codes.
    activity_ : ndarray of shape (n_components_,)
        Share of the training rows on which each code is active.
    dead_codes_ : ndarray of int
        Numbers of the codes that are active on no training row.
    n_active_ : float
        Number of active codes of a row, on average over the rows held out, or over the training
        rows without early stopping. Rows that the dictionary was fitted to have fewer active codes
        than new ones.
    n_components_ : int
        Number of codes.
    net_ : skorch.NeuralNet
        The trained net; its `module_` is the torch module and its `history` has the losses.
    n_iter_ : int
        Epochs that were tried.
    best_iter_ : int
        Epoch whose weights the model has.
    loss_curve_ : list of float
        Training loss of each epoch, in units of the error of PCA with `n_active` components.
    validation_loss_curve_ : list of float or None
        Loss of held-out rows before the first epoch and after each; None without early stopping.
    reconstruction_error_ : float
        Mean squared error per cell, in units of X squared, of the rows held out, or of the training
        rows without early stopping.
    pca_reconstruction_error_ : float
        Error of PCA with `n_active` components on the same rows. `fit` warns if it is the smaller.
    explained_variance_ratio_ : ndarray of shape (n_components_,)
        Share of the variance of all rows of `fit` that the model reconstructs, distributed among
        the codes in the proportion of their mean squares.
    mean_ : ndarray of shape (n_features_in_,)
        Mean of the training rows.
    scale_ : float
        Divisor of centred rows.
    sample_shape_ : tuple of int
        Shape of a sample.
    n_features_in_ : int
        Number of features seen in fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where X had any.

    See Also
    --------
    skae.inspection.top_rows : Rows on which a code is strongest, which show what it stands for.
    sklearn.decomposition.MiniBatchDictionaryLearning : Dictionaries for smaller tables.

    Notes
    -----
    The start is no PCA but a dictionary of training rows, drawn at random, so there is no promise
    to be never worse than PCA; `pca_reconstruction_error_` tells what PCA makes of as many numbers
    as there are active codes. A dictionary also says which codes are active, so it usually
    reconstructs more.

    Codes that are never active get a loss of their own in training, so that they take up what the
    others leave over (Gao et al.). Codes have no order, and other seeds find partly other codes.

    Weights of rows count in the loss, the start and the average number of active codes, but for the
    rows that judge an epoch, among which active codes are distributed whatever their weights.

    References
    ----------
    Bussmann, B., Leask, P. and Nanda, N. (2024). BatchTopK sparse autoencoders.
    https://doi.org/10.48550/arXiv.2412.06410

    Gao, L. et al. (2024). Scaling and evaluating sparse autoencoders.
    https://doi.org/10.48550/arXiv.2406.04093

    Costa, V. et al. (2025). From flat to hierarchical: extracting sparse representations with
    matching pursuit. https://doi.org/10.48550/arXiv.2506.03093

    Bussmann, B. et al. (2025). Learning multi-level features with Matryoshka sparse autoencoders.
    https://doi.org/10.48550/arXiv.2503.17547

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import SparseAutoencoderTransformer
    >>> X, y = load_digits(return_X_y=True)
    >>> model = SparseAutoencoderTransformer(100, n_active=8, max_iter=5, random_state=0).fit(X)
    >>> codes = model.transform(X)
    >>> codes.format, codes.shape, round(model.n_active_)
    ('csr', (1797, 100), 8)
    >>> model.reconstruction_error_ < model.pca_reconstruction_error_
    True
    """

    _parameter_constraints: ClassVar[dict] = {
        **{name: AutoencoderTransformer._parameter_constraints[name] for name in _SHARED},
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "n_active": [Interval(Integral, 1, None, closed="left")],
        "n_rounds": [Interval(Integral, 1, None, closed="left")],
        "nested": [tuple, list, None],
        "sparse_output": ["boolean"],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
    }
    # In the place of parameters of other estimators.
    architecture = loss = sample_shape = None

    def __init__(
        self,
        n_components=512,
        *,
        n_active=16,
        n_rounds=4,
        nested=None,
        sparse_output=True,
        batch_size="auto",
        learning_rate_init=0.3,
        max_iter=20,
        early_stopping=True,
        validation_fraction=0.1,
        n_iter_no_change=5,
        tol=1e-4,
        warm_start=False,
        dtype="float32",
        device="auto",
        random_state=None,
        verbose=False,
    ) -> None:
        self.n_components = n_components
        self.n_active = n_active
        self.n_rounds = n_rounds
        self.nested = nested
        self.sparse_output = sparse_output
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.warm_start = warm_start
        self.dtype = dtype
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @sees_one_fit
    @maps_dask
    def transform(self, X) -> Any:
        """Return the codes of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, all finite.

        Returns
        -------
        codes : csr_matrix or ndarray of shape (n_samples, n_components_)
            Codes in the unit of X and the precision of the network, none negative; an array with
            ``sparse_output=False``.
        """
        X = self._validate_rows(X)
        if self.sparse_output and returns_frames(self):
            raise ValueError(
                "`sparse_output` must be False where output is to be a frame. Got True with "
                "`set_output` or `set_config`. Frames have no room for so many zeros; set "
                "sparse_output=False, or set_output(transform='default')."
            )
        with ordinary_torch_state():
            codes = encode_sparsely(self.net_.module_, X, self._standardization)
        return codes if self.sparse_output else codes.toarray()

    @sees_one_fit
    @maps_dask
    def inverse_transform(self, X) -> Any:
        """Return the reconstructions of codes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_components_)
            Codes.

        Returns
        -------
        reconstructions : ndarray of shape (n_samples, n_features_in_)
            Rows in the units and the precision of the table seen in fit.
        """
        check_is_fitted(self)
        with config_context(array_api_dispatch=False):
            codes = check_array(
                X, accept_sparse="csr", dtype=(np.float64, np.float32), input_name="X"
            )
        if codes.shape[1] != self.n_components_:
            raise ValueError(
                f"X must have {self.n_components_} columns, one for each code. Got a table of "
                f"shape {codes.shape}. Pass what `transform` returned."
            )
        rows = codes @ self.components_ + self.intercept_
        return self._sample_form.restore(rows.astype(self.intercept_.dtype, copy=False))

    def _make_settings(self) -> Settings:
        n_components = int(self.n_components)
        n_active = min(int(self.n_active), n_components)
        family = SparseCodes(n_components, n_active, int(self.n_rounds), self._read_nested())
        return Settings(family, self._make_network(), self._make_loop())

    def _read_nested(self) -> tuple[int, ...]:
        """Return the smaller numbers of codes in `nested`."""
        given = tuple(self.nested or ())
        widths = (0, *given, self.n_components)
        ascending = all(a < b for a, b in pairwise(widths))
        if not ascending or not all(isinstance(width, Integral) for width in given):
            raise ValueError(
                "`nested` must be None or numbers of codes in ascending order, each from 1 to "
                f"`n_components` - 1. Got {self.nested!r} with n_components={self.n_components}. "
                "The number of all codes is left out, as in nested=(32, 128)."
            )
        return tuple(map(int, given))

    def _make_network(self) -> NetworkSettings:
        return NetworkSettings(
            int(self.n_components), Dense(), (), linear_path=False, dtype=self.dtype
        )

    def _make_loop(self) -> LoopSettings:
        given = self.get_params(deep=False)
        names = [field.name for field in fields(LoopSettings) if field.name in given]
        own = {name: given[name] for name in names}
        return LoopSettings(**own, learning_rate="one_cycle", weight_decay=0.0)

    def _make_chunk_settings(self) -> Settings:
        settings = super()._make_chunk_settings()
        rate = settings.loop.learning_rate_init * _RATE_OF_CHUNKS
        return replace(settings, loop=replace(settings.loop, learning_rate_init=rate))

    def _fitted_attributes(self, model: TrainedModel) -> dict:
        module, use, units = model.net.module_, model.description, model.standardization
        return {
            **super()._fitted_attributes(model),
            "components_": module.dictionary.detach().cpu().numpy(),
            "intercept_": units.invert(module.offset.detach()[None])[0],
            "activity_": use.shares,
            "dead_codes_": use.dead,
            "n_active_": use.n_active,
        }

    def _warn_of_weak_fit(self):
        error, pca_error = self.reconstruction_error_, self.pca_reconstruction_error_
        rounding = float(np.finfo(self._network_dtype).eps) * self.scale_**2
        if self._n_fits > 1 or error < pca_error or math.isclose(pca_error, 0, abs_tol=rounding):
            return
        warn_user(
            f"The mean squared error per cell, {error:.6g}, is not below that of PCA with "
            f"{min(self.n_active, self.n_components)} components, {pca_error:.6g}, on the rows "
            "that were used to judge. "
            "There may be too few rows for so many codes, or the rows may be no sums of few parts. "
            "More rows, a larger `max_iter`, or another `n_components` may change that.",
            NotBetterThanPCAWarning,
        )
