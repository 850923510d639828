"""The part of speed.py about networks that are not dense: fits against a loop written by hand."""

import torch
from _common import compare_seconds, limit_threads, time_interleaved
from _generation_data import count_seconds
from _rivals import train_plainly
from _speed_training import load_digit_rows, load_mnist_rows, make_ours
from torch import nn

from skae.architectures import Convolutional

CONV = {"hidden": (), "n_components": 32, "batch_size": 256}
_CHANNELS = (16, 32)


class PlainConvolutional(nn.Module):
    """The network of ``architecture="conv"``, as one writes it for images of one size."""

    def __init__(self, side, n_components):
        super().__init__()
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
        images = rows.view(len(rows), 1, self.side, self.side)
        return self.decoder(self.encoder(images)).flatten(1)


def measure_convolutional(options):
    """Compare whole fits of convolutions in seconds of the processor, with one thread."""
    X = load_mnist_rows(1_000 if options.quick else 10_000)
    X = load_digit_rows() if X is None else X
    side = round(X.shape[1] ** 0.5)
    n_epochs = options.epochs or (1 if options.quick else 5)
    network = {"sample_shape": (1, side, side), "architecture": Convolutional(_CHANNELS, 5)}

    def fit_ours(init):
        make_ours(CONV, n_epochs, options.set, init=init, **network).fit(X)

    def fit_torch():
        plain = PlainConvolutional(side, CONV["n_components"])
        train_plainly(plain, torch.from_numpy(X), n_epochs=n_epochs, batch_size=256)

    contenders = {
        "skae, init='pca'": lambda: count_seconds(fit_ours, "pca"),
        "skae, init='random'": lambda: count_seconds(fit_ours, "random"),
        "raw torch": lambda: count_seconds(fit_torch),
    }
    with limit_threads(1):
        seconds = time_interleaved(contenders, options.rounds)
    title = (
        f"Convolutions, {len(X)} images of {side} x {side}, batch 256, one thread, {n_epochs} "
        "epochs: processor seconds of a fit"
    )
    compare_seconds(title, seconds, {"raw torch": 1.15})
