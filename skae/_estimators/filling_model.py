"""An autoencoder that fills missing values of encoded rows, with weights for its fills."""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from sklearn.utils import check_random_state

from skae._engine import (
    FillJudgement,
    fill_table,
    find_corrections,
    hold_out,
    judge_changes,
    judge_fills,
    measure_fills,
    ordinary_torch_state,
)
from skae._estimators.autoencoder import AutoencoderTransformer
from skae._estimators.neighbor_fills import choose_kept, find_neighbor_changes
from skae._estimators.refusals import advise
from skae.corruption import HidingNoise

# A fifth of the rows is held out, but no more than these. The model is refitted to all rows if
# that is worth the time.
_MOST_JUDGING_ROWS = 1000
_LEAST_SHARE_FOR_REFIT = 0.05
# From this share on, the table itself shows the pattern of missing values.
_LEAST_SHARE_FOR_PATTERN = 0.02
_FEWEST_JUDGING_ROWS = 5
_SHARE_TO_HIDE = 0.2
_GREATEST_SPREAD = 2.0
_UNITS = (
    "AutoencoderImputer gives its `autoencoder` columns without their mean, in units of their "
    "standard deviation; the values above are in these units. Leave `output_range` and `loss` of "
    "the `autoencoder` at their defaults, and bound the imputed values by `min_value` and "
    "`max_value` of the imputer, which are in units of X."
)


@dataclass(frozen=True)
class FillingModel:
    """A fitted autoencoder, with the weights of its corrections and of the nearest rows."""

    autoencoder: AutoencoderTransformer
    """The fitted autoencoder, barely trained if it does not help."""

    judgement: FillJudgement
    """Share of its correction that does best, and the errors; NaN where there are too few rows."""

    spread: float = 1.0
    """Factor, at least 1, by which residuals of new rows vary more than those of training rows
    because of the network."""

    neighbor_share: float = 0.0
    """Share of the way from these fills to means of the nearest rows that does best."""


