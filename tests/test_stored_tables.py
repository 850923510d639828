"""Tables in files and of other libraries give the results of arrays, a block at a time."""

import io
import os
import pickle
import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet
import pytest

from skae import (
    AutoencoderImputer,
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    SparseAutoencoderTransformer,
    VariationalAutoencoderTransformer,
)
from skae._engine.fitting import fit as _fit
from skae._engine.tables import stored as _stored
from skae._estimators import row_blocks
from skae.exceptions import NotBetterThanPCAWarning, SkaeWarning

pytestmark = [
    pytest.mark.usefixtures("few_draws"),
    pytest.mark.filterwarnings("ignore::skae.exceptions.NotBetterThanPCAWarning"),
]

NAMES = [f"c{i}" for i in range(12)]


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    rows = np.tanh(rng.normal(size=(800, 3)) @ rng.normal(size=(3, 12)))
    return rows.astype(np.float32)


class Slices:
    """Minimal container of rows."""

    def __init__(self, X):
        self._rows, self.shape, self.dtype = X, X.shape, X.dtype

    def __getitem__(self, rows):
        if not isinstance(rows, slice):
            raise TypeError("Rows are sliced.")
        return self._rows[rows]


def write_parquet(X, folder):
    frame = pd.DataFrame(X, columns=NAMES)
    (folder / "rows").mkdir()
    frame[:300].to_parquet(folder / "rows" / "a.parquet", row_group_size=70)
    frame[300:].to_parquet(folder / "rows" / "b.parquet")
    return folder / "rows"


def write_npy(X, folder):
    np.save(folder / "rows.npy", X)
    return folder / "rows.npy"


def write_hdf5(X, folder):
    h5py = pytest.importorskip("h5py", reason="h5py comes with the extra large")
    with h5py.File(folder / "rows.h5", "w") as file:
        file.create_dataset("rows", data=X, chunks=(90, 5), compression="gzip")
    return folder / "rows.h5"


def write_zarr(X, folder):
    zarr = pytest.importorskip("zarr", reason="zarr comes with the extra large")
    zarr.create_array(str(folder / "rows.zarr"), data=X, chunks=(90, 12))
    return str(folder / "rows.zarr")


def make_dask_array(X, folder):
    array = pytest.importorskip("dask.array", reason="dask comes with the extra large")
    rows = array.from_array(X, chunks=(90, 7))
    return rows[rows[:, 0] < np.inf]  # which leaves Dask in doubt of the number of rows


def make_dask_frame(X, folder):
    dataframe = pytest.importorskip("dask.dataframe", reason="dask comes with the extra large")
    return dataframe.from_pandas(pd.DataFrame(X, columns=NAMES), npartitions=5)


SOURCES = {
    "slices": lambda X, folder: Slices(X),
    "npy": write_npy,
    "hdf5": write_hdf5,
    "zarr": write_zarr,
    "parquet": write_parquet,
    "data set": lambda X, folder: pyarrow.dataset.dataset(write_parquet(X, folder)),
    "arrow": lambda X, folder: pa.Table.from_pandas(pd.DataFrame(X, columns=NAMES)),
    "dask array": make_dask_array,
    "dask frame": make_dask_frame,
}


# The others are read as one of these.
READ_ALIKE = {"npy", "hdf5", "data set", "arrow", "dask array"}


@pytest.fixture(
    params=[
        pytest.param(name, marks=pytest.mark.slow if name in READ_ALIKE else []) for name in SOURCES
    ]
)
def source(request, X, tmp_path):
    return SOURCES[request.param](X, tmp_path)


def make_all_large(patch):
    patch.setattr(_stored, "_LARGE_BYTES", 0)
    patch.setattr(_fit, "_MAX_CROSS_VALIDATED_CELLS", 0)


@pytest.fixture
def all_large(monkeypatch):
    """Treat every table as larger than memory."""
    make_all_large(monkeypatch)


