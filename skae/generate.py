"""Generation of rows from the codes of any transformer."""

from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.utils import check_random_state, get_tags
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.validation import check_is_fitted

from skae._estimators.atomic import atomic_fit, sees_one_fit
from skae._estimators.code_density import MixturePrior, draw_from_mixture, fit_mixture
from skae._shared.checks import check_count
from skae._shared.scikit_learn import fit_context, wrap_rows

__all__ = ["CodeSampler", "MixturePrior"]


class CodeSampler(BaseEstimator):
    """Generate rows from a Gaussian mixture fitted to the codes of a transformer.

    A plain autoencoder has no distribution of codes to draw from, but one can be fitted to the
    codes of the training rows after training.

    Parameters
    ----------
    transformer : estimator with `transform` and `inverse_transform`
        Transformer such as `AutoencoderTransformer` or `PCA`. A clone is fitted; wrap a fitted
        transformer in `sklearn.frozen.FrozenEstimator` to use it without refitting.
    n_mixture_components : int, default=10
        Maximum number of normal distributions; fewer are used if there are fewer than fifty rows
        for each. More follow the distribution of the codes more closely.
    random_state : int, RandomState instance or None, default=None
        Seed of the initialisation of the mixture. The transformer has its own `random_state`.

    Attributes
    ----------
    transformer_ : estimator
        The fitted transformer.
    mixture_ : sklearn.mixture.GaussianMixture
        Fitted density of the codes.
    n_features_in_ : int
        Number of features seen in fit.

    See Also
    --------
    skae.VariationalAutoencoderTransformer : Autoencoder whose codes have a known distribution.

    References
    ----------
    Ghosh, P. et al. (2020). From variational to deterministic autoencoders, where densities are
    fitted to the codes after training. https://doi.org/10.48550/arXiv.1903.12436

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoencoderTransformer
    >>> from skae.generate import CodeSampler
    >>> X = load_digits().data[:500]
    >>> autoencoder = AutoencoderTransformer(8, max_iter=5, random_state=0)
    >>> sampler = CodeSampler(autoencoder, random_state=0).fit(X)
    >>> sampler.sample(3, random_state=0).shape
    (3, 64)
    """

    _parameter_constraints: ClassVar[dict] = {
        "transformer": [HasMethods(["fit", "transform", "inverse_transform"])],
        "n_mixture_components": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(self, transformer, *, n_mixture_components=10, random_state=None) -> None:
        self.transformer = transformer
        self.n_mixture_components = n_mixture_components
        self.random_state = random_state

    @atomic_fit
    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None) -> Self:
        """Fit the transformer to X, and a mixture to the codes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows.
        y : array-like of shape (n_samples,), default=None
            Passed to the transformer.

        Returns
        -------
        self : object
            The fitted sampler. If the fit fails, it is left unchanged.
        """
        self.transformer_ = clone(self.transformer).fit(X, y)
        codes = self.transformer_.transform(X)
        self.mixture_ = fit_mixture(
            codes.toarray() if sparse.issparse(codes) else np.asarray(codes),
            self.n_mixture_components,
            check_random_state(self.random_state),
        )
        return self

    @sees_one_fit
    def sample(self, n_samples=1, random_state=None) -> Any:
        """Return new rows.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.
        random_state : int, RandomState instance or None, default=None
            Seed or generator of the draws.

        Returns
        -------
        rows : ndarray or data frame of shape (n_samples, n_features_in_)
            Codes drawn from the mixture, decoded by the transformer. A data frame with the column
            names of `fit` if `set_output` of the transformer, or `set_config`, selects data frames.
        """
        check_is_fitted(self)
        n_samples = check_count("n_samples", n_samples, "Ask for at least one row.")
        codes = draw_from_mixture(self.mixture_, n_samples, check_random_state(random_state))
        return wrap_rows(self.transformer_, self.transformer_.inverse_transform(codes))

    @property
    def n_features_in_(self) -> int:
        """Number of features seen in fit."""
        check_is_fitted(self)
        return self.transformer_.n_features_in_

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "mixture_")

    def __sklearn_tags__(self):
        tags, of_transformer = super().__sklearn_tags__(), get_tags(self.transformer)
        tags.input_tags, tags.target_tags = of_transformer.input_tags, of_transformer.target_tags
        tags.non_deterministic = of_transformer.non_deterministic
        return tags
