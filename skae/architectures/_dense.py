"""Fully connected layers."""

from torch import nn

from skae.architectures._base import Architecture
from skae.modules import DenseStack, StackPlan, TiedDenseStack

_FEW_FEATURES = 50


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
        """Return a new encoder, and a decoder with its layers in reverse order.

        Parameters
        ----------
        plan : StackPlan
            Shape of the rows, number of codes, and parameters of the estimator.

        Returns
        -------
        encoder, decoder : DenseStack
            A `TiedDenseStack` for a decoder with tied weights.
        """
        hidden = plan.hidden_layer_sizes
        if isinstance(hidden, str):
            hidden = (64, 64) if plan.n_features < _FEW_FEATURES else (128, 128)
        params = {
            "normalization": plan.normalization,
            "dropout": plan.dropout,
            "dtype": plan.dtype,
            "generator": plan.generator,
        }
        own = {"activation": plan.activation, "zero_last": plan.zero_last, **params}
        encoder = DenseStack([plan.n_inputs, *hidden, plan.n_encoder_outputs], **own)
        if plan.tied_weights:
            return encoder, TiedDenseStack(encoder, **params)
        return encoder, DenseStack([plan.n_components, *hidden[::-1], plan.n_features], **own)
