"""Headers of NPY arrays in archives, which malicious files may forge."""

import math
import struct
from dataclasses import dataclass

import numpy as np

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


def read_array_header(archive, member):
    """Return shape and data type of an array, a member of an archive in the format NPY.

    A header is refused if it is invalid or too long, or claims more bytes than the member has.
    """
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        _check_length(member, file, version)
        if version == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        else:
            # Later versions only differ in the encoding of field names.
            shape, _, dtype = np.lib.format.read_array_header_2_0(file)
        n_bytes, n_left = math.prod(shape) * dtype.itemsize, max(member.file_size - file.tell(), 0)
    if not dtype.hasobject and n_bytes > n_left:
        raise ValueError(
            f"array {member.filename.removesuffix('.npy')!r} claims the shape {shape} and "
            f"{n_bytes} bytes, but has {n_left}"
        )
    return ArrayHeader(shape, dtype)


def _check_length(member, file, version):
    """Raise an error for a long header before NumPy reads it."""
    kind = "<H" if version == (1, 0) else "<I"
    (length,) = struct.unpack(kind, file.peek(4)[: struct.calcsize(kind)])
    if length > _LONGEST_HEADER:
        raise ValueError(f"array {member.filename!r} has a header of {length} bytes")
