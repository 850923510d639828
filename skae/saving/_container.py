"""Arrays and a text in one safetensors file, with a digest of all of it."""

import hashlib
import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save

_TEXT = "skae"
_DIGEST = "digest"
_N_DIGITS = 32
_BLANK = "0" * _N_DIGITS
_CHUNK = 1 << 20


def pack(text: str, arrays: dict[str, np.ndarray]) -> bytes:
    """Return a safetensors file.

    Parameters
    ----------
    text : str
        Stored in the header, under the metadata key "skae".
    arrays : dict of str to ndarray
        Arrays of numbers, under their names.

    Returns
    -------
    content : bytes
        The file, with a digest in its header.
    """
    content = save(arrays, {_TEXT: text, _DIGEST: _BLANK})
    place = _find_digest(content, _BLANK)
    digest = _take_digest(content, place)
    return b"".join([content[:place], digest.encode(), content[place + _N_DIGITS :]])


@contextmanager
def open_packed(path) -> Iterator[tuple[str, Any]]:
    """Open a file that `pack` has made, read nothing but its header, and check its digest.

    Parameters
    ----------
    path : str or path-like
        The file.

    Yields
    ------
    text : str
        The text in the header.
    file : safetensors.safe_open
        Gives each array by its name.

    Raises
    ------
    ValueError
        If the file is not one of ours, or is not as it was written.
    """
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata() or {}
        if _TEXT not in metadata or len(metadata.get(_DIGEST, "")) != _N_DIGITS:
            raise ValueError("it is a safetensors file, but not one that skae has written")
        with open(path, "rb") as raw, mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as view:
            place = _find_digest(view, metadata[_DIGEST])
            if place < 0 or _take_digest(view, place) != metadata[_DIGEST]:
                raise ValueError("its content is not what its digest says")
        yield metadata[_TEXT], file


def _find_digest(content, digest: str) -> int:
    return content.find(f'"{_DIGEST}":"{digest}"'.encode()) + len(_DIGEST) + 4


def _take_digest(content, place: int) -> str:
    """Return the digest of a file, in which that at a place counts as zeros."""
    digest = hashlib.blake2b(content[:place], digest_size=_N_DIGITS // 2)
    digest.update(_BLANK.encode())
    for start in range(place + _N_DIGITS, len(content), _CHUNK):
        digest.update(content[start : start + _CHUNK])
    return digest.hexdigest()
