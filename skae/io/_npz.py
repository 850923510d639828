"""Safe reading of arrays from NPZ files."""

import math
import struct
import zipfile
from dataclasses import dataclass

import numpy as np

from skae.io._errors import explain_unreadable
from skae.io._sizes import check_size

_REMEDY = "Write it with numpy.savez(path, X=X, y=y), without object arrays."
_KIND = "an NPZ file of plain arrays"
_ENDING = ".npy"
# NumPy rejects longer headers, but only after reading them.
_LONGEST_HEADER = 10_000


@dataclass(frozen=True)
class ArrayHeader:
    """Shape and data type of an array in a file."""

    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def ndim(self):
        """Number of axes."""
        return len(self.shape)


def read_headers(path):
    """Read shapes and data types of the arrays in an NPZ file, without the arrays.

    Parameters
    ----------
    path : pathlib.Path
        Path of the file.

    Returns
    -------
    headers : dict of str to ArrayHeader
        Headers by name of the array. Other members of the archive are ignored.

    Raises
    ------
    ValueError
        If the file is not an archive of arrays, or an array claims to be larger than its content.
    """
    with explain_unreadable(path, _KIND, _REMEDY):
        if not zipfile.is_zipfile(path):
            # NumPy would treat the file as a pickle, with a misleading error message.
            raise ValueError("it is not an archive of arrays")
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if _is_array(member)]
            return {m.filename.removesuffix(_ENDING): _read_header(archive, m) for m in members}


def _is_array(member):
    return member.filename.endswith(_ENDING)


def _read_header(archive, member):
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        _check_header(member, file, version)
        if version == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        else:
            # Later versions only differ in the encoding of field names.
            shape, _, dtype = np.lib.format.read_array_header_2_0(file)
        n_bytes = math.prod(shape) * dtype.itemsize
        if not dtype.hasobject and n_bytes > member.file_size - file.tell():
            raise ValueError(
                f"array {member.filename.removesuffix(_ENDING)!r} claims the shape {shape} and "
                f"{n_bytes} bytes, but has {max(member.file_size - file.tell(), 0)}"
            )
    return ArrayHeader(shape, dtype)


def _check_header(member, file, version):
    """Raise an error for a long header before NumPy reads it."""
    own = "<H" if version == (1, 0) else "<I"
    start = file.peek(4)[: struct.calcsize(own)]
    (length,) = struct.unpack(own, start)
    if length > _LONGEST_HEADER:
        raise ValueError(f"array {member.filename!r} has a header of {length} bytes")


def read_array(path, name, header):
    """Read an array of an NPZ file, if it fits into memory.

    Parameters
    ----------
    path : pathlib.Path
        Path of the file.
    name : str
        Name of the array.
    header : ArrayHeader
        Shape and data type of the array.

    Returns
    -------
    array : ndarray
        Array from the file.

    Raises
    ------
    ValueError
        If the array is broken, contains Python objects, or takes too much memory.
    """
    # Smaller data types are converted to float32.
    n_bytes = math.prod(header.shape) * max(header.dtype.itemsize, 4)
    check_size(path, n_bytes, "If this is correct, write it without compression: numpy.savez.")
    with explain_unreadable(path, _KIND, _REMEDY), np.load(path, allow_pickle=False) as arrays:
        return arrays[name]
