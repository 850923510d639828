"""Optional dependencies."""

import importlib


def import_extra(name: str, extra: str, caller: str):
    """Import a module of an optional dependency, which the extra of this name installs.

    If the package is missing, the error names the extra and the `caller` that needs it.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise ImportError(
            f'`{caller}` needs {package}. Install it with: pip install "skae[{extra}]"'
        ) from error
