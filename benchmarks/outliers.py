"""Outlier detection: areas under curves, over labelled data sets and seeds.

One class of a labelled table is ordinary, rows of the others are outliers. Rivals are fitted to the
same rows in the same run. See README.md.
"""

import csv
import statistics
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np
from _common import (
    describe_machine,
    has_data,
    is_installed,
    limit_threads,
    make_parser,
    print_table,
    quiet,
    time_call,
)
from _data import add_part_option, describe_sound, list_files
from sklearn.datasets import (
    load_breast_cancer,
    load_digits,
    load_iris,
    load_wine,
    make_friedman1,
    make_swiss_roll,
)
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import OneClassSVM

from skae import AutoencoderOutlierDetector, AutoencoderTransformer
from skae.datasets import load_mnist, load_spoken_digits

_MOST_ROWS = 2500
_MOST_TEST_ROWS = 1500
_CONTAMINATION = 0.05
_MOST_ROWS_OF_A_FILE = 2000
_LEAST_OUTLIERS_OF_A_FILE = 20
_FDR = 0.1
_OF_LABELS = ("false_alarms", "hits", "false_discoveries")
_SHARE = AutoencoderOutlierDetector().n_components
_NOTES = f"""\
Area under the ROC curve on held-out rows: 1 is perfect, 0.5 is chance. Everything is fitted without
labels: to ordinary rows only (clean), or with outliers among them ({_CONTAMINATION:.0%} dirty).
Tables of a folder: to half of the ordinary rows, judged on all others (clean), or to all rows,
judged on these (dirty). "skae" has trim=0 where rows are clean, and its default otherwise."""


@dataclass(frozen=True)
class Run:
    """Results of one method on one split."""

    data: str
    seed: int
    dirty: bool
    method: str
    area: float
    precision: float
    false_alarms: float | None
    hits: float | None
    false_discoveries: float | None
    seconds: float


@dataclass(frozen=True)
class Model:
    """Fitted method."""

    score: Callable
    label: Callable | None = None
    discover: Callable | None = None


@dataclass(frozen=True)
class Task:
    """Rows of one split, loaded when needed."""

    data: str
    seed: int
    dirty: bool
    load: Callable


def main(arguments=None):
    """Run the benchmark."""
    options = parse_options(arguments)
    methods = list(choose_methods(options))
    runs = read_runs(options.output)
    done = {(run.data, run.seed, run.dirty, run.method) for run in runs}
    with quiet(), limit_threads(options.threads):
        print(describe_machine(), _NOTES, sep="\n")
        for task in list_tasks(options):
            place = task.data, task.seed, task.dirty
            fits = choose_methods(options, dirty=task.dirty)
            wanted = [method for method in methods if (*place, method) not in done]
            split = task.load() if wanted else None
            for method in wanted:
                runs.append(measure(fits[method], split, task, method))
                write_run(options.output, runs[-1])
            print(*place, "is done", file=sys.stderr, flush=True)
    runs = select(runs, options, methods)
    if runs:
        report(runs, methods)


def list_tasks(options):
    """Yield splits of tables, with and without outliers among the training rows."""
    if options.folder is None:
        names = [name for name in options.datasets if has_data(name, DATA_SETS[name][1])]
        make = split_data_set
    else:
        files = list_files(options)
        names = [file.stem for file in files]
        make = split_file_of(options)
    for name in names:
        for seed in range(options.seeds):
            for dirty in (False, True):
                yield Task(name, seed, dirty, partial(make, name, seed, dirty=dirty))


def split_data_set(name, seed, *, dirty):
    """Return the split of a data set."""
    return split_rows(*DATA_SETS[name][0](seed), seed, dirty=dirty)


def split_file_of(options):
    """Return a function that splits a file of the folder."""

    def split(name, seed, *, dirty):
        X, is_outlier = load_file(options.folder / f"{name}.npz", seed, options.max_rows)
        return split_file(X, is_outlier, seed, dirty=dirty)

    return split


def read_runs(file):
    """Return the runs of an earlier call from a file."""
    if file is None or not file.exists():
        return []
    with file.open(newline="") as lines:
        return [read_run(line) for line in csv.DictReader(lines)]


def read_run(line):
    """Return a run from the cells of its line."""
    texts = {"data": str, "seed": int, "dirty": lambda cell: cell == "True", "method": str}
    number = texts.get
    cells = {name: number(name, float)(cell) if cell else None for name, cell in line.items()}
    return Run(**cells)


def write_run(file, run):
    """Append a run to the file, if there is one."""
    if file is None:
        return
    is_new = not file.exists()
    with file.open("a", newline="") as lines:
        writer = csv.DictWriter(lines, [field.name for field in fields(Run)])
        if is_new:
            writer.writeheader()
        writer.writerow(asdict(run))


