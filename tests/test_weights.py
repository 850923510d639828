"""Sample weights in fits and scores."""

import numpy as np
import pytest
import torch
from sklearn.utils import check_random_state

from skae._engine import judgement
from skae._engine.fitting import cross_validation
from skae._engine.start.prepared_table import describe_table

pytestmark = pytest.mark.filterwarnings("ignore::skae.exceptions.SkaeWarning")


@pytest.fixture(scope="module")
def weights():
    """Return 150 weights, each of them 0, 1, 2 or 3."""
    return check_random_state(0).randint(4, size=150)


@pytest.mark.mostly_slow(2, first=1)
def test_rows_of_weight_zero_have_no_influence(any_autoencoder, images, weights):
    garbage = np.where(weights[:, None] > 0, images, 1e6)
    with_garbage = any_autoencoder.fit(garbage, sample_weight=weights).transform(images)
    kept = weights > 0
    any_autoencoder.fit(images[kept], sample_weight=weights[kept])
    np.testing.assert_array_equal(any_autoencoder.transform(images), with_garbage)


@pytest.mark.mostly_slow(2, first=1)
def test_the_unit_of_weights_has_no_influence(any_autoencoder, images, weights):
    codes = [
        any_autoencoder.fit(images, sample_weight=unit * (weights + 1.0)).transform(images)
        for unit in (1, 1024)
    ]
    np.testing.assert_allclose(*codes, rtol=0, atol=1e-5)


@pytest.mark.mostly_slow(4)
@pytest.mark.parametrize("weight", [1.0, 2.5])
def test_equal_weights_are_no_weights(any_autoencoder, images, weight):
    expected = any_autoencoder.fit(images).transform(images)
    for equal in (weight, np.full(150, weight)):
        codes = any_autoencoder.fit(images, sample_weight=equal).transform(images)
        np.testing.assert_array_equal(codes, expected)


def test_weights_are_repeats_where_all_rows_meet_at_once(quick, images, weights):
    # Another loss and more rows than in scikit-learn's check of sample weights.
    estimator = quick(
        early_stopping=False, dtype="float64", batch_size=1000, loss="binary_cross_entropy"
    )
    weighted = estimator.fit(images, sample_weight=weights).transform(images)
    ratios = estimator.explained_variance_ratio_
    repeated = estimator.fit(np.repeat(images, weights, axis=0)).transform(images)
    np.testing.assert_allclose(weighted, repeated, rtol=0, atol=1e-7)
    np.testing.assert_allclose(ratios, estimator.explained_variance_ratio_)


@pytest.mark.slow
def test_weights_equal_repeated_rows_on_average_in_small_batches(quick, digits):
    # The mean weight is 2, so repeated rows take twice as many steps in an epoch. With at most 20
    # epochs, both follow the same schedule.
    order = np.argsort(digits[1][:64], kind="stable")
    X, weights = digits[0][order], np.where(np.arange(64) < 32, 3, 1)
    repeated = np.repeat(X, weights, axis=0)
    params = {
        "batch_size": 8,
        "early_stopping": False,
        "init": "random",
        "learning_rate_init": 0.1,
        # AdamW divides by the size of the gradients, which weights change.
        "net_params": {"optimizer": torch.optim.SGD},
    }

    def score(seed, max_iter, X, weights=None):
        estimator = quick(random_state=seed, max_iter=max_iter, **params)
        return estimator.fit(X, sample_weight=weights).score(repeated)

    seeds = range(3)
    by_repeats = np.array([score(seed, 10, repeated) for seed in seeds])
    differences = np.array([score(seed, 20, X, weights) for seed in seeds]) - by_repeats
    unweighted = np.array([score(seed, 20, X) for seed in seeds]) - by_repeats

    # Gradients only agree on average, so steps agree to first order.
    assert abs(np.mean(differences)) < 0.1 * abs(np.mean(unweighted))


@pytest.mark.mostly_slow(2, first=1)
def test_more_weight_makes_a_smaller_error(any_autoencoder, images):
    half = np.arange(150) % 2 == 0
    errors = []
    for weights in (np.where(half, 100, 1), np.where(half, 1, 100)):
        any_autoencoder.fit(images, sample_weight=weights)
        errors.append(-any_autoencoder.score_samples(images[half]).mean())
    assert errors[0] < errors[1]


def test_weights_of_the_score_are_repeats(quick, images, weights):
    estimator = quick(dtype="float64").fit(images)
    weighted = estimator.score(images, sample_weight=weights)
    assert weighted == pytest.approx(estimator.score(np.repeat(images, weights, axis=0)))
    assert weighted != estimator.score(images)
    deviations = ((images - estimator.mean_) ** 2).sum(axis=1)
    errors = estimator.reconstruction_errors(images).sum(axis=1)
    assert weighted == pytest.approx(1 - weights @ errors / (weights @ deviations))


def test_folds_and_their_errors_have_the_weights_of_their_rows(quick, images, weights, monkeypatch):
    shares, means = [], []

    def describe(X, own, settings):
        shares.append((X, own))
        return describe_table(X, own, settings)

    def mean_of_rows(values, own=None):
        means.append(own)
        return judgement.mean_of_rows(values, own)

    weights = weights + 1.0
    monkeypatch.setattr(cross_validation, "describe_table", describe)
    monkeypatch.setattr(cross_validation, "mean_of_rows", mean_of_rows)
    quick(max_iter=1, early_stopping=True).fit(images, sample_weight=weights)
    place = {row.tobytes(): index for index, row in enumerate(images)}
    for X, own in shares:
        expected = weights[[place[row.tobytes()] for row in X]]
        np.testing.assert_allclose(own, expected / expected.sum())
    for own in means:
        np.testing.assert_allclose(own / own.sum(), weights / weights.sum())
    assert len(shares) == 5


@pytest.mark.mostly_slow(3)
@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([-1.0], "[Nn]egative"),
        ([np.nan], "NaN"),
        ([np.inf], "infinity"),
        ([0.0], "zero"),
        ([1e308, 1e307], "sum"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit", "score"])
def test_invalid_weights_are_refused(quick, images, method, values, message):
    estimator = quick().fit(images)
    with pytest.raises(ValueError, match=message):
        getattr(estimator, method)(images, sample_weight=np.resize(values, 150))


@pytest.mark.parametrize("method", ["fit", "score"])
def test_a_weight_for_every_row_is_needed(quick, images, method):
    estimator = quick().fit(images)
    with pytest.raises(ValueError, match="sample_weight"):
        getattr(estimator, method)(images, sample_weight=np.ones(149))


def test_weight_on_a_single_row_is_refused(quick, images):
    with pytest.raises(ValueError, match="positive for at least two rows"):
        quick().fit(images, sample_weight=np.eye(150)[3])


@pytest.mark.mostly_slow(2)
def test_weights_negligible_in_single_precision_are_zero(any_autoencoder, images):
    weights = np.ones(150)
    weights[:9] = 0
    expected = any_autoencoder.fit(images, sample_weight=weights).transform(images)
    weights[:9] = 1e-300
    any_autoencoder.fit(images, sample_weight=weights)
    np.testing.assert_array_equal(any_autoencoder.transform(images), expected)
    with pytest.raises(ValueError, match="relative to which others may be negligible"):
        any_autoencoder.fit(images, sample_weight=1 + 1e300 * np.eye(150)[3])
