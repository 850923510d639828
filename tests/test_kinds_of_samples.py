"""Displays, metrics and comparisons accept all samples that transformers accept."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib import pyplot as plt
from scipy import sparse
from sklearn import config_context
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skae import AutoencoderTransformer
from skae.comparison import compare_downstream, compare_with_pca
from skae.exceptions import SkaeWarning
from skae.generate import CodeSampler
from skae.inspection import (
    CodeDisplay,
    LatentTraversalDisplay,
    ReconstructionDisplay,
    ReconstructionErrorDisplay,
    code_jacobian,
    explain_codes,
)
from skae.metrics import (
    continuity,
    explained_variance,
    neg_reconstruction_error,
    neighborhood_hit,
)
from skae.sequences import SequencePadder

pytestmark = pytest.mark.filterwarnings("ignore::skae.exceptions.NotBetterThanPCAWarning")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def make(**params):
    own = {"n_components": 2, "max_iter": 1, "hidden_layer_sizes": (8,), "random_state": 0}
    return AutoencoderTransformer(early_stopping=False, **own | params)


@pytest.fixture(scope="module")
def pictures(images):
    return np.array(images[:40]).reshape(-1, 1, 8, 8)


@pytest.fixture(scope="module")
def conv(pictures):
    return make(architecture="conv", hidden_layer_sizes=(4,)).fit(pictures)


@pytest.fixture(scope="module")
def recurrent(images):
    steps = np.array(images[:40]).reshape(-1, 8, 8)
    return make(architecture="recurrent", hidden_layer_sizes=()).fit(steps), steps


@pytest.fixture(scope="module")
def padded():
    rng = np.random.default_rng(0)
    sequences = [rng.normal(size=(n, 2)).cumsum(axis=0) for n in rng.integers(3, 7, 30)]
    model = make(architecture="recurrent", missing="mask", sample_shape=(-1, 2))
    model.set_params(hidden_layer_sizes=())
    return make_pipeline(SequencePadder(), model).fit(sequences), sequences


FORMS = {
    "array": lambda X: X,
    "list": list,
    "tensor": torch.as_tensor,
    "series": lambda X: pd.Series(list(X), index=range(len(X), 0, -1)),
    "rows": lambda X: X.reshape(len(X), -1),
}


def test_pictures_are_measured_as_their_rows_are(conv, pictures):
    rows, codes = pictures.reshape(len(pictures), -1), conv.transform(pictures)
    errors = np.square(conv.inverse_transform(codes) - pictures)
    for hold in FORMS.values():
        X = hold(pictures)
        assert neg_reconstruction_error(conv, X) == pytest.approx(-errors.mean())
        share = 1 - errors.sum() / np.square(rows - rows.mean(axis=0)).sum()
        assert explained_variance(conv, X) == pytest.approx(share)
        assert continuity(X, codes) == continuity(rows, codes)
        assert code_jacobian(conv, X[:3]).shape == (3, 2, 64)
        explanation = explain_codes(conv, X, n_rows=2, n_repeats=1)
        assert (explanation.image_shape, len(explanation.feature_names)) == ((1, 8, 8), 64)


@pytest.mark.parametrize(
    "form", [*(pytest.param(x, marks=pytest.mark.slow) for x in ("array", "series")), "rows"]
)
def test_pictures_are_drawn_in_their_own_shape(conv, pictures, form):
    X = FORMS[form](pictures)
    display = ReconstructionDisplay.from_estimator(conv, X, n_rows=2)
    assert (display.kind, display.image_shape, display.axes_.shape) == ("image", (1, 8, 8), (3, 2))
    assert ReconstructionErrorDisplay.from_estimator(conv, X).image_shape == (1, 8, 8)
    labels = np.arange(len(pictures)) % 2
    ReconstructionErrorDisplay.from_estimator(conv, X, labels, kind="rows")
    assert LatentTraversalDisplay.from_estimator(conv, X, n_steps=3).axes_.shape == (2, 3)
    assert CodeDisplay.from_estimator(conv, X, kind="decoded", n_steps=3).image_shape == (1, 8, 8)
    back = conv.inverse_transform(conv.transform(X))
    shown = ReconstructionDisplay.from_predictions(pictures[:2], back[:2])
    assert (shown.kind, shown.image_shape) == ("image", (1, 8, 8))
    chosen = ReconstructionDisplay.from_estimator(conv, X, kind="series")
    assert (chosen.kind, chosen.axes_.shape) == ("series", (3, 3))


@pytest.mark.slow
def test_sequences_are_measured_and_drawn(recurrent):
    model, steps = recurrent
    errors = np.square(model.inverse_transform(model.transform(steps)) - steps)
    assert neg_reconstruction_error(model, steps) == pytest.approx(-errors.mean())
    assert neg_reconstruction_error(model, list(steps)) == pytest.approx(-errors.mean())
    assert ReconstructionDisplay.from_estimator(model, steps).kind == "bars"
    assert LatentTraversalDisplay.from_estimator(model, steps, kind="series").kind == "series"
    assert code_jacobian(model, steps[:3]).shape == (3, 2, 64)


@pytest.mark.parametrize("hold", [pytest.param(list, marks=pytest.mark.slow), pd.Series])
def test_sequences_of_different_lengths_are_measured_and_drawn(padded, hold):
    model, sequences = padded
    X = hold(sequences)
    back = model.inverse_transform(model.transform(sequences))
    squares = [
        np.square(one[: len(other)] - other) for one, other in zip(back, sequences, strict=True)
    ]
    expected = -np.concatenate(squares).mean()
    assert neg_reconstruction_error(model, X) == pytest.approx(expected)
    assert -1 < explained_variance(model, X) < 1
    assert ReconstructionDisplay.from_estimator(model, X).X.shape == (3, 12)
    assert len(ReconstructionErrorDisplay.from_estimator(model, X).row_errors) == len(X)
    LatentTraversalDisplay.from_estimator(model, X, kind="series", n_steps=2)
    LatentTraversalDisplay.from_estimator(model, X, n_steps=2)


def test_sequences_of_different_lengths_are_refused_where_pca_must_take_them(padded):
    model, sequences = padded
    with pytest.raises(ValueError, match="samples of one shape.*different lengths"):
        compare_with_pca(sequences, n_components=2)
    with pytest.raises(ValueError, match="sequences of one length"):
        explain_codes(model, sequences)


def test_longer_sequences_are_measured_up_to_the_last_step_that_is_reconstructed(padded):
    model, sequences = padded
    longer = [np.concatenate([each, each]) for each in sequences]
    assert np.isfinite(neg_reconstruction_error(model, longer))


def test_missing_cells_have_no_error(images):
    X = np.array(images[:40, :20])
    X[::3, ::4] = np.nan
    model = make(missing="mask").fit(X)
    errors = model.reconstruction_errors(X)
    assert neg_reconstruction_error(model, X) == pytest.approx(-np.nanmean(errors))
    assert np.isfinite(explained_variance(model, X))
    # NaN in a reconstruction of an observed cell is not a missing cell.
    broken = make().fit(np.nan_to_num(X))
    broken.inverse_transform = lambda codes: np.full((len(codes), 20), np.nan)
    assert np.isnan(neg_reconstruction_error(broken, np.nan_to_num(X)))


@pytest.mark.slow
def test_comparisons_give_pca_the_pixels_of_pictures(conv, pictures):
    y = np.arange(len(pictures)) % 2
    estimator = make(architecture="conv", hidden_layer_sizes=(4,))
    found = compare_with_pca(pictures, y, n_components=2, estimator=estimator, standardize=True)
    flat = pictures.reshape(len(y), -1)
    rows = compare_with_pca(flat, y, n_components=2, estimator=make(), standardize=True)
    assert found.results[0].squared_error == rows.results[0].squared_error
    page = found.to_html()
    assert "Held-out images" in page
    downstream = compare_downstream(estimator, list(pictures), y, cv=2)
    expected = compare_downstream(make(), flat, y, cv=2).pca_scores
    np.testing.assert_array_equal(downstream.pca_scores, expected)


@pytest.mark.mostly_slow(7)
@pytest.mark.filterwarnings("ignore::scipy.sparse.SparseEfficiencyWarning")
@pytest.mark.parametrize("kind", ["matrix", "array"])
@pytest.mark.parametrize("form", ["csr", "csc", "coo", "bsr", "dia", "dok", "lil"])
def test_every_sparse_format_is_measured(form, kind):
    X, y = load_iris(return_X_y=True)
    S = getattr(sparse, f"{form}_{kind}")(sparse.csr_array(X))
    pca = PCA(2).fit(X)
    assert neg_reconstruction_error(pca, S) == pytest.approx(neg_reconstruction_error(pca, X))
    assert explained_variance(pca, S) == pytest.approx(explained_variance(pca, X))
    assert code_jacobian(pca, S).shape == (150, 2, 4)
    ReconstructionDisplay.from_estimator(pca, S, n_rows=1)
    assert len(compare_downstream(PCA(2), S, y, cv=2).scores) == 2


def test_entries_that_occur_twice_are_one_for_metrics():
    X = load_iris().data
    half = sparse.csr_array(X / 2)
    order = np.repeat(np.arange(half.nnz), 2)
    twice = sparse.csr_array((half.data[order], half.indices[order], half.indptr * 2))
    pca = PCA(2).fit(X)
    assert explained_variance(pca, twice) == pytest.approx(explained_variance(pca, X))


@pytest.mark.slow
@pytest.mark.parametrize("fill", [pytest.param(0.0, marks=pytest.mark.slow), 1.0])
def test_frames_of_sparse_columns_are_measured(fill):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.choice([fill, 2.0, 3.0], (90, 5)), columns=list("abcde"))
    X = frame.astype(pd.SparseDtype(float, fill))
    model = make().fit(frame)
    for metric in (neg_reconstruction_error, explained_variance):
        assert metric(model, X) == pytest.approx(metric(model, frame))
    assert continuity(X, model.transform(X)) == continuity(frame, model.transform(frame))
    assert explain_codes(model, X, n_rows=3, n_repeats=1).feature_names == tuple("abcde")
    assert compare_with_pca(X, n_components=1, estimator=make()).n_features == 5
    ReconstructionErrorDisplay.from_estimator(model, X)
    search = GridSearchCV(
        make(),
        {"n_components": [1, 3]},
        scoring=neg_reconstruction_error,
        cv=2,
        error_score="raise",
    )
    assert search.fit(X).best_params_ == {"n_components": 3}


def lose(y, missing):
    y = np.array(y, dtype=object)
    y[::2] = missing
    return y


MISSING = {
    "none": lambda y: lose(y, None),
    "nan": lambda y: lose(y, np.nan),
    "pandas": lambda y: lose(y, pd.NA),
    "floats": lambda y: lose(y, np.nan).astype(float),
    "list": lambda y: lose(y, None).tolist(),
    "series": lambda y: pd.Series(lose(y, pd.NA), dtype="Int64"),
    "names": lambda y: lose(np.array(["a", "b", "c"])[y], None),
    "names and nan": lambda y: lose(np.array(["a", "b", "c"])[y], np.nan).tolist(),
    "masked": lambda y: np.ma.masked_array(y, np.arange(150) % 2 == 0),
    "categories": lambda y: pd.Series(lose(y, None)).astype("category"),
}


def test_masked_labels_are_missing_and_numbers_with_decimals_are_no_labels():
    X, y = load_iris(return_X_y=True)
    with pytest.warns(SkaeWarning, match="75 of 150 rows"):
        assert neighborhood_hit(X, MISSING["masked"](y)) == neighborhood_hit(X[1::2], y[1::2])
    with pytest.raises(ValueError, match="`y` must be labels"):
        neighborhood_hit(X, X[:, 0])


@pytest.mark.slow
def test_rows_without_a_label_are_left_out_with_a_warning():
    X, y = load_iris(return_X_y=True)
    expected = compare_downstream(PCA(2), X[1::2], y[1::2], cv=3).scores
    for kind in MISSING:
        z = MISSING[kind](y)
        with pytest.warns(SkaeWarning, match="75 of 150 rows"):
            assert neighborhood_hit(X, z) == neighborhood_hit(X[1::2], y[1::2])
        with pytest.warns(SkaeWarning, match="75 of 150 rows"):
            display = CodeDisplay.from_predictions(X, z)
        assert (len(display.codes), len(set(display.y))) == (75, 3)
        with pytest.warns(SkaeWarning, match="75 of 150 rows"):
            errors = ReconstructionErrorDisplay.from_predictions(X, X + 1, z, kind="rows")
        assert len(errors.row_errors) == 75
        if kind == "names and nan":
            with pytest.warns(SkaeWarning, match="75 of 150 rows"):
                found = compare_downstream(PCA(2), X, z, cv=3)
            np.testing.assert_array_equal(found.scores, expected)


def test_comparisons_leave_out_rows_without_a_label():
    X, y = load_iris(return_X_y=True)
    with pytest.warns(SkaeWarning, match="75 of 150 rows"):
        found = compare_with_pca(X, lose(y, None), n_components=1, estimator=make())
    assert (found.n_train + found.n_test, found.score_name) == (75, "accuracy")


def test_labels_that_are_all_there_give_no_warning():
    X, y = load_iris(return_X_y=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error", SkaeWarning)
        neighborhood_hit(X, y.tolist())
    with pytest.raises(ValueError, match="only missing ones"):
        neighborhood_hit(X, [None] * 150)


@pytest.mark.slow
@pytest.mark.parametrize("output", [pytest.param("pandas", marks=pytest.mark.slow), "polars"])
def test_the_kind_of_output_that_is_set_changes_no_figure(output, images):
    X, y = np.array(images[:60, 8:24]), np.arange(60) % 3
    model = make().fit(X)

    def list_figures():
        comparison = compare_with_pca(X, y, n_components=2, standardize=True, estimator=make())
        explanation = explain_codes(model, X, n_rows=3, n_repeats=1)
        CodeSampler(make(), random_state=0).fit(X).sample(2, random_state=0)
        return [
            *[result.squared_error for result in comparison.results],
            *[result.downstream_score for result in comparison.results],
            neg_reconstruction_error(make_pipeline(PCA(3), make()).fit(X), X),
            explained_variance(model, X),
            continuity(X, model.transform(X)),
            neighborhood_hit(model.transform(X), y),
            *compare_downstream(make(), X, y, cv=2).scores,
            *explanation.importances.ravel(),
            *code_jacobian(model, X[:3]).ravel(),
        ]

    expected = list_figures()
    with config_context(transform_output=output):
        np.testing.assert_allclose(list_figures(), expected, rtol=1e-6)
        ReconstructionDisplay.from_estimator(model, X, n_rows=1)
        LatentTraversalDisplay.from_estimator(model, X, n_steps=2)
        CodeDisplay.from_estimator(model, X, y)
        if output == "pandas":
            compare_with_pca(X[:, :4], y, n_components=1, estimator=make()).to_html()
