"""Sparse codes: variance of held-out rows, dead codes, and whether known parts are found again.

Sums of known parts are made up; vectors of sentences are read where they are at hand. Rivals are
fitted to the same rows in the same run. See README.md.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from _common import describe_machine, make_parser, print_table, quiet, time_call
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix
from sklearn.decomposition import PCA, MiniBatchDictionaryLearning

from skae import SparseAutoencoderTransformer
from skae.datasets import has_data_file


@dataclass(frozen=True)
class Task:
    """Rows to fit to, rows to judge by, and the parts that both are made of, if they are known."""

    name: str
    train: np.ndarray
    test: np.ndarray
    n_codes: int
    n_active: int
    parts: np.ndarray | None = None
    active: np.ndarray | None = None
    """Whether each part is in each row of `test`, of shape (n_test, n_parts)."""


class TopKAutoencoder:
    """The program that people write: top-k codes, unit dictionary rows, a loss for dead codes."""

    def __init__(self, n_codes, n_active, seed, *, n_epochs=60):
        self.n_codes, self.n_active, self.n_epochs = n_codes, n_active, n_epochs
        self.generator = torch.Generator().manual_seed(seed)

    def fit(self, X):
        """Train for some epochs."""
        rows = torch.tensor(X, dtype=torch.float32)
        self.mean, self.scale = rows.mean(0), (rows - rows.mean(0)).norm(dim=1).mean()
        rows = (rows - self.mean) / self.scale
        start = torch.randn(self.n_codes, rows.shape[1], generator=self.generator)
        self.decoder = torch.nn.functional.normalize(start).requires_grad_()
        self.encoder = self.decoder.detach().clone().requires_grad_()
        optimizer = torch.optim.Adam([self.encoder, self.decoder], 1e-3)
        idle = torch.zeros(self.n_codes)
        for _ in range(self.n_epochs):
            for own in torch.randperm(len(rows), generator=self.generator).split(256):
                code = self._encode(rows[own])
                rest = rows[own] - code @ self.decoder
                idle = (idle + len(own)) * (code == 0).all(0)
                dead = idle > 2000
                loss = rest.square().sum(1).mean()
                if dead.any():
                    scores = torch.relu(rows[own] @ self.encoder[dead].T)
                    revival = rest.detach() - scores @ self.decoder[dead]
                    loss = loss + revival.square().sum(1).mean() / 32
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                with torch.no_grad():
                    self.decoder.copy_(torch.nn.functional.normalize(self.decoder))
        return self

    def _encode(self, rows):
        best = torch.relu(rows @ self.encoder.T).topk(self.n_active, dim=1)
        code = torch.zeros(len(rows), self.n_codes)
        return code.scatter(1, best.indices, best.values)

    @torch.no_grad()
    def transform(self, X):
        """Return codes."""
        rows = (torch.tensor(X, dtype=torch.float32) - self.mean) / self.scale
        return self._encode(rows).numpy()

    @torch.no_grad()
    def inverse_transform(self, codes):
        """Return rows."""
        rows = torch.from_numpy(codes) @ self.decoder
        return (rows * self.scale + self.mean).numpy()

    @property
    def components_(self):
        """Dictionary."""
        return self.decoder.detach().numpy()


def make_parts_task(n_rows, n_features, n_parts, n_active, seed):
    """Return sums of parts of which some are common and most rare, and which come in groups."""
    rng = np.random.default_rng(seed)
    parts = rng.normal(size=(n_parts, n_features))
    parts /= np.linalg.norm(parts, axis=1, keepdims=True)
    shares = 1 / np.arange(1, n_parts + 1) ** 0.5
    shares *= n_active / shares.sum()
    # Parts of a group tend to be there together: a Gaussian copula with few factors.
    loadings = rng.normal(size=(n_parts, 8)) * 0.25
    noise = np.sqrt(np.maximum(1 - (loadings**2).sum(1), 0.1))
    drawn = rng.normal(size=(n_rows, 8)) @ loadings.T + rng.normal(size=(n_rows, n_parts)) * noise
    thresholds = np.array(
        [np.quantile(drawn[:, i], 1 - min(share, 0.5)) for i, share in enumerate(shares)]
    )
    active = drawn > thresholds
    codes = active * (1 + 0.3 * np.abs(rng.normal(size=active.shape)))
    X = codes @ parts + 0.02 * rng.normal(size=(n_rows, n_features))
    X, half = X.astype(np.float32), n_rows * 3 // 4
    return Task("parts", X[:half], X[half:], n_parts, n_active, parts, active[half:])


def load_sentences(n_rows, n_codes):
    """Return vectors of sentences, the last third of them held out."""
    with np.load(Path(os.environ["SKAE_DATA"]) / "sentences.npz") as data:
        X = data["X"][:n_rows].astype(np.float32)
    n_train = int(0.65 * len(X))
    return Task("sentences", X[:n_train], X[n_train:], n_codes, 16)


def make_methods(task, seed, settings):
    """Return unfitted models under their names."""
    own = {"random_state": seed, **settings}
    methods = {
        "PCA": PCA(task.n_active),
        "skae": SparseAutoencoderTransformer(task.n_codes, n_active=task.n_active, **own),
        "top-k program": TopKAutoencoder(task.n_codes, task.n_active, seed),
    }
    if task.train.size * task.n_codes <= 10**8:
        methods["dictionary learning"] = MiniBatchDictionaryLearning(
            task.n_codes,
            max_iter=5,
            transform_algorithm="omp",
            transform_n_nonzero_coefs=task.n_active,
            random_state=seed,
        )
    return methods


def measure(task, name, model):
    """Return the line of a method."""
    with quiet():
        _, seconds = time_call(model.fit, task.train)
        codes = model.transform(task.test)
    back = model.inverse_transform(codes)
    deviation = np.square(task.test - task.train.mean(0), dtype=np.float64).sum()
    share = 1 - np.square(task.test - back, dtype=np.float64).sum() / deviation
    codes = csr_matrix(codes)
    n_dead = task.n_codes - len(np.unique(csr_matrix(model.transform(task.train)).indices))
    found = (None, None)
    if task.parts is not None and name != "PCA":
        found = compare_parts(task, model.components_, codes)
    dead = None if name == "PCA" else n_dead
    return [task.name, name, share, codes.nnz / len(task.test), dead, *found, seconds]


def compare_parts(task, dictionary, codes):
    """Return the mean cosine of parts and their dictionary rows, and the F1 of their activity."""
    lengths = np.linalg.norm(dictionary, axis=1, keepdims=True)
    cosines = task.parts @ (dictionary / np.maximum(lengths, 1e-12)).T
    parts, rows = linear_sum_assignment(-cosines)
    guessed = (codes[:, rows] > 0).toarray()
    true = task.active[:, parts]
    hits = (guessed & true).sum(0)
    f1 = 2 * hits / np.maximum(guessed.sum(0) + true.sum(0), 1)
    return float(cosines[parts, rows].mean()), float(f1.mean())


def find_stability(task, settings):
    """Return how well the dictionary rows of one seed are found again with another."""
    with quiet():
        one, other = (
            make_methods(task, seed, settings)["skae"].fit(task.train).components_
            for seed in (0, 1)
        )
    cosines = one @ other.T
    matched = cosines[linear_sum_assignment(-cosines)]
    return [task.name, float(matched.mean()), float((matched > 0.9).mean())]


def main(arguments=None):
    """Measure and print."""
    parser = make_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args(arguments)
    size = (2000, 16, 40, 4) if options.quick else (20_000, 64, 256, 8)
    tasks = [make_parts_task(*size, seed=0)]
    if has_data_file("sentences.npz"):
        tasks.append(load_sentences(*((1500, 128) if options.quick else (10_000, 1024))))
    else:
        print("sentences is left out: SKAE_DATA does not name a folder with sentences.npz.")
    print(describe_machine())
    lines = [
        measure(task, name, model)
        for task in tasks
        for seed in range(options.seeds)
        for name, model in make_methods(task, seed, options.set).items()
    ]
    header = ["data", "method", "variance", "active", "dead", "cosine", "F1", "seconds"]
    print_table("Share of variance of held-out rows, and parts found again", header, lines)
    lines = [find_stability(task, options.set) for task in tasks]
    header = ["data", "mean cosine", "share above 0.9"]
    print_table("Dictionary rows of one seed, matched with those of another", header, lines)


if __name__ == "__main__":
    main()
