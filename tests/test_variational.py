"""Variational autoencoder: densities, samples, classes, collapse, and training."""

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_wine
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.utils import check_random_state

from skae import VariationalAutoencoderTransformer
from skae.exceptions import NotBetterThanPCAWarning, PosteriorCollapseWarning

pytestmark = pytest.mark.filterwarnings("ignore::skae.exceptions.NotBetterThanPCAWarning")


def quick(**params):
    defaults = {"n_components": 4, "hidden_layer_sizes": (16,), "max_iter": 3, "batch_size": 32}
    return VariationalAutoencoderTransformer(
        **{"early_stopping": False, "random_state": 0, **defaults, **params}
    )


@pytest.fixture(scope="module")
def plane():
    """Return 300 rows near a plane in 6 dimensions, for which probabilistic PCA is correct."""
    source = check_random_state(0)
    scores = source.normal(size=(300, 2)) * [3, 1]
    return scores @ source.normal(size=(2, 6)) + 0.3 * source.normal(size=(300, 6)) + 10


@pytest.fixture(scope="module")
def trained(images):
    return quick(max_iter=30).fit(images)


@pytest.fixture
def labels():
    from sklearn.datasets import load_digits

    return load_digits().target[:150]


def unbiased_log_density(X, n_components):
    """Return log-densities of probabilistic PCA with the divisor n in the covariance."""
    variances, axes = np.linalg.eigh(np.cov(X.T, bias=True))
    noise = variances[:-n_components].mean()
    variances[:-n_components] = noise
    scores = (X - X.mean(0)) @ axes
    return -0.5 * (np.log(2 * np.pi * variances) + scores**2 / variances).sum(1)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_the_start_is_probabilistic_pca(plane, early_stopping):
    model = quick(
        n_components=2,
        max_iter=1,
        learning_rate_init=1e-12,
        dtype="float64",
        early_stopping=early_stopping,
    ).fit(plane)
    expected = unbiased_log_density(plane, 2)
    # The posterior is exact, so one draw is enough.
    for n_draws in (1, 7):
        np.testing.assert_allclose(model.score_samples(plane, n_draws), expected, rtol=1e-5)
    variances = np.linalg.eigvalsh(np.cov(plane.T, bias=True))
    noise = variances[:4].mean()
    assert model.noise_scale_ == pytest.approx(np.sqrt(noise))
    deviations = np.sqrt(noise / variances[:3:-1])
    np.testing.assert_allclose(model.posterior_std(plane), [deviations] * 300, rtol=1e-5)
    np.testing.assert_allclose(model.transform(plane).var(0), 1 - deviations**2, rtol=1e-5)


def test_a_model_that_training_cannot_improve_warns(plane):
    with pytest.warns(NotBetterThanPCAWarning, match="probabilistic PCA"):
        model = quick(n_components=2, early_stopping=True, max_iter=2).fit(plane)
    assert model.best_iter_ == 0


def test_training_raises_the_density_of_new_rows(digits):
    X, _ = digits
    X_train, X_test = train_test_split(X, random_state=0)
    start = quick(n_components=8, output_range=None, max_iter=1, learning_rate_init=1e-12)
    model = quick(n_components=8, output_range=None, max_iter=40, hidden_layer_sizes=(64,))
    pca = PCA(8).fit(X_train)
    assert start.fit(X_train).score(X_test) == pytest.approx(pca.score(X_test), abs=0.5)
    assert model.fit(X_train).score(X_test) > pca.score(X_test) + 3


@pytest.mark.mostly_slow(3)
@pytest.mark.parametrize("likelihood", ["gaussian", "laplace", "bernoulli"])
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"early_stopping": True},
        {"init": "random"},
        {"learning_rate": "adaptive", "early_stopping": True},
        {"dtype": "float64", "beta_warm_up": 0.5},
    ],
    ids=["all_rows", "cross_validated", "random", "held_out", "double"],
)
def test_every_likelihood_works_in_every_way_of_training(images, likelihood, params):
    model = quick(likelihood=likelihood, **params).fit(images)
    codes = model.transform(images)
    assert codes.dtype == model.dtype
    assert codes.shape == model.posterior_std(images).shape == (150, 4)
    assert np.isfinite(model.score_samples(images)).all()
    assert model.sample(3, random_state=0).shape == (3, 64)
    assert model.active_units_.shape == model.kl_divergence_.shape == (4,)
    assert (model.noise_scale_ is None) == (likelihood == "bernoulli")


