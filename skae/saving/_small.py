"""Small arrays end to end, in one array of each type.

The entry of an array in the header of a file is longer than many arrays of a network.
"""

from collections import Counter, defaultdict
from typing import Any

import numpy as np

# Larger arrays have names of their own in the file, for readers in other languages.
_FEWEST_BYTES = 4096
_USUAL_TYPE = "float32"
# A file that named an array without end would take memory; several attributes may share one.
MOST_USES = 4


def is_small(array: np.ndarray) -> bool:
    """Return whether an array is stored together with others."""
    return array.nbytes < _FEWEST_BYTES


class SmallWriter:
    """Collects small arrays."""

    def __init__(self) -> None:
        self._parts: dict[str, list[np.ndarray]] = defaultdict(list)
        self._n_numbers = Counter[str]()

    def add(self, array: np.ndarray) -> list[Any]:
        """Return the place of an array: type, unless single precision, first number and shape."""
        name = array.dtype.name
        place = [self._n_numbers[name], *array.shape]
        self._parts[name].append(array.ravel())
        self._n_numbers[name] += array.size
        return place if name == _USUAL_TYPE else [name, *place]

    def join(self) -> dict[str, np.ndarray]:
        """Return an array for each type, under its name."""
        return {name: np.concatenate(parts) for name, parts in self._parts.items()}


class SmallReader:
    """Finds the small arrays again.

    Parameters
    ----------
    get_array : callable
        Returns an array of the file by its name.
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
            raise ValueError(f"it names parts of the array {name!r} again and again")
        return part.reshape(shape).copy()

    def _open(self, name: str) -> np.ndarray:
        if name not in self._joined:
            self._joined[name] = self._get_array(name)
        return self._joined[name]
