"""The command line: ``skae compare table.csv --target label``, ``skae info model.skae``."""

import argparse
import contextlib
import os
import shlex
import sys
import unicodedata
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

import skae
from skae.comparison import compare_with_pca
from skae.comparison._report._make import check_report
from skae.datasets import has_data_file, load_mnist
from skae.exceptions import NotBetterThanPCAWarning
from skae.io import read_table
from skae.saving import read_about

# What a user can mend ends with one line and this code, as argparse ends.
_USER_ERROR = 2
_INTERRUPTED = 130
_UNREAD = 141

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


def main(arguments=None):
    """Run the command line.

    Parameters
    ----------
    arguments : list of str, default=None
        Arguments after the name of the command. None takes those of the command line.

    Returns
    -------
    int
        Exit code: 0 if all went well, 2 if the user can mend what went wrong, 130 if interrupted,
        141 if nobody reads on.

    Raises
    ------
    SystemExit
        If the arguments cannot be parsed, or ask for help or the version.

    Examples
    --------
    >>> from skae.__main__ import main
    >>> main(
    ...     ["compare", "digits", "--max-rows", "200", "--n-components", "2"]
    ... )  # doctest: +ELLIPSIS
    digits
    150 rows to fit on, 50 held out, 64 columns
    codes      method ...
    0
    """
    options = _build_parser().parse_args(arguments)
    options.command = shlex.join(["skae", *(sys.argv[1:] if arguments is None else arguments)])
    try:
        options.run(options)
    except BrokenPipeError:
        # Whoever read has gone, as `head` does; what is left in the buffer has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _UNREAD
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return _INTERRUPTED
    except MemoryError:
        message = "There is not enough memory. Take fewer rows or columns."
        return _complain(options, message)
    except (OSError, ImportError, ValueError) as error:
        return _complain(options, str(error))
    return 0


def _complain(options, message):
    # Where standard output is what is broken, there is nothing to flush it to.
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    print(f"skae {options.name}: error: {_make_plain(' '.join(message.split()))}", file=sys.stderr)
    return _USER_ERROR


def _make_plain(text):
    """Return text without the characters that steer a terminal, which files may hold."""
    encoding = sys.stdout.encoding or "utf-8"
    shown = "".join(letter if letter.isprintable() else _escape(letter) for letter in text)
    return shown.encode(encoding, "backslashreplace").decode(encoding)


def _escape(letter):
    is_space = unicodedata.category(letter) == "Zs"
    return " " if is_space else letter.encode("unicode_escape").decode("ascii")


def _build_parser():
    parser = argparse.ArgumentParser(
        prog="skae", description="Autoencoders as scikit-learn transformers."
    )
    parser.add_argument("--version", action="version", version=f"skae {skae.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    compare = commands.add_parser(
        "compare",
        help="compare PCA and an autoencoder on a table",
        description="Compare PCA and an autoencoder on rows that neither has seen: squared error "
        "per cell and its ratio to PCA's, share of variance kept, seconds, and the score of the "
        "same simple model of the target on the codes.",
    )
    _add_data_arguments(compare)
    _add_comparison_arguments(compare)
    compare.set_defaults(run=_compare, name="compare")
    info = commands.add_parser(
        "info",
        help="tell what a file of skae.save holds",
        description="Tell what a file of skae.save holds, without loading the model: its class, "
        "when it was saved, rows and columns that it was fitted on, and its error beside PCA's.",
    )
    info.add_argument("path", help="file that skae.save has written")
    info.set_defaults(run=_print_info, name="info")
    return parser


def _print_info(options):
    about = read_about(options.path)
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    lines = [about["class"], f"saved {about['saved']} with {versions}"]
    if "columns" in about:
        rows = f"{about['rows']} rows, " if "rows" in about else ""
        lines.append(f"fitted on {rows}{about['columns']} columns")
    if "names" in about:
        lines.append(f"columns: {', '.join(about['names'])}")
    if "codes" in about:
        lines.append(f"{about['codes']} codes")
    references = {"PCA": about.get("pca_error"), "latent semantic analysis": about.get("lsa_error")}
    for name, error in references.items():
        if error is not None:
            lines.append(f"error {about['error']:.6g} ({name}: {error:.6g})")
    for line in lines:
        print(_make_plain(line))


