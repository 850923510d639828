"""Networks as plain torch modules, independent of noise, losses and training."""

from skae.modules._adversarial import AdversarialAutoencoder
from skae.modules._autoencoder import Autoencoder, CodeBasis, LinearPath
from skae.modules._basis import order_codes_, order_nested_codes_
from skae.modules._convolutional import ConvolutionalDecoder, ConvolutionalEncoder
from skae.modules._dense import ACTIVATIONS, DenseStack, TiedDenseStack
from skae.modules._filling import GaussianFilling
from skae.modules._neighbors import NeighborAutoencoder, turn_codes_
from skae.modules._nested import NestedAutoencoder, NestedDecoder, list_levels
from skae.modules._output import ExponentialOutput, LinearOutput, LogisticOutput, MixedOutput
from skae.modules._own import OwnModule, global_generator
from skae.modules._plan import StackPlan
from skae.modules._pursuit import PursuitAutoencoder
from skae.modules._reach import INPUT_LIMIT, ODD_LIMIT, Reach, Shown, put_off_far_rows
from skae.modules._recording import leave_out_far_rows
from skae.modules._recurrent import RecurrentDecoder, RecurrentEncoder, RecurrentLayers
from skae.modules._row_range import RowRange
from skae.modules._tokens import TokenAutoencoder, TokenEncoder, WordPath
from skae.modules._variational import VariationalAutoencoder

__all__ = [
    "ACTIVATIONS",
    "INPUT_LIMIT",
    "ODD_LIMIT",
    "AdversarialAutoencoder",
    "Autoencoder",
    "CodeBasis",
    "ConvolutionalDecoder",
    "ConvolutionalEncoder",
    "DenseStack",
    "ExponentialOutput",
    "GaussianFilling",
    "LinearOutput",
    "LinearPath",
    "LogisticOutput",
    "MixedOutput",
    "NeighborAutoencoder",
    "NestedAutoencoder",
    "NestedDecoder",
    "OwnModule",
    "PursuitAutoencoder",
    "Reach",
    "RecurrentDecoder",
    "RecurrentEncoder",
    "RecurrentLayers",
    "RowRange",
    "Shown",
    "StackPlan",
    "TiedDenseStack",
    "TokenAutoencoder",
    "TokenEncoder",
    "VariationalAutoencoder",
    "WordPath",
    "global_generator",
    "leave_out_far_rows",
    "list_levels",
    "order_codes_",
    "order_nested_codes_",
    "put_off_far_rows",
    "turn_codes_",
]
