"""New rows from codes of transformers without a density."""

import pickle

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.utils import check_random_state, get_tags

from skae import VariationalAutoencoderTransformer
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
    # Between the clusters, where there are no rows.
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


def test_a_fitted_autoencoder_stays_as_it_is(quick, images):
    autoencoder = quick().fit(images)
    sampler = CodeSampler(FrozenEstimator(autoencoder), random_state=0).fit(images[:100])
    code = sampler.mixture_.means_[:1]
    np.testing.assert_array_equal(
        sampler.transformer_.inverse_transform(code), autoencoder.inverse_transform(code)
    )


def test_what_the_transformer_takes_is_taken(quick, images):
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
