"""Small arrays, joined into one array for each data type.

Many arrays of a network are smaller than the entry of an array in the header of a file.
"""

from collections import Counter, defaultdict
from typing import Any

import numpy as np

# Arrays from this size on keep their names in the file, for readers in other languages.
_MIN_BYTES = 4096
_USUAL_TYPE = "float32"
# Several attributes may share an array, but a malicious file could fill the memory with copies.
MOST_USES = 4


def is_small(array: np.ndarray) -> bool:
    """Return whether an array is stored together with others."""
    return array.nbytes < _MIN_BYTES


class SmallWriter:
    """Collector of small arrays."""

    def __init__(self) -> None:
        self._parts: dict[str, list[np.ndarray]] = defaultdict(list)
        self._n_numbers = Counter[str]()

    def add(self, array: np.ndarray) -> list[Any]:
        """Return the data type (unless float32), the first position and the shape of an array."""
        name = array.dtype.name
        place = [self._n_numbers[name], *array.shape]
        self._parts[name].append(array.ravel())
        self._n_numbers[name] += array.size
        return place if name == _USUAL_TYPE else [name, *place]

    def join(self) -> dict[str, np.ndarray]:
        """Return the joined arrays by the name of their data type."""
        return {name: np.concatenate(parts) for name, parts in self._parts.items()}


class SmallReader:
    """Reader of arrays joined by `SmallWriter`.

    `get_array` returns the array of a name in the file.
    """

    def __init__(self, get_array):
        self._get_array = get_array
        self._joined: dict[str, np.ndarray] = {}
        self._n_read = Counter[str]()

    def find(self, place: list[Any]) -> np.ndarray:
        """Return a copy of the array at a place."""
        name, start, *shape = place if isinstance(place[0], str) else [_USUAL_TYPE, *place]
        joined = self._open(name)
        part = joined[start : start + int(np.prod(shape, dtype=object))]
        self._n_read[name] += part.size
        if self._n_read[name] > MOST_USES * joined.size:
            raise ValueError(f"it uses parts of the array {name!r} too often")
        return part.reshape(shape).copy()

    def _open(self, name: str) -> np.ndarray:
        if name not in self._joined:
            self._joined[name] = self._get_array(name)
        return self._joined[name]
