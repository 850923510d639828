"""Training on a GPU: ratios of seconds to a plain torch loop, and of many models to one.

The rows of the raw loop are on the GPU from the beginning. What is fitted there is warmed up first.
Without a GPU everything runs on the processor, which tells that it runs and nothing else.
"""

import statistics
import time

import numpy as np
import torch
from _common import (
    add_parts,
    describe_machine,
    is_installed,
    make_parser,
    print_table,
    quiet,
    time_interleaved,
)
from _rivals import PlainNetwork, train_plainly
from _speed_training import DIGITS, MNIST, load_digit_rows, make_ours
from sklearn.decomposition import PCA

from skae._engine.compute.device import resolve_device
from skae._engine.fitting.fit import set_up
from skae._engine.fitting.splitting import Split
from skae._engine.start.prepared_table import describe_table, share_weights
from skae._engine.steps.optimizer import adamw_groups, make_adamw
from skae._engine.tables.resident import make_resident
from skae.datasets import has_data_file, load_mnist

_AIM_OF_FIT = 0.25
_AIM_OF_MODELS = 20.0


def load_rows(n_rows):
    """Return rows of MNIST, or random rows of this shape without the file."""
    if has_data_file("mnist.npz"):
        return load_mnist().X_train[:n_rows]
    print("SKAE_DATA does not name a folder with mnist.npz: rows are random numbers instead.")
    return np.random.default_rng(0).uniform(size=(n_rows or 60_000, 784)).astype(np.float32)


def wait(device):
    """Wait until the device has finished."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def time_plain_training(rows, n_epochs):
    """Train a network by a plain torch loop on the device of the rows, and return the seconds."""
    network = PlainNetwork(rows.shape[1], MNIST["hidden"], MNIST["n_components"]).to(rows.device)
    wait(rows.device)
    start = time.perf_counter()
    train_plainly(network, rows, n_epochs=n_epochs, batch_size=256)
    wait(rows.device)
    return time.perf_counter() - start


def measure_fit(options, device):
    """Compare whole fits, including PCA, with the plain loop, whose rows are on the device."""
    X = load_rows(2_000 if options.quick else None)
    n_epochs = options.epochs or (2 if options.quick else 20)
    settings = options.set | {"device": str(device)}
    resident = torch.from_numpy(X).to(device)
    epochs = []

    def fit_ours():
        model = make_ours(MNIST, n_epochs, settings).fit(X)
        epochs.append(statistics.median(model.net_.history[:, "dur"]))

    contenders = {
        "skae": fit_ours,
        "raw torch": lambda: time_plain_training(resident, n_epochs),
    }
    seconds = time_interleaved(contenders, options.rounds)
    ours, theirs = (statistics.median(own) for own in seconds.values())
    rows = [
        ["whole fit", ours, theirs, ours / theirs, _AIM_OF_FIT],
        ["epoch", epochs[-1], theirs / n_epochs, epochs[-1] * n_epochs / theirs, None],
    ]
    title = f"{len(X):,} x {X.shape[1]}, {X.shape[1]}-128-64, batch 256, {n_epochs} epochs"
    print_table(title, ["", "skae, s", "raw torch, s", "ratio", "aim"], rows)


def make_training(X, device, n_models):
    """Return a step of several models of one shape, and rows on the device."""
    settings = make_ours(DIGITS, 1, {"device": str(device)})._make_settings()
    setup = set_up(
        X,
        None,
        Split(torch.arange(len(X)), None),
        settings.family,
        settings.network,
        settings.loop,
        None,
    )
    generator = torch.Generator().manual_seed(0)
    components = setup.table.principal_components
    modules = [
        setup.family.make_module(setup.plan, setup.table, components, generator).to(device)
        for _ in range(n_models)
    ]
    groups = adamw_groups(setup.loop, X.shape[1], linear_path=True)
    optimizers = [make_adamw(module, groups) for module in modules]
    objective = setup.family.make_objective(setup.table, generator).to(device)
    step = setup.family.make_step(
        modules, objective, optimizers, by_autograd=False, precision=torch.no_grad
    )
    return step, setup.table.rows.tensor


def train_models(step, rows, *, n_epochs, batch_size=64):
    """Train models side by side with different orders of rows, and return the seconds."""
    n_models = len(step.modules)
    wait(rows.device)
    start = time.perf_counter()
    total = torch.zeros(n_models, device=rows.device)
    for _ in range(n_epochs):
        orders = torch.rand(n_models, len(rows), device=rows.device).argsort(1)
        for indices in orders.split(batch_size, 1):
            batch = rows[indices]
            total += step.accumulate_(batch, batch).mean(1)
            step.update_()
    wait(rows.device)
    return time.perf_counter() - start


def measure_models(options, device):
    """Compare the training of many models of digits side by side with that of one."""
    n_models = options.models or (20 if options.quick else 1_000)
    n_epochs = 2 if options.quick else 10
    X = load_digit_rows()[: 500 if options.quick else None]
    trainings = {n: make_training(X, device, n) for n in (1, n_models)}
    contenders = {
        n: lambda own=own: train_models(*own, n_epochs=n_epochs) for n, own in trainings.items()
    }
    seconds = time_interleaved(contenders, options.rounds)
    one, many = (statistics.median(own) for own in seconds.values())
    rows = [[f"{n_models:,}", many, one, many / one, _AIM_OF_MODELS]]
    title = f"Digits, 64-128-16-128-64, batch 64, {n_epochs} epochs, models side by side"
    print_table(title, ["models", "seconds", "of one model", "ratio", "aim"], rows)


def measure_pca(options, device):
    """Compare the initial PCA of networks with other implementations."""
    X = load_rows(2_000 if options.quick else None)
    settings = make_ours(MNIST, 1, {"device": str(device)})._make_settings().network
    _, shares = share_weights(None, np.ones(len(X), dtype=bool))
    contenders = {
        "skae": lambda: describe_table(X, shares, settings, make_resident(X, device)),
        "skae, on the processor": lambda: describe_table(X, shares, settings),
        "scikit-learn": lambda: PCA(64, svd_solver="covariance_eigh").fit(X),
    }
    if device.type == "cuda" and is_installed("cuml"):
        from cuml import PCA as CudaPCA

        resident = torch.from_numpy(X).to(device)
        contenders["cuML, rows on the GPU"] = lambda: (CudaPCA(64).fit(resident), wait(device))
    seconds = time_interleaved(contenders, options.rounds)
    medians = {name: statistics.median(own) for name, own in seconds.items()}
    rows = [[name, own, medians["skae"] / own] for name, own in medians.items()]
    print_table("PCA of the same rows, 64 axes", ["", "seconds", "skae over it"], rows)


PARTS = {"fit": measure_fit, "models": measure_models, "pca": measure_pca}


def main(arguments=None):
    """Run the selected parts, all by default."""
    parser = make_parser(__doc__)
    add_parts(parser, PARTS)
    parser.add_argument("--rounds", type=int, help="how often contenders take turns")
    parser.add_argument("--epochs", type=int, help="epochs of each fit")
    parser.add_argument("--models", type=int, help="models side by side, 1000 by default")
    parser.add_argument("--device", default="auto", help="where to compute, 'auto' by default")
    options = parser.parse_args(arguments)
    options.rounds = options.rounds or (1 if options.quick else 3)
    device = resolve_device(options.device, "float32")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "no GPU"
    print(f"{describe_machine()}; {name}")
    with quiet():
        for part in options.parts:
            PARTS[part](options, device)


if __name__ == "__main__":
    main()
