"""Convolutional encoders and decoders of samples in flat rows."""

import itertools
import math

import torch
from torch import Tensor, nn

from skae.modules._dense import ACTIVATIONS, DenseStack
from skae.modules._regularization import BatchNorm, make_dropout

# Keys are numbers of axes of a sample, without its channels.
_CONVOLUTIONS = {
    1: (nn.Conv1d, nn.ConvTranspose1d),
    2: (nn.Conv2d, nn.ConvTranspose2d),
}


class _Maps(nn.Module):
    """Layers between convolutions: normalisation, activation and dropout, as in the encoder."""

    def __init__(self, n_channels, *, activation, normalization, dropout, dtype, generator) -> None:
        super().__init__()
        self.norm: nn.Module | None = None
        if normalization == "batch":
            self.norm = BatchNorm(n_channels, dtype=dtype)
        elif normalization == "layer":
            self.norm = nn.GroupNorm(1, n_channels, dtype=dtype, device="cpu")
        self.function = ACTIVATIONS[activation]()
        self.dropout = make_dropout(dropout, generator)

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of the same shape."""
        if self.norm is not None:
            maps = self.norm(maps.flatten(2)).view_as(maps)
        maps = self.function(maps)
        return maps if self.dropout is None else self.dropout(maps)


def find_map_sizes(size, n_layers: int) -> list[tuple[int, ...]]:
    """Return the sizes of the maps, from the sample (without its channels) to the last layer.

    Each layer halves every axis, rounding up.
    """
    sizes = [tuple(size)]
    for _ in range(n_layers):
        sizes.append(tuple(-(-n // 2) for n in sizes[-1]))
    return sizes


def _make_convolution(kind, n_in, n_out, kernel_size, *, fan_in, dtype, generator, **options):
    """Return a convolution with weights of variance ``1 / fan_in`` and zero biases."""
    layer = kind(
        n_in, n_out, kernel_size, 2, kernel_size // 2, dtype=dtype, device="meta", **options
    ).to_empty(device="cpu")
    bound = math.sqrt(3 / fan_in)
    layer.weight.data.uniform_(-bound, bound, generator=generator)
    layer.bias.data.zero_()
    return layer


class ConvolutionalEncoder(nn.Module):
    """Convolutions of stride two, each with half the size of the one before, and dense layers.

    Parameters
    ----------
    sample_shape : tuple of two or three ints
        Channels of a sample, and its length or its height and width, of any size.
    n_outputs : int
        Number of outputs per sample.
    n_channels : sequence of int
        Channels of the maps that each convolution makes.
    kernel_size : int, default=3
        Odd width of the kernels.
    hidden_layer_sizes : sequence of int, default=()
        Units of dense layers between the last maps and the outputs.
    masked : bool, default=False
        Whether inputs include a mask of missing cells, as additional channels.
    activation : str, default="silu"
        Activation function between the layers, as in `DenseStack`.
    normalization : {"batch", "layer"}, default=None
        Normalisation before each activation: every channel over batch and places, or every
        sample over channels and places.
    dropout : float in [0, 1), default=0.0
        Share of the entries of the maps, and of the hidden units, dropped in each training step.
    zero_last : bool, default=False
        Whether the outputs start as zeros.
    dtype : torch.dtype, default=torch.float32
        Type of the weights.
    generator : torch.Generator, default=None
        Generator of the weights.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import ConvolutionalEncoder
    >>> ConvolutionalEncoder((1, 9, 7), 2, (4, 8))(torch.zeros(5, 63)).shape
    torch.Size([5, 2])
    """

    def __init__(
        self,
        sample_shape,
        n_outputs,
        n_channels,
        kernel_size=3,
        hidden_layer_sizes=(),
        *,
        masked=False,
        activation="silu",
        normalization=None,
        dropout=0.0,
        zero_last=False,
        dtype=torch.float32,
        generator=None,
    ) -> None:
        super().__init__()
        own = {"dtype": dtype, "generator": generator}
        between = {"normalization": normalization, "dropout": dropout, **own}
        n_inputs = sample_shape[0] * (2 if masked else 1)
        self.shape = (n_inputs, *sample_shape[1:])
        kind, n_axes = _CONVOLUTIONS[len(sample_shape) - 1][0], len(sample_shape) - 1
        self.convolutions, self.maps = nn.ModuleList(), nn.ModuleList()
        for n_in, n_out in itertools.pairwise((n_inputs, *n_channels)):
            fan_in = n_in * kernel_size**n_axes
            layer = _make_convolution(kind, n_in, n_out, kernel_size, fan_in=fan_in, **own)
            self.convolutions.append(layer)
            self.maps.append(_Maps(n_out, activation=activation, **between))
        last = find_map_sizes(sample_shape[1:], len(n_channels))[-1]
        sizes = [n_channels[-1] * math.prod(last), *hidden_layer_sizes, n_outputs]
        self.dense = DenseStack(sizes, activation, zero_last=zero_last, **between)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the outputs.

        Parameters
        ----------
        inputs : Tensor of shape (n_samples, n_inputs)
            Rows, with the cells of a sample in C order.

        Returns
        -------
        outputs : Tensor of shape (n_samples, n_outputs)
            One row per sample.
        """
        values = inputs.unflatten(1, self.shape)
        for convolution, maps in zip(self.convolutions, self.maps, strict=True):
            values = maps(convolution(values))
        return self.dense(values.flatten(1))


