"""Data frames with columns of several kinds: held-out losses relative to FAMD.

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
from _mixed_levels import measure_levels
from sklearn.model_selection import KFold

from skae import AutoencoderTransformer
from skae.modules import MixedOutput
from skae.objectives import ColumnUnits

_TEST_SHARE = 0.25
_NOTES = """\
Loss: mean over the columns of held-out rows, each in units of its baseline (squared error over the
variance, cross-entropy over the entropy of the shares). Nats: negative log-likelihoods, mean over
the columns; numbers as normal with the variance of errors that was measured on rows held out of the
training rows, for FAMD as well. Densities are those of standardised numbers, so nats may be below
0, and differences count. "start" is the model before training."""


@dataclass(frozen=True)
class Cell:
    """Held-out figures of one table with one number of codes, averaged over the seeds."""

    data: str
    n_components: int
    losses: dict[str, float]
    nats: dict[str, float]
    seconds: float

    @property
    def ratio(self):
        """Loss of skae relative to FAMD."""
        return self.losses["skae"] / self.losses["FAMD"]

    @property
    def saved(self):
        """Nats per cell by which skae is better than FAMD."""
        return self.nats["FAMD"] - self.nats["skae"]


def main(arguments=None):
    """Print a line for each table and number of codes, and a summary."""
    parser = make_parser(__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1, help="splits for each table")
    parser.add_argument("--codes", type=int, nargs="+", default=[2, 4, 8])
    parser.add_argument("--part", choices=["chosen", "judging"], help="one half of the tables")
    parser.add_argument(
        "--large", type=int, metavar="ROWS", help="only a table of many levels, with this many rows"
    )
    options = parser.parse_args(arguments)
    if options.large:
        measure_levels(options.large, options)
        return
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
    headings = ["table", "codes", "FAMD", "start", "skae", "ratio"]
    headings += ["FAMD's nats", "start's", "skae's", "saved", "fit s"]
    title = "defaults were chosen by" if part == "chosen" else "judging"
    print_table(f"Tables: {title}", headings, [_list(cell) for cell in cells])
    ratios, saved = [cell.ratio for cell in cells], [cell.saved for cell in cells]
    print(
        f"ratio of losses: median {np.median(ratios):.3f}, geometric mean "
        f"{geometric_mean(ratios):.3f}, greatest {max(ratios):.3f}; nats saved per cell: median "
        f"{np.median(saved):.3f}, least {min(saved):.4f}\n"
    )


def _list(cell):
    losses = [f"{cell.losses[name]:.4f}" for name in ("FAMD", "start", "skae")]
    nats = [f"{cell.nats[name]:.3f}" for name in ("FAMD", "start", "skae")]
    end = [*nats, f"{cell.saved:.4f}", f"{cell.seconds:.2f}"]
    return [cell.data, str(cell.n_components), *losses, f"{cell.ratio:.3f}", *end]


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
        famd = _FAMD(model, train, n_components)
        cells = {
            "FAMD": (famd.measure(test), famd.measure_nats(test)),
            "start": _measure_model(start, test),
            "skae": _measure_model(model, test),
        }
        losses.append({key: _average_columns(own) for key, (own, _) in cells.items()})
        nats.append({key: _average_columns(own) for key, (_, own) in cells.items()})
    return Cell(name, n_components, _average(losses), _average(nats), float(np.mean(seconds)))


def _measure_model(model, test):
    """Return the losses and the nats of held-out cells."""
    units = (None, "nats")
    return [np.asarray(model.reconstruction_errors(test, unit=own), dtype=float) for own in units]


def _average_columns(cells):
    """Return the mean over columns of the means over observed cells."""
    return float(np.nanmean(cells, axis=0).mean())


def _average(figures):
    return {key: float(np.mean([own[key] for own in figures])) for key in figures[0]}


class _FAMD:
    """Factor analysis of mixed data for the columns of a fitted model.

    Numbers are standardised, and indicators of levels divided by the roots of their shares. The
    variance of the errors of numbers is that of five parts of the training rows, each held out.
    """

    def __init__(self, model, train, n_components):
        self.model, self.form, self.n_components = model, model._frame, n_components
        self.mean, self.loss = model.mean_.astype(np.float64), self.form.loss
        is_level = np.repeat(self.loss.levels, np.maximum(self.loss.levels, 1)) > 0
        factors = np.where(is_level, self.form.encoding.scale, 1.0)
        self.weights = np.where(
            is_level, np.sqrt(factors / np.where(is_level, self.mean, 1.0)), 1.0
        )
        parts = []
        for kept, held_out in KFold(5, shuffle=True, random_state=0).split(train):
            self.fit(train.iloc[kept])
            parts.append(self.measure(train.iloc[held_out]))
        self.usual = np.nanmean(np.vstack(parts), axis=0)
        self.fit(train)

    def read(self, rows):
        """Return centred rows as numbers, with missing cells at the mean."""
        return self.form.complete(self.form.read(self.model, rows), self.mean) - self.mean

    def fit(self, rows):
        """Compute the axes from training rows."""
        weighted = self.read(rows) * self.weights
        center = weighted.mean(axis=0)
        self.center = center
        self.axes = np.linalg.svd(weighted - center, full_matrices=False)[2][: self.n_components]

    def measure(self, rows):
        """Return the losses of cells in units of the baselines."""
        weighted = self.read(rows) * self.weights - self.center
        linear = (weighted @ self.axes.T @ self.axes + self.center) / self.weights
        units = ColumnUnits(torch.from_numpy(self.mean), torch.ones((), dtype=torch.float64))
        output = MixedOutput(units.mean, units.scale, self.loss.levels, self.loss.factors)
        cells = torch.from_numpy(self.form.read(self.model, rows) - self.mean)
        prepared = self.loss.prepare(units, masked=True)
        return prepared.columns(output.link(torch.from_numpy(linear)), cells).numpy()

    def measure_nats(self, rows):
        """Return the negative log-likelihoods of cells."""
        nats = self.form.convert_to_nats(self.measure(rows), self.usual, self.mean)
        return np.asarray(nats, dtype=float)


if __name__ == "__main__":
    sys.exit(main())
