"""Autoencoder of Hinton and Salakhutdinov on MNIST: 784-1000-500-250-30.

Prints the squared error per test image, summed over its pixels, against epochs and seconds. The
test images are only looked at, with the clock stopped. See README.md.

G. E. Hinton and R. R. Salakhutdinov, "Reducing the dimensionality of data with neural networks",
Science 313, 2006. https://doi.org/10.1126/science.1127647
"""

import torch
from _common import (
    describe_machine,
    has_data,
    limit_threads,
    make_parser,
    print_table,
    quiet,
    time_call,
)
from _curve import fit_with_curve, judge
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer
from skae.datasets import load_mnist

# Squared errors per test image of logistic PCA and of the autoencoder, from the paper.
_PAPER = {"logistic PCA, in the paper": 8.01, "autoencoder, in the paper": 3.00}


def main(arguments=None):
    """Run the benchmark."""
    options = parse_options(arguments)
    if not has_data("mnist", "mnist.npz"):
        return
    mnist = load_mnist()
    X, X_test = mnist.X_train[: options.rows], mnist.X_test[: options.test_rows]
    with quiet(), limit_threads(options.threads):
        print(describe_machine())
        report(X, X_test, make_model(options), options)


def parse_options(arguments):
    """Return the options."""
    parser = make_parser(__doc__)
    add = parser.add_argument
    add("--loss", default="squared_error", help="or binary_cross_entropy")
    add("--epochs", type=int, default=15, help="15 by default")
    add("--batch-size", type=int, default=256, help="256 by default")
    add("--learning-rate", type=float, help="the estimator's default by default")
    add("--weight-decay", type=float, help="the estimator's default by default")
    add("--early-stopping", action="store_true", help="hold a tenth out to choose the epoch")
    add("--hidden", nargs="+", type=int, default=[1000, 500, 250], help="hidden layers")
    add("--rows", type=int, help="images to train on, all by default")
    add("--test-rows", type=int, help="images to judge by, all by default")
    add("--every", type=int, default=1, help="epochs between two points of the curve")
    add("--threads", type=int, default=torch.get_num_threads(), help="torch's choice by default")
    options = parser.parse_args(arguments)
    if options.quick:
        options.epochs, options.rows = min(options.epochs, 2), options.rows or 5000
    return options


def make_model(options):
    """Return the estimator."""
    params = {
        "hidden_layer_sizes": tuple(options.hidden),
        "loss": options.loss,
        "max_iter": options.epochs,
        "batch_size": options.batch_size,
        "learning_rate_init": options.learning_rate,
        "weight_decay": options.weight_decay,
        "early_stopping": options.early_stopping,
        "random_state": 0,
    }
    given = {name: value for name, value in params.items() if value is not None}
    return AutoencoderTransformer(30, **(given | options.set))


def report(X, X_test, model, options):
    """Fit the estimator, and print the curve and the final errors."""
    curve, seconds = time_call(fit_with_curve, model, X, X_test, options.every)
    final = judge(model, X_test)
    pca = judge(PCA(30, svd_solver="covariance_eigh").fit(X), X_test)
    epoch, best_seconds, best = min(curve.points, key=lambda point: point[2])
    print_table(
        f"Squared error per test image, {len(X)} images to train on",
        ["", "error", "over PCA's", "epochs", "seconds"],
        [
            ["PCA", pca, 1.0, None, None],
            *([name, error, error / pca, None, None] for name, error in _PAPER.items()),
            ["skae, as fit leaves it", final, final / pca, model.n_iter_, seconds - curve.stopped],
            ["skae, best of the curve", best, best / pca, epoch, best_seconds],
        ],
    )


if __name__ == "__main__":
    main()
