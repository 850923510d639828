"""Part of mixed.py: a table of numbers, booleans, and categories with thousands of levels."""

import time

import numpy as np
import pandas as pd
from _common import PeakMemory, limit_threads, print_table, quiet
from scipy import sparse, special, stats
from sklearn.base import clone
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer

_N_NUMBERS, _N_PLACES, _N_BOOLEANS = 5, 5, 100
_N_LEVELS, _N_LATENT, _N_CODES = 7000, 6, 8
_MOST_TEST_ROWS, _ROWS_AT_ONCE = 2000, 250
_MOST_ROWS_OF_FAMD = 200_000
# Limit as in `MixedOutput`, so that both turn sums that may be negative into probabilities.
_CLIP, _SLOPE = 0.02, 4.0


def measure_levels(n_rows, options):
    """Fit a table, and print speed, memory, and nats beside FAMD with all indicators."""
    n_test = min(_MOST_TEST_ROWS, n_rows // 10)
    frame = make_places(n_rows + n_test, seed=0)
    train, test = frame.iloc[:n_rows], frame.iloc[n_rows:]
    settings = {"max_iter": 3, "random_state": 0, **options.set}
    model = AutoencoderTransformer(_N_CODES, **settings)
    with quiet(), limit_threads(2), PeakMemory() as memory:
        start, processor = time.perf_counter(), time.process_time()
        model.fit(train)
        seconds = time.perf_counter() - start, time.process_time() - processor
    epochs = np.array(model.net_.history_[:, "dur"])
    print_table(
        f"{n_rows:,} rows: 5 numbers, 5 categories of {_N_LEVELS:,} levels, {_N_BOOLEANS} booleans",
        ["epochs", "rows/s and epoch", "aim", "fit s", "processor s", "peak GB", "aim"],
        [[len(epochs), n_rows / epochs.mean(), 5000, *seconds, memory.peak / 1e9, 4.0]],
    )
    nats = {"skae": model.reconstruction_errors(test, unit="nats").mean()}
    with quiet(), limit_threads(2):
        start = clone(model).set_params(max_iter=1, learning_rate_init=1e-12).fit(train)
    nats["start"] = start.reconstruction_errors(test, unit="nats").mean()
    if n_rows <= _MOST_ROWS_OF_FAMD:
        nats |= measure_famd(train, test, _N_CODES)
    shown = pd.DataFrame(nats)
    kinds = shown.groupby(shown.index.str.rstrip("0123456789 ")).mean()
    print_table(
        "nats for each cell of held-out rows, on average over the columns of a kind",
        ["columns", *kinds.columns],
        [[name, *own] for name, own in kinds.iterrows()],
    )


def make_places(n_rows, *, seed):
    """Return rows that depend on six latent variables, with levels as cells of planar maps."""
    draw = np.random.default_rng(seed)
    hidden = draw.normal(size=(n_rows, _N_LATENT)).astype(np.float32)
    columns = {}
    for index in range(_N_NUMBERS):
        signal = np.tanh(hidden @ draw.normal(size=_N_LATENT))
        columns[f"number {index}"] = signal + 0.3 * draw.normal(size=n_rows)
    side = round(_N_LEVELS**0.5)
    names = np.array([f"p{number}" for number in range(side**2)], dtype=object)
    for index in range(_N_PLACES):
        axes = draw.normal(size=(_N_LATENT, 2))
        places = hidden @ (axes / np.linalg.norm(axes, axis=0))
        places += 0.5 * draw.normal(size=places.shape)
        fields = (stats.norm.cdf(places, scale=1.25**0.5) * side).astype(int).clip(0, side - 1)
        columns[f"place {index}"] = draw.permutation(names)[fields @ [side, 1]]
    for index in range(_N_BOOLEANS):
        signal = hidden @ draw.normal(size=_N_LATENT) + draw.normal()
        columns[f"flag {index}"] = signal + draw.normal(size=n_rows) > 0
    return pd.DataFrame(columns)


def measure_famd(train, test, n_components):
    """Return nats of each column from the shares of levels, and from FAMD of all indicators."""
    numbers, categories = list(train.columns[:_N_NUMBERS]), list(train.columns[_N_NUMBERS:])
    center, spread = train[numbers].mean(), train[numbers].std(ddof=0)
    levels = [pd.Index(train[name].unique()) for name in categories]
    seen, new = (
        _indicate((own[numbers] - center) / spread, own[categories], levels)
        for own in (train, test)
    )
    sizes = [1] * len(numbers) + [len(own) for own in levels]
    mean = np.asarray(seen.mean(axis=0)).ravel()
    variance = np.where(np.arange(len(mean)) < len(numbers), 1.0, mean * (1 - mean))
    starts = np.cumsum([0, *sizes[:-1]])
    units = np.repeat(np.sqrt(np.add.reduceat(variance, starts)), sizes)
    axes = PCA(n_components, svd_solver="arpack").fit(seen @ sparse.diags(1 / units)).components_
    found = {"shares": [], "FAMD": []}
    for start in range(0, new.shape[0], _ROWS_AT_ONCE):
        part = new[start : start + _ROWS_AT_ONCE]
        scores = part @ (axes / units).T - (mean / units) @ (axes.T)
        found["shares"].append(_find_losses(part, np.tile(mean, (len(scores), 1)), mean, starts))
        found["FAMD"].append(_find_losses(part, mean + scores @ axes * units, mean, starts))
    return {name: _convert(np.vstack(own), train.columns) for name, own in found.items()}


def _indicate(numbers, categories, levels):
    """Return numbers and indicators of levels, which are 0 for an unknown level."""
    blocks = [sparse.csr_matrix(numbers.to_numpy())]
    for name, own in zip(categories, levels, strict=True):
        places = own.get_indexer(categories[name])
        rows = np.flatnonzero(places >= 0)
        cells = np.ones(len(rows)), (rows, places[rows])
        blocks.append(sparse.csr_matrix(cells, shape=(len(places), len(own))))
    return sparse.hstack(blocks, format="csr")


def _find_losses(part, shares, mean, starts):
    """Return squared errors of numbers, and negative logarithms of the probabilities of levels."""
    truth, losses = part.toarray(), np.empty((len(shares), len(starts)))
    ends = [*starts[1:], len(mean)]
    for index, (start, end) in enumerate(zip(starts, ends, strict=True)):
        own, usual, cells = shares[:, start:end], mean[start:end], truth[:, start:end]
        if index < _N_NUMBERS:
            losses[:, index] = np.square(own - cells)[:, 0]
            continue
        clipped = np.maximum(own, _CLIP * usual)
        logits = np.log(clipped) + _SLOPE * (own - clipped) / usual
        logits -= special.logsumexp(logits, axis=1, keepdims=True)
        known = cells.any(axis=1)
        losses[:, index] = np.where(known, -(logits * cells).sum(axis=1), np.nan)
    return losses


def _convert(losses, names):
    """Return mean losses in nats, with normal numbers of the variance of the errors."""
    means = np.nanmean(losses, axis=0)
    means[:_N_NUMBERS] = 0.5 * np.log(2 * np.pi * np.e * means[:_N_NUMBERS])
    return pd.Series(means, index=names)
