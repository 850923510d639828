"""Tables of every size, type and layout, and the state after errors."""

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from scipy import sparse
from sklearn.datasets import load_iris, load_wine
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state

from skae import AutoencoderOutlierDetector, AutoencoderTransformer
from skae.exceptions import NonFiniteLossError, NotBetterThanPCAWarning, OvercompleteWarning

pytestmark = pytest.mark.filterwarnings("ignore::skae.exceptions.NotBetterThanPCAWarning")

DIVERGING = {"learning_rate_init": 1e30, "activation": "relu", "learning_rate": "constant"}


@pytest.fixture(scope="module")
def iris():
    X = load_iris().data[::3].copy()
    X.flags.writeable = False
    return X


def fit_and_reconstruct(estimator, X):
    return estimator.inverse_transform(estimator.fit_transform(X))


def as_frame(X):
    return pd.DataFrame(X, columns=[f"pixel {i}" for i in range(X.shape[1])])


def fit(X, sample_weight=None, **params):
    params = {"n_components": 2, "max_iter": 2, "random_state": 0} | params
    return AutoencoderTransformer(**params).fit(X, sample_weight=sample_weight)


@pytest.mark.mostly_slow(2, first=1)
def test_a_few_rows_are_enough(any_autoencoder, iris):
    any_autoencoder.set_params(n_components=1)
    for n_samples in (2, 3, 5):
        reconstructions = fit_and_reconstruct(any_autoencoder, iris[:n_samples])
        assert reconstructions.shape == (n_samples, 4)
        assert np.abs(reconstructions - iris[:n_samples]).max() < 1
        assert any_autoencoder.reconstruction_error_ <= any_autoencoder.pca_reconstruction_error_


def test_a_single_row_is_refused_with_the_number_needed(quick, iris):
    for method in ("fit", "partial_fit", "fit_transform"):
        with pytest.raises(ValueError, match=r"1 sample\(s\) .* minimum of 2 is required"):
            getattr(quick(n_components=1), method)(iris[:1])


@pytest.mark.mostly_slow(2, first=1)
def test_a_last_batch_of_one_row_is_accepted(any_autoencoder, images):
    for n_samples, batch_size in [(33, 32), (65, "auto"), (33, 1)]:
        any_autoencoder.set_params(batch_size=batch_size, max_iter=1)
        assert np.isfinite(any_autoencoder.fit(images[:n_samples]).score(images))


def test_one_feature_is_reconstructed(any_autoencoder, iris):
    any_autoencoder.set_params(n_components=1)
    column = iris[:, [2]]
    np.testing.assert_allclose(fit_and_reconstruct(any_autoencoder, column), column, atol=0.05)


@pytest.mark.mostly_slow(2)
def test_constant_features_are_reconstructed_exactly(any_autoencoder, iris):
    X = np.insert(iris, 1, 7.25, axis=1)
    for n_components in (2, 0.9):
        any_autoencoder.set_params(n_components=n_components)
        reconstructions = fit_and_reconstruct(any_autoencoder, X)
        np.testing.assert_allclose(reconstructions[:, 1], 7.25, atol=0.02)
        assert any_autoencoder.score(X) > 0.8


def test_a_constant_feature_of_shares_is_reconstructed(quick, images):
    X = np.insert(images, 5, 0.75, axis=1)
    reconstructions = fit_and_reconstruct(quick(loss="binary_cross_entropy"), X)
    np.testing.assert_allclose(reconstructions[:, 5], 0.75, atol=0.05)


@pytest.mark.mostly_slow(2, first=1)
def test_a_table_without_variance_is_reconstructed_exactly(any_autoencoder):
    X = np.tile([1.7e9, -1.0, 0.5], (20, 1))
    for n_components in (2, 0.9):
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


def test_memory_layouts_and_types_of_numbers_make_no_difference(quick, images):
    # Small integers, which every type represents exactly.
    X = images[:60] * 16
    expected = quick().fit(X)
    for convert, tolerance in LAYOUTS.values():
        estimator = quick().fit(convert(X))
        codes = estimator.transform(convert(X))
        np.testing.assert_allclose(codes, expected.transform(X), rtol=0, atol=tolerance)
        assert estimator.score(convert(X)) == pytest.approx(expected.score(X), abs=tolerance)


