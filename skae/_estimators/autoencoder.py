"""The autoencoder as a transformer."""

from numbers import Integral, Real
from typing import ClassVar

from sklearn.utils._param_validation import HasMethods, Interval, RealNotInt, StrOptions

from skae._engine import Neighbors, Nested, Plain
from skae._estimators.base import BaseAutoencoder
from skae._estimators.parameters import warn_of_no_neighbors_gained
from skae._estimators.parts import (
    SPARSITIES,
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


class AutoencoderTransformer(BaseAutoencoder):
    r"""Nonlinear dimensionality reduction that starts as PCA and keeps what it can improve.

    The model is a PCA with a learned correction on both sides. With `s` the centred row in units of
    PCA's own error, and `P` the principal axes,

    .. math:: z = P s + e(s), \qquad s' = P^T z + d(z),

    where the encoder `e` and the decoder `d` are neural networks whose last layers start at zero:
    before the first step the model *is* PCA. Training lowers the reconstruction error; rows that
    the network has not seen choose the number of epochs, and where none of them is clearly better
    than PCA the model stays PCA. Afterwards the codes are put into the basis in which they are
    uncorrelated and ordered by the variance that they explain, as PCA's are.

    Parameters
    ----------
    n_components : int, float in (0, 1), "auto" or None, default=0.95
        Number of codes. A float asks for as many as PCA needs to explain that share of the
        variance, "auto" for as many components as parallel analysis finds, and
        None for as many as X has rows or columns, whichever is less, as with PCA.
    architecture : {"conv", "dense", "recurrent"}, Architecture or callable, default="dense"
        Layers of encoder and decoder: "dense" ones for tables, "conv" for images and
        signals, "recurrent" for sequences, an instance of a class of `skae.architectures` that has
        the parameters of one of these, or a class or function of your own. That is called with the
        shape of a sample, `n_components` and the number of outputs that the encoder must have,
        here `n_components` again. It returns an encoder, a torch module from ``(n, *sample_shape)``
        to (n, n_outputs), and a decoder from (n, n_components) to ``(n, *sample_shape)``, as a pair
        or as attributes of an object. See docs/own_modules.md.
    sample_shape : tuple of int or None, default=None
        Shape of a sample whose cells, in C order, are the columns of X: (channels, height, width)
        of images, (channels, length) of signals, (length, features) of sequences. One number may
        be -1, as in NumPy's `reshape`. None takes the shape that X has beyond its first axis.
    hidden_layer_sizes : int, tuple of int or "auto", default="auto"
        Units in the hidden layers of the encoder; the decoder has them in reverse order. "auto" is
        (64, 64) below 50 features and (128, 128) from there on. More units help on many rows and
        cost time; on a few hundred rows they hardly matter. With "conv" they stand between the
        last maps and the codes, and "auto" is none. With ``loss="neighbors"`` and at least 256
        features it is (1024,), with a `dropout` of 0.3 if none is set.
    activation : {"gelu", "identity", "logistic", "relu", "silu", "tanh"}, default="silu"
        Function of the hidden units.
    normalization : {"batch", "layer"} or None, default=None
        Normalise what enters each hidden activation, over the batch or over the layer's units.
        Worth a try in networks of three hidden layers and more.
    dropout : float in [0, 1), default=0.0
        Share of the hidden units that each training step leaves out. For large networks on few
        rows.
    tied_weights : bool, default=False
        Let the decoder's layers have the encoder's weights, transposed, and biases of their own:
        half the weights. The linear path keeps both of its matrices.
    loss : {"squared_error", "absolute_error", "huber", "binary_cross_entropy", "poisson", \
            "neighbors"}, ReconstructionLoss, callable or torch criterion, default="squared_error"
        Loss of the reconstructions, which training minimises.

        - "squared_error": the choice where nothing speaks against it.
        - "absolute_error", "huber": outliers count for less. Huber's loss is squared up to 1.35
          standardised units, 1.35 times the root of PCA's mean squared error, and linear beyond.
        - "binary_cross_entropy": X in [0, 1], reconstructed as probabilities; for binary data and
          shares.
        - "poisson": X of counts, or of anything not negative, reconstructed as rates.
        - "neighbors": no loss of reconstructions, but of codes whose nearest neighbours by cosine
          are others than those of the rows; to make embeddings of texts and images shorter. Codes
          have unit length. Held-out rows choose the epoch by how many of their ten nearest rows
          are still nearest, and where no epoch is clearly better, the model is the best of three
          linear maps. ``NeighborLoss(metric="euclidean")`` does the same for distances. Not with
          `penalty`, `missing`, `whiten` or another `rotation`. See docs/neighbors.md.
        - an instance of a class of `skae.objectives`, such as ``HuberLoss(delta=2.0)``, or of one
          derived from `skae.objectives.ReconstructionLoss`.
        - a function ``loss(output, target)`` of two tensors of shape (n_rows, n_features) in
          standardised units, which returns a tensor of that shape or a number for each row; or a
          torch criterion, class or instance, such as ``torch.nn.SmoothL1Loss``. A single number
          for all rows gives a `RowLossWarning`, as rows cannot be judged one by one then.
    penalty : {"l1", "kl_sparsity", "top_k", "contractive", "orthogonal"}, Penalty, Sparsity or \
            None, default=None
        Number to be kept low beside the loss, or a part of the network that makes codes sparse.

        - "l1": the mean absolute value of each code over its root mean square; an `alpha` of 1 to
          10 makes a good part of them small.
        - "kl_sparsity": the divergence of each code's activity, on average over the rows, from
          a target of 0.05.
        - "top_k": of each row's codes, all but a share `alpha` are set to zero. For more codes than
          columns take `SparseAutoencoderTransformer`, in which no code stays unused.
        - "contractive": how fast codes change with the row.
        - "orthogonal": cosines between the directions in which codes move the reconstruction.
        - an instance of a class of `skae.objectives`, such as ``KLSparsity(target=0.1)``, or of
          one derived from `skae.objectives.Penalty`.
        - an instance of `skae.architectures.TopKSparsity`, or of a class derived from
          `skae.architectures.Sparsity`.

        With a penalty the epoch is chosen by loss and penalty together, and the error may be above
        PCA's. With "l1", "kl_sparsity" and any sparsity codes are ordered and scaled but not
        rotated after training, as a rotation would undo them.
    alpha : float or None, default=None
        Factor of the penalty, or the share of codes that "top_k" keeps. None is the penalty's own
        default; it must be None with a `Sparsity` object.
    corruption : {"gaussian", "hiding", "masking", "salt_and_pepper", "swap"}, Corruption \
            or None, default=None
        Noise on what the network sees in training, while the loss compares with the clean row: a
        denoising autoencoder. "gaussian" adds to every cell; of the others, "masking" sets cells
        to the mean of their column, "salt_and_pepper" to its least or greatest value, and "swap"
        to its value in another row. "hiding" takes cells away as if they were missing, for
        ``missing="mask"``. Or an instance of a class of `skae.corruption`, such as
        ``SwapNoise(0.2)``, or of one derived from `skae.corruption.Corruption`. Held-out rows have
        noise too, so the errors that the fit reports, PCA's as well, are those of noisy rows.
    corruption_level : float, default=0.3
        Standard deviation of "gaussian" in units of X; share of the cells, in [0, 1], of the
        others. An instance has its own, which a search reaches as ``corruption__level``.
    init : {"pca", "random"}, default="pca"
        With "random" there is no linear path: a plain autoencoder with random weights, which may
        end above PCA's error.
    missing : {"mask"} or None, default=None
        With "mask", NaN in X are missing cells: the loss counts the others, the encoder is told
        which are missing and sees them filled by a normal distribution, and the start is the PCA
        of that. Errors and scores are those of the observed cells. By default NaN is an error.
    output_range : {"auto"}, tuple of two floats or None, default="auto"
        Range of the reconstructions under the squared error, in units of X. With "auto", values at
        which the table piles up, such as the 0 and 255 of pixels or the 0 of counts, are taken for
        bounds of their column. None leaves reconstructions as they are.
    whiten : bool, default=False
        Give every code unit variance on the training rows. By default its variance is what it
        explains, as with PCA.
    rotation : {"pca", "varimax", "ica"}, default="pca"
        Rotation of the codes after training. Reconstructions are the same with all three, and codes
        are uncorrelated, ordered by the variance that they explain.

        - "pca": the first code explains as much as one can, the second as much as is left, and so
          on.
        - "varimax": each code goes with few columns of X, and hardly with the others.
        - "ica": codes are as independent of each other as FastICA can make them, found on at most
          20,000 of the rows.

        The last two need codes that may be rotated: neither "l1" nor "kl_sparsity" nor a sparsity
        as `penalty`, and no nested codes.
    nested : bool, default=False
        Let the first code, the first two, and so on be models by themselves: a fit serves any
        number of codes up to `n_components`. There is a decoder for each range of numbers of
        codes, and in training each row is decoded from some of its codes. `inverse_transform` takes
        the first codes alone, and `score_curve_` tells what they keep. Codes come in the order in
        which they were trained, which is about that of what they explain. Without `penalty` and
        `tied_weights`.
    batch_size : int or "auto", default="auto"
        Rows in a training step. "auto" is a twentieth of the rows, within 32 and 256; with
        ``loss="neighbors"``, which looks for neighbours within the batch, a sixth of the rows,
        within 256 and 1024.
    learning_rate : {"one_cycle", "constant", "adaptive"}, default="one_cycle"
        Schedule of the learning rate. "one_cycle" rises over the first tenth of all steps and falls
        along a line to almost nothing; "adaptive" divides the rate by five where the training loss
        stops falling.
    learning_rate_init : float, default=0.01
        Greatest learning rate of the schedule. Lower it if the loss is not finite.
    max_iter : int or "auto", default="auto"
        Number of epochs, at most. "auto" aims at 2000 steps, within 20 and 100 epochs; at 500
        steps, within 20 and 200 epochs, with ``loss="neighbors"``.
    weight_decay : float, default=0.01
        Decoupled weight decay of AdamW; an optimiser in `net_params` brings its own.
    early_stopping : bool, default=True
        Let rows that the network has not seen choose the epoch. Tables of fewer than 1000 rows
        (and at most 250,000 cells) are cross-validated for that, in five folds, and then trained
        on all rows; of larger tables, and with `net_params`, `mixed_precision` or
        ``learning_rate="adaptive"``, `validation_fraction` of the rows is held out at random. A
        model that stays PCA is then the PCA of all rows, and where there are fewer than ten rows
        for each column, a new network is trained on all of them for the chosen number of epochs.
        With False all rows are trained on to the end.
    validation_fraction : float in (0, 1) or cross-validation splitter, default=0.1
        Share of the rows held out, where rows are held out; all rows of one of the `groups` passed
        to `fit`, or none. A splitter of scikit-learn, such as ``PredefinedSplit(test_fold)``,
        holds out the rows of its first split. These are never trained on, at any size of table.
    n_iter_no_change : int, default=30
        Training ends after so many epochs without progress on the rows that judge.
    tol : float, default=1e-4
        Share of the loss that counts as progress.
    warm_start : bool, default=False
        Let `fit` go on from the present network instead of a new one. Centre, scale, range and
        number of codes stay, and rows are held out rather than cross-validated.
    dtype : {"float32", "float64"}, default="float32"
        Precision of the network and the codes. Centring and the units of X are in the precision
        of X in either case.
    mixed_precision : bool, default=False
        Multiply matrices in bfloat16 while training. Weights, the linear path and all that comes
        after training stay in full precision. Worth a try with layers of 500 units and more; small
        networks get slower. Needs dtype="float32". On devices that cannot train in bfloat16, such
        as processors without AVX-512, a warning says so, and single precision is used.
    device : str, default="auto"
        "cpu", "cuda", "mps", or "auto": CUDA where there is one.
    net_params : dict, default=None
        Parameters of the `skorch.NeuralNet` that trains, for instance
        ``{"callbacks": [...], "optimizer": torch.optim.SGD, "optimizer__momentum": 0.9}``.
        Options such as ``"optimizer__weight_decay"`` without an optimiser are for the encoder and
        the decoder; the linear path keeps a fifth of `learning_rate_init` and no decay.
    random_state : int, RandomState instance or None, default=None
        Seeds the weights, the held-out rows and the order of the batches. The same int gives the
        same result, whatever else runs; nothing global is touched.
    verbose : bool or int, default=False
        Print a line for each epoch, and one on the epoch that is kept and its error beside PCA's.

    Attributes
    ----------
    n_components_ : int
        Number of codes.
    net_ : skorch.NeuralNet
        The trained net; its `module_` is the torch module and its `history` has the losses.
    n_iter_ : int
        Epochs that were tried.
    best_iter_ : int
        Epoch whose weights the model has; 0 is the start, which is PCA with ``init="pca"``.
    loss_curve_ : list of float
        Training loss of each epoch, in units of PCA's error for the squared error and in nats
        for cross-entropy; averaged over the folds where there were any.
    validation_loss_curve_ : list of float or None
        Loss of held-out rows before the first epoch and after each; None without early stopping.
        With ``loss="neighbors"`` the share of their nearest neighbours that is lost.
    reconstruction_error_ : float
        Mean squared error per cell, in units of X squared, of rows that the network had not seen,
        or of the training rows without early stopping.
    pca_reconstruction_error_ : float
        Error of PCA with as many components, on the same rows. After `fit` with ``init="pca"`` and
        the squared error, `reconstruction_error_` is never above it. Cross-entropy weighs cells
        otherwise, so its fits may be.
    explained_variance_ : ndarray of shape (n_components_,)
        Variance that each code accounts for: `explained_variance_ratio_` times the variance of all
        features together, with PCA's divisor, which is one less than the number of rows.
    explained_variance_ratio_ : ndarray of shape (n_components_,)
        Share of the variance of all rows of `fit` that each code accounts for, in descending
        order: what a linear regression on the code explains, with what only the decoder's
        nonlinear part reconstructs distributed in the same proportion. The sum is the share that
        the model reconstructs.
    neighbors_kept_ : float or None
        Share of the nearest training rows of unseen rows that are also nearest by their codes;
        only with ``loss="neighbors"``. None without early stopping.
    linear_neighbors_kept_ : dict of str to float
        Share that linear maps keep, under the names "pca", "svd", which does not centre, and
        "half_whitened_pca", whose codes are divided by the roots of their standard deviations; of
        the training rows where fewer than fifty are held out. Only with ``loss="neighbors"``.
    linear_start_ : str
        Name of the best of these, which the network starts from, and which the model is where
        `best_iter_` is 0. Only with ``loss="neighbors"``.
    score_curve_ : ndarray of shape (n_components_,)
        With ``nested=True``: share of the variance that is reconstructed from the first code, from
        the first two, and so on, of rows that the network had not seen, or of the training rows
        without early stopping. With more than 64 codes some are interpolated.
    pca_score_curve_ : ndarray of shape (n_components_,)
        With ``nested=True``: the same of PCA, on the same rows. After `fit` with ``init="pca"`` and
        the squared error, it is nowhere above `score_curve_`.
    mean_ : ndarray of shape (n_features_in_,)
        Mean of the training rows.
    scale_ : float
        Divisor of centred rows: the root of PCA's mean squared error per cell, or a
        thousandth of the features' root mean variance where that is more.
    sample_shape_ : tuple of int
        Shape of a sample as encoder and decoder see it.
    n_samples_seen_ : int
        Number of rows of positive weight in `fit`, or in all calls together that went on from one
        another with `partial_fit` or `warm_start`.
    n_features_in_ : int
        Number of features seen in fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where X had any.

    See Also
    --------
    sklearn.decomposition.PCA : The linear method that this one starts from.

    Notes
    -----
    A number of epochs counts as better than PCA if the mean improvement over the held-out rows is
    more than 2.5 times its standard error. On small tables this costs little and avoids most fits
    that would turn out worse than PCA on new rows.

    References
    ----------
    Vincent, P. et al. (2010). Stacked denoising autoencoders. Journal of Machine Learning
    Research 11. https://www.jmlr.org/papers/v11/vincent10a.html

    Rifai, S. et al. (2011). Contractive auto-encoders: explicit invariance during feature
    extraction. ICML. https://icml.cc/2011/papers/455_icmlpaper.pdf

    Makhzani, A. and Frey, B. (2014). k-sparse autoencoders. https://doi.org/10.48550/arXiv.1312.5663

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
        "penalty": [StrOptions({*SPARSITIES, *PENALTIES}), Penalty, Sparsity, None],
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
        """Return the learned attributes, with the neighbours that linear maps keep."""
        return {**super()._fitted_attributes(model), "_linear_kept": model.description}

    @property
    def neighbors_kept_(self) -> float | None:
        """Share of the nearest neighbours of held-out rows that are kept."""
        self._read_linear_kept("neighbors_kept_")
        losses = self.validation_loss_curve_
        return None if losses is None else 1 - losses[self.best_iter_]

    @property
    def linear_neighbors_kept_(self) -> dict[str, float]:
        """Shares of these neighbours that linear maps keep, under their names."""
        return self._read_linear_kept("linear_neighbors_kept_")

    @property
    def linear_start_(self) -> str:
        """Name of the linear map that keeps most of them."""
        kept = self._read_linear_kept("linear_start_")
        return max(kept, key=lambda name: kept[name])

    def _read_linear_kept(self, name: str) -> dict[str, float]:
        kept = getattr(self, "_linear_kept", None)
        if kept is None:
            raise AttributeError(
                f"`{name}` is there only after a fit with a loss of neighbours. "
                'Set loss="neighbors".'
            )
        return kept

    def _warn_of_weak_fit(self):
        if getattr(self, "_linear_kept", None) is None:
            super()._warn_of_weak_fit()
        elif self.best_iter_ == 0 and self._n_fits == 1:
            warn_of_no_neighbors_gained(self.linear_start_, is_linear=self.init == "pca")
