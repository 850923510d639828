"""Base class of architectures, with helpers for their plans."""

from typing import Any

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
        raise NotImplementedError(
            f"{type(self).__name__} must have a method `make_stacks` that returns two modules."
        )


def refuse_settings(architecture: str, plan: StackPlan, **without):
    """Raise an error for settings that an architecture does not use.

    `without` has the values of attributes of the plan that have no effect.
    """
    for name, default in without.items():
        value = getattr(plan, name)
        if value != default:
            raise ValueError(
                f"`{name}` must be {default!r} with {architecture}, which does not use it. "
                f"Got {value!r}. Leave it at its default."
            )


def list_layer_options(plan: StackPlan) -> dict[str, Any]:
    """Return the options of a plan that all built-in stacks take."""
    names = ("activation", "normalization", "dropout", "zero_last", "dtype", "generator")
    return {name: getattr(plan, name) for name in names}