@pytest.fixture(scope="module")
def large_model(X):
    """Return a model of the array, treated as larger than memory."""
    with pytest.MonkeyPatch.context() as patch:
        make_all_large(patch)
        return fit(X)


def fit_all_rows(X, **params):
    return fit(X, early_stopping=False, **params)


def fit(X, make=AutoencoderTransformer, **params):
    params = {"n_components": 2, "max_iter": 2, "random_state": 0} | params
    return make(**params).fit(X)


@pytest.fixture(scope="module")
def codes(X):
    """Codes of the array, by a model fitted to the array."""
    return fit_all_rows(X).transform(X)


def test_a_small_source_gives_the_model_of_the_array(source, codes):
    np.testing.assert_array_equal(np.asarray(fit_all_rows(source).transform(source)), codes)


@pytest.mark.usefixtures("all_large")
def test_a_large_source_gives_the_model_of_the_array(source, X, large_model):
    found, expected = fit(source), large_model
    assert found.best_iter_ == expected.best_iter_ > 0
    table = source if hasattr(found, "feature_names_in_") else X
    assert list(getattr(found, "feature_names_in_", NAMES)) == NAMES
    np.testing.assert_allclose(
        np.asarray(found.transform(source)), expected.transform(X), atol=1e-4
    )
    assert found.score(source) == pytest.approx(expected.score(X), abs=1e-4)
    np.testing.assert_allclose(
        np.asarray(found.reconstruction_errors(table)), expected.reconstruction_errors(X), atol=1e-3
    )
    chunk = AutoencoderTransformer(2, random_state=0).partial_fit(source).partial_fit(source)
    assert chunk.n_samples_seen_ == 2 * len(X)


@pytest.mark.slow
@pytest.mark.usefixtures("all_large")
def test_a_file_that_is_read_in_many_blocks_is_learned_as_well(monkeypatch, tmp_path, X):
    monkeypatch.setattr(_stored, "_BYTES_KEPT", 0)
    path = write_parquet(X, tmp_path)
    weights = np.arange(len(X)) % 3.0
    params = {"sample_weight": weights}
    found, expected = (
        AutoencoderTransformer(2, max_iter=5, random_state=0).fit(rows, **params)
        for rows in (path, X)
    )
    assert found.score(path) == pytest.approx(expected.score(X), abs=0.03)
    assert found.best_iter_ > 0