def select(runs, options, methods):
    """Return the selected runs; a file may contain others."""
    asked = {(task.data, task.seed, task.dirty) for task in list_tasks(options)}
    return [
        run for run in runs if run.method in methods and (run.data, run.seed, run.dirty) in asked
    ]


def parse_options(arguments):
    """Return the options; --quick shortens everything that is not given."""
    parser = make_parser(__doc__)
    parser.add_argument("--datasets", nargs="+", choices=DATA_SETS, metavar="NAME")
    parser.add_argument(
        "--folder", type=Path, help="labelled tables in .npz files, with X and y (1 is an outlier)"
    )
    add_part_option(parser)
    parser.add_argument(
        "--max-rows", type=int, default=_MOST_ROWS_OF_A_FILE, help="rows of a file; 2000 by default"
    )
    parser.add_argument(
        "--output", type=Path, help="CSV file to which runs are written; its runs are not repeated"
    )
    parser.add_argument("--rivals", nargs="*", choices=RIVALS, metavar="NAME")
    parser.add_argument("--seeds", type=int, help="splits, each with a seed; 3 by default")
    parser.add_argument("--threads", type=int, default=1, help="1 by default")
    options = parser.parse_args(arguments)
    options.datasets = options.datasets or (QUICK if options.quick else tuple(DATA_SETS))
    if options.rivals is None:
        few = FEW_RIVALS if options.folder is not None else tuple(RIVALS)
        options.rivals = QUICK_RIVALS if options.quick else few
    short = options.quick or options.folder is not None
    options.seeds = options.seeds or (1 if short else 3)
    return options


def choose_methods(options, *, dirty=False):
    """Return the methods of skae, and the rivals that can be imported."""
    methods = {"skae": make_ours(options.set, dirty=dirty)}
    for name in options.rivals:
        if not (name == "pyod" or name in PYOD) or is_installed("pyod"):
            methods[name] = RIVALS[name]
    return methods


def measure(fit, split, task, method):
    """Return the run of a method: `fit` returns a Model."""
    X_train, X_test, is_outlier = split
    model, seconds = time_call(fit, X_train, task.seed)
    strangeness = model.score(X_test)
    flagged = None if model.label is None else model.label(X_test) < 0
    return Run(
        task.data,
        task.seed,
        task.dirty,
        method,
        float(roc_auc_score(is_outlier, strangeness)),
        float(average_precision_score(is_outlier, strangeness)),
        None if flagged is None else float(flagged[~is_outlier].mean()),
        None if flagged is None else float(flagged[is_outlier].mean()),
        None if model.discover is None else find_false_discoveries(model, X_test, is_outlier),
        seconds,
    )


def find_false_discoveries(model, X, is_outlier):
    """Return the share of ordinary rows among the flagged rows, 0 without flagged rows."""
    found = model.discover(X)
    return float(np.sum(found & ~is_outlier) / max(1, found.sum()))


# Methods: functions from rows and a seed to a Model.


def make_ours(settings, *, dirty):
    """Return the detector with defaults, except for settings of the autoencoder.

    Where all training rows are ordinary, it leaves none out.
    """
    settings = {"n_components": _SHARE, **settings}

    def fit(X, seed):
        detector = AutoencoderOutlierDetector(
            settings["n_components"],
            autoencoder=AutoencoderTransformer(**settings),
            random_state=seed,
            **({} if dirty else {"trim": 0}),
        ).fit(X)
        return Model(
            lambda X: -detector.score_samples(X),
            detector.predict,
            lambda X: detector.predict(X, fdr=_FDR) < 0,
        )

    return fit


def use_detector(make, scaler=None):
    """Return a function that fits a scaler and an outlier detector of scikit-learn."""

    def fit(X, seed):
        model = make_pipeline(scaler, make(seed)).fit(X)
        return Model(lambda X: -model.score_samples(X), model.predict)

    return fit


def use_neighbors(summarize):
    """Return a scorer by distances from as many neighbours as in skae, on standardised rows."""

    def fit(X, seed):
        scaler = StandardScaler().fit(X)
        n_neighbors = min(AutoencoderOutlierDetector().n_neighbors, len(X))
        model = NearestNeighbors(n_neighbors=n_neighbors).fit(scaler.transform(X))
        return Model(lambda X: summarize(model.kneighbors(scaler.transform(X))[0]))

    return fit


def use_reconstruction(fit_model, make_scaler):
    """Return a scorer by the squared error of reconstructions of scaled rows."""

    def fit(X, seed):
        scaler = make_scaler().fit(X)
        reconstruct = fit_model(scaler.transform(X), seed)

        def score(X):
            X = scaler.transform(X)
            return np.square(X - reconstruct(X)).mean(axis=1)

        return Model(score)

    return fit


