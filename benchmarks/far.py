"""Errors of rows far from the training rows, as ratios to those of PCA.

Held-out rows are shifted in one column, where the errors of the others are compared, or in all. The
range of reconstructions is not limited: a limit rules such rows out. See README.md.
"""

import numpy as np
from _common import describe_machine, geometric_mean, make_parser, print_table, quiet
from _data import DATA_SETS, QUICK, densify, select, select_folder
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer

_TOLERATED = 1.05
_MOST_COLUMNS = 4
_MOST_ROWS = 100
# In standard deviations of the columns.
_SINGLE, _WHOLE = (5, 10, 30, 1000), (3, 5, 10, 1000)


def main(arguments=None):
    """Run the benchmark."""
    options = parse_options(arguments)
    if options.folder is None:
        data_sets = select(QUICK if options.quick else DATA_SETS)
    else:
        data_sets = select_folder(options.folder, max_rows=options.rows)
    ratios, n_models = {}, 0
    print(describe_machine())
    for data in data_sets.values():
        for seed in range(options.seeds):
            split = data.split(seed)
            train, test = densify(split.X_train), densify(split.X_test)[:_MOST_ROWS]
            for n_components in data.n_components:
                with quiet():
                    params = {"random_state": seed, "output_range": None} | options.set
                    model = AutoencoderTransformer(n_components, **params).fit(train)
                if model.best_iter_ > 0:
                    n_models += 1
                    pca = PCA(n_components, svd_solver="full").fit(train)
                    measure(model, pca, test, train.std(axis=0), seed, ratios)
    report(ratios, n_models)


def parse_options(arguments):
    """Return the options."""
    parser = make_parser(__doc__)
    parser.add_argument("--folder", help="CSV, Parquet or NPZ tables to take instead")
    parser.add_argument("--rows", type=int, help="most rows to take of each table of the folder")
    parser.add_argument("--seeds", type=int, default=1, help="splits, each with a seed; 1")
    return parser.parse_args(arguments)


def measure(model, pca, X, deviations, seed, ratios):
    """Append the ratios of one model to the lists under each kind of shift."""
    source = np.random.default_rng(seed)
    columns = source.permutation(np.flatnonzero(deviations > 0))[:_MOST_COLUMNS]
    signs = source.choice([-1, 1], len(deviations))
    ratios.setdefault(("none", 0), []).append(find_ratio(model, pca, X))
    for size in _SINGLE:
        found = []
        for column in columns:
            others = np.arange(len(deviations)) != column
            for sign in (-1, 1):
                odd = X + sign * size * deviations * ~others
                found.append(find_ratio(model, pca, odd, others))
        ratios.setdefault(("one column, worst", size), []).append(max(found))
        ratios.setdefault(("one column, median", size), []).append(np.median(found))
    for size in _WHOLE:
        for kind, pattern in (("all, equal signs", 1), ("all, random signs", signs)):
            odd = X + size * deviations * pattern
            ratios.setdefault((kind, size), []).append(find_ratio(model, pca, odd))


def find_ratio(model, pca, X, columns=slice(None)):
    """Return the squared error of some columns relative to PCA's."""
    errors = [
        np.square(X - own.inverse_transform(own.transform(X)))[:, columns].sum()
        for own in (model, pca)
    ]
    return errors[0] / errors[1]


def report(ratios, n_models):
    """Print the table."""
    rows = [
        [kind, size, geometric_mean(own), sum(r > _TOLERATED for r in own), max(own)]
        for (kind, size), own in sorted(ratios.items())
    ]
    header = ["shifted", "deviations", "geometric mean", f"above {_TOLERATED}", "worst"]
    print_table(f"Error over PCA's: {n_models} models that learned more than PCA", header, rows)


if __name__ == "__main__":
    main()