@pytest.mark.usefixtures("all_large")
def test_sorted_rows_in_blocks_too_large_to_be_mixed_give_a_warning(monkeypatch, tmp_path, X):
    monkeypatch.setattr("skae._engine.start.one_pass._CELLS_AT_ONCE", 1000)
    ordered = X[np.argsort(X[:, 0])]
    fit(Slices(ordered), max_iter=1)  # all of it is shuffled together
    monkeypatch.setattr(_stored, "_BYTES_KEPT", 0)
    with pytest.warns(SkaeWarning, match="seems to be sorted[^$]*1 of 6 are shuffled at a time"):
        fit(write_parquet(ordered, tmp_path), max_iter=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error", SkaeWarning)
        warnings.simplefilter("ignore", NotBetterThanPCAWarning)
        pd.DataFrame(X, columns=NAMES).to_parquet(tmp_path / "x.parquet", row_group_size=90)
        fit(tmp_path / "x.parquet", max_iter=1)


@pytest.mark.usefixtures("all_large")
@pytest.mark.parametrize("missing", [None, "mask"])
def test_missing_cells_of_a_file_are_those_of_the_array(tmp_path, X, missing):
    X = X.copy()
    X[5::9, 3] = np.nan
    path = write_parquet(X, tmp_path)
    if missing is None:
        with pytest.raises(ValueError, match="contains NaN[^$]*missing='mask'"):
            fit(path)
        complete = fit(pd.DataFrame(np.nan_to_num(X), columns=NAMES))
        with pytest.raises(ValueError, match="contains NaN"):
            complete.transform(path)
        return
    found, expected = fit_all_rows(path, missing="mask"), fit_all_rows(X, missing="mask")
    np.testing.assert_allclose(found.score_samples(path), expected.score_samples(X), atol=1e-3)


@pytest.mark.usefixtures("all_large")
def test_samples_of_more_axes_stay_in_their_file(tmp_path, X):
    images = X.reshape(-1, 3, 4)
    found = fit(write_npy(images, tmp_path), make=VariationalAutoencoderTransformer)
    expected = fit(images, make=VariationalAutoencoderTransformer)
    assert found.sample_shape_ == (3, 4)
    np.testing.assert_allclose(
        found.transform(Slices(images)), expected.transform(images), atol=1e-3
    )


@pytest.mark.usefixtures("all_large")
def test_tables_that_do_not_fit_are_refused(tmp_path, X):
    model = fit(pd.DataFrame(X, columns=NAMES))
    with pytest.raises(ValueError, match="feature names should match"):
        model.transform(pa.table(list(X.T), names=NAMES[::-1]))
    with pytest.raises(ValueError, match="expecting 12 features"):
        fit(X).transform(Slices(X[:, :5]))
    when = pa.array([0] * len(X), pa.timestamp("us", tz="Europe/Berlin"))
    for other in (["a"] * len(X), when, [[1]] * len(X)):
        with pytest.raises(ValueError, match="must hold numbers[^$]*'c1'"):
            fit(pa.table({"c0": X[:, 0], "c1": other}))
    (tmp_path / "rows.txt").touch()
    with pytest.raises(ValueError, match=r"one of the kinds .parquet"):
        fit(tmp_path / "rows.txt")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        fit(tmp_path / "elsewhere.parquet")


def test_columns_of_arrow_become_floats_that_hold_them(X):
    columns = {
        "bool": pa.array([True, None, False] * 20),
        "int": pa.array([1, 2, None, 4] * 15, type=pa.int32()),
        "float": pa.array(X[:60, 0]),
        "half": pa.array(X[:60, 1].astype(np.float16)),
        "decimal": pa.array([Decimal("1.5"), None, Decimal("2.25")] * 20, pa.decimal128(9, 2)),
    }
    frame = pd.DataFrame({name: np.asarray(column) for name, column in columns.items()})
    expected = fit_all_rows(frame.astype(float), missing="mask")
    for rows in (pa.table(columns), pa.RecordBatch.from_pydict(columns)):
        found = fit_all_rows(rows, missing="mask")
        assert list(found.feature_names_in_) == list(columns)
        np.testing.assert_allclose(found.mean_, expected.mean_, rtol=1e-6)


def test_an_index_that_pandas_has_stored_is_no_column(tmp_path, X):
    frame = pd.DataFrame(X, columns=NAMES, index=np.arange(len(X)) * 7.0)
    frame.to_parquet(tmp_path / "rows.parquet")
    assert list(fit(tmp_path / "rows.parquet").feature_names_in_) == NAMES


def fit_rows(estimator, X, kind):
    """Return a fitted detector or imputer of few epochs, and its method for rows."""
    small = AutoencoderTransformer(2, max_iter=1, early_stopping=False)
    model = estimator(2, autoencoder=small, random_state=0)
    model.fit(pd.DataFrame(X, columns=NAMES) if kind in NAMED else X)
    return model, model.score_samples if hasattr(model, "score_samples") else model.transform


NAMED = ("data set", "dask frame")


@pytest.fixture
def with_gaps(X):
    return np.where(np.random.default_rng(1).random(X.shape) < 0.1, np.nan, X)[:200]


@pytest.mark.mostly_slow(4)
@pytest.mark.usefixtures("all_large")
@pytest.mark.parametrize("kind", ["slices", "hdf5", "data set"])
@pytest.mark.parametrize("estimator", [AutoencoderOutlierDetector, AutoencoderImputer])
def test_detectors_and_imputers_apply_to_a_block_at_a_time(
    estimator, kind, X, with_gaps, tmp_path, monkeypatch
):
    X = with_gaps if estimator is AutoencoderImputer else X[:200]
    _, apply = fit_rows(estimator, X, kind)
    expected = apply(pd.DataFrame(X, columns=NAMES) if kind in NAMED else X)
    lengths, join = [], row_blocks._join

    def note_lengths(parts):
        lengths.extend(map(len, parts))
        return join(parts)

    monkeypatch.setattr(row_blocks, "_join", note_lengths)
    monkeypatch.setattr(row_blocks, "_CELLS_AT_ONCE", 50 * X.shape[1])
    found = apply(SOURCES[kind](X, tmp_path))
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert lengths == [50] * 4


@pytest.mark.usefixtures("all_large")
@pytest.mark.parametrize("estimator", [AutoencoderOutlierDetector, AutoencoderImputer])
def test_a_fit_beyond_the_free_memory_is_refused_with_sizes(estimator, X, tmp_path, monkeypatch):
    monkeypatch.setattr(row_blocks, "find_free_memory", lambda: 100_000_000)
    path = tmp_path / "rows.npy"
    np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(1_000_000, 12)).flush()
    with pytest.raises(ValueError, match=r"1,000,000 x 12 cells, .* 0.1 GB are free. Fit to a"):
        estimator().fit(path)


