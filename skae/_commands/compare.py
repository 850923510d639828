"""``skae compare``: PCA and an autoencoder on one table, or on several."""

import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from skae._commands.console import make_plain
from skae.comparison import compare_with_pca
from skae.comparison._report._make import check_report
from skae.datasets import has_data_file, load_mnist
from skae.exceptions import NotBetterThanPCAWarning
from skae.io import read_table

_SCALED = "Columns scaled to standard deviation 1 (--raw keeps their units)"


@dataclass(frozen=True, eq=False)
class _Data:
    """A table to compare on; rows to hold out are given where the data set has usual ones."""

    name: str
    X: np.ndarray
    y: np.ndarray | None
    X_test: np.ndarray | None = None
    y_test: np.ndarray | None = None
    remarks: tuple[str, ...] = ()
    standardize: bool = False
    feature_names: tuple[str, ...] | None = None
    image_shape: tuple[int, int] | None = None
    # Python that reads the same.
    code: str = ""


def run(options):
    """Print a table for each data set, and write a report where one is asked for."""
    # Before the first of several long comparisons, not after it.
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
        lines = [data.name, *data.remarks, *scaled]
        print("\n".join(map(make_plain, lines)), flush=True)
        with warnings.catch_warnings():
            # The table shows it: its ratio is 1.
            warnings.simplefilter("ignore", NotBetterThanPCAWarning)
            # As does PCA on a table without variance.
            warnings.filterwarnings("ignore", "invalid value encountered in divide")
            # Letters that matplotlib's font lacks are boxes in pictures, and right in the tables.
            warnings.filterwarnings("ignore", "Glyph .* missing")
            _compare_on(data, options)


def _compare_on(data, options):
    how = {
        "X_test": data.X_test,
        "y_test": data.y_test,
        "n_components": options.n_components or _choose_n_components(data.X.shape[1]),
        "test_size": options.test_size,
        "standardize": data.standardize,
        "random_state": options.random_state,
        "verbose": True,
    }
    comparison = compare_with_pca(data.X, data.y, **how)
    if options.report is not None:
        comparison.to_html(
            options.report,
            title=Path(data.name).name,
            feature_names=data.feature_names,
            image_shape=data.image_shape,
            remarks=data.remarks,
            load_code=data.code,
            command=options.command,
        )
        print(f"Report: {make_plain(options.report)}")


def _choose_n_components(n_columns):
    """Return numbers of codes to try: with as many as there are columns, PCA is exact, too."""
    tried = [number for number in (2, 8, 16, 32) if number < n_columns]
    if len(tried) < 3:
        tried = [number for number in (1, 2, 4, 8, 16) if number < n_columns]
    return tried or [1]


def _load(name, options):
    if name not in _LOADERS:
        return _load_file(name, options)
    for option in ("target", "drop", "sheet", "no_header"):
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
        "missing": "drop" if options.drop_missing else None,
        "drop": options.drop or None,
        "header": False if options.no_header else None,
        "sheet": options.sheet,
    }
    given = {key: value for key, value in given.items() if value is not None}
    table = read_table(name, **given)
    remarks = [*table.remarks, *_describe_dropped(table.drop_reasons)]
    arguments = "".join(f", {key}={value!r}" for key, value in given.items())
    lines = [
        "from skae.io import read_table",
        f"table = read_table({name!r}{arguments})",
        "X, y = table.X, table.y",
    ]
    return _Data(
        name,
        table.X,
        table.y,
        remarks=tuple(remarks),
        standardize=not options.raw,
        feature_names=table.feature_names,
        code="\n".join(lines),
    )


def _describe_dropped(reasons):
    """Yield a sentence for each reason why columns are left out."""
    names: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        names.setdefault(reason, []).append(name)
    for reason, group in names.items():
        columns = "Columns" if len(group) > 1 else "Column"
        yield f"{columns} left out ({reason}): {', '.join(group)}"


def _take_rows(data, options):
    n_rows = len(data.X)
    if options.max_rows is None or options.max_rows >= n_rows:
        return data
    chosen = np.random.default_rng(options.random_state).choice(
        n_rows, options.max_rows, replace=False
    )
    y = None if data.y is None else data.y[chosen]
    code = f"""{data.code}
import numpy as np
rng = np.random.default_rng({options.random_state})
rows = rng.choice(len(X), {options.max_rows}, replace=False)
X, y = X[rows], {"None" if y is None else "y[rows]"}"""
    return replace(data, X=data.X[chosen], y=y, code=code)
