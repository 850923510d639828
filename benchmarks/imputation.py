"""Imputation: errors relative to those of scikit-learn's imputers.

Values of complete tables are hidden and filled in; rivals get the same tables in the same run. With
MNIST, images lack a square. See README.md.
"""

import os
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from _common import (
    describe_machine,
    geometric_mean,
    has_data,
    limit_threads,
    make_filling_autoencoder,
    make_parser,
    print_table,
    quiet,
    time_call,
)
from _data import add_part_option, list_files
from scipy.stats import rankdata
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.preprocessing import MinMaxScaler

from skae import AutoencoderImputer, AutoencoderTransformer
from skae.datasets import load_mnist

DATA_SETS = {
    "cancer": load_breast_cancer,
    "wine": load_wine,
    "digits": load_digits,
    "diabetes": load_diabetes,
}
PATTERNS = {
    "random 10 %": 0.1,
    "random 20 %": 0.2,
    "random 30 %": 0.3,
    "random 50 %": 0.5,
    "large 30 %": 0.3,
}
_USUAL_PATTERNS = tuple(name for name in PATTERNS if name != "random 20 %")
_MOST_ROWS, _MOST_COLUMNS = 600, 40
# Errors published for GAIN (Yoon et al., 2018), and aims.
_GAIN = {"letter": (0.120, 0.085), "spam": (0.051, 0.048)}
_GAIN_FILE = "imputation.npz"
_N_ROUNDS, _N_TREES = 4, 30
_SIDE, _HOLE = 28, 10
_PCA_COMPONENTS = (8, 16, 32, 64)
_PCA_ROUNDS = 30
_NOTES = """\
Root of the mean squared error of the values that were hidden, columns standardised. "random" hides
each value with the same probability; "large" hides the greatest of a column twice as often as those
in its middle and the least never, in proportion to their rank."""


@dataclass(frozen=True)
class Cell:
    """Errors of all methods on one table with one pattern, averaged over the seeds."""

    data: str
    pattern: str
    errors: dict
    seconds: dict

    @property
    def over_best(self):
        """Error of skae over the lowest error of the rivals."""
        return self.errors["skae"] / min(v for k, v in self.errors.items() if k != "skae")


def main(arguments=None):
    """Run the benchmark."""
    options = parse_options(arguments)
    with quiet(), limit_threads(options.threads):
        print(describe_machine())
        cells = []
        for name, load in list_tables(options).items():
            for pattern in options.patterns:
                cells.append(measure(name, load(), pattern, options))
                print(name, pattern, cells[-1].errors, file=sys.stderr, flush=True)
        if cells:
            report(cells)
        if options.gain:
            fill_gain_tables(options)
        if options.holes:
            inpaint(options)


def parse_options(arguments):
    """Return the options; --quick shortens everything that is not given."""
    parser = make_parser(__doc__)
    parser.add_argument("--datasets", nargs="*", choices=DATA_SETS, metavar="NAME")
    parser.add_argument(
        "--gain", action="store_true", help="Letter and Spam as in the article on GAIN, alone"
    )
    parser.add_argument("--folder", type=Path, help="tables in .npz files, each under the name X")
    add_part_option(parser)
    parser.add_argument(
        "--max-rows", type=int, help="rows of a file; 600 by default, all with --gain"
    )
    parser.add_argument("--patterns", nargs="+", choices=PATTERNS, metavar="NAME")
    parser.add_argument(
        "--trees", action="store_true", help="IterativeImputer with trees among the rivals"
    )
    parser.add_argument("--seeds", type=int, help="patterns, each with a seed; 3 by default")
    parser.add_argument("--threads", type=int, default=1, help="1 by default")
    parser.add_argument("--rows", type=int, help="images of MNIST with holes; 20000 by default")
    parser.add_argument("--no-holes", dest="holes", action="store_false", help="tables only")
    options = parser.parse_args(arguments)
    if options.datasets is None:
        options.datasets = ("wine",) if options.quick else tuple(DATA_SETS)
    if options.gain:
        options.datasets, options.holes = (), False
    if options.patterns is None:
        options.patterns = _USUAL_PATTERNS if options.folder is None else ("random 20 %",)
    options.holes = options.holes and options.folder is None
    short = options.quick or options.folder is not None
    options.seeds = options.seeds or (1 if short else 3)
    options.rows = options.rows or (1000 if options.quick else 20_000)
    return options


