"""Rows for sparse codes: sums of known parts, and vectors of sentences."""

import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from _common import has_data
from scipy.stats import norm

_N_CHILDREN = 4
_N_FACTORS = 8


@dataclass(frozen=True)
class Task:
    """Training rows, test rows, and the parts they consist of, if known."""

    name: str
    train: np.ndarray
    test: np.ndarray
    n_codes: int
    n_active: int
    parts: np.ndarray | None = None
    """Rows of unit length, of shape (n_parts, n_features)."""

    active: np.ndarray | None = None
    """Whether each part is in each row of `test`, of shape (n_test, n_parts)."""


@dataclass(frozen=True)
class Size:
    """Parameters of sums of parts, and of the codes that should find the most common parts."""

    n_train: int
    n_test: int
    n_features: int
    n_parts: int
    n_roots: int
    n_codes: int
    n_active: int
    least_share: float
    """Share of the rows in which the rarest part is."""


QUICK = Size(3000, 1000, 32, 64, 2, 32, 3, 0.02)
USUAL = Size(24_000, 6000, 128, 512, 4, 128, 4, 0.005)
# Standard model of SynthSAEBench, and the numbers of codes that its authors use.
FULL = Size(500_000, 20_000, 768, 16_384, 128, 4096, 25, 5e-4)


def make_parts(size: Size, seed: int) -> Task:
    """Return sums of few common and many rare parts, some of which require another part.

    Each part below a root is only where its parent is, and never together with a sibling. Besides,
    parts tend to be together by a Gaussian copula with few factors.
    """
    rng = np.random.default_rng(seed)
    parts = rng.normal(size=(size.n_parts, size.n_features))
    parts /= np.linalg.norm(parts, axis=1, keepdims=True)
    n_rows = size.n_train + size.n_test
    active = _draw_active(rng, n_rows, size)
    spreads = np.abs(rng.normal(0.5, 0.5, size.n_parts))
    lengths = np.linspace(5, 4, size.n_parts) + spreads * rng.normal(size=active.shape)
    X = ((active * lengths.clip(0)) @ parts).astype(np.float32)
    train, test = np.split(X, [size.n_train])
    return Task("parts", train, test, size.n_codes, size.n_active, parts, active[size.n_train :])


def _draw_active(rng, n_rows: int, size: Size) -> np.ndarray:
    """Return the activity of parts in rows."""
    shares = np.maximum(0.4 / np.sqrt(np.arange(1, size.n_parts + 1)), size.least_share)
    parents = (np.arange(size.n_parts) - size.n_roots) // _N_CHILDREN
    # Two thirds of the parts belong to trees, as in SynthSAEBench.
    in_tree = (parents >= 0) & (np.arange(size.n_parts) < size.n_parts * 2 // 3)
    of_parent = np.minimum(shares / shares[parents.clip(0)], 1 / _N_CHILDREN)
    given_parent = np.where(in_tree, of_parent, shares)
    loadings = rng.normal(size=(size.n_parts, _N_FACTORS)) * 0.1
    common = rng.normal(size=(n_rows, _N_FACTORS)) @ loadings.T
    own = rng.normal(size=common.shape) * np.sqrt(1 - np.square(loadings).sum(1).clip(0, 0.9))
    excess = common + own - norm.ppf(1 - given_parent)
    active = excess > 0
    for parent in np.unique(parents[in_tree]):
        children = np.flatnonzero(in_tree & (parents == parent))
        greatest = excess[:, children] == excess[:, children].max(1, keepdims=True)
        active[:, children] &= greatest & active[:, [parent]]
    return active


def sample_sae_lens(size: Size, seed: int) -> Task | None:
    """Return sums of parts by sae-lens' generator, with the settings of SynthSAEBench.

    None where sae-lens is not installed.
    """
    if find_spec("sae_lens") is None:
        print("sae-lens is left out, as it is not installed; pip install sae-lens.")
        return None
    from sae_lens import synthetic

    settings = synthetic.SyntheticModelConfig(
        num_features=size.n_parts,
        hidden_dim=size.n_features,
        firing_probability=synthetic.ZipfianFiringProbabilityConfig(
            exponent=0.5, max_prob=0.4, min_prob=size.least_share
        ),
        hierarchy=synthetic.HierarchyConfig(
            total_root_nodes=size.n_roots,
            branching_factor=_N_CHILDREN,
            max_depth=3,
            mutually_exclusive_portion=1.0,
            compensate_probabilities=True,
            scale_children_by_parent=True,
        ),
        orthogonalization=synthetic.OrthogonalizationConfig(num_steps=100, lr=3e-4),
        correlation=synthetic.LowRankCorrelationConfig(
            rank=min(25, size.n_features // 16), correlation_scale=0.1
        ),
        mean_firing_magnitudes=synthetic.LinearMagnitudeConfig(start=5.0, end=4.0),
        std_firing_magnitudes=synthetic.FoldedNormalMagnitudeConfig(mean=0.5, std=0.5),
        bias=0.5,
        seed=42,
    )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = synthetic.SyntheticModel(settings, device=device)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        train, _ = _sample(model, size.n_train, keep=False)
        test, active = _sample(model, size.n_test, keep=True)
    parts = model.feature_dict.feature_vectors.detach().cpu().numpy()
    return Task("sae-lens", train, test, size.n_codes, size.n_active, parts, active)


def _sample(model, n_rows: int, *, keep: bool):
    """Return rows and, if kept, the activity of their parts."""
    rows, active = [], []
    for start in range(0, n_rows, 4096):
        own, sizes = model.sample_with_features(min(4096, n_rows - start))
        rows.append(own.float().cpu().numpy())
        if keep:
            active.append((sizes > 0).cpu().numpy())
    return np.concatenate(rows), np.concatenate(active) if keep else None


def load_sentences(n_rows: int, n_codes: int) -> Task | None:
    """Return vectors of sentences with the last third held out, or None without a file."""
    if not has_data("sentences", "sentences.npz"):
        return None
    with np.load(Path(os.environ["SKAE_DATA"]) / "sentences.npz") as data:
        X = data["X"][:n_rows].astype(np.float32)
    n_train = int(0.65 * len(X))
    return Task("sentences", X[:n_train], X[n_train:], n_codes, 16)
