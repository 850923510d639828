"""Containers of samples: data sets, series of arrays, pictures, sparse formats, bytes."""

import os
import subprocess
import sys
import textwrap
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy
import torch
from packaging.version import Version
from scipy import sparse
from torch.nn.utils.rnn import pack_sequence
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from skae import (
    AutoencoderImputer,
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    SparseAutoencoderTransformer,
)
from skae.exceptions import NotBetterThanPCAWarning, SkaeWarning
from skae.sequences import SequencePadder

pytestmark = [
    pytest.mark.usefixtures("few_draws"),
    pytest.mark.filterwarnings("ignore::skae.exceptions.NotBetterThanPCAWarning"),
]


@pytest.fixture
def pictures(images):
    return images[:24].reshape(-1, 1, 8, 8).astype(np.float32)


def make(**params):
    own = {"n_components": 2, "max_iter": 1, "hidden_layer_sizes": (8,), "random_state": 0}
    return AutoencoderTransformer(**{"early_stopping": False} | own | params)


class Pictures(Dataset):
    """Data set without an end, like augmented data."""

    def __init__(self, arrays, labels=None):
        self.arrays, self.labels = arrays, labels

    def __len__(self):
        return len(self.arrays)

    def __getitem__(self, i):
        array = torch.as_tensor(self.arrays[i % len(self.arrays)])
        return array if self.labels is None else (array, self.labels[i % len(self.arrays)])


class Loose:
    """Object with the methods of a data set that is not one."""

    def __init__(self, arrays):
        self.arrays = arrays

    def __len__(self):
        return len(self.arrays)

    def __getitem__(self, i):
        return self.arrays[i % len(self.arrays)]


class Stream(IterableDataset):
    def __iter__(self):
        return iter([torch.ones(3)])


def make_objects(arrays):
    objects = np.empty(len(arrays), dtype=object)
    objects[:] = list(arrays)
    return objects


CONTAINERS = {
    "tensor": torch.as_tensor,
    "data set": Pictures,
    "labelled": lambda X: Pictures(X, np.arange(len(X))),
    "tensors": lambda X: TensorDataset(torch.as_tensor(X)),
    "tensors and labels": lambda X: TensorDataset(torch.as_tensor(X), torch.arange(len(X))),
    "not a data set": Loose,
    "subset": lambda X: torch.utils.data.Subset(Pictures(X), range(len(X))),
    "list of tensors": lambda X: list(torch.as_tensor(X)),
    "list of pairs": lambda X: [(x, "a") for x in X],
    "objects": make_objects,
    "column of objects": lambda X: make_objects(X)[:, None],
    "series": lambda X: pd.Series(list(X), index=range(len(X), 0, -1)),
    "frame": lambda X: pd.DataFrame({"picture": list(X)}, index=range(len(X), 0, -1)),
    "nested lists": lambda X: X.tolist(),
}


@pytest.mark.slow
def test_samples_in_all_containers_give_the_model_of_the_array(pictures):
    params = {"architecture": "conv", "hidden_layer_sizes": (4,)}
    expected = make(**params).fit(pictures).transform(pictures)
    for hold in CONTAINERS.values():
        held = hold(pictures)
        model = make(**params).fit(held)
        codes = model.transform(held)
        np.testing.assert_allclose(codes, expected, atol=1e-5)
        assert model.inverse_transform(codes).shape == pictures.shape


def test_rows_in_all_containers_give_the_model_of_the_array(images):
    X = np.array(images[:20])
    expected = make().fit(X).transform(X)
    for hold in [
        lambda X: pd.Series(list(X)),
        lambda X: pl.Series(X.tolist()),
        lambda X: pl.DataFrame({"x": X.tolist()}),
        lambda X: pl.Series(X.tolist(), dtype=pl.Array(pl.Float64, X.shape[1])),
        lambda X: [torch.as_tensor(row) for row in X],
        lambda X: pa.array(X.tolist(), pa.list_(pa.float64(), X.shape[1])),
        lambda X: pa.chunked_array([pa.FixedShapeTensorArray.from_numpy_ndarray(X)]),
        lambda X: TensorDataset(torch.as_tensor(X)),
    ]:
        model = make().fit(hold(X))
        np.testing.assert_allclose(model.transform(hold(X)), expected, atol=1e-5)


