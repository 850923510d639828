"""Images, speech, text and series: specialised networks against PCA and dense networks.

    python benchmarks/kinds.py images --output curves.png
    python benchmarks/kinds.py speech --speakers
    python benchmarks/kinds.py series
    python benchmarks/kinds.py reviews --seeds 3

See README.md for all parts.
"""

from _common import add_parts, describe_machine, has_data, limit_threads, make_parser, quiet
from _kinds_images import report_images
from _kinds_reviews import report_reviews
from _kinds_series import report_series
from _kinds_speech import report_speech

# Functions from the options to printed tables. Some need a file in the folder SKAE_DATA.
_PARTS = {
    "images": (report_images, "mnist.npz"),
    "speech": (report_speech, "fsdd.npz"),
    "series": (report_series, None),
    "reviews": (report_reviews, "reviews.jsonl.gz"),
}


def main(arguments=None):
    """Run the selected parts."""
    options = parse_options(arguments)
    with quiet(), limit_threads(options.threads):
        print(describe_machine())
        for name in options.parts:
            report, needs = _PARTS[name]
            if has_data(name, None if options.quick and name == "images" else needs):
                report(options)


def parse_options(arguments):
    """Return the options."""
    parser = make_parser(__doc__.partition("\n")[0])
    add_parts(parser, _PARTS)
    add = parser.add_argument
    add("--codes", nargs="+", type=int, help="numbers of codes, the part's choice by default")
    add("--epochs", type=int, help="epochs of the networks, the part's choice by default")
    add("--rows", type=int, help="images to train on, all by default")
    add("--test-rows", type=int, help="images to judge by, all by default")
    add("--speakers", action="store_true", help="leave out one speaker after the other as well")
    add("--output", metavar="PICTURE", help="where to draw the errors on images, as curves.png")
    add("--seeds", type=int, default=1, help="fits of each network, 1 by default")
    add("--threads", type=int, default=1, help="1 by default")
    options = parser.parse_args(arguments)
    if options.quick:
        options.epochs, options.rows = options.epochs or 2, options.rows or 500
    return options


if __name__ == "__main__":
    main()