def test_codes_are_in_the_order_of_the_variance_explained(trained):
    assert (np.diff(trained.explained_variance_ratio_) <= 0).all()
    assert trained.explained_variance_ratio_.sum() > 0.4


@pytest.mark.mostly_slow(3)
@pytest.mark.parametrize("params", [{}, {"beta": 0.01, "init": "random"}, {"warm_start": True}])
def test_codes_have_the_scale_of_the_prior(images, params):
    weights = 1 + np.arange(150) % 3
    model = quick(max_iter=8, **params).fit(images, sample_weight=weights)
    if "warm_start" in params:
        model.fit(images, sample_weight=weights)
    codes = model.transform(images)
    squares = np.square(codes) + np.square(model.posterior_std(images))
    np.testing.assert_allclose(np.average(squares, axis=0, weights=weights), 1, rtol=1e-4)
    np.testing.assert_allclose(codes.mean(0), 0, atol=0.5)


def test_the_divergence_is_that_of_the_posteriors(trained, images):
    mean, deviation = trained.transform(images), trained.posterior_std(images)
    divergence = (mean**2 + deviation**2 - 1) / 2 - np.log(deviation)
    np.testing.assert_allclose(trained.kl_divergence_, divergence.mean(0), rtol=1e-3)
    np.testing.assert_array_equal(trained.active_units_, mean.var(0) > 0.01)


def test_codes_and_bounds_do_not_depend_on_the_call_or_other_rows(trained, images):
    for method in (trained.transform, trained.posterior_std, trained.score_samples):
        np.testing.assert_array_equal(method(images), method(images))
        np.testing.assert_allclose(method(images)[5:9], method(images[5:9]), rtol=1e-4)


def test_more_draws_give_higher_bounds(trained, images):
    means = [trained.score_samples(images, n_draws).mean() for n_draws in (1, 10, 1000)]
    assert means[0] < means[1] < means[2]


def test_the_score_is_the_mean_bound_by_weights(trained, images):
    weights = np.arange(150)
    expected = np.average(trained.score_samples(images), weights=weights)
    assert trained.score(images, sample_weight=weights) == pytest.approx(expected)


def test_densities_are_in_units_of_X(images):
    scores = [
        quick(dtype="float64", output_range=None).fit(X).score(X)
        for X in (images, 1000 * images + 5)
    ]
    assert scores[0] - scores[1] == pytest.approx(64 * np.log(1000), rel=1e-3)


@pytest.mark.parametrize("n_draws", [0, 2.5, "many"])
def test_draws_are_counted(trained, images, n_draws):
    with pytest.raises(ValueError, match=r"`n_draws` must be a positive integer. Got"):
        trained.score_samples(images, n_draws)


@pytest.mark.slow
def test_samples_look_like_the_rows(images):
    model = quick(n_components=8, max_iter=40, hidden_layer_sizes=(64,)).fit(images)
    samples = model.sample(2000, random_state=0, noise=True)
    assert samples.dtype == images.dtype
    correlation = np.corrcoef(samples.mean(0), images.mean(0))[0, 1]
    assert correlation > 0.95
    total, expected = samples.var(0).sum(), images.var(0).sum()
    assert 0.6 * expected < total < 1.4 * expected


def test_samples_are_seeded(trained):
    np.testing.assert_array_equal(trained.sample(4, 0), trained.sample(4, 0))
    assert not np.array_equal(trained.sample(4, 0), trained.sample(4, 1))


@pytest.mark.parametrize("likelihood", ["gaussian", "laplace"])
def test_noise_has_the_likelihoods_scale(images, likelihood):
    model = quick(likelihood=likelihood, output_range=None).fit(images)
    difference = model.sample(500, 0, noise=True) - model.sample(500, 0)
    size = difference.std() if likelihood == "gaussian" else np.abs(difference).mean()
    assert size == pytest.approx(model.noise_scale_, rel=0.02)


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize("likelihood", ["gaussian", "laplace"])
def test_samples_stay_within_the_range_of_each_feature(likelihood):
    X = load_wine().data
    model = quick(likelihood=likelihood, n_components=4).fit(X)
    tolerance = 1e-5 * np.ptp(X, axis=0)
    start = quick(likelihood=likelihood, max_iter=1, early_stopping=True).fit(X)
    assert start.best_iter_ == 0
    for samples in (model.sample(500, 0, noise=True), start.sample(500, 0)):
        assert (samples >= X.min(axis=0) - tolerance).all()
        assert (samples <= X.max(axis=0) + tolerance).all()
    given = quick(likelihood=likelihood, output_range=(0, 2000)).fit(X).sample(500, 0, noise=True)
    assert given.min() >= 0
    assert given.max() <= 2000
    pictures = quick(likelihood=likelihood).fit(X[:, :12].reshape(-1, 1, 3, 4))
    assert pictures.sample(5, 0, noise=True).shape == (5, 1, 3, 4)
    padded = np.pad(X[:, :4], ((0, 0), (0, 2)), constant_values=np.nan)
    own = {"architecture": "recurrent", "missing": "mask", "sample_shape": (-1, 2)}
    series = quick(likelihood=likelihood, hidden_layer_sizes=(), **own).fit(padded)
    gaps = np.isnan(series.sample(5, 0, noise=True))
    assert gaps[:, 4:].all()
    assert not gaps[:, :4].any()


