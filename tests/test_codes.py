"""Codes are those of PCA if the model is PCA, and ordered like these otherwise."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.utils import check_random_state

from skae import (
    AdversarialAutoencoderTransformer,
    AutoencoderImputer,
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    VariationalAutoencoderTransformer,
)
from skae.modules import CodeBasis, order_codes_

pytestmark = [
    pytest.mark.usefixtures("few_draws"),
    pytest.mark.filterwarnings("ignore::skae.exceptions.NotBetterThanPCAWarning"),
]


@pytest.fixture(scope="module")
def plane():
    """Return 200 rows on a plane in 6 dimensions with noise, for which PCA is optimal."""
    generator = check_random_state(0)
    scores = generator.normal(size=(200, 2)) * [3, 1]
    return scores @ generator.normal(size=(2, 6)) + 0.1 * generator.normal(size=(200, 6)) + 10


def with_pcas_signs(pca, X):
    """Return the codes of PCA, with the largest entry of each axis positive."""
    largest = np.abs(pca.components_).argmax(axis=1)
    return pca.transform(X) * np.sign(pca.components_[np.arange(len(largest)), largest])


@pytest.mark.parametrize("n_components", [1, 2])
def test_a_model_that_stays_pca_has_its_codes(quick, plane, n_components):
    params = {"dtype": "float64", "output_range": None, "early_stopping": True}
    estimator = quick(n_components=n_components, **params).fit(plane)
    assert estimator.best_iter_ == 0
    pca = PCA(n_components=n_components).fit(plane)
    codes = estimator.transform(plane)
    np.testing.assert_allclose(codes, with_pcas_signs(pca, plane), atol=1e-8)
    np.testing.assert_allclose(
        estimator.inverse_transform(codes), pca.inverse_transform(pca.transform(plane)), atol=1e-8
    )
    np.testing.assert_allclose(
        estimator.explained_variance_ratio_, pca.explained_variance_ratio_, atol=1e-10
    )
    np.testing.assert_allclose(estimator.explained_variance_, pca.explained_variance_, rtol=1e-8)
    np.testing.assert_allclose(estimator.mean_, pca.mean_)
    assert estimator.n_samples_seen_ == len(plane)


@pytest.mark.parametrize("shape", [(200, 6), (5, 6), (30, 1)])
@pytest.mark.parametrize("fit", ["fit", "partial_fit"])
def test_no_number_of_codes_is_that_of_pca(quick, plane, shape, fit):
    X = plane[: shape[0], : shape[1]]
    estimator = getattr(quick(n_components=None, max_iter=2), fit)(X)
    assert estimator.n_components_ == PCA().fit(X).n_components_ == estimator.transform(X).shape[1]
    assert estimator.score(X) == pytest.approx(1, abs=1e-4)
    assert estimator.partial_fit(X[:2]).n_components_ == min(shape)


def test_no_number_of_codes_goes_with_every_kind(plane):
    holes = np.where(np.arange(plane.size).reshape(plane.shape) % 7 == 0, np.nan, plane)
    short = {"max_iter": 1, "hidden_layer_sizes": (8,), "random_state": 0}
    for kind in (VariationalAutoencoderTransformer, AdversarialAutoencoderTransformer):
        assert kind(None, **short).fit(plane[:60]).n_components_ == 6
    inner = AutoencoderTransformer(early_stopping=False, **short)
    detector = AutoencoderOutlierDetector(None, cv=None, autoencoder=inner, random_state=0).fit(
        plane
    )
    assert detector.autoencoder_.n_components_ == 6
    imputer = AutoencoderImputer(None, autoencoder=inner, random_state=0).fit(holes)
    assert imputer.autoencoder_.n_components_ == 6


def test_rows_are_counted_over_continued_fits(quick, plane):
    model = quick(n_components=2, max_iter=1).partial_fit(plane[:50]).partial_fit(plane[50:80])
    assert model.n_samples_seen_ == 80
    weights = np.r_[np.zeros(10), np.ones(30)]
    assert model.fit(plane[:40], sample_weight=weights).n_samples_seen_ == 30
    assert model.set_params(warm_start=True).fit(plane[:40]).n_samples_seen_ == 70


@pytest.mark.mostly_slow(3)
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_variances_are_in_the_unit_of_the_table(images, scale):
    model = AutoencoderTransformer(4, max_iter=3, random_state=0).fit(images * scale)
    pca = PCA(4).fit(images * scale)
    total = pca.explained_variance_[0] / pca.explained_variance_ratio_[0]
    np.testing.assert_allclose(
        model.explained_variance_, model.explained_variance_ratio_ * total, rtol=1e-3
    )


def test_the_noise_of_a_model_that_stays_probabilistic_pca_is_pcas(plane):
    model = VariationalAutoencoderTransformer(2, max_iter=1, random_state=0).fit(plane)
    assert model.best_iter_ == 0
    assert model.noise_variance_ == pytest.approx(PCA(2).fit(plane).noise_variance_, rel=0.02)
    laplace = VariationalAutoencoderTransformer(2, max_iter=1, likelihood="laplace").fit(plane)
    assert laplace.noise_variance_ == pytest.approx(2 * laplace.noise_scale_**2)


def test_codes_of_pca_are_whitened_on_request(quick, plane):
    params = {"whiten": True, "output_range": None, "early_stopping": True}
    estimator = quick(n_components=2, **params).fit(plane)
    assert estimator.best_iter_ == 0
    pca = PCA(n_components=2).fit(plane)
    expected = with_pcas_signs(pca, plane) / pca.transform(plane).std(axis=0)
    np.testing.assert_allclose(estimator.transform(plane), expected, atol=1e-3)


def test_codes_in_double_precision_are_uncorrelated_in_it(quick, images):
    estimator = quick(dtype="float64").fit(images)
    assert estimator.best_iter_ > 0
    codes = estimator.transform(images)
    assert np.abs(np.corrcoef(codes.T) - np.eye(4)).max() < 1e-11
    assert (np.abs(codes.mean(axis=0)) < 1e-11 * codes.std(axis=0)).all()


@pytest.mark.mostly_slow(2, first=1)
@pytest.mark.parametrize("params", [{}, {"init": "random"}, {"loss": "binary_cross_entropy"}])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_codes_of_a_trained_model_are_centred_uncorrelated_and_ordered(
    quick, images, params, early_stopping
):
    estimator = quick(max_iter=20, early_stopping=early_stopping, **params).fit(images)
    assert estimator.best_iter_ > 0
    codes = estimator.transform(images)
    deviations = codes.std(axis=0)
    assert (np.abs(codes.mean(axis=0)) < 1e-3 * deviations).all()
    assert np.abs(np.corrcoef(codes.T) - np.eye(4)).max() < 1e-3
    assert (np.diff(deviations) < 0).all()

    ratios = estimator.explained_variance_ratio_
    assert (np.diff(ratios) < 0).all()
    assert (ratios > 0).all()
    assert ratios.sum() == pytest.approx(estimator.score(images), abs=1e-5)


def test_whitened_codes_of_a_trained_model_have_unit_variance(quick, images):
    plain, white = (
        quick(early_stopping=False, whiten=whiten).fit(images) for whiten in (False, True)
    )
    codes = white.transform(images)
    np.testing.assert_allclose(np.cov(codes.T, bias=True), np.eye(4), atol=1e-3)
    np.testing.assert_allclose(
        white.inverse_transform(codes),
        plain.inverse_transform(plain.transform(images)),
        atol=1e-4,
    )


def test_codes_have_the_unit_of_the_table(quick, images):
    codes, larger = (
        quick(early_stopping=False, output_range=None).fit(unit * images).transform(unit * images)
        for unit in (1, 1024)
    )
    np.testing.assert_allclose(larger, 1024 * codes, rtol=1e-3, atol=0.1)


def test_signs_do_not_depend_on_the_seed(quick):
    X = load_iris().data
    codes = [
        quick(n_components=2, early_stopping=False, random_state=seed).fit(X).transform(X)
        for seed in range(3)
    ]
    for others in codes[1:]:
        assert (np.sum(codes[0] * others, axis=0) > 0).all()


@pytest.mark.parametrize("whiten", [False, True])
def test_a_dead_code_stays_invertible(whiten):
    codes = torch.randn(100, 3, generator=torch.Generator().manual_seed(0)).double()
    codes[:, 1] = 2.5
    rows = codes @ torch.eye(3, 5).double()
    centred = codes - codes.mean(0)
    basis = CodeBasis(3, dtype=torch.float64)
    explained = order_codes_(
        basis,
        codes.mean(0),
        centred.T @ centred / 100,
        (rows - rows.mean(0)).T @ centred / 100,
        whiten=whiten,
    )
    assert explained[2] == pytest.approx(0, abs=1e-10)
    assert torch.isfinite(basis(codes)).all()
    torch.testing.assert_close(basis.inverse(basis(codes)), codes)


@pytest.mark.filterwarnings("ignore::skae.exceptions.NotBetterThanPCAWarning")
def test_the_error_is_never_above_that_of_pca():
    for seed in range(8):
        X = np.random.default_rng(seed).normal(size=(60, 6))
        params = {"random_state": seed, "max_iter": 4, "hidden_layer_sizes": 8}
        autoencoder = AutoencoderTransformer(3, **params).fit(X)
        assert autoencoder.reconstruction_error_ <= autoencoder.pca_reconstruction_error_