@pytest.mark.slow
def test_detectors_and_imputers_are_lazy_for_dask(X, with_gaps):
    array = pytest.importorskip("dask.array", reason="dask comes with the extra large")
    dataframe = pytest.importorskip("dask.dataframe", reason="dask comes with the extra large")
    detector, _ = fit_rows(AutoencoderOutlierDetector, X[:200], "array")
    rows = array.from_array(X[:200], chunks=(90, 12))
    scores = detector.decision_function(rows)
    assert scores.chunks == ((90, 90, 20),)
    np.testing.assert_allclose(scores.compute(), detector.decision_function(X[:200]), atol=1e-4)
    np.testing.assert_array_equal(detector.predict(rows), detector.predict(X[:200]))

    frame = pd.DataFrame(with_gaps, columns=NAMES, index=np.arange(200) * 2)
    imputer, _ = fit_rows(AutoencoderImputer, with_gaps, "dask frame")
    filled = imputer.transform(dataframe.from_pandas(frame, npartitions=3))
    assert (filled.npartitions, list(filled.columns)) == (3, NAMES)
    found = filled.compute()
    assert found.index.equals(frame.index)
    np.testing.assert_allclose(found, imputer.transform(frame), atol=1e-4)


def test_codes_of_a_dask_array_are_lazy_and_keep_their_blocks(X):
    array = pytest.importorskip("dask.array", reason="dask comes with the extra large")
    model, rows = fit_all_rows(X), array.from_array(X, chunks=(300, 5))
    codes = model.transform(rows)
    assert (codes.chunks, codes.dtype) == (((300, 300, 200), (2,)), np.float32)
    np.testing.assert_allclose(codes.compute(), model.transform(X), atol=1e-6)
    decoded = model.inverse_transform(codes)
    np.testing.assert_allclose(
        decoded.compute(), model.inverse_transform(model.transform(X)), atol=1e-5
    )
    scores = model.score_samples(rows[rows[:, 0] > 0.5])  # some blocks may be empty
    np.testing.assert_allclose(scores.compute(), model.score_samples(X[X[:, 0] > 0.5]), atol=1e-5)

    images = X.reshape(-1, 3, 4)
    model, lazy = fit_all_rows(images), array.from_array(images, chunks=(300, 2, 2))
    decoded = model.inverse_transform(model.transform(lazy))
    assert decoded.chunks == ((300, 300, 200), (3,), (4,))
    np.testing.assert_allclose(
        decoded.compute(), model.inverse_transform(model.transform(images)), atol=1e-5
    )
    sparse = fit_all_rows(X[:100], make=SparseAutoencoderTransformer, n_components=20, n_active=3)
    codes = sparse.transform(rows).compute()
    assert codes.format == "csr"
    np.testing.assert_allclose(codes.toarray(), sparse.transform(X).toarray(), atol=1e-5)
    with pytest.raises(ValueError, match="Output must not be set to a frame"):
        fit_all_rows(X[:100]).set_output(transform="pandas").transform(rows)


