"""The autoencoder of texts."""

from dataclasses import fields
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
from skae._estimators.checkpoints import find_checkpoints
from skae._estimators.containers import refuse_texts
from skae._estimators.held_out import read_separation
from skae._estimators.html import HTMLMixin
from skae._estimators.states import PlainStateMixin, tell_time
from skae._shared.scikit_learn import (
    check_codes,
    check_weights,
    fit_context,
    keep_weighted_rows,
)
from skae.architectures import Recurrent

_UNKNOWN = 1
# Every number below the greatest has weights: more of them than this fit into few memories.
_MOST_TOKENS = 2**22
# Probabilities in an epoch, one for each word of the vocabulary at each place: with more of them an
# epoch would take a processor hours.
_MOST_PROBABILITIES = {"cpu": 10**10, "mps": 10**11, "cuda": 10**12}


class TokenAutoencoderTransformer(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, PlainStateMixin, HTMLMixin, BaseEstimator
):
    """Codes of texts from which their words can be told, in their order.

    Texts come as rows of whole numbers, as `skae.text.TokenSequencer` makes them: 0 beyond the end,
    1 for unknown words. A recurrent network reads vectors of the words and makes a code; another
    one makes of the code the probability of every word at every place. Both stand beside a linear
    path that starts as latent semantic analysis: PCA of the words' weighted shares of a text, and
    the frequencies of the words. Texts held out in `fit` choose the epoch, the start included.

    Parameters
    ----------
    n_components : int, default=32
        Number of codes.
    architecture : Recurrent, default=None
        The recurrent layers; ``Recurrent()`` where None.
    embedding_size : int, default=64
        Length of the vector that stands for a word; at least 1.
    batch_size : int or "auto", default="auto"
        Texts in a batch; a twentieth of them by default, within 32 and 256.
    learning_rate : {"constant", "one_cycle"}, default="one_cycle"
        How the learning rate changes from step to step.
    learning_rate_init : float, default=0.003
        Greatest learning rate; greater than 0.
    max_iter : int or "auto", default="auto"
        Greatest number of epochs; "auto" makes about 2000 steps in 20 to 100 epochs.
    weight_decay : float, default=0.01
        How much weights are drawn towards zero, as a share of the learning rate; at least 0.
    early_stopping : bool, default=True
        Hold out texts to choose the epoch by, and stop when it gets no better.
    validation_fraction : float, default=0.1
        Share of the texts that are held out, in (0, 1).
    n_iter_no_change : int, default=5
        Epochs without progress after which training stops.
    tol : float, default=1e-4
        Share of the loss by which it has to fall to count as progress; at least 0.
    dtype : {"float32", "float64"}, default="float32"
        Precision of the network and of the codes.
    device : str, default="auto"
        Where to compute, such as "cpu" or "cuda"; "auto" takes a GPU if there is one.
    random_state : int, RandomState instance or None, default=None
        Seeds weights, held-out texts and the order of the texts.
    verbose : bool, default=False
        Print a line for each epoch.

    Attributes
    ----------
    net_ : skorch.NeuralNet
        The trained network, with its history.
    n_components_ : int
        Number of codes.
    length_ : int
        Words of the longest text seen in fit; later ones are cut to it.
    n_tokens_ : int
        Words seen in fit, with padding and what stands for unknown ones: their greatest number and
        one. Greater numbers count as unknown later on.
    n_iter_ : int
        Epochs trained.
    best_iter_ : int
        Epoch whose weights are kept; 0 where latent semantic analysis was not clearly beaten.
    loss_curve_ : list of float
        Training loss of each epoch, in nats for each word.
    validation_loss_curve_ : list of float or None
        Loss of the held-out texts at the start and after each epoch.
    reconstruction_error_ : float
        Mean cross-entropy in nats for each word, of the texts held out, or of all without early
        stopping.
    lsa_reconstruction_error_ : float
        Mean cross-entropy of the start, on the same texts.
    n_features_in_ : int
        Words in a row.

    See Also
    --------
    skae.text.TokenSequencer : Makes the rows.
    sklearn.decomposition.TruncatedSVD : Latent semantic analysis.

    Notes
    -----
    A text costs the mean of its words' cross-entropies, its end counted as a word. The decoder does
    not see the words before: all that it knows of a text is the code, which makes for codes that
    tell much, and for sentences that are no masterpieces.

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
    >>> autoencoder = TokenAutoencoderTransformer(2, max_iter=30, random_state=0)
    >>> model = make_pipeline(TokenSequencer(), autoencoder).fit(texts)
    >>> model.transform(["a good film", "bad to see"]).shape
    (2, 2)
    """

    _parameter_constraints: ClassVar[dict] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "architecture": [Recurrent, None],
        "embedding_size": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"one_cycle", "constant"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "dtype": [StrOptions({"float32", "float64"})],
        "device": [str],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
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
            Texts, at least two: the numbers of their words, 0 beyond the end.
        y : object, default=None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the texts, not negative.
        groups : array-like of shape (n_samples,), default=None
            Labels of texts that belong together, such as those of one author. All texts of a group
            are held out, or none.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If X does not hold whole numbers that are not negative, a parameter is not as
            described, or texts and vocabulary are so large that an epoch would take hours.
        """
        with ordinary_torch_state():
            tokens = self._validate(X, reset=True)
            length = max(1, int(np.flatnonzero(tokens.any(axis=0)).max(initial=0)) + 1)
            tokens = tokens[:, :length]
            weights, loop = check_weights(sample_weight, tokens), self._make_loop()
            separation = read_separation(tokens, y, weights, groups, loop)
            tokens, weights = keep_weighted_rows(tokens, weights, 2)
            n_tokens = max(int(tokens.max()), _UNKNOWN) + 1
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
            Codes in the precision of the network, uncorrelated on the training texts and ordered
            by what a linear regression of the words' shares on them explains.
        """
        tokens = self._validate(X)
        with ordinary_torch_state():
            return encode_tokens(self.net_.module_, tokens)

    @sees_one_fit
    def inverse_transform(self, X) -> Any:
        """Return the likeliest text for each code.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components_)
            Codes.

        Returns
        -------
        tokens : ndarray of int64 of shape (n_samples, n_features_in_)
            The likeliest word at each place, 0 from the first place on at which the text is
            likeliest to have ended.
        """
        codes = check_codes(self, X)
        with ordinary_torch_state():
            tokens = decode_tokens(self.net_.module_, codes)
        return np.pad(tokens, ((0, 0), (0, self.n_features_in_ - self.length_)))

    @sees_one_fit
    def score_samples(self, X) -> np.ndarray:
        """Return minus the mean cross-entropy of each text's words.

        Parameters
        ----------
        X : array-like of int of shape (n_samples, n_words)
            Texts.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            In nats for each word, the end counted as one; the less, the less expected the text.
        """
        tokens = self._validate(X)
        with ordinary_torch_state():
            return -find_token_losses(self.net_.module_, tokens)

    @sees_one_fit
    def score(self, X, y=None, sample_weight=None) -> float:
        """Return minus the mean cross-entropy of texts.

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
            Weighted mean of `score_samples`; greater is better, and 0 cannot be exceeded.
        """
        scores = self.score_samples(X)
        return float(np.average(scores, weights=check_weights(sample_weight, scores[:, None])))

    def _validate(self, X, *, reset=False) -> np.ndarray:
        """Return texts as whole numbers, unknown ones replaced."""
        if not reset:
            check_is_fitted(self)
        refuse_texts(X)
        X = validate_data(self, X, dtype=None, reset=reset, ensure_min_samples=2 if reset else 1)
        if X.dtype.kind not in "iu" or X.min() < 0:
            got = f"an array of {X.dtype}" if X.dtype.kind not in "iu" else f"{X.min()}"
            raise ValueError(
                f"X must hold whole numbers, those of words and 0 beyond the end of a text. Got "
                f"{got}. Make such rows with skae.text.TokenSequencer."
            )
        if reset and X.max() >= _MOST_TOKENS:
            raise ValueError(
                f"X must hold numbers of words below {_MOST_TOKENS}. Got {X.max()}. Number the "
                "words without gaps, as skae.text.TokenSequencer does; its `max_features` keeps "
                "the most frequent ones."
            )
        tokens = np.minimum(X, _MOST_TOKENS).astype(np.int64)
        if not reset:
            tokens = tokens[:, : self.length_]
            tokens[tokens >= self.n_tokens_] = _UNKNOWN
        return tokens

    def _make_loop(self) -> LoopSettings:
        given = self.get_params(deep=False)
        names = [field.name for field in fields(LoopSettings) if field.name in given]
        return LoopSettings(**{name: given[name] for name in names})

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
    """Refuse texts and vocabularies that would not be learned within a day."""
    n_words = np.count_nonzero(tokens) + len(tokens)
    most = _MOST_PROBABILITIES.get(device.type, _MOST_PROBABILITIES["cpu"])
    if n_words * n_tokens > most:
        raise ValueError(
            f"X must have at most {most:.0e} places of words times words in the vocabulary, each a "
            f"probability in every epoch on {device.type!r}. Got {n_words} places and {n_tokens} "
            "words. Set `max_length` and `max_features` of skae.text.TokenSequencer, for instance "
            "to 200 and 2000, or fit to fewer texts."
        )