def test_rows_without_a_label_are_named(images):
    y = np.array(["a", "b", None] * 50, dtype=object)
    for labels in (y, np.ma.masked_equal(["a", "b", "?"] * 50, "?")):
        with pytest.raises(ValueError, match="none for 50 rows, the first of them row 2"):
            quick(conditional=True).fit(images, labels)


def test_binary_samples_are_draws_of_their_probabilities(images):
    model = quick(likelihood="bernoulli").fit(images)
    probabilities, bits = model.sample(3000, 0), model.sample(3000, 0, noise=True)
    assert set(np.unique(bits)) == {0, 1}
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    np.testing.assert_allclose(bits.mean(0), probabilities.mean(0), atol=0.04)


@pytest.mark.parametrize("n_samples", [0, 1.5, None])
def test_samples_are_counted(trained, n_samples):
    with pytest.raises(ValueError, match=r"`n_samples` must be a positive integer. Got"):
        trained.sample(n_samples)


@pytest.mark.slow
def test_more_beta_lowers_the_information_in_codes(images):
    models = [quick(beta=beta, max_iter=10).fit(images) for beta in (0.1, 1, 8)]
    information = [model.kl_divergence_.sum() for model in models]
    assert information[0] > information[1] > information[2]
    errors = [model.reconstruction_error_ for model in models]
    assert errors[0] < errors[1] < errors[2]


