"""Nested values as JSON, with their arrays of numbers stored separately."""

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from skae.saving._small import MOST_USES, SmallReader, SmallWriter, is_small

# Dictionaries with one key represent values that JSON lacks; other such dictionaries are wrapped.
_ARRAY, _ARRAYS, _DICT, _FLOAT, _HALVES = "array", "arrays", "dict", "float", "halves"
_LIST, _MAP, _NUMBER, _OBJECT, _STRINGS = "list", "map", "number", "object", "strings"
_TIMES, _TUPLE = "times", "tuple"
# Shorter lists take less space as JSON than as arrays.
_MIN_LIST = 8
_WHOLE_TYPES = (np.int8, np.int16, np.int32, np.int64)
_FLOAT_TYPES = (np.float32, np.float64)
# Parts of the names of large arrays that may be stored in half precision.
_HALVED = ("weight", "projection", "directions")
_GREATEST_HALF = float(np.finfo(np.float16).max)


class Writer:
    """Writer of nested values as JSON and a dictionary of arrays.

    `write_object` is a function from an object of any other class and its path to nested values.
    With `half`, matrices of weights are stored in half precision, in groups of arrays.

    Attributes
    ----------
    arrays : dict of str to ndarray
        Arrays of numbers. Names are the number of the group and the key for large arrays in groups,
        the path of keys for other large arrays, and the data type for joined small arrays.
    """

    def __init__(self, write_object: Callable[[Any, str], Any], *, half: bool = False):
        self.write_object = write_object
        self.half = half
        self._large: dict[str, np.ndarray] = {}
        self._small = SmallWriter()
        self._n_groups = 0
        self._lists: dict[tuple, list[Any]] = {}

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        return {**self._large, **self._small.join()}

    def write(self, value: Any, path: str = "") -> Any:
        """Return a value as a value of JSON."""
        if value is None or type(value) in (bool, int, str):
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {_FLOAT: repr(value)}
        writers: dict[type, Callable[[Any, str], Any]] = {
            list: self._write_list,
            tuple: self._write_tuple,
            dict: self._write_dict,
            np.ndarray: self._write_array,
        }
        if type(value) in writers:
            return writers[type(value)](value, path)
        if isinstance(value, np.number | np.bool_):
            return {_NUMBER: self._store(np.array(value), path)}
        return {_OBJECT: self.write_object(value, path)}

    def _store(self, array: np.ndarray, path: str) -> Any:
        """Store an array, and return its name, or its place if it is small."""
        array = array.astype(array.dtype.newbyteorder("="), order="C")
        if is_small(array):
            return self._small.add(array)
        if path in self._large:
            raise ValueError(f"two arrays have the path {path!r}")
        self._large[path] = array
        return path

    def _write_list(self, value: list, path: str) -> Any:
        kinds = {type(item) for item in value}
        if len(value) >= _MIN_LIST and len(kinds) == 1 and kinds <= {float, bool, int}:
            array = np.array(value)
            if array.dtype.kind in "fbi":
                return {_LIST: self._store_list(_narrow(array), path)}
        return [self.write(item, f"{path}.{index}") for index, item in enumerate(value)]

    def _store_list(self, array: np.ndarray, path: str) -> Any:
        """Store an array, once for several equal lists such as curves of parts of a model."""
        content = array.dtype.str, array.tobytes()
        names = self._lists.setdefault(content, [])
        if len(names) % MOST_USES == 0:
            names.append(self._store(array, path))
        else:
            names.append(names[-1])
        return names[-1]

    def _write_tuple(self, value: tuple, path: str) -> dict:
        return {_TUPLE: [self.write(item, f"{path}.{index}") for index, item in enumerate(value)]}

    def _write_dict(self, value: dict, path: str) -> dict:
        prefix = f"{path}." if path else ""
        if not all(type(key) is str for key in value):
            items = enumerate(value.items())
            return {_DICT: [self._write_list(list(pair), f"{prefix}{i}") for i, pair in items]}
        if value and all(_is_numbers(item) for item in value.values()):
            return self._write_group(value)
        written = {key: self.write(item, f"{prefix}{key}") for key, item in value.items()}
        return {_MAP: written} if len(written) == 1 else written

    def _write_group(self, group: dict[str, np.ndarray]) -> dict[str, Any]:
        number = self._n_groups
        self._n_groups += 1
        places = {
            key: self._store(self._shorten(key, array), _name_member(number, key))
            for key, array in group.items()
        }
        shortened = {key: number if type(own) is str else own for key, own in places.items()}
        return {_HALVES if self.half else _ARRAYS: shortened}

    def _shorten(self, key: str, array: np.ndarray) -> np.ndarray:
        halved = self.half and any(part in key for part in _HALVED)
        return _halve(array) if halved else array

    def _write_array(self, array: np.ndarray, path: str) -> dict:
        if _is_numbers(array):
            return {_ARRAY: self._store(array, path)}
        if array.dtype.kind in "mM":
            return {_TIMES: [array.dtype.str, self._store(array.view(np.int64), path)]}
        if array.dtype.kind not in "OU":
            raise TypeError(f"arrays of {array.dtype} cannot be stored in files")
        items = self.write(array.ravel().tolist(), path)
        return {_STRINGS: [array.dtype.str, list(array.shape), items]}