def test_integers_are_numbers_in_the_precision_that_holds_them(quick, images):
    for kind, precision in [
        (bool, np.float32),
        (np.int8, np.float32),
        (np.uint16, np.float32),
        (np.int64, np.float64),
    ]:
        X = (images > 0.5).astype(kind)
        np.testing.assert_array_equal(
            fit_and_reconstruct(quick(), X),
            fit_and_reconstruct(quick(), X.astype(precision)),
        )


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_codes_have_the_networks_precision_and_reconstructions_that_of_the_table(quick, images):
    for network in ["float32", "float64"]:
        for given, returned in [
            (np.float32, np.float32),
            (np.float64, np.float64),
            (np.int32, np.float64),
        ]:
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
    # Single precision has steps of 128 at 1.7e9.
    assert np.abs(fit_and_reconstruct(estimator, X) - X).max() < 0.01


def test_errors_in_any_unit_are_true(quick):
    for dtype in [np.float32, np.float64]:
        for unit in [1e-26, 1e20]:
            X = (load_wine().data * unit).astype(dtype)
            estimator = quick().fit(X)
            again = estimator.inverse_transform(estimator.transform(X))
            true = np.square((again - X) / unit, dtype=float)
            errors = estimator.reconstruction_errors(X) / unit / unit
            np.testing.assert_allclose(errors, true, rtol=0.05, atol=1e-3)
            np.testing.assert_allclose(
                -estimator.score_samples(X) / unit / unit, true.mean(axis=1), rtol=0.05, atol=1e-3
            )


def test_arguments_are_not_changed(quick, images):
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


def test_results_do_not_share_memory_with_arguments(quick, images):
    X = images.astype(np.float32)
    estimator = quick(n_components=2).fit(X)
    codes = estimator.transform(X)
    reconstructions = estimator.inverse_transform(codes)
    codes[:], reconstructions[:] = np.nan, np.nan
    assert np.isfinite(estimator.transform(X)).all()
    assert np.isfinite(estimator.inverse_transform(estimator.transform(X))).all()


@pytest.mark.filterwarnings("ignore::skae.exceptions.OvercompleteWarning")
def test_all_rows_are_trained_on_unless_the_docstring_says_otherwise(quick):
    # Each row has a feature of its own, which is learned only if the row is used.
    X = np.eye(20) + 1.0
    for params in ({"early_stopping": False}, {}):
        estimator = quick(n_components=19, max_iter=1, **params).fit(X)
        np.testing.assert_allclose(estimator.mean_, X.mean(axis=0))
        np.testing.assert_allclose(estimator.score_samples(X), 0, atol=1e-3)


def test_rows_held_out_are_drawn_at_random(quick):
    # Sorted by target, so that the first or the last tenth would not be representative.
    X = np.repeat(np.eye(10), 20, axis=0)
    means = [
        quick(learning_rate="adaptive", early_stopping=True, random_state=seed).fit(X).mean_
        for seed in range(2)
    ]
    assert all((mean > 0.07).all() for mean in means)
    assert not np.array_equal(*means)


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


@pytest.mark.mostly_slow(4)
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


@pytest.mark.mostly_slow(2)
def test_units_of_any_usual_size_are_fine(any_autoencoder, images):
    for scale in (1e-20, 1e20):
        X = images * scale
        np.testing.assert_allclose(fit_and_reconstruct(any_autoencoder, X), X, rtol=0, atol=scale)
        assert any_autoencoder.score(X) > 0.5


