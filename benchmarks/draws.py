"""Multiple imputation: coverage of pooled intervals of regression coefficients.

Tables of known regressions lack 30 % of their values. Methods draw these, regressions on the draws
are pooled by Rubin's rules, and their 95 % intervals are compared with the true coefficients. See
README.md.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from _common import (
    describe_machine,
    geometric_mean,
    limit_threads,
    make_filling_autoencoder,
    make_parser,
    print_table,
    quiet,
)
from _draws_data import PATTERNS, SEEN, TABLES, estimate, hide
from scipy.spatial.distance import cdist
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer

from skae import AutoencoderImputer
from skae.impute import pool

_MICE = """
suppressMessages(library(mice))
args <- commandArgs(trailingOnly = TRUE)
table <- read.csv(args[1])
for (index in as.integer(strsplit(args[5], ",")[[1]])) table[[index]] <- factor(table[[index]])
draws <- mice(table, m = as.integer(args[3]), seed = as.integer(args[4]), printFlag = FALSE)
for (i in seq_len(draws$m))
  write.csv(complete(draws, i), paste0(args[2], "/", i, ".csv"), row.names = FALSE)
"""
_NOTES = """\
Share of 95 % intervals that hold the true coefficient, and energy distance between drawn tables and
the complete one, columns standardised, on average over draws; "complete" has no missing values.
"bias" is the mean error of the coefficient whose mean error is greatest, over the interval's width.
Tables marked * were looked at while the method was chosen."""


def main(arguments=None):
    """Run the benchmark."""
    options = parse_options(arguments)
    with quiet(), limit_threads(1):
        print(describe_machine())
        results = {}
        for name in options.tables:
            for pattern in PATTERNS:
                results[name, pattern] = own = measure(name, pattern, options)
                for method, one in own.items():
                    shown = {key: np.round(value, 3).tolist() for key, value in one.items()}
                    print(f"{name}, {pattern}, {method}: {shown}", file=sys.stderr, flush=True)
        report(results)


def parse_options(arguments):
    """Return the options; --quick shortens everything that is not given."""
    parser = make_parser(__doc__)
    parser.add_argument("--tables", nargs="+", choices=TABLES, metavar="NAME")
    parser.add_argument("--methods", nargs="+", metavar="NAME", help="all that are installed")
    parser.add_argument("--runs", type=int, help="tables of each kind; 100 by default")
    parser.add_argument("--draws", type=int, default=20, help="20 by default")
    parser.add_argument("--first-seed", type=int, default=0, help="0 by default")
    options = parser.parse_args(arguments)
    options.tables = options.tables or (["linear"] if options.quick else list(TABLES))
    options.runs = options.runs or (2 if options.quick else 100)
    return options


def measure(name, pattern, options):
    """Return for each method means of hits, widths, distances and seconds, and the biases."""
    found = {}
    for run in range(options.runs):
        seed = options.first_seed + run
        rng = np.random.default_rng([seed, list(TABLES).index(name), PATTERNS.index(pattern)])
        table = TABLES[name](rng)
        hidden = hide(table.values, pattern, rng)
        for method, draw in make_methods(options).items():
            start = measure_processor_time()
            draws = draw(hidden, table, seed)
            seconds = measure_processor_time() - start
            found.setdefault(method, []).append((*judge(draws, table), seconds))
    return {method: summarize(own) for method, own in found.items()}


def measure_processor_time():
    """Return the processor time of this process and of its children in seconds."""
    times = os.times()
    return sum(times[:4])


def judge(draws, table):
    """Return coverage by coefficient, widths, energy distance, and errors in widths."""
    fits = [estimate(values, table.categories) for values in draws]
    if len(fits) == 1:
        fits = fits * 2
    pooled = pool([fit[:2] for fit in fits], df=fits[0][2])
    lower, upper = pooled.intervals().T
    distances = [find_energy_distance(values, table.values) for values in draws[:5]]
    hits = (lower <= table.coefficients) & (table.coefficients <= upper)
    errors = (pooled.estimates - table.coefficients) / (upper - lower)
    return hits, upper - lower, np.mean(distances), errors


def summarize(runs):
    """Return means over runs: coverage, width, distance, bias of each coefficient, seconds."""
    hits, widths, distances, errors, seconds = zip(*runs, strict=True)
    return {
        "coverage": float(np.mean(hits)),
        "width": float(np.mean(widths)),
        "distance": float(np.mean(distances)),
        "bias": np.mean(errors, axis=0),
        "seconds": float(np.mean(seconds)),
    }


def find_energy_distance(first, second):
    """Return the root of the energy distance of two tables, columns standardised by the second."""
    center, scale = second.mean(axis=0), second.std(axis=0)
    first, second = (first - center) / scale, (second - center) / scale
    between = cdist(first, second).mean()
    square = 2 * between - cdist(first, first).mean() - cdist(second, second).mean()
    return float(np.sqrt(max(square, 0.0)))


def make_methods(options):
    """Return functions that draw the missing values of a table."""
    methods = {
        "complete": lambda hidden, table, seed: [table.values],
        "skae": make_ours(options),
        "iterative": make_iterative(options),
        "hot deck": make_hot_deck(options),
    }
    if find_spec("statsmodels"):
        methods["statsmodels"] = make_statsmodels(options)
    if has_mice():
        methods["mice"] = make_mice(options)
    return {name: draw for name, draw in methods.items() if name in (options.methods or methods)}


def make_ours(options):
    """Return draws of skae; `--set` applies to the autoencoder."""

    def draw(hidden, table, seed):
        imputer = AutoencoderImputer(
            categorical_features=list(table.categories),
            autoencoder=make_filling_autoencoder(options.set),
            random_state=seed,
        )
        return list(imputer.fit(hidden).sample(hidden, options.draws, random_state=seed))

    return draw


def make_iterative(options):
    """Return draws of scikit-learn's IterativeImputer, with categories as numbers."""

    def draw(hidden, table, seed):
        draws = []
        for number in range(options.draws):
            imputer = IterativeImputer(sample_posterior=True, random_state=1000 * seed + number)
            filled = imputer.fit_transform(hidden)
            for index in table.categories:
                filled[:, index] = filled[:, index].round().clip(0, 2)
            draws.append(filled)
        return draws

    return draw


