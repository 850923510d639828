"""The variational autoencoder as a transformer."""

from dataclasses import replace
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from scipy import stats
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skae._engine import (
    TrainedModel,
    Variational,
    bound_log_densities,
    decode_table,
    encode_deviations,
    ordinary_torch_state,
)
from skae._estimators.atomic import sees_one_fit
from skae._estimators.autoencoder import shares_constraints
from skae._estimators.base import BaseAutoencoder
from skae._estimators.code_density import draw_between, fit_classes, read_labels
from skae._estimators.dask_blocks import maps_dask
from skae._estimators.parameters import check_range
from skae._estimators.parts import read_loss
from skae._estimators.processes import refuse_parts
from skae._shared.checks import check_count
from skae._shared.scikit_learn import check_weights, wrap_rows
from skae._shared.warning import warn_user
from skae.exceptions import NotBetterThanPCAWarning, PosteriorCollapseWarning
from skae.objectives import LIKELIHOODS

_LOSSES = {
    "gaussian": "squared_error",
    "laplace": "absolute_error",
    "bernoulli": "binary_cross_entropy",
}
# A code is active if the variance of its posterior mean exceeds this (Burda et al., 2016).
_LEAST_ACTIVITY = 0.01
# Below this share of active codes, the user is warned.
_SHARE_OF_ACTIVE_CODES = 0.5
# Seed of the draws of fitted models, so that equal models give equal bounds.
_SEED_OF_DRAWS = 0
# Posterior draws per row for the density of a class.
_DRAWS_PER_ROW = 2