class Reader:
    """Reader of values written by `Writer`.

    `names` are those of the arrays, and `get_array` returns the array of a name. `read_object` is
    the inverse of the function `write_object` of the writer.
    """

    def __init__(self, names: list[str], get_array, read_object: Callable[[Any], Any]):
        self.names, self.read_object = names, read_object
        self._get_array, self._n_uses = get_array, Counter[str]()
        self._small = SmallReader(get_array)

    def get_array(self, name: str | list) -> np.ndarray:
        """Return an array by its name or its place, at most a few times."""
        if isinstance(name, list):
            return self._small.find(name)
        self._n_uses[name] += 1
        if self._n_uses[name] > MOST_USES:
            raise ValueError(f"it uses the array {name!r} too often")
        return self._get_array(name)

    def read(self, written: Any) -> Any:
        """Return the value that was written."""
        if isinstance(written, list):
            return list(map(self.read, written))
        if not isinstance(written, dict):
            return written
        if len(written) == 1:
            ((kind, content),) = written.items()
            return self._read_kind(kind, content)
        return {key: self.read(item) for key, item in written.items()}

    def _read_kind(self, kind: str, content: Any) -> Any:
        if kind == _STRINGS:
            return self._read_strings(*content)
        readers: dict[str, Callable[[Any], Any]] = {
            _ARRAY: self.get_array,
            _ARRAYS: self._read_arrays,
            _DICT: lambda pairs: {self.read(key): self.read(item) for key, item in pairs},
            _FLOAT: float,
            _HALVES: lambda stored: _double(self._read_arrays(stored)),
            _LIST: lambda name: self.get_array(name).tolist(),
            _MAP: lambda items: {key: self.read(item) for key, item in items.items()},
            _NUMBER: lambda name: self.get_array(name)[()],
            _OBJECT: self.read_object,
            _TIMES: lambda stored: self.get_array(stored[1]).view(stored[0]),
            _TUPLE: lambda items: tuple(map(self.read, items)),
        }
        return readers[kind](content)

    def _read_arrays(self, stored: dict[str, Any] | str) -> dict[str, np.ndarray]:
        if isinstance(stored, str):
            # Formats 1 and 2 store a prefix of the names.
            return self._read_named(stored)
        return {
            key: self.get_array(place if isinstance(place, list) else _name_member(place, key))
            for key, place in stored.items()
        }

    def _read_named(self, prefix: str) -> dict[str, np.ndarray]:
        names = [name for name in self.names if name.startswith(prefix)]
        return {name.removeprefix(prefix): self.get_array(name) for name in names}

    def _read_strings(self, dtype: str, shape: list[int], items: Any) -> np.ndarray:
        values = self.read(items)
        longest = max((len(item) for item in values if isinstance(item, str)), default=0)
        if dtype != "|O" and np.dtype(dtype).itemsize > 4 * max(1, longest):
            raise ValueError("strings claim to be longer than they are")
        array = np.empty(len(values), dtype=dtype)
        array[:] = values
        return array.reshape(shape)


def _name_member(number: int, key: str) -> str:
    """Return the name of an array in a group. Paths of attributes never begin with a number."""
    return f"{number}/{key}"


def _is_numbers(value: Any) -> bool:
    return type(value) is np.ndarray and value.dtype.kind in "biuf" and value.dtype.itemsize <= 8


def _narrow(array: np.ndarray) -> np.ndarray:
    """Return an array in the smallest data type that represents its numbers exactly."""
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):
            shorter = (array.astype(own) for own in _FLOAT_TYPES)
            return next(own for own in shorter if np.array_equal(own, array, equal_nan=True))
    if array.dtype.kind == "i":
        return array.astype(next(own for own in _WHOLE_TYPES if _holds(own, array)))
    return array


def _holds(dtype, array: np.ndarray) -> bool:
    limits = np.iinfo(dtype)
    return limits.min <= array.min() and array.max() <= limits.max


def _halve(array: np.ndarray) -> np.ndarray:
    """Return a float32 matrix in half precision, and any other array unchanged."""
    if array.dtype != np.float32 or array.ndim < 2 or not np.abs(array).max() <= _GREATEST_HALF:
        return array
    return array.astype(np.float16)


def _double(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return arrays with half precision converted to single precision."""
    return {
        name: array.astype(np.float32) if array.dtype == np.float16 else array
        for name, array in arrays.items()
    }
