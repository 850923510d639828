"""Rows with missing cells."""

import pickle

import numpy as np
import pytest
import torch
from scipy import sparse
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skae import (
    AdversarialAutoencoderTransformer,
    AutoencoderTransformer,
    VariationalAutoencoderTransformer,
)
from skae._engine.start.incomplete import describe_incomplete, describe_observed_cells
from skae.objectives import LOSSES

pytestmark = [
    pytest.mark.usefixtures("few_draws"),
    pytest.mark.filterwarnings("ignore::skae.exceptions.SkaeWarning"),
]


def hide(X, share=0.3, seed=0):
    """Return X with cells missing at random."""
    hidden = np.random.default_rng(seed).random(X.shape) < share
    return np.where(hidden, np.nan, X)


@pytest.fixture
def masked(quick):
    """Return a function that makes an estimator for missing cells."""

    def make(**params):
        return quick(**{"missing": "mask", "early_stopping": False, **params})

    return make


def reconstruct(model, X):
    return model.inverse_transform(model.transform(X))


def equal_shares(X):
    return np.full(len(X), 1 / len(X))


def test_nan_is_refused_by_default_with_a_remedy(wine, quick):
    X = hide(wine[0])
    with pytest.raises(ValueError, match="contains NaN[^$]*Set missing='mask' to fit Autoenc"):
        quick().fit(X)
    model = quick().fit(wine[0])
    with pytest.raises(ValueError, match="contains NaN"):
        model.transform(X)
    assert not model.__sklearn_tags__().input_tags.allow_nan


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinite_cells_are_refused_where_missing_ones_are_not(wine, masked, value):
    X = hide(wine[0])
    model = masked().fit(X)
    X[3, 2] = value
    for call in (model.transform, model.score, masked().fit):
        with pytest.raises(ValueError, match="infinity"):
            call(X)


def test_tags_state_that_missing_cells_are_accepted(wine, masked):
    tags = masked().__sklearn_tags__().input_tags
    assert tags.allow_nan
    assert not tags.sparse
    with pytest.raises(TypeError, match="[Ss]parse"):
        masked().fit(sparse.csr_array(wine[0]))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"tied_weights": True}, "`tied_weights` must be False with missing='mask'"),
        ({"penalty": "contractive"}, "`penalty` must be defined for rows with missing cells"),
        ({"missing": "drop"}, "'missing' .* must be a str among {'mask'} or None. Got 'drop'"),
    ],
)
def test_parameters_that_do_not_go_together_are_refused(wine, quick, params, message):
    with pytest.raises(ValueError, match=message):
        quick(**{"missing": "mask", **params}).fit(hide(wine[0]))


def test_a_column_without_a_cell_is_refused_by_name(masked):
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame({"a": [1.0, 2, 3], "empty": [np.nan] * 3, "b": [2.0, 1, np.nan]})
    with pytest.raises(ValueError, match="Got NaN only in column 'empty', and 1 such"):
        masked().fit(X)


def test_a_row_without_a_cell_has_the_code_of_the_mean(wine, masked):
    model = masked().fit(hide(wine[0]))
    nothing = np.full((2, 13), np.nan)
    codes = model.transform(nothing)
    assert np.isfinite(codes).all()
    np.testing.assert_array_equal(model.score_samples(nothing), 0)
    mean = model.net_.module_.fill(torch.full((1, 13), torch.nan))
    filled = model._standardization.invert(mean)
    # The inputs of such a row only differ in the mask.
    assert np.abs(filled - np.nanmean(hide(wine[0]), axis=0)).max() < 0.5


def test_without_missing_cells_the_start_is_pca(wine, masked):
    X = wine[0]
    model = masked(max_iter=1, learning_rate_init=1e-12, dtype="float64").fit(X)
    pca = PCA(4).fit(X)
    np.testing.assert_allclose(model.transform(X), pca.transform(X), atol=1e-6)
    error = np.square(X - pca.inverse_transform(pca.transform(X))).mean()
    model = masked(max_iter=1, dtype="float64").fit(X)
    assert model.pca_reconstruction_error_ == pytest.approx(error)


