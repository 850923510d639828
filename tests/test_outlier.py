"""Outlier detector: score, threshold and input."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, PredefinedSplit, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags

from skae import (
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    VariationalAutoencoderTransformer,
)
from skae.exceptions import ColumnsLeftOutWarning

pytestmark = [
    pytest.mark.usefixtures("few_draws"),
    pytest.mark.filterwarnings("ignore::skae.exceptions.SkaeWarning"),
]


def make_detector(n_components=4, **params):
    autoencoder = AutoencoderTransformer(
        hidden_layer_sizes=(16,), max_iter=3, batch_size=32, early_stopping=False
    )
    params = {"autoencoder": autoencoder, "random_state": 0} | params
    return AutoencoderOutlierDetector(n_components, **params)


@pytest.fixture(scope="module")
def zeros():
    """Return images of the digit 0, and of all others."""
    X, y = load_digits(return_X_y=True)
    return X[y == 0], X[y != 0]


@pytest.fixture(scope="module")
def fitted(zeros):
    return make_detector().fit(zeros[0][:120])


def test_the_score_follows_its_formula(zeros):
    X, others = zeros[0][:90], zeros[1][:5]
    detector = make_detector(n_neighbors=5, trim=0).fit(X)
    scaled, new = ((rows - X.min(axis=0)) / detector.data_range_ for rows in (X, others))
    autoencoder = clone(detector.autoencoder).set_params(n_components=4, random_state=0).fit(scaled)
    varies = scaled.std(axis=0) > 0
    deviations = np.maximum(scaled.std(axis=0), 0.05)
    deviations[~varies] = np.median(deviations[varies])
    known, rows = ((part - scaled.mean(axis=0)) / deviations for part in (scaled, new))
    pca = PCA().fit(known)
    widths = pca.explained_variance_ + 0.1
    share = 0.3 * pca.explained_variance_.sum() / (pca.explained_variance_ / widths).sum()

    def compare(rows, scaled, *, itself):
        differences = (rows[:, None] - known) @ pca.components_.T
        squares = (differences**2 * (1 + share / widths)).sum(axis=2)
        near = np.sort(squares, axis=1)[:, itself : 5 + itself].mean(axis=1)
        errors = np.square(scaled - autoencoder.inverse_transform(autoencoder.transform(scaled)))
        return near, errors.sum(axis=1)

    near, errors = compare(known, scaled, itself=1)
    errors *= max(1, autoencoder.reconstruction_error_ / (errors.mean() / 64))
    units = np.sort(near)[:81].mean(), errors.mean()

    def combine(near, errors):
        near, errors = near / units[0] + 1e-3, errors / units[1] + 1e-3
        return near**0.8 * np.clip(errors, near / 3, near * 3) ** 0.2

    expected = -combine(*compare(rows, new, itself=0)) / np.median(combine(near, errors))
    np.testing.assert_allclose(detector.score_samples(others), expected, rtol=1e-3)


def test_other_digits_are_found(fitted, zeros):
    ordinary, others = zeros
    rows = np.concatenate([ordinary[120:], others])
    is_outlier = np.arange(len(rows)) >= len(ordinary) - 120
    assert roc_auc_score(is_outlier, -fitted.score_samples(rows)) > 0.98
    assert (fitted.predict(ordinary[120:]) == -1).mean() < 0.15
    assert (fitted.predict(others) == -1).mean() > 0.8


def test_ordinary_rows_score_about_minus_one(fitted, zeros):
    assert -1.3 < np.median(fitted.score_samples(zeros[0][120:])) < -0.8


def test_rows_beside_a_curve_are_found_where_pca_is_blind():
    rng = np.random.default_rng(0)
    t = rng.uniform(-1, 1, size=300)
    X = np.stack([t, 2 * t**2], axis=1) + rng.normal(scale=0.02, size=(300, 2))
    beside = np.stack([t, np.full(300, 0.67)], axis=1)
    beside = beside[np.abs(beside[:, 1] - 2 * t**2) > 0.2]
    autoencoder = AutoencoderTransformer(max_iter=40, early_stopping=False)
    detector = make_detector(1, cv=None, autoencoder=autoencoder).fit(X[:200])
    rows, is_outlier = np.concatenate([X[200:], beside]), np.repeat([0, 1], [100, len(beside)])
    pca = PCA(1).fit(X[:200])
    errors = np.square(rows - pca.inverse_transform(pca.transform(rows)))
    assert roc_auc_score(is_outlier, errors.sum(axis=1)) < 0.6
    assert roc_auc_score(is_outlier, -detector.score_samples(rows)) > 0.95


def test_units_do_not_matter():
    X = load_breast_cancer().data[:200]
    units = np.logspace(-3, 3, X.shape[1])
    scores = make_detector(cv=None).fit(X).score_samples(X)
    others = make_detector(cv=None).fit(X * units).score_samples(X * units)
    np.testing.assert_allclose(scores, others, rtol=1e-3)


@pytest.mark.mostly_slow(4, first=1)
@pytest.mark.parametrize("contamination", [0.01, 0.1, 0.25, 0.5])
def test_the_given_share_is_flagged(zeros, contamination):
    X = zeros[0][:100]
    labels = make_detector(cv=None, contamination=contamination).fit_predict(X)
    assert (labels == -1).sum() == round(100 * contamination)


def test_the_automatic_threshold_is_in_the_unit_of_errors_of_new_rows(zeros, monkeypatch):
    offsets = []
    for inflation in (1, 9):
        monkeypatch.setattr(
            AutoencoderOutlierDetector, "_find_inflation", lambda *_, own=inflation: own
        )
        offsets.append(make_detector(cv=None).fit(zeros[0][:100]).offset_)
    assert offsets[0] == pytest.approx(offsets[1], rel=0.01)


def test_weights_count_for_the_share(zeros):
    X = zeros[0][:100]
    weights = np.repeat([1.0, 4.0], 50)
    labels = make_detector(contamination=0.2).fit(X, sample_weight=weights).predict(X)
    assert 0.17 < np.average(labels == -1, weights=weights) <= 0.2


def test_a_row_of_weight_zero_has_no_influence(zeros):
    X, stranger = zeros[0][:50], 100 * np.ones((1, 64))
    weights = np.r_[np.ones(50), 0]
    detector = make_detector(cv=None).fit(np.concatenate([X, stranger]), sample_weight=weights)
    np.testing.assert_array_equal(
        detector.score_samples(X), make_detector(cv=None).fit(X).score_samples(X)
    )
    for frame in (pd.DataFrame, pl.DataFrame):
        mixed = frame({"number": X[:, 30], "kind": np.where(X[:, 20] > 5, "u", "v")})
        expected = make_detector(1, cv=None).fit(mixed[1:]).score_samples(mixed)
        weighted = make_detector(1, cv=None).fit(mixed, sample_weight=np.r_[0, np.ones(49)])
        np.testing.assert_array_equal(weighted.score_samples(mixed), expected)
        assert isinstance(weighted.cell_z_scores(mixed), frame)


def test_detectors_of_the_folds_have_the_weights_and_groups_of_their_rows(monkeypatch):
    fits, fit = [], AutoencoderOutlierDetector.fit

    def remember(self, X, y=None, sample_weight=None, groups=None):
        fits.append((X[:, 0], sample_weight, groups))
        return fit(self, X, y, sample_weight, groups)

    monkeypatch.setattr(AutoencoderOutlierDetector, "fit", remember)
    X = np.random.default_rng(0).normal(size=(20, 4))
    weights, groups = np.arange(1.0, 21), np.arange(20) // 2
    make_detector(2, cv=2).fit(X, sample_weight=weights, groups=groups)
    assert [len(rows) for rows, *_ in fits] == [20, 10, 10]
    for rows, *own in fits:
        for found, whole in zip(own, (weights, groups), strict=True):
            np.testing.assert_array_equal(found, whole[np.isin(X[:, 0], rows)])


def test_weight_on_a_single_row_is_refused(zeros):
    with pytest.raises(ValueError, match="positive for at least two rows"):
        make_detector().fit(zeros[0][:100], sample_weight=np.eye(100)[3])


def test_decisions_are_scores_about_the_threshold(fitted, zeros):
    X = zeros[1][:50]
    decisions = fitted.decision_function(X)
    np.testing.assert_array_equal(decisions, fitted.score_samples(X) - fitted.offset_)
    np.testing.assert_array_equal(fitted.predict(X), np.where(decisions < 0, -1, 1))


def test_a_score_depends_on_its_row_alone(fitted, zeros):
    X = np.concatenate([zeros[0], zeros[1][:50]])
    together = fitted.score_samples(X)
    alone = [fitted.score_samples(row[None])[0] for row in X[::5]]
    np.testing.assert_allclose(together[::5], alone, rtol=1e-4)


def test_a_training_row_is_not_its_own_neighbour(zeros):
    X = np.concatenate([zeros[0][:60], zeros[1][:1]])
    # With a single neighbour, the own code of an outlier would hide it.
    detector = make_detector(n_neighbors=1).fit(X)
    assert np.argmin(detector.score_samples(X)) == 60


def test_outliers_in_a_group_do_not_hide_each_other(zeros):
    X = np.concatenate([zeros[0][:120], zeros[1][:1] + np.linspace(0, 0.1, 6)[:, None]])
    labels = make_detector(n_neighbors=10, contamination=6 / 126).fit_predict(X)
    assert (labels[120:] == -1).sum() >= 5


def test_the_unusual_feature_has_the_largest_error(fitted, zeros):
    X = zeros[0][120:130].copy()
    X[:, 19] = 60
    errors = fitted.reconstruction_errors(X)
    assert errors.shape == (10, 64)
    assert (errors.argmax(axis=1) == 19).all()


@pytest.mark.parametrize(
    "make_sparse",
    [
        sparse.csr_array,
        *(
            pytest.param(own, marks=pytest.mark.slow)
            for own in (sparse.csr_matrix, sparse.coo_array)
        ),
    ],
)
def test_sparse_rows_score_as_dense_ones(zeros, make_sparse):
    X = zeros[0]
    short = AutoencoderTransformer(max_iter=3, early_stopping=False)
    dense = make_detector(cv=None, autoencoder=short)
    detector = clone(dense).fit(make_sparse(X))
    expected = dense.fit(X).score_samples(X)
    np.testing.assert_allclose(detector.score_samples(X), expected, rtol=0.05)
    np.testing.assert_allclose(
        detector.score_samples(make_sparse(X)), detector.score_samples(X), rtol=1e-4
    )
    np.testing.assert_allclose(dense.score_samples(make_sparse(X)), expected, rtol=1e-4)


def test_sparse_rows_need_not_be_centred_at_zero():
    X = np.random.default_rng(0).normal(3, 1, size=(80, 5))
    detector = make_detector(2).fit(X)
    np.testing.assert_allclose(
        detector.score_samples(sparse.csr_array(X)), detector.score_samples(X), rtol=1e-4
    )


def test_equal_seeds_give_equal_scores_and_global_state_is_kept(zeros):
    X = zeros[0][:40]
    before = torch.get_rng_state()
    first = make_detector().fit(X)
    second = make_detector().fit(X)
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(first.score_samples(X), second.score_samples(X))
    assert first.offset_ == second.offset_
    other = make_detector(random_state=1).fit(X)
    assert (other.score_samples(X) != first.score_samples(X)).any()


def test_a_pickle_scores_alike(fitted, zeros):
    X = zeros[1][:50]
    loaded = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(loaded.decision_function(X), fitted.decision_function(X))


@pytest.mark.slow
def test_a_second_fit_forgets_the_first(zeros):
    detector = make_detector().fit(zeros[1][:40, :50])
    again = detector.fit(zeros[0][:40])
    expected = make_detector().fit(zeros[0][:40])
    np.testing.assert_array_equal(again.score_samples(zeros[1]), expected.score_samples(zeros[1]))


def test_the_autoencoder_given_is_neither_fitted_nor_changed(zeros):
    autoencoder = AutoencoderTransformer(3, max_iter=1, early_stopping=False, random_state=5)
    detector = AutoencoderOutlierDetector(2, autoencoder=autoencoder, random_state=0)
    detector.fit(zeros[0][:50])
    assert not hasattr(autoencoder, "net_")
    assert (autoencoder.n_components, autoencoder.random_state) == (3, 5)
    assert detector.autoencoder_.n_components_ == 2


@pytest.mark.slow
def test_parameters_can_be_searched(zeros):
    X = np.concatenate([zeros[0][:100], zeros[1][:20]])
    y = np.repeat([1, -1], [100, 20])
    grid = {"n_components": [2, 4], "autoencoder__max_iter": [1, 2]}
    search = GridSearchCV(make_detector(), grid, scoring="roc_auc", cv=StratifiedKFold(2)).fit(X, y)
    assert search.best_score_ > 0.9
    assert set(search.best_params_) == set(grid)


def test_the_detector_works_at_the_end_of_a_pipeline(zeros):
    pipeline = make_pipeline(StandardScaler(), make_detector()).fit(zeros[0])
    assert set(pipeline.predict(zeros[1])) <= {-1, 1}


def test_names_of_columns_are_held_to():
    X = load_breast_cancer(as_frame=True).data[:100]
    detector = make_detector()
    detector.fit(X)
    assert list(detector.feature_names_in_) == list(X.columns)
    with pytest.raises(ValueError, match="must be in the same order"):
        detector.predict(X[X.columns[::-1]])


def test_parameters_are_refused(zeros):
    for params, message in [
        ({"contamination": 0}, "'contamination' .* must be .* Got 0"),
        ({"contamination": 0.6}, "'contamination' .* must be .* Got 0.6"),
        ({"contamination": "low"}, "'contamination' .* must be .* Got 'low'"),
        ({"n_neighbors": 0}, "'n_neighbors' .* must be an int in the range"),
        ({"n_components": 0}, "'n_components' .* must be .*an int in the range"),
        ({"autoencoder": StandardScaler()}, "'autoencoder' .* must be .* Got StandardScaler"),
        ({"autoencoder": AutoencoderTransformer}, "'autoencoder' .* must be .* Got <class"),
    ]:
        with pytest.raises(ValueError, match=message):
            make_detector(**params).fit(zeros[0][:20])


@pytest.mark.mostly_slow(3)
@pytest.mark.parametrize("contamination", ["auto", 0.5])
@pytest.mark.parametrize("n_rows", [2, 3, 10])
def test_few_rows_are_enough(zeros, n_rows, contamination):
    X = zeros[0][:n_rows]
    detector = make_detector(1, contamination=contamination).fit(X)
    assert 1 <= detector.n_neighbors_ < n_rows
    assert np.isfinite(detector.score_samples(zeros[1][:10])).all()


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize("contamination", ["auto", 0.1])
def test_equal_rows_are_inliers_and_others_are_not(contamination):
    X = np.tile([3.0, -1.0, 1e3, 0.5], (30, 1))
    detector = make_detector(2, contamination=contamination).fit(X)
    assert (detector.predict(X) == 1).all()
    assert (detector.predict(X + [0, 0.5, 0, 0]) == -1).all()


def test_a_feature_that_was_constant_counts(zeros):
    X = zeros[0][:100].copy()
    X[:, 0] = 5
    detector = make_detector().fit(X)
    changed = X[:5].copy()
    changed[:, 0] = 40
    assert (detector.score_samples(changed) < detector.score_samples(X[:5])).all()


@pytest.mark.slow
def test_cross_entropy_takes_pixels(zeros):
    autoencoder = AutoencoderTransformer(
        loss="binary_cross_entropy", max_iter=2, early_stopping=False
    )
    detector = make_detector(autoencoder=autoencoder).fit(zeros[0])
    assert (detector.predict(zeros[1]) == -1).mean() > 0.8


@pytest.mark.parametrize("method", ["predict", "score_samples", "reconstruction_errors"])
def test_a_wrong_number_of_columns_is_refused(fitted, zeros, method):
    with pytest.raises(ValueError, match="X has 4 features, but .* is expecting 64 features"):
        getattr(fitted, method)(zeros[0][:, :4])


def test_missing_values_are_refused_with_both_remedies(zeros):
    X = zeros[0].copy()
    X[3, 2] = np.nan
    remedies = r"missing='mask'.*make_pipeline\(AutoencoderImputer\(\)"
    with pytest.raises(ValueError, match=f"contains NaN.\n.*{remedies}") as refusal:
        make_detector().fit(X)
    assert "Histogram" not in str(refusal.value)
    with pytest.raises(ValueError, match=remedies):
        make_detector().fit(zeros[0]).predict(X)


@pytest.fixture
def masked():
    return AutoencoderTransformer(
        hidden_layer_sizes=(16,), max_iter=3, missing="mask", early_stopping=False
    )


def test_rows_may_lack_values_with_a_template_that_takes_them(zeros, masked):
    gaps = np.random.default_rng(0).random((300, 64)) < 0.2
    X, others = (np.where(gaps[: len(rows)], np.nan, rows) for rows in (zeros[0], zeros[1][:200]))
    detector = make_detector(autoencoder=masked, cv=None).fit(X[:120])
    scores = [detector.score_samples(rows) for rows in (X[120:], others)]
    assert all(np.isfinite(part).all() for part in scores)
    assert roc_auc_score(np.repeat([0, 1], [len(X) - 120, 200]), -np.concatenate(scores)) > 0.95
    np.testing.assert_array_equal(np.isnan(detector.reconstruction_errors(X)), np.isnan(X))
    assert get_tags(detector).input_tags.allow_nan
    assert not get_tags(make_detector()).input_tags.allow_nan
    with pytest.raises(ValueError, match="Input X contains infinity"):
        detector.predict(np.full((1, 64), np.inf))
    with pytest.raises(ValueError, match="X must have an observed cell in every column"):
        make_detector(autoencoder=masked).fit(np.where(np.arange(64) == 3, np.nan, X))


@pytest.mark.slow
def test_images_may_have_separate_axes(zeros):
    rows = zeros[0][:60]
    X = rows.reshape(-1, 1, 8, 8)
    params = {"architecture": "conv", "hidden_layer_sizes": (4,), "early_stopping": False}
    autoencoder = AutoencoderTransformer(**params, max_iter=1)
    flat = clone(autoencoder).set_params(sample_shape=(1, 8, 8))
    expected = make_detector(cv=None, autoencoder=flat).fit(rows)
    far = X[:5].copy()
    far[0, 0, 2, 3] = 1e39
    scores = expected.score_samples(far.reshape(5, -1))
    for hold in (np.asarray, np.ndarray.tolist):
        detector = make_detector(cv=None, autoencoder=autoencoder).fit(hold(X))
        assert detector.predict(hold(far))[0] == -1
        np.testing.assert_allclose(detector.score_samples(hold(far)), scores, rtol=1e-5)
        errors = detector.reconstruction_errors(hold(far))
        assert errors.shape == far.shape
        assert np.unravel_index(errors[0].argmax(), (1, 8, 8)) == (0, 2, 3)
    with pytest.raises(ValueError, match="X must have samples of shape"):
        detector.predict(np.moveaxis(X, 1, -1).reshape(-1, 2, 32))


@pytest.mark.slow
def test_sequences_of_different_lengths_are_judged_by_the_steps_that_they_have():
    rng = np.random.default_rng(0)
    X = np.sin(np.arange(12)[:, None] / 2 + rng.uniform(0, 6, size=(60, 1, 1))) * [1, 2]
    for row, length in enumerate(rng.integers(6, 11, size=60)):
        X[row, length:] = np.nan
    autoencoder = AutoencoderTransformer(
        architecture="recurrent", missing="mask", max_iter=1, early_stopping=False
    )
    detector = make_detector(2, autoencoder=autoencoder).fit(X)
    assert np.isfinite(detector.score_samples(X)).all()
    strange = X[:1].copy()
    strange[0, 2] = 30
    assert detector.predict(strange) == [-1]


def test_errors_of_a_variational_autoencoder_are_squares(zeros):
    autoencoder = VariationalAutoencoderTransformer(hidden_layer_sizes=(16,), max_iter=3)
    detector = make_detector(cv=None, autoencoder=autoencoder).fit(zeros[0][:120])
    rows = np.concatenate([zeros[0][120:], zeros[1][:200]])
    scores = detector.score_samples(rows)
    assert (scores < 0).all()
    assert roc_auc_score(np.arange(len(rows)) >= len(rows) - 200, -scores) > 0.95


@pytest.mark.slow
def test_without_gaps_a_template_that_takes_them_changes_little(zeros, masked):
    plain = make_detector(cv=None).fit(zeros[0]).score_samples(zeros[1])
    with_mask = make_detector(cv=None, autoencoder=masked).fit(zeros[0]).score_samples(zeros[1])
    assert np.corrcoef(plain, with_mask)[0, 1] > 0.9


@pytest.mark.mostly_slow(4)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
def test_rows_far_beyond_single_precision_are_outliers(zeros, dtype, make):
    X = zeros[0][:100].astype(dtype)
    values = [3e18, np.finfo(np.float32).max, *([1e39, 1e200, 1.7e308] * (dtype == np.float64))]
    rows = np.concatenate([X[:1]] * (len(values) + 1))
    rows[1:, 5] = values
    detector = make_detector(n_neighbors=5).fit(make(X))
    assert detector.predict(make(rows)).tolist() == [1] + [-1] * len(values)
    scores = detector.score_samples(make(rows))
    assert np.isfinite(scores).all()
    assert (np.diff(scores) <= 0).all()
    errors = detector.reconstruction_errors(make(rows[1:]))
    assert np.isfinite(errors).all()
    assert (errors.argmax(axis=1) == 5).all()


@pytest.mark.mostly_slow(3, first=1)
@pytest.mark.parametrize("value", [1e12, 1e39, 1.7e308])
def test_a_row_far_beyond_the_others_is_found_in_training(value):
    X = np.random.default_rng(0).normal(size=(100, 4))
    X[7, 1] = value
    assert make_detector(2).fit_predict(X)[7] == -1


@pytest.mark.slow
def test_columns_of_any_unit_are_taken():
    for make in [np.asarray, sparse.csr_array]:
        for unit in [5e-324, 1e-300, 3e38, 1.7e308]:
            X = np.random.default_rng(0).normal(size=(60, 4))
            X[:, 1] = unit * np.random.default_rng(1).integers(-1, 2, size=60)
            detector = make_detector(2).fit(make(X))
            assert np.isfinite(detector.score_samples(make(X))).all()
            if unit == 3e38:
                single = X.astype(np.float32)
                assert np.isfinite(
                    make_detector(2).fit(make(single)).score_samples(make(single))
                ).all()


def test_errors_do_not_depend_on_the_output_of_the_autoencoder(zeros):
    X = zeros[0][:60]
    X = np.where(np.random.default_rng(0).random(X.shape) < 0.02, np.nan, X)
    autoencoder = make_detector().autoencoder.set_params(missing="mask")
    errors = [
        make_detector(autoencoder=own, cv=None).fit(X).reconstruction_errors(X)
        for own in (autoencoder, clone(autoencoder).set_output(transform="pandas"))
    ]
    np.testing.assert_array_equal(*errors)


def test_residuals_are_in_the_unit_of_new_rows(zeros, monkeypatch):
    scales = []
    for ratio in (1.0, 4.0):
        monkeypatch.setattr(
            AutoencoderOutlierDetector, "_find_inflation", lambda *given, own=ratio: own
        )
        scales.append(make_detector(cv=None).fit(zeros[0][:60]).residual_scale_)
    np.testing.assert_allclose(scales[1], 2 * scales[0])


@pytest.mark.slow
@pytest.mark.parametrize("output", ["pandas", pytest.param("polars", marks=pytest.mark.slow)])
def test_results_do_not_depend_on_the_global_output_of_scikit_learn(zeros, output):
    pytest.importorskip(output)
    expected = make_detector().fit(zeros[0][:60]).score_samples(zeros[1])
    with config_context(transform_output=output):
        scores = make_detector().fit(zeros[0][:60]).score_samples(zeros[1])
        autoencoder = make_detector().autoencoder.set_output(transform=output)
        wrapped = make_detector(autoencoder=autoencoder).fit(zeros[0][:60]).score_samples(zeros[1])
    np.testing.assert_array_equal(scores, expected)
    np.testing.assert_array_equal(wrapped, expected)


def test_an_error_of_the_autoencoder_names_its_units(zeros):
    autoencoder = AutoencoderTransformer(output_range=(2, 3))
    with pytest.raises(ValueError, match="divided by their range in the training rows"):
        make_detector(autoencoder=autoencoder).fit(zeros[0])


def test_frames_to_be_computed_are_refused():
    pl = pytest.importorskip("polars")
    with pytest.raises(ValueError, match="Got a LazyFrame"):
        make_detector().fit(pl.LazyFrame({"a": [1.0, 2.0]}))


@pytest.fixture(scope="module")
def calibrated():
    """Return a detector fitted to ordinary rows, further ordinary rows, and outliers."""
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(3, 6))
    rows = rng.normal(size=(1000, 3)) @ mixing + rng.normal(scale=0.2, size=(1000, 6))
    strange = rng.normal(size=(100, 6)) * rows.std(axis=0) * 1.5
    return make_detector(3).fit(rows[:400]), rows[400:], strange


def test_p_values_of_new_ordinary_rows_are_uniform(calibrated):
    detector, ordinary, strange = calibrated
    p_values = detector.p_values(ordinary)
    for level in (0.02, 0.05, 0.1, 0.3):
        assert (p_values <= level).mean() < level + 0.035
    assert (p_values <= 0.5).mean() > 0.35
    assert np.median(detector.p_values(strange)) < 0.02
    assert detector.calibration_scores_.shape == (400,)


def test_p_values_count_the_scores_that_are_at_most_as_high(calibrated, monkeypatch):
    detector, ordinary, _ = calibrated
    usual = detector.calibration_scores_
    monkeypatch.setattr(type(detector), "score_samples", lambda self, X: usual[[0, 7, 399]])
    expected = [(1 + (usual <= score).sum()) / 401 for score in usual[[0, 7, 399]]]
    assert detector.p_values(ordinary[:3]).tolist() == expected


@pytest.mark.parametrize("fdr", [0.05, 0.2])
def test_false_discoveries_are_as_many_as_accepted(calibrated, fdr):
    detector, ordinary, strange = calibrated
    shares, found = [], []
    for part in range(3):
        rows = np.concatenate([ordinary[part * 200 : part * 200 + 200], strange])
        flagged = detector.predict(rows, fdr=fdr) == -1
        shares.append(flagged[:200].sum() / max(1, flagged.sum()))
        found.append(flagged[200:].mean())
    assert np.mean(shares) < fdr + 0.02
    assert np.mean(found) > 0.5


def test_the_folds_keep_groups_together():
    rng = np.random.default_rng(1)
    X = (rng.normal(size=(80, 1, 4)) + 0.05 * rng.normal(size=(80, 5, 4))).reshape(400, 4)
    groups = np.arange(80).repeat(5)
    known, new = X[:200], X[200:]
    shares = []
    for own in (None, groups[:200]):
        detector = make_detector(2, n_neighbors=3).fit(known, groups=own)
        shares.append(np.mean(detector.p_values(new) < 0.1))
    assert shares[1] < 0.25 < shares[0]


def test_the_threshold_compares_rows_with_those_of_other_groups():
    rng = np.random.default_rng(1)
    X = (rng.normal(size=(40, 1, 4)) + 0.02 * rng.normal(size=(40, 5, 4))).reshape(200, 4)
    known, new, groups = X[:100], X[100:], np.arange(20).repeat(5)
    shares = [
        np.mean(make_detector(2, n_neighbors=3, cv=None).fit(known, groups=own).predict(new) < 0)
        for own in (None, groups)
    ]
    assert shares[1] < 0.3 < 0.8 < shares[0]


def test_rows_too_few_to_calibrate_have_p_values_of_one(zeros):
    X = zeros[0]
    assert make_detector(1).fit(X[:3]).p_values(100 * zeros[1][:5]).tolist() == [1] * 5
    few = make_detector(1, cv=10).fit(X[:5])
    assert few.p_values(100 * zeros[1][:1]) == 1 / 6
    assert set(few.predict(zeros[1], fdr=0.5)) <= {-1, 1}


@pytest.mark.mostly_slow(3)
@pytest.mark.parametrize(
    ("cv", "fdr", "message"),
    [
        (None, 0.1, "must have `calibration_scores_`.* Fit it with `cv=2`"),
        (2, 0, "share between 0 and 1. Got 0"),
        (2, 1.0, "share between 0 and 1. Got 1.0"),
        (2, np.nan, "share between 0 and 1. Got nan"),
    ],
)
def test_rates_that_cannot_be_held_are_refused(zeros, cv, fdr, message):
    detector = make_detector(2, cv=cv).fit(zeros[0][:40])
    with pytest.raises(ValueError, match=message):
        detector.predict(zeros[1][:5], fdr=fdr)


@pytest.mark.slow
def test_a_column_observed_in_few_rows_and_rows_numbered_by_a_splitter(zeros):
    X = zeros[0][:60, 20:36].copy()
    X[1:, 10] = np.nan
    folds = PredefinedSplit(np.repeat([-1, 0], [40, 20]))
    autoencoder = AutoencoderTransformer(max_iter=1, missing="mask", validation_fraction=folds)
    detector = make_detector(2, autoencoder=autoencoder).fit(X)
    assert len(detector.calibration_scores_) == 59
    assert np.isnan(detector.cell_z_scores(X)[:, 10]).sum() == 59


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
def test_z_scores_name_the_cell_and_its_direction(calibrated, make):
    ordinary = calibrated[1]
    detector = make_detector(3).fit(make(ordinary[:300]))
    z_scores = detector.cell_z_scores(make(ordinary[300:]))
    np.testing.assert_allclose(z_scores.std(axis=0), 1, atol=0.35)
    rows = ordinary[300:302].copy()
    rows[0, 2] += 40
    rows[1, 4] -= 40
    z_scores = detector.cell_z_scores(make(rows))
    assert abs(z_scores).argmax(axis=1).tolist() == [2, 4]
    assert z_scores[0, 2] > 5
    assert z_scores[1, 4] < -5


@pytest.mark.slow
def test_a_frame_whose_only_mixed_column_is_left_out():
    numbers = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 4))).rename(columns=str)
    for column in ("x", True, pd.Timestamp("2020"), [f"id {i}" for i in range(60)]):
        frame = numbers.assign(b=column)
        detector = make_detector(2, cv=2 if isinstance(column, list) else None)
        with pytest.warns(ColumnsLeftOutWarning, match="'b'"):
            detector.fit(frame)
        assert detector.cell_z_scores(frame).shape == (60, 4)
    assert np.isfinite(detector.p_values(frame)).all()
