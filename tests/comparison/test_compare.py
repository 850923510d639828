"""Comparison with PCA: figures against independent computations, choices, errors."""

import re
import warnings

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae.comparison import compare_with_pca
from skae.exceptions import SkaeWarning


class HalfAnError(PCA):
    """Substitute for an autoencoder, with half of the reconstruction error of PCA."""

    def fit(self, X, y=None):
        self.seen_ = X.copy()
        return super().fit(X, y)

    def transform(self, X):
        self.transformed_ = X.copy()
        return super().transform(X)

    def inverse_transform(self, codes):
        return (super().inverse_transform(codes) + self.transformed_) / 2


@pytest.fixture
def iris():
    return load_iris(return_X_y=True)


def compare(X, y=None, **options):
    return compare_with_pca(X, y, estimator=HalfAnError(), **options)


def test_figures_of_pca_are_those_worked_out_by_hand(iris):
    X, y = iris
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=3, stratify=y)
    pca = PCA(n_components=2).fit(X_train)
    residual = np.sum((X_test - pca.inverse_transform(pca.transform(X_test))) ** 2)
    total = np.sum((X_test - X_train.mean(axis=0)) ** 2)
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    classifier.fit(pca.transform(X_train), y_train)

    result = compare(X, y, n_components=2, random_state=3).results[0]

    assert (result.method, result.n_components) == ("PCA", 2)
    assert result.squared_error == pytest.approx(residual / X_test.size)
    assert result.explained_variance == pytest.approx(1 - residual / total)
    assert result.downstream_score == classifier.score(pca.transform(X_test), y_test)
    assert result.error_ratio == 1
    assert result.fit_seconds > 0
    assert result.transform_seconds > 0


def test_autoencoder_is_compared_with_pca_of_as_many_codes(iris):
    comparison = compare(*iris, n_components=(1, 3))
    methods = [(result.n_components, result.method) for result in comparison.results]
    assert methods == [(1, "PCA"), (1, "autoencoder"), (3, "PCA"), (3, "autoencoder")]
    for pca, autoencoder in zip(comparison.results[::2], comparison.results[1::2], strict=True):
        assert autoencoder.error_ratio == pytest.approx(1 / 4)
        assert autoencoder.squared_error == pytest.approx(pca.squared_error / 4)
        assert autoencoder.downstream_score == pca.downstream_score


@pytest.mark.slow
def test_default_estimator_is_the_autoencoder():
    # For points of a parabola one code is enough, but one component of PCA is not.
    x = np.linspace(-1, 1, 200)
    comparison = compare_with_pca(np.column_stack([x, x**2]), n_components=1)
    pca, autoencoder = comparison.results
    assert pca.explained_variance < 0.9
    assert autoencoder.explained_variance > 0.95
    assert autoencoder.error_ratio < 0.5


def test_estimator_is_left_unfitted(iris):
    estimator = HalfAnError(n_components=1)
    compare_with_pca(*iris, estimator=estimator, n_components=2)
    assert estimator.n_components == 1
    assert not hasattr(estimator, "components_")


def test_same_seed_gives_same_figures(iris):
    def figures(seed):
        results = compare(*iris, n_components=2, random_state=seed).results
        return [(result.squared_error, result.downstream_score) for result in results]

    assert figures(0) == figures(0)
    assert figures(0) != figures(1)


def test_given_rows_are_held_out(iris):
    X, y = iris
    comparison = compare(X[::2], y[::2], X_test=X[1::2], y_test=y[1::2], n_components=2)
    assert (comparison.n_train, comparison.n_test, comparison.n_features) == (75, 75, 4)
    pca = PCA(n_components=2).fit(X[::2])
    residual = X[1::2] - pca.inverse_transform(pca.transform(X[1::2]))
    assert comparison.results[0].squared_error == pytest.approx(np.mean(residual**2))


@pytest.mark.parametrize(("test_size", "n_test"), [(0.1, 15), (30, 30)])
def test_test_size_is_a_share_or_a_number(iris, test_size, n_test):
    assert compare(*iris, n_components=2, test_size=test_size).n_test == n_test


def test_standardize_uses_training_rows_only(iris):
    X, _ = iris
    far = X[1::2] + 10
    comparison = compare(X[::2], X_test=far, n_components=2, standardize=True)
    scaler = StandardScaler().fit(X[::2])
    pca = PCA(n_components=2).fit(scaler.transform(X[::2]))
    Z = scaler.transform(far)
    residual = Z - pca.inverse_transform(pca.transform(Z))
    assert comparison.results[0].squared_error == pytest.approx(np.mean(residual**2))