@pytest.mark.slow
def test_codes_of_a_dask_frame_are_a_frame_with_names_and_index(X):
    dataframe = pytest.importorskip("dask.dataframe", reason="dask comes with the extra large")
    frame = pd.DataFrame(X, columns=NAMES, index=np.arange(len(X)) * 3)
    model, rows = fit_all_rows(frame), dataframe.from_pandas(frame, npartitions=3)
    codes = model.transform(rows)
    assert codes.divisions == rows.divisions
    expected = pd.DataFrame(
        model.transform(frame), index=frame.index, columns=model.get_feature_names_out()
    )
    assert dict(codes.dtypes) == dict(expected.dtypes)
    pd.testing.assert_frame_equal(codes.compute(), expected, atol=1e-6)
    decoded = model.inverse_transform(codes).compute()
    assert list(decoded.columns) == NAMES
    np.testing.assert_allclose(decoded, model.inverse_transform(expected.to_numpy()), atol=1e-5)
    assert model.score_samples(rows).compute().index.equals(frame.index)
    sparse = fit_all_rows(
        frame[:60], make=SparseAutoencoderTransformer, n_components=20, n_active=3
    )
    with pytest.raises(ValueError, match="sparse_output"):
        sparse.transform(rows)


def claim(shape):
    """Return a file of `numpy.save` whose header claims a shape."""
    content = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(content, header)
    return content.getvalue()


def test_broken_files_are_refused_by_name(tmp_path):
    archive = io.BytesIO()
    np.savez(archive, X=np.eye(3))
    start = claim((9, 3))
    contents = [b"", pickle.dumps(np.eye(3)), archive.getvalue(), start, start.replace(b"}", b"(")]
    contents += [claim((2**70, 3)), claim((2**40, 3)), claim((-1, 3)), claim((True, 3))]
    for suffix in (".npy", ".parquet", ".h5", ".zarr"):
        for content in contents:
            path = tmp_path / f"rows{suffix}"
            path.write_bytes(content)
            with pytest.raises(ValueError, match=rf"X must be a readable \{suffix} file\. Got"):
                AutoencoderTransformer().fit(path)


def test_pipes_are_refused_as_rows(tmp_path):
    path = tmp_path / "rows.npy"
    os.mkfifo(path)
    with pytest.raises(ValueError, match="which is a pipe or a device"):
        AutoencoderTransformer().fit(path)


def test_metadata_that_no_one_can_read_is_passed_over(X):
    for metadata in (b"5", b'{"index_columns": null}', b"[" * 100_000, b"no json"):
        table = pa.table({"a": X[:, 0], "b": X[:, 1]}).replace_schema_metadata(
            {b"pandas": metadata}
        )
        assert fit_all_rows(table, n_components=1).n_features_in_ == 2


def test_files_that_declare_more_rows_than_they_hold_are_refused(tmp_path):
    h5py = pytest.importorskip("h5py", reason="h5py comes with the extra large")
    zarr = pytest.importorskip("zarr", reason="zarr comes with the extra large")
    own = {"shape": (10**12, 3), "chunks": (10**6, 3), "dtype": "f8"}
    with h5py.File(tmp_path / "rows.h5", "w") as file:
        file.create_dataset("rows", **own)
    zarr.create_array(str(tmp_path / "rows.zarr"), **own)
    for path in (tmp_path / "rows.h5", tmp_path / "rows.zarr"):
        with pytest.raises(ValueError, match="declare 24,000,000,000,000 bytes of rows"):
            AutoencoderTransformer().fit(path)
