"""Dense architecture, for tables."""

from torch import nn

from skae.architectures._base import Architecture, list_layer_options
from skae.modules import DenseStack, StackPlan, TiedDenseStack

_FEW_FEATURES = 50
_TIED_OPTIONS = ("normalization", "dropout", "dtype", "generator")


class Dense(Architecture):
    """Fully connected layers for tables, as in ``architecture="dense"``.

    It has no parameters: layers, activation and other options are parameters of the estimator.

    Examples
    --------
    >>> from skae.architectures import Dense
    >>> from skae.modules import StackPlan
    >>> encoder, decoder = Dense().make_stacks(StackPlan((30,), 2, 2, hidden_layer_sizes=(8,)))
    >>> encoder.linears
    ModuleList(
      (0): Linear(in_features=30, out_features=8, bias=True)
      (1): Linear(in_features=8, out_features=2, bias=True)
    )
    """

    def make_stacks(self, plan: StackPlan) -> tuple[nn.Module, nn.Module]:
        """Return a new encoder, and a decoder with its layers in reverse order, or a tied one."""
        hidden = plan.hidden_layer_sizes
        if isinstance(hidden, str):
            hidden = (64, 64) if plan.n_features < _FEW_FEATURES else (128, 128)
        options = list_layer_options(plan)
        encoder = DenseStack([plan.n_inputs, *hidden, plan.n_encoder_outputs], **options)
        if plan.tied_weights:
            tied = {name: options[name] for name in _TIED_OPTIONS}
            return encoder, TiedDenseStack(encoder, **tied)
        return encoder, DenseStack([plan.n_components, *hidden[::-1], plan.n_features], **options)
