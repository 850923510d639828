"""Part of speed.py on convolutional networks: fits against a hand-written loop."""

import statistics

import numpy as np
import torch
from _common import count_seconds, limit_threads, median_ratio, print_table, time_interleaved
from _rivals import train_plainly
from _speed_training import load_digit_rows, load_mnist_rows, make_ours
from sklearn.decomposition import PCA
from torch import nn

from skae.architectures import Convolutional

CONV = {"hidden": (), "n_components": 32, "batch_size": 256}
_CHANNELS = (16, 32)
_STARTS = ("pca", "random")


class PlainConvolutional(nn.Module):
    """Network like ``architecture="conv"``, written for images of one size.

    With a PCA of the rows there is a linear path that starts from it beside the network.
    """

    def __init__(self, side, n_components, pca=None):
        super().__init__()
        self.pca = pca
        if pca is not None:
            axes = torch.tensor(pca.components_, dtype=torch.float32)
            self.project, self.project_back = nn.Parameter(axes), nn.Parameter(axes.clone())
        first, second = _CHANNELS
        quarter = side // 4
        self.side = side
        self.encoder = nn.Sequential(
            nn.Conv2d(1, first, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv2d(first, second, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(second * quarter**2, n_components),
        )
        self.decoder = nn.Sequential(
            nn.Linear(n_components, second * quarter**2),
            nn.ReLU(),
            nn.Unflatten(1, (second, quarter, quarter)),
            nn.ConvTranspose2d(second, first, 5, stride=2, padding=2, output_padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(first, 1, 5, stride=2, padding=2, output_padding=1),
        )

    def forward(self, rows):
        """Return reconstructions of rows."""
        code = self.encoder(rows.view(len(rows), 1, self.side, self.side))
        if self.pca is None:
            return self.decoder(code).flatten(1)
        code = code + rows @ self.project.T
        return self.decoder(code).flatten(1) + code @ self.project_back


def measure_convolutional(options):
    """Compare the processor time of whole fits of convolutions, with one thread."""
    X = load_mnist_rows(1_000 if options.quick else 10_000)
    X = load_digit_rows() if X is None else X
    side = round(X.shape[1] ** 0.5)
    n_epochs = options.epochs or (1 if options.quick else 5)
    network = {"sample_shape": (1, side, side), "architecture": Convolutional(_CHANNELS, 5)}

    def fit_ours(init):
        make_ours(CONV, n_epochs, options.set, init=init, **network).fit(X)

    def fit_torch(init):
        n_components, rows = CONV["n_components"], X
        pca = PCA(n_components, svd_solver="covariance_eigh").fit(X) if init == "pca" else None
        if pca is not None:
            rows = (X - pca.mean_).astype(np.float32)
        plain = PlainConvolutional(side, n_components, pca)
        train_plainly(plain, torch.from_numpy(rows), n_epochs=n_epochs, batch_size=256)

    contenders = {}
    for init in _STARTS:
        contenders[f"skae, {init}"] = lambda init=init: count_seconds(fit_ours, init)
        contenders[f"torch, {init}"] = lambda init=init: count_seconds(fit_torch, init)
    with limit_threads(1):
        seconds = time_interleaved(contenders, options.rounds)
    title = (
        f"Convolutions, {len(X)} images of {side} x {side}, batch 256, one thread, {n_epochs} "
        "epochs: processor seconds of a fit"
    )
    pairs = {init: (seconds[f"skae, {init}"], seconds[f"torch, {init}"]) for init in _STARTS}
    rows = [
        [init, *map(statistics.median, pair), median_ratio(*pair), 1.15]
        for init, pair in pairs.items()
    ]
    print_table(title, ["init", "ours s", "raw torch s", "ratio", "aim"], rows)
