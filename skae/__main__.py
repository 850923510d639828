"""Command line: ``skae compare table.csv``, ``skae info model.skae`` and others."""

import contextlib
import os
import shlex
import sys
from importlib import import_module

import skae
from skae._commands.arguments import build_parser, check_names
from skae._commands.console import make_plain

# Exit code of errors that users can correct, as in argparse.
_USER_ERROR = 2
_INTERRUPTED = 130
_UNREAD = 141


def main(arguments=None):
    """Run the command line.

    Parameters
    ----------
    arguments : list of str, default=None
        Arguments after the name of the command. None takes those of the command line.

    Returns
    -------
    int
        Exit code: 0 for success, 2 for an error that the user can correct, 130 if interrupted, 141
        if the reader of the output has closed it.

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
    options, unknown = build_parser(skae.__version__).parse_known_args(arguments)
    if unknown:
        options.parser.error(f"unrecognized arguments: {shlex.join(unknown)}")
    options.command = shlex.join(["skae", *(sys.argv[1:] if arguments is None else arguments)])
    try:
        check_names(options)
        import_module(f"skae._commands.{options.name}").run(options)
    except BrokenPipeError:
        # The reader, such as `head`, has closed the pipe. Discard the buffer at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _UNREAD
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return _INTERRUPTED
    except MemoryError:
        message = "There is not enough memory. Use fewer rows or columns."
        return _complain(options, message)
    except (OSError, ImportError, ValueError) as error:
        return _complain(options, str(error))
    return 0


def _complain(options, message):
    # Standard output itself may be broken or missing.
    with contextlib.suppress(OSError, AttributeError):
        sys.stdout.flush()
    print(f"skae {options.name}: error: {make_plain(' '.join(message.split()))}", file=sys.stderr)
    return _USER_ERROR


if __name__ == "__main__":
    sys.exit(main())
