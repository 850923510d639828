"""Conversion of losses, penalties and corruptions from parameters to objects."""

from typing import Any

import numpy as np

from skae._shared.warning import warn_user
from skae.architectures import Sparsity
from skae.corruption import CORRUPTIONS, Corruption
from skae.exceptions import RowLossWarning, SkaeWarning
from skae.objectives import (
    CODE_LOSSES,
    LOSSES,
    PENALTIES,
    CriterionLoss,
    NeighborLoss,
    Penalty,
    ReconstructionLoss,
)

LINKS = ("identity", "logistic", "exponential", "mixed")

# Penalties of other libraries that are a separate estimator here.
FOREIGN_PENALTIES = ("top_k",)

# Of the parameter `corruption_level`.
_DEFAULT_LEVEL = 0.3


def read_loss(loss, *, of_codes: bool = False) -> ReconstructionLoss:
    """Return the loss object for a name, a loss, a function or a torch criterion.

    Objects are returned unchanged, and checked. Classes are refused, as are losses of the codes
    unless `of_codes`.
    """
    if isinstance(loss, str):
        return {**LOSSES, **CODE_LOSSES}[loss]()
    if isinstance(loss, type) and issubclass(loss, ReconstructionLoss):
        raise ValueError(
            f"`loss` must be an instance. Got the class {loss.__name__}. Call it, as in "
            f"`{loss.__name__}()`."
        )
    if not isinstance(loss, ReconstructionLoss):
        loss = CriterionLoss(loss)
    if isinstance(loss, NeighborLoss) and not of_codes:
        raise ValueError(
            f"`loss` must be a loss of reconstructions here. Got {loss!r}. It is for "
            "`AutoencoderTransformer` alone."
        )
    name = loss.link if isinstance(loss.link, str) else loss.link[0]
    if name not in LINKS:
        raise ValueError(
            f"`link` of {type(loss).__name__} must be one of {LINKS}. Got {loss.link!r}. It is "
            "'identity' for losses of standardised differences."
        )
    loss.check()
    return loss


def read_penalty(penalty, alpha) -> tuple[Penalty | None, float, Sparsity | None]:
    """Return the penalty or None, its factor, and the sparsity or None for `penalty` and `alpha`.

    Objects are returned unchanged, and checked. An `alpha` that cannot be combined with the object
    is refused, and one without a penalty warned of, as a search may try all combinations.
    """
    if isinstance(penalty, str) and penalty in FOREIGN_PENALTIES:
        raise ValueError(
            f"`penalty` must be one of {sorted(PENALTIES)}. Got {penalty!r}. Use "
            "SparseAutoencoderTransformer for codes of which few are active in a row."
        )
    if isinstance(penalty, Sparsity):
        _check_no_alpha(penalty, alpha)
        penalty.check()
        return None, 0.0, penalty
    if penalty is None:
        if alpha:
            remedy = "Name one, or use `weight_decay` for what `alpha` is in MLPRegressor."
            _warn_of_no_effect(f"{alpha=}", "penalty", remedy)
        return None, 0.0, None
    if isinstance(penalty, str):
        penalty = PENALTIES[penalty]()
    penalty.check()
    return penalty, float(penalty.default_alpha if alpha is None else alpha), None


def _warn_of_no_effect(setting: str, needed: str, remedy: str):
    message = f"{setting} has no effect without a `{needed}`. {remedy}"
    warn_user(message, SkaeWarning, once=True)


def _check_no_alpha(sparsity: Sparsity, alpha: float | None):
    if alpha is not None:
        raise ValueError(
            f"`alpha` must be None with penalty={sparsity!r}, which is not a term of the loss. "
            f"Got {alpha!r}. Set the parameters of the object instead."
        )


def check_rotation(
    rotation: str, given, penalty: Penalty | None, sparsity: Sparsity | None
) -> None:
    """Raise an error for a rotation if a penalty or a sparsity depends on the axes.

    `given` is the estimator's `penalty`, for the message.
    """
    if sparsity is not None or (penalty is not None and not penalty.rotates):
        raise ValueError(
            f"`rotation` must be 'pca' with penalty={given!r}, whose codes keep their axes. Got "
            f"{rotation!r}. Leave out one of the two."
        )


def check_nested(estimator) -> None:
    """Raise an error for parameters that cannot be combined with nested codes."""
    reasons = {
        "penalty": (None, "It would act on all codes, however many are kept."),
        "rotation": ("pca", "Other rotations mix all codes, and leave none first."),
        "tied_weights": (False, "Each range of numbers of codes has its own decoder."),
    }
    _check_defaults(estimator, reasons, "nested=True")


def read_corruption(corruption, level: float) -> Corruption | None:
    """Return the corruption for a name and a level, or a given object, and check its parameters.

    A level without a corruption is warned of, as is `alpha` in `read_penalty`.
    """
    if corruption is None:
        if level not in (0, _DEFAULT_LEVEL):
            remedy = "Name one, such as corruption='gaussian'."
            _warn_of_no_effect(f"corruption_level={level!r}", "corruption", remedy)
        return None
    if not isinstance(corruption, str):
        corruption.check()
        return corruption
    if corruption != "gaussian" and level > 1:
        raise ValueError(
            f"`corruption_level` must be a share of the cells, from 0 to 1, with {corruption=!r}. "
            f"Got {level!r}. Only the level of 'gaussian' is in units of X."
        )
    return CORRUPTIONS[corruption](level)


def check_row_losses(
    loss: ReconstructionLoss, settings, n_features: int, weights: np.ndarray | None, *, name: str
):
    """Warn about a loss with one number for all rows, and reject it for weighted rows.

    `name` is the estimator's parameter of the loss.
    """
    if loss.tells_rows_apart(n_features, settings.network.torch_dtype):
        return
    if weights is not None:
        raise ValueError(
            f"`{name}` must return the loss of each row or cell if rows have weights. Got a "
            "single number. Leave out its mean over the rows, or fit without `sample_weight`."
        )
    if not settings.loop.early_stopping:
        return
    warn_user(
        f"`{name}` returns a single number for all rows, so it cannot be tested whether the "
        "network is clearly better than PCA on held-out rows, and the epoch with the lowest loss "
        "is used instead. Return the loss of each row or cell.",
        RowLossWarning,
        once=True,
    )


def check_neighbor_parameters(estimator):
    """Raise an error for parameters that do not apply to a neighbour loss, if they were changed."""
    reasons = {
        "penalty": (None, "The loss is one of the codes already."),
        "missing": (None, "Rows with missing cells have no exact neighbours; fill them first."),
        "whiten": (False, "Codes of unit variance have other neighbours."),
        "rotation": ("pca", "The codes of other rotations have other neighbours."),
        "nested": (False, "Neighbours are kept by all codes together."),
    }
    _check_defaults(estimator, reasons, "a loss of neighbours")


def _check_defaults(estimator, reasons: dict[str, tuple[Any, str]], condition: str):
    """Raise an error for a parameter that must have its default, given it and the reason."""
    for name, (default, reason) in reasons.items():
        value = getattr(estimator, name)
        if value != default:
            raise ValueError(
                f"`{name}` must be {default!r} with {condition}. Got {value!r}. {reason}"
            )