def test_collapse_is_detected_with_a_warning(images):
    with pytest.warns(PosteriorCollapseWarning, match="Only 0 of 4 codes are active"):
        model = quick(beta=1000.0, max_iter=60, learning_rate_init=0.03).fit(images)
    assert not model.active_units_.any()
    np.testing.assert_allclose(model.posterior_std(images), 1, atol=0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("error", PosteriorCollapseWarning)
        quick().fit(images)


@pytest.mark.slow
def test_a_search_finds_beta(digits):
    X, _ = digits
    search = GridSearchCV(quick(max_iter=15), {"beta": [0.01, 1.0, 100.0]}, cv=2).fit(X)
    assert search.best_params_ == {"beta": 1.0}


def test_labels_are_ignored_by_unconditional_models(images, labels):
    alone = quick().fit(images)
    pipeline = make_pipeline(quick(), LogisticRegression(max_iter=1000)).fit(images, labels)
    model = pipeline[0]
    np.testing.assert_array_equal(model.transform(images), alone.transform(images))
    assert not hasattr(model, "classes_")
    with pytest.raises(ValueError, match=r"`y` must be None with conditional=False. Got 3"):
        model.sample(y=3)


@pytest.mark.slow
def test_classes_can_be_drawn_from(images, labels):
    names = np.array([f"digit {label}" for label in labels])
    model = quick(n_components=8, max_iter=30, hidden_layer_sizes=(64,), conditional=True)
    model.fit(images, names)
    assert model.classes_.tolist() == sorted(set(names))
    judge = LogisticRegression(max_iter=1000).fit(images, names)
    hits = [(judge.predict(model.sample(50, 0, y=name)) == name).mean() for name in set(names)]
    assert np.mean(hits) > 0.8
    again = quick(n_components=8, max_iter=30, hidden_layer_sizes=(64,)).fit(images)
    np.testing.assert_array_equal(again.transform(images), model.transform(images))
    with pytest.raises(ValueError, match=r"`y` must be one of the classes seen in fit.* Got 'x'"):
        model.sample(y="x")
    for several in (["a", "b"], []):
        with pytest.raises(ValueError, match="call `sample` for each"):
            model.sample(y=several)


def test_conditional_models_need_labels_and_all_rows(images, labels):
    with pytest.raises(ValueError, match="requires y to be passed, but the target y is None"):
        quick(conditional=True).fit(images)
    assert not hasattr(quick(conditional=True), "partial_fit")
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        quick(conditional=True).fit(images, labels[:-1])
    model = quick(conditional=True).fit(images, labels)
    assert not hasattr(model.set_params(conditional=False).fit(images), "classes_")


def test_classes_without_weight_are_unknown(images, labels):
    model = quick(conditional=True).fit(images, labels, sample_weight=(labels < 3).astype(float))
    assert model.classes_.tolist() == [0, 1, 2]


def test_binary_likelihood_takes_numbers_from_0_to_1(images):
    with pytest.raises(ValueError, match=r"X must lie in \[0, 1\] with likelihood='bernoulli'"):
        quick(likelihood="bernoulli").fit(3 * images)


@pytest.mark.mostly_slow(4)
@pytest.mark.parametrize("copy_of", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
def test_copies_give_the_same_results(images, labels, copy_of, likelihood):
    model = quick(likelihood=likelihood, conditional=True).fit(images, labels)
    other = copy_of(model)
    for results in (
        lambda m: m.transform(images),
        lambda m: m.posterior_std(images),
        lambda m: m.score_samples(images),
        lambda m: m.sample(3, 0, noise=True),
        lambda m: m.sample(3, 0, y=4),
    ):
        np.testing.assert_array_equal(results(model), results(other))


@pytest.mark.slow
def test_fits_repeat_themselves(images):
    one, two = (quick(early_stopping=True).fit(images) for _ in range(2))
    np.testing.assert_array_equal(one.transform(images), two.transform(images))
    assert one.loss_curve_ == two.loss_curve_
    other = clone(one).set_params(random_state=1).fit(images)
    assert not np.array_equal(one.transform(images), other.transform(images))


def test_training_continues(images):
    model = quick(warm_start=True, beta_warm_up=0.5, learning_rate="constant").fit(images)
    first = model.loss_curve_[-1]
    assert model.fit(images).loss_curve_[-1] < first
    chunks = quick().partial_fit(images[:75])
    bound = chunks.score(images)
    for _ in range(4):
        chunks.partial_fit(images)
    assert chunks.score(images) > bound


def test_sparse_tables_and_frames_are_taken(images, labels):
    dense = quick().fit(images)
    from_sparse = quick().fit(sparse.csr_matrix(images))
    np.testing.assert_allclose(
        from_sparse.transform(sparse.csr_matrix(images)), dense.transform(images), atol=1e-3
    )
    frame = pd.DataFrame(images, columns=[f"pixel{i}" for i in range(64)])
    model = quick(conditional=True).set_output(transform="pandas").fit(frame, labels)
    codes = model.transform(frame)
    assert list(codes.columns) == [f"variationalautoencodertransformer{i}" for i in range(4)]
    assert model.sample(2, 0, y=1).shape == (2, 64)


def test_weights_of_zero_leave_rows_out(images):
    weights = np.repeat([1.0, 0.0], 75)
    weighted = quick().fit(images, sample_weight=weights)
    alone = quick().fit(images[:75])
    np.testing.assert_array_equal(weighted.transform(images), alone.transform(images))


@pytest.mark.parametrize("value", [255, -1])
def test_densities_of_bernoulli_models_refuse_values_that_fit_refuses(value):
    X = (np.random.default_rng(0).normal(size=(60, 4)) > 0).astype(float)
    model = VariationalAutoencoderTransformer(
        2, likelihood="bernoulli", max_iter=1, random_state=0
    ).fit(X)
    with pytest.raises(ValueError, match="X must lie in"):
        model.score_samples(value * X)


def test_draws_follow_the_likelihood_of_the_fit():
    X = np.random.default_rng(0).normal(size=(60, 4))
    model = VariationalAutoencoderTransformer(2, max_iter=1, random_state=0).fit(X)
    expected = model.sample(5, random_state=0, noise=True)
    model.set_params(likelihood="bernoulli")
    np.testing.assert_array_equal(model.sample(5, random_state=0, noise=True), expected)


@pytest.mark.parametrize("params", [{}, {"missing": "mask"}, {"likelihood": "laplace"}], ids=str)
def test_densities_rank_rows_beyond_single_precision(plane, params):
    model = quick(n_components=2, **params).fit(plane)
    rows = np.repeat(plane[:1], 6, axis=0)
    rows[:, 1] = [0, 1e18, 1e19, 1e25, 1e60, 1e140]
    bounds = model.score_samples(rows)
    assert np.isfinite(bounds).all()
    assert (np.diff(bounds) < 0).all()
