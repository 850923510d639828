"""Part of speed.py on recurrent networks: fits against a program in plain torch."""

import time

import numpy as np
import torch
from _common import limit_threads, print_table, quiet
from sklearn.decomposition import PCA
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from skae import AutoencoderTransformer
from skae.architectures import Recurrent
from skae.sequences import SequencePadder

_LENGTH = 40


def measure_recurrent(options):
    """Compare the processor time of whole fits of series, with one thread."""
    n_series, n_epochs = (300, 2) if options.quick else (1000, options.epochs or 5)
    rows = []
    for cell in ("gru", "lstm"):
        for name, least in (("equal lengths", 1.0), ("different lengths", 0.3)):
            series = _draw_series(n_series, least)
            ours, theirs = _time_fits(series, cell, n_epochs, options.rounds)
            ratio = float(np.median(ours / theirs))
            medians = map(float, (np.median(ours), np.median(theirs)))
            rows.append([f"{cell}, {name}", *medians, ratio, 1.15])
    print_table(
        f"Recurrent networks, {n_series} series of {_LENGTH} steps at most, batch 64, one thread, "
        f"{n_epochs} epochs: processor seconds of a fit",
        ["network", "ours s", "raw torch s", "ratio", "aim"],
        rows,
    )


def _draw_series(n_samples, least, length=_LENGTH, n_features=8):
    source = np.random.default_rng(0)
    lengths = source.integers(int(least * length), length + 1, size=n_samples)
    return [source.normal(size=(own, n_features)).cumsum(0).astype(np.float32) for own in lengths]


def _time_fits(series, cell, n_epochs, n_rounds):
    padder = SequencePadder(_LENGTH)
    X = padder.fit_transform(series)
    padded = len(set(map(len, series))) > 1
    model = AutoencoderTransformer(
        8,
        architecture=Recurrent(cell),
        sample_shape=padder.sample_shape_,
        missing="mask" if padded else None,
        batch_size=64,
        max_iter=n_epochs,
        early_stopping=False,
        output_range=None,
        random_state=0,
    )
    seconds = []
    with limit_threads(1), quiet():
        for _ in range(1 + n_rounds):
            start = time.process_time()
            model.fit(X)
            middle = time.process_time()
            run_torch_program(series, cell, n_epochs)
            seconds.append((middle - start, time.process_time() - middle))
    return np.array(seconds[1:]).T


class TorchProgram(nn.Module):
    """Equal network in plain torch: packed sequences, and PCA beside the network."""

    def __init__(self, pca, n_features, length, cell, n_units=64):
        super().__init__()
        n_components, layers = pca.n_components, {"gru": nn.GRU, "lstm": nn.LSTM}[cell]
        self.cell, self.length = cell, length
        self.reader = layers(n_features, n_units, batch_first=True)
        self.to_code = nn.Linear(n_units, n_components)
        self.start = nn.Linear(n_components, n_units)
        self.writer = layers(n_components, n_units, batch_first=True)
        self.to_steps = nn.Linear(n_units, n_features)
        axes = torch.tensor(pca.components_, dtype=torch.float32)
        self.project, self.project_back = nn.Parameter(axes.clone()), nn.Parameter(axes.clone())

    def forward(self, rows, reversed_steps, lengths):
        steps = reversed_steps
        if lengths is not None:
            steps = pack_padded_sequence(steps, lengths, batch_first=True, enforce_sorted=False)
        _, state = self.reader(steps)
        state = state[0] if self.cell == "lstm" else state
        code = rows @ self.project.T + self.to_code(state[0])
        state = torch.tanh(self.start(code))[None]
        state = (state, torch.zeros_like(state)) if self.cell == "lstm" else state
        written, _ = self.writer(code[:, None].expand(-1, self.length, -1), state)
        return code @ self.project_back + self.to_steps(written).flatten(1)


def run_torch_program(series, cell, n_epochs, batch_size=64, n_components=8):
    """Train the network on series of different lengths with a masked error, starting from PCA."""
    lengths = torch.tensor([len(own) for own in series])
    length, n_features = int(lengths.max()), series[0].shape[1]
    equal = bool((lengths == length).all())
    steps, backwards = torch.zeros(2, len(series), length, n_features)
    for i, own in enumerate(series):
        steps[i, : len(own)] = torch.from_numpy(own)
        backwards[i, : len(own)] = torch.from_numpy(own[::-1].copy())
    there = (torch.arange(length) < lengths[:, None])[:, :, None]
    mean = steps.sum(0) / there.sum(0)
    steps, backwards = (steps - mean) * there, (backwards - mean.mean(0)) * there
    rows, there = steps.flatten(1), there.expand_as(steps).flatten(1)
    scale = rows.std()
    rows, backwards = rows / scale, backwards / scale
    module = TorchProgram(PCA(n_components).fit(rows.numpy()), n_features, length, cell)
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-2)
    n_steps = n_epochs * round(len(rows) / batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=n_steps + 1)
    for _ in range(n_epochs):
        for chosen in torch.randperm(len(rows)).tensor_split(round(len(rows) / batch_size)):
            own = None if equal else lengths[chosen]
            output = module(rows[chosen], backwards[chosen], own)
            error = ((output - rows[chosen]) * there[chosen]).square().mean()
            optimizer.zero_grad()
            error.backward()
            optimizer.step()
            schedule.step()
