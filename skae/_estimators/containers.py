"""Samples in other containers than arrays: data sets, series of arrays, lists of images."""

from collections.abc import Iterator, Mapping, Set
from numbers import Number

import numpy as np
import torch
from scipy import sparse
from torch.utils.data import DataLoader, Dataset, IterableDataset

_ONE_SHAPE = "For series of different lengths use skae.sequences.SequencePadder."


def read_container(X):
    """Return samples as an array or a list of arrays; tables and other objects are unchanged.

    An array for tensors, and for masked arrays with NaN in masked cells; a list for data sets, and
    for series, arrays of objects and frames of one column whose cells hold arrays. Iterators,
    mappings, lazy objects, arrays of dates or records, and samples of several parts are refused.
    """
    if hasattr(X, "to_native"):
        # Narwhals wraps frames of other libraries.
        X = X.to_native()
    if hasattr(X, "to_pylist") and not hasattr(X, "column_names"):
        X = _list_of_arrow(X)
    if isinstance(X, np.ndarray | torch.Tensor):
        X = unnest(X)
        if isinstance(X, list):
            return X
        _refuse_other_types(X.dtype)
    if (isinstance(X, np.ndarray) and X.dtype.kind in "biuf") or sparse.issparse(X):
        return X
    _refuse_what_is_no_table(X)
    if _is_data_set(X):
        return [_read_sample(X[i]) for i in range(len(X))]
    if isinstance(X, list | tuple):
        return _read_list(X)
    return _read_cells(X)


def _list_of_arrow(X):
    """Return an array of Arrow as a list, or as an array if it holds tensors."""
    whole = X.combine_chunks() if hasattr(X, "combine_chunks") else X
    return whole.to_numpy_ndarray() if hasattr(whole, "to_numpy_ndarray") else whole.to_pylist()


def refuse_texts(X):
    """Raise an error for texts, judging by the first, or rows of integers of different lengths."""
    is_list = isinstance(X, list | tuple) or len(getattr(X, "shape", ())) == 1
    cells = list(X) if is_list else []
    if cells and isinstance(cells[0], str):
        raise ValueError(
            "X must hold whole numbers, those of words. Got texts. Make rows of numbers with "
            "skae.text.TokenSequencer, as in make_pipeline(TokenSequencer(), ...)."
        )
    lengths = sorted({len(cell) for cell in cells if hasattr(cell, "__len__")})
    if len(lengths) > 1:
        raise ValueError(
            "X must have rows of one length, with 0 after the end of a text. "
            f"Got {lengths[0]} and {lengths[-1]} numbers. Append zeros to the shorter rows, as "
            "skae.text.TokenSequencer does."
        )


def _refuse_what_is_no_table(X):
    if hasattr(X, "collect") and hasattr(X, "lazy"):
        raise ValueError(
            "X must be a table in memory. "
            f"Got a {type(X).__name__}, which is a query. Pass X.collect()."
        )
    if isinstance(X, str | bytes):
        raise ValueError(
            "X must be a table, or a path of rows that ends in .parquet, .npy, .zarr or .h5. "
            f"Got {X!r:.80}. Other files are read by skae.io.read_table."
        )
    if isinstance(X, DataLoader | IterableDataset | Iterator):
        raise ValueError(
            "X must be an array of all samples, which are read several times. "
            f"Got {type(X).__name__}. Put its samples together first, as with np.stack(list(X)), "
            "or np.concatenate for batches."
        )
    first = X[0] if isinstance(X, list | tuple) and X else X
    if isinstance(first, Mapping | Set) or hasattr(X, "_fields"):
        of_first = f" of {type(first).__name__}" if isinstance(X, list) else ""
        remedy = "pandas.DataFrame(X), or the array under one of its keys or fields"
        if isinstance(first, Set):
            remedy = "an array, whose rows have an order"
        raise ValueError(
            f"X must be an array or a DataFrame. Got {type(X).__name__}{of_first}. Pass {remedy}."
        )
    if isinstance(X, Dataset) and not hasattr(X, "__len__"):
        raise ValueError(
            f"X must have a length. Got {type(X).__name__} without `__len__`. "
            "Pass an array of its samples."
        )


def _refuse_other_types(dtype):
    """Raise an error for dates, whose units NumPy would drop, and for records."""
    if dtype.kind in "mMV":
        raise ValueError(
            f"X must hold numbers. Got an array of {dtype}. Pass pandas.DataFrame(X), or convert "
            "dates to numbers."
        )


def _is_data_set(X) -> bool:
    """Return whether X gives samples by index, unlike arrays, frames and lists."""
    if isinstance(X, Dataset):
        return True
    by_number = hasattr(X, "__len__") and hasattr(X, "__getitem__")
    known = ("shape", "__array__", "__array_interface__", "__dataframe__", "__arrow_c_stream__")
    return (
        by_number
        and not isinstance(X, list | tuple | str | bytes)
        and not any(hasattr(X, name) for name in known)
    )


def _read_sample(sample):
    """Return a sample without its label."""
    if isinstance(sample, Mapping):
        raise ValueError(
            f"X must have samples that are arrays. Got {type(sample).__name__} with the keys "
            f"{list(sample)}. Pass the arrays alone: [sample[key] for sample in X]."
        )
    if not isinstance(sample, tuple) or not sample or count_axes(sample[0]) == 0:
        return sample
    if len(sample) == 1 or _has_label(sample):
        return sample[0]
    raise ValueError(
        "X must have samples that are arrays, each with a label at most. "
        f"Got tuples of {len(sample)}. Pass the arrays alone: [sample[0] for sample in X]."
    )


