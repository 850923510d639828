"""Codes in few bits."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer, load, save
from skae.codes import Quantizer


@pytest.fixture
def X():
    rng = np.random.default_rng(0)
    return (rng.normal(size=(2000, 7)) * [1, 2, 3, 1e-3, 1e3, 1, 1] + np.arange(7)).astype("f4")


def test_bytes_hold_all_that_integers_do(X):
    for bits in range(1, 9):
        quantizer = Quantizer(bits).fit(X)
        integers = quantizer.transform(X)
        packed = quantizer.pack(integers)
        assert packed.shape == (len(X), -(-7 * bits // 8))
        np.testing.assert_array_equal(quantizer.unpack(packed), integers)
        assert integers.max() == 2**bits - 1
        assert integers.min() == 0


def test_error_is_near_that_of_the_best_uniform_levels(X):
    # For normal values: 0.363, 0.119, 0.0115 and 0.00008 of the variance (Max, 1960).
    for bits, most in [(1, 0.37), (2, 0.12), (4, 0.012), (8, 1e-4)]:
        quantizer = Quantizer(bits).fit(X)
        restored = quantizer.inverse_transform(quantizer.transform(X))
        assert restored.dtype == np.float32
        shares = np.square(restored - X, dtype=float).mean(0) / X.var(0, dtype=float)
        assert shares.max() < 1.08 * most


def test_every_value_has_its_nearest_level(X):
    quantizer = Quantizer(3).fit(X)
    levels = quantizer.lower_ + np.arange(8)[:, None] * quantizer.step_
    nearest = np.abs(X[:, None] - levels).argmin(1)
    np.testing.assert_array_equal(quantizer.transform(X), nearest)


def test_levels_come_back_as_themselves(X):
    quantizer = Quantizer().fit(X)
    integers = quantizer.transform(X)
    np.testing.assert_array_equal(
        quantizer.transform(quantizer.inverse_transform(integers)), integers
    )


def test_a_constant_column_is_restored_exactly():
    X = np.column_stack([np.full(20, 0.1), np.arange(20.0)])
    quantizer = Quantizer(2).fit(X)
    restored = quantizer.inverse_transform(quantizer.transform(X))
    np.testing.assert_array_equal(restored[:, 0], X[:, 0])
    assert np.isfinite(quantizer.inverse_transform(quantizer.transform(X + 100))).all()


def test_packed_bits_begin_with_the_greatest():
    quantizer = Quantizer(4).fit(np.tile(np.arange(16.0)[:, None], (1, 3)))
    np.testing.assert_array_equal(quantizer.pack([[1, 2, 15]]), [[0x12, 0xF0]])


def test_other_bits_count_from_the_next_fit_on(X):
    quantizer = Quantizer(bits=4).fit(X)
    integers = quantizer.transform(X)
    quantizer.set_params(bits=2)
    np.testing.assert_array_equal(quantizer.transform(X), integers)
    np.testing.assert_array_equal(quantizer.unpack(quantizer.pack(integers)), integers)
    assert quantizer.fit(X).transform(X).max() == 3


def test_a_quantizer_works_in_a_pipeline_and_as_a_clone(X):
    pipeline = make_pipeline(StandardScaler(), Quantizer(bits=2)).fit(X)
    assert pipeline.transform(X).dtype == np.uint8
    back = pipeline.inverse_transform(pipeline.transform(X))
    assert np.corrcoef(back[:, 0], X[:, 0])[0, 1] > 0.9
    assert clone(Quantizer(3)).bits == 3


def test_a_quantizer_is_saved_and_loaded(X, tmp_path):
    quantizer = Quantizer(3).fit(X)
    save(quantizer, tmp_path / "quantizer.skae")
    np.testing.assert_array_equal(
        load(tmp_path / "quantizer.skae").transform(X), quantizer.transform(X)
    )


def test_names_of_columns_are_kept():
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame({"a": [0.0, 1.0], "b": [1.0, 3.0]})
    assert list(Quantizer().fit(X).get_feature_names_out()) == ["a", "b"]


def test_wrong_bits_are_refused(X):
    for bits in (0, 9, 2.0):
        with pytest.raises(ValueError, match="'bits' parameter"):
            Quantizer(bits).fit(X)


def test_other_integers_are_refused(X):
    quantizer = Quantizer().fit(X)
    for wrong in (16, -1, 0.5, 256, 1e20, -1e300):
        for method in (quantizer.inverse_transform, quantizer.pack):
            with pytest.raises(ValueError, match="integers from 0 to 15"):
                method([[wrong] * 7])


@pytest.mark.filterwarnings("error")
def test_numbers_near_the_limits_of_their_type_are_right_or_refused():
    for numbers in ([0, 1, 5], [-1, 1, 7]):
        for scale in ("1e150", "1e-310", "1"):
            X = np.array(numbers)[:, None] * float(scale)
            quantizer = Quantizer(8).fit(X)
            restored = quantizer.inverse_transform(quantizer.transform(X))
            np.testing.assert_allclose(restored, X, atol=0.05 * X.max())
    for X in ([[-1e300], [1e300]], np.array([[-3e38], [3e38]], "f4")):
        with pytest.raises(ValueError, match="range that can be squared.*column 0"):
            Quantizer().fit(X)
    far = np.array([[3e38, -3e38]], "f4")
    quantizer = Quantizer().fit(np.array([[0, 0], [0.1, 0.1]], "f4"))
    assert quantizer.transform(far).tolist() == [[15, 0]]


def test_no_rows_are_packed_and_unpacked(X):
    quantizer = Quantizer().fit(X)
    packed = quantizer.pack(np.empty((0, 7), np.uint8))
    assert packed.shape == (0, 4)
    assert quantizer.unpack(packed).shape == (0, 7)


def test_masked_cells_are_refused(X):
    masked = np.ma.masked_less(X[:9], 0)
    autoencoder = AutoencoderTransformer(7, max_iter=1, random_state=0).fit(X[:40])
    for method in (Quantizer().fit, Quantizer().fit(X).transform, autoencoder.inverse_transform):
        with pytest.raises(ValueError, match="no masked cells"):
            method(masked)


def test_codes_may_be_tensors_with_gradients_or_frames_of_narwhals(X):
    expected = Quantizer().fit_transform(X)
    frame = pl.DataFrame(X, schema=list("abcdefg"))
    wrapped = pytest.importorskip("narwhals").from_native(frame)
    tensor = torch.tensor(X, requires_grad=True)
    for given in (tensor, list(tensor), wrapped):
        np.testing.assert_array_equal(Quantizer().fit_transform(given), expected)


def test_other_shapes_are_refused(X):
    quantizer = Quantizer().fit(X)
    packed = quantizer.pack(quantizer.transform(X))
    with pytest.raises(ValueError, match="must have 7 columns"):
        quantizer.inverse_transform(packed)
    for wrong in (packed[:, 1:], packed.astype(int), packed[0]):
        with pytest.raises(ValueError, match=r"of shape \(n_samples, 4\)"):
            quantizer.unpack(wrong)


def test_dates_and_texts_are_refused_by_column(X):
    frame = pd.DataFrame(X[:9]).rename(columns=str)
    with pytest.raises(ValueError, match="column 'b' of type datetime64"):
        Quantizer().fit(frame.assign(b=pd.Timestamp("2020")))
    with pytest.raises(ValueError, match="Got 'x' in column 'b'"):
        Quantizer().fit(frame.assign(b="x"))
