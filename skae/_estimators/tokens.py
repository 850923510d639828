"""The autoencoder of texts."""

from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from skae._engine import (
    LoopSettings,
    NetworkSettings,
    Tokens,
    decode_tokens,
    encode_tokens,
    find_token_losses,
    ordinary_torch_state,
    resolve_device,
    train_autoencoder,
)
from skae._estimators.atomic import atomic_fit, sees_one_fit
from skae._estimators.autoencoder import shares_constraints
from skae._estimators.checkpoints import find_checkpoints
from skae._estimators.containers import read_container, refuse_texts
from skae._estimators.held_out import read_separation
from skae._estimators.html import HTMLMixin
from skae._estimators.parameters import take_parameters
from skae._estimators.states import PlainStateMixin, tell_time
from skae._estimators.validation import read_codes
from skae._shared.constants import UNKNOWN
from skae._shared.scikit_learn import check_weights, fit_context, keep_weighted_rows
from skae.architectures import Recurrent

# Every integer up to the largest has weights; more than this would exceed most memories.
_MOST_TOKENS = 2**22
# Larger codes make logits that single precision cannot hold.
_LARGEST_CODE = 1e18
# Number of probabilities per epoch, one for each word of the vocabulary at each position; with
# more, an epoch would take CPU hours.
_MOST_PROBABILITIES = {"cpu": 10**10, "mps": 10**11, "cuda": 10**12}