def fit_components(X, seed):
    """Fit a PCA with the share of variance of skae's detector."""
    model = PCA(_SHARE, svd_solver="full").fit(X)
    return lambda X: model.inverse_transform(model.transform(X))


def fit_autoencoder(X, seed):
    """Fit the autoencoder of skae, with its errors as scores."""
    model = AutoencoderTransformer(_SHARE, random_state=seed).fit(X)
    return lambda X: model.inverse_transform(model.transform(X))


def fit_perceptron(X, seed):
    """Fit a plain autoencoder with as many codes."""
    n_codes = PCA(_SHARE, svd_solver="full").fit(X).n_components_
    model = MLPRegressor(
        hidden_layer_sizes=(64, n_codes, 64), early_stopping=True, random_state=seed
    ).fit(X, X)
    return lambda X: model.predict(X).reshape(X.shape)


def fit_pyod(X, seed):
    """Fit pyod's autoencoder with defaults, except for 100 epochs instead of 10."""
    from pyod.models.auto_encoder import AutoEncoder

    # It drops the last batch, and so all rows if there is less than one batch.
    model = AutoEncoder(
        epoch_num=100, batch_size=min(32, len(X)), random_state=seed, verbose=0
    ).fit(X)
    return Model(model.decision_function)


def use_pyod(name):
    """Return a function that fits another detector of pyod, on standardised columns."""

    def fit(X, seed):
        scaler = StandardScaler().fit(X)
        make = getattr(import_module(f"pyod.models.{name}"), PYOD[name])
        model = make(**({"random_state": seed} if name == "cblof" else {})).fit(scaler.transform(X))
        return Model(lambda X: model.decision_function(scaler.transform(X)))

    return fit


PYOD = {"copod": "COPOD", "ecod": "ECOD", "hbos": "HBOS", "knn": "KNN", "cblof": "CBLOF"}
RIVALS = {
    "error": use_reconstruction(fit_autoencoder, MinMaxScaler),
    "neighbors": use_neighbors(lambda distances: np.square(distances).mean(axis=1)),
    "fifth": use_neighbors(lambda distances: distances[:, -1]),
    "pca": use_reconstruction(fit_components, MinMaxScaler),
    "pca_std": use_reconstruction(fit_components, StandardScaler),
    "forest": use_detector(lambda seed: IsolationForest(random_state=seed)),
    "lof": use_detector(lambda seed: LocalOutlierFactor(novelty=True), StandardScaler()),
    "svm": use_detector(lambda seed: OneClassSVM(), StandardScaler()),
    "mlp": use_reconstruction(fit_perceptron, StandardScaler),
    "pyod": fit_pyod,
    **{name: use_pyod(name) for name in PYOD},
}
QUICK_RIVALS = ("pca", "forest", "lof")
FEW_RIVALS = ("error", "neighbors", "fifth", "forest", "lof")


# Data: functions from the seed to ordinary rows and outliers.


def take_class(load, *, against=False):
    """Return a function that takes one class as ordinary, or with `against` as outliers."""

    def choose(seed):
        X, y = load()
        classes = np.unique(y)
        is_chosen = y == classes[seed % len(classes)]
        return X[is_chosen != against], X[is_chosen == against]

    return choose


def load_benign_first():
    """Return breast cancer with benign tumours as the ordinary rows, for all seeds."""
    X, y = load_breast_cancer(return_X_y=True)
    return X, 1 - y


def choose_benign(seed):
    """Return benign and malignant tumours."""
    return take_class(load_benign_first)(0)


def load_images():
    """Return the first 20,000 images of MNIST."""
    mnist = load_mnist(random_state=0)
    return mnist.X_train[:20_000].astype(np.float64), mnist.y_train[:20_000]


def load_speakers():
    """Return the spoken digits with their speakers."""
    digits = load_spoken_digits()
    X = np.stack([describe_sound(audio) for audio in digits.audio])
    return X.astype(np.float64), np.asarray(digits.speaker)


def make_curved_sheet(seed):
    """Return a curved sheet in 12 features, and Gaussian rows with its mean and covariance."""
    rng = np.random.default_rng(seed)
    a, b = rng.uniform(-2, 2, size=(2, 1500))
    bent = [a, b, np.sin(2 * a), np.cos(2 * a) * b / 2, np.sin(1.5 * b)]
    X = np.stack(bent, axis=1) @ rng.normal(size=(5, 12)) + rng.normal(0, 0.1, size=(1500, 12))
    return X, rng.multivariate_normal(X.mean(axis=0), np.cov(X.T), size=len(X))


def make_roll(seed):
    """Return a swiss roll, and uniform rows in the box around it."""
    X, _ = make_swiss_roll(1500, noise=0.1, random_state=seed)
    box = np.random.default_rng(seed).uniform(X.min(axis=0), X.max(axis=0), size=X.shape)
    return X, box