def test_parameters_are_refused(wine):
    for params, message in [
        *[
            ({"n_components": bad}, r"'n_components' .* must be .*an int in the range \[1, inf\)")
            for bad in (0, 1.5, "mle")
        ],
        *[
            ({"hidden_layer_sizes": bad}, "`hidden_layer_sizes` must be positive integers")
            for bad in ((32, -3), ("wide",), [[8, 4]], np.array([8.0, 4.0]))
        ],
        *[({"hidden_layer_sizes": bad}, "'hidden_layer_sizes' .* must be") for bad in (0, 2.5)],
        ({"activation": "swish"}, "'activation' .* must be a str among .*'silu'.* Got 'swish'"),
        ({"loss": "mse"}, "'loss' .* must be a str among .*'squared_error'.* Got 'mse'"),
        ({"init": "zeros"}, "'init' .* must be a str among .* Got 'zeros'"),
        ({"learning_rate": "fast"}, "'learning_rate' .* must be a str among .* Got 'fast'"),
        ({"learning_rate_init": 0}, "'learning_rate_init' .* must be a float in the range"),
        ({"batch_size": 0}, "'batch_size' .* must be .*'auto'.* Got 0"),
        ({"max_iter": 0}, "'max_iter' .* must be .*'auto'.* Got 0"),
        ({"validation_fraction": 1.0}, "'validation_fraction' .* must be a float in the range"),
        ({"dtype": "float16"}, "'dtype' .* must be a str among .* Got 'float16'"),
        ({"device": "gpu"}, "`device` must be 'auto', 'cpu', 'cuda' or 'mps'. Got 'gpu'. Use"),
        ({"device": "cpu:x"}, "`device` must be a name such as 'cpu'.* Got 'cpu:x'"),
        ({"device": 0}, "'device' .* must be an instance of 'str'. Got 0"),
        ({"output_range": (0,)}, "`output_range` must be .* bound .* Got \\(0,\\). Use infinity"),
        ({"output_range": (1, 0)}, "`output_range` must be .* bound .* Got \\(1, 0\\)"),
        ({"output_range": (0, np.nan)}, "`output_range` must be .* bound.* Got .0, nan"),
        ({"net_params": [("optimizer", None)]}, "'net_params' .* must be an instance of 'dict'"),
        ({"net_params": {"optimizr": 1}}, "`net_params` must hold only .* Got 'optimizr'"),
        ({"net_params": {"module": torch.nn.Identity}}, "`net_params` must .* Got 'module'"),
        ({"net_params": {"lr": 0.1}}, "Got 'lr'. Set the estimator's own `learning_rate_init`"),
        ({"net_params": {"criterion": torch.nn.L1Loss}}, "Got 'criterion'. .* own `loss` instead"),
        ({"net_params": {"callbacks": "disable"}}, r"`net_params\['callbacks'\]` must be a list"),
    ]:
        with pytest.raises(ValueError, match=message):
            fit(wine[0], **params)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU, so none is missing")
def test_a_gpu_that_is_not_there_is_refused(wine):
    with pytest.raises(ValueError, match="`device` must be one that torch can use here. Got 'cuda"):
        fit(wine[0], device="cuda")


@pytest.mark.parametrize("value", [-0.25, 1.5])
def test_cross_entropy_names_the_column_outside_of_0_and_1(digits, value):
    X = digits[0].copy()
    X[7, 20] = value
    message = rf"X must lie in \[0, 1\] .* (to|from) {value} .*in column 20, .* Scale X"
    with pytest.raises(ValueError, match=message):
        fit(X, loss="binary_cross_entropy")


def test_cross_entropy_names_the_column_of_a_data_frame():
    X = load_wine(as_frame=True).data
    shares = (X - X.min()) / (X.max() - X.min())
    shares["hue"] = X["hue"]
    with pytest.raises(ValueError, match="to 1.71 in column 'hue', and 1 such columns"):
        fit(shares, loss="binary_cross_entropy")


def test_rows_outside_the_given_range_are_refused():
    X = load_iris().data
    with pytest.raises(ValueError, match=r"X must lie in \[0, 1\] with output_range=\(0, 1\)"):
        AutoencoderTransformer(1, output_range=(0, 1), max_iter=1).fit(X)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X: X.rename(columns={"hue": "shade"}), "unseen at fit time:\n- shade"),
        (lambda X: X[X.columns[::-1]], "must be in the same order"),
        (lambda X: X.drop(columns="hue"), "yet now missing:\n- hue"),
    ],
)
def test_wrong_column_names_are_refused(change, message):
    X = load_wine(as_frame=True).data
    with pytest.raises(ValueError, match=message):
        fit(X).transform(change(X))


def test_text_is_refused():
    wine = load_wine(as_frame=True).data
    # A missing cell in an earlier column is not to blame.
    strange = wine.astype(object).assign(hue="north")
    strange.iloc[0, 0] = None
    cases = [strange.to_numpy(), strange.values.tolist(), strange, pl.from_pandas(strange)]
    model = AutoencoderTransformer(2, max_iter=1, random_state=0).fit(wine)
    for X, name in zip(cases, (10, 10, "'hue'", "'hue'"), strict=True):
        with pytest.raises(ValueError, match=f"Got 'north' in column {name}: could not convert"):
            model.transform(X)
    with pytest.raises(ValueError, match="Got 'north' in column 10"):
        fit(cases[0])


