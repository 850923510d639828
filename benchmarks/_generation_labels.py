"""Classifying digits with 100 labels: from pixels, PCA's codes, and codes of autoencoders."""

import numpy as np
from _common import count_seconds, print_table
from _generation_data import load_images, standard_error
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.svm import SVC

from skae import AutoencoderTransformer, VariationalAutoencoderTransformer

_N_UNLABELLED, _N_OF_EACH = 10_000, 10
_N_DRAWS, _N_DRAWS_QUICK = 10, 2
_HIDDEN = (512, 256)


def report_labels(options):
    """Print the test accuracy of classifiers trained with ten labels of each digit."""
    options.rows = options.rows or _N_UNLABELLED
    images = load_images(options)
    n_draws = _N_DRAWS_QUICK if options.quick else _N_DRAWS
    rows, of_pixels = [], None
    for name, transformer in make_representations(options).items():
        seconds = None
        codes = images.X_train, images.X_test
        if transformer is not None:
            seconds = count_seconds(transformer.fit, images.X_train)
            codes = tuple(map(transformer.transform, codes))
        scores = np.array([read(codes, images, seed) for seed in range(n_draws)])
        of_pixels = scores if of_pixels is None else of_pixels
        error = float(standard_error(scores - of_pixels).max())
        rows.append([name, *scores.mean(0).tolist(), error, seconds])
    print_table(
        f"Accuracy on {images.name} of the test with {10 * _N_OF_EACH} labels, and codes of "
        f"{len(images.X_train)} digits without; mean of {n_draws} draws",
        ["", "logistic", "kernel machine", "error of difference to pixels", "processor seconds"],
        rows,
    )


def make_representations(options):
    """Return transformers to codes by name; None stands for the pixels."""
    params = {"hidden_layer_sizes": _HIDDEN, "random_state": options.seed} | options.set
    if options.epochs:
        params["max_iter"] = options.epochs
    variational = {"likelihood": "bernoulli", **params}
    return {
        "pixels": None,
        "PCA, 16 codes": PCA(16, random_state=0),
        "PCA, 32 codes": PCA(32, random_state=0),
        "PCA, 64 codes": PCA(64, random_state=0),
        "autoencoder, 16 codes": AutoencoderTransformer(16, **params),
        "denoising, 16 codes": AutoencoderTransformer(
            16, corruption="masking", corruption_level=0.3, **params
        ),
        "variational, 16 codes": VariationalAutoencoderTransformer(16, **variational),
        "variational, 32 codes": VariationalAutoencoderTransformer(32, **variational),
    }


def read(codes, images, seed):
    """Return the accuracies of two classifiers with some labels."""
    Z, Z_test = codes
    y, source = images.y_train, np.random.RandomState(seed)
    chosen = np.concatenate(
        [
            source.choice(np.flatnonzero(y == digit), _N_OF_EACH, replace=False)
            for digit in range(10)
        ]
    )
    machines = [
        (LogisticRegression(max_iter=2000), {"C": [1e-3, 1e-2, 0.1, 1, 10]}),
        (SVC(), {"C": [1, 10], "gamma": ["scale"]}),
    ]
    # One scale for all columns, because the relative sizes of codes and pixels are informative.
    scale = Z[chosen].std() or 1.0
    return [
        GridSearchCV(machine, grid, cv=5)
        .fit(Z[chosen] / scale, y[chosen])
        .score(Z_test / scale, images.y_test)
        for machine, grid in machines
    ]