def test_pictures_of_pil_are_stacked(images):
    image = pytest.importorskip("PIL.Image")
    pixels = (images[:12].reshape(-1, 8, 8) * 255).astype(np.uint8)
    pictures = [image.fromarray(each) for each in pixels]
    np.testing.assert_array_equal(
        make().fit(pictures).transform(pictures), make().fit(pixels).transform(pixels)
    )


@pytest.mark.filterwarnings("error")
def test_other_containers_are_refused_with_a_remedy():
    for X, message in [
        (DataLoader(TensorDataset(torch.ones(4, 3))), "DataLoader.*np.stack"),
        (Stream(), "Stream.*np.stack"),
        ((row for row in np.eye(4)), "generator.*np.stack"),
        ({"a": [1, 2], "b": [3, 4]}, "dict.*DataFrame"),
        ([{"a": 1, "b": 3}, {"a": 2, "b": 4}], "list of dict.*DataFrame"),
        ({1, 2}, "set.*order"),
        (pack_sequence([torch.ones(3), torch.ones(2)]), "PackedSequence.*fields"),
        (Loose([{"image": np.eye(2)}] * 3), "keys.*image"),
        (TensorDataset(*[torch.ones(4, 3)] * 2), "tuples of 2"),
        (pl.LazyFrame({"a": [1.0, 2.0]}), "query.*collect"),
        ([[1.0, 2.0], [3.0]], "1 and 2 cells.*SequencePadder"),
        ([np.ones(2), np.ones(3)], "SequencePadder"),
        ([np.ones((2, 1)), np.ones((3, 1))], "SequencePadder"),
        ([[[1.0], [2.0]], [[3.0]]], "SequencePadder"),
        (pd.Series([np.ones(2), np.ones(3)]), "SequencePadder"),
        (pd.Series([np.ones(2), None, np.ones(2)]), "NoneType for sample 1"),
        (pd.DataFrame({"a": [np.ones(2)] * 3, "b": 1.0}), "one column.*Got 2"),
        ("rows.csv", "'rows.csv'.*skae.io.read_table"),
    ]:
        with pytest.raises(ValueError, match=message):
            make().fit(X)


def test_tensors_with_gradients_and_of_bfloat16_are_read_like_arrays(pictures):
    # Eighths are exact in both types.
    pictures = np.round(pictures * 8) / 8
    model = make(architecture="conv").fit(pictures)
    expected = model.transform(pictures)
    for dtype in (torch.float32, torch.bfloat16):
        X = torch.tensor(pictures, dtype=dtype, requires_grad=True)
        for given in (X, list(X), TensorDataset(X)):
            np.testing.assert_array_equal(model.transform(given), expected)
    padded = SequencePadder().fit_transform([X[0, 0], X[1, 0, :3]])
    assert padded.shape == (2, 64)


@pytest.mark.parametrize("kind", [AutoencoderTransformer, SparseAutoencoderTransformer])
def test_codes_may_be_tensors_of_any_kind_and_lazy_frames_are_refused(kind):
    X = np.random.default_rng(0).normal(size=(60, 5))
    model = kind(2, max_iter=1, random_state=0).fit(X)
    # Halves are exact in bfloat16.
    codes = np.arange(20, dtype=np.float32).reshape(10, 2) / 2
    expected = model.inverse_transform(codes)
    tensor = torch.tensor(codes)
    for given in (tensor.requires_grad_(), torch._neg_view(-tensor), tensor.bfloat16()):
        np.testing.assert_allclose(model.inverse_transform(given), expected, rtol=1e-5)
    with pytest.raises(ValueError, match=r"query.*collect"):
        model.inverse_transform(pl.LazyFrame(codes))
    with pytest.raises(ValueError, match="no masked cells"):
        model.inverse_transform(np.ma.masked_less(codes, 1))


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
def test_views_of_negative_tensors_and_nested_tensors_are_read_like_arrays(pictures):
    model = make(architecture="conv").fit(pictures)
    expected = model.transform(pictures)
    X = torch.tensor(pictures)
    for given in (torch._neg_view(-X), torch.nested.nested_tensor(list(X))):
        np.testing.assert_array_equal(model.transform(given), expected)
    lengths = torch.nested.nested_tensor([X[0, 0, :2], X[1, 0, :3]])
    np.testing.assert_array_equal(
        SequencePadder().fit_transform(lengths),
        SequencePadder().fit_transform([pictures[0, 0, :2], pictures[1, 0, :3]]),
    )


