"""HTML representation of estimators in notebooks."""

from importlib import metadata

import pytest

import skae
from skae._estimators.html import find_documentation
from skae.generate import CodeSampler
from skae.text import TokenSequencer

ADDRESS = "https://docs.example.org/skae"


@pytest.fixture
def with_address(monkeypatch):
    """Set the address of the documentation in the metadata of the package."""
    distribution = metadata.metadata("skae")
    del distribution["Project-URL"]
    distribution["Project-URL"] = f"Documentation, {ADDRESS}/"
    monkeypatch.setattr(metadata, "metadata", lambda name: distribution)


def show(estimator) -> list[str]:
    return [estimator._repr_html_(), estimator._repr_mimebundle_()["text/html"]]


def test_a_fitted_autoencoder_shows_its_error_and_that_of_pca(quick, images):
    estimator = quick()
    assert not any("Reconstruction error" in page for page in show(estimator))
    estimator.fit(images)
    for page in show(estimator):
        assert f"4 codes, epoch {estimator.best_iter_} of 3" in page
        assert f"rows: {estimator.reconstruction_error_:.4g}; PCA: " in page
    # Inside of a pipeline or search, scikit-learn only shows parameters.
    assert "4 codes" not in skae.AutoencoderOutlierDetector(autoencoder=estimator)._repr_html_()


def test_an_autoencoder_of_texts_shows_latent_semantic_analysis():
    rows = TokenSequencer().fit_transform(["a good film", "a bad film", "no film"] * 4)
    model = skae.TokenAutoencoderTransformer(2, max_iter=1, random_state=0).fit(rows)
    assert all("latent semantic analysis: " in page for page in show(model))


def test_nothing_is_linked_without_an_address(monkeypatch):
    def find_nothing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "metadata", find_nothing)
    assert find_documentation() is None
    assert 'href="' not in skae.AutoencoderTransformer()._repr_html_()


def test_the_page_of_the_class_is_linked(with_address):
    for estimator, page in [
        (skae.AutoencoderTransformer(), "skae.AutoencoderTransformer"),
        (skae.AutoencoderImputer(), "skae.AutoencoderImputer"),
        (skae.SparseAutoencoderTransformer(8), "skae.SparseAutoencoderTransformer"),
    ]:
        assert f'href="{ADDRESS}/reference/{page}.html"' in estimator._repr_html_()


class Derived(skae.AutoencoderTransformer):
    """Class of another package, which is documented elsewhere."""


def test_classes_of_others_and_helpers_have_no_link(with_address):
    assert ADDRESS not in Derived()._repr_html_()
    assert f'href="{ADDRESS}/reference/skae.AutoencoderTransformer.html"' in (
        CodeSampler(skae.AutoencoderTransformer())._repr_html_()
    )
