"""Recurrent encoders and decoders of sequences in flat rows."""

import torch
from torch import Tensor, nn

from skae.modules._dense import DenseStack
from skae.modules._recording import is_recording
from skae.modules._regularization import make_dropout

CELLS: dict[str, type[nn.GRU] | type[nn.LSTM]] = {"gru": nn.GRU, "lstm": nn.LSTM}


class RecurrentLayers(nn.Module):
    """Layers of gated recurrent units or long short-term memory, in one direction.

    The computation is that of PyTorch's fused layers, with weights drawn from a given generator.

    Parameters
    ----------
    n_inputs : int
        Inputs of each step.
    n_units : int
        Units of each layer.
    cell : {"gru", "lstm"}, default="gru"
        Kind of the units.
    n_layers : int, default=1
        Number of layers.
    dtype : torch.dtype, default=torch.float32
        Type of the weights.
    generator : torch.Generator, default=None
        Generator of the weights, which are orthogonal between the states of a layer, and uniform by
        Glorot's rule from the inputs. Biases are zero, and one for the forget gates of "lstm".

    References
    ----------
    Cho, K. et al. (2014). Learning phrase representations using RNN encoder-decoder for statistical
    machine translation. https://doi.org/10.3115/v1/D14-1179

    Hochreiter, S. and Schmidhuber, J. (1997). Long short-term memory.
    https://doi.org/10.1162/neco.1997.9.8.1735

    Examples
    --------
    >>> import torch
    >>> from skae.modules import RecurrentLayers
    >>> RecurrentLayers(3, 8)(torch.zeros(10, 5, 3)).shape
    torch.Size([10, 5, 8])
    """

    def __init__(
        self, n_inputs, n_units, *, cell="gru", n_layers=1, dtype=torch.float32, generator=None
    ) -> None:
        super().__init__()
        self.cell, self.n_units, self.n_layers = cell, n_units, n_layers
        # On the device "meta", so that no weight is drawn from torch's global generator.
        layers = CELLS[cell](n_inputs, n_units, n_layers, device="meta", dtype=dtype)
        self.layers = layers.to_empty(device="cpu")
        for name, parameter in self.layers.named_parameters():
            _initialise_(name, parameter.data, n_units, cell, generator)

    def forward(self, steps: Tensor, states: Tensor | None = None) -> Tensor:
        """Return the states of the last layer.

        Parameters
        ----------
        steps : Tensor of shape (length, n_samples, n_inputs)
            Sequences.
        states : Tensor of shape (n_layers, n_samples, n_units), default=None
            Initial states. None is zero.

        Returns
        -------
        outputs : Tensor of shape (length, n_samples, n_units)
            State after each step.
        """
        if states is None:
            # torch's own zeros would fix the number of sequences in a recorded program.
            zeros = torch.zeros_like(steps[:1, :, :1])
            states = zeros.expand(self.n_layers, -1, self.n_units).contiguous()
        if self.cell == "lstm":
            return self.layers(steps, (states, torch.zeros_like(states)))[0]
        return self.layers(steps, states)[0]


def _initialise_(name: str, weights: Tensor, n_units: int, cell: str, generator):
    if name.startswith("bias"):
        weights.zero_()
        if cell == "lstm" and name.startswith("bias_ih"):
            weights[n_units : 2 * n_units] = 1.0
        return
    for gate in weights.split(n_units):
        if name.startswith("weight_hh"):
            nn.init.orthogonal_(gate, generator=generator)
        else:
            nn.init.xavier_uniform_(gate, generator=generator)