def break_relation(seed):
    """Return a table including its target, and rows with the target of another row."""
    X, y = make_friedman1(3000, noise=0.1, random_state=seed)
    others = np.random.default_rng(seed).permutation(y[1500:])
    return np.column_stack([X[:1500], y[:1500]]), np.column_stack([X[1500:], others])


# Functions that make the data, and the files they need.
DATA_SETS = {
    "iris": (take_class(partial(load_iris, return_X_y=True)), None),
    "wine": (take_class(partial(load_wine, return_X_y=True)), None),
    "cancer": (choose_benign, None),
    "digit": (take_class(partial(load_digits, return_X_y=True)), None),
    "nine_digits": (take_class(partial(load_digits, return_X_y=True), against=True), None),
    "friedman1": (break_relation, None),
    "swiss_roll": (make_roll, None),
    "sheet": (make_curved_sheet, None),
    "speaker": (take_class(load_speakers), "fsdd.npz"),
    "mnist_digit": (take_class(load_images), "mnist.npz"),
    "mnist_nine": (take_class(load_images, against=True), "mnist.npz"),
}
QUICK = ("iris", "wine", "digit")


def split_rows(ordinary, outliers, seed, *, dirty):
    """Return training rows, held-out rows, and the mask of outliers among the latter."""
    rng = np.random.default_rng(seed)
    ordinary, outliers = rng.permutation(ordinary), rng.permutation(outliers)
    n_train = min(int(0.6 * len(ordinary)), _MOST_ROWS)
    train, test = ordinary[:n_train], ordinary[n_train : n_train + _MOST_TEST_ROWS]
    half = len(outliers) // 2
    if dirty:
        n_dirty = max(1, round(n_train * _CONTAMINATION / (1 - _CONTAMINATION)))
        train = np.concatenate([train, outliers[: min(n_dirty, half)]])
    others = outliers[half : half + _MOST_TEST_ROWS]
    is_outlier = np.repeat([False, True], [len(test), len(others)])
    return train, np.concatenate([test, others]), is_outlier


def load_file(file, seed, max_rows):
    """Return rows of a labelled table, and the mask of outliers."""
    with np.load(file) as table:
        X, is_outlier = table["X"].astype(np.float64), table["y"] == 1
    if len(X) <= max_rows:
        return X, is_outlier
    rng = np.random.default_rng(seed)
    rows, outliers = rng.permutation(np.flatnonzero(~is_outlier)), np.flatnonzero(is_outlier)
    share = round(max_rows * is_outlier.mean())
    # Keeps some outliers of tables with one in thousands.
    outliers = rng.permutation(outliers)[: max(_LEAST_OUTLIERS_OF_A_FILE, share)]
    chosen = np.concatenate([rows[: max_rows - len(outliers)], outliers])
    return X[chosen], is_outlier[chosen]


def split_file(X, is_outlier, seed, *, dirty):
    """Return training rows, test rows, and the mask of outliers among the latter."""
    if dirty:
        return X, X, is_outlier
    ordinary = np.random.default_rng(seed).permutation(np.flatnonzero(~is_outlier))
    is_known = np.isin(np.arange(len(X)), ordinary[: len(ordinary) // 2])
    return X[is_known], X[~is_known], is_outlier[~is_known]


def report(runs, methods):
    """Print the tables."""
    names = list(dict.fromkeys(run.data for run in runs))
    for dirty, title in ((False, "clean"), (True, "dirty")):
        rows = [[name, *(average(runs, m, "area", dirty, name) for m in methods)] for name in names]
        rows.append(["mean", *(average(runs, method, "area", dirty) for method in methods)])
        print_table(f"Area under the ROC curve, {title}: mean over seeds", ["data", *methods], rows)
    header = ["method", "area, clean", "area, dirty", "precision, clean", "precision, dirty"]
    header += ["false alarms", "hits", f"false at fdr={_FDR}", "seconds"]
    print_table("Means over all", header, [summarize(runs, method) for method in methods])


def average(runs, method, value, dirty, name=None):
    """Return the mean of a value over the selected runs, or None without runs."""
    values = [
        getattr(run, value)
        for run in runs
        if (run.method, run.dirty) == (method, dirty) and name in (None, run.data)
    ]
    return None if None in values else statistics.mean(map(float, values))


def summarize(runs, method):
    """Return the line of a method in the last table."""
    both = [average(runs, method, v, dirty) for v in ("area", "precision") for dirty in (0, 1)]
    alarms = [average(runs, method, value, False) for value in _OF_LABELS]
    return [method, *both, *alarms, sum(run.seconds for run in runs if run.method == method)]


if __name__ == "__main__":
    main()
