"""Training and applying networks, with torch and skorch; private."""

from skae._training._adversarial import Adversarial
from skae._training._device import multiplies_in_bfloat16, resolve_device
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
from skae._training._random import ordinary_torch_state
from skae._training._run import TrainedModel
from skae._training._settings import DTYPES, TrainingSettings
from skae._training._standardization import Standardization
from skae._training._tokens import (
    TokenModel,
    decode_tokens,
    encode_tokens,
    find_token_losses,
    train_token_autoencoder,
)
from skae._training._train import StartingPoint, train_autoencoder
from skae._training._variational import Variational

__all__ = [
    "DTYPES",
    "Adversarial",
    "AutoencoderNet",
    "FillJudgement",
    "Standardization",
    "StartingPoint",
    "TokenModel",
    "TrainedModel",
    "TrainingSettings",
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
    "train_token_autoencoder",
]