class ConvolutionalDecoder(nn.Module):
    """Dense layers, and transposed convolutions that each double the size.

    Parameters
    ----------
    sample_shape : tuple of two or three ints
        Channels of a sample, and its length or its height and width, of any size.
    n_components : int
        Number of codes.
    n_channels : sequence of int
        Channels of the maps that each transposed convolution takes.
    kernel_size : int, default=3
        Odd width of the kernels.
    hidden_layer_sizes : sequence of int, default=()
        Units of dense layers between the codes and the first maps.
    activation : str, default="silu"
        Activation function between the layers, as in `DenseStack`.
    normalization : {"batch", "layer"}, default=None
        As for `ConvolutionalEncoder`.
    dropout : float in [0, 1), default=0.0
        Share of the entries of the maps, and of the hidden units, dropped in each training step.
    zero_last : bool, default=False
        Whether the outputs start as zeros.
    dtype : torch.dtype, default=torch.float32
        Type of the weights.
    generator : torch.Generator, default=None
        Generator of the weights.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import ConvolutionalDecoder
    >>> ConvolutionalDecoder((1, 9, 7), 2, (8, 4))(torch.zeros(5, 2)).shape
    torch.Size([5, 63])
    """

    def __init__(
        self,
        sample_shape,
        n_components,
        n_channels,
        kernel_size=3,
        hidden_layer_sizes=(),
        *,
        activation="silu",
        normalization=None,
        dropout=0.0,
        zero_last=False,
        dtype=torch.float32,
        generator=None,
    ) -> None:
        super().__init__()
        own = {"dtype": dtype, "generator": generator}
        between = {"normalization": normalization, "dropout": dropout, **own}
        sizes = find_map_sizes(sample_shape[1:], len(n_channels))[::-1]
        self.shape = (n_channels[0], *sizes[0])
        units = [n_components, *hidden_layer_sizes, math.prod(self.shape)]
        self.dense = DenseStack(units, activation, **between)
        kind, n_axes = _CONVOLUTIONS[len(sample_shape) - 1][1], len(sample_shape) - 1
        self.convolutions, self.maps = nn.ModuleList(), nn.ModuleList()
        channels = itertools.pairwise((*n_channels, sample_shape[0]))
        for (n_in, n_out), size in zip(channels, sizes[1:], strict=True):
            # With stride two, half of the kernel contributes to each output along each axis.
            fan_in = n_in * (kernel_size / 2) ** n_axes
            # Without additional padding, a transposed convolution returns odd sizes.
            more = tuple(1 - n % 2 for n in size)
            self.maps.append(_Maps(n_in, activation=activation, **between))
            layer = _make_convolution(
                kind, n_in, n_out, kernel_size, fan_in=fan_in, output_padding=more, **own
            )
            self.convolutions.append(layer)
        if zero_last:
            layer.weight.data.zero_()

    def forward(self, code: Tensor) -> Tensor:
        """Return rows.

        Parameters
        ----------
        code : Tensor of shape (n_samples, n_components)
            Codes.

        Returns
        -------
        outputs : Tensor of shape (n_samples, n_features)
            Rows, with the cells of a sample in C order.
        """
        values: Tensor = self.dense(code).unflatten(1, self.shape)
        for convolution, maps in zip(self.convolutions, self.maps, strict=True):
            values = convolution(maps(values))
        return values.flatten(1)
