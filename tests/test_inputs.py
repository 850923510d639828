"""Tables of every size, type and memory layout; what is done to them; what comes back."""

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.datasets import load_iris, load_wine
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_random_state

from skae import AutoencoderTransformer
from skae.exceptions import OvercompleteWarning

pytestmark = pytest.mark.filterwarnings("ignore::skae.exceptions.NotBetterThanPCAWarning")


@pytest.fixture(scope="module")
def iris():
    X = load_iris().data[::3].copy()
    X.flags.writeable = False
    return X


def fit_and_reconstruct(estimator, X):
    return estimator.inverse_transform(estimator.fit_transform(X))


def as_frame(X):
    return pd.DataFrame(X, columns=[f"pixel {i}" for i in range(X.shape[1])])


@pytest.mark.parametrize("n_samples", [2, 3, 4, 5])
def test_a_few_rows_are_enough(any_autoencoder, iris, n_samples):
    any_autoencoder.set_params(n_components=1)
    reconstructions = fit_and_reconstruct(any_autoencoder, iris[:n_samples])
    assert reconstructions.shape == (n_samples, 4)
    assert np.abs(reconstructions - iris[:n_samples]).max() < 1
    assert any_autoencoder.reconstruction_error_ <= any_autoencoder.pca_reconstruction_error_


@pytest.mark.parametrize("method", ["fit", "partial_fit", "fit_transform"])
def test_one_row_is_refused_by_number(quick, iris, method):
    with pytest.raises(ValueError, match="1 sample"):
        getattr(quick(n_components=1), method)(iris[:1])


@pytest.mark.parametrize("n_samples", [33, 65, 129])
@pytest.mark.parametrize("batch_size", [1, 32, "auto"])
def test_a_row_left_over_by_the_batches_does_no_harm(
    any_autoencoder, images, n_samples, batch_size
):
    any_autoencoder.set_params(batch_size=batch_size, max_iter=2)
    assert np.isfinite(any_autoencoder.fit(images[:n_samples]).score(images))


def test_one_feature_is_reconstructed(any_autoencoder, iris):
    any_autoencoder.set_params(n_components=1)
    column = iris[:, [2]]
    np.testing.assert_allclose(fit_and_reconstruct(any_autoencoder, column), column, atol=0.05)


@pytest.mark.parametrize("n_components", [2, 0.9])
def test_constant_features_are_reconstructed_exactly(any_autoencoder, iris, n_components):
    X = np.insert(iris, 1, 7.25, axis=1)
    any_autoencoder.set_params(n_components=n_components)
    reconstructions = fit_and_reconstruct(any_autoencoder, X)
    np.testing.assert_allclose(reconstructions[:, 1], 7.25, atol=0.02)
    assert any_autoencoder.score(X) > 0.8


@pytest.mark.parametrize("n_components", [2, 0.9])
def test_a_table_without_variance_is_reconstructed_exactly(any_autoencoder, n_components):
    X = np.full((20, 3), 1.7e9)
    any_autoencoder.set_params(n_components=n_components)
    np.testing.assert_array_equal(fit_and_reconstruct(any_autoencoder, X), X)
    assert any_autoencoder.score(X) == 1


