"""Parts of the network that set codes to zero."""

from numbers import Real

from sklearn.base import BaseEstimator
from torch import nn

from skae.modules import TopK


class Sparsity(BaseEstimator):
    """Base class of sparsities, which set codes to zero within the network.

    Estimators take an instance as `penalty`. As in any scikit-learn estimator, the constructor
    stores its parameters unchanged, and they are checked when used. A search can set them, as in
    ``penalty__share``.

    A subclass must override `make_module`, and may override `check`. After training, codes are
    ordered and scaled but not rotated, because a rotation would remove the zeros.

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
        """Raise an error for invalid parameters, before any training.

        Raises
        ------
        ValueError
            If a parameter is not as described. The base class accepts everything.
        """

    def make_module(self, n_components: int) -> nn.Module:
        """Return a new PyTorch module that sets codes to zero.

        Parameters
        ----------
        n_components : int
            Number of codes.

        Returns
        -------
        module : Module
            Module from codes of shape (n_samples, n_components), of about unit size, to sparse
            codes of the same shape. If it has weights, they are trained; their initial values must
            not be random.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must have a method `make_module` that returns a torch module."
        )


class TopKSparsity(Sparsity):
    """Keeps a fixed share of the codes in each row, those of largest absolute value.

    This is ``penalty="top_k"``, with `alpha` of the estimator as the share. Codes that are never
    kept stay unused, which happens to many codes if there are more codes than columns.
    `skae.SparseAutoencoderTransformer` avoids this.

    Parameters
    ----------
    share : float in (0, 1], default=0.25
        Share of the codes that are kept. At least one code is kept.

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
        """Raise an error if `share` is not in (0, 1]."""
        if not (isinstance(self.share, Real) and 0 < float(self.share) <= 1):
            raise ValueError(
                "`share` must be the share of the codes to keep, above 0 and at most 1. "
                f"Got {self.share!r}. With 16 codes, 0.25 keeps four."
            )

    def make_module(self, n_components: int) -> nn.Module:
        """Return a module that keeps the codes of largest absolute value.

        Parameters
        ----------
        n_components : int
            Number of codes.

        Returns
        -------
        module : TopK
            Module that keeps at least one code per row.
        """
        return TopK(max(1, round(self.share * n_components)))
