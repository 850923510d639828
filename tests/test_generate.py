"""Generation of rows from codes of transformers without a density."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state, get_tags

from skae import (
    AdversarialAutoencoderTransformer,
    SparseAutoencoderTransformer,
    VariationalAutoencoderTransformer,
)
from skae.generate import CodeSampler

pytestmark = pytest.mark.filterwarnings("ignore::skae.exceptions.NotBetterThanPCAWarning")


@pytest.fixture(scope="module")
def clusters():
    """Return rows of three clusters of different size and shape in 5 dimensions."""
    source = check_random_state(0)
    parts = [
        source.normal(size=(n, 5)) @ (scale * source.normal(size=(5, 5))) + centre
        for n, scale, centre in [(600, 0.2, 0), (300, 0.5, 8), (100, 0.1, -9)]
    ]
    return np.concatenate(parts)


@pytest.fixture
def rows():
    source = np.random.default_rng(0)
    return source.normal(size=(60, 2)) @ source.normal(size=(2, 4)) + source.normal(size=(60, 4))


def test_samples_have_the_moments_of_the_rows(clusters):
    sampler = CodeSampler(PCA(5), n_mixture_components=3, random_state=0).fit(clusters)
    samples = sampler.sample(20_000, random_state=0)
    np.testing.assert_allclose(samples.mean(0), clusters.mean(0), atol=0.3)
    np.testing.assert_allclose(np.cov(samples.T), np.cov(clusters.T), atol=1.5)
    shares = [np.mean(samples[:, 0] < -5), np.mean(samples[:, 0] > 4)]
    np.testing.assert_allclose(shares, [0.1, 0.3], atol=0.02)


def test_one_component_is_a_gaussian(clusters):
    sampler = CodeSampler(PCA(5), n_mixture_components=1, random_state=0).fit(clusters)
    samples = sampler.sample(20_000, random_state=0)
    np.testing.assert_allclose(np.cov(samples.T), np.cov(clusters.T), atol=1.5)
    # The space between the clusters has no rows.
    assert np.mean(np.abs(samples[:, 0] - 4) < 1) > 0.05


def test_an_autoencoder_gets_samples(quick, images):
    autoencoder = quick()
    sampler = CodeSampler(autoencoder, random_state=0).fit(images)
    samples = sampler.sample(200, random_state=0)
    assert samples.shape == (200, 64)
    assert np.corrcoef(samples.mean(0), images.mean(0))[0, 1] > 0.95
    assert sampler.n_features_in_ == 64
    assert not hasattr(autoencoder, "net_")
    for other in (clone(sampler).fit(images), pickle.loads(pickle.dumps(sampler))):
        np.testing.assert_array_equal(sampler.sample(3, 1), other.sample(3, random_state=1))


def test_a_fitted_autoencoder_is_not_changed(quick, images):
    autoencoder = quick().fit(images)
    sampler = CodeSampler(FrozenEstimator(autoencoder), random_state=0).fit(images[:100])
    code = sampler.mixture_.means_[:1]
    np.testing.assert_array_equal(
        sampler.transformer_.inverse_transform(code), autoencoder.inverse_transform(code)
    )


def test_samplers_take_sparse_tables_and_labels_as_their_transformer_does(quick, images):
    table = sparse.csr_matrix(images)
    sampler = CodeSampler(TruncatedSVD(4, random_state=0), random_state=0).fit(table)
    assert sampler.sample(2, 0).shape == (2, 64)
    labels = np.arange(150) % 2
    labelled = VariationalAutoencoderTransformer(
        2, conditional=True, hidden_layer_sizes=(8,), max_iter=1, early_stopping=False
    )
    assert get_tags(CodeSampler(labelled)).target_tags.required
    fitted = CodeSampler(labelled).fit(images, labels).transformer_
    assert fitted.classes_.tolist() == [0, 1]


def test_sparse_codes_are_drawn_like_dense_ones(images):
    samples = [
        CodeSampler(
            SparseAutoencoderTransformer(
                8, max_iter=1, sparse_output=sparse_output, random_state=0
            ),
            random_state=0,
        )
        .fit(images)
        .sample(3, 0)
        for sparse_output in (True, False)
    ]
    np.testing.assert_array_equal(*samples)


@pytest.mark.filterwarnings("error::sklearn.exceptions.ConvergenceWarning")
def test_repeated_rows_get_no_more_distributions_than_there_are_different_rows():
    rows = np.repeat(np.diag([1.0, 2.0, 3.0]), 200, axis=0)
    assert CodeSampler(PCA(2), random_state=0).fit(rows).mixture_.n_components == 3


def test_few_rows_get_a_single_normal_distribution(images):
    assert CodeSampler(PCA(2)).fit(images[:20]).mixture_.n_components == 1


@pytest.mark.filterwarnings("ignore:invalid value encountered in divide")
def test_codes_that_do_not_vary_can_be_drawn():
    sampler = CodeSampler(PCA(2)).fit(np.ones((60, 3)))
    np.testing.assert_allclose(sampler.sample(4, 0), 1, atol=1e-6)


def test_misuse_is_refused(images):
    with pytest.raises(NotFittedError):
        CodeSampler(PCA(2)).sample()
    with pytest.raises(ValueError, match="`n_samples` must be a positive integer. Got 0"):
        CodeSampler(PCA(2)).fit(images).sample(0)
    with pytest.raises(ValueError, match="transformer"):
        CodeSampler("pca").fit(images)


NAMES = ["a", "b", "c", "d"]
GENERATORS = {
    "variational": VariationalAutoencoderTransformer(
        2, max_iter=1, early_stopping=False, random_state=0
    ),
    "adversarial": AdversarialAutoencoderTransformer(2, max_iter=1, random_state=0),
    "sampler": CodeSampler(PCA(2), random_state=0),
    "sampler of a pipeline": CodeSampler(make_pipeline(StandardScaler(), PCA(2)), random_state=0),
}


def fit_generator(name, X, container):
    """Return a fitted sampler whose transformer returns rows in a container."""
    generator = clone(GENERATORS[name])
    getattr(generator, "transformer", generator).set_output(transform=container)
    return generator.fit(X)


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize("name", GENERATORS)
@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_samples_have_the_names_and_the_container_of_the_table(rows, name, container):
    pytest.importorskip(container)
    expected = fit_generator(name, pd.DataFrame(rows, columns=NAMES), "default")
    generator = fit_generator(name, pd.DataFrame(rows, columns=NAMES), container)
    found = generator.sample(3, random_state=0)
    assert type(found).__module__.startswith(container)
    assert list(found.columns) == NAMES
    np.testing.assert_allclose(found.to_numpy(), expected.sample(3, random_state=0), rtol=1e-6)
    without_names = fit_generator(name, rows, container).sample(2)
    assert list(without_names.columns) == ["x0", "x1", "x2", "x3"]


def test_drawn_images_stay_arrays(images):
    model = VariationalAutoencoderTransformer(2, max_iter=1, early_stopping=False, random_state=0)
    model.set_output(transform="pandas").fit(images.reshape(-1, 1, 8, 8)[:60])
    assert model.sample(2).shape == (2, 1, 8, 8)


def test_the_global_configuration_makes_frames_of_samples(rows):
    sampler = CodeSampler(PCA(2), random_state=0).fit(pd.DataFrame(rows, columns=NAMES))
    with config_context(transform_output="pandas"):
        assert list(sampler.sample(2, random_state=0).columns) == NAMES
    assert isinstance(sampler.sample(2), np.ndarray)
