"""Files of arrays and a text, in the format of safetensors with a digest."""

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
    """Return the content of a safetensors file, with `text` and a digest in its header."""
    content = save(arrays, {_TEXT: text, _DIGEST: _BLANK})
    place = _find_digest(content, _BLANK)
    digest = _take_digest(content, place)
    return b"".join([content[:place], digest.encode(), content[place + _N_DIGITS :]])


@contextmanager
def open_packed(path) -> Iterator[tuple[str, Any]]:
    """Open a file made by `pack`, and yield the text in its header and the safetensors file.

    A file without the text or with a wrong digest is refused.
    """
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata() or {}
        if _TEXT not in metadata or len(metadata.get(_DIGEST, "")) != _N_DIGITS:
            raise ValueError("it is a safetensors file, but not one written by skae")
        with open(path, "rb") as raw, mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as view:
            place = _find_digest(view, metadata[_DIGEST])
            if _take_digest(view, place) != metadata[_DIGEST]:
                raise ValueError("its content does not match its digest")
        yield metadata[_TEXT], file


def _find_digest(content, digest: str) -> int:
    return content.find(f'"{_DIGEST}":"{digest}"'.encode()) + len(_DIGEST) + 4


def _take_digest(content, place: int) -> str:
    """Return the digest of a file in which zeros replace the digest at `place`."""
    digest = hashlib.blake2b(content[:place], digest_size=_N_DIGITS // 2)
    digest.update(_BLANK.encode())
    for start in range(place + _N_DIGITS, len(content), _CHUNK):
        digest.update(content[start : start + _CHUNK])
    return digest.hexdigest()
