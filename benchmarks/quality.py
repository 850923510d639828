"""Held-out squared error of autoencoders relative to PCA, over data sets, codes and seeds.

Rivals are fitted to the same rows in the same run, with the same hidden layers. See README.md.
"""

import statistics
import sys
from dataclasses import dataclass
from functools import partial

import numpy as np
from _common import (
    describe_machine,
    geometric_mean,
    is_installed,
    limit_threads,
    make_parser,
    print_table,
    quiet,
    time_call,
)
from _data import (
    DATA_SETS,
    QUICK,
    add_part_option,
    densify,
    select,
    select_folder,
)
from _rivals import RIVALS, Ours, PrincipalComponents
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

# Limit of errors relative to PCA, and number of rows above which kernel PCA takes too long.
_TOLERATED = 1.02
_MOST_KERNEL_ROWS = 5000
_NOTES = """\
Error: mean squared error on held-out rows over that of the exact PCA of the same training rows.
The networks have the same hidden layers. Rivals that do not scale by themselves are given all
columns centred and divided by one scale, so that what they minimise is what is measured. Sparse
tables are made dense for the rivals, outside of the time."""


@dataclass(frozen=True)
class Run:
    """Results of one method on one split."""

    data: str
    n_components: int
    seed: int
    method: str
    ratio: float
    seconds: float
    accuracy: float | None

    @property
    def cell(self):
        """Key of runs that differ only in method and seed."""
        return self.data, self.n_components


def main(arguments=None):
    """Run the benchmark."""
    options = parse_options(arguments)
    methods = {"pca": PrincipalComponents, "skae": Ours, **choose_rivals(options.rivals)}
    runs, data_sets = [], options.select()
    if not data_sets:
        return
    with quiet(), limit_threads(options.threads):
        print(describe_machine(), _NOTES, sep="\n")
        warm_up(methods)
        for name, data in data_sets.items():
            for seed in range(options.seeds):
                split = data.split(seed, full=options.full)
                for n_components in data.n_components:
                    runs += measure_all(methods, split, (name, n_components, seed), options)
            own = [run for run in runs if run.data == name and run.method == "skae"]
            ratios = " ".join(f"{run.ratio:.3f}" for run in own)
            print(f"{name} is done: {ratios}", file=sys.stderr, flush=True)
    report(runs, list(methods))
    if options.folder is not None and options.part == "all":
        report_halves(runs, list(methods))
    if options.output:
        draw(runs, list(methods), options.output)


def parse_options(arguments):
    """Return the options; --quick shortens everything that is not given."""
    parser = make_parser(__doc__)
    parser.add_argument("--datasets", nargs="+", choices=DATA_SETS, metavar="NAME")
    parser.add_argument("--folder", help="CSV, Parquet or NPZ tables to take instead")
    parser.add_argument("--raw", action="store_true", help="leave the folder's columns as they are")
    parser.add_argument("--rows", type=int, help="most rows to take of each table of the folder")
    add_part_option(parser)
    parser.add_argument("--rivals", nargs="*", choices=RIVALS, metavar="NAME")
    parser.add_argument("--seeds", type=int, help="splits, each with a seed; 5 by default")
    parser.add_argument("--hidden", nargs="+", type=int, help="hidden layers; 128 beside rivals")
    parser.add_argument("--full", action="store_true", help="all 60,000 images of MNIST")
    parser.add_argument("--output", metavar="FIGURE", help="where to draw, such as figure.png")
    parser.add_argument("--threads", type=int, default=1, help="1 by default")
    options = parser.parse_args(arguments)
    if options.folder is None and (options.raw or options.rows or options.part != "all"):
        parser.error("--raw, --rows and --part are for the tables of a --folder.")
    if options.folder is not None and (options.datasets or options.full):
        parser.error("--folder takes the place of --datasets and --full.")
    if options.datasets is None:
        options.datasets = QUICK if options.quick else tuple(DATA_SETS)
    if options.rivals is None:
        options.rivals = ("mlp",) if options.quick else tuple(RIVALS)
        options.rivals = options.rivals if options.folder is None else ()
    options.hidden = options.hidden or ([128] if options.rivals else "auto")
    options.seeds = options.seeds or (2 if options.quick else 5)
    options.select = partial(select, options.datasets)
    if options.folder is not None:
        options.select = partial(
            select_folder,
            options.folder,
            raw=options.raw,
            max_rows=options.rows,
            part=options.part,
        )
    return options


def choose_rivals(names):
    """Return the classes of the rivals that can be imported."""
    chosen = {}
    for name in names:
        rival, package = RIVALS[name]
        if package is None or is_installed(package):
            chosen[name] = rival
    return chosen


def warm_up(methods):
    """Fit each method once, so that no measured time includes imports."""
    rows = np.random.default_rng(0).normal(size=(50, 3))
    for method in methods.values():
        method(1, (2,), 0).fit(rows)


