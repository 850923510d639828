"""Folder of data files, named by the environment variable SKAE_DATA."""

import os
from pathlib import Path

VARIABLE = "SKAE_DATA"


def has_data_file(name) -> bool:
    """Return whether the folder named by `SKAE_DATA` contains a file.

    Parameters
    ----------
    name : str
        Name of the file, such as ``"mnist.npz"``.

    Returns
    -------
    bool
        True if the file exists. False also if the environment variable is not set.

    Examples
    --------
    >>> from skae.datasets import has_data_file
    >>> has_data_file("no-such-file.npz")
    False
    """
    folder = os.environ.get(VARIABLE, "")
    return folder != "" and (Path(folder) / name).is_file()


def locate_data_file(name, *, remedy):
    """Return the path of a file in the data folder, or raise an error that ends with `remedy`."""
    folder = os.environ.get(VARIABLE)
    wanted = f"The environment variable {VARIABLE} must be the path of a folder with {name}."
    if not folder:
        raise FileNotFoundError(f"{wanted} Got no value: it is not set. {remedy}")
    path = Path(folder) / name
    if not path.is_file():
        raise FileNotFoundError(f"{wanted} Got {folder!r}, which has no such file. {remedy}")
    return path