def make_hot_deck(options):
    """Return draws from the values of the column, independent of the row."""

    def draw(hidden, table, seed):
        rng, draws = np.random.default_rng(seed), []
        for _ in range(options.draws):
            filled = hidden.copy()
            for column in filled.T:
                missing = np.isnan(column)
                column[missing] = rng.choice(column[~missing], missing.sum())
            draws.append(filled)
        return draws

    return draw


def make_statsmodels(options):
    """Return draws of MICE in statsmodels, by predictive mean matching."""
    import pandas as pd
    from statsmodels.imputation.mice import MICEData

    def draw(hidden, table, seed):
        np.random.seed(seed)  # noqa: NPY002 - it takes no generator.
        names = [f"x{index}" for index in range(hidden.shape[1])]
        data = MICEData(pd.DataFrame(hidden, columns=names))
        draws = []
        for _ in range(options.draws):
            data.update_all(5)
            draws.append(data.data[names].to_numpy())
        return draws

    return draw


def has_mice():
    """Return whether R, its package mice, and nnet for categories are installed."""
    if shutil.which("Rscript") is None:
        return False
    command = ["Rscript", "-e", "library(mice); library(nnet)"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def make_mice(options):
    """Return draws of R's mice with its defaults."""
    import pandas as pd

    def draw(hidden, table, seed):
        with tempfile.TemporaryDirectory() as folder:
            script, source = Path(folder, "draw.R"), Path(folder, "table.csv")
            script.write_text(_MICE)
            pd.DataFrame(hidden).to_csv(source, index=False)
            factors = ",".join(str(index + 1) for index in table.categories)
            arguments = [source, folder, options.draws, seed, factors]
            subprocess.run(
                ["Rscript", script, *map(str, arguments)], check=True, capture_output=True
            )
            paths = [Path(folder, f"{number + 1}.csv") for number in range(options.draws)]
            return [pd.read_csv(path).to_numpy(dtype=float) for path in paths]

    return draw


def report(results):
    """Print coverage, distances and times."""
    print(_NOTES)
    methods = list(next(iter(results.values())))
    for quantity in ("coverage", "distance", "bias"):
        rows = [
            [
                name + "*" * (name in SEEN),
                pattern,
                *(float(np.max(np.abs(own[m][quantity]))) for m in methods),
            ]
            for (name, pattern), own in results.items()
        ]
        print_table(quantity, ["table", "pattern", *methods], rows)
    rows = [[method, *summarize_method(method, results)] for method in methods]
    head = ["", "coverage", "lowest", "highest", "width", "distance", "seconds"]
    print_table("over all tables; aim for coverage: 0.92 to 0.98", head, rows)


def summarize_method(method, results):
    """Return figures of a method over all tables, some of them relative to the first method."""
    own = [result[method] for result in results.values()]
    first = [next(iter(result.values())) for result in results.values()]
    coverage = [one["coverage"] for one in own]
    width = geometric_mean(
        [one["width"] / two["width"] for one, two in zip(own, first, strict=True)]
    )
    distance = float(np.mean([one["distance"] for one in own]))
    seconds = float(np.mean([one["seconds"] for one in own]))
    return [float(np.mean(coverage)), min(coverage), max(coverage), width, distance, seconds]


if __name__ == "__main__":
    main()
