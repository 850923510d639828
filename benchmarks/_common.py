"""Shared code of the benchmarks: options, timing, memory, tables."""

import argparse
import ast
import contextlib
import os
import platform
import statistics
import subprocess
import sys
import threading
import time
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import sklearn
import torch
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from skae import AutoencoderTransformer
from skae.datasets import has_data_file
from skae.exceptions import SkaeWarning

_STATUS = Path("/proc/self/status")


def make_parser(description):
    """Return a parser with the options that all benchmarks have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="less data and fewer runs")
    parser.add_argument(
        "--set",
        nargs="+",
        default={},
        metavar="NAME=VALUE",
        action=_Settings,
        help="parameters of the estimator, such as max_iter=50 activation=relu",
    )
    return parser


def add_parts(parser, parts):
    """Add an argument for the parts of a benchmark to run, all by default."""

    def check(name):
        if name not in parts:
            raise argparse.ArgumentTypeError(f"must be among {', '.join(parts)}. Got {name}.")
        return name

    text = f"all by default: {', '.join(parts)}"
    parser.add_argument(
        "parts", nargs="*", type=check, default=list(parts), metavar="PART", help=text
    )


class _Settings(argparse.Action):
    """Collect NAME=VALUE in a dict; values are Python literals, or else strings."""

    def __call__(self, parser, namespace, values, option_string=None):
        settings = dict(getattr(namespace, self.dest))
        for item in values:
            name, separator, text = item.partition("=")
            if not separator:
                parser.error(f"{option_string} takes NAME=VALUE. Got {item!r}.")
            try:
                settings[name] = ast.literal_eval(text)
            except (SyntaxError, ValueError):
                settings[name] = text
        setattr(namespace, self.dest, settings)


def make_filling_autoencoder(changes):
    """Return the imputer's autoencoder with changed parameters, or None for its default."""
    if not changes:
        return None
    template = {
        "corruption": "hiding",
        "corruption_level": 0.2,
        "learning_rate_init": 0.003,
        "early_stopping": False,
    }
    return AutoencoderTransformer(**template | changes)


def is_installed(name):
    """Return whether a rival can be imported, and print a line if not."""
    if find_spec(name) is not None:
        return True
    print(f"{name} is not installed and is left out; pip install 'skae[bench]' brings it.")
    return False


def has_data(name, file):
    """Return whether the folder SKAE_DATA has a file, and print what is left out if not."""
    if file is None or has_data_file(file):
        return True
    print(f"{name} is left out: SKAE_DATA does not name a folder with {file}.")
    return False


def describe_machine():
    """Return one line about the versions and the threads in use."""
    return (
        f"Python {platform.python_version()}, torch {torch.__version__}, scikit-learn "
        f"{sklearn.__version__}, {os.cpu_count()} cores, {torch.get_num_threads()} torch threads"
    )


@contextlib.contextmanager
def quiet():
    """Silence warnings about few epochs and fits no better than PCA, which the tables show."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", SkaeWarning)
        warnings.filterwarnings("ignore", module="lightning")
        yield


@contextlib.contextmanager
def limit_threads(n_threads):
    """Limit torch and the linear algebra of NumPy to a number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        with threadpool_limits(n_threads):
            yield
    finally:
        torch.set_num_threads(before)


def time_call(function, *arguments, clock=time.perf_counter):
    """Return the result of a function, and its seconds."""
    start = clock()
    result = function(*arguments)
    return result, clock() - start


def count_seconds(function, *arguments):
    """Return the processor time of a function in seconds, which other programs do not affect."""
    return time_call(function, *arguments, clock=time.process_time)[1]


def time_program(code, before=""):
    """Return the seconds of a program in a new process, without the code before it."""
    clocked = f"{before}\nimport time; start = time.perf_counter(); {code}"
    command = [sys.executable, "-c", f"{clocked}; print(time.perf_counter() - start)"]
    return float(subprocess.run(command, check=True, capture_output=True).stdout)


def time_interleaved(contenders, n_rounds, *, n_warm=1):
    """Time functions in turn, so that a busy machine slows all of them.

    A contender may return the seconds that count, instead of having all its time counted. The first
    rounds, in which libraries warm up, are not counted. Returns a dict of lists of seconds.
    """
    seconds = {name: [] for name in contenders}
    for i in range(n_warm + n_rounds):
        for name, contender in contenders.items():
            result, taken = time_call(contender)
            if i >= n_warm:
                seconds[name].append(result if isinstance(result, float) else taken)
    return seconds


def median_ratio(ours, theirs):
    """Return the median over rounds of the ratio of seconds."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def compare_seconds(title, seconds, aims, *, unit="s"):
    """Print the ratios of the seconds of skae to those of rivals; names of skae begin with skae."""
    ours = [name for name in seconds if name.startswith("skae")]
    rows = []
    for name in ours:
        for rival in (other for other in seconds if other not in ours):
            pair = seconds[name], seconds[rival]
            medians = map(statistics.median, pair)
            rows.append([name, rival, *medians, median_ratio(*pair), aims.get(rival)])
    print_table(title, ["ours", "theirs", f"ours {unit}", f"theirs {unit}", "ratio", "aim"], rows)


def geometric_mean(values):
    """Return the geometric mean of positive numbers, nan without numbers."""
    values = np.asarray(list(values), dtype=np.float64)
    return float(np.exp(np.log(values).mean())) if len(values) else float("nan")


def format_cell(value):
    """Return a number as text, an empty cell for None."""
    if value is None:
        return ""
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def print_table(title, header, rows):
    """Print rows of text and numbers below their headings."""
    cells = [[format_cell(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
    print(f"\n{title}")
    for row in [list(header), ["-" * width for width in widths], *cells]:
        first, *others = zip(row, widths, strict=True)
        line = [first[0].ljust(first[1]), *(text.rjust(width) for text, width in others)]
        print("  ".join(line).rstrip())


def read_anonymous_memory():
    """Return the anonymous memory of the process in bytes, without mapped files."""
    for line in _STATUS.read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"{_STATUS} says nothing of RssAnon")


class PeakMemory:
    """Sample the anonymous memory of the process while a block runs.

    `growth` is the peak over what there was at the beginning, in bytes. For Linux only.
    """

    def __enter__(self):
        self._start = self._peak = read_anonymous_memory()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception):
        self._ended.set()
        self._thread.join()
        self._peak = max(self._peak, read_anonymous_memory())

    def _sample(self):
        while not self._ended.wait(0.005):
            self._peak = max(self._peak, read_anonymous_memory())

    @property
    def peak(self):
        """Peak of the anonymous memory, in bytes."""
        return self._peak

    @property
    def growth(self):
        """Peak minus the memory before the block, in bytes."""
        return self._peak - self._start
