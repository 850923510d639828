"""Autoencoder of the Keras tutorials on MNIST: 784-128-64-128-784, cross-entropy, batch 256.

Prints test cross-entropy and squared error per pixel; each number of epochs is a training of its
own, with the whole schedule. See README.md.
"""

import numpy as np
from _common import (
    describe_machine,
    has_data,
    is_installed,
    make_parser,
    print_table,
    quiet,
    time_call,
)
from _rivals import import_keras, make_keras_model

from skae import AutoencoderTransformer
from skae.datasets import load_mnist

# Final loss of the program with Keras and Adam at 1e-3.
_PUBLISHED = ["Keras, as published", 50, "0.07320", "0.00401", None]
# Bound of Keras on probabilities.
_EPSILON = 1e-7


def main(arguments=None):
    """Run the benchmark."""
    options = parse_options(arguments)
    if not has_data("mnist", "mnist.npz"):
        return
    mnist = load_mnist()
    X, X_test = mnist.X_train[: options.rows], mnist.X_test
    print(describe_machine())
    runs = []
    with quiet():
        for n_epochs in options.epochs:
            runs.append(run_ours(X, X_test, n_epochs, options))
    if options.keras_epochs and is_installed("keras"):
        runs += [run_keras(X, X_test, n_epochs, options) for n_epochs in options.keras_epochs]
    layers = [784, *options.hidden, options.codes, *options.hidden[::-1], 784]
    print_table(
        f"{'-'.join(map(str, layers))}, batch {options.batch_size}, {len(X)} rows",
        ["", "epochs", "test cross-entropy", "squared error", "seconds"],
        [*runs, _PUBLISHED],
    )


def parse_options(arguments):
    """Return the options."""
    parser = make_parser(__doc__)
    parser.add_argument("--epochs", nargs="+", type=int, default=[1, 10], help="1 and 10")
    parser.add_argument("--keras-epochs", nargs="*", type=int, help="as --epochs by default")
    parser.add_argument("--hidden", nargs="+", type=int, default=[128], help="hidden layers")
    parser.add_argument("--codes", type=int, default=64, help="64 by default")
    parser.add_argument("--batch-size", type=int, default=256, help="256 by default")
    parser.add_argument("--rows", type=int, help="rows to train on, all by default")
    options = parser.parse_args(arguments)
    if options.quick:
        options.rows, options.epochs = options.rows or 5000, [1]
    if options.keras_epochs is None:
        options.keras_epochs = options.epochs
    return options


def run_ours(X, X_test, n_epochs, options):
    """Return a line of the table for skae, trained on all rows."""
    params = {
        "hidden_layer_sizes": tuple(options.hidden),
        "loss": "binary_cross_entropy",
        "batch_size": options.batch_size,
        "max_iter": n_epochs,
        "early_stopping": False,
        "random_state": 0,
    }
    model = AutoencoderTransformer(options.codes, **(params | options.set))
    _, seconds = time_call(model.fit, X)
    return [
        "skae",
        n_epochs,
        *judge(X_test, model.inverse_transform(model.transform(X_test))),
        seconds,
    ]


def run_keras(X, X_test, n_epochs, options):
    """Return a line of the table for Keras."""
    keras = import_keras()
    keras.utils.set_random_seed(0)
    sizes = [784, *options.hidden, options.codes, *options.hidden[::-1], 784]
    model = make_keras_model(sizes, output="sigmoid", loss="binary_crossentropy")
    fit = {"epochs": n_epochs, "batch_size": options.batch_size, "verbose": 0}
    _, seconds = time_call(lambda: model.fit(X, X, **fit))
    name = f"Keras {keras.__version__} on {keras.backend.backend()}"
    return [name, n_epochs, *judge(X_test, model.predict(X_test, verbose=0)), seconds]


def judge(X, reconstruction):
    """Return the mean cross-entropy and the mean squared error, each per pixel."""
    p = np.clip(reconstruction.astype(np.float64), _EPSILON, 1 - _EPSILON)
    cross_entropy = -(X * np.log(p) + (1 - X) * np.log(1 - p)).mean()
    return f"{cross_entropy:.5f}", f"{np.square(X - reconstruction).mean():.5f}"


if __name__ == "__main__":
    main()