def test_the_start_is_the_pca_of_filled_rows(wine, masked):
    X = hide(wine[0])
    model = masked(learning_rate_init=1e-12, dtype="float64", output_range=None).fit(X)
    module, standardization = model.net_.module_, model._standardization
    filled = standardization.invert(module.fill(standardization.apply(X)))
    np.testing.assert_array_equal(
        filled[~np.isnan(X)], standardization.invert(standardization.apply(X))[~np.isnan(X)]
    )
    expected = PCA(4).fit(filled)
    # The covariance includes the uncertainty of fills; the axes are nearly those of the fills.
    overlap = np.linalg.svd(expected.components_ @ model_axes(model).T)[1]
    assert overlap.min() > 0.9


def model_axes(model):
    """Return an orthonormal basis of the reconstructions of a model that is PCA."""
    steps = model.inverse_transform(np.vstack([np.zeros(4), np.eye(4)]))
    return np.linalg.qr((steps[1:] - steps[0]).T)[0].T


def test_filling_beats_the_means_of_columns(wine):
    X, hidden = wine[0], hide(wine[0])
    shares = equal_shares(X)
    _, found = describe_incomplete(hidden, shares, 4)
    distribution = found.distribution
    scale = torch.ones(13, dtype=torch.float64)
    params = {"missing": "mask", "max_iter": 1, "dtype": "float64", "early_stopping": False}
    model = AutoencoderTransformer(2, **params).fit(hidden)
    filling = distribution.make_filling(model._standardization, scale)
    filled = model._standardization.invert(filling(model._standardization.apply(hidden)))
    gaps = np.isnan(hidden)
    error = np.square(filled - X)[gaps].mean()
    of_means = np.square(np.nanmean(hidden, axis=0) - X)[gaps].mean()
    assert error < 0.65 * of_means


def test_observed_cells_are_described_with_their_weights():
    rng = np.random.default_rng(0)
    X = hide(rng.normal(1e6, 1, size=(3000, 3)), 0.4)
    X[0] = np.nan
    shares = rng.random(3000)
    shares[1] = 0
    found = describe_observed_cells(X, shares)
    for column in range(3):
        there = ~np.isnan(X[:, column])
        values, weights = X[there, column], shares[there]
        mean = np.average(values, weights=weights)
        assert found.mean[column] == pytest.approx(mean, abs=1e-8)
        variance = np.average((values - mean) ** 2, weights=weights)
        assert found.variance[column] == pytest.approx(variance, rel=1e-8)
        assert (found.lowest[column], found.highest[column]) == (values.min(), values.max())


def test_moments_of_a_normal_distribution_are_found_behind_missing_cells():
    rng = np.random.default_rng(0)
    covariance = np.array([[1.0, 0.8, 0.0], [0.8, 1.0, 0.3], [0.0, 0.3, 2.0]])
    X = rng.multivariate_normal([1.0, -1.0, 3.0], covariance, size=20_000)
    # The second column is observed if the first is not small, which biases its mean.
    X[X[:, 0] < 0, 1] = np.nan
    assert np.nanmean(X[:, 1]) > -0.8
    statistics, found = describe_incomplete(X, equal_shares(X), 3)
    axes = found.components
    np.testing.assert_allclose(statistics.mean, [1, -1, 3], atol=0.05)
    np.testing.assert_allclose(
        axes.T @ np.diag(found.explained_variance) @ axes, covariance, atol=0.04
    )


def test_errors_and_scores_are_those_of_observed_cells(wine, masked):
    X = hide(wine[0])
    model = masked(dtype="float64").fit(X)
    errors = model.reconstruction_errors(X)
    gaps = np.isnan(X)
    np.testing.assert_array_equal(np.isnan(errors), gaps)
    np.testing.assert_allclose(errors[~gaps], np.square(X - reconstruct(model, X))[~gaps])
    np.testing.assert_allclose(-model.score_samples(X), np.nanmean(errors, axis=1))
    deviations = np.square(X - model.mean_)
    score = 1 - np.nansum(errors) / np.nansum(deviations)
    assert model.score(X) == pytest.approx(score)
    assert model.reconstruction_error_ == pytest.approx(np.nanmean(errors))


