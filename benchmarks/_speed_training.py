"""Parts of speed.py on training: digits, mnist, whole, growth."""

import statistics
import time

import numpy as np
import torch
from _common import (
    compare_seconds,
    has_data,
    is_installed,
    limit_threads,
    print_table,
    time_interleaved,
)
from _rivals import PlainNetwork, import_keras, make_keras_model, make_skorch_net, train_plainly
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPRegressor

from skae import AutoencoderTransformer
from skae.datasets import load_mnist

DIGITS = {"hidden": (128,), "n_components": 16, "batch_size": 64}
MNIST = {"hidden": (128,), "n_components": 64, "batch_size": 256}


def make_ours(sizes, n_epochs, settings, **params):
    """Return an estimator with the network, loss, optimiser and constant rate of the rivals."""
    plain = {
        "hidden_layer_sizes": sizes["hidden"],
        "activation": "relu",
        "batch_size": sizes["batch_size"],
        "max_iter": n_epochs,
        "learning_rate": "constant",
        "learning_rate_init": 1e-3,
        "weight_decay": 0.0,
        "early_stopping": False,
        "random_state": 0,
    }
    return AutoencoderTransformer(sizes["n_components"], **(plain | params | settings))


def load_digit_rows():
    """Return the 1,797 digits in [0, 1]."""
    return load_digits().data.astype(np.float32) / 16


def load_mnist_rows(n_rows=None):
    """Return images of MNIST, or print a line and return None without the file."""
    return load_mnist().X_train[:n_rows] if has_data("mnist", "mnist.npz") else None


def measure_digits(options):
    """Compare whole fits on digits, with one thread."""
    X = load_digit_rows()
    n_epochs = options.epochs or (5 if options.quick else 20)

    def fit_ours(init):
        make_ours(DIGITS, n_epochs, options.set, init=init).fit(X)

    def fit_torch():
        network = PlainNetwork(X.shape[1], DIGITS["hidden"], DIGITS["n_components"])
        train_plainly(network, torch.from_numpy(X), n_epochs=n_epochs, batch_size=64)

    def fit_perceptron():
        MLPRegressor(
            hidden_layer_sizes=(128, 16, 128),
            batch_size=64,
            max_iter=n_epochs,
            n_iter_no_change=n_epochs,
            random_state=0,
        ).fit(X, X)

    def fit_skorch():
        train_skorch(X, DIGITS, n_epochs)

    contenders = {
        "skae, init='pca'": lambda: fit_ours("pca"),
        "skae, init='random'": lambda: fit_ours("random"),
        "raw torch": fit_torch,
        "MLPRegressor": fit_perceptron,
        "skorch": fit_skorch,
    }
    with limit_threads(1):
        seconds = time_interleaved(contenders, options.rounds)
    aims = {"raw torch": 0.55, "MLPRegressor": 0.55, "skorch": 0.2}
    title = f"digits, 64-128-16-128-64, batch 64, one thread, {n_epochs} epochs: seconds of a fit"
    compare_seconds(title, seconds, aims)


def train_skorch(X, sizes, n_epochs):
    """Return skorch's net after training on all rows in a random order."""
    net = make_skorch_net(
        X.shape[1],
        sizes["hidden"],
        sizes["n_components"],
        batch_size=sizes["batch_size"],
        max_epochs=n_epochs,
        train_split=None,
        iterator_train__shuffle=True,
    )
    return net.fit(X, X)


def measure_mnist(options):
    """Compare seconds of an epoch on MNIST, with two threads."""
    X = load_mnist_rows(5_000 if options.quick else None)
    if X is None:
        return
    n_epochs = options.epochs or (1 if options.quick else 2)

    def train_ours(init):
        model = make_ours(MNIST, n_epochs, options.set, init=init).fit(X)
        return statistics.mean(model.net_.history[:, "dur"])

    def train_torch():
        network = PlainNetwork(X.shape[1], MNIST["hidden"], MNIST["n_components"])
        start = time.perf_counter()
        train_plainly(network, torch.from_numpy(X), n_epochs=n_epochs, batch_size=256)
        return (time.perf_counter() - start) / n_epochs

    contenders = {
        "skae, init='pca'": lambda: train_ours("pca"),
        "skae, init='random'": lambda: train_ours("random"),
        "raw torch": train_torch,
        "skorch": lambda: statistics.mean(train_skorch(X, MNIST, n_epochs).history[:, "dur"]),
    }
    if is_installed("keras"):
        contenders["Keras"] = lambda: train_keras(X, n_epochs)
    with limit_threads(2):
        seconds = time_interleaved(contenders, options.rounds)
    aims = {"raw torch": 0.8, "skorch": 0.4, "Keras": 0.2}
    title = f"MNIST, {len(X)} rows, 784-128-64-128-784, batch 256, two threads: seconds of an epoch"
    compare_seconds(title, seconds, aims)


def train_keras(X, n_epochs):
    """Return the seconds of an epoch, without the first, in which Keras compiles its step."""
    ends = []
    keras = import_keras()
    clock = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: ends.append(time.perf_counter())
    )
    sizes = [X.shape[1], *MNIST["hidden"], MNIST["n_components"], *MNIST["hidden"], X.shape[1]]
    model = make_keras_model(sizes)
    model.fit(X, X, epochs=n_epochs + 1, batch_size=256, verbose=0, callbacks=[clock])
    return (ends[-1] - ends[0]) / n_epochs


def measure_growth(options):
    """Compare seconds per row and epoch over tables of growing length."""
    counts = (10_000, 50_000) if options.quick else (10_000, 100_000, 1_000_000)
    generator = np.random.default_rng(0)
    loadings = generator.normal(size=(10, 50)).astype(np.float32)
    seconds = {count: [] for count in counts}
    sizes = {"hidden": (128,), "n_components": 10, "batch_size": 256}
    for _ in range(max(2, options.rounds // 2)):
        for count in counts:
            X = generator.normal(size=(count, 10)).astype(np.float32) @ loadings
            X += generator.normal(size=X.shape).astype(np.float32)
            n_epochs = max(1, min(10, 200_000 // count))
            model = make_ours(sizes, n_epochs, options.set).fit(X)
            seconds[count].append(statistics.median(model.net_.history[:, "dur"]))
    first = counts[0]
    rows = []
    for count in counts:
        pairs = zip(seconds[count], seconds[first], strict=True)
        growth = statistics.median(a / b * first / count for a, b in pairs)
        rows.append([f"{count:,}", statistics.median(seconds[count]), growth, 1.15])
    title = "Growth: an epoch of 50 columns, batch 256, over linear growth from the first line"
    print_table(title, ["rows", "seconds", "over linear", "aim"], rows)
