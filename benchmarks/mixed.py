"""Data frames with columns of several kinds: held-out losses over those of FAMD.

A factor analysis of mixed data (FAMD) with as many components, fitted to the same rows, tells
categories by the same smoothed shares. See README.md.
"""

import sys
from dataclasses import dataclass

import numpy as np
import torch
from _common import (
    describe_machine,
    geometric_mean,
    limit_threads,
    make_parser,
    print_table,
    quiet,
    time_call,
)
from _mixed_data import load_tables

from skae import AutoencoderTransformer
from skae.modules import MixedOutput
from skae.objectives import ColumnUnits

_TEST_SHARE = 0.25
_NOTES = """\
Loss: mean over the columns of held-out rows, each in units of its baseline (squared error over the
variance, cross-entropy over the entropy of the shares). Nats: mean over the columns, numbers as
normal with the variance of their held-out error; densities of standardised numbers, so that they
may be below 0, and differences count. "start" is the model before training."""


@dataclass(frozen=True)
class Cell:
    """Held-out figures of one table with one number of codes, on average over the seeds."""

    data: str
    n_components: int
    losses: dict[str, float]
    nats: dict[str, float]
    seconds: float

    @property
    def ratio(self):
        """Our loss over that of FAMD."""
        return self.losses["skae"] / self.losses["FAMD"]

    @property
    def saved(self):
        """Nats for each cell that we save beside FAMD."""
        return self.nats["FAMD"] - self.nats["skae"]


def main(arguments=None):
    """Print a line for each table and number of codes, and a summary."""
    parser = make_parser(__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1, help="splits for each table")
    parser.add_argument("--codes", type=int, nargs="+", default=[2, 4, 8])
    parser.add_argument("--part", choices=["chosen", "judging"], help="one half of the tables")
    options = parser.parse_args(arguments)
    with limit_threads(1):
        print(describe_machine(), _NOTES, sep="\n", end="\n\n")
        for part, tables in zip(("chosen", "judging"), load_tables(), strict=True):
            if options.part in (None, part):
                _compare_on(part, tables, options)


def _compare_on(part, tables, options):
    if options.quick:
        tables = {name: tables[name].iloc[:300] for name in list(tables)[:1]}
        options.codes = options.codes[:1]
    cells = []
    for name, frame in tables.items():
        for n_components in options.codes:
            if n_components < frame.shape[1]:
                cells.append(_measure(name, frame, n_components, options))
    headings = ["table", "codes", "FAMD", "start", "skae", "ratio", "nats saved", "fit s"]
    title = "defaults were chosen by" if part == "chosen" else "judging"
    print_table(f"Tables: {title}", headings, [_list(cell) for cell in cells])
    ratios = [cell.ratio for cell in cells]
    print(
        f"ratio of losses: median {np.median(ratios):.3f}, geometric mean "
        f"{geometric_mean(ratios):.3f}, greatest {max(ratios):.3f}; least nats saved "
        f"{min(cell.saved for cell in cells):.4f}\n"
    )


def _list(cell):
    losses = [f"{cell.losses[name]:.4f}" for name in ("FAMD", "start", "skae")]
    end = [f"{cell.ratio:.3f}", f"{cell.saved:.4f}", f"{cell.seconds:.2f}"]
    return [cell.data, str(cell.n_components), *losses, *end]


def _measure(name, frame, n_components, options):
    losses, nats, seconds = [], [], []
    for seed in range(options.seeds):
        shuffled = frame.sample(frac=1, random_state=seed)
        n_test = round(_TEST_SHARE * len(frame))
        test, train = shuffled.iloc[:n_test], shuffled.iloc[n_test:]
        model = AutoencoderTransformer(n_components, random_state=seed, **options.set)
        with quiet():
            seconds.append(time_call(model.fit, train)[1])
            start = AutoencoderTransformer(n_components, max_iter=1, learning_rate_init=1e-12)
            start.fit(train)
        columns = {
            "FAMD": _measure_famd(model, train, test, n_components),
            "start": start.reconstruction_errors(test).mean(),
            "skae": model.reconstruction_errors(test).mean(),
        }
        losses.append({key: float(own.mean()) for key, own in columns.items()})
        nats.append({key: _find_nats(own, model) for key, own in columns.items()})
    return Cell(name, n_components, _average(losses), _average(nats), float(np.mean(seconds)))


def _average(figures):
    return {key: float(np.mean([own[key] for own in figures])) for key in figures[0]}


def _find_nats(losses, model):
    """Return nats for each cell, given the loss of each column in units of its baseline."""
    shares = model.mean_ * model._frame.encoding.scale
    groups = model._frame.encoding.groups
    nats = []
    for index, (loss, levels) in enumerate(zip(losses, model._frame.loss.levels, strict=True)):
        own = shares[groups == index]
        entropy = -float(np.sum(own * np.log(own))) if levels else None
        normal = 0.5 * np.log(2 * np.pi * np.e * loss)
        nats.append(normal if entropy is None else loss * entropy)
    return float(np.mean(nats))


def _measure_famd(model, train, test, n_components):
    """Return the held-out losses of the columns by a factor analysis of mixed data.

    Numbers are standardised, and indicators of levels divided by the roots of their shares.
    """
    form = model._frame
    seen, new = (form.complete(form.read(model, part), model.mean_) for part in (train, test))
    mean, loss = seen.mean(axis=0), form.loss
    is_level = np.repeat(loss.levels, np.maximum(loss.levels, 1)) > 0
    factors = np.where(is_level, form.encoding.scale, 1.0)
    weights = np.where(is_level, np.sqrt(factors / np.where(is_level, mean, 1.0)), 1.0)
    axes = np.linalg.svd((seen - mean) * weights, full_matrices=False)[2][:n_components]
    linear = ((new - mean) * weights) @ axes.T @ axes / weights
    units = ColumnUnits(torch.from_numpy(mean), torch.ones((), dtype=torch.float64))
    output = MixedOutput(units.mean, units.scale, loss.levels, loss.factors)
    cells = torch.from_numpy(form.read(model, test) - mean)
    losses = loss.prepare(units, masked=True).columns(output.link(torch.from_numpy(linear)), cells)
    return np.nanmean(losses.numpy(), axis=0)


if __name__ == "__main__":
    sys.exit(main())
