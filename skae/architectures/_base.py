"""Base class of architectures, and a check of settings that an architecture does not support."""

from sklearn.base import BaseEstimator
from torch import nn

from skae.modules import StackPlan


class Architecture(BaseEstimator):
    """Base class of architectures, which build the encoder and the decoder of an autoencoder.

    As in any scikit-learn estimator, the constructor stores its parameters unchanged, and they are
    checked when used. A search can set them, as in ``architecture__n_layers``.

    A subclass must override `make_stacks`.

    Attributes
    ----------
    takes_padding : bool, default=False
        Whether samples are sequences, in which trailing missing cells are padding.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skae import AutoencoderTransformer
    >>> from skae.architectures import Architecture
    >>> from skae.modules import DenseStack
    >>> class Wide(Architecture):
    ...     def __init__(self, n_units=32):
    ...         self.n_units = n_units
    ...
    ...     def make_stacks(self, plan):
    ...         sizes = [plan.n_features, self.n_units, plan.n_encoder_outputs]
    ...         options = {"zero_last": plan.zero_last, "generator": plan.generator}
    ...         encoder = DenseStack(sizes, **options)
    ...         return encoder, DenseStack([plan.n_components, *sizes[1::-1]], **options)
    >>> model = AutoencoderTransformer(2, architecture=Wide(16), max_iter=20, random_state=0)
    >>> model.fit_transform(load_iris().data).shape
    (150, 2)
    """

    takes_padding: bool = False

    def make_stacks(self, plan: StackPlan) -> tuple[nn.Module, nn.Module]:
        """Return a new encoder and a new decoder.

        Parameters
        ----------
        plan : StackPlan
            Shape of the rows, number of codes, and parameters of the estimator.

        Returns
        -------
        encoder : Module
            Module from rows (n_samples, plan.n_inputs) to (n_samples, plan.n_encoder_outputs).
        decoder : Module
            Module from codes (n_samples, plan.n_components) to rows (n_samples, plan.n_features).

        Raises
        ------
        ValueError
            If the architecture does not support the plan.
        """
        raise NotImplementedError


def refuse_settings(architecture: str, plan: StackPlan, **without):
    """Raise an error for settings that an architecture does not use.

    Parameters
    ----------
    architecture : str
        Name of the architecture for the message.
    plan : StackPlan
        The plan.
    **without
        Values of its attributes that ask for nothing.

    Raises
    ------
    ValueError
        If an attribute of the plan has another value.
    """
    for name, nothing in without.items():
        value = getattr(plan, name)
        if value != nothing:
            raise ValueError(
                f"`{name}` must be {nothing!r} with {architecture}, which has no use for it. "
                f"Got {value!r}. Leave it at its default."
            )