# What is done to a table, and by how much codes, of up to 40, may differ: by the rounding of single
# precision, or of means that are summed in another order.
LAYOUTS = {
    "reversed": (lambda X: X[::-1][::-1], 0),
    "big_endian": (lambda X: X.astype(">f8"), 0),
    "longdouble": (lambda X: X.astype(np.longdouble), 0),
    "fortran": (np.asfortranarray, 1e-4),
    "strided": (lambda X: np.repeat(X, 2, axis=1)[:, ::2], 0),
    "list": (lambda X: X.tolist(), 0),
    "frame": (as_frame, 1e-4),
    "polars": (lambda X: pl.DataFrame(as_frame(X)), 1e-4),
    "object": (lambda X: X.astype(object), 0),
    "writeable": (np.copy, 0),
    "single": (lambda X: X.astype(np.float32), 1e-4),
    "half": (lambda X: X.astype(np.float16), 1e-4),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_memory_layouts_and_types_of_numbers_make_no_difference(quick, images, layout):
    convert, tolerance = LAYOUTS[layout]
    # Small whole numbers, which every type holds exactly.
    X = images * 16
    expected = quick().fit(X)
    estimator = quick().fit(convert(X))
    codes = estimator.transform(convert(X))
    np.testing.assert_allclose(codes, expected.transform(X), rtol=0, atol=tolerance)
    assert estimator.score(convert(X)) == pytest.approx(expected.score(X), abs=tolerance)


@pytest.mark.parametrize(
    ("kind", "precision"),
    [(bool, np.float32), (np.int8, np.float32), (np.uint16, np.float32), (np.int64, np.float64)],
)
def test_integers_are_numbers_in_the_precision_that_holds_them(
    any_autoencoder, images, kind, precision
):
    X = (images > 0.5).astype(kind)
    np.testing.assert_array_equal(
        fit_and_reconstruct(any_autoencoder, X),
        fit_and_reconstruct(any_autoencoder, X.astype(precision)),
    )


@pytest.mark.parametrize("network", ["float32", "float64"])
@pytest.mark.parametrize(
    ("given", "returned"),
    [(np.float32, np.float32), (np.float64, np.float64), (np.int32, np.float64)],
)
def test_codes_have_the_networks_precision_and_reconstructions_that_of_the_table(
    quick, images, network, given, returned
):
    estimator = quick(dtype=network).fit((images * 16).astype(given))
    for dtype in (np.float32, np.float64):
        codes = estimator.transform(images.astype(dtype))
        assert codes.dtype == network
        assert estimator.inverse_transform(codes.astype(dtype)).dtype == returned
        assert estimator.score_samples(images.astype(dtype)).dtype == np.float64


def test_digits_of_timestamps_are_kept():
    generator = check_random_state(0)
    seconds = np.sort(generator.uniform(0, 3600, 200))
    X = np.column_stack([1.7e9 + seconds, seconds + generator.normal(size=200)])
    estimator = AutoencoderTransformer(n_components=2, max_iter=3, random_state=0)
    # Single precision tells 1.7e9 from its neighbour at 1.7e9 + 128.
    assert np.abs(fit_and_reconstruct(estimator, X) - X).max() < 0.01


def test_nothing_given_is_changed(quick, images):
    sizes, output_range = [16], [0.0, 1.0]
    net_params = {"callbacks": [], "optimizer__betas": [0.9, 0.99]}
    weights = np.linspace(1, 2, len(images))
    X = images.copy()
    given = [X, weights, sizes, output_range, net_params]
    before = [joblib.hash(value) for value in given]

    estimator = quick(
        hidden_layer_sizes=sizes, output_range=output_range, net_params=net_params
    ).fit(X, sample_weight=weights)
    codes = estimator.transform(X)
    codes_before = codes.copy()
    estimator.inverse_transform(codes)
    estimator.score(X, sample_weight=weights)
    estimator.partial_fit(X, sample_weight=weights)

    assert [joblib.hash(value) for value in given] == before
    np.testing.assert_array_equal(codes, codes_before)
    assert estimator.net_params is net_params


def test_results_do_not_share_memory_with_what_was_given(quick, images):
    X = images.astype(np.float32)
    estimator = quick(n_components=2).fit(X)
    codes = estimator.transform(X)
    reconstructions = estimator.inverse_transform(codes)
    codes[:], reconstructions[:] = np.nan, np.nan
    assert np.isfinite(estimator.transform(X)).all()
    assert np.isfinite(estimator.inverse_transform(estimator.transform(X))).all()


@pytest.mark.filterwarnings("ignore::skae.exceptions.OvercompleteWarning")
def test_all_rows_are_trained_on_unless_the_docstring_says_otherwise(quick):
    # Each of the rows has a feature of its own, which is learned only if the row is seen.
    X = np.eye(20) + 1.0
    for params in ({"early_stopping": False}, {}):
        estimator = quick(n_components=19, max_iter=1, **params).fit(X)
        np.testing.assert_allclose(estimator.mean_, X.mean(axis=0))
        np.testing.assert_allclose(estimator.score_samples(X), 0, atol=1e-3)


def test_rows_held_out_are_drawn_at_random(quick):
    # Sorted by target as tables often are: the first tenth, or the last, would stand for nothing.
    X = np.repeat(np.eye(10), 20, axis=0)
    means = [
        quick(n_components=2, learning_rate="adaptive", random_state=seed).fit(X).mean_
        for seed in range(2)
    ]
    assert all((mean > 0.07).all() for mean in means)
    assert not np.array_equal(*means)


@pytest.mark.parametrize("width", [1, 5])
def test_codes_of_the_wrong_width_are_refused(quick, images, width):
    estimator = quick().fit(images)
    with pytest.raises(ValueError, match=f"must have 4 columns.*{width}"):
        estimator.inverse_transform(np.zeros((3, width)))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_codes_that_are_not_finite_are_refused(quick, images, bad):
    with pytest.raises(ValueError, match="contains"):
        quick().fit(images).inverse_transform(np.full((3, 4), bad))


@pytest.mark.parametrize(
    "method", ["transform", "inverse_transform", "score", "score_samples", "reconstruction_errors"]
)
def test_an_estimator_without_a_fit_says_so(quick, images, method):
    with pytest.raises(NotFittedError):
        getattr(quick(), method)(images)


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_frames_of_codes_come_back_as_arrays_of_rows(quick, images, container):
    estimator = quick().fit(images)
    expected = estimator.inverse_transform(estimator.transform(images))
    score = estimator.score(images)
    estimator.set_output(transform=container)
    codes = estimator.transform(images)
    assert list(codes.columns) == [f"autoencodertransformer{i}" for i in range(4)]
    reconstructions = estimator.inverse_transform(codes)
    assert type(reconstructions) is np.ndarray
    np.testing.assert_array_equal(reconstructions, expected)
    assert estimator.score(images) == score


@pytest.mark.parametrize("loss", ["squared_error", "binary_cross_entropy"])
def test_figures_of_error_agree_with_the_reconstructions(any_autoencoder, images, loss):
    estimator = any_autoencoder.set_params(loss=loss, dtype="float64").fit(images[:100])
    errors = (estimator.inverse_transform(estimator.transform(images)) - images) ** 2
    np.testing.assert_allclose(estimator.reconstruction_errors(images), errors, atol=1e-12)
    np.testing.assert_allclose(estimator.score_samples(images), -errors.mean(axis=1))
    deviations = (images - estimator.mean_) ** 2
    assert estimator.score(images) == pytest.approx(1 - errors.sum() / deviations.sum())


def test_more_codes_than_features_are_warned_of(quick, iris):
    with pytest.warns(OvercompleteWarning, match="n_components=6 is more than the 4 features"):
        estimator = quick(n_components=6).fit(iris)
    assert estimator.transform(iris).shape == (50, 6)
    assert estimator.score(iris) > 0.99


@pytest.mark.parametrize("container", [np.array, sparse.csr_matrix])
@pytest.mark.parametrize("giant", [1e35, 1e39, -1e300])
def test_finite_rows_beyond_the_networks_precision_are_refused(quick, container, giant):
    X = load_wine().data
    estimator, odd = quick().fit(X), X[:4].copy()
    odd[2, 5] = giant
    for method in ("transform", "score", "score_samples", "reconstruction_errors"):
        with pytest.raises(ValueError, match=r"float32 can express. Got .* in row 2, column 5"):
            getattr(estimator, method)(container(odd))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("unit", [1e-26, 1e20])
def test_errors_in_any_unit_are_true(quick, unit, dtype):
    X = (load_wine().data * unit).astype(dtype)
    estimator = quick().fit(X)
    again = estimator.inverse_transform(estimator.transform(X))
    true = np.square((again - X) / unit, dtype=float)
    errors = estimator.reconstruction_errors(X) / unit / unit
    np.testing.assert_allclose(errors, true, rtol=0.05, atol=1e-3)
    np.testing.assert_allclose(
        -estimator.score_samples(X) / unit / unit, true.mean(axis=1), rtol=0.05, atol=1e-3
    )
