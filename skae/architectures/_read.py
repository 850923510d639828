"""Conversion of the parameter `architecture` to an architecture."""

from torch import nn

from skae.architectures._base import Architecture
from skae.architectures._convolutional import Convolutional
from skae.architectures._dense import Dense
from skae.architectures._own import Checked, Own
from skae.architectures._recurrent import Recurrent

ARCHITECTURES: dict[str, type[Architecture]] = {
    "conv": Convolutional,
    "dense": Dense,
    "recurrent": Recurrent,
}


def read_architecture(architecture) -> Architecture:
    """Return the architecture for a name, an instance, or a function that makes two modules.

    Modules, which training would change, and subclasses instead of instances are refused.
    """
    if isinstance(architecture, str):
        return ARCHITECTURES[architecture]()
    if isinstance(architecture, Architecture):
        own = type(architecture) not in ARCHITECTURES.values()
        return Checked(architecture) if own else architecture
    if isinstance(architecture, nn.Module):
        raise ValueError(
            "`architecture` must be a class or function that makes a new network for each fit. Got "
            f"a network, a {type(architecture).__name__}. Pass its class, or a function that "
            "returns one."
        )
    if isinstance(architecture, type) and issubclass(architecture, Architecture):
        raise ValueError(
            f"`architecture` must be an instance. Got the class {architecture.__name__}. Call it, "
            f"as in `{architecture.__name__}()`."
        )
    return Own(architecture)
