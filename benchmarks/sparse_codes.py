"""Sparse codes: variance of held-out rows, dead codes, and recovery of known parts.

Sums of known parts are made up, by sae-lens' generator too where it is installed; vectors of
sentences are read where they are at hand. Rivals are fitted to the same rows in the same run. See
README.md.
"""

import warnings

import numpy as np
import torch
from _common import (
    describe_machine,
    make_parser,
    print_table,
    quiet,
    time_call,
)
from _sparse_data import FULL, QUICK, USUAL, load_sentences, make_parts, sample_sae_lens
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix
from sklearn.decomposition import PCA, MiniBatchDictionaryLearning

from skae import SparseAutoencoderTransformer

# Rows times columns times codes with which dictionary learning takes seconds.
_MOST_PRODUCTS = 10**8
_LEAST_ROWS = 1000


class TopKAutoencoder:
    """Usual program: top-k codes, dictionary rows of unit length, a loss for dead codes."""

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


class SaeLens:
    """BatchTopK autoencoder of sae-lens, trained by its own trainer."""

    def __init__(self, n_codes, n_active, seed, *, n_steps=2500, batch_size=1024):
        self.n_codes, self.n_active, self.seed = n_codes, n_active, seed
        self.n_steps, self.batch_size = n_steps, batch_size

    def fit(self, X):
        """Train at the rate of the documentation of sae-lens, or a higher rate for few steps."""
        from sae_lens import BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig, LoggingConfig
        from sae_lens.config import SAETrainerConfig
        from sae_lens.training.sae_trainer import SAETrainer

        device = "cuda" if torch.cuda.is_available() else "cpu"
        rate = 1e-3 if self.n_steps < 10_000 else 3e-4
        settings = SAETrainerConfig(
            n_checkpoints=0,
            checkpoint_path=None,
            save_final_checkpoint=False,
            total_training_samples=self.n_steps * self.batch_size,
            device=device,
            autocast=False,
            lr=rate,
            lr_end=rate / 10,
            lr_scheduler_name="constant",
            lr_warm_up_steps=0,
            adam_beta1=0.9,
            adam_beta2=0.999,
            lr_decay_steps=self.n_steps // 3,
            n_restart_cycles=1,
            train_batch_size_samples=self.batch_size,
            dead_feature_window=1000,
            feature_sampling_window=2000,
            logger=LoggingConfig(log_to_wandb=False),
            n_batches_for_norm_estimate=1000,
        )
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            self.net = BatchTopKTrainingSAE(
                BatchTopKTrainingSAEConfig(d_in=X.shape[1], d_sae=self.n_codes, k=self.n_active)
            ).to(device)
            batches = self._draw(torch.from_numpy(X).to(device))
            SAETrainer(
                cfg=settings,
                sae=self.net,
                data_provider=batches,
                save_checkpoint_fn=lambda checkpoint_path: None,
            ).fit()
        self.net.eval().cpu()
        return self

    def _draw(self, rows):
        while True:
            for own in torch.randperm(len(rows)).split(self.batch_size):
                if len(own) == self.batch_size:
                    yield rows[own]

    @torch.no_grad()
    def transform(self, X):
        """Return codes, with the average number of active codes fixed in each batch."""
        return np.vstack([self.net.encode(own).numpy() for own in torch.from_numpy(X).split(1024)])

    @torch.no_grad()
    def inverse_transform(self, codes):
        """Return rows."""
        return self.net.decode(torch.from_numpy(codes)).numpy()

    @property
    def components_(self):
        """Dictionary."""
        return self.net.W_dec.detach().numpy()


