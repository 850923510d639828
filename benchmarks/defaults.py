"""Study of the defaults of AutoencoderTransformer, changing one at a time.

Each line is a value; errors are on held-out rows over PCA's, processor seconds are over those of
the defaults in the same run. See README.md.
"""

import statistics
import sys
from dataclasses import dataclass

import numpy as np
from _common import (
    count_seconds,
    describe_machine,
    geometric_mean,
    limit_threads,
    make_parser,
    print_table,
    quiet,
)
from _data import DATA_SETS, QUICK, densify, select
from _rivals import PrincipalComponents

from skae import AutoencoderTransformer

# Small and medium tables. Check large ones with --datasets before changing a default.
_DATA_SETS = tuple(name for name in DATA_SETS if name not in ("film_reviews", "mnist"))
_TOLERATED = 1.02

# Alternatives to each default. The default itself is always measured.
ALTERNATIVES = {
    "hidden_layer_sizes": ["auto", (64,), (128,), (64, 64), (128, 128), (256, 256)],
    "activation": ["silu", "gelu", "relu", "tanh", "identity"],
    "normalization": [None, "layer", "batch"],
    "init": ["pca", "random"],
    "learning_rate_init": [0.001, 0.002, 0.005, 0.01, 0.02],
    "learning_rate": ["one_cycle", "constant", "adaptive"],
    "batch_size": ["auto", 32, 64, 128, 256],
    "max_iter": ["auto", 10, 30, 100, 300],
    "weight_decay": [0.0, 0.001, 0.01, 0.1, 1.0],
    "output_range": ["auto", None],
    "early_stopping": [True, False],
    "validation_fraction": [0.05, 0.1, 0.2],
    "n_iter_no_change": [10, 30, 100],
    "tol": [0.0, 1e-4, 1e-3],
    "dtype": ["float32", "float64"],
}


@dataclass(frozen=True)
class Case:
    """Rows, number of codes and seed, with the error of PCA."""

    data: str
    n_components: int
    seed: int
    X_train: object
    X_test: np.ndarray
    pca_error: float


@dataclass(frozen=True)
class Result:
    """Results of one set of parameters in each case."""

    ratios: list
    seconds: list


def main(arguments=None):
    """Run the study."""
    options = parse_options(arguments)
    with quiet(), limit_threads(options.threads):
        print(describe_machine())
        cases = make_cases(options)
        print(f"{len(cases)} cases: {', '.join(dict.fromkeys(case.data for case in cases))}")
        AutoencoderTransformer(1, max_iter=1).fit(cases[0].X_train)
        base = measure(cases, options.set)
        for name in options.defaults:
            study(name, cases, base, options.set)


def parse_options(arguments):
    """Return the options."""
    parser = make_parser(__doc__)
    parser.add_argument("--defaults", nargs="+", choices=ALTERNATIVES, metavar="NAME")
    parser.add_argument("--datasets", nargs="+", choices=DATA_SETS, metavar="NAME")
    parser.add_argument("--seeds", type=int, help="splits, each with a seed; 3 by default")
    parser.add_argument("--threads", type=int, default=1, help="1 by default")
    options = parser.parse_args(arguments)
    options.defaults = options.defaults or (
        ["learning_rate_init"] if options.quick else list(ALTERNATIVES)
    )
    options.datasets = options.datasets or (QUICK if options.quick else _DATA_SETS)
    options.seeds = options.seeds or (1 if options.quick else 3)
    return options


def make_cases(options):
    """Return all cases of the data sets and seeds."""
    cases = []
    for name, data in select(options.datasets).items():
        for seed in range(options.seeds):
            split = data.split(seed)
            X_test = densify(split.X_test)
            for n_components in data.n_components:
                pca = PrincipalComponents(n_components, (), seed).fit(split.X_train)
                error = mean_square(X_test - pca.reconstruct(split.X_test))
                cases.append(Case(name, n_components, seed, split.X_train, X_test, error))
    if not cases:
        sys.exit("No data set is left.")
    return cases


def mean_square(values):
    """Return the mean of the squares."""
    return float(np.square(values, dtype=np.float64).mean())


def measure(cases, params):
    """Fit all cases with some parameters."""
    ratios, seconds = [], []
    for case in cases:
        model = AutoencoderTransformer(case.n_components, random_state=case.seed, **params)
        seconds.append(count_seconds(model.fit, case.X_train))
        error = mean_square(case.X_test - model.inverse_transform(model.transform(case.X_test)))
        ratios.append(error / case.pca_error)
    return Result(ratios, seconds)


def study(name, cases, base, settings):
    """Print the table of one default."""
    default = AutoencoderTransformer(**settings).get_params()[name]
    values = [*ALTERNATIVES[name]]
    if default not in values:
        values.insert(0, default)
    rows = []
    for value in values:
        is_default = type(value) is type(default) and value == default
        result = base if is_default else measure(cases, {**settings, name: value})
        rows.append(summarize(f"{value}{' *' if is_default else ''}", cases, result, base))
        print(f"{name}={value} is done", file=sys.stderr, flush=True)
    header = ["value", "geometric mean", "over default's", "worst median", "worst run", "in"]
    header += [f"above {_TOLERATED}", "seconds/default's"]
    print_table(f"{name} (* the default)", header, rows)
    sys.stdout.flush()


def summarize(name, cases, result, base):
    """Return the line of one value."""
    cells = {}
    for case, ratio in zip(cases, result.ratios, strict=True):
        cells.setdefault((case.data, case.n_components), []).append(ratio)
    worst = cases[int(np.argmax(result.ratios))]
    times = (a / b for a, b in zip(result.seconds, base.seconds, strict=True))
    mean = geometric_mean(result.ratios)
    return [
        name,
        mean,
        mean / geometric_mean(base.ratios),
        max(map(statistics.median, cells.values())),
        max(result.ratios),
        f"{worst.data}, {worst.n_components}",
        sum(ratio > _TOLERATED for ratio in result.ratios),
        geometric_mean(times),
    ]


if __name__ == "__main__":
    main()
