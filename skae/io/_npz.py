"""Safe reading of arrays from NPZ files."""

import math
import zipfile

import numpy as np

from skae._shared.array_headers import read_array_header
from skae._shared.unreadable import explain_unreadable
from skae.io._sizes import check_size

_REMEDY = "Write it with numpy.savez(path, X=X, y=y), without object arrays."
_KIND = "an NPZ file of plain arrays"
_ENDING = ".npy"


def read_headers(path):
    """Return the headers of the arrays in an NPZ file by name, without reading the arrays.

    Other members are ignored. Arrays that claim to be larger than their content are refused.
    """
    with explain_unreadable(path, _KIND, _REMEDY):
        if not zipfile.is_zipfile(path):
            # NumPy would treat the file as a pickle, with a misleading error message.
            raise ValueError("it is not an archive of arrays")
        with zipfile.ZipFile(path) as archive:
            return {
                member.filename.removesuffix(_ENDING): read_array_header(archive, member)
                for member in archive.infolist()
                if member.filename.endswith(_ENDING)
            }


def read_array(path, name, header):
    """Read an array of an NPZ file, if it fits into memory and has no Python objects."""
    # Smaller data types are converted to float32.
    n_bytes = math.prod(header.shape) * max(header.dtype.itemsize, 4)
    check_size(path, n_bytes, "If this is correct, write it without compression: numpy.savez.")
    with explain_unreadable(path, _KIND, _REMEDY), np.load(path, allow_pickle=False) as arrays:
        return arrays[name]