@pytest.mark.skipif(
    Version(scipy.__version__) < Version("1.14"),
    reason="scikit-learn dispatches arrays from SciPy 1.14 on",
)
@pytest.mark.slow
def test_tensors_are_taken_under_dispatch_as_without():
    # SciPy reads its environment variable only on import.
    program = """
        import numpy as np, torch
        from sklearn import config_context
        from sklearn.datasets import load_iris
        from skae import AutoencoderTransformer, VariationalAutoencoderTransformer
        X, weights = torch.as_tensor(load_iris().data[::5]), torch.arange(1, 31)
        for kind in AutoencoderTransformer, VariationalAutoencoderTransformer:
            make = lambda: kind(2, max_iter=1, hidden_layer_sizes=(8,), random_state=0)
            expected = make().fit(X, sample_weight=weights)
            codes = expected.transform(X)
            with config_context(array_api_dispatch=True):
                found = make().fit(X, sample_weight=weights)
                assert np.array_equal(found.transform(X), codes)
                rows = found.inverse_transform(torch.as_tensor(codes))
                assert found.score(X) == expected.score(X)
            assert np.array_equal(rows, expected.inverse_transform(codes))
    """
    own = {"SCIPY_ARRAY_API": "1", "PYTHONWARNINGS": "ignore"}
    call = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(call, env=os.environ | own, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.mostly_slow(3)
@pytest.mark.parametrize("n_channels", [1, 3, 4])
def test_channels_that_stand_last_are_pointed_out(n_channels):
    X = np.random.default_rng(0).random((12, 8, 8, n_channels))
    with pytest.warns(SkaeWarning, match=r"np.moveaxis\(X, -1, 1\)") as caught:
        make(architecture="conv", hidden_layer_sizes=(4,)).fit(X)
    assert __file__ in {each.filename for each in caught if "moveaxis" in str(each.message)}


def test_grey_pictures_without_a_channel_are_pointed_out():
    for shape, hold in [((8, 8), list), ((12, 8), np.asarray), ((10, 25), np.asarray)]:
        X = np.random.default_rng(0).random((12, *shape))
        model = make(architecture="conv", hidden_layer_sizes=(4,), early_stopping=False)
        with pytest.warns(SkaeWarning, match=r"grey images.*X\[:, None\]") as caught:
            model.fit(hold(X))
        assert __file__ in {each.filename for each in caught if "grey" in str(each.message)}
        images = model.set_params(sample_shape=(1, *shape)).fit(X)
        assert images.sample_shape_ == (1, *shape)
        assert images.inverse_transform(images.transform(X)).shape == X.shape


@pytest.mark.parametrize("n_channels", [2, 9])
def test_signals_are_not_pointed_out(n_channels):
    X = np.random.default_rng(0).random((12, n_channels, 30))
    with warnings.catch_warnings():
        warnings.simplefilter("error", SkaeWarning)
        warnings.simplefilter("ignore", NotBetterThanPCAWarning)
        make(architecture="conv", hidden_layer_sizes=(4,)).fit(X)
        square = make(architecture="conv", hidden_layer_sizes=(4,), sample_shape=(9, 10))
        square.fit(X[:, :, :10].repeat(9 // n_channels + 1, 1)[:, :9])


@pytest.mark.parametrize(
    ("shape", "architecture"), [((3, 8, 8), "conv"), ((3, 8, 3), "conv"), ((8, 8, 3), "dense")]
)
def test_other_pictures_are_not_pointed_out(shape, architecture):
    X = np.random.default_rng(0).random((12, *shape))
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*moveaxis.*")
        make(architecture=architecture, hidden_layer_sizes=(4,)).fit(X)


@pytest.mark.mostly_slow(3)
@pytest.mark.parametrize("kind", [np.uint8, np.int16, bool, np.float16])
@pytest.mark.parametrize("hold", [np.asarray, sparse.csc_array, pd.DataFrame])
def test_small_numbers_become_single_precision(images, kind, hold):
    X = (images[:30] * 16).astype(kind)
    if kind is np.float16 and hold is sparse.csc_array:
        hold = torch.as_tensor
    model = make().fit(hold(X))
    assert model.inverse_transform(model.transform(hold(X))).dtype == np.float32
    single = hold(X.astype(np.float32))
    np.testing.assert_allclose(
        model.transform(hold(X)), make().fit(single).transform(single), atol=1e-3
    )


@pytest.mark.parametrize("kind", [np.int32, np.int64, np.float64])
def test_greater_numbers_keep_all_their_digits(images, kind):
    model = make().fit((images[:30] * 16).astype(kind))
    assert model.mean_.dtype == np.float64


def count_twice(X):
    """Return a CSR matrix with two entries for each entry of X."""
    half = sparse.csr_array(X / 2)
    order = np.repeat(np.arange(half.nnz), 2)
    return sparse.csr_array((half.data[order], half.indices[order], half.indptr * 2), shape=X.shape)


@pytest.mark.parametrize("n_components", [3, 0.5])
def test_entries_that_occur_twice_are_one(images, n_components):
    twice = count_twice(images)
    n_entries = twice.nnz
    model = make(n_components=n_components).fit(twice)
    expected = make(n_components=n_components).fit(sparse.csr_array(images))
    assert twice.nnz == n_entries
    assert model.scale_ == pytest.approx(expected.scale_)
    assert model.n_components_ == expected.n_components_
    np.testing.assert_allclose(
        model.explained_variance_ratio_, expected.explained_variance_ratio_, atol=1e-4
    )


def spoil(form):
    X = sparse.csr_array(np.eye(20, 6) + np.eye(20, 6, k=-6)).asformat(form)
    if form == "coo":
        X.col[0] = 99
    else:
        X.indices[0] = 99
    return X


def test_malformed_matrices_are_refused():
    model = make().fit(np.random.default_rng(0).normal(size=(20, 6)))
    for form in ["csr", "csc", "bsr", "coo"]:
        for method in ("transform", "fit"):
            with pytest.raises(ValueError, match="well-formed sparse matrix"):
                getattr(model, method)(spoil(form))


def test_pointers_that_end_elsewhere_are_refused():
    X = sparse.csr_array(np.eye(8))
    X.indptr[3] = 10_000
    with pytest.raises(ValueError, match="well-formed sparse matrix"):
        make().fit(X)


def test_every_sparse_format_is_taken(images):
    X = sparse.csr_array(images[:30])
    expected = make().fit_transform(X)
    for form in ["csc", "coo", "bsr", "dia", "dok", "lil"]:
        model = make().fit(X.asformat(form))
        np.testing.assert_allclose(model.transform(X.asformat(form)), expected, atol=1e-5)


@pytest.mark.mostly_slow(3, first=1)
@pytest.mark.parametrize("fill", [0.0, 1.0, np.nan])
def test_frames_of_sparse_columns_are_taken(fill):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(40, 4))
    if fill == fill:
        values[rng.random(values.shape) < 0.5] = fill
    frame = pd.DataFrame(values, columns=list("abcd"))
    held = frame.astype(pd.SparseDtype(float, fill))
    model, expected = make().fit(held), make().fit(frame)
    assert model.feature_names_in_.tolist() == list("abcd")
    np.testing.assert_allclose(model.score(held), expected.score(frame), atol=0.02)
    masked = make(missing="mask").fit(held)
    np.testing.assert_allclose(
        masked.transform(held), make(missing="mask").fit(frame).transform(frame), atol=1e-5
    )


def _mark_missing(values, missing):
    """Return a table with the missing values of several libraries."""
    frame = pd.DataFrame(values).astype(object)
    decimals = pa.array(values[:, 0], mask=missing[:, 0]).cast(pa.decimal128(3, 1))
    of_arrow = pd.Series(decimals, dtype=pd.ArrowDtype(decimals.type))
    return {
        "decimals of Arrow": pd.DataFrame(np.where(missing, np.nan, values))
        .assign(a=of_arrow)[["a", 1, 2, 3]]
        .set_axis(range(4), axis=1),
        "masked integers": np.ma.masked_array(values.astype(int), mask=missing),
        "masked rows": list(np.ma.masked_array(values, mask=missing)),
        "NA": frame.mask(missing, pd.NA),
        "NaT": frame.mask(missing, pd.NaT).to_numpy(),
    }


def test_missing_values_of_every_library_are_missing():
    values = np.random.default_rng(0).integers(0, 9, size=(20, 4)).astype(float)
    missing = np.arange(values.size).reshape(values.shape) % 7 == 0
    gaps = np.where(missing, np.nan, values)
    estimators = [
        make(missing="mask"),
        AutoencoderImputer(autoencoder=make(), random_state=0),
        AutoencoderOutlierDetector(cv=None, autoencoder=make(missing="mask"), random_state=0),
    ]
    for estimator in estimators:
        model = estimator.fit(gaps)
        apply = getattr(model, "transform", None) or model.score_samples
        for name, X in _mark_missing(values, missing).items():
            np.testing.assert_array_equal(apply(X), apply(gaps), err_msg=name)
    with pytest.raises(ValueError, match="NaN"):
        make().fit(np.ma.masked_array(values, mask=missing))


def test_dates_are_refused_where_fit_had_numbers():
    X = np.arange(40.0).reshape(10, 4) ** 1.5
    model = make().fit(X)
    dates = pd.DataFrame(X).assign(**{"3": pd.Timestamp("2020")}).drop(columns=3)
    for table in (X.astype("datetime64[s]"), X.astype("timedelta64[s]"), dates.to_records()):
        with pytest.raises(ValueError, match=r"X must hold numbers\. Got an array"):
            model.transform(table)
    for frame in (dates.set_axis(range(4), axis=1), pl.from_pandas(dates.rename(columns=str))):
        with pytest.raises(ValueError, match="X must hold numbers, as in fit.*'?3'? of type"):
            model.transform(frame)


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
def test_frames_wrapped_by_narwhals_are_those_they_wrap(make, quick):
    narwhals = pytest.importorskip("narwhals")
    numbers = np.random.default_rng(0).normal(size=(40, 3))
    own = make({name: numbers[:, i] for i, name in enumerate("abc")})
    mixed = make({"a": numbers[:, 0], "b": numbers[:, 1], "k": ["u", "v"] * 20})
    for frame in (own, mixed):
        model = quick(n_components=2).fit(narwhals.from_native(frame))
        expected = quick(n_components=2).fit(frame).transform(frame)
        np.testing.assert_array_equal(model.transform(narwhals.from_native(frame)), expected)
        assert list(model.feature_names_in_) == list(frame.columns)


def test_tensors_without_values_of_their_own_are_refused():
    for tensor in (torch.empty(5, 3, device="meta"), torch.eye(3).to_sparse()):
        with pytest.raises(ValueError, match="must be a dense tensor with values"):
            AutoencoderTransformer().fit(tensor)


@pytest.mark.skipif(Version(scipy.__version__) < Version("1.13"), reason="has no such arrays")
def test_sparse_arrays_of_one_axis_are_refused():
    with pytest.raises(ValueError, match=r"two axes. Got a sparse array of shape \(3,\)"):
        AutoencoderTransformer().fit(sparse.coo_array(np.ones(3)))