@shares_constraints
class TokenAutoencoderTransformer(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, PlainStateMixin, HTMLMixin, BaseEstimator
):
    """Autoencoder of texts, whose codes keep the words in their order.

    Texts are rows of integers, as `skae.text.TokenSequencer` makes them: one per word, 0 after the
    end of the text, 1 for unknown words. A recurrent encoder reads embeddings of the words and
    returns a code. A recurrent decoder returns the probability of each word at each position. Both
    run in parallel with a linear path that starts as latent semantic analysis: a PCA of weighted
    word frequencies, and the base rates of the words. The epoch is chosen on texts that `fit` holds
    out, with the start as a candidate.

    Parameters
    ----------
    n_components : int, default=32
        Number of codes.
    architecture : Recurrent, default=None
        Recurrent layers of encoder and decoder. None is ``Recurrent()``.
    embedding_size : int, default=64
        Length of the embedding of a word; at least 1.
    batch_size : int or "auto", default="auto"
        Number of texts per training step. "auto" is a twentieth of the texts, but at least 32 and
        at most 256.
    learning_rate : {"constant", "one_cycle"}, default="one_cycle"
        Schedule of the learning rate. "one_cycle" rises and then falls: to almost zero with
        at most 20 epochs, and to up to 0.3 times the maximum with more.
    learning_rate_init : float, default=0.003
        Maximum learning rate; greater than 0.
    max_iter : int or "auto", default="auto"
        Maximum number of epochs. "auto" aims at 2000 training steps, with at least 20 and at most
        100 epochs.
    weight_decay : float, default=0.01
        Decoupled weight decay of AdamW; at least 0.
    early_stopping : bool, default=True
        Whether to choose the epoch on held-out texts, and to stop when their loss no longer falls.
    validation_fraction : float, default=0.1
        Share of the texts that are held out for validation, in (0, 1).
    n_iter_no_change : int, default=5
        Training ends after this number of epochs without progress on the held-out texts.
    tol : float, default=1e-4
        Relative decrease of the loss that counts as progress; at least 0.
    dtype : {"float32", "float64"}, default="float32"
        Precision of the network and of the codes.
    device : str, default="auto"
        Device to compute on, such as "cpu" or "cuda". "auto" uses CUDA if it is available.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial weights, the held-out texts and the order of the batches. Pass an int
        for reproducible results.
    verbose : bool, default=False
        Whether to print a line per epoch.

    Attributes
    ----------
    net_ : skorch.NeuralNet
        The trained network, with its history.
    n_components_ : int
        Number of codes.
    length_ : int
        Number of words of the longest text in `fit`. Longer texts are cut to it.
    n_tokens_ : int
        Size of the vocabulary, including padding and the unknown word: one more than the largest
        integer in `fit`. Larger integers in new texts count as unknown words.
    n_iter_ : int
        Number of epochs that were trained.
    best_iter_ : int
        Epoch whose weights were kept. 0 is the start, latent semantic analysis, which is kept
        unless an epoch is clearly better.
    loss_curve_ : list of float
        Training loss of each epoch, in nats per word.
    validation_loss_curve_ : list of float or None
        Loss of the held-out texts before the first epoch and after each epoch. None without early
        stopping.
    reconstruction_error_ : float
        Mean cross-entropy of the held-out texts, in nats per word; of all texts without early
        stopping.
    lsa_reconstruction_error_ : float
        Mean cross-entropy of latent semantic analysis, the start, on the same texts.
    n_features_in_ : int
        Number of columns of X in `fit`.

    See Also
    --------
    skae.text.TokenSequencer : Makes the rows.
    sklearn.decomposition.TruncatedSVD : Latent semantic analysis.

    Notes
    -----
    The loss of a text is the mean cross-entropy of its words, with the end of the text as an
    additional word. The decoder does not receive the previous words, only the code. This makes
    codes informative, at the price of less fluent sentences.

    References
    ----------
    Deerwester, S. et al. (1990). Indexing by latent semantic analysis.
    https://doi.org/10.1002/(SICI)1097-4571(199009)41:6<391::AID-ASI1>3.0.CO;2-9

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from skae import TokenAutoencoderTransformer
    >>> from skae.text import TokenSequencer
    >>> texts = ["a good film", "a bad film", "good to see", "bad to see"] * 10
    >>> autoencoder = TokenAutoencoderTransformer(2, max_iter=10, random_state=0)
    >>> model = make_pipeline(TokenSequencer(), autoencoder).fit(texts)
    >>> model.transform(["a good film", "bad to see"]).shape
    (2, 2)
    """

    _parameter_constraints: ClassVar[dict] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "architecture": [Recurrent, None],
        "embedding_size": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"one_cycle", "constant"})],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    }

    def __init__(
        self,
        n_components=32,
        *,
        architecture=None,
        embedding_size=64,
        batch_size="auto",
        learning_rate="one_cycle",
        learning_rate_init=0.003,
        max_iter="auto",
        weight_decay=0.01,
        early_stopping=True,
        validation_fraction=0.1,
        n_iter_no_change=5,
        tol=1e-4,
        dtype="float32",
        device="auto",
        random_state=None,
        verbose=False,
    ) -> None:
        self.n_components = n_components
        self.architecture = architecture
        self.embedding_size = embedding_size
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.weight_decay = weight_decay
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.dtype = dtype
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @atomic_fit
    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None, sample_weight=None, groups=None) -> Self:
        """Fit the autoencoder to texts.

        Parameters
        ----------
        X : array-like of int of shape (n_samples, n_words)
            At least two texts: integers of their words, 0 after the end.
        y : object, default=None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the texts.
        groups : array-like of shape (n_samples,), default=None
            Group labels of texts that belong together, such as the texts of one author. All texts
            of a group are held out, or none.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If X contains other values than non-negative integers, if a parameter is not as
            described, or if the texts and the vocabulary are so large that an epoch would take
            hours.
        """
        with ordinary_torch_state():
            tokens = self._validate(X, reset=True)
            length = max(1, int(np.flatnonzero(tokens.any(axis=0)).max(initial=0)) + 1)
            tokens = tokens[:, :length]
            weights = check_weights(sample_weight, tokens)
            loop = LoopSettings(**take_parameters(self, LoopSettings))
            separation = read_separation(tokens, y, weights, groups, loop)
            tokens, weights = keep_weighted_rows(tokens, weights, 2)
            n_tokens = max(int(tokens.max()), UNKNOWN) + 1
            _check_size(tokens, n_tokens, resolve_device(self.device, self.dtype))
            family, network = self._make_settings(n_tokens)
            model = train_autoencoder(
                tokens,
                weights,
                family,
                network,
                loop,
                self.random_state,
                separation=separation,
                checkpoints=find_checkpoints(self, tokens, weights, separation),
            )
        self.net_, self._n_rows, self._fitted_at = model.net, len(tokens), tell_time()
        self.length_, self.n_tokens_, self.n_components_ = length, n_tokens, model.n_components
        self.n_iter_, self.best_iter_ = model.n_iter, model.best_iter
        self.loss_curve_ = model.loss_curve
        self.validation_loss_curve_ = model.validation_loss_curve
        self.reconstruction_error_ = model.reconstruction_error
        self.lsa_reconstruction_error_ = model.pca_reconstruction_error
        return self

    @sees_one_fit
    def transform(self, X) -> Any:
        """Return the codes of texts.

        Parameters
        ----------
        X : array-like of int of shape (n_samples, n_words)
            Texts.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_components_)
            Codes in the precision of the network, uncorrelated on the training texts and ordered by
            the variance that a linear regression of the word frequencies on each code explains.
        """
        tokens = self._validate(X)
        with ordinary_torch_state():
            return encode_tokens(self.net_.module_, tokens)

    @sees_one_fit
    def inverse_transform(self, X) -> Any:
        """Return the most likely text for each code.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components_)
            Codes.

        Returns
        -------
        tokens : ndarray of int64 of shape (n_samples, n_features_in_)
            The most likely word at each position, and 0 from the first position at which the end of
            the text is most likely.

        Raises
        ------
        ValueError
            If codes are not finite, or too large for single precision.
        """
        codes = read_codes(self, X)
        if np.abs(codes).max() > _LARGEST_CODE:
            raise ValueError(
                f"X must hold codes of at most {_LARGEST_CODE:.0e} in absolute value. Got "
                f"{np.abs(codes).max():.3g}. Pass what `transform` returned."
            )
        with ordinary_torch_state():
            tokens = decode_tokens(self.net_.module_, codes)
        return np.pad(tokens, ((0, 0), (0, self.n_features_in_ - self.length_)))

    @sees_one_fit
    def score_samples(self, X) -> np.ndarray:
        """Return the negative mean cross-entropy of the words of each text.

        Parameters
        ----------
        X : array-like of int of shape (n_samples, n_words)
            Texts.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Scores in nats per word, with the end of the text as a word. Lower means less expected.
        """
        tokens = self._validate(X)
        with ordinary_torch_state():
            return -find_token_losses(self.net_.module_, tokens)

    @sees_one_fit
    def score(self, X, y=None, sample_weight=None) -> float:
        """Return the negative mean cross-entropy of the texts.

        Parameters
        ----------
        X : array-like of int of shape (n_samples, n_words)
            Texts.
        y : object, default=None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the texts.

        Returns
        -------
        score : float
            Weighted mean of `score_samples`, at most 0; greater is better.
        """
        scores = self.score_samples(X)
        return float(np.average(scores, weights=check_weights(sample_weight, scores[:, None])))

    def _validate(self, X, *, reset=False) -> np.ndarray:
        """Return texts as integers, with unknown ones replaced."""
        if not reset:
            check_is_fitted(self)
        refuse_texts(X)
        X = read_container(X)
        X = validate_data(self, X, dtype=None, reset=reset, ensure_min_samples=2 if reset else 1)
        if X.dtype.kind not in "iu" or X.min() < 0:
            got = f"an array of {X.dtype}" if X.dtype.kind not in "iu" else f"{X.min()}"
            raise ValueError(
                "X must hold whole numbers: one for each word, and 0 after the end of a text. Got "
                f"{got}. Make such rows with skae.text.TokenSequencer."
            )
        if reset and X.max() >= _MOST_TOKENS:
            raise ValueError(
                f"X must hold numbers of words below {_MOST_TOKENS}. Got {X.max()}. Number the "
                "words without gaps, as skae.text.TokenSequencer does; its `max_features` keeps "
                "the most frequent ones."
            )
        tokens = X.astype(np.int64)
        tokens[X >= _MOST_TOKENS] = _MOST_TOKENS
        if not reset:
            tokens = tokens[:, : self.length_]
            tokens[tokens >= self.n_tokens_] = UNKNOWN
        return tokens

    def _make_settings(self, n_tokens: int) -> tuple[Tokens, NetworkSettings]:
        """Return the parameters as objects and numbers, for the engine."""
        architecture = Recurrent() if self.architecture is None else self.architecture
        layers = architecture.check()
        own = {"bidirectional": layers.pop("bidirectional"), "backwards": layers.pop("backwards")}
        return (
            Tokens(n_tokens, int(self.embedding_size), own, layers),
            NetworkSettings(int(self.n_components), architecture, dtype=self.dtype),
        )

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "net_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.categorical = True
        tags.transformer_tags.preserves_dtype = [self.dtype]
        return tags


def _check_size(tokens: np.ndarray, n_tokens: int, device):
    """Raise an error for texts and vocabularies that would take days to learn."""
    n_words = np.count_nonzero(tokens) + len(tokens)
    most = _MOST_PROBABILITIES.get(device.type, _MOST_PROBABILITIES["cpu"])
    if n_words * n_tokens > most:
        raise ValueError(
            f"X must have at most {most:.0e} positions times words in the vocabulary, to train an "
            f"epoch in reasonable time on {device.type!r}. Got {n_words} positions and "
            f"{n_tokens} words. Set `max_length` and `max_features` of skae.text.TokenSequencer, "
            "for instance to 200 and 2000, or fit to fewer texts."
        )
