"""The base class of the architectures, and the refusal of settings that one cannot follow."""

from sklearn.base import BaseEstimator
from torch import nn

from skae.modules import StackPlan


class Architecture(BaseEstimator):
    """Base class of the architectures, which make the encoder and the decoder of an autoencoder.

    Constructor parameters are stored as they are and checked in use, as in any scikit-learn
    estimator, so that a search reaches them, as in ``architecture__n_layers``.

    A subclass must override `make_stacks`.

    Attributes
    ----------
    takes_padding : bool, default=False
        Whether samples are sequences, and missing cells the part beyond their ends.

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
            Shape of the rows, number of codes, and the estimator's parameters.

        Returns
        -------
        encoder : Module
            From rows (n_samples, plan.n_inputs) to (n_samples, plan.n_encoder_outputs).
        decoder : Module
            From codes (n_samples, plan.n_components) to rows (n_samples, plan.n_features).

        Raises
        ------
        ValueError
            If the plan asks for what this architecture cannot do.
        """
        raise NotImplementedError


def refuse_settings(architecture: str, plan: StackPlan, **without):
    """Refuse a plan that sets what an architecture has no use for.

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
