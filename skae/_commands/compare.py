"""``skae compare``: PCA and an autoencoder on one table, or on several."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.datasets import load_digits

from skae._commands.console import make_plain
from skae._estimators.frame_columns import is_mixed_frame, summarize_columns
from skae.comparison import compare_with_pca
from skae.comparison._cell_errors import format_column_errors
from skae.comparison._report._make import check_report
from skae.comparison._report._verdict import reach_verdict
from skae.comparison._results import describe_dropped
from skae.datasets import has_data_file, load_mnist
from skae.exceptions import NotBetterThanPCAWarning
from skae.io import read_table

_SCALED = "Columns scaled to standard deviation 1 (--raw keeps their units)"
_NATS = "nats: mean negative log-likelihood of a cell; lower is better"
# Reports on at most this number of rows use several splits.
_MOST_REPEATED_ROWS, _N_SPLITS = 2000, 5


@dataclass(frozen=True, eq=False)
class _Data:
    """A table, with the held-out rows if the data set has a standard split."""

    name: str
    X: Any
    y: np.ndarray | None
    X_test: np.ndarray | None = None
    y_test: np.ndarray | None = None
    remarks: tuple[str, ...] = ()
    drop_reasons: Mapping[str, str] = field(default_factory=dict)
    standardize: bool = False
    feature_names: tuple[str, ...] | None = None
    image_shape: tuple[int, int] | None = None
    # The same in Python.
    code: str = ""


def run(options):
    """Print a table for each data set, and write a report if requested."""
    # Checked before the first of several long comparisons.
    names = options.data or ["digits", *(["mnist"] if has_data_file("mnist.npz") else [])]
    if options.report is not None:
        check_report(options.report)
        if len(options.data) != 1:
            raise ValueError(
                f"--report must come with one DATA. Got {len(options.data)}. "
                "Name one, and write a page for each."
            )
    for index, name in enumerate(names):
        if index:
            print()
        data = _take_rows(_load(name, options), options)
        scaled = [_SCALED] if data.standardize else []
        lines = [data.name, *data.remarks, *describe_dropped(data.drop_reasons), *scaled]
        print("\n".join(map(make_plain, lines)), flush=True)
        with warnings.catch_warnings():
            # The ratio of 1 in the table shows it.
            warnings.simplefilter("ignore", NotBetterThanPCAWarning)
            # PCA does the same on a table without variance.
            warnings.filterwarnings("ignore", "invalid value encountered in divide")
            # Letters missing in matplotlib's font are boxes in figures, and correct in tables.
            warnings.filterwarnings("ignore", "Glyph .* missing")
            _compare_on(data, options)


def _compare_on(data, options):
    how = {
        "X_test": data.X_test,
        "y_test": data.y_test,
        "n_components": options.n_components or _choose_n_components(data.X.shape[1]),
        "test_size": options.test_size,
        "standardize": data.standardize,
        "n_splits": options.splits or _choose_n_splits(data, options),
        "random_state": options.random_state,
        "verbose": True,
    }
    with joblib.parallel_config(backend="skae"):
        comparison = compare_with_pca(data.X, data.y, **how)
    if comparison.reference == "FAMD":
        print(_NATS)
        n_codes = reach_verdict(comparison).autoencoder.n_components
        print(*map(make_plain, format_column_errors(comparison, n_codes)), sep="\n")
    if options.report is not None:
        comparison.to_html(
            options.report,
            title=Path(data.name).name,
            feature_names=data.feature_names,
            image_shape=data.image_shape,
            remarks=data.remarks,
            load_code=data.code,
            command=options.command,
            drop_reasons=data.drop_reasons,
        )
        print(f"Report: {make_plain(options.report)}")


def _choose_n_splits(data, options):
    """Return the number of splits: with few rows, the result of one split is random."""
    is_small = data.X_test is None and len(data.X) <= _MOST_REPEATED_ROWS
    return _N_SPLITS if is_small and options.report is not None else 1


def _choose_n_components(n_columns):
    """Return numbers of codes to try, fewer than the columns, with which PCA is exact."""
    tried = [number for number in (2, 8, 16, 32) if number < n_columns]
    if len(tried) < 3:
        tried = [number for number in (1, 2, 4, 8, 16) if number < n_columns]
    return tried or [1]


def _load(name, options):
    if name not in _LOADERS:
        return _load_file(name, options)
    for option in ("target", "drop", "sheet", "no_header", "numeric_only"):
        if value := getattr(options, option):
            raise ValueError(
                f"--{option.replace('_', '-')} must be left out with {name}. Got {value!r}. "
                "It is for files."
            )
    return _LOADERS[name]()


def _load_digits():
    X, y = load_digits(return_X_y=True)
    return _Data("digits", X, y, image_shape=(8, 8), code=_DIGITS_CODE)


def _load_mnist():
    mnist = load_mnist()
    return _Data(
        "mnist",
        mnist.X_train,
        mnist.y_train,
        mnist.X_test,
        mnist.y_test,
        image_shape=(28, 28),
        code=_MNIST_CODE,
    )


_DIGITS_CODE = """\
from sklearn.datasets import load_digits
X, y = load_digits(return_X_y=True)"""

_MNIST_CODE = """\
from skae.datasets import load_mnist
mnist = load_mnist()
X, y, X_test, y_test = mnist.X_train, mnist.y_train, mnist.X_test, mnist.y_test"""

_LOADERS = {"digits": _load_digits, "mnist": _load_mnist}


def _load_file(name, options):
    given = {
        "target": options.target,
        "numeric_only": options.numeric_only,
        "missing": "drop" if options.drop_missing else "keep",
        "drop": options.drop or None,
        "header": False if options.no_header else None,
        "sheet": options.sheet,
    }
    given = {key: value for key, value in given.items() if value is not None}
    table = read_table(name, **given)
    X, names, reasons = _leave_out_columns(table)
    arguments = "".join(f", {key}={value!r}" for key, value in given.items())
    lines = [
        "from skae.io import read_table",
        f"table = read_table({name!r}{arguments})",
        "X, y = table.X, table.y",
    ]
    useless = [column for column in reasons if column not in table.drop_reasons]
    if useless and hasattr(X, "columns"):
        lines.append(f"X = X.drop(columns={useless!r})")
    elif useless:
        lines.append(f"X = X[:, {[table.feature_names.index(name) for name in names]!r}]")
    is_mixed = is_mixed_frame(X)
    return _Data(
        name,
        X,
        table.y,
        remarks=table.remarks,
        drop_reasons=reasons,
        standardize=not options.raw and not is_mixed,
        feature_names=tuple(names),
        code="\n".join(lines),
    )


def _leave_out_columns(table):
    """Return the columns that a model can use, and the reasons for leaving out the others."""
    names = table.feature_names
    if is_mixed_frame(table.X):
        useless = {own.name: own.reason for own in summarize_columns(table.X) if own.reason}
        X = table.X.drop(columns=list(useless))
        return X, list(X.columns), {**table.drop_reasons, **useless}
    empty: np.ndarray = np.all(np.isnan(np.asarray(table.X, dtype=np.float64)), axis=0)
    if not empty.any():
        return table.X, names, table.drop_reasons
    useless = {name: "no values" for name, own in zip(names, empty, strict=True) if own}
    X = np.asarray(table.X)[:, ~empty]
    kept = [name for name in names if name not in useless]
    return X, kept, {**table.drop_reasons, **useless}


_INDEXED = {False: "X[rows]", True: "X.iloc[rows]"}


def _take_rows(data, options):
    n_rows = len(data.X)
    if options.max_rows is None or options.max_rows >= n_rows:
        return data
    chosen = np.random.default_rng(options.random_state).choice(
        n_rows, options.max_rows, replace=False
    )
    y = None if data.y is None else data.y[chosen]
    is_frame = hasattr(data.X, "iloc")
    code = f"""{data.code}
import numpy as np
rng = np.random.default_rng({options.random_state})
rows = rng.choice(len(X), {options.max_rows}, replace=False)
X, y = {_INDEXED[is_frame]}, {"None" if y is None else "y[rows]"}"""
    return replace(data, X=data.X.iloc[chosen] if is_frame else data.X[chosen], y=y, code=code)
