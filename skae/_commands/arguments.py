"""Options of the command line, parsed before any slow import."""

import argparse
from pathlib import Path

DATA_SETS = ("digits", "mnist")
"""Names of data sets that can be given instead of a file."""


def build_parser(version):
    """Return the parser of the command line, for a version of skae."""
    parser = argparse.ArgumentParser(
        prog="skae", description="Autoencoders as scikit-learn transformers."
    )
    parser.add_argument("--version", action="version", version=f"skae {version}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    compare = commands.add_parser(
        "compare",
        help="compare PCA and an autoencoder on a table",
        description="Compare PCA and an autoencoder on held-out rows: squared error per cell and "
        "its ratio to PCA's, share of variance kept, times in seconds, and the score of a simple "
        "model that predicts the target from the codes. If the table has columns of text, "
        "categories, booleans or dates, both are compared by losses in units of each column's "
        "baseline, and a factor analysis of mixed data (FAMD) takes the place of PCA. Missing "
        "values are allowed.",
    )
    _add_data_arguments(compare)
    _add_comparison_arguments(compare)
    compare.set_defaults(name="compare", parser=compare)
    info = commands.add_parser(
        "info",
        help="show the contents of a file written by skae.save",
        description="Show the contents of a file written by skae.save, without loading the model: "
        "its class, the times of fitting and saving, the number of rows and columns in fit, and "
        "its error beside PCA's.",
    )
    info.add_argument("path", help="file written by skae.save, or its address hf://...")
    info.set_defaults(name="info", parser=info)
    zoo = commands.add_parser(
        "zoo",
        help="list trained models",
        description="List the trained models that come with skae, or those in a folder, or show "
        "the card of one of them.",
    )
    zoo.add_argument("model", nargs="?", help="name of a model to show (default: list all)")
    zoo.add_argument("--folder", metavar="PATH", help="folder of files written by skae.save")
    zoo.set_defaults(name="zoo", parser=zoo)
    _add_transform(commands)
    return parser


def _add_transform(commands):
    transform = commands.add_parser(
        "transform",
        help="write the codes of the rows of a file to another file",
        description="Write the codes of the rows of a file to another file, block by block, with "
        "little memory. After an interruption, the same command resumes where it stopped.",
    )
    add = transform.add_argument
    add("model", metavar="MODEL", help="file written by skae.save")
    add(
        "input",
        metavar="INPUT",
        help="rows: a Parquet file or a folder of them, .npy, .zarr, .h5; from a table with column "
        "names, the columns of the model are read",
    )
    add(
        "output",
        metavar="OUTPUT",
        help="file to write: .npy, .zarr, or .parquet for a folder of Parquet files",
    )
    add("--inverse", action="store_true", help="read codes from INPUT and write the decoded rows")
    add("--reconstruct", action="store_true", help="write the reconstructions of the rows")
    transform.set_defaults(name="transform", parser=transform)


def _add_data_arguments(parser):
    add = parser.add_argument
    add(
        "data",
        nargs="*",
        metavar="DATA",
        help="file (.csv, .csv.gz, .tsv, .tsv.gz, .parquet, .xlsx, .xlsm, .npz), or one of the "
        "names digits and mnist; default: digits, and mnist if the folder named by SKAE_DATA "
        "contains it",
    )
    add("--target", metavar="NAME", help="column of the file to predict from the codes")
    add(
        "--drop",
        action="append",
        default=[],
        metavar="COLUMN",
        help="column of the file to leave out, such as a customer number; may be repeated",
    )
    add(
        "--no-header",
        action="store_true",
        help="read the first line of the file as data; columns are then named x0, x1 and so on",
    )
    add(
        "--numeric-only",
        action="store_true",
        help="leave out all columns that are not numeric (default: use columns of all kinds)",
    )
    add("--sheet", metavar="NAME", help="sheet of an Excel workbook (default: the first visible)")
    add(
        "--drop-missing",
        action="store_true",
        help="leave out rows with missing values; by default, missing cells are ignored",
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
        help="share in (0, 1), or number, of the rows to hold out (default: 0.25); mnist has its "
        "own test rows",
    )
    add(
        "--splits",
        type=_parse_positive,
        metavar="N",
        help="number of random splits into rows to fit on and held-out rows (default: 5 with "
        "--report and at most 2,000 rows, else 1)",
    )
    add(
        "--max-rows",
        type=_parse_positive,
        metavar="N",
        help="use at most N randomly chosen rows (default: all)",
    )
    add(
        "--raw",
        action="store_true",
        help="keep the units of the columns of a numeric table; by default each column is scaled "
        "to standard deviation 1, because squared errors are summed over columns",
    )
    add(
        "--random-state",
        type=_parse_seed,
        default=0,
        metavar="SEED",
        help="seed, a whole number (default: 0)",
    )
    add(
        "--report",
        metavar="FILE",
        help="also write the results to FILE, an HTML page with plots; needs a single DATA",
    )


def _parse_positive(text):
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1. Got {text!r}.")
    return int(text)


def _parse_seed(text):
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"must be a whole number below 2**32. Got {text!r}.")
    return int(text)


def _parse_test_size(text):
    if text.isdecimal() and int(text):
        return int(text)
    try:
        share = float(text)
    except ValueError:
        share = 0
    if not 0 < share < 1:
        raise argparse.ArgumentTypeError(
            f"must be a share between 0 and 1, or a whole number of rows. Got {text!r}."
        )
    return share


def check_names(options):
    """Raise an error where a file to read does not exist."""
    for name in getattr(options, "data", ()):
        if name not in DATA_SETS and not Path(name).is_file():
            raise FileNotFoundError(
                f"DATA must be an existing file, or one of {', '.join(DATA_SETS)}. Got {name!r}. "
                "Check its spelling and folder."
            )
