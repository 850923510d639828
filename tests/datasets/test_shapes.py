"""Images of shapes agree with their factors."""

import numpy as np
import pytest

from skae.datasets import make_shapes


@pytest.fixture(scope="module")
def shapes():
    return make_shapes(300, random_state=0)


def centres(X, size=24):
    """Return the centres of mass, from -1 at the left and at the top to 1."""
    images = X.reshape(-1, size, size)
    at = np.linspace(-1, 1, size)
    mass = images.sum((1, 2))
    return np.column_stack([(images.sum(1) @ at) / mass, (images.sum(2) @ at) / mass])


def test_pixels_are_grey_and_within_the_frame(shapes):
    images = shapes.X.reshape(-1, 24, 24)
    assert shapes.X.dtype == np.float32
    assert images.min() == 0
    assert images.max() == 1
    assert np.any((images > 0.1) & (images < 0.9))
    border = np.concatenate([images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]], 1)
    assert border.max() < 0.7


def test_factors_move_and_grow_the_shapes(shapes):
    _, x, y, scale, _ = shapes.factors.T
    x_seen, y_seen = centres(shapes.X).T
    assert np.corrcoef(x, x_seen)[0, 1] > 0.99
    assert np.corrcoef(y, y_seen)[0, 1] > 0.99
    assert np.corrcoef(scale, np.sqrt(shapes.X.sum(1)))[0, 1] > 0.8


def test_factors_are_independent(shapes):
    assert set(shapes.factors[:, 0]) == {0, 1, 2}
    correlations = np.corrcoef(shapes.factors.T) - np.eye(5)
    assert np.abs(correlations).max() < 0.2
    assert shapes.factors.shape[1] == len(shapes.factor_names)


def test_rotation_turns_all_shapes():
    still = make_shapes(2000, random_state=0)
    kind, _, _, scale, rotation = still.factors.T
    large = scale > 0.8
    for shape in range(3):
        some = large & (kind == shape)
        groups = [
            still.X[some & low].mean(0) for low in (rotation < 0.2, abs(rotation - 0.5) < 0.1)
        ]
        assert np.abs(groups[0] - groups[1]).max() > 0.1


def test_the_seed_decides():
    one, two = (make_shapes(3, random_state=1) for _ in range(2))
    np.testing.assert_array_equal(one.X, two.X)
    np.testing.assert_array_equal(one.factors, two.factors)
    assert not np.array_equal(one.X, make_shapes(3, random_state=2).X)


def test_images_do_not_depend_on_the_number_of_images(shapes, monkeypatch):
    monkeypatch.setattr("skae.datasets._shapes._CELLS_AT_ONCE", 1000)
    np.testing.assert_array_equal(make_shapes(300, random_state=0).X, shapes.X)


def test_shapes_have_the_areas_of_their_formulas():
    large = make_shapes(200, size=96, random_state=0)
    kind, _, _, scale, _ = large.factors.T
    radius = 96 * (0.1 + 0.08 * scale)
    in_squared_radii = np.choose(
        kind.astype(int), [1.8**2, np.pi * 1.4 * 0.7, 3 * np.sqrt(3) * 0.7**2]
    )
    np.testing.assert_allclose(large.X.sum(1), in_squared_radii * radius**2, rtol=0.03)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_samples": 0}, "`n_samples` must be a positive integer. Got 0"),
        ({"size": 16.5}, "`size` must be a positive integer. Got 16.5"),
        ({"size": 7}, "`size` must be at least 8 pixels. Got 7"),
    ],
)
def test_counts_are_checked(params, message):
    with pytest.raises(ValueError, match=message):
        make_shapes(**params)
