"""Many models side by side: ratios of seconds to other ways of training these models.

Seconds are those of the clock, with two processes as the rival of searches. Searches and `fit_many`
use as many processes as `--processes` says, halving uses one. `cpu` is the ratio of the processor's
seconds in all processes, which says more where other programs run. Where a loop would take long, a
sample of its fits is measured and scaled to all of them. Scores must be equal on both sides, else
the script ends with an error. The last rows compare fits of other kinds of autoencoders with plain
ones, on three small tables.

Each row is measured by itself, and printed at once: `--only wine` measures one of them. At full
size, a row can take a quarter of an hour on two cores that do nothing else; options choose smaller
sizes.
"""

import argparse
import contextlib
import sys
import time

import joblib
import numpy as np
import psutil
from _common import describe_machine, make_parser, median_ratio, print_table, quiet
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV
from sklearn.preprocessing import StandardScaler

from skae import (
    AdversarialAutoencoderTransformer,
    AutoencoderTransformer,
    VariationalAutoencoderTransformer,
    fit_many,
)

_KINDS = {
    "variational": VariationalAutoencoderTransformer,
    "adversarial": AdversarialAutoencoderTransformer,
}
_AIMS = {
    "wine": 0.30,
    "digits": 0.50,
    "halving": 0.35,
    "many": 0.25,
    "many_variational": float("nan"),
    "many_adversarial": float("nan"),
    "single": 1.02,
    "variational": 2.0,
    "adversarial": 2.0,
}
_SIZES_TO_WARM_UP = {"candidates": 4, "tables": 2, "sample": 2, "epochs": 9}


class Clock:
    """Contender that records wall time and processor time of each call."""

    def __init__(self, function):
        self.function, self.wall, self.cpu = function, [], []

    def __call__(self):
        """Call the function."""
        wall, cpu = time.perf_counter(), find_cpu_seconds()
        result = self.function()
        self.wall.append(time.perf_counter() - wall)
        self.cpu.append(find_cpu_seconds() - cpu)
        return result


def find_cpu_seconds():
    """Return the seconds of the processor that this process and its workers have used."""
    this = psutil.Process()
    own, times = this.cpu_times(), []
    for worker in this.children(recursive=True):
        # Meanwhile, a worker may have ended.
        with contextlib.suppress(psutil.NoSuchProcess):
            times.append(worker.cpu_times())
    # Seconds of workers that have ended count as those of the process that waited for them.
    ended = own.children_user + own.children_system
    return ended + sum(part.user + part.system for part in (own, *times))


def search(estimator, rates, X, backend, **params):
    """Return the scores of a grid search over learning rates."""
    found = GridSearchCV(estimator, {"learning_rate_init": rates}, cv=5, refit=False)
    with joblib.parallel_config(backend=backend, **params):
        return found.fit(X).cv_results_["mean_test_score"]


def compare_search(estimator, n_candidates, X, n_processes):
    """Return contenders: a search side by side, and one by the workers of joblib."""
    rates = list(np.geomspace(3e-4, 3e-2, n_candidates))
    return {
        "side by side": lambda: search(estimator, rates, X, "skae", n_processes=n_processes),
        "two processes": lambda: search(estimator, rates, X, "loky", n_jobs=2),
    }


def compare_halving(estimator, n_candidates, n_epochs, X):
    """Return contenders: halving that resumes survivors, and all candidates trained to the end."""
    rates = list(np.geomspace(3e-4, 3e-2, n_candidates))
    estimator = clone(estimator).set_params(early_stopping=False, max_iter=n_epochs)

    def halve():
        found = HalvingGridSearchCV(
            estimator,
            {"learning_rate_init": rates},
            resource="max_iter",
            max_resources=n_epochs,
            min_resources="exhaust",
            cv=5,
            refit=False,
        )
        with joblib.parallel_config(backend="skae", resume_until=n_epochs):
            results = found.fit(X).cv_results_
        (ended,) = np.nonzero(results["n_resources"] == n_epochs)
        places = [rates.index(results["params"][i]["learning_rate_init"]) for i in ended]
        scores = np.full(n_candidates, np.nan)
        scores[places] = results["mean_test_score"][ended]
        return scores

    return {
        "survivors": halve,
        "all to the end": lambda: search(estimator, rates, X, "skae"),
    }


def make_tables(n_tables):
    """Return tables of 500 rows and 12 columns by number."""
    rng = np.random.default_rng(0)
    return {
        name: np.tanh(rng.normal(size=(500, 3)) @ rng.normal(size=(3, 12)))
        + 0.1 * rng.normal(size=(500, 12))
        for name in range(n_tables)
    }


def compare_many(estimator, n_tables, n_sampled, n_processes):
    """Return contenders: one model for each of many tables, and a loop over some of them."""
    tables = make_tables(n_tables)

    def loop():
        models = [clone(estimator).fit(tables[name]) for name in range(n_sampled)]
        return np.array([own.reconstruction_error_ for own in models])

    def together():
        models = fit_many(estimator, tables, n_processes=n_processes)
        return np.array([own.reconstruction_error_ for own in models.values()])

    return {"side by side": together, "loop": loop}


