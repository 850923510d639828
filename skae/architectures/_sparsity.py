"""Codes of which only a few are active, as a part of the network."""

from numbers import Real

from sklearn.base import BaseEstimator
from torch import nn

from skae.modules import TopK


class Sparsity(BaseEstimator):
    """Base class of the sparsities: a part of the network that sets codes to zero.

    Estimators take an instance as `penalty`. Constructor parameters are stored as they are and
    checked in use, as in any scikit-learn estimator, so that a search reaches them, as in
    ``penalty__share``.

    A subclass must override `make_module`. `check` is optional. Codes are ordered and scaled but
    not rotated after the training, as a rotation would leave no zeros.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from torch import nn
    >>> from skae import AutoencoderTransformer
    >>> from skae.architectures import Sparsity
    >>> class Threshold(Sparsity):
    ...     def __init__(self, least=0.5):
    ...         self.least = least
    ...
    ...     def make_module(self, n_components):
    ...         return nn.Hardshrink(self.least)
    >>> model = AutoencoderTransformer(3, penalty=Threshold(1.0), max_iter=20, random_state=0)
    >>> codes = model.fit_transform(load_iris().data)
    >>> bool((codes == 0).any(axis=0).all())
    True
    >>> model.set_params(penalty__least=0.1).penalty
    Threshold(least=0.1)
    """

    def check(self) -> None:
        """Refuse parameters that are not as described, before any training.

        Raises
        ------
        ValueError
            If a parameter is not as described. The base class refuses nothing.
        """

    def make_module(self, n_components: int) -> nn.Module:
        """Return a new torch module that sets codes to zero.

        Parameters
        ----------
        n_components : int
            Number of codes.

        Returns
        -------
        module : Module
            From codes of shape (n_samples, n_components), each of about unit size, to sparse codes
            of the same shape. Weights that it has are trained, and must not start at random.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must have a method `make_module` that returns a torch module."
        )


class TopKSparsity(Sparsity):
    """Keeps the codes of greatest size in each row, a fixed share of all codes.

    This is ``penalty="top_k"``, where the estimator's `alpha` is the share. Codes that are never
    kept are not revived: with more codes than columns many stay unused, for which
    `skae.SparseAutoencoderTransformer` is made.

    Parameters
    ----------
    share : float in (0, 1], default=0.25
        Share of the codes that are kept; at least one code is.

    References
    ----------
    Makhzani, A., Frey, B. (2014). k-sparse autoencoders. International Conference on Learning
    Representations. https://doi.org/10.48550/arXiv.1312.5663

    Examples
    --------
    >>> from skae.architectures import TopKSparsity
    >>> TopKSparsity(0.5).make_module(8).n_active
    4
    """

    def __init__(self, share: float = 0.25) -> None:
        self.share = share

    def check(self) -> None:
        """Refuse a `share` that keeps no codes or more than all of them."""
        if not (isinstance(self.share, Real) and 0 < float(self.share) <= 1):
            raise ValueError(
                "`share` must be the share of the codes to keep, above 0 and at most 1. "
                f"Got {self.share!r}. With 16 codes, 0.25 keeps four."
            )

    def make_module(self, n_components: int) -> nn.Module:
        """Return a module that keeps the codes of greatest size.

        Parameters
        ----------
        n_components : int
            Number of codes.

        Returns
        -------
        module : TopK
            Keeps at least one code of each row.
        """
        return TopK(max(1, round(self.share * n_components)))
