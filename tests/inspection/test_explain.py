"""Explanations agree with algebra, automatic derivatives and hand-made codes."""

import numpy as np
import pandas
import polars
import pyarrow
import pytest
import torch
from matplotlib.figure import Figure
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae.inspection import _jacobian, code_jacobian, explain_codes


class Squares(TransformerMixin, BaseEstimator):
    """Codes are the square of the first feature, and the second feature; the third is ignored."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return np.column_stack([X[:, 0] ** 2, X[:, 1]])

    def inverse_transform(self, codes):
        return np.column_stack([np.sqrt(np.abs(codes[:, 0])), codes[:, 1], 0 * codes[:, 0]])


@pytest.fixture
def positive():
    return np.random.default_rng(0).uniform(1, 3, size=(80, 3))


def test_jacobian_of_pca_is_its_components(wine):
    X, _ = wine
    pca = PCA(n_components=3).fit(X)
    jacobian = code_jacobian(pca, X[::10])
    assert jacobian.shape == (18, 3, 13)
    assert_allclose(jacobian, np.tile(pca.components_, (18, 1, 1)), atol=1e-10)


def test_jacobian_of_a_pipeline_has_the_units_of_its_input(wine):
    X = wine[0] * 100 + 7
    model = make_pipeline(StandardScaler(), PCA(n_components=2)).fit(X)
    expected = model[-1].components_ / model[0].scale_
    assert_allclose(code_jacobian(model, X[:9]), np.tile(expected, (9, 1, 1)), atol=1e-10)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_jacobian_is_that_of_automatic_differentiation(digits, quick, dtype):
    X, _ = digits
    X = X[:, X.std(axis=0) > 0.05]
    model = quick(dtype=dtype, max_iter=20).fit(X)
    module = model.net_.module_
    assert model.best_iter_ > 0  # else it is PCA, and linear
    rows = torch.tensor((X[:6] - model.mean_) / model.scale_, dtype=getattr(torch, dtype))
    expected = torch.func.vmap(torch.func.jacrev(module.encode))(rows).detach() / model.scale_
    jacobian = code_jacobian(model, X[:6], step=0.01)
    moving = X[:6].std(axis=0) > 0
    difference = jacobian[..., moving] - expected.numpy()[..., moving]
    assert np.abs(difference).max() < 2e-3 * np.abs(expected.numpy()).max()


def test_jacobian_of_a_nonlinear_code_is_its_derivative(positive):
    jacobian = code_jacobian(Squares(), positive)
    assert_allclose(jacobian[:, 0, 0], 2 * positive[:, 0])
    assert_allclose(jacobian[:, 1, 1], 1)
    assert_allclose(jacobian[:, 0, 1:], 0)
    assert_allclose(jacobian[:, 1, [0, 2]], 0)


def test_batches_make_no_difference(positive, monkeypatch):
    whole = code_jacobian(Squares(), positive)
    monkeypatch.setattr(_jacobian, "_CELLS_AT_ONCE", 1)
    assert_allclose(code_jacobian(Squares(), positive), whole)


def test_features_that_do_not_vary_have_no_influence(positive):
    positive[:, 1] = 2
    assert_allclose(code_jacobian(Squares(), positive)[:, :, 1], 0)
    explanation = explain_codes(Squares(), positive)
    assert np.isfinite(explanation.inputs).all()
    assert np.isfinite(explanation.effects).all()
    assert_allclose(explanation.inputs[:, :, 1], 0)
    assert_allclose(explanation.inputs[1], 0)


@pytest.mark.parametrize("make", [pandas.DataFrame, polars.DataFrame, pyarrow.table])
def test_frames_keep_their_names_on_the_way(positive, make, recwarn):
    frame = make(dict(zip("abc", positive.T, strict=True)))
    scaler = StandardScaler().fit(frame)
    expected = np.diag(1 / scaler.scale_)
    assert_allclose(code_jacobian(scaler, frame)[5], expected, atol=1e-10)
    assert explain_codes(scaler, frame).feature_names == ("a", "b", "c")
    assert not recwarn.list


def test_sparse_rows_are_explained(positive):
    svd = TruncatedSVD(n_components=2).fit(positive)
    jacobian = code_jacobian(svd, sparse.csr_matrix(positive))
    assert_allclose(jacobian[0], svd.components_, atol=1e-10)


def test_inputs_and_effects_are_in_standard_deviations(positive):
    X = positive * [1, 1000, 1]
    explanation = explain_codes(Squares(), X)
    assert explanation.inputs.shape == explanation.effects.shape == (2, 80, 3)
    # Units cancel: the second code is the second feature.
    assert_allclose(explanation.inputs[1, :, 1], 1)
    assert_allclose(explanation.effects[1, :, 1], 1)
    slopes = np.sort(2 * X[:, 0] * X[:, 0].std() / (X[:, 0] ** 2).std())
    assert_allclose(np.sort(explanation.inputs[0, :, 0]), slopes, rtol=1e-6)
    assert_allclose(np.sort(explanation.effects[0, :, 0]), np.sort(1 / slopes), rtol=1e-3)
    assert_allclose(explanation.effects[:, :, 2], 0)


def test_importance_of_principal_components_is_twice_their_variance(wine):
    # The error of a permuted code is the difference of two independent codes.
    X, _ = wine
    pca = PCA(n_components=4).fit(X)
    explanation = explain_codes(pca, X, n_repeats=50)
    expected = 2 * pca.explained_variance_ratio_
    assert explanation.importances.shape == (4, 50)
    assert_allclose(explanation.importances.mean(axis=1), expected, rtol=0.05)


def test_code_that_is_not_used_has_no_importance(positive):
    class Unused(Squares):
        def inverse_transform(self, codes):
            return super().inverse_transform(codes * [1, 0])

    losses = explain_codes(Unused(), positive).importances
    assert_allclose(losses[1], 0)
    assert (losses[0] > 0.1).all()


def test_rows_and_permutations_follow_the_seed(wine):
    X, _ = wine
    pca = PCA(n_components=2).fit(X)

    def explain(seed):
        return explain_codes(pca, X, n_rows=20, random_state=seed).importances.tolist()

    assert explain(0) == explain(0)
    assert explain(0) != explain(1)


def test_autoencoder_is_explained(digits, quick):
    X, _ = digits
    explanation = explain_codes(quick().fit(X), X, n_rows=10, n_repeats=1)
    assert explanation.inputs.shape == (4, 10, 64)
    assert (explanation.importances > 0).all()


def test_frames_hold_means_over_the_rows(positive):
    explanation = explain_codes(Squares(), positive - 2, feature_names=list("abc"))
    frame = explanation.to_frame()
    assert frame[["code", "feature"]].to_numpy().tolist() == [
        [code, name] for code in range(2) for name in "abc"
    ]
    assert_allclose(frame["mean"], explanation.inputs.mean(axis=1).ravel())
    # The square falls on the left of zero and rises on the right.
    first = frame.iloc[0]
    assert first["mean_absolute"] > 3 * abs(first["mean"])
    assert_allclose(
        explanation.to_frame("effects")["mean_absolute"],
        np.abs(explanation.effects).mean(axis=1).ravel(),
    )
    importance = explanation.to_frame("importance")
    assert_allclose(importance["mean"], explanation.importances.mean(axis=1))
    assert_allclose(importance["std"], explanation.importances.std(axis=1))


def test_bars_show_the_features_that_matter_most(wine):
    X, _ = wine
    pca = PCA(n_components=3).fit(X)
    names = [f"feature {index}" for index in range(13)]
    explanation = explain_codes(pca, X, feature_names=names)
    axes = explanation.plot("inputs", components=(2, 0), most_features=4, ax=Figure().subplots())
    assert [each.get_title() for each in axes] == ["code 2", "code 0"]
    means = explanation.inputs[2].mean(axis=0)
    order = np.argsort(np.abs(means))[-4:]
    assert_allclose([bar.get_width() for bar in axes[0].patches], means[order])
    shown = [label.get_text() for label in axes[0].get_yticklabels()]
    assert shown == [names[index] for index in order]
    # For linear codes, means and absolute means differ only in sign, so marks are at bar ends.
    assert_allclose(axes[0].lines[0].get_xdata(), means[order], atol=1e-9)


def test_pixels_are_explained_by_images(images):
    pca = PCA(n_components=8).fit(images)
    explanation = explain_codes(pca, images, n_rows=20)
    axes = explanation.plot("effects", image_shape=(8, 8), ax=Figure().subplots())
    assert len(axes) == 6
    expected = explanation.effects[3].mean(axis=0).reshape(8, 8)
    assert_allclose(axes[3].images[0].get_array(), expected)
    low, high = axes[0].images[0].get_clim()
    assert -low == high


def test_importance_is_drawn_from_above_in_order(wine):
    X, _ = wine
    explanation = explain_codes(PCA(n_components=3).fit(X), X)
    ax = Figure().subplots()
    assert explanation.plot("importance", ax=ax) is ax
    assert [label.get_text() for label in ax.get_yticklabels()] == ["code 0", "code 1", "code 2"]
    assert ax.yaxis_inverted()
    widths = [bar.get_width() for bar in ax.patches]
    assert_allclose(widths, explanation.importances.mean(axis=1))


def test_refusals(positive):
    for options, message in [
        ({"n_rows": 0}, "`n_rows` must be a positive integer. Got 0"),
        ({"n_repeats": 0}, "`n_repeats` must be a positive integer. Got 0"),
        ({"feature_names": ["a"]}, "a name for each of the 3 features"),
        ({"X": np.full((4, 3), np.nan)}, "`X` must be finite"),
    ]:
        with pytest.raises(ValueError, match=message):
            explain_codes(Squares(), **{"X": positive, **options})


def test_refusals_of_kinds_codes_and_steps(positive):
    explanation = explain_codes(Squares(), positive)
    for call in (explanation.to_frame, explanation.plot):
        with pytest.raises(ValueError, match="`kind` must be one of .* Got 'outputs'"):
            call("outputs")
    with pytest.raises(ValueError, match="indices of codes, from 0 to 1"):
        explanation.plot(components=[2], ax=Figure().subplots())
    with pytest.raises(ValueError, match="`step` must be positive. Got 0"):
        code_jacobian(Squares(), positive, step=0)


def test_a_single_row_is_refused():
    X = np.eye(4)
    with pytest.raises(ValueError, match="at least two rows to explain codes. Got 1"):
        explain_codes(PCA(2).fit(X), X[:1])