def measure_all(methods, split, place, options):
    """Return a run of each method on one split, PCA first."""
    dense = [densify(split.X_train), densify(split.X_test)]
    runs, pca_error = [], None
    for name, method in methods.items():
        if name == "kernel_pca" and dense[0].shape[0] > _MOST_KERNEL_ROWS:
            continue
        model = method(place[1], options.hidden, place[2])
        if name == "skae":
            model.settings = options.set
        tables = [split.X_train, split.X_test] if model.takes_sparse else dense
        _, seconds = time_call(model.fit, tables[0])
        error = float(np.mean(np.square(dense[1] - model.reconstruct(tables[1]))))
        pca_error = error if pca_error is None else pca_error
        accuracy = predict_labels(model, tables, split)
        runs.append(Run(*place, name, error / pca_error, seconds, accuracy))
    return runs


def predict_labels(model, tables, split):
    """Return the held-out accuracy of a logistic regression on the codes, None without labels."""
    if split.y_train is None:
        return None
    train, test = (model.encode(X) for X in tables)
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return float(classifier.fit(train, split.y_train).score(test, split.y_test))


def group(runs, method, value="ratio"):
    """Return the values of a method over seeds, by cell."""
    cells = {}
    for run in runs:
        if run.method == method and getattr(run, value) is not None:
            cells.setdefault(run.cell, []).append(getattr(run, value))
    return cells


def report(runs, methods):
    """Print the tables."""
    tables = [
        ("ratio", statistics.median, "Median over seeds of the error over PCA's"),
        ("ratio", max, "Greatest over seeds of the error over PCA's"),
        ("seconds", statistics.median, "Median over seeds of the seconds to fit"),
        ("accuracy", statistics.mean, "Mean accuracy of LogisticRegression on the codes"),
    ]
    for value, average, title in tables:
        if not group(runs, "pca", value):
            continue
        columns = {method: group(runs, method, value) for method in methods}
        rows = [
            [
                *cell,
                *(average(column[cell]) if cell in column else None for column in columns.values()),
            ]
            for cell in columns["pca"]
        ]
        print_table(title, ["data", "codes", *methods], rows)
    print_summary("Over all", runs, methods)
    print_time_against_perceptron(runs)


def report_halves(runs, methods):
    """Print the last table for both halves of the tables of a folder.

    Whoever changes a default by what the one half says can judge the change by the other.
    """
    names = sorted({run.data for run in runs})
    for half, first in (("choosing", 0), ("judging", 1)):
        chosen = names[first::2]
        own = [run for run in runs if run.data in chosen]
        if own:
            print_summary(f"Over the half for {half}: {', '.join(chosen)}", own, methods)


def print_summary(title, runs, methods):
    """Print a line for each method, over all runs."""
    header = ["method", "runs", "geometric mean", "skae there", "worst median", "worst run"]
    header += [f"above {_TOLERATED}", "seconds", "accuracy - PCA's"]
    print_table(title, header, [summarize(runs, method) for method in methods])


def summarize(runs, method):
    """Return the line of a method in the last table."""
    ratios, ours = group(runs, method), group(runs, "skae")
    accuracies, pca = group(runs, method, "accuracy"), group(runs, "pca", "accuracy")
    gains = [np.mean(accuracies[cell]) - np.mean(pca[cell]) for cell in accuracies]
    everything = [ratio for cell in ratios.values() for ratio in cell]
    return [
        method,
        len(everything),
        geometric_mean(everything),
        geometric_mean(ratio for cell in ratios for ratio in ours[cell]),
        max(map(statistics.median, ratios.values())),
        max(everything),
        sum(ratio > _TOLERATED for ratio in everything),
        sum(run.seconds for run in runs if run.method == method),
        float(np.mean(gains)) if gains else None,
    ]


def print_time_against_perceptron(runs):
    """Print the times of fits relative to MLPRegressor."""
    theirs = group(runs, "mlp", "seconds")
    if not theirs:
        return
    ours = group(runs, "skae", "seconds")
    ratios = {
        cell: statistics.median(ours[cell]) / statistics.median(theirs[cell]) for cell in ours
    }
    worst = max(ratios, key=ratios.get)
    print(
        f"\nSeconds of skae over MLPRegressor's: {geometric_mean(ratios.values()):.2f} as "
        f"geometric mean, {ratios[worst]:.2f} at most ({worst[0]}, {worst[1]} codes)"
    )


def draw(runs, methods, path):
    """Plot the ratios of all runs, with a line for each data set and number of codes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    cells = list(group(runs, "pca"))[::-1]
    figure = Figure(figsize=(8, 1.8 + 0.28 * len(cells)), layout="constrained")
    axes = figure.add_subplot()
    for i, method in enumerate(methods[1:]):
        ratios = group(runs, method)
        points = [(r, cells.index(cell)) for cell in ratios for r in ratios[cell]]
        shift = 0.6 * (i / max(1, len(methods) - 2) - 0.5)
        x, y = np.array(points).T
        size, order = (26, 3) if method == "skae" else (10, 2)
        axes.scatter(x, y - shift, size, label=method, zorder=order)
    axes.axvline(1, color="0.4", linewidth=1)
    axes.set_xscale("log")
    axes.set_xlabel("held-out squared error over PCA's")
    axes.set_yticks(range(len(cells)), [f"{name}, {n_codes} codes" for name, n_codes in cells])
    axes.grid(axis="y", alpha=0.3)
    figure.legend(loc="outside upper center", ncols=4)
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=150)
    print(f"\n{path} shows every run.")


if __name__ == "__main__":
    main()
