"""Codes as points, pairs and decoded planes."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.testing import assert_allclose
from sklearn.decomposition import PCA

from skae.inspection import CodeDisplay, LatentTraversalDisplay


@pytest.fixture
def codes():
    return np.random.default_rng(0).normal(size=(60, 4))


def read_legend(legend):
    return [text.get_text() for text in legend.get_texts()]


def test_points_are_grouped_by_label(codes, ax):
    y = np.repeat(["b", "a", "c"], 20)
    display = CodeDisplay.from_predictions(codes, y, components=(2, 0), ax=ax)
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    assert read_legend(ax.get_legend()) == ["a", "b", "c"]
    drawn = [artist.get_offsets() for artist in ax.collections]
    for points, label in zip(drawn, "abc", strict=True):
        assert_allclose(points, codes[y == label][:, [2, 0]])
    assert len({tuple(artist.get_facecolor()[0]) for artist in ax.collections}) == 3
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("code 2", "code 0")


def test_quantities_have_a_colour_bar(codes, ax):
    y = np.linspace(0.5, 1.5, 60)
    CodeDisplay.from_predictions(codes, y, ax=ax)
    (points,) = ax.collections
    assert_allclose(points.get_array(), y)
    assert ax.get_legend() is None
    assert len(ax.figure.axes) == 2


def test_without_labels_there_is_no_legend(codes, ax):
    CodeDisplay.from_predictions(codes, ax=ax)
    assert len(ax.collections[0].get_offsets()) == 60
    assert ax.get_legend() is None
    assert len(ax.figure.axes) == 1


def test_twenty_six_labels_differ_in_colour_or_marker(ax):
    y = np.repeat(list("abcdefghijklmnopqrstuvwxyz"), 5)
    CodeDisplay.from_predictions(np.random.default_rng(0).normal(size=(130, 2)), y, ax=ax)
    looks = {
        (tuple(artist.get_facecolor()[0]), artist.get_paths()[0].vertices.tobytes())
        for artist in ax.collections
    }
    assert len(looks) == 26
    assert len(read_legend(ax.get_legend())) == 26


def test_more_labels_are_written_among_their_points(ax):
    y = np.repeat([f"label {number}" for number in range(50)], 3)
    codes = np.random.default_rng(0).normal(size=(150, 2))
    CodeDisplay.from_predictions(codes, y, ax=ax)
    assert ax.get_legend() is None
    places = {text.get_text(): text.xy for text in ax.texts}
    assert len(places) == 50
    assert_allclose(places["label 7"], np.median(codes[y == "label 7"], axis=0))


def test_options_reach_the_points(codes, ax):
    CodeDisplay(codes).plot(ax=ax, s=7, alpha=0.5)
    (points,) = ax.collections
    assert points.get_sizes().tolist() == [7]
    assert points.get_alpha() == 0.5


def test_pairs_have_histograms_and_every_pair_once(codes, ax):
    y = np.arange(60) % 3
    display = CodeDisplay.from_predictions(codes, y, kind="pairs", components=(0, 1, 3), ax=ax)
    axes = display.axes_
    assert axes.shape == (3, 3)
    assert_allclose(axes[2, 1].collections[1].get_offsets(), codes[y == 1][:, [1, 3]])
    for row in range(3):
        counts = np.histogram(codes[y == 0][:, (0, 1, 3)[row]], bins=30)[0].sum()
        assert counts == 20
        assert len(axes[row, row].patches) == 3
        for column in range(3):
            assert axes[row, column].axison == (column <= row)
    assert read_legend(axes[0, 2].get_legend()) == ["0", "1", "2"]
    assert [each.get_xlabel() for each in axes[2]] == ["code 0", "code 1", "code 3"]


def test_pairs_show_at_most_four_codes(codes):
    for n_codes, n_drawn in [(1, 1), (3, 3), (7, 4)]:
        display = CodeDisplay.from_predictions(
            np.tile(codes, 2)[:, :n_codes], kind="pairs", ax=Figure().subplots()
        )
        assert display.axes_.shape == (n_drawn, n_drawn)


def test_plane_is_decoded_where_its_axes_say(images, ax):
    pca = PCA(n_components=3).fit(images)
    codes = pca.transform(images)
    display = CodeDisplay.from_estimator(
        pca, images, kind="decoded", components=(0, 2), image_shape=(8, 8), n_steps=5, ax=ax
    )
    image = ax.images[0]
    mosaic = image.get_array()
    assert mosaic.shape == (40, 40)
    left, right, bottom, top = image.get_extent()
    tile = (right - left) / 5
    # The tile at the lower right has the highest first code and the lowest second code.
    first, second = np.percentile(codes[:, [0, 2]], [98, 2], axis=0)[[0, 1], [0, 1]]
    assert right - tile / 2 == pytest.approx(first)
    assert bottom + (top - bottom) / 10 == pytest.approx(second)
    expected = pca.inverse_transform([[first, codes[:, 1].mean(), second]])
    assert_allclose(mosaic[32:, 32:], expected.reshape(8, 8), atol=1e-12)
    assert display.tiles.shape == (5, 5, 64)


def test_decoded_images_are_not_distorted(images, ax):
    pca = PCA(n_components=2).fit(images)
    CodeDisplay.from_estimator(pca, images, kind="decoded", image_shape=(4, 16), n_steps=3, ax=ax)
    left, right, bottom, top = ax.images[0].get_extent()
    # The aspect is the ratio of the lengths of a vertical and a horizontal unit.
    assert (top - bottom) * ax.get_aspect() / (right - left) == pytest.approx(4 / 16)


def test_refusals(codes, ax):
    for options, message in [
        ({"kind": "cloud"}, "`kind` must be one of"),
        ({"components": (0, 4)}, r"indices of codes, from 0 to 3. Got \(0, 4\)"),
        ({"components": (1, 1)}, "different indices of codes"),
        ({"components": (0,)}, "at least 2 different"),
        ({"components": (0, 1, 2)}, "two codes with kind='scatter'"),
        ({"components": (-1, 0)}, "from 0 to 3"),
        ({"kind": "pairs", "components": ()}, "at least 1 different"),
        ({"y": np.ones(59)}, "inconsistent numbers of samples"),
        ({"kind": "decoded"}, "only with `from_estimator`"),
    ]:
        with pytest.raises(ValueError, match=message):
            CodeDisplay.from_predictions(codes, **options, ax=ax)


def test_one_code_makes_no_plane(codes, ax):
    with pytest.raises(ValueError, match="at least 2 codes to plot. Got 1"):
        CodeDisplay.from_predictions(codes[:, :1], ax=ax)


def test_decoding_needs_a_shape_and_steps(images, ax):
    pca = PCA(n_components=2).fit(images)
    with pytest.raises(ValueError, match="`image_shape` must be given with kind='decoded'"):
        CodeDisplay.from_estimator(pca, images, kind="decoded", ax=ax)
    with pytest.raises(ValueError, match="`n_steps` must be at least 2. Got 1"):
        CodeDisplay.from_estimator(pca, images, kind="decoded", n_steps=1, ax=ax)


def test_traversal_changes_one_code_at_a_time(images, ax):
    pca = PCA(n_components=4).fit(images)
    codes = pca.transform(images)
    display = LatentTraversalDisplay.from_estimator(
        pca, images, components=(1, 3), n_steps=5, start=7, image_shape=(8, 8), ax=ax
    )
    expected = codes[7].copy()
    expected[3] = np.percentile(codes[:, 3], 98)
    shown = display.axes_[1, 4].images[0]
    assert_allclose(shown.get_array().ravel(), pca.inverse_transform([expected])[0], atol=1e-12)
    assert display.axes_[1, 4].get_title() == f"{expected[3]:.3g}"
    assert display.axes_[1, 0].get_ylabel() == "code 3"
    assert len({each.images[0].get_clim() for each in display.axes_.ravel()}) == 1


def test_traversal_of_a_table_maps_changes_in_deviations(wine, ax):
    X, _ = wine
    X = np.column_stack([X * 10, np.ones(len(X))])
    pca = PCA(n_components=2).fit(X)
    names = [f"feature {index}" for index in range(14)]
    display = LatentTraversalDisplay.from_estimator(pca, X, n_steps=3, feature_names=names, ax=ax)
    (first, second) = display.axes_[0]
    least = np.percentile(pca.transform(X)[:, 0], 2)
    expected = least * pca.components_[0] / np.where(X.std(axis=0) > 0, X.std(axis=0), 1)
    changes = first.collections[0].get_array().reshape(14, 3)
    assert_allclose(changes[:, 0], expected, atol=1e-6)
    assert_allclose(changes[:, 1], 0, atol=0.5)
    assert [label.get_text() for label in first.get_yticklabels()] == names
    assert second.get_xlabel() == "code 1"


def test_traversal_of_series_draws_a_line_for_each_step(images, ax):
    pca = PCA(n_components=7).fit(images)
    display = LatentTraversalDisplay.from_estimator(pca, images, kind="series", ax=ax)
    assert display.axes_.shape == (1, 5)
    assert [len(each.lines) for each in display.axes_[0]] == [9] * 5
    assert_allclose(display.axes_[0, 2].lines[0].get_ydata(), display.reconstructions[2, 0])


def test_traversal_refuses_codes_that_are_not_there(images, ax):
    pca = PCA(n_components=2).fit(images)
    with pytest.raises(ValueError, match="from 0 to 1. Got .2."):
        LatentTraversalDisplay.from_estimator(pca, images, components=[2], ax=ax)
    with pytest.raises(ValueError, match="`n_steps` must be at least 2. Got 1"):
        LatentTraversalDisplay.from_estimator(pca, images, n_steps=1, ax=ax)


def test_codes_that_do_not_vary_are_gone_through_nevertheless(images, ax, recwarn):
    class Still(PCA):
        def transform(self, X):
            return super().transform(X) * [1, 0]

    pca = Still(n_components=2).fit(images)
    options = {"image_shape": (8, 8), "n_steps": 3}
    CodeDisplay.from_estimator(pca, images, kind="decoded", **options, ax=ax)
    assert ax.images[0].get_extent()[2:] == pytest.approx((-0.75, 0.75))
    display = LatentTraversalDisplay.from_estimator(pca, images, n_steps=3, ax=Figure().subplots())
    assert_allclose(display.values[1], [-0.5, 0, 0.5])
    display.figure_.draw_without_rendering()
    assert not recwarn.list
