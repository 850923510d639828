"""Speed relative to rivals with equal network, data, batch size, epochs and threads.

Contenders take turns within one process; seconds are medians over the rounds, ratios are medians
of the ratios within a round. See README.md.
"""

import pickle
import statistics
import sys
import time

from _common import (
    add_parts,
    compare_seconds,
    describe_machine,
    make_parser,
    print_table,
    quiet,
    time_interleaved,
    time_program,
)
from _rivals import SkorchTransformer
from _speed_kinds import measure_convolutional
from _speed_memory import measure_map, measure_transform
from _speed_recurrent import measure_recurrent
from _speed_training import (
    DIGITS,
    load_digit_rows,
    make_ours,
    measure_digits,
    measure_growth,
    measure_mnist,
)
from _speed_whole import measure_whole
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV

_RIVALS_IMPORT = "import torch, sklearn.decomposition, skorch"
_ONE_ROW_CALLS = 200


def measure_grid(options):
    """Search 12 candidates in 5 folds with two warm worker processes."""
    X = load_digit_rows()
    n_epochs = options.epochs or (2 if options.quick else 20)
    ours = make_ours(DIGITS, n_epochs, options.set)
    theirs = SkorchTransformer(max_epochs=n_epochs)
    grid = {"n_components": [8, 16], "hidden_layer_sizes": [(64,), (128,)]}
    rates = [5e-4, 1e-3, 2e-3]
    searches = {
        "skae": GridSearchCV(ours, grid | {"learning_rate_init": rates}, n_jobs=2),
        "skorch": GridSearchCV(theirs, grid | {"lr": rates}, n_jobs=2),
    }
    for search in searches.values():
        warm = GridSearchCV(search.estimator, {"n_components": [2, 3]}, n_jobs=2, refit=False)
        warm.fit(X[:200])
    contenders = {name: lambda search=search: search.fit(X) for name, search in searches.items()}
    seconds = time_interleaved(contenders, max(1, options.rounds // 2), n_warm=0)
    title = f"GridSearchCV on digits, 12 candidates x 5 folds, n_jobs=2, {n_epochs} epochs"
    compare_seconds(title, seconds, {"skorch": 0.3})


def measure_import(options):
    """Import skae, and its dependencies, in new processes."""
    contenders = {
        "skae": lambda: time_program("import skae"),
        _RIVALS_IMPORT: lambda: time_program(_RIVALS_IMPORT),
        "added": lambda: time_program("import skae", before=_RIVALS_IMPORT),
    }
    seconds = time_interleaved(contenders, options.rounds, n_warm=0)
    added = statistics.median(seconds.pop("added"))
    compare_seconds("Import, in new processes", seconds, {})
    print(f"skae adds {added * 1000:.0f} ms to the other three.")


def measure_one_row(options):
    """Transform a single row."""
    X = load_digit_rows()
    models = {"skae": make_ours(DIGITS, 1, options.set).fit(X), "PCA": PCA(16).fit(X)}

    def transform(model):
        start = time.perf_counter()
        for _ in range(_ONE_ROW_CALLS):
            model.transform(X[:1])
        return (time.perf_counter() - start) / _ONE_ROW_CALLS * 1e3

    contenders = {name: lambda model=model: transform(model) for name, model in models.items()}
    milliseconds = time_interleaved(contenders, options.rounds)
    compare_seconds("transform of one row of digits, in milliseconds", milliseconds, {}, unit="ms")


def measure_pickle(options):
    """Compare the size of a pickle with its weights."""
    model = make_ours(DIGITS, 1, options.set).fit(load_digit_rows())
    n_bytes = len(pickle.dumps(model))
    weights = sum(tensor.nbytes for tensor in model.net_.module_.state_dict().values())
    row = [n_bytes, weights, n_bytes / weights]
    print_table("Pickle, digits 64-128-16-128-64", ["bytes", "of weights", "ratio"], [row])


PARTS = {
    "digits": measure_digits,
    "mnist": measure_mnist,
    "conv": measure_convolutional,
    "recurrent": measure_recurrent,
    "whole": measure_whole,
    "transform": measure_transform,
    "grid": measure_grid,
    "growth": measure_growth,
    "map": measure_map,
    "import": measure_import,
    "one_row": measure_one_row,
    "pickle": measure_pickle,
}


def main(arguments=None):
    """Run the selected parts, all by default."""
    parser = make_parser(__doc__)
    add_parts(parser, PARTS)
    parser.add_argument("--rounds", type=int, help="how often contenders take turns")
    parser.add_argument("--epochs", type=int, help="epochs of each training")
    parser.add_argument("--map-megabytes", type=int, help="size of the memory map, 4000 by default")
    parser.add_argument("--map-folder", help="where to make it, a temporary folder by default")
    options = parser.parse_args(arguments)
    options.rounds = options.rounds or (2 if options.quick else 5)
    print(describe_machine())
    with quiet():
        for part in options.parts:
            PARTS[part](options)
            sys.stdout.flush()


if __name__ == "__main__":
    main()