def _add_data_arguments(parser):
    add = parser.add_argument
    add(
        "data",
        nargs="*",
        metavar="DATA",
        help="a file (.csv, .csv.gz, .tsv, .tsv.gz, .parquet, .xlsx, .xlsm, .npz), or one of the "
        "names digits and mnist; default: digits, and mnist where the folder named by SKAE_DATA "
        "holds it",
    )
    add("--target", metavar="NAME", help="column of the file to predict from the codes")
    add(
        "--drop",
        action="append",
        default=[],
        metavar="COLUMN",
        help="column of the file to leave out, such as a customer's number; may be repeated",
    )
    add(
        "--no-header",
        action="store_true",
        help="take the first line of the file for data; columns are then called x0, x1 and so on",
    )
    add("--sheet", metavar="NAME", help="sheet of an Excel workbook (default: the first)")
    add(
        "--drop-missing",
        action="store_true",
        help="leave out the rows of a file that lack a value; default: refuse the file",
    )


def _add_comparison_arguments(parser):
    add = parser.add_argument
    add(
        "--n-components",
        nargs="+",
        type=_parse_positive,
        metavar="N",
        help="numbers of codes (default: 2 8 16 32; for narrow tables, those of 1 2 4 8 16 below "
        "the number of columns)",
    )
    add(
        "--test-size",
        type=_parse_test_size,
        default=0.25,
        metavar="SIZE",
        help="share in (0, 1), or number, of the rows to hold out (default: 0.25); mnist comes "
        "with its own",
    )
    add(
        "--max-rows",
        type=_parse_positive,
        metavar="N",
        help="take at most N rows, chosen at random (default: all)",
    )
    add(
        "--raw",
        action="store_true",
        help="keep the columns of a file in their units; default: scale each to standard "
        "deviation 1, because squared errors add up over columns",
    )
    add("--random-state", type=int, default=0, metavar="SEED", help="seed (default: 0)")
    add(
        "--report",
        metavar="FILE",
        help="also write what was found to FILE, one HTML page with pictures; needs a single DATA",
    )


def _parse_positive(text):
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1. Got {text!r}.")
    return int(text)


def _parse_test_size(text):
    try:
        number = float(text)
    except ValueError:
        number = 0
    if not (0 < number < 1 or (number >= 1 and number.is_integer())):
        raise argparse.ArgumentTypeError(
            f"must be a share between 0 and 1, or a whole number of rows. Got {text!r}."
        )
    return number if number < 1 else int(number)


def _compare(options):
    # Before the first of several long comparisons, not after it.
    names = options.data or ["digits", *(["mnist"] if has_data_file("mnist.npz") else [])]
    _check_names(names)
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
        print("\n".join(map(_make_plain, lines)), flush=True)
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
            title=data.name,
            feature_names=data.feature_names,
            image_shape=data.image_shape,
            remarks=data.remarks,
            load_code=data.code,
            command=options.command,
        )
        print(f"Report: {_make_plain(options.report)}")


def _choose_n_components(n_columns):
    """Return numbers of codes to try: with as many as there are columns, PCA is exact, too."""
    tried = [number for number in (2, 8, 16, 32) if number < n_columns]
    if len(tried) < 3:
        tried = [number for number in (1, 2, 4, 8, 16) if number < n_columns]
    return tried or [1]


def _check_names(names):
    for name in names:
        if name not in _LOADERS and not Path(name).is_file():
            raise FileNotFoundError(
                f"DATA must be an existing file, or one of {', '.join(_LOADERS)}. Got {name!r}. "
                "Check its spelling and folder."
            )


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


if __name__ == "__main__":
    sys.exit(main())
