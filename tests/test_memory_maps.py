"""Memory maps give the results of arrays, without reading the whole table at once."""

import os
import subprocess
import sys
import textwrap

import joblib
import numpy as np
import pytest

from skae import AutoencoderTransformer
from skae._engine.fitting import fit as _fit
from skae._engine.tables import stored as _stored

pytestmark = pytest.mark.filterwarnings("ignore::skae.exceptions.NotBetterThanPCAWarning")


@pytest.fixture
def stays_on_disk(monkeypatch):
    """Treat every memory map as larger than memory."""
    monkeypatch.setattr(_stored, "_LARGE_BYTES", 0)
    monkeypatch.setattr(_fit, "_MAX_CROSS_VALIDATED_CELLS", 0)


@pytest.fixture(params=["memmap", "npy", "joblib"])
def tables(request, tmp_path, digits):
    """Return a table in memory, and an equal read-only memory map."""
    X, path = digits[0].astype(np.float32), tmp_path / "table"
    if request.param == "memmap":
        X.tofile(path)
        return X, np.memmap(path, dtype=X.dtype, mode="r", shape=X.shape)
    if request.param == "npy":
        np.save(tmp_path / "table.npy", X)
        return X, np.load(tmp_path / "table.npy", mmap_mode="r")
    joblib.dump(X, path)
    return X, joblib.load(path, mmap_mode="r")


def fit(X, sample_weight=None, **params):
    params = {"n_components": 4, "max_iter": 3, "random_state": 0} | params
    return AutoencoderTransformer(**params).fit(X, sample_weight=sample_weight)


def assert_same_fit(found, expected, X):
    np.testing.assert_allclose(found.loss_curve_, expected.loss_curve_, rtol=1e-4)
    np.testing.assert_allclose(found.transform(X), expected.transform(X), rtol=1e-4, atol=5e-4)
    assert found.best_iter_ == expected.best_iter_


@pytest.mark.mostly_slow(3, first=1)
def test_a_small_map_is_fitted_as_an_array_is(tables):
    X, memory_map = tables
    assert_same_fit(fit(memory_map, max_iter=1), fit(X, max_iter=1), X)


@pytest.mark.mostly_slow(4)
@pytest.mark.usefixtures("stays_on_disk")
@pytest.mark.parametrize(
    "params",
    [
        {"early_stopping": False},
        {"learning_rate": "adaptive"},
        {"early_stopping": False, "n_components": 0.8, "loss": "binary_cross_entropy"},
        {"early_stopping": False, "dtype": "float64"},
    ],
    ids=str,
)
def test_a_large_map_is_fitted_as_an_array_is(tables, params):
    X, memory_map = tables
    assert_same_fit(fit(memory_map, **params), fit(X, **params), X)


@pytest.mark.mostly_slow(3, first=1)
@pytest.mark.usefixtures("stays_on_disk")
def test_weights_mean_the_same_for_a_large_map(tables):
    X, memory_map = tables
    weights = 1.0 + np.arange(len(X)) % 3
    params = {"early_stopping": False, "sample_weight": weights}
    assert_same_fit(fit(memory_map, **params), fit(X, **params), X)


@pytest.mark.mostly_slow(3)
@pytest.mark.usefixtures("stays_on_disk")
def test_chunks_of_a_large_map_are_fitted_as_those_of_an_array(tables):
    X, memory_map = tables
    # A single batch would start at its own PCA, where gradients are only rounding errors.
    params = {"n_components": 4, "batch_size": 50, "random_state": 0}
    from_array, from_map = (AutoencoderTransformer(**params) for _ in range(2))
    for rows in (slice(0, 100), slice(100, 200)):
        from_array.partial_fit(X[rows])
        from_map.partial_fit(memory_map[rows])
    assert_same_fit(from_map, from_array, X)


def test_results_for_a_map_are_those_for_an_array(tables):
    X, memory_map = tables
    estimator = fit(X, early_stopping=False)
    np.testing.assert_array_equal(estimator.transform(memory_map), estimator.transform(X))
    assert estimator.score(memory_map) == estimator.score(X)


