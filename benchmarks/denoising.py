"""Denoising MNIST: squared error between clean test images and reconstructions of noisy ones.

PCA is fitted to noisy images and takes the number of components that is best for it on the test
images, which favours it. See README.md.
"""

import numpy as np
from _common import describe_machine, has_data, make_parser, print_table, quiet, time_call
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer
from skae.datasets import load_mnist

_MOST_COMPONENTS = 200


def main(arguments=None):
    """Run the benchmark."""
    options = parse_options(arguments)
    if not has_data("mnist", "mnist.npz"):
        return
    mnist = load_mnist()
    X, X_test = mnist.X_train[: options.rows], mnist.X_test
    rng = np.random.default_rng(0)
    X_noisy = add_noise(X, options.level, rng)
    X_test_noisy = add_noise(X_test, options.level, rng)
    n_components, pca_error, seconds = find_best_pca(X_noisy, X_test_noisy, X_test)
    print(describe_machine())
    nothing = np.square(X_test_noisy - X_test).mean()
    rows = [
        ["the noisy image", None, nothing, nothing / pca_error, None],
        ["PCA", n_components, pca_error, 1.0, seconds],
    ]
    model = make_autoencoder(options)
    with quiet():
        _, seconds = time_call(model.fit, X)
    reconstruction = model.inverse_transform(model.transform(X_test_noisy))
    error = np.square(reconstruction - X_test).mean()
    rows.append(["skae", model.n_components_, error, error / pca_error, seconds])
    print_table(
        f"MNIST, {len(X)} rows, Gaussian noise of {options.level}; aim: 0.4 of PCA",
        ["", "codes", "error per pixel", "over PCA", "fit seconds"],
        [[*row[:2], f"{row[2]:.5f}", *row[3:]] for row in rows],
    )


def parse_options(arguments):
    """Return the options."""
    parser = make_parser(__doc__)
    parser.add_argument("--level", type=float, default=0.5, help="standard deviation, 0.5")
    parser.add_argument("--codes", type=int, default=128, help="128 by default")
    parser.add_argument("--rows", type=int, help="rows to train on, all by default")
    options = parser.parse_args(arguments)
    if options.quick:
        options.rows = options.rows or 3000
        options.set = {"max_iter": 5, **options.set}
    return options


def add_noise(X, level, rng):
    """Return X with Gaussian noise, not clipped."""
    return X + rng.normal(scale=level, size=X.shape).astype(X.dtype)


def find_best_pca(X_noisy, X_test_noisy, X_test):
    """Return the number of components, the error with these, and the seconds of the fit."""
    pca, seconds = time_call(PCA(_MOST_COMPONENTS, random_state=0).fit, X_noisy)
    # Each axis reduces the error from the clean image by its own contribution.
    codes, clean = pca.transform(X_test_noisy), pca.transform(X_test)
    changes = np.square(codes - clean).mean(0) - np.square(clean).mean(0)
    errors = (np.square(X_test - pca.mean_).sum(1).mean() + np.cumsum(changes)) / X_test.shape[1]
    return int(errors.argmin()) + 1, float(errors.min()), seconds


def make_autoencoder(options):
    """Return the estimator."""
    params = {
        "hidden_layer_sizes": (512, 256),
        "corruption": "gaussian",
        "corruption_level": options.level,
        "random_state": 0,
    }
    return AutoencoderTransformer(options.codes, **(params | options.set))


if __name__ == "__main__":
    main()