def test_perfect_reconstruction_by_both_is_a_ratio_of_one(iris):
    comparison = compare(*iris, n_components=4)
    assert comparison.results[0].squared_error < 1e-25
    assert comparison.results[1].error_ratio == 1


def test_constant_table_has_no_undefined_figures():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # PCA's own division by no variance
        comparison = compare(np.ones((20, 3)), n_components=1)
    assert [result.error_ratio for result in comparison.results] == [1, 1]
    assert [result.explained_variance for result in comparison.results] == [1, 1]


def test_labels_are_distinguished_from_quantities(iris):
    for y, score_name in [
        (np.repeat(["a", "b", "c"], 50), "accuracy"),
        (np.arange(150) % 2 == 0, "accuracy"),
        (np.repeat([0.0, 1.0, 2.0], 50), "accuracy"),
        (np.arange(150) % 20, "accuracy"),
        (np.arange(150) % 21, "R2"),
        (np.repeat([0.5, 1.5], 75), "R2"),
        (np.arange(150), "R2"),
        (None, None),
    ]:
        comparison = compare(iris[0], y, n_components=1)
        assert comparison.score_name == score_name
        assert (comparison.results[0].downstream_score is None) == (y is None)


def test_quantities_are_predicted_by_ridge():
    X, y = load_diabetes(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    pca = PCA(n_components=2, random_state=0).fit(X_train)
    model = make_pipeline(StandardScaler(), Ridge()).fit(pca.transform(X_train), y_train)
    expected = model.score(pca.transform(X_test), y_test)
    assert compare(X, y, n_components=2).results[0].downstream_score == pytest.approx(expected)


def test_class_of_one_row_does_not_hinder(iris):
    X, y = iris
    y = np.where(np.arange(150) == 7, 9, y)
    assert compare(X, y, n_components=1).score_name == "accuracy"


def test_too_many_codes_are_left_out_with_a_warning(iris):
    with pytest.warns(SkaeWarning, match="Left out 8, 16 codes: with 112 rows .* at most 4"):
        comparison = compare(*iris, n_components=(16, 2, 8, 2))
    assert comparison.left_out == (8, 16)
    assert [result.n_components for result in comparison.results] == [2, 2]


def test_pipelines_are_refused_with_a_remedy(iris):
    with pytest.raises(TypeError, match="Got Pipeline. Pass an autoencoder and preprocessed rows"):
        compare_with_pca(*iris, estimator=make_pipeline(PCA(2)))


def test_numbers_of_codes_must_be_whole_and_positive(iris):
    for n_components in [0, -1, 2.5, (), (2, 0), "2", (True, "a")]:
        with pytest.raises(ValueError, match="`n_components` must be a whole number of at least 1"):
            compare(*iris, n_components=n_components)


def test_refusals(iris):
    for change, message in [
        ({"n_components": 5}, r"of at most 4: there are 112 rows .* Got \[5\]"),
        ({"y": np.zeros(150)}, "at least two classes"),
        ({"y": [f"name {row}" for row in range(150)]}, "classes of several rows each. Got 112"),
        ({"y": np.full(150, np.nan)}, "`y` must have a label"),
        ({"y": np.zeros(149)}, "inconsistent numbers of samples"),
        ({"X_test": np.ones((5, 3)), "y": None}, "`X_test` must have 4 columns.* Got 3"),
        ({"X_test": np.ones((5, 4))}, "`y_test` must be given.* Got none"),
        ({"X_test": np.ones((5, 4)), "y": None, "y_test": np.ones(5)}, "Got one"),
        ({"X_test": np.ones((5, 4)), "y_test": np.ones(4)}, "inconsistent numbers of samples"),
        ({"X": np.full((150, 4), np.nan)}, "Input X contains NaN"),
        ({"test_size": 1.5}, "test_size"),
        ({"test_size": "half"}, "test_size"),
    ]:
        arguments = {"X": iris[0], "y": iris[1], "n_components": 2} | change
        with pytest.raises(ValueError, match=message):
            compare(**arguments)


def test_verbose_output_equals_the_printed_result(iris, capsys):
    comparison = compare(*iris, n_components=(1, 2, 9), verbose=True)
    printed = capsys.readouterr().out
    left_out, table = printed.split("\n", 1)
    assert left_out.startswith("Left out 9 codes")
    assert table == f"{comparison}\n"


def test_line_is_begun_before_the_fit(iris, capsys):
    class Interrupted(PCA):
        def fit(self, X, y=None):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare_with_pca(*iris, estimator=Interrupted(), n_components=2, verbose=True)
    assert capsys.readouterr().out.endswith("    2 autoencoder")


def test_without_verbose_nothing_is_printed(iris, capsys):
    compare(*iris, n_components=2)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("with_y", [True, False])
def test_lines_of_the_table_are_aligned(iris, with_y):
    X, y = iris
    text = str(compare(X, y if with_y else None, n_components=(1, 2)))
    sizes, header, *lines, verdict = text.splitlines()
    assert sizes == "112 rows to fit on, 38 held out, 4 columns"
    assert ("accuracy" in header) == with_y
    for match in re.finditer(r"\S+$|\bvs PCA\b", header):
        for line in lines:
            assert line[match.end() - 1] != " "
            assert line[match.end() :][:1] in ("", " ")
    assert {len(line) for line in lines} == {len(header)}
    assert verdict.endswith("below PCA's at 2 of 2 numbers of codes, at best 0.25 times it.")


def test_frame_has_a_column_per_figure(iris):
    comparison = compare(*iris, n_components=(1, 2))
    frame = comparison.to_frame()
    assert frame["method"].tolist() == ["PCA", "autoencoder"] * 2
    assert frame["error_ratio"].tolist() == [r.error_ratio for r in comparison.results]
    assert "downstream_score" in frame
    assert "downstream_score" not in compare(iris[0], n_components=1).to_frame()


def test_html_holds_the_same_cells(iris):
    comparison = compare(*iris, n_components=2)
    page = comparison._repr_html_()
    assert page.count("<tr>") == 3
    assert page.count("<td>") == page.count("<th>") * 2 == 16
    assert f"<td>{100 * comparison.results[0].explained_variance:.1f} %</td>" in page
    assert "PCA&#x27;s" in page


@pytest.mark.slow
def test_missing_cells_are_compared_with_a_pca_of_the_others(iris, quick, monkeypatch):
    X = iris[0].astype(float)
    X[np.random.default_rng(0).random(X.shape) < 0.1] = np.nan
    comparison = compare_with_pca(X, n_components=2, estimator=quick(missing="mask"))
    assert comparison.n_missing == np.isnan(X).sum()
    assert "4 columns, 5" in str(comparison)
    task, models = comparison.evidence.task, comparison.evidence.models
    for result in comparison.results:
        model = models[2, result.method]
        decoded = model.inverse_transform(model.transform(task.X_test))
        errors = np.nanmean(np.square(task.X_test - decoded))
        assert result.squared_error == pytest.approx(errors, rel=1e-5)
    assert models[2, "PCA"].n_iter_ == 0
    monkeypatch.setattr("skae.comparison._report._make.make_pictures", lambda pictures: "")
    assert "What the codes stand for" in comparison.to_html()
    with pytest.raises(ValueError, match="contains NaN"):
        compare_with_pca(X, n_components=2, estimator=quick())


@pytest.mark.slow
def test_further_splits_show_how_much_depends_on_the_rows_held_out(wine, quick):
    X, y = wine
    options = {"n_components": (1, 2), "estimator": quick(max_iter=1)}
    one = compare_with_pca(X, y, **options)
    several = compare_with_pca(X, y, n_splits=3, **options)
    assert [result.squared_error for result in several.results] == [
        result.squared_error for result in one.results
    ]
    errors = {results[0].squared_error for results in (several.results, *several.repeats)}
    assert len(errors) == 3
    with joblib.parallel_config(backend="skae"):
        side_by_side = compare_with_pca(X, y, n_splits=3, **options)
    for own, other in zip(side_by_side.repeats, several.repeats, strict=True):
        assert [each.squared_error for each in own] == [each.squared_error for each in other]
    assert "Ratios over 3 random splits: " in str(several)
    assert "splits" not in str(one)


@pytest.mark.parametrize(("n_splits", "X_test"), [(0, None), (2.5, None), (2, np.eye(4, 13))])
def test_invalid_numbers_of_splits_are_refused(wine, n_splits, X_test):
    with pytest.raises(ValueError, match="`n_splits` must be"):
        compare_with_pca(wine[0], n_splits=n_splits, X_test=X_test)
