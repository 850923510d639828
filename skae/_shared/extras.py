"""Optional dependencies."""

import importlib


def import_extra(name: str, extra: str, caller: str):
    """Import a module that only some of skae needs.

    Parameters
    ----------
    name : str
        Dotted name of the module.
    extra : str
        The extra of skae that brings it.
    caller : str
        Function or class that needs it, for the message.

    Returns
    -------
    module
        The module.

    Raises
    ------
    ImportError
        If its package is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise ImportError(
            f'`{caller}` needs {package}. Install it with: pip install "skae[{extra}]"'
        ) from error