def list_tables(options):
    """Return names of tables, and functions that load them."""
    if options.folder is None:
        return {name: cache(lambda name=name: load_table(name)) for name in options.datasets}
    files, most = list_files(options), options.max_rows or _MOST_ROWS
    tables = {file.stem: cache(lambda file=file: load_file(file, most)) for file in files}
    return {name: load for name, load in tables.items() if load().shape[1] <= _MOST_COLUMNS}


def load_file(file, max_rows):
    """Return rows of a file with standardised columns, without constant columns."""
    with np.load(file) as table:
        X = table["X"].astype(np.float64)
    rows = np.random.default_rng(0).permutation(len(X))[:max_rows]
    return standardize(X[np.sort(rows)])


def measure(name, X, pattern, options):
    """Return the errors of all methods on a table."""
    errors, seconds = {}, {}
    for seed in range(options.seeds):
        hidden = hide(X, pattern, seed)
        X_hidden = np.where(hidden, np.nan, X)
        for method, imputer in make_methods(seed, options).items():
            filled, taken = time_call(imputer.fit_transform, X_hidden)
            error = np.sqrt(np.square(filled - X)[hidden].mean())
            errors.setdefault(method, []).append(error)
            seconds.setdefault(method, []).append(taken)
    means = ({key: float(np.mean(all_)) for key, all_ in of.items()} for of in (errors, seconds))
    return Cell(name, pattern, *means)


def load_table(name):
    """Return a complete table with standardised columns, without constant columns."""
    return standardize(DATA_SETS[name]().data)


def standardize(X):
    """Return a table with standardised columns, without constant columns."""
    X = X[:, X.std(axis=0) > 0]
    return (X - X.mean(axis=0)) / X.std(axis=0)


def hide(X, pattern, seed):
    """Return the mask of hidden values."""
    draws = np.random.default_rng(seed).random(X.shape)
    share = PATTERNS[pattern]
    if pattern.startswith("large"):
        share = 2 * share * (rankdata(X, axis=0) - 0.5) / len(X)
    return draws < share


def make_methods(seed, options):
    """Return the imputers with their defaults; with few trees and rounds for forests."""
    autoencoder = make_filling_autoencoder(options.set)
    methods = {
        "skae": AutoencoderImputer(autoencoder=autoencoder, random_state=seed),
        "simple": SimpleImputer(),
        "knn": KNNImputer(),
        "iterative": IterativeImputer(random_state=seed),
    }
    if options.trees:
        forest = ExtraTreesRegressor(_N_TREES, random_state=seed)
        boosting = HistGradientBoostingRegressor(random_state=seed)
        for name, trees in {"extra trees": forest, "boosting": boosting}.items():
            methods[name] = IterativeImputer(trees, max_iter=_N_ROUNDS, random_state=seed)
    return methods


def report(cells):
    """Print the errors, and how often skae has the lowest error or nearly so."""
    print(_NOTES)
    methods = list(cells[0].errors)
    rows = [
        [cell.data, cell.pattern, *(cell.errors[name] for name in methods), cell.over_best]
        for cell in cells
    ]
    print_table("error", ["data", "missing", *methods, "over best rival"], rows)
    ratios = [cell.over_best for cell in cells]
    summary = [
        ["over best rival, geometric mean", geometric_mean(ratios), None],
        ["share of cells within 1.03 of the best", np.mean(np.array(ratios) <= 1.03), 0.85],
        ["worst cell over SimpleImputer", max(map(find_ratio_to_simple, cells)), 1.0],
    ]
    for name in methods:
        seconds = [cell.seconds[name] for cell in cells]
        summary.append([f"{name}: seconds, geometric mean", geometric_mean(seconds), None])
    print_table("summary", ["", "", "aim"], [[a, float(b), c] for a, b, c in summary])


def find_ratio_to_simple(cell):
    """Return the error of skae over that of SimpleImputer."""
    return cell.errors["skae"] / cell.errors["simple"]


