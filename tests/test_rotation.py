"""Rotations of the codes, which do not change reconstructions."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.utils import check_random_state

import skae
from skae._engine.families.rotations import find_independent, find_varimax
from skae.architectures import Sparsity

ROTATIONS = ["varimax", "ica"]
quietly = pytest.mark.filterwarnings(
    "ignore::skae.exceptions.NotBetterThanPCAWarning",
    "ignore::sklearn.exceptions.ConvergenceWarning",
)


@pytest.fixture(scope="module")
def sources():
    """Return 500 rows of three independent, non-normal sources."""
    generator = check_random_state(0)
    uniform = generator.uniform(-1, 1, size=(500, 3))
    return np.sign(uniform) * np.abs(uniform) ** [1.0, 0.5, 2.0] * [3, 2, 1]


@pytest.mark.mostly_slow(2)
@quietly
@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("rotation", ROTATIONS)
def test_reconstructions_stay_and_codes_are_uncorrelated_and_ordered(
    quick, images, rotation, whiten
):
    params = {"max_iter": 20, "early_stopping": False, "whiten": whiten}
    plain, turned = (quick(rotation=own, **params).fit(images) for own in ("pca", rotation))
    codes = turned.transform(images)
    assert np.abs(plain.transform(images) - codes).max() > 0.1 * codes.std()
    np.testing.assert_allclose(
        turned.inverse_transform(codes),
        plain.inverse_transform(plain.transform(images)),
        atol=1e-4,
    )
    assert np.abs(np.corrcoef(codes.T) - np.eye(4)).max() < 1e-3
    ratios = turned.explained_variance_ratio_
    assert (np.diff(ratios) <= 0).all()
    assert ratios.sum() == pytest.approx(plain.explained_variance_ratio_.sum(), abs=1e-6)
    deviations = codes.std(axis=0)
    expected = np.ones(4) if whiten else deviations[0] * np.sqrt(ratios / ratios[0])
    np.testing.assert_allclose(deviations, expected, rtol=1e-3)


@quietly
def test_independent_sources_are_found(quick, sources):
    X = sources @ check_random_state(1).normal(size=(3, 6))
    model = quick(n_components=3, rotation="ica", max_iter=1).fit(X)
    correlations = np.abs(np.corrcoef(model.transform(X).T, sources.T)[:3, 3:])
    np.testing.assert_allclose(correlations.max(axis=0), 1, atol=0.01)
    np.testing.assert_allclose(correlations.max(axis=1), 1, atol=0.01)


def find_simplicity(loadings):
    """Return the criterion of varimax: the variance of squared loadings, summed over the codes."""
    return np.var(loadings**2, axis=0).sum()


@pytest.mark.parametrize("seed", range(3))
def test_no_turn_of_two_codes_makes_loadings_of_varimax_simpler(seed):
    loadings = check_random_state(seed).normal(size=(10, 4))
    found = find_varimax(torch.from_numpy(loadings)).numpy()
    np.testing.assert_allclose(found.T @ found, np.eye(4), atol=1e-12)
    reached = find_simplicity(loadings @ found)
    assert reached > find_simplicity(loadings)
    for first, second in [(0, 1), (0, 3), (2, 3)]:
        for angle in np.linspace(0, np.pi, 30):
            turn = np.eye(4)
            turn[[first, first, second, second], [first, second, first, second]] = [
                np.cos(angle),
                -np.sin(angle),
                np.sin(angle),
                np.cos(angle),
            ]
            assert find_simplicity(loadings @ found @ turn) <= reached * (1 + 1e-6)


@quietly
@pytest.mark.parametrize("rotation", ROTATIONS)
@pytest.mark.parametrize("n_components", [1, 5])
def test_codes_that_do_not_vary_stay_apart(quick, sources, rotation, n_components):
    """Rows of rank three leave two of five codes constant."""
    X = sources @ check_random_state(1).normal(size=(3, 6))
    model = quick(n_components=n_components, rotation=rotation, max_iter=1, dtype="float64").fit(X)
    codes = model.transform(X)
    assert (np.ptp(codes[:, 3:], axis=0) < 1e-6).all()
    expected = PCA(n_components).fit(X)
    np.testing.assert_allclose(
        model.inverse_transform(codes),
        expected.inverse_transform(expected.transform(X)),
        atol=1e-6,
    )


@pytest.mark.mostly_slow(2)
@quietly
@pytest.mark.parametrize("rotation", ROTATIONS)
def test_rotated_models_are_cloned_saved_and_continued(quick, images, rotation, tmp_path):
    model = quick(rotation=rotation).fit(images)
    assert clone(model).rotation == rotation
    codes = model.transform(images)
    skae.save(model, tmp_path / "model.skae")
    np.testing.assert_array_equal(skae.load(tmp_path / "model.skae").transform(images), codes)
    np.testing.assert_array_equal(clone(model).fit_transform(images), codes)
    assert model.partial_fit(images).transform(images).shape == codes.shape


@pytest.mark.parametrize("rotation", ROTATIONS)
@pytest.mark.parametrize("penalty", ["l1", "kl_sparsity", Sparsity()], ids=str)
def test_codes_whose_axes_mean_something_are_not_rotated(quick, images, rotation, penalty):
    model = quick(rotation=rotation, penalty=penalty)
    with pytest.raises(ValueError, match="`rotation` must be 'pca' with penalty="):
        model.fit(images)


@quietly
def test_rotations_go_with_penalties_that_allow_them(quick, images):
    codes = quick(rotation="varimax", penalty="contractive").fit_transform(images)
    assert np.abs(np.corrcoef(codes.T) - np.eye(4)).max() < 1e-3


def test_a_single_code_is_not_turned():
    assert find_independent(torch.randn(20, 1, dtype=torch.float64)).tolist() == [[1.0]]