def fit_filling_model(
    Z: np.ndarray, groups: np.ndarray, template, n_components, random_state, form, row_groups
) -> FillingModel:
    """Fit an autoencoder to encoded rows, and choose the weights on held-out rows.

    Z has roughly standardised rows (n_samples, n_encoded), NaN for missing values, and `groups` the
    feature of each of its columns. If `template` is None, the autoencoder has the usual parameters
    of the imputer. It uses `form`, the shape of a sample in X, if no feature was dropped. Rows of
    one of `row_groups` are not split between training and held-out rows.
    """
    source = check_random_state(random_state)
    seeds = source.randint(2**31 - 1, size=2)
    n_judging = min(len(Z) // 5, _MOST_JUDGING_ROWS)
    judging, training = _set_aside(len(Z), n_judging, row_groups, source)
    template = _make_template() if template is None else template
    form = form if math.prod(form) == Z.shape[1] else Z.shape[1:]
    corruption = _make_corruption(template, groups)
    params = {"n_components": n_components, "corruption": corruption, "random_state": seeds[0]}
    if len(judging) < _FEWEST_JUDGING_ROWS:
        nothing = FillJudgement(0.0, float("nan"), float("nan"))
        params["max_iter"] = 1
        return FillingModel(_fit_autoencoder(template, Z, form, params, row_groups), nothing)
    noise = _choose_noise(Z[judging], corruption, groups)
    own = None if row_groups is None else row_groups[training]
    autoencoder = _fit_autoencoder(template, Z[training], form, params, own)
    options = noise, int(seeds[1])
    judgement = _apply(judge_fills, autoencoder, Z[judging], *options)
    model = FillingModel(autoencoder, judgement)
    model = _judge_neighbors(model, Z[training], Z[judging], *options)
    if len(judging) <= _LEAST_SHARE_FOR_REFIT * len(Z):
        return model
    # An unused network need not be trained.
    params |= {} if judgement.share else {"max_iter": 1}
    model = replace(model, autoencoder=_fit_autoencoder(template, Z, form, params, row_groups))
    if not judgement.share:
        return model
    errors = _apply(measure_fills, model.autoencoder, Z[judging], *options, judgement.share)
    return replace(model, spread=_find_spread(judgement, *errors))


def _judge_neighbors(model: FillingModel, Z, Z_judging, noise, seed: int) -> FillingModel:
    """Return the model with the weight of neighbours that is best on held-out rows."""
    autoencoder, judgement = model.autoencoder, model.judgement
    Z = Z[choose_kept(*Z.shape)]
    known, has = fill_rows(autoencoder, Z, judgement.share), ~np.isnan(Z)

    def fill(rows):
        filled = fill_rows(autoencoder, rows, judgement.share)
        return filled, find_neighbor_changes(filled, np.isnan(rows), known, has)

    with ordinary_torch_state():
        found = judge_changes(Z_judging, autoencoder._standardization, noise, seed, fill)
    if not found.share:
        return model
    error = judgement.error * found.error / found.linear_error
    return replace(model, judgement=replace(judgement, error=error), neighbor_share=found.share)


def fill_rows(autoencoder: AutoencoderTransformer, Z: np.ndarray, share: float) -> np.ndarray:
    """Return encoded rows with NaN replaced by the linear fill plus `share` of the correction."""
    return _apply(fill_table, autoencoder, Z, share)


def correct_rows(autoencoder: AutoencoderTransformer, Z: np.ndarray, share: float) -> np.ndarray:
    """Return `share` of the network's corrections to the linear fills of encoded rows."""
    return _apply(find_corrections, autoencoder, Z, share)


class _FillingAutoencoder(AutoencoderTransformer):
    """An autoencoder that may remain PCA without a warning."""

    def _warn_of_weak_fit(self):
        """Give no warning: the imputer reports the errors of both."""


def _make_template() -> AutoencoderTransformer:
    return AutoencoderTransformer(
        corruption="hiding",
        corruption_level=_SHARE_TO_HIDE,
        learning_rate_init=0.003,
        early_stopping=False,
    )


def _make_corruption(template, groups):
    """Return the noise that hides values in training."""
    if template.corruption is None:
        return HidingNoise(_SHARE_TO_HIDE, groups)
    if template.corruption == "hiding":
        return HidingNoise(template.corruption_level, groups)
    return template.corruption


def _set_aside(n_rows, n_judging, row_groups, source) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of held-out rows (of whole groups, if any) and of the other rows."""
    if row_groups is None or not n_judging:
        order = source.permutation(n_rows)
        return np.sort(order[:n_judging]), np.sort(order[n_judging:])
    generator = torch.Generator(device="cpu").manual_seed(int(source.randint(2**31 - 1)))
    training = hold_out(n_rows, n_judging / n_rows, row_groups, generator).train.numpy()
    return np.setdiff1d(np.arange(n_rows), training), training


def _fit_autoencoder(template, Z, form, params, row_groups) -> AutoencoderTransformer:
    params = template.get_params(deep=False) | {"missing": "mask"} | params
    params["random_state"] = int(params["random_state"])
    # A column without values in these rows gets its mean in the first row.
    first = np.where(np.isnan(Z).all(axis=0), 0, Z[:1])
    rows = np.vstack([first, Z[1:]])
    if row_groups is not None and len(row_groups.unique()) < 2:
        row_groups = None
    with advise("X must lie in", _UNITS):
        fitted = _FillingAutoencoder(**params).fit(rows.reshape(-1, *form), groups=row_groups)
    # The stored, displayed and pickled object has the public class.
    autoencoder = AutoencoderTransformer()
    autoencoder.__dict__.update(vars(fitted))
    return autoencoder


def _choose_noise(Z, corruption, groups):
    """Return the noise that hides values from an autoencoder under evaluation."""
    if type(corruption) is not HidingNoise and isinstance(corruption, HidingNoise):
        return corruption
    shows_pattern = np.isnan(Z).mean() >= _LEAST_SHARE_FOR_PATTERN
    return HidingNoise(0.0 if shows_pattern else _SHARE_TO_HIDE, groups)


def _apply(function, autoencoder, Z, *args):
    """Apply a function of the engine to rows and the autoencoder's network."""
    module, standardization = autoencoder.net_.module_, autoencoder._standardization
    with ordinary_torch_state():
        return function(module, Z, standardization, *args)


def _find_spread(judgement: FillJudgement, linear_error: float, error: float) -> float:
    """Return the ratio of errors of held-out rows before and after training on them.

    The errors of the distribution alone decrease, too, without the network.
    """
    before, after = judgement.error / judgement.linear_error, error / max(linear_error, 1e-300)
    return float(np.sqrt(np.clip(before / max(after, 1e-300), 1, _GREATEST_SPREAD**2)))