def test_errors_of_the_fit_are_those_of_held_out_cells(images, masked):
    X = hide(images[:, 16:40])
    params = {"net_params": {"optimizer": torch.optim.Adam}, "dtype": "float64"}
    model = masked(early_stopping=True, **params).fit(X)
    assert len(model.validation_loss_curve_) == model.n_iter_ + 1
    errors = np.nanmean(model.reconstruction_errors(X))
    assert model.reconstruction_error_ == pytest.approx(errors, rel=0.25)
    assert model.reconstruction_error_ <= model.pca_reconstruction_error_


def test_missing_cells_have_exactly_no_gradient(images, masked):
    X = hide(images[:30, 16:24])
    for loss in sorted(LOSSES):
        model = masked(loss=loss, max_iter=1).fit(X)
        module, objective = model.net_.module_, model.net_.criterion_
        rows = model._standardization.apply(X)
        output = module(rows).detach().requires_grad_()
        objective.loss(output, rows).backward()
        gaps = torch.from_numpy(np.isnan(X))
        assert (output.grad[gaps] == 0).all()
        assert output.grad[~gaps].any()
        dense = torch.randn(output.shape, generator=torch.Generator().manual_seed(0))
        written_out = objective.loss.rows_and_gradient_(dense.clone(), rows, 1.0)[1]
        assert (written_out[gaps] == 0).all()


def test_values_in_missing_cells_of_the_target_do_not_matter(images, masked):
    X = hide(images[:, 16:40])
    model = masked(dtype="float64").fit(X)
    rows = model._standardization.apply(X)
    module = model.net_.module_
    gradients = []
    for _ in range(2):
        module.zero_grad()
        model.net_.criterion_(module, rows, rows)[0].backward()
        gradients.append([p.grad.clone() for p in module.parameters()])
    assert all(torch.isfinite(own).all() for own in gradients[0])
    for first, second in zip(*gradients, strict=True):
        assert torch.equal(first, second)


@pytest.mark.mostly_slow(3, first=1)
@pytest.mark.parametrize("loss", ["squared_error", "huber", "poisson"])
def test_fast_steps_are_those_of_autograd(images, masked, loss):
    from skorch.callbacks import Callback

    class Listener(Callback):
        def on_batch_end(self, net, **kwargs):
            pass

    X = hide(images[:60, 16:40])
    params = {"dtype": "float64", "corruption": "hiding", "loss": loss}
    fast = masked(**params, corruption_level=0.1).fit(X)
    slow = masked(**params, corruption_level=0.1, net_params={"callbacks": [Listener()]}).fit(X)
    np.testing.assert_allclose(fast.loss_curve_, slow.loss_curve_, rtol=1e-9)


@pytest.mark.mostly_slow(4, first=2)
@pytest.mark.parametrize("corruption", ["gaussian", "hiding"])
def test_every_way_of_training_takes_missing_cells(wine, any_autoencoder, corruption):
    X = hide(wine[0])
    params = {"missing": "mask", "corruption": corruption, "corruption_level": 0.2}
    first, second = (clone(any_autoencoder).set_params(**params).fit(X) for _ in range(2))
    codes = first.transform(X)
    assert np.isfinite(codes).all()
    np.testing.assert_array_equal(codes, second.transform(X))


@pytest.mark.mostly_slow(2, first=1)
@pytest.mark.parametrize(
    "estimator", [VariationalAutoencoderTransformer, AdversarialAutoencoderTransformer]
)
def test_codes_with_a_prior_take_missing_cells(wine, estimator):
    X = hide(wine[0])
    model = estimator(3, missing="mask", max_iter=1, random_state=0)
    model.set_params(hidden_layer_sizes=(16,)).fit(X)
    codes = model.transform(X)
    assert np.isfinite(codes).all()
    assert np.isfinite(model.sample(3)).all()
    # Codes of rows with missing cells predict the missing cells.
    error = np.nanmean((model.inverse_transform(codes) - wine[0])[np.isnan(X)] ** 2)
    assert error < wine[0].var()


