"""Generated rows: likelihood of real rows, and distance between generated and real rows.

    python benchmarks/generation.py nats
    python benchmarks/generation.py digits --output digits.png

See README.md for all parts.
"""

from _common import add_parts, describe_machine, has_data, limit_threads, make_parser, quiet
from _generation_adversarial import report_adversarial
from _generation_digits import report_digits
from _generation_factors import report_factors
from _generation_labels import report_labels
from _generation_nats import report_nats
from torch import get_num_threads

_PARTS = {
    "nats": report_nats,
    "digits": report_digits,
    "adversarial": report_adversarial,
    "factors": report_factors,
    "labels": report_labels,
}
_NEED_NO_FILE = ("factors",)


def main(arguments=None):
    """Run the selected parts."""
    options = parse_options(arguments)
    with quiet(), limit_threads(options.threads):
        print(describe_machine())
        for part in options.parts:
            needs = None if part in _NEED_NO_FILE or options.quick else "mnist.npz"
            if has_data(part, needs):
                _PARTS[part](options)


def parse_options(arguments):
    """Return the options."""
    parser = make_parser(__doc__.partition("\n")[0])
    add_parts(parser, _PARTS)
    add = parser.add_argument
    add("--epochs", type=int, help="epochs of the networks, the part's choice by default")
    add("--rows", type=int, help="rows to train on, the part's choice by default")
    add("--draws", type=int, default=5000, help="draws of a bound, 5000 by default")
    add("--test-rows", type=int, help="test rows, all by default")
    add("--every", type=int, default=0, help="epochs between points of the curve, none by default")
    add("--output", help="picture of generated digits")
    add("--seed", type=int, default=0, help="of the networks")
    add("--threads", type=int, default=get_num_threads(), help="torch's choice by default")
    options = parser.parse_args(arguments)
    if options.quick:
        options.epochs, options.draws = options.epochs or 2, min(options.draws, 100)
    return options


if __name__ == "__main__":
    main()