def _read_list(X):
    """Return a list of samples as arrays, without labels."""
    if len(X) and all(_has_label(sample) for sample in X):
        return [sample[0] for sample in X]
    return [unnest(sample) for sample in X] if len(X) and isinstance(X[0], torch.Tensor) else X


def _has_label(sample) -> bool:
    if not isinstance(sample, tuple) or len(sample) != 2 or count_axes(sample[0]) == 0:
        return False
    label = sample[1]
    return label is None or isinstance(label, Number | str) or getattr(label, "ndim", None) == 0


def _read_cells(X):
    """Return a single column of arrays as a list; other objects are unchanged."""
    shape = tuple(getattr(X, "shape", ()))
    if len(shape) not in (1, 2) or 0 in shape or not _may_nest(X, shape):
        return X
    cells = _list_cells(X, shape)
    if count_axes(cells[0]) == 0:
        return X
    if len(shape) == 2 and shape[1] > 1:
        raise ValueError(
            f"X must have one column where cells hold arrays. Got {shape[1]} columns. "
            "Pass the column of the arrays, or numbers alone."
        )
    return cells


def _may_nest(X, shape) -> bool:
    """Return whether the first column may hold arrays, judging by its type."""
    dtypes = list(X.dtypes) if len(shape) == 2 and hasattr(X, "dtypes") else []
    dtype = dtypes[0] if dtypes else getattr(X, "dtype", None)
    if dtype is not None and hasattr(dtype, "is_nested"):
        return bool(dtype.is_nested())
    kind = getattr(dtype, "kind", None)
    return kind == "O" or str(dtype).startswith(("list", "fixed_size_list"))


def _list_cells(X, shape) -> list:
    """Return the cells of the first column."""
    if len(shape) == 1:
        return list(X)
    if hasattr(X, "iloc"):
        return list(X.iloc[:, 0])
    if hasattr(X, "to_series"):
        return list(X.to_series(0))
    return list(X[:, 0])


def count_axes(X) -> int:
    """Return the number of axes of nested lists and arrays, judging by their first elements."""
    n_axes = 0
    while isinstance(X, list | tuple) and len(X):
        n_axes, X = n_axes + 1, X[0]
    if hasattr(X, "ndim"):
        return n_axes + int(X.ndim)
    if hasattr(X, "__array_interface__"):
        return n_axes + len(X.__array_interface__["shape"])
    return n_axes + int(hasattr(X, "to_list") and hasattr(X, "len"))


def unnest(sample):
    """Return tensors as arrays, masked arrays with NaN, and nested tensors and Series as lists."""
    if isinstance(sample, torch.Tensor):
        if sample.is_nested:
            return [unnest(own) for own in sample.unbind()]
        if sample.is_meta or sample.layout is not torch.strided:
            raise ValueError(
                "X must be a dense tensor with values. Got one of layout "
                f"{sample.layout} on device {sample.device.type!r}. Pass X.to_dense() or an array."
            )
        # NumPy has no type for half the digits of single precision.
        numbers = sample.float() if sample.dtype is torch.bfloat16 else sample
        # `force` also takes views of the negative or conjugate of a tensor, and other devices.
        return numbers.numpy(force=True)
    if isinstance(sample, np.ma.MaskedArray):
        return _fill_masked(sample)
    dtype = getattr(sample, "dtype", None)
    nested = dtype is not None and hasattr(dtype, "is_nested") and dtype.is_nested()
    return sample.to_list() if nested else sample


def _fill_masked(array) -> np.ndarray:
    """Return a masked array as an ordinary one, with NaN in masked cells."""
    if array.dtype.kind == "V" or not np.ma.is_masked(array):
        return array.data
    numeric = array.dtype.kind in "biuf"
    filled = array.data.astype(np.result_type(array.dtype, np.float32) if numeric else object)
    filled[np.ma.getmaskarray(array)] = np.nan
    return filled


def stack(samples) -> np.ndarray:
    """Return samples of one shape as one array, in their common numeric type."""
    arrays = [_as_array(sample, i) for i, sample in enumerate(samples)]
    shapes = sorted({array.shape for array in arrays})
    if len(shapes) > 1:
        raise ValueError(
            f"X must hold samples of one shape. Got {shapes[0]} and {shapes[-1]}. {_ONE_SHAPE}"
        )
    return np.stack(arrays)


def _as_array(sample, i) -> np.ndarray:
    try:
        array = np.asarray(unnest(sample))
    except ValueError as error:
        raise ValueError(
            f"X must hold samples that are arrays of numbers. Got sample {i}: {error}. {_ONE_SHAPE}"
        ) from None
    if array.dtype == object and array.ndim == 0:
        raise ValueError(
            "X must hold samples that are arrays of numbers. "
            f"Got {type(sample).__name__} for sample {i}. Leave it out, or convert it."
        )
    return array


def check_row_lengths(X):
    """Raise an error for lists of numbers of different lengths."""
    lengths = sorted({len(row) for row in X if hasattr(row, "__len__")})
    if len(lengths) > 1:
        raise ValueError(
            "X must have rows of one length. "
            f"Got {lengths[0]} and {lengths[-1]} cells. {_ONE_SHAPE}"
        )
