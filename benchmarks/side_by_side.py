"""Many models side by side against the same models by other means, as ratios of seconds.

Seconds are those of the clock, with two processes as the rival of searches. `cpu` is the ratio of
the processor's seconds to those of one fit after the other in one process, which says more where
other programs run. Scores must be equal on both sides, else the script ends with an error.
"""

import time

import joblib
import numpy as np
from _common import describe_machine, make_parser, median_ratio, print_table, quiet
from sklearn.base import clone
from sklearn.datasets import load_digits, load_wine
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer, fit_many

_AIMS = {"wine": 0.30, "digits": 0.50, "halving": 0.35, "many": 0.25, "single": 1.02}


class Clock:
    """A contender whose seconds, of the clock and of the processor, are noted at each call."""

    def __init__(self, function):
        self.function, self.wall, self.cpu = function, [], []

    def __call__(self):
        """Call the function."""
        wall, cpu = time.perf_counter(), time.process_time()
        result = self.function()
        self.wall.append(time.perf_counter() - wall)
        self.cpu.append(time.process_time() - cpu)
        return result


def search(estimator, grid, X, backend, **params):
    """Return the scores of a grid search."""
    found = GridSearchCV(estimator, grid, cv=5, refit=False)
    with joblib.parallel_config(backend=backend, **params):
        return found.fit(X).cv_results_["mean_test_score"]


def compare_search(estimator, n_candidates, X):
    """Return contenders: a search side by side, in two processes, and in one."""
    grid = {"learning_rate_init": list(np.geomspace(3e-4, 3e-2, n_candidates))}
    return {
        "side by side": lambda: search(estimator, grid, X, "skae"),
        "two processes": lambda: search(estimator, grid, X, "loky", n_jobs=2),
        "one by one": lambda: search(estimator, grid, X, "sequential"),
    }


def compare_halving(estimator, n_candidates, n_epochs, X):
    """Return contenders: halving that goes on with survivors, and all candidates to the end."""
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
        "all to the end": lambda: search(estimator, {"learning_rate_init": rates}, X, "skae"),
    }


def compare_many(n_tables):
    """Return contenders: one model for each of many tables, side by side and in a loop."""
    rng = np.random.default_rng(0)
    tables = {
        name: np.tanh(rng.normal(size=(500, 3)) @ rng.normal(size=(3, 12)))
        + 0.1 * rng.normal(size=(500, 12))
        for name in range(n_tables)
    }
    estimator = AutoencoderTransformer(3, random_state=0)

    def loop():
        models = [clone(estimator).fit(X) for X in tables.values()]
        return np.array([own.reconstruction_error_ for own in models])

    def together():
        models = fit_many(estimator, tables)
        return np.array([own.reconstruction_error_ for own in models.values()])

    return {"side by side": together, "loop": loop}


def compare_single(estimator, X):
    """Return contenders: one fit with the backend and without."""

    def fit(backend):
        with joblib.parallel_config(backend=backend):
            fits = joblib.Parallel()([joblib.delayed(clone(estimator).fit)(X)])
        return np.array([fits[0].reconstruction_error_])

    return {"backend": lambda: fit("skae"), "none": lambda: fit("sequential")}


def measure(contenders, n_rounds):
    """Time contenders in turn; check that they agree; return their clocks."""
    clocks = {name: Clock(function) for name, function in contenders.items()}
    for turn in range(n_rounds + 1):
        results = [clock() for clock in clocks.values()]
        for own in results[1:]:
            # Halving leaves those out that do not survive.
            known = ~np.isnan(results[0])
            assert known.any()
            np.testing.assert_array_equal(results[0][known], own[known])
        if turn == 0 and n_rounds > 0:
            for clock in clocks.values():
                clock.wall.clear(), clock.cpu.clear()
    return clocks


def make_contenders(name, args):
    """Return the contenders of one row of the table, and how many models there are."""
    wine = StandardScaler().fit_transform(load_wine().data)
    digits = load_digits().data
    small = AutoencoderTransformer(2, random_state=0)
    larger = AutoencoderTransformer(10, random_state=0)
    if name == "wine":
        return compare_search(small, args.candidates, wine), 5 * args.candidates
    if name == "digits":
        return compare_search(larger, args.candidates, digits), 5 * args.candidates
    if name == "halving":
        return compare_halving(larger, args.candidates, args.epochs, digits), 5 * args.candidates
    if name == "many":
        return compare_many(args.tables), args.tables
    return compare_single(small, wine), 1


def main(argv=None):
    """Parse the options, measure, print the ratios."""
    parser = make_parser(__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=_AIMS, default=list(_AIMS))
    parser.add_argument("--candidates", type=int, default=12, help="of a search, in five folds")
    parser.add_argument("--tables", type=int, default=30, help="for fit_many")
    parser.add_argument(
        "--rounds", type=int, default=3, help="counted rounds, after one to warm up"
    )
    parser.add_argument("--epochs", type=int, default=81, help="of the last round of halving")
    args = parser.parse_args(argv)
    if args.quick:
        args.candidates, args.tables, args.rounds, args.epochs = 4, 4, 1, 9
    print(describe_machine())
    rows = []
    for name in args.parts:
        contenders, n_models = make_contenders(name, args)
        with quiet():
            ours, *others = measure(contenders, args.rounds).items()
        wall = median_ratio(ours[1].wall, others[0][1].wall)
        cpu = median_ratio(ours[1].cpu, others[-1][1].cpu)
        seconds = [float(np.median(clock.wall)) for _, clock in (ours, others[0])]
        rows.append([name, n_models, others[0][0], *seconds, wall, _AIMS[name], cpu])
    header = ["work", "models", "against", "ours s", "theirs s", "ratio", "aim", "cpu"]
    print_table("Many models side by side", header, rows)


if __name__ == "__main__":
    main()
