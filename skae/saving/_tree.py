"""Nested values as JSON and arrays of numbers."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

# Dictionaries of one key stand for what JSON lacks; others are wrapped in one.
_KINDS = ("array", "arrays", "dict", "float", "list", "map", "number", "object", "strings", "tuple")
_ARRAY, _ARRAYS, _DICT, _FLOAT, _LIST, _MAP, _NUMBER, _OBJECT, _STRINGS, _TUPLE = _KINDS
# Shorter lists are shorter as JSON.
_LEAST_LIST = 8
_WHOLE_TYPES = (np.int8, np.int16, np.int32, np.int64)


class Writer:
    """Turns nested values into JSON, and their arrays into a dictionary.

    Parameters
    ----------
    write_object : callable
        Returns nested values for an object of any other class, given the object and its path.

    Attributes
    ----------
    arrays : dict of str to ndarray
        Arrays of numbers, under the path of keys to their place.
    """

    def __init__(self, write_object: Callable[[Any, str], Any]):
        self.write_object = write_object
        self.arrays: dict[str, np.ndarray] = {}

    def write(self, value: Any, path: str = "") -> Any:
        """Return a value as JSON knows them."""
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

    def _store(self, array: np.ndarray, path: str) -> str:
        if path in self.arrays:
            raise ValueError(f"two arrays have the path {path!r}")
        self.arrays[path] = array.astype(array.dtype.newbyteorder("="), order="C")
        return path

    def _write_list(self, value: list, path: str) -> Any:
        kinds = {type(item) for item in value}
        if len(value) >= _LEAST_LIST and len(kinds) == 1 and kinds <= {float, bool, int}:
            array = np.array(value)
            if array.dtype.kind == "i":
                array = array.astype(next(own for own in _WHOLE_TYPES if _holds(own, array)))
            if array.dtype.kind in "fbi":
                return {_LIST: self._store(array, path)}
        return [self.write(item, f"{path}.{index}") for index, item in enumerate(value)]

    def _write_tuple(self, value: tuple, path: str) -> dict:
        return {_TUPLE: [self.write(item, f"{path}.{index}") for index, item in enumerate(value)]}

    def _write_dict(self, value: dict, path: str) -> dict:
        prefix = f"{path}." if path else ""
        if not all(type(key) is str for key in value):
            items = enumerate(value.items())
            return {_DICT: [self._write_list(list(pair), f"{prefix}{i}") for i, pair in items]}
        if value and all(_is_numbers(item) for item in value.values()):
            for key, item in value.items():
                self._store(item, f"{prefix}{key}")
            return {_ARRAYS: prefix}
        written = {key: self.write(item, f"{prefix}{key}") for key, item in value.items()}
        return {_MAP: written} if len(written) == 1 else written

    def _write_array(self, array: np.ndarray, path: str) -> dict:
        if _is_numbers(array):
            return {_ARRAY: self._store(array, path)}
        if array.dtype.kind not in "OU":
            raise TypeError(f"arrays of {array.dtype} are not among the values that files hold")
        items = self.write(array.ravel().tolist(), path)
        return {_STRINGS: [array.dtype.str, list(array.shape), items]}


class Reader:
    """Turns what `Writer` has made back into values.

    Parameters
    ----------
    names : list of str
        Names of the arrays.
    get_array : callable
        Returns an array by its name.
    read_object : callable
        Returns an object, given what `write_object` has returned.
    """

    def __init__(self, names: list[str], get_array, read_object: Callable[[Any], Any]):
        self.names, self.get_array, self.read_object = names, get_array, read_object

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
            _LIST: lambda name: self.get_array(name).tolist(),
            _MAP: lambda items: {key: self.read(item) for key, item in items.items()},
            _NUMBER: lambda name: self.get_array(name)[()],
            _OBJECT: self.read_object,
            _TUPLE: lambda items: tuple(map(self.read, items)),
        }
        return readers[kind](content)

    def _read_arrays(self, prefix: str) -> dict[str, np.ndarray]:
        names = [name for name in self.names if name.startswith(prefix)]
        return {name.removeprefix(prefix): self.get_array(name) for name in names}

    def _read_strings(self, dtype: str, shape: list[int], items: Any) -> np.ndarray:
        values = self.read(items)
        longest = max((len(item) for item in values if isinstance(item, str)), default=0)
        if dtype != "|O" and np.dtype(dtype).itemsize > 4 * max(1, longest):
            raise ValueError("strings are said to be longer than they are")
        array = np.empty(len(values), dtype=dtype)
        array[:] = values
        return array.reshape(shape)


def _is_numbers(value: Any) -> bool:
    return type(value) is np.ndarray and value.dtype.kind in "biuf" and value.dtype.itemsize <= 8


def _holds(dtype, array: np.ndarray) -> bool:
    limits = np.iinfo(dtype)
    return limits.min <= array.min() and array.max() <= limits.max
