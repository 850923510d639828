"""Stacks of fully connected layers."""

import functools
import itertools
import math
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skae.modules._products import linear
from skae.modules._recording import is_recording
from skae.modules._regularization import BatchNorm, Dropout, make_dropout

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "gelu": nn.GELU,
    "identity": nn.Identity,
    "logistic": nn.Sigmoid,
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}

_IN_PLACE: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu_,
    "silu": functools.partial(F.silu, inplace=True),
    "tanh": torch.tanh_,
}

# Derivative of each activation by its input, differentiable.
_DERIVATIVES: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": lambda x: (
        0.5
        + 0.5 * torch.erf(x / math.sqrt(2))
        + x * torch.exp(-x.square() / 2) / math.sqrt(2 * math.pi)
    ),
    "identity": torch.ones_like,
    "logistic": lambda x: torch.sigmoid(x) * torch.sigmoid(-x),
    "relu": lambda x: (x > 0).to(x.dtype),
    "silu": lambda x: torch.sigmoid(x) * (1 + x * torch.sigmoid(-x)),
    "tanh": lambda x: 1 - torch.tanh(x).square(),
}


def _make_linear(n_in: int, n_out: int, dtype: torch.dtype) -> nn.Linear:
    """Return a linear layer with uninitialised weights.

    torch's constructor would draw weights from the global generator or, on the device "meta", take
    longer than a training step.
    """
    linear = nn.Linear.__new__(nn.Linear)
    nn.Module.__init__(linear)
    linear.in_features, linear.out_features = n_in, n_out
    linear.weight = nn.Parameter(torch.empty(n_out, n_in, dtype=dtype, device="cpu"))
    linear.bias = nn.Parameter(torch.empty(n_out, dtype=dtype, device="cpu"))
    return linear


