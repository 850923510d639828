"""Training and applying networks, with torch and skorch; private."""

from skae._training._adversarial import Adversarial
from skae._training._device import multiplies_in_bfloat16, resolve_device
from skae._training._family import Family
from skae._training._imputation import FillJudgement, fill_table, judge_fills
from skae._training._inference import (
    bound_log_densities,
    cell_errors,
    decode_table,
    encode_deviations,
    encode_table,
    row_errors_and_deviations,
)
from skae._training._net import AutoencoderNet
from skae._training._plain import Plain
from skae._training._random import ordinary_torch_state
from skae._training._result import TrainedModel
from skae._training._settings import DTYPES, LoopSettings, NetworkSettings
from skae._training._setup import StartingPoint
from skae._training._standardization import Standardization
from skae._training._step import Step
from skae._training._texts import decode_tokens, encode_tokens, find_token_losses
from skae._training._tokens import Tokens
from skae._training._train import train_autoencoder
from skae._training._variational import Variational

__all__ = [
    "DTYPES",
    "Adversarial",
    "AutoencoderNet",
    "Family",
    "FillJudgement",
    "LoopSettings",
    "NetworkSettings",
    "Plain",
    "Standardization",
    "StartingPoint",
    "Step",
    "Tokens",
    "TrainedModel",
    "Variational",
    "bound_log_densities",
    "cell_errors",
    "decode_table",
    "decode_tokens",
    "encode_deviations",
    "encode_table",
    "encode_tokens",
    "fill_table",
    "find_token_losses",
    "judge_fills",
    "multiplies_in_bfloat16",
    "ordinary_torch_state",
    "resolve_device",
    "row_errors_and_deviations",
    "train_autoencoder",
]
