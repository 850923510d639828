"""Part of speed.py on whole fits: the time spent outside of the training loop."""

import contextlib
import statistics
import time

from _common import limit_threads, print_table, time_call
from _speed_training import DIGITS, MNIST, load_digit_rows, load_mnist_rows, make_ours

from skae._engine.families.family import Family
from skae._engine.fitting.net import AutoencoderNet
from skae._engine.steps import epoch

_AIM = 1.15
# Timed functions of a fit by part. None calls another.
_TIMED = [
    (epoch, "train_alone", "loop"),
    (Family, "prepare", "columns, PCA"),
    (AutoencoderNet, "_judge_batches", "validation"),
    (Family, "measure_codes", "errors, rotation"),
]
_PARTS = list(dict.fromkeys(part for _, _, part in _TIMED))


def measure_whole(options):
    """Compare whole fits with their training loop, and print the time of other parts."""
    rows = []
    tables = {"digits, one thread": (load_digit_rows(), DIGITS, 1)}
    images = load_mnist_rows(5_000 if options.quick else None)
    if images is not None:
        tables["MNIST, two threads"] = images, MNIST, 2
    n_epochs = options.epochs or (3 if options.quick else 10)
    for name, (X, sizes, n_threads) in tables.items():
        for judged in (False, True):
            params = {"early_stopping": judged, "n_iter_no_change": n_epochs}
            with limit_threads(n_threads):
                make_ours(sizes, 1, options.set, **params).fit(X)
                model = make_ours(sizes, n_epochs, options.set, **params)
                rounds = [watch_fit(model, X) for _ in range(options.rounds)]
            median = {part: statistics.median(seen[part] for seen in rounds) for part in rounds[0]}
            ratio = statistics.median(seen["whole"] / seen["loop"] for seen in rounds)
            what = "with validation" if judged else "all rows"
            rows.append([name, what, *median.values(), ratio, _AIM])
    header = ["data", "", *median, "whole/loop", "aim"]
    print_table(f"A whole fit of {n_epochs} epochs over its own loop: seconds", header, rows)


def watch_fit(model, X):
    """Return the seconds of a fit and of its parts."""
    seconds = dict.fromkeys(_PARTS, 0.0)
    with contextlib.ExitStack() as stack:
        for owner, name, part in _TIMED:
            stack.enter_context(timed(owner, name, seconds, part))
        _, whole = time_call(model.fit, X)
    rest = whole - sum(seconds.values())
    return {"whole": whole, **seconds, "rest": rest}


@contextlib.contextmanager
def timed(owner, name, seconds, part):
    """Add the seconds of a function to a part, within a context."""
    function = getattr(owner, name)

    def watched(*args, **kwargs):
        start = time.perf_counter()
        result = function(*args, **kwargs)
        seconds[part] += time.perf_counter() - start
        return result

    setattr(owner, name, watched)
    try:
        yield
    finally:
        setattr(owner, name, function)
