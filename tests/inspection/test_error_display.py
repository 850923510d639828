"""Errors of features and rows: values, order and names."""

import numpy as np
import pandas
import pytest
from numpy.testing import assert_allclose
from sklearn.decomposition import PCA

from skae.inspection import ReconstructionErrorDisplay


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 4)) * [1, 2, 3, 4]
    return X, X + rng.normal(size=(50, 4)) * [0.4, 0.1, 0.2, 0.3]


def test_features_are_ordered_by_error(rows, ax):
    X, again = rows
    frame = pandas.DataFrame(X, columns=list("abcd"))
    ReconstructionErrorDisplay.from_predictions(frame, again, ax=ax)
    # The lowest error is at the bottom.
    assert [label.get_text() for label in ax.get_yticklabels()] == ["b", "c", "d", "a"]
    expected = np.mean((X - again) ** 2, axis=0)
    assert_allclose([bar.get_width() for bar in ax.patches], np.sort(expected))
    assert ax.get_xlabel() == "mean squared error of the feature"


def test_relative_errors_are_shares_of_the_variance(rows, ax):
    X, again = rows
    X, again = (np.column_stack([table, np.ones(50)]) for table in (X, again))
    again[:, 4] += 0.1
    display = ReconstructionErrorDisplay.from_predictions(X, again, relative=True, ax=ax)
    expected = np.mean((X - again)[:, :4] ** 2, axis=0) / X[:, :4].var(axis=0)
    assert_allclose(display.feature_errors, [*expected, 0])
    assert_allclose(display.row_errors.mean(), display.feature_errors.mean())


def test_of_many_features_the_worst_are_shown(ax):
    X = np.zeros((2, 100))
    ReconstructionErrorDisplay.from_predictions(X, X + np.arange(100), ax=ax)
    assert len(ax.patches) == 40
    assert ax.get_yticklabels()[-1].get_text() == "x99"
    assert "40 of 100 features" in ax.get_title()


def test_pixels_are_shown_as_an_image(rows, ax):
    X, again = rows
    ReconstructionErrorDisplay.from_predictions(X, again, image_shape="square", ax=ax)
    expected = np.mean((X - again) ** 2, axis=0).reshape(2, 2)
    assert_allclose(ax.images[0].get_array(), expected)
    assert ax.images[0].get_clim() == (0, expected.max())


def test_rows_are_counted(rows, ax):
    X, again = rows
    display = ReconstructionErrorDisplay.from_predictions(X, again, kind="rows", ax=ax)
    assert_allclose(display.row_errors, np.mean((X - again) ** 2, axis=1))
    assert sum(bar.get_height() for bar in ax.patches) == 50
    assert ax.get_ylabel() == "rows"


def test_rows_are_grouped_by_label(rows, ax):
    X, again = rows
    y = np.repeat(["b", "a"], 25)
    display = ReconstructionErrorDisplay.from_predictions(X, again, y, kind="rows", ax=ax)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["a", "b"]
    medians = [line for line in ax.lines if line.get_color() == "white"]
    expected = [np.median(display.row_errors[y == label]) for label in "ab"]
    assert_allclose([line.get_ydata()[0] for line in medians], expected)


@pytest.mark.slow
def test_very_many_labels_are_not_written(ax):
    X = np.random.default_rng(0).normal(size=(120, 3))
    y = np.repeat([f"label {number}" for number in range(60)], 2)
    ReconstructionErrorDisplay.from_predictions(X, X / 2, y, kind="rows", ax=ax)
    assert len(ax.get_xticks()) < 20
    assert ax.get_xlabel() == "label (position in ascending order)"


def test_quantities_do_not_group_rows(rows, ax):
    y = np.linspace(0.5, 1, 50)
    ReconstructionErrorDisplay.from_predictions(*rows, y, kind="rows", ax=ax)
    assert ax.get_ylabel() == "rows"


def test_missing_cells_have_no_error(rows, ax):
    X, again = rows
    expected = np.mean((X - again)[1:, 2] ** 2)
    X[0, 2] = np.nan
    display = ReconstructionErrorDisplay.from_predictions(X, again, ax=ax)
    assert display.feature_errors[2] == pytest.approx(expected)


def test_estimator_is_asked_for_reconstructions(wine, ax):
    X, _ = wine
    pca = PCA(n_components=3).fit(X)
    display = ReconstructionErrorDisplay.from_estimator(pca, X, ax=ax)
    error = np.mean((X - pca.inverse_transform(pca.transform(X))) ** 2, axis=0)
    assert_allclose(display.feature_errors, error)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "cells"}, r"`kind` must be one of \('features', 'rows'\). Got 'cells'"),
        ({"y": np.ones(49)}, "inconsistent numbers of samples"),
        ({"image_shape": (3, 1)}, "as many pixels as rows have features, 4"),
    ],
)
def test_refusals(rows, options, message, ax):
    with pytest.raises(ValueError, match=message):
        ReconstructionErrorDisplay.from_predictions(*rows, **options, ax=ax)


def test_names_of_columns_of_several_kinds_may_be_an_array(ax):
    frame = pandas.DataFrame({"size": [1.0, 2.0, 3.0], "colour": ["red", "blue", "red"]})
    display = ReconstructionErrorDisplay.from_predictions(
        frame, frame, feature_names=np.array(["cm", "hue"]), ax=ax
    )
    assert display.feature_names == ["cm", "hue"]
