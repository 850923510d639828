"""Distance between codes of digits and draws of the prior, and reconstruction error."""

import numpy as np
import torch
from _common import count_seconds, print_table
from _generation_data import load_images
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from skae import (
    AdversarialAutoencoderTransformer,
    AutoencoderTransformer,
    VariationalAutoencoderTransformer,
)

_N_CODES = 8
_HIDDEN = (256, 128)
_EPOCHS = 20
# Half of the default, as the documentation recommends for so many rows.
_RATE = 0.005


def report_adversarial(options):
    """Print the AUC of classifiers of test codes and draws, and the reconstruction error."""
    images = load_images(options)
    rows, error_of_plain = [], None
    for name, model in make_models(options).items():
        seconds = count_seconds(model.fit, images.X_train)
        error = float(np.mean(model.reconstruction_errors(images.X_test)))
        error_of_plain = error_of_plain or error
        areas_and_distance = tell_apart(draw_codes(model, images.X_test))
        rows.append([name, *areas_and_distance, error / error_of_plain, seconds])
    print_table(
        f"{_N_CODES} codes of {images.name} that were held out, against the normal distribution; "
        "aims: AUC 0.6, error/plain 1.25",
        ["", "AUC, trees", "AUC, network", "energy distance", "error/plain", "processor seconds"],
        rows,
    )


def make_models(options):
    """Return the estimators by name, with the reference for errors first."""
    params = {
        "hidden_layer_sizes": _HIDDEN,
        "max_iter": options.epochs or _EPOCHS,
        "random_state": options.seed,
    }
    all_rows = params | {"early_stopping": False}
    ours = params | {"learning_rate_init": _RATE} | options.set
    return {
        "autoencoder, whitened": AutoencoderTransformer(_N_CODES, whiten=True, **all_rows),
        "adversarial": AdversarialAutoencoderTransformer(_N_CODES, **ours),
        "adversarial, mmd": AdversarialAutoencoderTransformer(_N_CODES, divergence="mmd", **ours),
        "variational": VariationalAutoencoderTransformer(_N_CODES, **all_rows),
    }


def draw_codes(model, X):
    """Return codes, drawn from the posterior if there is one."""
    codes = model.transform(X)
    if not hasattr(model, "posterior_std"):
        return codes
    noise = np.random.default_rng(0).standard_normal(codes.shape)
    return codes + noise * model.posterior_std(X)


def tell_apart(codes):
    """Return the AUC of two classifiers on held-out rows, and the energy distance."""
    draws = np.random.default_rng(1).standard_normal(codes.shape)
    both, is_draw = np.concatenate([codes, draws]), np.repeat([0, 1], len(codes))
    split = train_test_split(both, is_draw, test_size=0.5, random_state=0, stratify=is_draw)
    areas = []
    for judge in (
        HistGradientBoostingClassifier(random_state=0),
        MLPClassifier((64, 64), early_stopping=True, max_iter=100, random_state=0),
    ):
        judge.fit(split[0], split[2])
        areas.append(float(roc_auc_score(split[3], judge.predict_proba(split[1])[:, 1])))
    return [*areas, energy_distance(codes, draws)]


def energy_distance(one, other, n_rows=5000):
    """Return an unbiased estimate of the energy distance between two tables of draws.

    G. J. Szekely and M. L. Rizzo, "Energy statistics", Journal of Statistical Planning and
    Inference 143, 2013.
    """
    one, other = (torch.as_tensor(np.asarray(t[:n_rows], np.float64)) for t in (one, other))
    among = [torch.cdist(t, t).sum() / (len(t) * (len(t) - 1)) for t in (one, other)]
    return float(2 * torch.cdist(one, other).mean() - among[0] - among[1])