def fill_gain_tables(options):
    """Impute the tables of the article on GAIN, and print errors of columns scaled to [0, 1]."""
    if not has_data("gain", _GAIN_FILE):
        return
    rows, methods = [], []
    for name, (published, aim) in _GAIN.items():
        with np.load(Path(os.environ["SKAE_DATA"]) / _GAIN_FILE) as tables:
            X = MinMaxScaler().fit_transform(tables[name].astype(np.float64))
        some = np.random.default_rng(0).permutation(len(X))[: options.max_rows]
        cell = measure(name, X[some], "random 20 %", options)
        methods = list(cell.errors)
        print(name, cell.errors, cell.seconds, file=sys.stderr, flush=True)
        errors = [f"{own:.4f}" for own in cell.errors.values()]
        rows.append([name, *X[some].shape, *errors, published, aim, cell.seconds["skae"]])
    headings = ["table", "rows", "columns", *methods, "GAIN, published", "aim", "skae seconds"]
    print_table("error, columns scaled to 0 and 1, 20 % hidden at random", headings, rows)


def inpaint(options):
    """Impute missing squares of images, and print the errors relative to PCA's."""
    if not has_data("mnist", "mnist.npz"):
        return
    mnist = load_mnist()
    X, X_test = mnist.X_train[: options.rows], mnist.X_test[: max(200, options.rows // 4)]
    rng = np.random.default_rng(0)
    X_hidden, X_test_hidden = cut_holes(X, rng), cut_holes(X_test, rng)
    holes = np.isnan(X_test_hidden)
    rows = []
    for name, fit in make_painters(options).items():
        fill, seconds = time_call(fit, X_hidden)
        error = float(np.square(fill(X_test_hidden) - X_test)[holes].mean())
        rows.append([name, error, seconds])
        print(f"{name}: {error:.5f}", file=sys.stderr, flush=True)
    of_pca = min(error for name, error, _ in rows if name.startswith("PCA"))
    print_table(
        f"MNIST, {len(X)} images that lack a square of {_HOLE} by {_HOLE}; aim: 0.5 of PCA",
        ["", "error per pixel", "over best PCA", "fit seconds"],
        [[name, f"{error:.5f}", error / of_pca, seconds] for name, error, seconds in rows],
    )


def cut_holes(X, rng):
    """Return images with a missing square within the central 20 by 20 pixels."""
    images = X.reshape(-1, _SIDE, _SIDE).copy()
    margin = (_SIDE - 20) // 2
    corners = rng.integers(margin, margin + 20 - _HOLE + 1, size=(len(X), 2))
    for image, (row, column) in zip(images, corners, strict=True):
        image[row : row + _HOLE, column : column + _HOLE] = np.nan
    return images.reshape(len(X), -1)


def make_painters(options):
    """Return functions that fit to images with holes and return an imputation function."""
    painters = {"means": fit_means, "skae": make_ours(options)}
    painters |= {f"PCA, {k} components": fit_masked_pca(k) for k in _PCA_COMPONENTS}
    return painters


def fit_means(X):
    """Impute the mean of each pixel."""
    return SimpleImputer(keep_empty_features=True).fit(X).transform


def make_ours(options):
    """Return a function that fits the imputer of skae with a network for images."""
    template = {
        "hidden_layer_sizes": (512, 256),
        "corruption": "hiding",
        "corruption_level": 0.0,
        "learning_rate_init": 0.003,
        "max_iter": 20,
        "early_stopping": False,
    }

    def fit(X):
        template.update(options.set)
        autoencoder = AutoencoderTransformer(**template)
        imputer = AutoencoderImputer(
            128,
            standardize=False,
            keep_empty_features=True,
            autoencoder=autoencoder,
            random_state=0,
        )
        return imputer.fit(X).transform

    return fit


def fit_masked_pca(n_components):
    """Return a function that fits a PCA by repeated imputation of its reconstructions."""

    def fit(X):
        missing = np.isnan(X)
        mean = np.nan_to_num(np.nanmean(np.where(missing.all(axis=0), 0, X), axis=0))
        filled = np.where(missing, mean, X)
        for _ in range(_PCA_ROUNDS):
            pca = PCA(n_components, svd_solver="covariance_eigh").fit(filled)
            filled = refill(pca, filled, missing)

        def fill(X):
            missing = np.isnan(X)
            filled = np.where(missing, mean, X)
            for _ in range(_PCA_ROUNDS):
                filled = refill(pca, filled, missing)
            return filled

        return fill

    return fit


def refill(pca, filled, missing):
    """Return rows with missing values reconstructed by the PCA."""
    return np.where(missing, pca.inverse_transform(pca.transform(filled)), filled)


if __name__ == "__main__":
    main()
