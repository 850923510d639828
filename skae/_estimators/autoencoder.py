"""The autoencoder as a transformer."""

from numbers import Integral, Real
from typing import Any, ClassVar, TypeVar

from sklearn.utils._param_validation import HasMethods, Hidden, Interval, RealNotInt, StrOptions

from skae._engine import Neighbors, Nested, Plain
from skae._estimators.base import BaseAutoencoder
from skae._estimators.parameters import warn_of_no_neighbors_gained
from skae._estimators.parts import (
    FOREIGN_PENALTIES,
    check_neighbor_parameters,
    check_nested,
    check_rotation,
    read_corruption,
    read_loss,
    read_penalty,
)
from skae.architectures import Architecture, Sparsity
from skae.architectures._read import ARCHITECTURES
from skae.corruption import CORRUPTIONS, Corruption
from skae.modules import ACTIVATIONS
from skae.objectives import (
    CODE_LOSSES,
    LOSSES,
    PENALTIES,
    NeighborLoss,
    Penalty,
    ReconstructionLoss,
)

_Class = TypeVar("_Class", bound=type[Any])
# Accepted here so that the error can name what to use instead.
_FOREIGN = Hidden(StrOptions(set(FOREIGN_PENALTIES)))


class AutoencoderTransformer(BaseAutoencoder):
    r"""Nonlinear dimensionality reduction by an autoencoder that starts as PCA.

    The model is a PCA with a learned correction in both directions. Let `s` be the centred row,
    divided by PCA's root mean squared error, and `P` the principal axes. Then

    .. math:: z = P s + e(s), \qquad s' = P^T z + d(z),

    where the encoder `e` and the decoder `d` are neural networks whose last layers start at zero,
    so before the first step the model *is* PCA. Training minimises the reconstruction error. The
    number of epochs is chosen on held-out rows; if no epoch is clearly better than PCA, the model
    stays PCA. After training, codes are rotated to be uncorrelated and ordered by explained
    variance, like principal components.

    Parameters
    ----------
    n_components : int, float in (0, 1), "auto" or None, default=0.95
        Number of codes. As with PCA, a float is a share of the variance: the number of codes is the
        number of principal components that explain it. "auto" chooses the number by parallel
        analysis, and None uses the smaller of the numbers of rows and columns of X.
    architecture : {"conv", "dense", "recurrent"}, Architecture or callable, default="dense"
        Layers of encoder and decoder: "dense" for tables, "conv" for images and signals,
        "recurrent" for sequences, or an instance of a class of `skae.architectures`, which has
        further parameters. It can also be a class or function of your own. This is called with the
        shape of a sample, `n_components` and the number of outputs that the encoder must have, here
        also `n_components`. It returns an encoder, a torch module from ``(n, *sample_shape)`` to
        (n, n_outputs), and a decoder from (n, n_components) to ``(n, *sample_shape)``, as a pair or
        as attributes of an object. Read more in the :doc:`user guide </own_modules>`.
    sample_shape : tuple of int or None, default=None
        Shape of a sample, whose cells in C order are the columns of X: (channels, height, width)
        for images, (channels, length) for signals, (length, features) for sequences. One number may
        be -1, as in NumPy's `reshape`. None uses the shape of X without its first axis.
    hidden_layer_sizes : int, tuple of int or "auto", default="auto"
        Number of units in each hidden layer of the encoder; the decoder has them in reverse order.
        "auto" is (64, 64) for fewer than 50 features and (128, 128) otherwise. More units can help
        with many rows and take more time; on a few hundred rows they make little difference. With
        "conv", these are dense layers between the last convolution and the codes, and "auto" is no
        such layer. With ``loss="neighbors"`` and at least 256 features, "auto" is (1024,), with a
        `dropout` of 0.3 unless `dropout` is set.
    activation : {"gelu", "identity", "logistic", "relu", "silu", "tanh"}, default="silu"
        Activation function of the hidden layers.
    normalization : {"batch", "layer"} or None, default=None
        Normalisation before each hidden activation: over the batch, or over the units of the layer.
        Worth trying with three or more hidden layers.
    dropout : float in [0, 1), default=0.0
        Share of the hidden units that are set to zero in each training step. Useful for large
        networks on few rows.
    tied_weights : bool, default=False
        Whether the decoder's layers use the transposed weights of the encoder, with their own
        biases. This halves the number of weights. The linear path keeps both of its matrices.
    loss : {"squared_error", "absolute_error", "huber", "binary_cross_entropy", "poisson", \
            "neighbors"}, ReconstructionLoss, callable or torch criterion, default="squared_error"
        Reconstruction loss that training minimises.

        - "squared_error": a good choice for most data, and the loss that PCA minimises.
        - "absolute_error", "huber": less sensitive to outliers.
        - "binary_cross_entropy": for binary data and shares. X must lie in [0, 1], and
          reconstructions are probabilities.
        - "poisson": for counts and other non-negative values. Reconstructions are rates.
        - "neighbors": for shortening embeddings of texts and images. Codes keep the nearest
          neighbours of the rows instead of their values (:doc:`user guide </neighbors>`). Cannot be
          combined with `penalty`, `missing`, `whiten` or another `rotation`.
        - an instance of a class of `skae.objectives`, such as ``HuberLoss(delta=2.0)``, or of one
          derived from `skae.objectives.ReconstructionLoss`.
        - a function ``loss(output, target)`` of two tensors of shape (n_rows, n_features) in
          standardised units, or a PyTorch criterion, class or instance, such as
          ``torch.nn.SmoothL1Loss``. It should return one number per cell or row: a single number
          for all rows gives a `RowLossWarning`, and no row can then be weighted.
    penalty : {"l1", "kl_sparsity", "contractive", "orthogonal"}, Penalty, Sparsity or None, \
            default=None
        Term added to the loss, or a part of the network that makes codes sparse.

        - "l1": the mean absolute value of each code. With an `alpha` of 1 to 10, many codes become
          small; `SparseAutoencoderTransformer` sets all but a given number to zero.
        - "kl_sparsity": the divergence of the mean activity of each code from a target of 0.05.
        - "contractive": the squared norm of the encoder's Jacobian, for codes that change little
          when the row changes.
        - "orthogonal": the squared cosines between the directions in which two codes change the
          reconstruction.
        - an instance of a class of `skae.objectives`, such as ``KLSparsity(target=0.1)``, or of
          one derived from `skae.objectives.Penalty` or `skae.architectures.Sparsity`.

        With a penalty, the epoch is chosen by the sum of loss and penalty, and the error may exceed
        PCA's. Codes with "l1", "kl_sparsity" and any sparsity are not rotated, which would undo the
        sparsity.
    alpha : float or None, default=None
        Factor of the penalty. None uses the default of the penalty. Must be None with a `Sparsity`
        object; without a penalty, it has no effect, with a warning.
    corruption : {"gaussian", "hiding", "masking", "salt_and_pepper", "swap"}, Corruption \
            or None, default=None
        Noise on the input of the network during training, while the loss compares the output with
        the clean row: a denoising autoencoder. "gaussian" adds noise to every cell. The other kinds
        change some cells: "masking" sets them to the mean of their column, "salt_and_pepper" to its
        minimum or maximum, "swap" to its value in another row, and "hiding" to missing (for
        ``missing="mask"``). An instance of a class of `skae.corruption`, such as
        ``SwapNoise(0.2)``, or of a class derived from `skae.corruption.Corruption` is also
        accepted. Held-out rows receive noise as well, so the errors that `fit` reports, including
        PCA's, are those of noisy rows.
    corruption_level : float, default=0.3
        Standard deviation of "gaussian" noise in units of X, or the share of cells in [0, 1] that
        the other kinds change. Ignored if `corruption` is an instance, whose level a search can set
        as ``corruption__level``. Without a corruption, it has no effect, with a warning.
    init : {"pca", "random"}, default="pca"
        Start of the training. "random" gives a plain autoencoder with random weights and without
        the linear path, whose error may exceed PCA's.
    missing : {"mask"} or None, default=None
        Treatment of NaN. With "mask", NaN in X are missing cells. The loss covers the observed
        cells only, the encoder also receives the mask, and missing cells are replaced by their
        expectation under a normal distribution, whose PCA is the start. Errors and scores are those
        of the observed cells. By default, NaN raises an error, except for frames with columns of
        several kinds, whose gaps in `fit` are treated as with "mask".
    output_range : {"auto"}, tuple of two floats or None, default="auto"
        Range to which reconstructions are clipped, in units of X; not used with cross-entropy and
        "poisson". "auto" detects bounds per column: values that occur very often at the end of the
        column's range, such as 0 and 255 in pixels or 0 in counts. Codes far beyond those of the
        rows of `fit` are decoded as by PCA, without these bounds; a given range holds everywhere.
        None does not clip.
    whiten : bool, default=False
        Whether to scale codes to unit variance on the training rows. By default, the variance of a
        code is the variance that it explains, as with PCA.
    rotation : {"pca", "varimax", "ica"}, default="pca"
        Rotation of the codes after training. It does not change reconstructions, and codes are
        always uncorrelated and ordered by explained variance.

        - "pca": each code explains as much as possible of the variance that the codes before it
          leave.
        - "varimax": each code is related to few columns of X.
        - "ica": codes are as independent as possible, found by FastICA on at most 20,000 rows.

        The last two cannot be combined with the penalties "l1" and "kl_sparsity", with a sparsity,
        or with nested codes.
    nested : bool, default=False
        Whether the first codes can be used alone, so that a single fit serves any number of codes
        up to `n_components`. There are several decoders, each for a range of numbers of codes, and
        in training each row is decoded from its first few codes. `inverse_transform` accepts any
        number of first codes, and `score_curve_` is the share of variance that they keep. Codes
        keep the order in which they were trained, which is roughly the order of explained variance.
        Cannot be combined with `penalty` and `tied_weights`. Read more in the :doc:`user guide
        </nested>`.
    batch_size : int or "auto", default="auto"
        Number of rows per training step. "auto" is a twentieth of the rows, but at least 32 and at
        most 256; with ``loss="neighbors"``, which compares rows within the batch, a sixth of the
        rows, but at least 256 and at most 1024.
    learning_rate : {"one_cycle", "constant", "adaptive"}, default="one_cycle"
        Schedule of the learning rate. "one_cycle" rises during the first tenth of all steps and
        then falls linearly: to almost zero with at most 20 epochs, and to up to 0.3 times the
        maximum with more, since weights are then averaged over the last epochs. "adaptive" divides
        the rate by five when the training loss stops falling.
    learning_rate_init : float, default=0.01
        Maximum learning rate of the schedule. Lower it if the loss is not finite.
    max_iter : int or "auto", default="auto"
        Maximum number of epochs. "auto" aims at 3000 training steps, with at least 20 and at most
        150 epochs; with ``nested=True`` or without early stopping at 2000 steps and at most 100
        epochs; with ``loss="neighbors"`` at 500 steps and at most 200 epochs. In training for more
        than 20 epochs, weights are averaged over the last ones, see :doc:`how it works
        </how_it_works>`.
    weight_decay : float, default=0.01
        Decoupled weight decay of AdamW. With ``nested=True`` it is up to 30 times as strong on
        tables with fewer than 140 rows per column. Ignored if `net_params` sets another optimizer.
    early_stopping : bool, default=True
        Whether to choose the number of epochs on held-out rows. For tables with fewer than 1000
        rows (and at most 250,000 cells), the number is chosen by five-fold cross-validation, and
        the final network is trained on all rows. For larger tables, and with `net_params`,
        `mixed_precision` or ``learning_rate="adaptive"``, a random share of the rows,
        `validation_fraction`, is held out. If the model then stays PCA, it is the PCA of all rows;
        and with fewer than ten rows per column, a new network is trained on all rows for the chosen
        number of epochs. With False, all rows are used for training until the last epoch.
    validation_fraction : float in (0, 1) or cross-validation splitter, default=0.1
        Share of the rows that are held out for validation; `groups` passed to `fit` are held out as
        a whole, as are copies of a row in bootstrap samples. Ignored if the table is
        cross-validated. A cross-validation splitter, such as ``PredefinedSplit(test_fold)``, holds
        out the test rows of its first split. These rows are never used for training, regardless of
        the size of the table.
    n_iter_no_change : int, default=30
        Training ends after this number of epochs without progress on the held-out rows.
    tol : float, default=1e-4
        Relative decrease of the loss that counts as progress.
    warm_start : bool, default=False
        Whether `fit` continues from the current network instead of a new one. The mean, the scale,
        the range and the number of codes do not change, and rows are held out rather than
        cross-validated. The state of the optimizer is kept too, but not in pickles and copies, and
        not if the training was discarded for PCA.
    dtype : {"float32", "float64"}, default="float32"
        Precision of the network and the codes. X is always centred and scaled in its own precision.
    mixed_precision : bool, default=False
        Whether to multiply matrices in bfloat16 during training. Weights, the linear path and
        everything after training stay in full precision. Worth trying with layers of 500 or more
        units; smaller networks get slower. Needs ``dtype="float32"``. On devices that cannot train
        in bfloat16, such as processors without AVX-512, single precision is used, with a warning.
    device : str, default="auto"
        Device to compute on, such as "cpu", "cuda" or "mps". "auto" uses CUDA if it is available.
    net_params : dict, default=None
        Parameters of the underlying `skorch.NeuralNet`, for example ``{"callbacks": [...],
        "optimizer": torch.optim.SGD, "optimizer__momentum": 0.9}``. Options such as
        ``"optimizer__weight_decay"`` without an optimizer apply to the encoder and the decoder; the
        linear path always has a fifth of `learning_rate_init`, or three times as much as
        `learning_rate_init` with ``nested=True``, and no weight decay.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial weights, the held-out rows and the order of the batches. Pass an int for
        reproducible results. None draws the seed from NumPy's global state, as in scikit-learn.
    verbose : bool or int, default=False
        Whether to print a line per epoch and, at the end, the chosen epoch and its error next to
        PCA's.

    Attributes
    ----------
    n_components_ : int
        Number of codes.
    net_ : skorch.NeuralNet
        The trained net. Its `module_` is the PyTorch module and its `history` has the losses.
    n_iter_ : int
        Number of epochs that were trained.
    best_iter_ : int
        Epoch whose weights were kept. 0 is the start, which is PCA with ``init="pca"``.
    loss_curve_ : list of float
        Training loss of each epoch: relative to PCA's error with the squared error, in nats with
        cross-entropy. A mean over the folds if the table was cross-validated.
    validation_loss_curve_ : list of float or None
        Loss of the held-out rows before the first epoch and after each epoch. None without early
        stopping. With ``loss="neighbors"``, the share of nearest neighbours that is lost.
    reconstruction_error_ : float
        Mean squared error per cell on held-out rows, in units of X squared; on the training rows
        without early stopping.
    column_errors_ : ndarray of shape (n_columns,) or None
        Mean error of each column on the rows of `reconstruction_error_`, in units of the column's
        baseline, where `fit` had a data frame with columns of several kinds; None for other tables.
    pca_reconstruction_error_ : float
        Error of PCA with the same number of components, on the same rows. After `fit` with
        ``init="pca"`` and the squared error, `reconstruction_error_` never exceeds it, or by at
        most 1 % with ``nested=True``. With other losses it may, as they weight cells differently.
        For frames with columns of several kinds, both are mean losses per cell in units of the
        baselines of the columns, and this one is that of the start.
    explained_variance_ : ndarray of shape (n_components_,)
        Variance explained by each code: `explained_variance_ratio_` times the total variance of the
        features, computed with ``n_samples - 1`` as in PCA.
    explained_variance_ratio_ : ndarray of shape (n_components_,)
        Share of the variance of all rows of `fit` explained by each code, in descending order. The
        shares are proportional to the variance that a linear regression of the rows on each code
        explains, and scaled such that their sum is the share that the model reconstructs.
    neighbors_kept_ : float or None
        Share of the ten nearest training rows of held-out rows that are also nearest by their
        codes. Only with ``loss="neighbors"``. None without early stopping.
    linear_neighbors_kept_ : dict of str to float
        Share that three linear maps keep: "pca"; "svd", a PCA without centring; and
        "half_whitened_pca", whose codes are divided by the square roots of their standard
        deviations. Measured on the training rows if fewer than fifty rows are held out. Only with
        ``loss="neighbors"``.
    linear_start_ : str
        Name of the best of these linear maps, which is the start of the network, and the model
        itself if `best_iter_` is 0. Only with ``loss="neighbors"``.
    score_curve_ : ndarray of shape (n_components_,)
        Share of the variance of held-out rows that is reconstructed from the first code, from the
        first two codes, and so on; of the training rows without early stopping. With more than 64
        codes, some values are interpolated. Only with ``nested=True``.
    pca_score_curve_ : ndarray of shape (n_components_,)
        Curve of PCA on the same rows. After `fit` with ``init="pca"`` and the squared error, the
        share that is lost, ``1 - score_curve_``, exceeds that of PCA by at most 1 %. Only with
        ``nested=True``.
    mean_ : ndarray of shape (n_features_in_,)
        Mean of the training rows; of their numbers and indicators, for frames with columns of
        several kinds.
    scale_ : float
        Number by which centred rows are divided: PCA's root mean squared error per cell, or a
        thousandth of the root mean variance of the features if that is larger.
    sample_shape_ : tuple of int
        Shape of a sample in the encoder and the decoder.
    n_samples_seen_ : int
        Number of training rows with positive weight. With `partial_fit` and `warm_start`, the sum
        over all calls.
    n_features_in_ : int
        Number of features seen in fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where X had any.

    See Also
    --------
    sklearn.decomposition.PCA : The linear method that is the start of the training.

    Notes
    -----
    Data frames with columns of several kinds, such as numbers, booleans, categories, text and
    dates, are encoded automatically, and `inverse_transform` returns them. Read more in the
    :doc:`user guide </mixed>`.

    An epoch counts as clearly better than PCA if its mean improvement on the held-out rows is more
    than 2.5 times the standard error of that mean. Improvements are cut at the 95th percentile of
    the absolute differences, so that the few rows with the greatest errors do not decide. On small
    tables, this rule costs little and prevents most fits that would be worse than PCA on new rows.

    References
    ----------
    Vincent, P. et al. (2010). Stacked denoising autoencoders. Journal of Machine Learning
    Research 11. https://www.jmlr.org/papers/v11/vincent10a.html

    Rifai, S. et al. (2011). Contractive auto-encoders: explicit invariance during feature
    extraction. ICML. https://icml.cc/2011/papers/455_icmlpaper.pdf

    Hinton, G. E. and Salakhutdinov, R. R. (2006). Reducing the dimensionality of data with neural
    networks. Science 313. https://doi.org/10.1126/science.1127647

    Horn, J. L. (1965). A rationale and test for the number of factors in factor analysis.
    Psychometrika 30. https://doi.org/10.1007/BF02289447

    Kaiser, H. F. (1958). The varimax criterion for analytic rotation in factor analysis.
    Psychometrika 23. https://doi.org/10.1007/BF02289233

    Hyvärinen, A. and Oja, E. (2000). Independent component analysis: algorithms and applications.
    Neural Networks 13. https://doi.org/10.1016/S0893-6080(00)00026-5

    Loshchilov, I. and Hutter, F. (2019). Decoupled weight decay regularization.
    https://doi.org/10.48550/arXiv.1711.05101

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from skae import AutoencoderTransformer
    >>> X, y = load_digits(return_X_y=True)
    >>> autoencoder = AutoencoderTransformer(n_components=8, max_iter=10, random_state=0).fit(X)
    >>> autoencoder.transform(X).shape
    (1797, 8)
    >>> bool(autoencoder.score(X) > PCA(n_components=8).fit(X).explained_variance_ratio_.sum())
    True
    """

    _takes_mixed_frames = True
    _parameter_constraints: ClassVar[dict] = {
        "n_components": [
            StrOptions({"auto"}),
            Interval(Integral, 1, None, closed="left"),
            Interval(RealNotInt, 0, 1, closed="neither"),
            None,
        ],
        "architecture": [StrOptions(set(ARCHITECTURES)), Architecture, callable],
        "sample_shape": [tuple, list, None],
        "hidden_layer_sizes": [
            StrOptions({"auto"}),
            Interval(Integral, 1, None, closed="left"),
            "array-like",
        ],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "normalization": [StrOptions({"batch", "layer"}), None],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "tied_weights": ["boolean"],
        "loss": [StrOptions({*LOSSES, *CODE_LOSSES}), ReconstructionLoss, callable],
        "penalty": [StrOptions(set(PENALTIES)), Penalty, Sparsity, None, _FOREIGN],
        "alpha": [Interval(Real, 0, None, closed="left"), None],
        "corruption": [StrOptions(set(CORRUPTIONS)), Corruption, None],
        "corruption_level": [Interval(Real, 0, None, closed="left")],
        "init": [StrOptions({"pca", "random"})],
        "missing": [StrOptions({"mask"}), None],
        "output_range": [StrOptions({"auto"}), tuple, list, None],
        "whiten": ["boolean"],
        "rotation": [StrOptions({"pca", "varimax", "ica"})],
        "nested": ["boolean"],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"one_cycle", "constant", "adaptive"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither"), HasMethods(["split"])],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "warm_start": ["boolean"],
        "dtype": [StrOptions({"float32", "float64"})],
        "mixed_precision": ["boolean"],
        "device": [str],
        "net_params": [dict, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(  # noqa: PLR0915
        self,
        n_components=0.95,
        *,
        architecture="dense",
        sample_shape=None,
        hidden_layer_sizes="auto",
        activation="silu",
        normalization=None,
        dropout=0.0,
        tied_weights=False,
        loss="squared_error",
        penalty=None,
        alpha=None,
        corruption=None,
        corruption_level=0.3,
        init="pca",
        missing=None,
        output_range="auto",
        whiten=False,
        rotation="pca",
        nested=False,
        batch_size="auto",
        learning_rate="one_cycle",
        learning_rate_init=0.01,
        max_iter="auto",
        weight_decay=0.01,
        early_stopping=True,
        validation_fraction=0.1,
        n_iter_no_change=30,
        tol=1e-4,
        warm_start=False,
        dtype="float32",
        mixed_precision=False,
        device="auto",
        net_params=None,
        random_state=None,
        verbose=False,
    ) -> None:
        self.n_components = n_components
        self.architecture = architecture
        self.sample_shape = sample_shape
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.normalization = normalization
        self.dropout = dropout
        self.tied_weights = tied_weights
        self.loss = loss
        self.penalty = penalty
        self.alpha = alpha
        self.corruption = corruption
        self.corruption_level = corruption_level
        self.init = init
        self.missing = missing
        self.output_range = output_range
        self.whiten = whiten
        self.rotation = rotation
        self.nested = nested
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.weight_decay = weight_decay
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.warm_start = warm_start
        self.dtype = dtype
        self.mixed_precision = mixed_precision
        self.device = device
        self.net_params = net_params
        self.random_state = random_state
        self.verbose = verbose

    def _make_family(self) -> Plain | Neighbors:
        penalty, alpha, sparsity = read_penalty(self.penalty, self.alpha)
        corruption = read_corruption(self.corruption, self.corruption_level)
        loss = read_loss(self.loss, of_codes=True)
        if not isinstance(loss, NeighborLoss):
            if self.rotation != "pca":
                check_rotation(self.rotation, self.penalty, penalty, sparsity)
            if self.nested:
                check_nested(self)
            kind = Nested if self.nested else Plain
            return kind(loss, penalty, alpha, sparsity, corruption)
        check_neighbor_parameters(self)
        return Neighbors(loss, corruption)

    def _fitted_attributes(self, model) -> dict:
        """Return the learned attributes, including the neighbours kept by linear maps."""
        return {**super()._fitted_attributes(model), "_linear_kept": model.description}

    @property
    def neighbors_kept_(self) -> float | None:
        """Share of the nearest neighbours of held-out rows that codes keep."""
        self._read_linear_kept("neighbors_kept_")
        losses = self.validation_loss_curve_
        return None if losses is None else 1 - losses[self.best_iter_]

    @property
    def linear_neighbors_kept_(self) -> dict[str, float]:
        """Share of these neighbours that each linear map keeps, by name."""
        return self._read_linear_kept("linear_neighbors_kept_")

    @property
    def linear_start_(self) -> str:
        """Name of the linear map that keeps most of these neighbours."""
        kept = self._read_linear_kept("linear_start_")
        return max(kept, key=lambda name: kept[name])

    def _read_linear_kept(self, name: str) -> dict[str, float]:
        kept = getattr(self, "_linear_kept", None)
        if kept is None:
            raise AttributeError(
                f"`{name}` is available only after a fit with a loss of neighbours. "
                'Set loss="neighbors".'
            )
        return kept

    def _warn_of_weak_fit(self):
        if getattr(self, "_linear_kept", None) is None:
            super()._warn_of_weak_fit()
        elif self.best_iter_ == 0 and self._n_fits == 1:
            warn_of_no_neighbors_gained(self.linear_start_, is_linear=self.init == "pca")


def shares_constraints(kind: _Class) -> _Class:
    """Let a class of estimators constrain its other parameters as `AutoencoderTransformer` does."""
    own = kind._parameter_constraints
    shared = AutoencoderTransformer._parameter_constraints
    kind._parameter_constraints = {
        name: own[name] if name in own else shared[name] for name in kind._get_param_names()
    }
    return kind