def test_weight_for_a_single_row_is_refused(wine):
    with pytest.raises(ValueError, match="`sample_weight` must be positive for at least two rows"):
        fit(wine[0], sample_weight=np.eye(1, len(wine[0]))[0])


def test_weights_are_refused(wine):
    X = wine[0]
    estimator = fit(X)
    for make_weights, message in [
        (lambda n: -np.ones(n), "Negative values in data passed to `sample_weight`"),
        (np.zeros, "(must have a positive entry|at least one non-zero)"),
        (lambda n: np.ones(n - 1), r"sample_weight.shape == \(177,\), expected \(178,\)"),
        (lambda n: np.ones((n, 2)), "Sample weights must be 1D"),
        (lambda n: np.full(n, np.nan), "sample_weight contains NaN"),
        (lambda n: np.full(n, np.inf), "sample_weight contains infinity"),
        (lambda n: np.ma.masked_array(np.ones(n), np.arange(n) < 3), "sample_weight contains NaN"),
    ]:
        for method in ("fit", "partial_fit", "score"):
            with pytest.raises(ValueError, match=message):
                getattr(estimator, method)(X, sample_weight=make_weights(len(X)))


@pytest.mark.parametrize(("bad", "name"), [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "inf")])
def test_rows_that_are_not_finite_are_refused(quick, images, bad, name):
    estimator = quick().fit(images)
    X = images.copy()
    X[7, 3] = bad
    for method in ("fit", "partial_fit", "transform", "score", "score_samples"):
        with pytest.raises(ValueError, match=f"X contains {name}"):
            getattr(estimator, method)(X)


@pytest.mark.parametrize("container", [np.array, sparse.csr_matrix])
def test_finite_rows_beyond_every_precision_are_refused(quick, container):
    X = load_wine().data
    estimator, odd = quick().fit(X), X[:4].copy()
    odd[2, 5] = -1e300
    for method in ("transform", "score", "score_samples", "reconstruction_errors"):
        with pytest.raises(ValueError, match=r"can express. Got .* in row 2, column 5"):
            getattr(estimator, method)(container(odd))


def test_a_wrong_number_of_columns_is_refused(quick, images):
    estimator = quick().fit(images)
    for method in ("transform", "score", "score_samples", "reconstruction_errors"):
        with pytest.raises(ValueError, match="X has 5 features, but .* is expecting 64 features"):
            getattr(estimator, method)(images[:, :5])


def test_codes_of_the_wrong_width_or_that_are_not_finite_are_refused(quick, images):
    estimator = quick().fit(images)
    for width in (1, 5):
        with pytest.raises(ValueError, match=f"must have 4 columns, one for each code.*{width}"):
            estimator.inverse_transform(np.zeros((3, width)))
    for bad in (np.nan, np.inf):
        with pytest.raises(ValueError, match="contains"):
            estimator.inverse_transform(np.full((3, 4), bad))


def test_an_unfitted_estimator_raises_an_error(quick, images):
    for method in ("transform", "inverse_transform", "score", "score_samples"):
        with pytest.raises(NotFittedError):
            getattr(quick(), method)(images)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_codes_beyond_their_precision_are_refused(quick, images):
    for scale in (1e-310, 1e-200, 1e-150, 1e-35, 1e35, 1e300):
        with pytest.raises(ValueError, match="must deviate from its mean.*Scale X"):
            quick().fit(images * scale)


def test_a_refused_fit_leaves_an_unfitted_estimator_unfitted(wine):
    estimator = AutoencoderTransformer(2, hidden_layer_sizes=(0,))
    with pytest.raises(ValueError, match="hidden_layer_sizes"):
        estimator.fit(wine[0])
    assert not [name for name in vars(estimator) if name.endswith("_")]


def test_a_refused_table_leaves_the_names_of_the_one_before(quick, images):
    estimator = quick().fit(images)
    with pytest.raises(ValueError, match="NaN"):
        estimator.fit(np.full((10, 3), np.nan))
    assert estimator.n_features_in_ == 64
    assert estimator.transform(images).shape == (150, 4)


