"""Base class of modules that set codes to zero."""

from sklearn.base import BaseEstimator
from torch import nn


class Sparsity(BaseEstimator):
    """Base class of sparsities, which set codes to zero within the network.

    Estimators take an instance as `penalty`. As in any scikit-learn estimator, the constructor
    stores its parameters unchanged, and they are checked when used. A search can set them, as in
    ``penalty__least`` of the example.

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
    >>> model = AutoencoderTransformer(3, penalty=Threshold(1.0), max_iter=5, random_state=0)
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
