"""Nested codes, a model for each number of codes, and PCA, compared on held-out rows."""

import time

import numpy as np
from _common import (
    describe_machine,
    geometric_mean,
    limit_threads,
    make_parser,
    print_table,
    quiet,
    time_call,
)
from _data import DATA_SETS, QUICK, densify, select
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer

_NUMBERS = (2, 4, 8, 16, 32)
# Maximum number of codes as a share of the columns.
_GREATEST_SHARE = 0.6
_MOST_ROWS = 10_000
_HEADER = ["data", "codes", "nested / own", "nested / PCA", "own / PCA"]
_NOTES = """\
Errors: mean squared errors on held-out rows; medians over the seeds. Own: a model made for that
number of codes. Seconds: of the processors, of one nested fit over those of one plain fit with as
many codes, and over those of all plain fits together."""


def main(arguments=None):
    """Run the benchmark."""
    options = parse_options(arguments)
    rows, times = [], []
    with quiet(), limit_threads(1):
        print(describe_machine(), _NOTES, sep="\n")
        fit_nested(np.random.default_rng(0).normal(size=(50, 3)), 2, 0, options.set)
        for name, data in select(options.datasets).items():
            runs = [measure(data.split(seed), seed, options.set) for seed in range(options.seeds)]
            numbers, errors, seconds = (list(part) for part in zip(*runs, strict=True))
            rows += describe(name, numbers[0], np.median(errors, axis=0))
            times.append([name, *np.median(seconds, axis=0).tolist()])
            print(f"{name} is done", flush=True)
    if not rows:
        return
    print_table("Errors", _HEADER, rows)
    header = ["data", "over the last plain fit", "over all plain fits"]
    print_table("Seconds of a nested fit", header, times)
    means = [geometric_mean(row[column] for row in rows) for column in (2, 3, 4)]
    worst = [max(row[column] for row in rows) for column in (2, 3, 4)]
    summary = [["geometric mean", "", *means], ["greatest", "", *worst]]
    print_table("Over all", _HEADER, summary)


def parse_options(arguments):
    """Return the options."""
    parser = make_parser(__doc__)
    parser.add_argument("--datasets", nargs="+", choices=DATA_SETS, metavar="NAME")
    parser.add_argument("--seeds", type=int, help="splits, each with a seed; 3 by default")
    options = parser.parse_args(arguments)
    options.datasets = options.datasets or (QUICK if options.quick else tuple(DATA_SETS))
    options.seeds = options.seeds or (1 if options.quick else 3)
    return options


def measure(split, seed, settings):
    """Return numbers of codes, errors of (nested, single, PCA), and two ratios of seconds."""
    X, X_test = densify(split.X_train)[:_MOST_ROWS], densify(split.X_test)
    numbers = [n for n in _NUMBERS if n <= _GREATEST_SHARE * min(X.shape)] or [1]
    nested, seconds = time_call(fit_nested, X, numbers[-1], seed, settings, clock=time.process_time)
    codes, pca = nested.transform(X_test), PCA(numbers[-1]).fit(X)
    errors, plain_seconds = [], []
    for n_codes in numbers:
        own, own_seconds = time_call(fit_own, X, n_codes, seed, settings, clock=time.process_time)
        plain_seconds.append(own_seconds)
        deviations, axes = X_test - pca.mean_, pca.components_[:n_codes]
        reconstructions = [
            nested.inverse_transform(codes[:, :n_codes]),
            own.inverse_transform(own.transform(X_test)),
            pca.mean_ + deviations @ axes.T @ axes,
        ]
        errors.append([np.square(rows - X_test).mean() for rows in reconstructions])
    return numbers, errors, (seconds / plain_seconds[-1], seconds / sum(plain_seconds))


def fit_nested(X, n_codes, seed, settings):
    """Return a nested model."""
    model = AutoencoderTransformer(n_codes, nested=True, random_state=seed)
    return model.set_params(**settings).fit(X)


def fit_own(X, n_codes, seed, settings):
    """Return a model for one number of codes."""
    return AutoencoderTransformer(n_codes, random_state=seed).set_params(**settings).fit(X)


def describe(name, numbers, errors):
    """Return a line of the table for each number of codes."""
    return [
        [name, n_codes, nested / own, nested / pca, own / pca]
        for n_codes, (nested, own, pca) in zip(numbers, errors.tolist(), strict=True)
    ]


if __name__ == "__main__":
    main()