class RecurrentEncoder(nn.Module):
    """Recurrent encoder of sequences in flat rows.

    Parameters
    ----------
    sample_shape : tuple of two ints
        Steps of the longest sequence, and features of each step.
    n_outputs : int
        Number of outputs per sequence.
    hidden_layer_sizes : tuple of int, default=()
        Units of dense layers between the last state and the outputs.
    n_units : int, default=64
        Units of each recurrent layer.
    cell : {"gru", "lstm"}, default="gru"
        Kind of the recurrent units.
    n_layers : int, default=1
        Number of recurrent layers.
    bidirectional : bool, default=False
        Whether a second network reads in the other direction. The last states of both are used.
    backwards : bool, default=True
        Whether a unidirectional network reads from end to beginning.
    masked : bool, default=False
        Whether inputs include a mask of missing cells.
    zero_last : bool, default=False
        Whether the outputs start as zeros.
    activation : str, default="silu"
        Activation of the dense layers, as for `DenseStack`.
    normalization : {"batch", "layer"}, default=None
        Normalisation of the dense layers.
    dropout : float in [0, 1), default=0.0
        Share of the last state, and of the units of dense layers, dropped in each training step.
    dtype : torch.dtype, default=torch.float32
        Type of the weights.
    generator : torch.Generator, default=None
        Generator of the weights.

    Notes
    -----
    A sequence ends with the last step that has an observed cell. Later steps are ignored, so
    padding has no influence. They are computed all the same, which is faster than packing the
    sequences.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import RecurrentEncoder
    >>> encoder = RecurrentEncoder((4, 3), 2, masked=True)
    >>> rows, missing = torch.zeros(5, 12), torch.zeros(5, 12)
    >>> missing[:, 9:] = 1
    >>> encoder(torch.cat([rows, missing], 1)).shape
    torch.Size([5, 2])
    """

    def __init__(
        self,
        sample_shape,
        n_outputs,
        hidden_layer_sizes=(),
        *,
        n_units=64,
        cell="gru",
        n_layers=1,
        bidirectional=False,
        backwards=True,
        masked=False,
        zero_last=False,
        activation="silu",
        normalization=None,
        dropout=0.0,
        dtype=torch.float32,
        generator=None,
    ) -> None:
        super().__init__()
        self.sample_shape, self.masked = tuple(sample_shape), masked
        self.directions = [True, False] if bidirectional else [backwards]
        n_inputs = self.sample_shape[1] * (2 if masked else 1)
        own = {"dtype": dtype, "generator": generator}
        self.readers = nn.ModuleList(
            RecurrentLayers(n_inputs, n_units, cell=cell, n_layers=n_layers, **own)
            for _ in self.directions
        )
        self.dropout = make_dropout(dropout, generator)
        self.head = DenseStack(
            [n_units * len(self.readers), *hidden_layer_sizes, n_outputs],
            activation,
            normalization=normalization,
            dropout=dropout if hidden_layer_sizes else 0.0,
            zero_last=zero_last,
            **own,
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the outputs for each sequence.

        Parameters
        ----------
        inputs : Tensor of shape (n_samples, n_cells) or (n_samples, 2 * n_cells)
            Concatenated steps of each sequence. With `masked`, they are followed by 1 for each
            missing cell and 0 for each observed cell. Missing cells may have any finite value.

        Returns
        -------
        outputs : Tensor of shape (n_samples, n_outputs)
            One row per sequence.
        """
        return self.read(*self.unfold(inputs))

    def read(self, steps: Tensor, lengths: Tensor) -> Tensor:
        """Return the outputs for sequences whose first axis is the step.

        Parameters
        ----------
        steps : Tensor of shape (longest, n_samples, n_inputs)
            Sequences, with any values after their ends.
        lengths : Tensor of int of shape (n_samples,)
            Number of steps of each sequence.

        Returns
        -------
        outputs : Tensor of shape (n_samples, n_outputs)
            One row per sequence.
        """
        ends = (lengths - 1).clamp_min(0)
        each = torch.arange(lengths.shape[0], device=lengths.device)
        states = []
        for reader, backwards in zip(self.readers, self.directions, strict=True):
            read = reader(reverse(steps, lengths) if backwards else steps)
            states.append(read[ends, each])
        state = torch.cat(states, 1) if len(states) > 1 else states[0]
        state = state * (lengths > 0).to(state.dtype)[:, None]
        return self.head(state if self.dropout is None else self.dropout(state))

    def unfold(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return steps of shape (longest, n_samples, n_inputs), and the lengths of sequences."""
        length, n_features = self.sample_shape
        n_parts = 2 if self.masked else 1
        parts = inputs.reshape(inputs.shape[0], n_parts, length, n_features)
        if not self.masked:
            lengths = torch.full_like(parts[:, 0, 0, 0], length, dtype=torch.long)
            return parts[:, 0].transpose(0, 1), lengths
        there = (parts[:, 1] == 0).any(2)
        positions = torch.arange(1, length + 1, device=inputs.device)
        lengths = (there * positions).amax(1)
        longest = find_longest(lengths, length)
        steps = torch.cat([parts[:, 0, :longest], parts[:, 1, :longest]], 2)
        return steps.transpose(0, 1), lengths


class RecurrentDecoder(nn.Module):
    """Recurrent decoder that returns sequences in flat rows.

    Parameters
    ----------
    n_inputs : int
        Length of a code.
    sample_shape : tuple of two ints
        Steps of the longest sequence, and features of each step.
    hidden_layer_sizes : tuple of int, default=()
        Units of dense layers between the code and the states that the layers start from.
    n_units : int, default=64
        Units of each recurrent layer.
    cell : {"gru", "lstm"}, default="gru"
        Kind of the recurrent units.
    n_layers : int, default=1
        Number of recurrent layers.
    zero_last : bool, default=False
        Whether the outputs start as zeros.
    activation : str, default="silu"
        Activation of the dense layers, as for `DenseStack`.
    normalization : {"batch", "layer"}, default=None
        Normalisation of the dense layers.
    dropout : float in [0, 1), default=0.0
        Share of all states, and of the units of dense layers, dropped in each training step.
    dtype : torch.dtype, default=torch.float32
        Type of the weights.
    generator : torch.Generator, default=None
        Generator of the weights.

    Notes
    -----
    The states are initialised from the code, which is also the input of each step. The decoder does
    not receive its previous outputs, only the code. A step does not depend on the number of steps
    that follow, so padding has no influence.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import RecurrentDecoder
    >>> RecurrentDecoder(2, (4, 3))(torch.zeros(5, 2)).shape
    torch.Size([5, 12])
    """

    def __init__(
        self,
        n_inputs,
        sample_shape,
        hidden_layer_sizes=(),
        *,
        n_units=64,
        cell="gru",
        n_layers=1,
        zero_last=False,
        activation="silu",
        normalization=None,
        dropout=0.0,
        dtype=torch.float32,
        generator=None,
    ) -> None:
        super().__init__()
        self.sample_shape = tuple(sample_shape)
        own = {"dtype": dtype, "generator": generator}
        self.start = DenseStack(
            [n_inputs, *hidden_layer_sizes, n_layers * n_units],
            activation,
            normalization=normalization,
            dropout=dropout if hidden_layer_sizes else 0.0,
            **own,
        )
        self.writer = RecurrentLayers(n_inputs, n_units, cell=cell, n_layers=n_layers, **own)
        self.dropout = make_dropout(dropout, generator)
        self.head = DenseStack([n_units, self.sample_shape[1]], zero_last=zero_last, **own)

    def forward(self, code: Tensor) -> Tensor:
        """Return the sequences of codes.

        Parameters
        ----------
        code : Tensor of shape (n_samples, n_inputs)
            Codes.

        Returns
        -------
        rows : Tensor of shape (n_samples, n_cells)
            Concatenated steps of each sequence, all of the maximum length.
        """
        return self.head(self.write(code)).transpose(0, 1).flatten(1)

    def write(self, code: Tensor) -> Tensor:
        """Return the state from which each step is computed.

        Parameters
        ----------
        code : Tensor of shape (n_samples, n_inputs)
            Codes.

        Returns
        -------
        states : Tensor of shape (length, n_samples, n_units)
            State of each step.
        """
        shape = code.shape[0], self.writer.n_layers, self.writer.n_units
        states = torch.tanh(self.start(code)).view(shape).transpose(0, 1).contiguous()
        written = self.writer(code.expand(self.sample_shape[0], *code.shape), states)
        return written if self.dropout is None else self.dropout(written)


def find_longest(lengths: Tensor, limit: int) -> int:
    """Return the length of the longest sequence, at least one, as the number of steps to read.

    In a recorded program, which must work for any sequences, it is `limit`.
    """
    if is_recording():
        return limit
    return max(1, int(lengths.max())) if len(lengths) else 1


def reverse(steps: Tensor, lengths: Tensor) -> Tensor:
    """Reverse each sequence of steps of shape (longest, n_samples, n_inputs) up to its length.

    Steps after the end of a sequence stay in place.
    """
    positions = torch.arange(steps.shape[0], device=steps.device)[:, None]
    order = torch.where(positions < lengths, lengths - 1 - positions, positions)
    return steps.gather(0, order[:, :, None].expand_as(steps))
