"""Stacks of fully connected layers."""

import itertools
import math

import torch
from torch import Tensor, nn

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "gelu": nn.GELU,
    "identity": nn.Identity,
    "logistic": nn.Sigmoid,
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}


def _make_linear(n_in: int, n_out: int, dtype: torch.dtype) -> nn.Linear:
    """Return a linear layer without weights drawn from torch's global generator."""
    linear = nn.Linear(n_in, n_out, device="meta")
    linear.weight = nn.Parameter(torch.empty(n_out, n_in, dtype=dtype, device="cpu"))
    linear.bias = nn.Parameter(torch.empty(n_out, dtype=dtype, device="cpu"))
    return linear


class DenseStack(nn.Module):
    """Linear layers with an activation between them and none after the last.

    Parameters
    ----------
    layer_sizes : sequence of int
        Number of units from the input to the output, both included; at least two numbers.
    activation : {"gelu", "identity", "logistic", "relu", "silu", "tanh"}, default="silu"
        The function between the layers.
    zero_last : bool, default=False
        Start the last layer at zero, so that the stack starts as the zero function.
    dtype : torch.dtype, default=torch.float32
        Type of the parameters.
    generator : torch.Generator, default=None
        Source of the initial weights; torch's global one where None.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import DenseStack
    >>> stack = DenseStack([4, 8, 2], generator=torch.Generator().manual_seed(0))
    >>> stack(torch.zeros(3, 4)).shape
    torch.Size([3, 2])
    """

    def __init__(
        self,
        layer_sizes,
        activation="silu",
        *,
        zero_last=False,
        dtype=torch.float32,
        generator=None,
    ):
        super().__init__()
        self.activation = activation
        self.linears = nn.ModuleList(
            _make_linear(n_in, n_out, dtype) for n_in, n_out in itertools.pairwise(layer_sizes)
        )
        self.function = ACTIVATIONS[activation]()
        self.reset_parameters(zero_last=zero_last, generator=generator)

    @torch.no_grad()
    def reset_parameters(self, *, zero_last=False, generator=None):
        """Draw new weights, uniform with variance 1 / inputs of the layer; biases start at zero.

        Parameters
        ----------
        zero_last : bool, default=False
            Start the last layer at zero instead.
        generator : torch.Generator, default=None
            Source of the weights; torch's global one where None.
        """
        for linear in self.linears:
            weight, bias = linear.parameters()
            bound = math.sqrt(3 / weight.shape[1])
            weight.uniform_(-bound, bound, generator=generator)
            bias.zero_()
        if zero_last:
            for parameter in self.linears[-1].parameters():
                parameter.zero_()

    def forward(self, inputs: Tensor) -> Tensor:
        """Apply the layers.

        Parameters
        ----------
        inputs : Tensor of shape (n_samples, layer_sizes[0])
            One row a sample.

        Returns
        -------
        outputs : Tensor of shape (n_samples, layer_sizes[-1])
            Values of the last layer.
        """
        *hidden, last = self.linears
        for linear in hidden:
            inputs = self.function(linear(inputs))
        return last(inputs)