class _Stack(nn.Module):
    """Base class of stacks, which differ in the source of their weights.

    Parameters
    ----------
    n_hidden : sequence of int
        Number of units of each hidden layer.
    activation : str
        Activation function between the layers, as in `DenseStack`.
    normalization : {"batch", "layer"} or None
        Normalisation before each activation.
    dropout : float in [0, 1)
        Share of the hidden units dropped in each training step.
    dtype : torch.dtype
        Data type of the parameters.
    """

    def __init__(self, n_hidden, activation, normalization, dropout, dtype) -> None:
        super().__init__()
        if normalization not in (None, "batch", "layer"):
            raise ValueError(
                f'`normalization` must be "batch", "layer" or None. Got {normalization!r}. '
                "None means no normalisation."
            )
        if not 0 <= dropout < 1:
            raise ValueError(
                f"`dropout` must be a share of the hidden units, from 0 to below 1. Got {dropout}. "
                "0 drops none."
            )
        self.activation = activation
        self.function = ACTIVATIONS[activation]()
        self.norms = nn.ModuleList()
        if normalization is not None:
            self.norms.extend(_make_norm(normalization, n_units, dtype) for n_units in n_hidden)
        self.dropout: Dropout | None = None

    def _layers(self) -> list[tuple[Tensor, Tensor]]:
        """Return the weight (n_out, n_in) and the bias (n_out,) of each layer."""
        raise NotImplementedError

    def forward(self, inputs: Tensor) -> Tensor:
        """Apply the layers.

        Parameters
        ----------
        inputs : Tensor of shape (n_samples, n_inputs)
            One row per sample.

        Returns
        -------
        outputs : Tensor of shape (n_samples, n_outputs)
            Values of the last layer.
        """
        *hidden, last = self._layers()
        for layer, parameters in enumerate(hidden):
            inputs = self._activate(layer, linear(inputs, *parameters))
        return linear(inputs, *last)

    def _activate(self, layer: int, inputs: Tensor) -> Tensor:
        """Return the output of a hidden layer, given that of its linear part."""
        if self.norms:
            inputs = self.norms[layer](inputs)
        outputs = self._find_function()(inputs)
        return outputs if self.dropout is None else self.dropout(outputs)

    def _find_function(self) -> Callable[[Tensor], Tensor]:
        """Return the activation, which overwrites its input if nothing else can see that."""
        is_seen = torch.is_grad_enabled() or is_recording() or self.norms
        if is_seen or self.function._forward_hooks or self.function._forward_pre_hooks:
            return self.function
        return _IN_PLACE.get(self.activation, self.function)

    @property
    def has_jacobian(self) -> bool:
        """Whether `jacobian` can be called: there is neither normalisation nor dropout."""
        return len(self.norms) == 0 and self.dropout is None

    def jacobian(self, inputs: Tensor) -> Tensor:
        """Return the Jacobian in closed form. It is differentiable.

        Parameters
        ----------
        inputs : Tensor of shape (n_samples, layer_sizes[0])
            One row per sample.

        Returns
        -------
        jacobian : Tensor of shape (n_samples, layer_sizes[-1], layer_sizes[0])
            Derivative of each output by each input.

        Raises
        ------
        ValueError
            If the stack has normalisation or dropout.
        """
        weights, slopes = self._linearise(inputs)
        if not slopes:
            return weights[0].expand(len(inputs), *weights[0].shape)
        if len(weights[-1]) > weights[0].shape[1]:
            return _multiply_upwards(weights, slopes)
        return _multiply_downwards(weights, slopes)

    def jacobian_factors(self, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return factors of the Jacobian, for sums over its entries without computing it.

        Parameters
        ----------
        inputs : Tensor of shape (n_samples, layer_sizes[0])
            One row per sample.

        Returns
        -------
        upper : Tensor of shape (layer_sizes[-1], n_units) or (n_samples, layer_sizes[-1], n_units)
            Derivatives of the outputs by the outputs of the first layer. Without an axis of samples
            if they are the same for all.
        slopes : Tensor of shape (n_samples, n_units)
            Derivatives of the first activation.
        weight : Tensor of shape (n_units, layer_sizes[0])
            Weight of the first layer: the Jacobian is ``(upper * slopes[:, None]) @ weight``.

        Raises
        ------
        ValueError
            If the stack has normalisation or dropout.
        """
        weights, slopes = self._linearise(inputs)
        if not slopes:
            eye = torch.eye(len(weights[0]), dtype=inputs.dtype, device=inputs.device)
            return eye, torch.ones_like(inputs[:, :1]).expand(-1, len(eye)), weights[0]
        return _multiply_downwards(weights[1:], slopes[1:]), slopes[0], weights[0]

    def _linearise(self, inputs: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Return the weights of the layers, and the derivatives of the activations between them."""
        if not self.has_jacobian:
            raise ValueError(
                "The Jacobian has a closed form only without `normalization` and `dropout`. Got a "
                "stack with one of them. Use autograd instead."
            )
        layers, slopes = self._layers(), []
        for weight, bias in layers[:-1]:
            preactivation = linear(inputs, weight, bias)
            slopes.append(_DERIVATIVES[self.activation](preactivation))
            inputs = self.function(preactivation)
        return [weight for weight, _ in layers], slopes


def _make_norm(normalization: str, n_units: int, dtype: torch.dtype) -> nn.Module:
    if normalization == "batch":
        return BatchNorm(n_units, dtype=dtype)
    return nn.LayerNorm(n_units, dtype=dtype, device="cpu")


def _multiply_downwards(weights: list[Tensor], slopes: list[Tensor]) -> Tensor:
    """Multiply the Jacobians of layers from the last to the first, cheap for few outputs."""
    product = weights[-1]
    for weight, slope in zip(reversed(weights[:-1]), reversed(slopes), strict=True):
        product = (product * slope[:, None]) @ weight
    return product


def _multiply_upwards(weights: list[Tensor], slopes: list[Tensor]) -> Tensor:
    """Multiply the Jacobians of layers from the first to the last, cheap for few inputs."""
    product = weights[0].T
    for weight, slope in zip(weights[1:], slopes, strict=True):
        product = (product * slope[:, None]) @ weight.T
    return product.mT


class DenseStack(_Stack):
    """Linear layers with activations between them and none after the last.

    Parameters
    ----------
    layer_sizes : sequence of int
        Number of units from the input to the output, including both. At least two numbers.
    activation : {"gelu", "identity", "logistic", "relu", "silu", "tanh"}, default="silu"
        Activation function between the layers.
    normalization : {"batch", "layer"}, default=None
        Normalisation before each activation: of each unit over the batch, or of each row over the
        units. A batch of one row is normalised by the running statistics.
    dropout : float in [0, 1), default=0
        Share of the hidden units dropped at random in each training step.
    zero_last : bool, default=False
        Whether the last layer starts at zero, so that the stack starts as the zero function.
    dtype : torch.dtype, default=torch.float32
        Type of the parameters.
    generator : torch.Generator, default=None
        Generator of the initial weights and of a seed for the dropout. None is PyTorch's global
        generator.

    Raises
    ------
    ValueError
        If `normalization` or `dropout` is not one of these.

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
        normalization=None,
        dropout=0.0,
        zero_last=False,
        dtype=torch.float32,
        generator=None,
    ) -> None:
        super().__init__(layer_sizes[1:-1], activation, normalization, dropout, dtype)
        self.linears = nn.ModuleList(
            _make_linear(n_in, n_out, dtype) for n_in, n_out in itertools.pairwise(layer_sizes)
        )
        self.reset_parameters(zero_last=zero_last, generator=generator)
        self.dropout = make_dropout(dropout, generator)

    @torch.no_grad()
    def reset_parameters(self, *, zero_last=False, generator=None) -> None:
        """Draw new weights, uniform with variance ``1 / n_inputs`` of the layer. Biases are zero.

        Parameters
        ----------
        zero_last : bool, default=False
            Whether the last layer starts at zero instead.
        generator : torch.Generator, default=None
            Generator of the weights. None is PyTorch's global generator.
        """
        for norm in self.norms:
            if isinstance(norm, BatchNorm | nn.LayerNorm):
                norm.reset_parameters()
        for weight, bias in self._layers():
            bound = math.sqrt(3 / weight.shape[1])
            weight.uniform_(-bound, bound, generator=generator)
            bias.zero_()
        if zero_last:
            for parameter in self.linears[-1].parameters():
                parameter.zero_()

    def _layers(self) -> list[tuple[Tensor, Tensor]]:
        return [(layer.weight, layer.bias) for layer in cast(list[nn.Linear], self.linears)]


class TiedDenseStack(_Stack):
    """Decoder with the transposed weights of an encoder, in reverse order.

    Only the biases are separate. It starts with output zero for code zero, and as the zero function
    if the last layer of the encoder is zero.

    Parameters
    ----------
    encoder : DenseStack
        Encoder that owns the weights. It is not a submodule of the decoder, so that each weight is
        counted and stored once.
    normalization : {"batch", "layer"}, default=None
        As for `DenseStack`.
    dropout : float in [0, 1), default=0
        As for `DenseStack`.
    dtype : torch.dtype, default=torch.float32
        Data type of the biases, which must be that of the encoder.
    generator : torch.Generator, default=None
        Generator of a seed for the dropout. None is PyTorch's global generator.

    Raises
    ------
    ValueError
        If `normalization` or `dropout` is not one of these.

    Notes
    -----
    Copy, move and store the decoder together with its encoder, as parts of one autoencoder.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import DenseStack, TiedDenseStack
    >>> encoder = DenseStack([4, 8, 2], generator=torch.Generator().manual_seed(0))
    >>> decoder = TiedDenseStack(encoder)
    >>> decoder(torch.zeros(3, 2)).shape
    torch.Size([3, 4])
    >>> [tuple(parameter.shape) for parameter in decoder.parameters()]
    [(8,), (4,)]
    """

    def __init__(
        self,
        encoder: DenseStack,
        *,
        normalization=None,
        dropout=0.0,
        dtype=torch.float32,
        generator=None,
    ) -> None:
        n_outputs = [weight.shape[1] for weight, _ in reversed(encoder._layers())]
        super().__init__(n_outputs[:-1], encoder.activation, normalization, dropout, dtype)
        # In a tuple, so that torch does not register it as a submodule.
        self._tied = (encoder,)
        self.biases = nn.ParameterList(
            torch.zeros(n_units, dtype=dtype, device="cpu") for n_units in n_outputs
        )
        self.dropout = make_dropout(dropout, generator)
        self._start_at_zero()

    @torch.no_grad()
    def _start_at_zero(self):
        """Subtract the output for code zero, as some activations are not zero at zero."""
        weight, bias = self._layers()[0]
        code = bias.new_zeros(1, weight.shape[1])
        self.eval()
        self.biases[-1].sub_(self(code)[0])
        self.train()

    def _layers(self) -> list[tuple[Tensor, Tensor]]:
        weights = [weight.T for weight, _ in reversed(self._tied[0]._layers())]
        return list(zip(weights, self.biases, strict=True))
