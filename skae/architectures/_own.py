"""Architectures written by users."""

import inspect
from collections.abc import Callable

import torch
from torch import nn

from skae.architectures._base import Architecture, refuse_settings
from skae.architectures._probe import probe
from skae.modules import OwnModule, StackPlan, global_generator


class Own(Architecture):
    """Architecture that calls a class or function of the user.

    `make` is as described for `architecture` in `AutoencoderTransformer`.
    """

    def __init__(self, make: Callable) -> None:
        self.make = make

    def make_stacks(self, plan: StackPlan) -> tuple[nn.Module, nn.Module]:
        """Return the modules that the user's function makes, wrapped to take and return rows.

        A function that does not take three arguments or does not return two modules is refused, as
        are modules with inputs or outputs of wrong shapes.
        """
        refuse_settings(
            "an `architecture` of your own",
            plan,
            hidden_layer_sizes="auto",
            activation="silu",
            normalization=None,
            dropout=0,
            tied_weights=False,
        )
        _check_signature(self.make)
        seeds = torch.randint(2**62, (3,), generator=plan.generator, device="cpu").tolist()
        shape, n_outputs = plan.sample_shape, plan.n_encoder_outputs
        with global_generator(seeds[0]):
            encoder, decoder = _read_pair(self.make(shape, plan.n_components, n_outputs))
            encoder, decoder = encoder.to("cpu", plan.dtype), decoder.to("cpu", plan.dtype)
            # The first call also creates the weights of lazy layers.
            probe("encoder", encoder, shape, (n_outputs,), plan.dtype)
            probe("decoder", decoder, (plan.n_components,), shape, plan.dtype)
        own = {"zero": plan.zero_last, "dtype": plan.dtype}
        return (
            OwnModule(encoder, shape, n_outputs, seed=seeds[1], **own),
            OwnModule(decoder, (plan.n_components,), plan.n_features, seed=seeds[2], **own),
        )


class Checked(Architecture):
    """Architecture of the user's own class, whose modules are checked before training."""

    def __init__(self, architecture: Architecture) -> None:
        self.architecture = architecture
        self.takes_padding = architecture.takes_padding

    def make_stacks(self, plan: StackPlan) -> tuple[nn.Module, nn.Module]:
        """Return the two modules of the user's architecture, and check what they return."""
        encoder, decoder = _read_pair(self.architecture.make_stacks(plan))
        probe("encoder", encoder, (plan.n_inputs,), (plan.n_encoder_outputs,), plan.dtype)
        probe("decoder", decoder, (plan.n_components,), (plan.n_features,), plan.dtype)
        return encoder, decoder


def _check_signature(make: Callable):
    """Raise an error for a function with an unsuitable signature."""
    try:
        inspect.signature(make).bind((1,), 1, 1)
    except TypeError as error:
        raise ValueError(
            "`architecture` must take three arguments: the shape of a sample, the number of codes, "
            f"and the number of outputs of the encoder. Got {make!r}: {error}. Write "
            "`def make(sample_shape, n_components, n_outputs)`."
        ) from error
    except ValueError:
        # Some builtins have no signature.
        return


def _read_pair(made) -> tuple[nn.Module, nn.Module]:
    """Return the encoder and the decoder from the result of the user's function."""
    pair = made
    if hasattr(made, "encoder") and hasattr(made, "decoder"):
        pair = made.encoder, made.decoder
    if not (
        isinstance(pair, tuple | list)
        and len(pair) == 2
        and all(isinstance(module, nn.Module) for module in pair)
    ):
        raise ValueError(
            "`architecture` must make a pair of torch modules, the encoder and the decoder, or an "
            f"object with these two as attributes. Got {type(made).__name__}. Return "
            "(encoder, decoder)."
        )
    return pair[0], pair[1]
