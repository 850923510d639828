"""The options of the command line, which are read before anything slow is imported."""

import argparse
from pathlib import Path

DATA_SETS = ("digits", "mnist")
"""Names that stand for data sets where a file could be named."""


def build_parser(version):
    """Return the parser of the command line, which names the version of skae."""
    parser = argparse.ArgumentParser(
        prog="skae", description="Autoencoders as scikit-learn transformers."
    )
    parser.add_argument("--version", action="version", version=f"skae {version}")
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
    compare.set_defaults(name="compare")
    info = commands.add_parser(
        "info",
        help="tell what a file of skae.save holds",
        description="Tell what a file of skae.save holds, without loading the model: its class, "
        "when it was fitted and saved, rows and columns that it was fitted on, and its error "
        "beside PCA's.",
    )
    info.add_argument("path", help="file that skae.save has written, or its address, hf://...")
    info.set_defaults(name="info")
    zoo = commands.add_parser(
        "zoo",
        help="list trained models",
        description="List the trained models that come with skae, or those of a folder, or tell "
        "what is known of one of them.",
    )
    zoo.add_argument("model", nargs="?", help="name of a model to tell about (default: list all)")
    zoo.add_argument("--folder", metavar="PATH", help="folder of files that skae.save has written")
    zoo.set_defaults(name="zoo")
    _add_transform(commands)
    return parser


def _add_transform(commands):
    transform = commands.add_parser(
        "transform",
        help="write the codes of the rows of a file to a file",
        description="Write the codes of the rows of a file to a file, a piece at a time, with "
        "little memory. A run that was interrupted goes on where it was when it is called again.",
    )
    add = transform.add_argument
    add("model", metavar="MODEL", help="file that skae.save has written")
    add(
        "input",
        metavar="INPUT",
        help="rows: a Parquet file or a folder of them, .npy, .zarr, .h5; of a table with names, "
        "the columns of the model are read",
    )
    add("output", metavar="OUTPUT", help="folder .parquet of Parquet files, or .zarr, or .npy")
    add("--inverse", action="store_true", help="INPUT holds codes; write the rows of them")
    add("--reconstruct", action="store_true", help="write the reconstructions of the rows")
    transform.set_defaults(name="transform")


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


def check_names(options):
    """Raise an error where a file to read does not exist."""
    for name in getattr(options, "data", ()):
        if name not in DATA_SETS and not Path(name).is_file():
            raise FileNotFoundError(
                f"DATA must be an existing file, or one of {', '.join(DATA_SETS)}. Got {name!r}. "
                "Check its spelling and folder."
            )