TYPES = ["uint8", "int16", "bool", "float16", ">f4", ">f8", "int64"]


@pytest.mark.mostly_slow(2, first=1)
@pytest.mark.usefixtures("stays_on_disk")
@pytest.mark.parametrize("dtype", TYPES)
def test_a_large_map_of_any_numbers_is_fitted_as_an_array_is(digits, tmp_path, dtype):
    X = (digits[0] > 8 if dtype == "bool" else digits[0]).astype(dtype)
    np.save(tmp_path / "table.npy", X)
    memory_map = np.load(tmp_path / "table.npy", mmap_mode="r")
    expected, found = fit(X, early_stopping=False), fit(memory_map, early_stopping=False)
    assert_same_fit(found, expected, X)
    np.testing.assert_allclose(
        found.reconstruction_errors(memory_map), expected.reconstruction_errors(X), atol=1e-2
    )
    codes = expected.transform(X)
    assert found.inverse_transform(codes).dtype == expected.inverse_transform(codes).dtype
    np.testing.assert_allclose(found.score_samples(memory_map), found.score_samples(X), rtol=1e-5)


@pytest.mark.usefixtures("stays_on_disk")
def test_a_large_map_that_is_not_finite_is_refused(digits, tmp_path):
    for dtype in ["float16", ">f4", ">f8"]:
        for bad in [np.nan, np.inf]:
            X = digits[0].astype(dtype)
            X[-1, 3] = bad
            np.save(tmp_path / "table.npy", X)
            memory_map = np.load(tmp_path / "table.npy", mmap_mode="r")
            message = "contains NaN[^$]*missing='mask'" if np.isnan(bad) else "contains infinity"
            with pytest.raises(ValueError, match=message):
                fit(memory_map)
            if np.isnan(bad):
                masked = fit(memory_map, missing="mask", early_stopping=False)
                np.testing.assert_allclose(
                    masked.transform(memory_map), masked.transform(X), rtol=1e-4
                )
                assert np.isnan(masked.reconstruction_errors(memory_map)[-1, 3])


# A thread measures anonymous memory, which getrusage does not separate from mapped files.
MEMORY_OF_A_FIT_ON_DISK = """
    import sys
    import threading
    import time

    import numpy as np
    from skae import AutoencoderTransformer


    def anonymous_bytes():
        with open("/proc/self/status") as status:
            (line,) = (line for line in status if line.startswith("RssAnon"))
        return int(line.split()[1]) * 1024


    def watch():
        while not done.is_set():
            seen.append(anonymous_bytes())
            time.sleep(0.002)


    def fit(X):
        return AutoencoderTransformer(16, max_iter=1, random_state=0).fit(X)


    fit(np.random.default_rng(0).random((3000, 500), dtype=np.float32))
    X = np.load(sys.argv[1], mmap_mode="r")
    seen, done = [anonymous_bytes()], threading.Event()
    thread = threading.Thread(target=watch)
    thread.start()
    fit(X)
    done.set()
    thread.join()
    print(max(seen) - seen[0])
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells anonymous memory apart")
@pytest.mark.parametrize("dtype", ["float32", "uint8", "float16"])
def test_a_large_map_is_not_read_into_memory(tmp_path, dtype):
    path, n_bytes = tmp_path / "table.npy", 600_000_000
    n_rows = n_bytes // 2000 if dtype == "float32" else 200_000
    X = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=(n_rows, 500))
    rng = np.random.default_rng(0)
    for rows in np.array_split(np.arange(len(X)), 20):
        X[rows] = 255 * rng.random((len(rows), 500), dtype=np.float32)
    X.flush()
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(MEMORY_OF_A_FIT_ON_DISK), path],
        # Otherwise the C library returns freed buffers early or late, by chance.
        env=os.environ | {"MALLOC_MMAP_THRESHOLD_": str(2**20)},
        capture_output=True,
        text=True,
        check=True,
    )
    # A buffer for rows to be mixed in, of 128 MB at most, and what a fit takes beside it.
    assert int(done.stdout) < 250_000_000