class FirstRows:
    """Dictionary learning on as many of the first rows as take a reasonable time."""

    def __init__(self, n_rows, **parameters):
        self.n_rows, self.model = n_rows, MiniBatchDictionaryLearning(**parameters)

    def fit(self, X):
        """Fit to the first rows."""
        self.model.fit(X[: self.n_rows])
        self.components_ = self.model.components_
        return self

    def transform(self, X):
        """Return codes; equal dictionary rows end the search for some rows early."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            return self.model.transform(X)

    def inverse_transform(self, codes):
        """Return rows."""
        return codes @ self.components_


def make_methods(task, seed, settings):
    """Return unfitted models by name."""
    own = {"random_state": seed, **settings}
    methods = {
        "PCA": PCA(task.n_active),
        "skae": SparseAutoencoderTransformer(task.n_codes, n_active=task.n_active, **own),
        "top-k program": TopKAutoencoder(task.n_codes, task.n_active, seed),
    }
    n_rows = _MOST_PRODUCTS // (task.train.shape[1] * task.n_codes)
    if n_rows >= _LEAST_ROWS:
        methods["dictionary learning"] = FirstRows(
            n_rows,
            n_components=task.n_codes,
            max_iter=5,
            transform_algorithm="omp",
            transform_n_nonzero_coefs=task.n_active,
            random_state=seed,
        )
    if task.name == "sae-lens":
        n_steps = max(2500, 20 * len(task.train) // 1024)
        methods["sae-lens"] = SaeLens(task.n_codes, task.n_active, seed, n_steps=n_steps)
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
    found = (None, None, None)
    if task.parts is not None and name != "PCA":
        found = compare_parts(task, model.components_, codes)
    dead = None if name == "PCA" else n_dead
    return [task.name, name, share, codes.nnz / len(task.test), dead, *found, seconds]


def compare_parts(task, dictionary, codes):
    """Return MCC, F1 and uniqueness, as sae-lens defines them.

    MCC is the mean cosine of parts and codes that are matched one to one. F1 is that of each code
    as a detector of the part of greatest cosine, and uniqueness the number of these parts over that
    of the codes. Cosines are taken without their signs.
    """
    lengths = np.linalg.norm(dictionary, axis=1, keepdims=True)
    cosines = np.abs(dictionary / np.maximum(lengths, 1e-12) @ task.parts.T)
    matched = cosines[linear_sum_assignment(-cosines)]
    best = cosines.argmax(1)
    true, found = csr_matrix(task.active)[:, best], codes != 0
    hits = np.asarray(found.multiply(true).sum(0)).ravel()
    n_claims = np.asarray(found.sum(0) + true.sum(0)).ravel()
    f1 = 2 * hits / np.maximum(n_claims, 1)
    return float(matched.mean()), float(f1.mean()), len(np.unique(best)) / len(best)


def find_stability(task, settings):
    """Return the similarity of the dictionary rows of two seeds."""
    with quiet():
        one, other = (
            make_methods(task, seed, settings)["skae"].fit(task.train).components_
            for seed in (0, 1)
        )
    cosines = one @ other.T
    matched = cosines[linear_sum_assignment(-cosines)]
    return [task.name, float(matched.mean()), float((matched > 0.9).mean())]


def make_tasks(options):
    """Return the selected tasks whose data are available."""
    size = FULL if options.full else QUICK if options.quick else USUAL
    makers = {
        "parts": lambda: make_parts(size, seed=0),
        "sae-lens": lambda: sample_sae_lens(size, seed=0),
        "sentences": lambda: load_sentences(*((1500, 128) if options.quick else (10_000, 1024))),
    }
    names = options.datasets or (["sae-lens"] if options.full else makers)
    tasks = (makers[name]() for name in names)
    return [task for task in tasks if task is not None]


def main(arguments=None):
    """Measure and print."""
    parser = make_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--datasets", nargs="+", choices=("parts", "sae-lens", "sentences"))
    parser.add_argument(
        "--full", action="store_true", help="parts of the size of SynthSAEBench; needs a GPU"
    )
    options = parser.parse_args(arguments)
    tasks = make_tasks(options)
    print(describe_machine())
    lines = [
        measure(task, name, model)
        for task in tasks
        for seed in range(options.seeds)
        for name, model in make_methods(task, seed, options.set).items()
    ]
    header = ["data", "method", "variance", "active", "dead", "MCC", "F1", "unique", "seconds"]
    print_table("Share of variance of held-out rows, and parts found again", header, lines)
    if options.full:
        return
    lines = [find_stability(task, options.set) for task in tasks]
    header = ["data", "mean cosine", "share above 0.9"]
    print_table("Dictionary rows of one seed, matched with those of another", header, lines)


if __name__ == "__main__":
    main()