def test_a_loss_that_is_not_finite_is_an_error(any_autoencoder, images):
    any_autoencoder.set_params(**DIVERGING)
    with pytest.raises(NonFiniteLossError, match="must stay finite.*epoch 1.*learning_rate_init"):
        any_autoencoder.fit(images)
    with pytest.raises(NotFittedError):
        any_autoencoder.transform(images)


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize("params", [{}, {"loss": "binary_cross_entropy"}], ids=str)
def test_a_refit_with_an_infinite_loss_is_an_error_and_changes_nothing(digits, params):
    X = digits[0]
    estimator = fit(X, **params)
    codes, curve = estimator.transform(X), estimator.loss_curve_
    estimator.set_params(learning_rate_init=1e30)
    with pytest.raises(NonFiniteLossError, match=r"must stay finite. Got \w+_loss=.* Lower"):
        estimator.fit(X[:, :60])
    np.testing.assert_array_equal(estimator.transform(X), codes)
    assert estimator.loss_curve_ is curve
    assert estimator.n_features_in_ == 64


def test_a_chunk_with_an_infinite_loss_is_an_error_and_changes_nothing(digits):
    X = digits[0]
    estimator = fit(X)
    codes = estimator.transform(X)
    estimator.set_params(learning_rate_init=1e30)
    with pytest.raises(NonFiniteLossError):
        estimator.partial_fit(X)
    np.testing.assert_array_equal(estimator.transform(X), codes)


def test_a_last_step_that_explodes_is_a_loss_that_is_not_finite():
    autoencoder = AutoencoderTransformer(
        2,
        learning_rate_init=1e30,
        learning_rate="constant",
        early_stopping=False,
        max_iter=1,
        batch_size=5000,
    )
    with pytest.raises(NonFiniteLossError):
        autoencoder.fit(load_iris().data)


@pytest.mark.filterwarnings("ignore:One or more of the test scores:UserWarning")
def test_a_search_continues_if_a_candidate_diverges(quick, images):
    search = GridSearchCV(
        quick(early_stopping=False, **DIVERGING), {"learning_rate_init": [1e-3, 1e30]}, cv=2
    )
    with pytest.warns(FitFailedWarning):
        search.fit(images)
    good, diverged = search.cv_results_["mean_test_score"]
    assert np.isfinite(good)
    assert np.isnan(diverged)
    assert search.best_params_ == {"learning_rate_init": 1e-3}


def interrupt(*args, **kwargs):
    raise KeyboardInterrupt


def interrupt_training(monkeypatch):
    """Interrupt the first step of every training, also of several networks side by side."""
    for step in ("skae._engine.steps.dense.DenseStep.accumulate_", "torch.optim.Adam.step"):
        monkeypatch.setattr(step, interrupt)


def test_an_interruption_by_the_user_ends_the_fit(any_autoencoder, images, monkeypatch):
    interrupt_training(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        any_autoencoder.fit(images)
    with pytest.raises(NotFittedError):
        any_autoencoder.transform(images)
    assert not [name for name in vars(any_autoencoder) if name.endswith("_")]


@pytest.mark.mostly_slow(4)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_refit_that_fails_changes_nothing(any_autoencoder, images, monkeypatch, method):
    estimator = any_autoencoder.set_params(warm_start=True).fit(images)
    codes, fitted = estimator.transform(images), dict(vars(estimator))
    interrupt_training(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        getattr(estimator, method)(images)
    assert vars(estimator) == fitted
    monkeypatch.undo()
    np.testing.assert_array_equal(estimator.transform(images), codes)


@pytest.mark.mostly_slow(3)
@pytest.mark.parametrize("method", ["fit", "fit_transform", "fit_predict"])
def test_warnings_point_to_the_line_of_the_user(method):
    X = np.outer(np.arange(40.0), [1, 2, 3]) + np.random.default_rng(0).normal(size=(40, 3))
    params = {"max_iter": 1, "random_state": 0, "learning_rate_init": 1e-9}
    estimator = AutoencoderTransformer(1, **params)
    if method == "fit_predict":
        estimator = AutoencoderOutlierDetector(1, autoencoder=estimator)
    for model in (estimator, make_pipeline(StandardScaler(), estimator)):
        with pytest.warns(NotBetterThanPCAWarning) as caught:
            getattr(model, method)(X)
        assert {each.filename for each in caught} == {__file__}
