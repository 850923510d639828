"""Optional dependencies."""

import importlib


def import_extra(name: str, extra: str, caller: str):
    """Import a module of an optional dependency.

    Parameters
    ----------
    name : str
        Dotted name of the module.
    extra : str
        The extra of skae that installs it.
    caller : str
        Function or class that needs it, for the message.

    Returns
    -------
    module
        The module.

    Raises
    ------
    ImportError
        If the package is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise ImportError(
            f'`{caller}` needs {package}. Install it with: pip install "skae[{extra}]"'
        ) from error
