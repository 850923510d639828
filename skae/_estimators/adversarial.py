"""The adversarial autoencoder as a transformer."""

from numbers import Real
from typing import Any, ClassVar, Self

from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skae._engine import Adversarial, TrainedModel
from skae._estimators.atomic import atomic_fit, sees_one_fit
from skae._estimators.autoencoder import shares_constraints
from skae._estimators.base import BaseAutoencoder
from skae._estimators.parts import read_loss
from skae._shared.checks import check_count
from skae._shared.scikit_learn import fit_context, wrap_rows


@shares_constraints
class AdversarialAutoencoderTransformer(BaseAutoencoder):
    r"""Adversarial autoencoder, whose codes follow a given prior so that rows can be generated.

    A second network, the discriminator, learns to distinguish the codes of rows from draws of a
    prior, and the encoder learns to make that impossible. After training, the codes of the training
    rows are approximately distributed like the prior, and draws from the prior can be decoded to
    new rows.

    The autoencoder starts as PCA with codes of unit variance. Their means and correlations match a
    Gaussian prior from the beginning, so the discriminator only has to correct the shape of their
    distribution.

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
        such layer.
    activation : {"gelu", "identity", "logistic", "relu", "silu", "tanh"}, default="silu"
        Activation function of the hidden layers.
    normalization : {"batch", "layer"} or None, default=None
        Normalisation before each hidden activation: over the batch, or over the units of the layer.
        Worth trying with three or more hidden layers.
    dropout : float in [0, 1), default=0.0
        Share of the hidden units that are set to zero in each training step. Useful for large
        networks on few rows.
    loss : {"squared_error", "absolute_error", "huber", "binary_cross_entropy", "poisson"}, \
            ReconstructionLoss, callable or torch criterion, default="squared_error"
        Reconstruction loss that training minimises.

        - "squared_error": a good choice for most data, and the loss that PCA minimises.
        - "absolute_error", "huber": less sensitive to outliers. The Huber loss is quadratic up to
          1.35 standardised units, which is 1.35 times PCA's root mean squared error, and linear
          beyond.
        - "binary_cross_entropy": for binary data and shares. X must lie in [0, 1], and
          reconstructions are probabilities.
        - "poisson": for counts and other non-negative values. Reconstructions are rates.
        - an instance of a class of `skae.objectives`, such as ``HuberLoss(delta=2.0)``, or of one
          derived from `skae.objectives.ReconstructionLoss`.
        - a function ``loss(output, target)`` of two tensors of shape (n_rows, n_features) in
          standardised units, which returns a tensor of the same shape or one number per row; or a
          PyTorch criterion, class or instance, such as ``torch.nn.SmoothL1Loss``.
    prior : {"gaussian"} or callable, default="gaussian"
        Distribution that the codes should follow. "gaussian" is the standard normal distribution. A
        callable, such as `skae.generate.MixturePrior` or a function of your own, takes the number
        of draws and a RandomState and returns an array of shape (n_draws, n_components). Draws
        should lie within about [-5, 5]; the decoder is linear beyond.
    divergence : {"adversarial", "mmd"}, default="adversarial"
        Difference between the distributions of codes and draws: a discriminator, or the maximum
        mean discrepancy as in Wasserstein autoencoders. "mmd" needs no second network and is less
        sensitive to the shape of the distribution, but it distributes codes correctly between the
        modes of a prior. Use it for priors with several modes, where a discriminator leaves codes
        in the wrong mode.
    alpha : float or None, default=None
        Weight of the divergence, relative to a reconstruction loss that is about 1 for PCA. None is
        0.2 for "adversarial" and 3 for "mmd". Larger values bring the codes closer to the prior at
        the cost of the reconstructions.
    init : {"pca", "random"}, default="pca"
        Start of the training. With "random", all weights are random and there is no linear path.
    missing : {"mask"} or None, default=None
        Treatment of NaN. With "mask", NaN in X are missing cells. The loss covers the observed
        cells only, the encoder also receives the mask, and missing cells are replaced by their
        expectation under a normal distribution. By default, NaN raises an error.
    output_range : {"auto"}, tuple of two floats or None, default="auto"
        Range to which reconstructions are clipped with the squared error, in units of X. "auto"
        detects bounds per column: values that occur very often at the end of the column's range,
        such as 0 and 255 in pixels or 0 in counts. These bounds yield for codes far beyond
        those of the rows of `fit`, and a given range holds everywhere. None does not clip.
    batch_size : int or "auto", default="auto"
        Number of rows per training step. "auto" is a twentieth of the rows, but at least 32 and at
        most 256.
    learning_rate : {"one_cycle", "constant"}, default="one_cycle"
        Schedule of the learning rates. "one_cycle" rises during the first tenth of all steps and
        then falls linearly: to almost zero with at most 20 epochs, and to up to 0.3 times the
        maximum with more, since weights are then averaged over the last epochs. The rate of the
        discriminator falls to a tenth at most.
    learning_rate_init : float, default=0.01
        Maximum learning rate of the autoencoder; that of the discriminator is always 0.01. With
        tens of thousands of rows, 0.005 gives a lower error and better codes; with a thousand rows
        it is too slow.
    max_iter : int or "auto", default="auto"
        Maximum number of epochs. "auto" aims at 2000 training steps, with at least 20 and at most
        100 epochs.
    weight_decay : float, default=0.01
        Decoupled weight decay of AdamW. Ignored if `net_params` sets another optimizer.
    warm_start : bool, default=False
        Whether `fit` continues from the current networks instead of new ones. The mean, the scale,
        the range and the number of codes do not change. The states of the optimizers are kept too,
        but not in pickles and copies.
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
        linear path always has a fifth of `learning_rate_init` and no weight decay.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial weights, the order of the batches and the draws from the prior. Pass an
        int for reproducible results. None draws the seed from NumPy's global state, as in
        scikit-learn.
    verbose : bool or int, default=False
        Whether to print a line per epoch and, at the end, the chosen epoch and its error next to
        PCA's.

    Attributes
    ----------
    n_components_ : int
        Number of codes.
    net_ : skorch.NeuralNet
        The trained net. Its `module_` is the PyTorch module, and its `history` has the losses of
        both networks.
    n_iter_ : int
        Number of epochs that were trained.
    best_iter_ : int
        Epoch whose weights were kept: always the last one.
    loss_curve_ : list of float
        Loss of the autoencoder in each epoch, including the weighted divergence.
    discriminator_loss_curve_ : list of float or None
        Loss of the discriminator in each epoch, in nats. It is 0.69, the logarithm of 2, if the
        discriminator cannot distinguish codes from draws. None with ``divergence="mmd"``.
    validation_loss_curve_ : None
        Always None, because no rows are held out.
    reconstruction_error_ : float
        Mean squared error per cell on the training rows, in units of X squared.
    pca_reconstruction_error_ : float
        Error of PCA with the same number of components, on the same rows.
    explained_variance_ : ndarray of shape (n_components_,)
        Variance explained by each code: `explained_variance_ratio_` times the total variance of the
        features, computed with ``n_samples - 1`` as in PCA.
    explained_variance_ratio_ : ndarray of shape (n_components_,)
        Share of the variance of the training rows explained by each code. The shares are
        proportional to the variance that a linear regression of the rows on each code explains, and
        scaled such that their sum is the share that the model reconstructs. In descending order
        with the Gaussian prior.
    mean_ : ndarray of shape (n_features_in_,)
        Mean of the training rows.
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
    VariationalAutoencoderTransformer : Posterior distributions of codes, and densities of rows.
    skae.generate.CodeSampler : New rows from codes of any transformer.

    Notes
    -----
    There is no `early_stopping`: the losses of the two networks depend on each other, and neither
    shows which epoch is best.

    With the Gaussian prior, codes are ordered and given a sign. With other priors, the axes are not
    changed.

    References
    ----------
    Makhzani, A., Shlens, J., Jaitly, N., Goodfellow, I. and Frey, B. (2016). Adversarial
    autoencoders. https://doi.org/10.48550/arXiv.1511.05644

    Tolstikhin, I., Bousquet, O., Gelly, S. and Schölkopf, B. (2018). Wasserstein auto-encoders.
    https://doi.org/10.48550/arXiv.1711.01558

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import AdversarialAutoencoderTransformer
    >>> X = load_digits().data[:500]
    >>> model = AdversarialAutoencoderTransformer(4, max_iter=5, random_state=0).fit(X)
    >>> model.transform(X).shape, model.sample(3, random_state=0).shape
    ((500, 4), (3, 64))
    """

    _parameter_constraints: ClassVar[dict] = {
        "learning_rate": [StrOptions({"one_cycle", "constant"})],
        "prior": [StrOptions({"gaussian"}), callable],
        "divergence": [StrOptions({"adversarial", "mmd"})],
        "alpha": [Interval(Real, 0, None, closed="left"), None],
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
        loss="squared_error",
        prior="gaussian",
        divergence="adversarial",
        alpha=None,
        init="pca",
        missing=None,
        output_range="auto",
        batch_size="auto",
        learning_rate="one_cycle",
        learning_rate_init=0.01,
        max_iter="auto",
        weight_decay=0.01,
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
        self.loss = loss
        self.prior = prior
        self.divergence = divergence
        self.alpha = alpha
        self.init = init
        self.missing = missing
        self.output_range = output_range
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.weight_decay = weight_decay
        self.warm_start = warm_start
        self.dtype = dtype
        self.mixed_precision = mixed_precision
        self.device = device
        self.net_params = net_params
        self.random_state = random_state
        self.verbose = verbose

    @atomic_fit
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None) -> Self:  # type: ignore[override]
        """Fit the autoencoder to X.

        All rows are used for training, so there is no parameter `groups` as in other autoencoders.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows, at least two, all finite except for missing cells, or samples with more
            axes.
        y : object, default=None
            Ignored; here because scikit-learn's pipelines pass it.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows. Rows with weight zero have no influence.

        Returns
        -------
        self : object
            The fitted estimator. If the fit fails, it is left unchanged.

        Raises
        ------
        ValueError
            If X or a parameter is not as described. The message names a remedy.
        skae.exceptions.NonFiniteLossError
            If the loss becomes infinite or NaN.
        """
        start = self._starting_point() if self.warm_start else None
        return self._fit(X, y, sample_weight, self._make_settings(), start)

    def _make_family(self) -> Adversarial:
        return Adversarial(read_loss(self.loss), self.prior, self.divergence, self.alpha)

    def _fitted_attributes(self, model: TrainedModel) -> dict:
        losses = None
        if self.divergence == "adversarial":
            losses = model.net.history[:, "discriminator_loss"]
        return {**super()._fitted_attributes(model), "discriminator_loss_curve_": losses}

    @sees_one_fit
    def sample(self, n_samples=1, random_state=None) -> Any:
        """Return new rows, decoded from draws of the prior.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.
        random_state : int, RandomState instance or None, default=None
            Seed or generator of the draws.

        Returns
        -------
        rows : ndarray or data frame of shape (n_samples, n_features_in_)
            New rows in the units of X. A data frame with the column names of `fit` if `set_output`
            selects data frames.
        """
        check_is_fitted(self)
        n_samples = check_count("n_samples", n_samples, "Ask for at least one row.")
        source = check_random_state(random_state)
        prior = self.net_.family.prior
        if prior == "gaussian":
            codes = source.standard_normal((n_samples, self.n_components_))
        else:
            codes = prior(n_samples, source)
        return wrap_rows(self, self.inverse_transform(codes))