def test_a_row_is_as_likely_as_its_observed_cells(wine):
    X = hide(wine[0])
    model = VariationalAutoencoderTransformer(
        2, missing="mask", max_iter=1, learning_rate_init=1e-12, dtype="float64", random_state=0
    )
    model.set_params(early_stopping=False).fit(X)
    # The start is probabilistic PCA, a normal distribution with normal margins.
    units, mean = np.eye(2), model.inverse_transform(np.zeros((1, 2)))[0]
    loadings = model.inverse_transform(units) - mean
    covariance = loadings.T @ loadings + model.noise_scale_**2 * np.eye(X.shape[1])
    for row, bound in zip(X[:20], model.score_samples(X[:20], n_draws=2000), strict=True):
        there = ~np.isnan(row)
        part = multivariate_normal(mean[there], covariance[np.ix_(there, there)])
        assert bound == pytest.approx(part.logpdf(row[there]), abs=0.1)


@pytest.mark.slow
def test_a_learned_model_reconstructs_hidden_cells_better_than_its_start(images):
    X = images
    hidden = hide(X, 0.4)
    gaps = np.isnan(hidden)
    params = {"missing": "mask", "corruption": "hiding", "hidden_layer_sizes": (64,)}
    params |= {"n_components": 32, "random_state": 0, "early_stopping": False}
    errors = []
    for n_epochs, rate in ((1, 1e-12), (30, 1e-2)):
        model = AutoencoderTransformer(max_iter=n_epochs, learning_rate_init=rate, **params)
        errors.append(np.square(reconstruct(model.fit(hidden), hidden) - X)[gaps].mean())
    assert errors[1] < errors[0]


def test_batches_of_rows_do_not_matter(images, masked):
    X = hide(images[:, 16:40])
    model = masked(dtype="float64").fit(X)
    apart = np.vstack([model.transform(row[None]) for row in X[:20]])
    np.testing.assert_allclose(model.transform(X)[:20], apart, atol=1e-9)


def test_rows_of_weight_zero_have_no_influence(wine, masked):
    X = hide(wine[0])
    weights = np.ones(len(X))
    weights[:20] = 0
    X[:20] = np.nan
    weighted = masked().fit(X, sample_weight=weights)
    without = masked().fit(X[20:])
    np.testing.assert_array_equal(weighted.transform(X), without.transform(X))


def test_pickles_and_further_fits_keep_the_filling(wine, masked):
    X = hide(wine[0])
    model = masked(warm_start=True).fit(X)
    restored = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(restored.transform(X), model.transform(X))
    precision = model.net_.module_.filling.precision.clone()
    model.fit(hide(wine[0], seed=1))
    torch.testing.assert_close(model.net_.module_.filling.precision, precision)
    with pytest.raises(ValueError, match="parameters that make the network must be those"):
        model.set_params(missing=None).fit(wine[0])


def test_a_fitted_model_takes_missing_cells_if_its_network_does(wine, masked, quick):
    X = hide(wine[0])
    model = masked(early_stopping=False).fit(X)
    codes = model.transform(X)
    np.testing.assert_array_equal(model.set_params(missing=None).transform(X), codes)
    complete = quick(early_stopping=False).fit(wine[0]).set_params(missing="mask")
    for read in (complete.transform, complete.score_samples, complete.score):
        with pytest.raises(ValueError, match="contains NaN"):
            read(X)


def test_partial_fit_takes_missing_cells(images, masked):
    X = hide(images[:, 16:40])
    model = masked().partial_fit(X[:40]).partial_fit(X[40:80])
    assert np.isfinite(model.transform(X)).all()


@pytest.mark.mostly_slow(2, first=1)
@pytest.mark.parametrize("n_features", [300, 2100])
def test_wide_tables_with_missing_cells(masked, n_features):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3)) @ rng.normal(size=(3, n_features)) + 5
    hidden = hide(X)
    model = masked(n_components=3, max_iter=1, hidden_layer_sizes=(4,))
    model.fit(hidden)
    errors = np.square(reconstruct(model, hidden) - X)[np.isnan(hidden)]
    assert errors.mean() < X.var()


@pytest.mark.slow
def test_a_grid_chooses_strengths_before_a_classifier(wine, masked):
    X, y = hide(wine[0]), wine[1]
    assert y.dtype.kind in "UO"
    pipeline = make_pipeline(masked(), LogisticRegression())
    grid = {"autoencodertransformer__corruption": [None, "hiding"]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(X, y)
    assert search.best_score_ > 0.85