def compare_single(estimator, X):
    """Return contenders: one fit with and without the backend."""

    def fit(backend):
        with joblib.parallel_config(backend=backend):
            fits = joblib.Parallel()([joblib.delayed(clone(estimator).fit)(X)])
        return np.array([fits[0].reconstruction_error_])

    return {"backend": lambda: fit("skae"), "none": lambda: fit("sequential")}


def compare_kinds(other, plain, tables):
    """Return contenders: fits of one kind of autoencoder, and of the plain kind."""

    def fit_all(estimator):
        for X in tables:
            clone(estimator).fit(X)
        return np.zeros(1)

    return {"this kind": lambda: fit_all(other), "plain": lambda: fit_all(plain)}


def measure(contenders, n_rounds):
    """Time contenders in turn, and check that they agree.

    Returns their clocks, and the share of the models of the first that each has trained.
    """
    clocks = {name: Clock(function) for name, function in contenders.items()}
    shares = {}
    for _ in range(n_rounds):
        results = [clock() for clock in clocks.values()]
        first = results[0]
        for name, own in zip(clocks, results, strict=True):
            # Halving has no results of rejected candidates, and a sample none of the last ones.
            known = ~np.isnan(first[: len(own)])
            assert known.any()
            np.testing.assert_array_equal(first[: len(own)][known], own[known])
            shares[name] = len(own) / len(first)
    return clocks, shares


def make_contenders(name, args):
    """Return the contenders of one row of the table, and the number of models."""
    wine = StandardScaler().fit_transform(load_wine().data)
    digits = load_digits().data
    small, larger = (
        AutoencoderTransformer(n_codes, random_state=0).set_params(**args.set)
        for n_codes in (2, 10)
    )
    n_models = 5 * args.candidates
    if name in ("wine", "digits"):
        estimator, X = (small, wine) if name == "wine" else (larger, digits)
        return compare_search(estimator, args.candidates, X, args.processes), n_models
    if name == "halving":
        return compare_halving(larger, args.candidates, args.epochs, digits), n_models
    if name.startswith("many"):
        kind = _KINDS.get(name.removeprefix("many_"), AutoencoderTransformer)
        estimator = kind(3, random_state=0).set_params(**args.set)
        n_sampled = min(args.sample, args.tables)
        return compare_many(estimator, args.tables, n_sampled, args.processes), args.tables
    if name == "single":
        return compare_single(small, wine), 1
    cancer = StandardScaler().fit_transform(load_breast_cancer().data)
    tables = [wine, cancer, *make_tables(1).values()]
    other = _KINDS[name](2, random_state=0).set_params(**args.set)
    return compare_kinds(other, small, tables[: args.tables]), len(tables)


def compare(name, args):
    """Measure one row of the table, and return its cells."""
    contenders, n_models = make_contenders(name, args)
    with quiet():
        if not args.quick:
            small = argparse.Namespace(**{**vars(args), **_SIZES_TO_WARM_UP})
            measure(make_contenders(name, small)[0], 1)
        clocks, shares = measure(contenders, args.rounds)
    (_, ours), (rival, theirs) = clocks.items()
    wall = median_ratio(ours.wall, theirs.wall) * shares[rival]
    cpu = median_ratio(ours.cpu, theirs.cpu) * shares[rival]
    seconds = np.median(ours.wall), np.median(theirs.wall) / shares[rival]
    return [name, n_models, rival, *map(float, seconds), wall, _AIMS[name], cpu]


def main(argv=None):
    """Parse the options, and measure and print each row of the table."""
    parser = make_parser(__doc__.splitlines()[0])
    parser.add_argument(
        "--only", nargs="+", choices=_AIMS, default=list(_AIMS), help="rows to be measured"
    )
    parser.add_argument("--candidates", type=int, default=60, help="of a search, in five folds")
    parser.add_argument(
        "--processes", type=int, default=2, help="for searches side by side and fit_many"
    )
    parser.add_argument("--tables", type=int, default=2000, help="for fit_many")
    parser.add_argument("--sample", type=int, default=10, help="tables of loops in one process")
    parser.add_argument(
        "--rounds", type=int, default=1, help="rounds, after a small one to warm up"
    )
    parser.add_argument("--epochs", type=int, default=81, help="of the last round of halving")
    args = parser.parse_args(argv)
    if args.quick:
        args.candidates, args.tables, args.rounds, args.epochs = 4, 4, 1, 9
        args.set = {"max_iter": 5, **args.set}
    print(describe_machine())
    header = ["work", "models", "against", "ours s", "theirs s", "ratio", "aim", "cpu"]
    for name in args.only:
        print_table(f"Many models side by side: {name}", header, [compare(name, args)])
        sys.stdout.flush()


if __name__ == "__main__":
    main()
