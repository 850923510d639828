"""The command line: ``skae compare table.csv``, ``skae info model.skae`` and others."""

import contextlib
import os
import shlex
import sys
from importlib import import_module

import skae
from skae._commands.arguments import build_parser, check_names
from skae._commands.console import make_plain

# What a user can mend ends with one line and this code, as argparse ends.
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
    options = build_parser(skae.__version__).parse_args(arguments)
    options.command = shlex.join(["skae", *(sys.argv[1:] if arguments is None else arguments)])
    try:
        check_names(options)
        import_module(f"skae._commands.{options.name}").run(options)
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
    print(f"skae {options.name}: error: {make_plain(' '.join(message.split()))}", file=sys.stderr)
    return _USER_ERROR


if __name__ == "__main__":
    sys.exit(main())
