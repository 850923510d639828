"""What users get wrong, and what they are told."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris, load_wine

from skae import AutoencoderTransformer
from skae.exceptions import NonFiniteLossError, OvercompleteWarning

pytestmark = pytest.mark.filterwarnings("ignore::skae.exceptions.NotBetterThanPCAWarning")


def fit(X, sample_weight=None, **params):
    params = {"n_components": 2, "max_iter": 2, "random_state": 0} | params
    return AutoencoderTransformer(**params).fit(X, sample_weight=sample_weight)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        *[
            ({"n_components": bad}, r"'n_components' .* must be an int in the range \[1, inf\)")
            for bad in (0, -1, 1.5, 1.0, 0.0, "mle")
        ],
        *[
            ({"hidden_layer_sizes": bad}, "`hidden_layer_sizes` must be positive integers")
            for bad in ((0,), (32, -3), (2.5,), ("wide",), [[8, 4]], np.array([8.0, 4.0]))
        ],
        *[({"hidden_layer_sizes": bad}, "'hidden_layer_sizes' .* must be") for bad in (0, -2, 2.5)],
        ({"activation": "swish"}, "'activation' .* must be a str among .*'silu'.* Got 'swish'"),
        ({"loss": "mse"}, "'loss' .* must be a str among .*'squared_error'.* Got 'mse'"),
        ({"init": "zeros"}, "'init' .* must be a str among .* Got 'zeros'"),
        ({"learning_rate": "fast"}, "'learning_rate' .* must be a str among .* Got 'fast'"),
        ({"learning_rate_init": 0}, "'learning_rate_init' .* must be a float in the range"),
        ({"batch_size": 0}, "'batch_size' .* must be .*'auto'.* Got 0"),
        ({"batch_size": 1.5}, "'batch_size' .* must be .*'auto'.* Got 1.5"),
        ({"max_iter": 0}, "'max_iter' .* must be .*'auto'.* Got 0"),
        ({"validation_fraction": 1.0}, "'validation_fraction' .* must be a float in the range"),
        ({"dtype": "float16"}, "'dtype' .* must be a str among .* Got 'float16'"),
        ({"device": "gpu"}, "`device` must be 'auto', 'cpu', 'cuda' or 'mps'. Got 'gpu'. Use"),
        ({"device": ""}, "`device` must be 'auto', 'cpu', 'cuda' or 'mps'. Got ''. Use"),
        ({"device": "cpu:x"}, "`device` must be a name such as 'cpu'.* Got 'cpu:x'"),
        ({"device": "cpu:1:2"}, "`device` must be a name such as 'cpu'.* Got 'cpu:1:2'"),
        ({"device": 0}, "'device' .* must be an instance of 'str'. Got 0"),
        ({"output_range": (0,)}, "`output_range` must be .* bound .* Got \\(0,\\). Use infinity"),
        ({"output_range": (1, 0)}, "`output_range` must be .* bound .* Got \\(1, 0\\)"),
        ({"output_range": (0, np.nan)}, "`output_range` must be .* bound.* Got .0, nan"),
        ({"output_range": ("low", 1)}, "`output_range` must be .* bound.* Got .'low', 1"),
        ({"net_params": [("optimizer", None)]}, "'net_params' .* must be an instance of 'dict'"),
        ({"net_params": {"optimizr": 1}}, "`net_params` must hold only .* Got 'optimizr'"),
        ({"net_params": {0: 1}}, "`net_params` must hold only .* Got 0"),
        ({"net_params": {"module": torch.nn.Identity}}, "`net_params` must .* Got 'module'"),
        ({"net_params": {"train_split": None}}, "`net_params` must .* Got 'train_split'"),
        ({"net_params": {"lr": 0.1}}, "Got 'lr'. Set the estimator's own `learning_rate_init`"),
        ({"net_params": {"max_epochs": 3}}, "Got 'max_epochs'. .* own `max_iter` instead"),
        ({"net_params": {"criterion": torch.nn.L1Loss}}, "Got 'criterion'. .* own `loss` instead"),
        ({"net_params": {"callbacks": "disable"}}, r"`net_params\['callbacks'\]` must be a list"),
    ],
)
def test_parameters_are_refused(wine, params, message):
    with pytest.raises(ValueError, match=message):
        fit(wine[0], **params)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU, so none is missing")
def test_a_gpu_that_is_not_there_is_refused(wine):
    with pytest.raises(ValueError, match="`device` must be one that torch can use here. Got 'cuda"):
        fit(wine[0], device="cuda")


def test_a_refused_fit_leaves_an_unfitted_estimator_unfitted(wine):
    estimator = AutoencoderTransformer(2, hidden_layer_sizes=(0,))
    with pytest.raises(ValueError, match="hidden_layer_sizes"):
        estimator.fit(wine[0])
    assert not [name for name in vars(estimator) if name.endswith("_")]


def test_more_codes_than_features_warns_and_works(wine):
    X = wine[0]
    with pytest.warns(OvercompleteWarning, match="n_components=20 is more than the 13 features"):
        estimator = fit(X, n_components=20)
    codes = estimator.transform(X)
    assert codes.shape == (len(X), 20)
    assert np.isfinite(codes).all()
    np.testing.assert_allclose(estimator.inverse_transform(codes), X, atol=1e-2)


@pytest.mark.parametrize("method", ["fit", "partial_fit", "transform", "score"])
@pytest.mark.parametrize(("value", "name"), [(np.nan, "NaN"), (np.inf, "inf"), (-np.inf, "inf")])
def test_nan_and_infinity_are_refused(wine, method, value, name):
    estimator = fit(wine[0])
    X = wine[0].copy()
    X[3, 2] = value
    with pytest.raises(ValueError, match=f"X contains {name}"):
        getattr(estimator, method)(X)


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


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"early_stopping": False},
        {"learning_rate": "adaptive"},
        {"loss": "binary_cross_entropy"},
    ],
    ids=str,
)
def test_a_loss_that_is_not_finite_is_an_error_and_leaves_the_estimator_as_it_was(digits, params):
    X = digits[0]
    estimator = fit(X, **params)
    codes, curve = estimator.transform(X), estimator.loss_curve_
    estimator.set_params(learning_rate_init=1e30)
    with pytest.raises(NonFiniteLossError, match=r"must stay finite. Got \w+_loss=.* Lower"):
        estimator.fit(X[:, :60])
    np.testing.assert_array_equal(estimator.transform(X), codes)
    assert estimator.loss_curve_ is curve
    assert estimator.n_features_in_ == 64


def test_a_chunk_on_which_the_loss_is_not_finite_changes_nothing(digits):
    X = digits[0]
    estimator = fit(X)
    codes = estimator.transform(X)
    estimator.set_params(learning_rate_init=1e30)
    with pytest.raises(NonFiniteLossError):
        estimator.partial_fit(X)
    np.testing.assert_array_equal(estimator.transform(X), codes)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_single_row_is_refused(wine, method):
    with pytest.raises(ValueError, match=r"1 sample\(s\) .* minimum of 2 is required"):
        getattr(AutoencoderTransformer(2), method)(wine[0][:1])


@pytest.mark.parametrize("loss", ["squared_error", "binary_cross_entropy"])
def test_a_constant_column_works(digits, loss):
    X = digits[0].copy()
    X[:, 5] = 0.75
    estimator = fit(X, loss=loss)
    reconstructions = estimator.inverse_transform(estimator.transform(X))
    assert np.isfinite(reconstructions).all()
    np.testing.assert_allclose(reconstructions[:, 5], 0.75, atol=0.05)


@pytest.mark.parametrize("n_components", [2, 0.9])
def test_a_table_of_equal_rows_is_reconstructed(n_components):
    X = np.tile([3.0, -1.0, 1e6, 0.5], (20, 1))
    estimator = fit(X, n_components=n_components)
    codes = estimator.transform(X)
    assert np.isfinite(codes).all()
    np.testing.assert_allclose(estimator.inverse_transform(codes), X, rtol=1e-6)
    assert estimator.score(X) == 1


@pytest.mark.parametrize("method", ["transform", "score", "score_samples", "reconstruction_errors"])
def test_a_wrong_number_of_columns_is_refused(wine, method):
    with pytest.raises(ValueError, match="X has 4 features, but .* is expecting 13 features"):
        getattr(fit(wine[0]), method)(wine[0][:, :4])


def test_a_wrong_number_of_codes_is_refused(wine):
    with pytest.raises(ValueError, match="X must have 2 columns, one for each code. Got .*178, 3"):
        fit(wine[0]).inverse_transform(wine[0][:, :3])


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
    X = load_wine(as_frame=True).data.assign(vineyard="north")
    with pytest.raises(ValueError, match="could not convert string to float: 'north'"):
        fit(X)


@pytest.mark.parametrize("method", ["fit", "partial_fit", "score"])
@pytest.mark.parametrize(
    ("make_weights", "message"),
    [
        (lambda n: -np.ones(n), "Negative values in data passed to `sample_weight`"),
        (np.zeros, "(must have a positive entry|at least one non-zero)"),
        (lambda n: np.ones(n - 1), r"sample_weight.shape == \(177,\), expected \(178,\)"),
        (lambda n: np.ones((n, 2)), "Sample weights must be 1D"),
        (lambda n: np.full(n, np.nan), "sample_weight contains NaN"),
        (lambda n: np.full(n, np.inf), "sample_weight contains infinity"),
    ],
)
def test_weights_are_refused(wine, method, make_weights, message):
    X = wine[0]
    estimator = fit(X)
    with pytest.raises(ValueError, match=message):
        getattr(estimator, method)(X, sample_weight=make_weights(len(X)))


def test_weight_for_a_single_row_is_refused(wine):
    with pytest.raises(ValueError, match="`sample_weight` must be positive for at least two rows"):
        fit(wine[0], sample_weight=np.eye(1, len(wine[0]))[0])


def test_rows_outside_of_the_range_asked_for_are_refused():
    X = load_iris().data
    with pytest.raises(ValueError, match=r"X must lie in \[0, 1\] with output_range=\(0, 1\)"):
        AutoencoderTransformer(1, output_range=(0, 1), max_iter=1).fit(X)


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
