"""Plots of rows, reconstructions and differences."""

import numpy as np
import pandas
import pytest
from matplotlib.figure import Figure
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.decomposition import PCA

from skae.inspection import ReconstructionDisplay

LONG = "a_name_that_is_too_long_for_any_picture"


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3, 6))
    return X, X + 0.1 * rng.normal(size=(3, 6))


def test_images_show_pixels_on_one_scale(rows, ax):
    X, again = rows
    axes = ReconstructionDisplay.from_predictions(X, again, image_shape=(2, 3), ax=ax).axes_
    assert axes.shape == (3, 3)
    for column in range(3):
        original, reconstruction, difference = (each.images[0] for each in axes[:, column])
        assert_allclose(original.get_array(), X[column].reshape(2, 3))
        assert_allclose(reconstruction.get_array(), again[column].reshape(2, 3))
        assert_allclose(difference.get_array(), (again - X)[column].reshape(2, 3))
        assert original.get_clim() == reconstruction.get_clim() == (X.min(), X.max())
        low, high = difference.get_clim()
        assert -low == high == np.abs(again - X).max()
    assert [each.get_ylabel() for each in axes[:, 0]] == [
        "original",
        "reconstruction",
        "difference",
    ]


def test_channels_come_first_and_colours_are_shown(ax):
    X = np.linspace(0, 1, 24).reshape(2, 12)
    axes = ReconstructionDisplay.from_predictions(X, X / 2, image_shape=(3, 2, 2), ax=ax).axes_
    shown = axes[0, 1].images[0].get_array()
    assert shown.shape == (2, 2, 3)
    assert_allclose(shown[0, 1], X[1].reshape(3, 2, 2)[:, 0, 1])
    expected = -(X[1] / 2).reshape(3, 2, 2).mean(axis=0)
    assert_allclose(axes[2, 1].images[0].get_array(), expected)


def test_one_channel_is_grey(rows, ax):
    axes = ReconstructionDisplay.from_predictions(*rows, image_shape=(1, 2, 3), ax=ax).axes_
    assert_allclose(axes[0, 0].images[0].get_array(), rows[0][0].reshape(2, 3))


def test_bars_show_values_and_names(rows, ax):
    X, again = rows
    frame = pandas.DataFrame(X, columns=[*"abcde", LONG])
    axes = ReconstructionDisplay.from_predictions(frame, again, ax=ax).axes_
    for column in range(3):
        for each, values in zip(axes[:, column], (X, again, again - X), strict=True):
            assert_allclose([bar.get_height() for bar in each.patches], values[column])
        names = [label.get_text() for label in axes[2, column].get_xticklabels()]
        assert names[:5] == list("abcde")
        assert names[5].startswith(LONG[:20])
        assert len(names[5]) < 25
    # Originals and reconstructions share one scale.
    assert len({each.get_ylim() for each in axes[:2].ravel()}) == 1
    assert len({each.get_ylim() for each in axes[2]}) == 1


def test_series_show_lines_with_the_original_behind(rows, ax):
    X, again = rows
    axes = ReconstructionDisplay.from_predictions(X, again, kind="series", ax=ax).axes_
    drawn = [line.get_ydata() for line in axes[1, 2].lines]
    for expected in (again[2], X[2]):
        assert any(np.array_equal(line, expected) for line in drawn)


@pytest.mark.slow
def test_many_features_have_numbers_instead_of_names(ax):
    X = np.ones((1, 300))
    axes = ReconstructionDisplay.from_predictions(X, X, ax=ax).axes_
    assert len(axes[2, 0].get_xticks()) < 20
    assert axes[2, 0].get_xlabel() == "feature (number of the column)"


def test_first_rows_are_reconstructed(wine, ax):
    X, _ = wine
    pca = PCA(n_components=2).fit(X)
    display = ReconstructionDisplay.from_estimator(pca, X, n_rows=4, ax=ax)
    assert_allclose(display.X, X[:4])
    assert_allclose(display.reconstructions, pca.inverse_transform(pca.transform(X))[:4])
    few = ReconstructionDisplay.from_estimator(pca, X[:2], ax=Figure().subplots())
    assert len(few.X) == 2


def test_sparse_rows_are_drawn(images, ax):
    X = sparse.csr_matrix(images)
    pca = PCA(n_components=2).fit(images)
    display = ReconstructionDisplay.from_estimator(pca, X, image_shape="square", ax=ax)
    assert_allclose(display.X, images[:8])
    assert display.image_shape == (8, 8)


def test_missing_cells_stay_empty(rows, ax):
    X, again = rows
    X[0, 1] = np.nan
    axes = ReconstructionDisplay.from_predictions(X, again, image_shape=(2, 3), ax=ax).axes_
    assert np.isnan(axes[0, 0].images[0].get_array().data[0, 1])
    assert np.isfinite(axes[0, 0].images[0].get_clim()).all()


def test_refusals(rows, ax):
    for options, message in [
        ({"kind": "pie"}, "`kind` must be one of .* Got 'pie'"),
        ({"kind": "image"}, "`image_shape` must be given with kind='image'"),
        ({"image_shape": "square"}, "Got 'square' for 6 features"),
        ({"image_shape": (2, 2)}, r"as many pixels as rows have features, 6. Got \(2, 2\)"),
        ({"image_shape": (2, 3, 1)}, r"1 or 3 channels. Got \(2, 3, 1\)"),
        ({"image_shape": (6,)}, r"`image_shape` must be \(height, width\)"),
        ({"image_shape": (2.0, 3.0)}, r"`image_shape` must be \(height, width\)"),
        ({"image_shape": (-2, -3)}, r"`image_shape` must be \(height, width\)"),
        ({"feature_names": ["a"]}, "a name for each of the 6 features. Got 1"),
    ]:
        with pytest.raises(ValueError, match=message):
            ReconstructionDisplay.from_predictions(*rows, **options, ax=ax)


def test_reconstructions_must_be_of_the_same_rows(rows, ax):
    with pytest.raises(ValueError, match=r"the shape of X, \(3, 6\). Got \(2, 6\)"):
        ReconstructionDisplay.from_predictions(rows[0], rows[1][:2], ax=ax)


@pytest.mark.slow
def test_exact_reconstructions_of_constant_images_are_drawn(ax, recwarn):
    X = np.ones((2, 4))
    for image_shape in [(2, 2), (1, 2, 2)]:
        grid = Figure().subplots()
        ReconstructionDisplay.from_predictions(X, X, image_shape=image_shape, ax=grid)
        grid.figure.draw_without_rendering()
    colours = np.ones((2, 12))
    ReconstructionDisplay.from_predictions(colours, colours, image_shape=(3, 2, 2), ax=ax)
    ax.figure.draw_without_rendering()
    assert not recwarn.list


def test_features_of_different_units_are_drawn_in_their_deviations(ax):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 3)) * [1, 1000, 0] + [5, -3, 7]
    pca = PCA(n_components=1).fit(X)
    display = ReconstructionDisplay.from_estimator(pca, X, n_rows=2, relative=True, ax=ax)
    scales = np.array([X[:, 0].std(), X[:, 1].std(), 1])
    assert_allclose(display.X, (X[:2] - X.mean(axis=0)) / scales)
    again = pca.inverse_transform(pca.transform(X[:2]))
    assert_allclose(display.reconstructions, (again - X.mean(axis=0)) / scales)
    assert display.axes_[0, 0].get_ylabel() == "original\n(std. dev.)"
