"""The autoencoder of sparse codes."""

import math
from dataclasses import replace
from itertools import pairwise
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import Interval

from skae._engine import (
    LoopSettings,
    NetworkSettings,
    SparseCodes,
    TrainedModel,
    encode_sparsely,
    ordinary_torch_state,
)
from skae._estimators.atomic import sees_one_fit
from skae._estimators.autoencoder import shares_constraints
from skae._estimators.base import BaseAutoencoder, Settings
from skae._estimators.dask_blocks import maps_dask
from skae._estimators.parameters import take_parameters
from skae._estimators.validation import read_codes
from skae._shared.scikit_learn import returns_frames
from skae._shared.warning import warn_user
from skae.architectures import Dense
from skae.exceptions import NotBetterThanPCAWarning

# A constant learning rate ends farther from the optimum than a decreasing one.
_RATE_OF_CHUNKS = 0.2


@shares_constraints
class SparseAutoencoderTransformer(BaseAutoencoder):
    r"""Sparse autoencoder: each row as a sum of a few rows of a large dictionary.

    There are more codes than features, but only a few are nonzero (active) in each row, and none is
    negative. Such codes tend to represent one thing each, such as a topic of a text, so they are
    easier to interpret than dense codes. With a dictionary `D`, whose rows have unit length, and an
    offset `b`, the reconstruction is

    .. math:: x' = D^T z + b .

    The encoder is a pursuit: in each of `n_rounds` rounds, the codes whose dictionary rows fit the
    residual best become active, and all active codes are updated. Encoder and decoder share the
    dictionary, so there are only half as many weights as in standard sparse autoencoders, which
    reduces overfitting.

    A row has `n_active` active codes on average: simple rows have fewer, complex rows more. In
    training, this average holds for each batch. For new rows, codes above a threshold are active,
    so the codes of a row do not depend on the other rows. The thresholds are set on rows that `fit`
    holds out.

    Parameters
    ----------
    n_components : int, default=512
        Number of codes, which are the rows of the dictionary. There may be far more codes than
        features, but too many overfit if there are few rows.
    n_active : int, default=16
        Average number of active codes per row; at most all codes. Fewer are easier to interpret,
        more give better reconstructions.
    n_rounds : int, default=4
        Number of rounds of the pursuit. More rounds give better reconstructions and take
        proportionally more time; 2 rounds may find more of the true parts of rows that are sums of
        parts. With 1, the encoder is that of a standard sparse autoencoder with tied weights.
    nested : tuple of int or None, default=None
        Smaller numbers of codes in ascending order, such as (32, 128). Rows are then also
        reconstructed from the first 32 and the first 128 codes alone, so that the first codes
        represent the most common parts. Known as Matryoshka sparse autoencoders.
    sparse_output : bool, default=True
        Whether `transform` returns a SciPy CSR matrix. With False it returns an array, as
        `set_output` requires.
    batch_size : int or "auto", default="auto"
        Number of rows per training step. "auto" is a twentieth of the rows, but at least 32 and at
        most 256.
    learning_rate_init : float, default=0.3
        Maximum learning rate: the share of its length by which a step may move a dictionary row.
        The rate rises during the first tenth of all steps and then falls to almost zero.
    max_iter : int, default=20
        Maximum number of epochs.
    early_stopping : bool, default=True
        Whether to choose the epoch and the thresholds on held-out rows. With False, all rows are
        used for training until the last epoch, and new rows have more than `n_active` active codes.
    validation_fraction : float in (0, 1) or cross-validation splitter, default=0.1
        Share of the rows that are held out, as in `AutoencoderTransformer`.
    n_iter_no_change : int, default=5
        Training ends after this number of epochs without progress on the held-out rows.
    tol : float, default=1e-4
        Relative decrease of the loss that counts as progress.
    warm_start : bool, default=False
        Whether `fit` continues from the current dictionary instead of a new one.
    dtype : {"float32", "float64"}, default="float32"
        Precision of the network and the codes.
    device : str, default="auto"
        Device to compute on, such as "cpu", "cuda" or "mps". "auto" uses CUDA if it is available.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial dictionary, the held-out rows and the order of the batches.
    verbose : bool or int, default=False
        Whether to print skorch's table of epochs.

    Attributes
    ----------
    components_ : ndarray of shape (n_components_, n_features_in_)
        Dictionary, with rows of unit length. A code times its row is the contribution of the code
        to a reconstruction.
    intercept_ : ndarray of shape (n_features_in_,)
        Offset: the reconstruction of a row without active codes.
    activity_ : ndarray of shape (n_components_,)
        Share of the training rows on which each code is active.
    dead_codes_ : ndarray of int
        Indices of the codes that are active on no training row.
    n_active_ : float
        Average number of active codes per held-out row, or per training row without early stopping.
        Training rows have fewer active codes than new rows.
    n_components_ : int
        Number of codes.
    net_ : skorch.NeuralNet
        The trained net. Its `module_` is the PyTorch module and its `history` has the losses.
    n_iter_ : int
        Number of epochs that were trained.
    best_iter_ : int
        Epoch whose weights were kept.
    loss_curve_ : list of float
        Training loss of each epoch, relative to the error of PCA with `n_active` components.
    validation_loss_curve_ : list of float or None
        Loss of the held-out rows before the first epoch and after each epoch. None without early
        stopping.
    reconstruction_error_ : float
        Mean squared error per cell on held-out rows, in units of X squared; on the training rows
        without early stopping.
    pca_reconstruction_error_ : float
        Error of PCA with `n_active` components on the same rows. `fit` warns if it is lower than
        `reconstruction_error_`.
    explained_variance_ratio_ : ndarray of shape (n_components_,)
        Share of the variance of all rows of `fit` explained by each code: the share that the model
        reconstructs, divided among the codes in proportion to their mean squares.
    mean_ : ndarray of shape (n_features_in_,)
        Mean of the training rows.
    scale_ : float
        Number by which centred rows are divided.
    sample_shape_ : tuple of int
        Shape of a sample.
    n_features_in_ : int
        Number of features seen in fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where X had any.

    See Also
    --------
    skae.inspection.top_rows : Rows with the largest values of a code, to interpret it.
    sklearn.decomposition.MiniBatchDictionaryLearning : Dictionaries for smaller tables.

    Notes
    -----
    The start is not PCA but a dictionary of randomly drawn and partly whitened training rows, so
    the error may exceed PCA's. `pca_reconstruction_error_` is the error of PCA with as many
    components as there are active codes. It is usually higher, because sparse codes also carry the
    information which codes are active.

    In training, codes that are never active get an additional loss, so that they learn to
    reconstruct the residual of the others (Gao et al.). Codes have no order, and other seeds find
    partly different codes.

    Cells of new rows far beyond the range of the training rows are ignored where they would harm
    the reconstruction of the others. A training row with a single cell far larger than the usual
    length of rows (more than 100 times) has a lower weight, unless more than one in 1000 rows has
    such a cell.

    Sample weights affect the loss, the start and the average number of active codes, except that
    active codes are distributed over held-out rows regardless of their weights.

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
    >>> X = load_digits().data[:500]
    >>> model = SparseAutoencoderTransformer(100, n_active=8, max_iter=5, random_state=0).fit(X)
    >>> codes = model.transform(X)
    >>> codes.format, codes.shape, round(model.n_active_)
    ('csr', (500, 100), 8)
    >>> model.reconstruction_error_ < model.pca_reconstruction_error_
    True
    """

    _parameter_constraints: ClassVar[dict] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "n_active": [Interval(Integral, 1, None, closed="left")],
        "n_rounds": [Interval(Integral, 1, None, closed="left")],
        "nested": [tuple, list, None],
        "sparse_output": ["boolean"],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
    }
    # Replaces parameters of other estimators.
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

    @property
    def components_(self) -> np.ndarray:
        """Dictionary, with a row for each code."""
        return self.net_.module_.dictionary.detach().cpu().numpy()

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
            Non-negative codes in the unit of X and the precision of the network. An array with
            ``sparse_output=False``.
        """
        X = self._validate_rows(X)
        if self.sparse_output and returns_frames(self):
            raise ValueError(
                "`sparse_output` must be False if the output is a frame. Got True with "
                "`set_output` or `set_config`. Frames would store all zeros; set "
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
            Rows in the units and the precision of the table in `fit`.
        """
        codes = read_codes(self, X, accept_sparse="csr")
        rows = codes @ self.components_ + self.intercept_
        return self._sample_form.restore(rows.astype(self.intercept_.dtype, copy=False))

    def _make_settings(self) -> Settings:
        n_components = int(self.n_components)
        n_active = min(int(self.n_active), n_components)
        family = SparseCodes(n_components, n_active, int(self.n_rounds), self._read_nested())
        return Settings(family, self._make_network(), self._make_loop())

    def _read_nested(self) -> tuple[int, ...]:
        """Return the numbers of codes in `nested`."""
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
        own = take_parameters(self, LoopSettings)
        return LoopSettings(**own, learning_rate="one_cycle", weight_decay=0.0)

    def _make_chunk_settings(self) -> Settings:
        settings = super()._make_chunk_settings()
        rate = settings.loop.learning_rate_init * _RATE_OF_CHUNKS
        return replace(settings, loop=replace(settings.loop, learning_rate_init=rate))

    def _fitted_attributes(self, model: TrainedModel) -> dict:
        module, use, units = model.net.module_, model.description, model.standardization
        return {
            **super()._fitted_attributes(model),
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
            "used for the comparison. "
            "There may be too few rows for so many codes, or the rows may not be sums of a few "
            "parts. More rows, a larger `max_iter`, or another `n_components` may change that.",
            NotBetterThanPCAWarning,
        )
