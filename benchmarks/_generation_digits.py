"""Generated digits, judged by a classifier of real digits."""

import numpy as np
import torch
from _common import count_seconds, print_table
from _generation_data import load_images
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from torch import nn
from torch.nn import functional as F

from skae import AutoencoderTransformer, VariationalAutoencoderTransformer
from skae.generate import CodeSampler

_CONFIDENT = 0.9
_N_SAMPLES, _N_SAMPLES_QUICK = 10_000, 500
_JUDGE_STEPS = 2500
_HIDDEN = (512, 256)
_N_CODES = 32
_SHOWN = 40


class Judge(nn.Module):
    """Small convolutional classifier of digits, whose last hidden layer gives the features."""

    def __init__(self, side):
        super().__init__()
        self.side = side
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * (side // 4) ** 2, 128),
            nn.ReLU(),
        )
        self.head = nn.Linear(128, 10)

    def forward(self, images):
        return self.head(F.dropout(self.features(images), 0.3, self.training))

    def learn(self, X, y, *, n_steps):
        """Train on rows of pixels and their digits."""
        optimizer = torch.optim.AdamW(self.parameters(), lr=3e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=n_steps)
        X, y = self.as_images(X), torch.from_numpy(y)
        for _ in range(n_steps):
            rows = torch.randint(len(X), (128,))
            optimizer.zero_grad()
            F.cross_entropy(self(X[rows]), y[rows]).backward()
            optimizer.step()
            schedule.step()
        return self.eval()

    def as_images(self, X):
        """Return rows of pixels as images."""
        pixels = torch.from_numpy(np.ascontiguousarray(X, np.float32))
        return pixels.view(-1, 1, self.side, self.side)

    @torch.no_grad()
    def judge(self, X):
        """Return features and probabilities of rows of pixels."""
        features = torch.cat([self.features(images) for images in self.as_images(X).split(2000)])
        return features.double().numpy(), self.head(features).softmax(1).numpy()


def report_digits(options):
    """Print distances between generated and real digits, and plot some if asked for."""
    images = load_images(options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        judge = Judge(images.side).learn(
            images.X_train, images.y_train, n_steps=300 if options.quick else _JUDGE_STEPS
        )
    real, probabilities = judge.judge(images.X_test)
    accuracy = np.mean(probabilities.argmax(1) == images.y_test)
    n_samples = _N_SAMPLES_QUICK if options.quick else _N_SAMPLES
    pictures = {"real": images.X_train[:n_samples]}
    rows = [["real, of the training", *measure(judge, real, pictures["real"]), None]]
    for name, draw, seconds in generate(images, options):
        pictures[name] = draw(n_samples)
        rows.append([name, *measure(judge, real, pictures[name]), seconds])
    print_table(
        f"{n_samples} generated {images.name}; the judge reads {accuracy:.2%} of real test digits",
        ["", "Frechet distance", f"sure by {_CONFIDENT}", "rarest digit", "processor seconds"],
        rows,
    )
    if options.output:
        draw_pictures(pictures, images.side, options.output)


def measure(judge, real, samples):
    """Return the distance to real digits, the share recognised, and the share of one digit."""
    features, probabilities = judge.judge(samples)
    sure = float((probabilities.max(1) > _CONFIDENT).mean())
    shares = np.bincount(probabilities.argmax(1), minlength=10) / len(samples)
    return frechet_distance(features, real), sure, float(shares.min())


def frechet_distance(one, other):
    """Return the squared Frechet distance of normal distributions with the moments of two tables.

    M. Heusel et al., "GANs trained by a two time-scale update rule converge to a local Nash
    equilibrium", 2017; there in the features of another network, so only ratios can be compared.
    """
    means = [table.mean(0) for table in (one, other)]
    covariances = [np.cov(table.T) for table in (one, other)]
    variances, axes = np.linalg.eigh(covariances[0])
    root = axes * np.sqrt(variances.clip(0))
    overlap = np.sqrt(np.linalg.eigvalsh(root.T @ covariances[1] @ root).clip(0)).sum()
    traces = np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * overlap
    return float(np.square(means[0] - means[1]).sum() + traces)


def generate(images, options):
    """Yield the name, a function that draws rows, and the seconds of the fit."""
    params = {"hidden_layer_sizes": _HIDDEN, "early_stopping": False, "random_state": options.seed}
    if options.epochs:
        params["max_iter"] = options.epochs
    variational = VariationalAutoencoderTransformer(
        _N_CODES, likelihood="bernoulli", conditional=True, **(params | options.set)
    )
    seconds = count_seconds(variational.fit, images.X_train, images.y_train)
    yield "variational, prior", lambda n: variational.sample(n, 0), seconds
    yield "variational, by class", lambda n: sample_classes(variational, n), seconds
    plain = AutoencoderTransformer(_N_CODES, **params)
    seconds_of_plain = count_seconds(plain.fit, images.X_train)
    n_codes = min(50, images.X_train.shape[1])
    for name, transformer, n_components, seconds_of_fit in [
        ("variational, CodeSampler of 50", variational, 50, seconds),
        ("autoencoder, mixture of 10", plain, 10, seconds_of_plain),
        ("autoencoder, mixture of 50", plain, 50, seconds_of_plain),
        ("PCA, one Gaussian", PCA(n_codes, random_state=0).fit(images.X_train), 1, None),
    ]:
        sampler = CodeSampler(
            FrozenEstimator(transformer), n_mixture_components=n_components, random_state=0
        ).fit(images.X_train)
        yield name, lambda n, sampler=sampler: sampler.sample(n, 0), seconds_of_fit


def sample_classes(model, n_samples):
    """Return equally many rows of each class, with the classes in turn."""
    n_each = n_samples // len(model.classes_)
    rows = np.stack([model.sample(n_each, int(y), y=y) for y in model.classes_], axis=1)
    return rows.reshape(-1, rows.shape[-1])


def draw_pictures(pictures, side, path):
    """Save a plot of some rows of each generator."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 1.05 * len(pictures)), layout="constrained")
    for axis, (name, rows) in zip(figure.subplots(len(pictures)), pictures.items(), strict=True):
        tiles = np.pad(rows[:_SHOWN].clip(0, 1).reshape(-1, side, side), ((0, 0), (1, 1), (1, 1)))
        tiles = tiles.reshape(2, -1, *tiles.shape[1:])
        axis.imshow(np.hstack(np.concatenate(tiles, axis=1)), cmap="gray_r", vmin=0, vmax=1)
        axis.set_title(name, loc="left", fontsize="small")
        axis.set_axis_off()
    figure.savefig(path, dpi=120)