@shares_constraints
class VariationalAutoencoderTransformer(BaseAutoencoder):
    r"""Variational autoencoder, whose codes have a known distribution for sampling.

    The encoder returns a normal distribution of codes for each row (the posterior), and the decoder
    a distribution of rows for each code. Training maximises the evidence lower bound

    .. math:: \log p(x) \ge E_q \log p(x \mid z) - \beta \, KL(q(z \mid x) \,\|\, N(0, I)),

    estimated with one draw of the code per row and step. As in `AutoencoderTransformer`, a linear
    path runs in parallel with encoder and decoder. Before the first step, the model is
    probabilistic PCA, for which the bound is exact. `transform` returns the means of the posterior.
    If unusual values of a row would harm the reconstruction of the others, it returns the mean with
    usual values instead. Far from the training rows, the model is probabilistic PCA,
    whose codes are shorter than PCA's, so its errors are slightly larger.

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
        twice `n_components`. It returns an encoder, a torch module from ``(n, *sample_shape)`` to
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
    likelihood : {"gaussian", "bernoulli", "laplace"}, default="gaussian"
        Distribution of a row given its code.

        - "gaussian": normally distributed noise, with one learned scale for all cells.
        - "bernoulli": for binary data; X must lie in [0, 1]. Values in between are probabilities of
          a 1, from which zeros and ones are drawn anew in each epoch.
        - "laplace": noise with heavier tails, with one learned scale for all cells.
    beta : float, default=1.0
        Weight of the divergence of the posterior from the prior; at least 0. With 1, the model
        learns the density of the rows. Larger values give codes that carry less information and are
        more independent. Smaller values give better reconstructions, but codes that do not follow
        the prior.
    beta_warm_up : float in [0, 1], default=0.0
        Share of the training during which `beta` rises from 0 to its value. Worth trying with
        ``init="random"`` if codes collapse. Not needed with the start as PCA, which uses all codes.
    conditional : bool, default=False
        Whether `fit` uses class labels in y, so that `sample` can generate rows of a given class.
        The network does not use the labels: after training, a density is fitted to the codes of
        each class. `partial_fit` is not available then. With False, y is ignored.
    init : {"pca", "random"}, default="pca"
        Start of the training. With "random", all weights are random and there is no linear path.
    missing : {"mask"} or None, default=None
        Treatment of NaN. With "mask", NaN in X are missing cells. The likelihood covers the
        observed cells only, the encoder also receives the mask, and missing cells are replaced by
        their expectation under a normal distribution. By default, NaN raises an error.
    output_range : {"auto"}, tuple of two floats or None, default="auto"
        Range to which reconstructions are clipped with the Gaussian and Laplace likelihoods, in
        units of X. "auto" detects bounds per column: values that occur very often at the end of the
        column's range, such as 0 and 255 in pixels or 0 in counts. These bounds do not hold for
        codes far beyond those of the rows of `fit`; a given range does. None does not clip.
    batch_size : int or "auto", default="auto"
        Number of rows per training step. "auto" is a twentieth of the rows, but at least 32 and at
        most 256.
    learning_rate : {"one_cycle", "constant", "adaptive"}, default="one_cycle"
        Schedule of the learning rate. "one_cycle" rises during the first tenth of all steps and
        then falls linearly: to almost zero with at most 20 epochs, and to up to 0.3 times the
        maximum with more, since weights are then averaged over the last epochs. "adaptive" divides
        the rate by five when the training loss stops falling.
    learning_rate_init : float, default=0.003
        Maximum learning rate of the schedule. Lower it if the loss is not finite.
    max_iter : int or "auto", default="auto"
        Maximum number of epochs. "auto" aims at 2000 training steps, with at least 20 and at most
        100 epochs.
    weight_decay : float, default=0.01
        Decoupled weight decay of AdamW. Ignored if `net_params` sets another optimizer.
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
        not if the training was discarded for its start.
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
        Seed of the initial weights, the held-out rows and the order of the batches. Pass an int for
        reproducible results. None draws the seed from NumPy's global state, as in scikit-learn.
    verbose : bool or int, default=False
        Whether to print a line per epoch and, at the end, the chosen epoch and its error next to
        PCA's.

    Attributes
    ----------
    n_components_ : int
        Number of codes.
    active_units_ : ndarray of bool of shape (n_components_,)
        Mask of the codes that carry information: those whose posterior mean has a variance above
        0.01 over the training rows. The others have collapsed to the prior, and the decoder ignores
        them.
    kl_divergence_ : ndarray of shape (n_components_,)
        Mean Kullback-Leibler divergence of the posterior of each code from the prior, over the
        training rows, in nats. This is the information of the code about a row.
    noise_scale_ : float or None
        Standard deviation of the Gaussian noise, or mean absolute deviation of the Laplace noise,
        in units of X. None with the Bernoulli likelihood. For data frames with columns of several
        kinds, an array with one for each of the numbers and indicators that the network sees.
    noise_variance_ : float or None
        Variance of this noise, in units of X squared. With the Gaussian likelihood, it is the noise
        variance of probabilistic PCA if the model has stayed at its start.
    classes_ : ndarray of shape (n_classes,)
        Class labels in `fit`. Only with ``conditional=True``.
    net_ : skorch.NeuralNet
        The trained net. Its `module_` is the PyTorch module and its `history` has the losses.
    n_iter_ : int
        Number of epochs that were trained.
    best_iter_ : int
        Epoch whose weights were kept. 0 is the start, which is probabilistic PCA with
        ``init="pca"``.
    loss_curve_ : list of float
        Negative lower bound on the training rows during each epoch, in nats per cell of
        standardised rows. A mean over the folds if the table was cross-validated.
    validation_loss_curve_ : list of float or None
        Loss of the held-out rows before the first epoch and after each epoch. None without early
        stopping.
    reconstruction_error_ : float
        Mean squared error per cell on held-out rows, in units of X squared, of reconstructions from
        the posterior mean; on the training rows without early stopping.
    column_errors_ : ndarray of shape (n_columns,) or None
        Mean error of each column on the rows of `reconstruction_error_`, in units of the column's
        baseline, where `fit` had a data frame with columns of several kinds; None for other tables.
    pca_reconstruction_error_ : float
        Error of PCA with the same number of components, on the same rows. `reconstruction_error_`
        may exceed it, because training does not minimise the squared error.
    explained_variance_ : ndarray of shape (n_components_,)
        Variance explained by each code: `explained_variance_ratio_` times the total variance of the
        features, computed with ``n_samples - 1`` as in PCA.
    explained_variance_ratio_ : ndarray of shape (n_components_,)
        Share of the variance of all rows of `fit` explained by each code, in descending order. The
        shares are proportional to the variance that a linear regression of the rows on each code
        explains, and scaled such that their sum is the share that the model reconstructs.
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
    AutoencoderTransformer : Lower reconstruction errors, but codes without a known distribution.
    skae.generate.CodeSampler : New rows from the codes of any transformer.

    Notes
    -----
    After training, the codes of the network are ordered, given a sign, and rescaled: each code is
    divided by its root mean square over draws from the posteriors, so that it has the scale of the
    prior, and multiplied by it again before decoding. This does not change reconstructions, and it
    raises the bound. Without it, informative codes of rows with many features would often spread
    further than the prior, because training is too short for them to shrink.

    An epoch counts as better than the start if the bound of held-out rows has risen by more than
    2.5 times the standard error of the difference.

    References
    ----------
    Kingma, D. P. and Welling, M. (2014). Auto-encoding variational Bayes.
    https://doi.org/10.48550/arXiv.1312.6114

    Higgins, I. et al. (2017). beta-VAE: learning basic visual concepts with a constrained
    variational framework. ICLR. https://openreview.net/forum?id=Sy2fzU9gl

    Burda, Y., Grosse, R. and Salakhutdinov, R. (2016). Importance weighted autoencoders.
    https://doi.org/10.48550/arXiv.1509.00519

    Lucas, J., Tucker, G., Grosse, R. and Norouzi, M. (2019). Don't blame the ELBO! A linear VAE
    perspective on posterior collapse. https://doi.org/10.48550/arXiv.1911.02469

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import VariationalAutoencoderTransformer
    >>> X = load_digits().data[:500]
    >>> model = VariationalAutoencoderTransformer(8, max_iter=10, random_state=0).fit(X)
    >>> model.transform(X).shape, model.sample(3, random_state=0).shape
    ((500, 8), (3, 64))
    >>> bool(model.posterior_std(X).max() < 1)
    True
    """

    _loss_parameter = "likelihood"
    _takes_mixed_frames = True

    _parameter_constraints: ClassVar[dict] = {
        "likelihood": [StrOptions(set(LIKELIHOODS))],
        "beta": [Interval(Real, 0, None, closed="left")],
        "beta_warm_up": [Interval(Real, 0, 1, closed="both")],
        "conditional": ["boolean"],
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
        likelihood="gaussian",
        beta=1.0,
        beta_warm_up=0.0,
        conditional=False,
        init="pca",
        missing=None,
        output_range="auto",
        batch_size="auto",
        learning_rate="one_cycle",
        learning_rate_init=0.003,
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
        self.likelihood = likelihood
        self.beta = beta
        self.beta_warm_up = beta_warm_up
        self.conditional = conditional
        self.init = init
        self.missing = missing
        self.output_range = output_range
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

    # The density of a class requires all of its rows, not only the last chunk.
    partial_fit = available_if(lambda self: not self.conditional)(BaseAutoencoder.partial_fit)

    def _make_family(self) -> Variational:
        loss = read_loss(_LOSSES[self.likelihood])
        return Variational(loss, self.likelihood, float(self.beta), float(self.beta_warm_up))

    def _make_chunk_settings(self):
        settings = super()._make_chunk_settings()
        return replace(settings, family=replace(self._make_family(), warm_up=0.0))

    def _fit(self, X, y, sample_weight, settings, start, groups=None):
        labels = None
        if self.conditional:
            refuse_parts("conditional=True")
            labels = read_labels(X, y, type(self).__name__)
        super()._fit(X, y, sample_weight, settings, start, groups)
        for name in {"classes_", "_class_densities"} & vars(self).keys():
            delattr(self, name)
        if labels is not None:
            self._fit_class_densities(X, labels, check_weights(sample_weight, X))
        return self

    def _fit_class_densities(self, X, labels: np.ndarray, weights: np.ndarray | None):
        """Fit a density to posterior draws of each class's rows of positive weight."""
        source = check_random_state(_SEED_OF_DRAWS)
        counted = slice(None) if weights is None else weights > 0
        # A wrapped `transform` may return a data frame.
        means = np.asarray(self.transform(X))[counted].repeat(_DRAWS_PER_ROW, axis=0)
        deviations = self.posterior_std(X)[counted].repeat(_DRAWS_PER_ROW, axis=0)
        codes = means + deviations * source.standard_normal(means.shape)
        self._class_densities = fit_classes(codes, labels[counted].repeat(_DRAWS_PER_ROW), source)
        self.classes_ = self._class_densities.classes

    def _fitted_attributes(self, model: TrainedModel) -> dict:
        noise_scale = self._find_noise_scale(model)
        # The variance of the Laplace distribution is twice its squared scale.
        factor = 2.0 if self.likelihood == "laplace" else 1.0
        return {
            **super()._fitted_attributes(model),
            "active_units_": model.description.variance > _LEAST_ACTIVITY,
            "kl_divergence_": model.description.divergence,
            "noise_scale_": noise_scale,
            "noise_variance_": None if noise_scale is None else noise_scale**2 * factor,
        }

    def _find_noise_scale(self, model: TrainedModel):
        """Return the scale of the noise in units of X, one per column for mixed frames."""
        if self.likelihood == "bernoulli":
            return None
        scales = model.net.module_.likelihood.scale.detach().cpu().double().numpy()
        scales = scales * model.standardization.scale
        return float(scales) if scales.ndim == 0 else scales

    @sees_one_fit
    @maps_dask
    def posterior_std(self, X) -> np.ndarray:
        """Return the posterior standard deviations of the codes; `transform` returns the means.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, all finite.

        Returns
        -------
        deviations : ndarray of shape (n_samples, n_components_)
            Standard deviations, greater than 0. The prior has standard deviation 1.
        """
        return self._apply(encode_deviations, X)

    @sees_one_fit
    def score_samples(self, X, n_draws=100) -> np.ndarray:
        """Return a lower bound of the log-density of each row.

        The bounds are importance-weighted means over draws from the posterior. The draws are the
        same for all rows and in every call.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, all finite. With the Bernoulli likelihood, values between 0 and 1 are
            probabilities, and the result approximates the mean bound of rows of zeros and ones
            drawn from them.
        n_draws : int, default=100
            Number of draws. More draws tighten the bound; published figures often use 5000. A
            single draw is an unbiased but noisy estimate of the evidence lower bound: its error is
            some nats, in the same direction for all rows.

        Returns
        -------
        bounds : ndarray of shape (n_samples,)
            Bounds in nats, in double precision. They refer to densities in units of X, or to
            probabilities with the Bernoulli likelihood.
        """
        rows = self._validate_rows(X)
        X = self._sample_form.complete(rows, self.mean_)
        if self._fitted_likelihood == "bernoulli":
            names = getattr(self, "feature_names_in_", range(X.shape[1]))
            loss = read_loss(_LOSSES["bernoulli"])
            check_range(X, names, loss, None, named_loss="likelihood='bernoulli'")
        n_draws = check_count("n_draws", n_draws, "100 is usual, 5000 all but exact.")
        source = np.random.RandomState(_SEED_OF_DRAWS)
        noise = source.standard_normal((n_draws, self.n_components_))
        with ordinary_torch_state():
            bounds = bound_log_densities(self.net_.module_, X, self._standardization, noise)
        if self.noise_scale_ is not None:
            bounds -= self._sample_form.measure_unit(X, self.scale_)
        # Rows whose distance overflows rank last.
        return np.maximum(bounds, np.finfo(np.float64).min)

    @sees_one_fit
    def score(self, X, y=None, sample_weight=None) -> float:
        """Return the mean of `score_samples`, as scikit-learn's density models do.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, all finite.
        y : object, default=None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        score : float
            Mean bound of the log-density of a row, in nats. Comparable between models of the same
            table with the same likelihood, also with different `beta`.
        """
        bounds = self.score_samples(X)
        return float(np.average(bounds, weights=check_weights(sample_weight, X)))

    @sees_one_fit
    def sample(self, n_samples=1, random_state=None, *, y=None, noise=False) -> Any:
        """Return new rows.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.
        random_state : int, RandomState instance or None, default=None
            Seed or generator of the draws.
        y : object, default=None
            Class of the rows, one of `classes_`. Needs ``conditional=True``. If None, codes are
            drawn from the prior.
        noise : bool, default=False
            Whether to draw rows from the distribution given by the decoder, instead of returning
            its mean (for the Laplace likelihood, its median; for categories, the likeliest). Unless
            ``output_range=None``, both are clipped to the range of each feature in `fit`, or to the
            given `output_range`.

        Returns
        -------
        rows : ndarray or data frame of shape (n_samples, n_features_in_)
            New rows in the units of X. A data frame with the column names of `fit` if `set_output`
            selects data frames, or if `fit` had a data frame with columns of several kinds.
        """
        check_is_fitted(self)
        n_samples = check_count("n_samples", n_samples, "Ask for at least one row.")
        if y is not None and not hasattr(self, "classes_"):
            raise ValueError(
                f"`y` must be None with conditional=False. Got {y!r}. Fit with conditional=True "
                "and class labels as y."
            )
        source = check_random_state(random_state)
        if y is None:
            codes = source.standard_normal((n_samples, self.n_components_))
        else:
            codes = self._class_densities.draw(y, n_samples, source)
        codes = codes.astype(self._network_dtype)
        if self._frame is not None:
            return self._sample_frame(self._frame, codes, source, noise=noise)
        rows = self.inverse_transform(codes)
        rows = self._add_noise(rows, source) if noise else rows.clip(*self._find_limits())
        return wrap_rows(self, rows)

    def _sample_frame(self, frame, codes, source, *, noise: bool):
        """Return a frame of decoded codes, or of draws from their distributions."""
        with ordinary_torch_state():
            rows = decode_table(self.net_.module_, codes, self._standardization)
        limits = np.full((2, rows.shape[1]), [[-np.inf], [np.inf]])
        bounds = self.net_.module_.row_bounds
        if self.output_range is not None and bounds is not None:
            limits = self._standardization.invert(bounds)
        if noise:
            return frame.restore(frame.draw(rows, self.noise_scale_, limits, source))
        return frame.restore(frame.clip(rows, limits))

    @property
    def _fitted_likelihood(self) -> str:
        """Likelihood of the last fit, even if the parameter has changed."""
        return self.net_.family.likelihood

    def _add_noise(self, rows: np.ndarray, source) -> np.ndarray:
        if self._fitted_likelihood == "bernoulli":
            return source.binomial(1, rows.clip(0, 1)).astype(rows.dtype)
        law = stats.norm if self._fitted_likelihood == "gaussian" else stats.laplace
        return draw_between(law, rows, self.noise_scale_, self._find_limits(), source)

    def _find_limits(self):
        """Return the lower and upper bounds of the features returned by `sample`."""
        bounds = self.net_.module_.row_bounds
        if isinstance(self.output_range, tuple | list):
            return self.output_range
        if self.output_range is None or bounds is None:
            return -np.inf, np.inf
        return self._sample_form.restore(self._standardization.invert(bounds))

    def _warn_of_weak_fit(self):
        if self._n_fits == 1 and self.best_iter_ == 0 and self.init == "pca":
            warn_user(
                "Training did not clearly raise the bound on the rows used for the comparison, so "
                "the model is its start, probabilistic PCA. There may be too few rows, or the "
                "rows may be normally distributed. More rows or a larger `max_iter` may help.",
                NotBetterThanPCAWarning,
            )
        n_active = int(self.active_units_.sum())
        if n_active < _SHARE_OF_ACTIVE_CODES * self.n_components_:
            warn_user(
                f"Only {n_active} of {self.n_components_} codes are active; the posteriors of the "
                "others have collapsed to the prior, and the decoder ignores them. Use fewer "
                "`n_components`, a lower `beta`, or `beta_warm_up`.",
                PosteriorCollapseWarning,
            )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self.conditional
        return tags
