"""Report of a comparison: verdict, escaping of HTML, pictures, code."""

import base64
import re
import struct
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import train_test_split

from skae.comparison import MethodResult, PCAComparison, compare_with_pca
from skae.comparison._repeats import find_interval
from skae.comparison._report._pictures import ArrayIllustrator
from skae.comparison._report._scores import measure_accuracy, measure_r2, measure_scores
from skae.comparison._report._sentences import explain_verdict, say_verdict
from skae.comparison._report._verdict import reach_verdict
from skae.comparison._results import format_ratio
from skae.inspection import ReconstructionDisplay

VOID = {"meta", "img", "br"}


class Curve(PCA):
    """Substitute for an autoencoder: reconstructs from more components than it has codes."""

    n_more = 2

    def fit(self, X, y=None):
        self.better_ = PCA(n_components=min(self.n_components + self.n_more, *X.shape)).fit(X)
        return super().fit(X)

    def transform(self, X):
        self.rows_ = X
        return super().transform(X)

    def inverse_transform(self, codes):
        if len(codes) != len(self.rows_):
            return super().inverse_transform(codes)
        return self.better_.inverse_transform(self.better_.transform(self.rows_))


class Worse(Curve):
    n_more = -1


class Page(HTMLParser):
    """Parser that collects the text and the tags of a page, and the tags left open."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.words = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def find(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def odd():
    """Return a table with column names that are special in HTML, matplotlib or fonts."""
    rng = np.random.default_rng(0)
    names = [
        '<script>alert("x")</script>',
        "a 'quoted' & name",
        "$x_1$ and $",
        "日本語",
        "constant",
    ]
    X = pd.DataFrame(rng.normal(size=(60, 5)) @ rng.normal(size=(5, 5)), columns=names)
    X["constant"] = 1.0
    return X, np.where(X.iloc[:, 0] > 0, "<b>yes</b>", '$no$ & "ja"')


@pytest.fixture(scope="module")
def odd_page(odd):
    comparison = compare_with_pca(*odd, n_components=(1, 2), estimator=Curve(), standardize=True)
    with pytest.warns(UserWarning, match="Glyph"):
        return comparison.to_html(title="</title><i>odd", remarks=["1 < 2 & so on"])


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:120], y[:120]


@pytest.fixture(scope="module")
def digits_file(digits, tmp_path_factory):
    comparison = compare_with_pca(*digits, n_components=3, estimator=Curve())
    path = tmp_path_factory.mktemp("report") / "digits.html"
    open_figures = plt.get_fignums()
    words = {"load_code": "X, y = load('<here>')", "command": "skae <there>", "title": "Größe"}
    assert comparison.to_html(path, image_shape="square", **words) is None
    assert plt.get_fignums() == open_figures
    assert "<h1>" not in comparison._repr_html_()
    return path


@pytest.fixture(scope="module")
def digits_page(digits_file):
    return digits_file.read_text(encoding="utf-8")


@pytest.fixture(params=["odd", pytest.param("digits", marks=pytest.mark.slow)])
def any_page(request):
    return request.getfixturevalue(f"{request.param}_page")


def read_verdict(page):
    return unescape(re.search("<h1>(.*)</h1>", page).group(1)).replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.slow
def test_the_verdict_states_how_many_components_pca_needs(digits, digits_page):
    X_train, X_test, _, _ = train_test_split(*digits, random_state=0, stratify=digits[1])
    total = np.sum((X_test - X_train.mean(axis=0)) ** 2)

    def keep(n_components):
        pca = PCA(n_components=n_components).fit(X_train)
        return 1 - np.sum((X_test - pca.inverse_transform(pca.transform(X_test))) ** 2) / total

    # The substitute reconstructs from two components more than it has codes.
    assert keep(4) < keep(5)
    expected = f"3 codes keep {keep(5):.0%} of the variance; PCA needs 5 for that."
    assert read_verdict(digits_page).replace(" %", "%") == expected


def test_verdict_admits_where_pca_does_as_well_or_better():
    X, _ = load_iris(return_X_y=True)

    def say(estimator):
        comparison = compare_with_pca(X, n_components=2, estimator=estimator)
        shares = [round(100 * result.explained_variance) for result in comparison.results]
        sentence = say_verdict(reach_verdict(comparison), comparison)
        return sentence.replace("\N{NO-BREAK SPACE}", " "), *shares

    sentence, share, _ = say(PCA())
    kept = f"PCA and the autoencoder keep {share} % of the variance"
    assert sentence == f"No gain: with 2 codes, {kept}."
    sentence, share, less = say(Worse())
    start = f"PCA is better here: with 2 codes it keeps {share} % of the variance"
    assert sentence == f"{start}, the autoencoder {less} %."


def test_fewest_codes_that_match_more_components_are_the_headline(digits):
    comparison = compare_with_pca(digits[0][:300], n_components=(2, 3, 4, 8), estimator=Curve())
    verdict = reach_verdict(comparison)
    # The substitute keeps as much with two codes as PCA with four, but less with four than with 8.
    assert (verdict.autoencoder.n_components, verdict.matched.n_components) == (2, 4)
    sentence = say_verdict(verdict, comparison)
    assert sentence.startswith("2 codes keep as much as 4 components of PCA: ")


def test_a_handful_of_rows_gets_no_verdict(digits):
    comparison = compare_with_pca(digits[0][:40], n_components=2, estimator=Curve())
    sentence = say_verdict(reach_verdict(comparison), comparison)
    assert sentence == "No verdict: 40 rows are too few to tell which method is better."


def test_all_names_are_escaped(odd, odd_page):
    page = Page(odd_page)
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "b", "i"})
    text = " ".join(page.words)
    for words in (*odd[0].columns, "</title><i>odd", "1 < 2 & so on"):
        assert words in text


def test_page_needs_no_network_and_fits_a_phone(any_page):
    page = Page(any_page)
    assert "http" not in any_page
    assert "@import" not in any_page
    assert not page.find("link")
    assert all(image["src"].startswith("data:image/png;base64,") for image in page.find("img"))
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.find(
        "meta"
    )
    assert "prefers-color-scheme: dark" in any_page


def test_pictures_are_whole_and_described(any_page):
    images = Page(any_page).find("img")
    assert len(images) >= 7
    for image in images:
        data = base64.b64decode(image["src"].partition(",")[2])
        width, height = struct.unpack(">II", data[16:24])
        assert data.endswith(b"IEND\xaeB`\x82")
        # The file has two pixels for each pixel of the page, for sharp displays.
        assert (width, height) == (
            pytest.approx(2 * int(image["width"]), abs=2),
            pytest.approx(2 * int(image["height"]), abs=2),
        )
        assert len(image["alt"]) > 20


def test_code_of_the_page_gives_its_figures(odd, odd_page):
    code = unescape(re.search("<pre><code>(.*?)</code></pre>", odd_page, re.DOTALL).group(1))
    X, y = odd
    names = {"X": X, "y": y, "estimator": Curve()}
    exec(code, names)
    cells = [f"{result.squared_error:.4g}" for result in names["comparison"].results]
    shown = re.findall(r"<td>([^<]*)</td>", odd_page)
    assert all(cell in shown for cell in cells)
    assert names["codes"].shape == (60, names["model"][-1].n_components)


@pytest.mark.slow
def test_code_says_where_the_data_come_from(digits_page):
    text = " ".join(Page(digits_page).words)
    assert "X, y = load('<here>')" in text
    assert "skae <there>" in text
    assert "estimator=estimator" in text


def test_errors_of_columns_are_those_worked_out_here(odd, odd_page):
    X, y = odd
    X_train, X_test, _, _ = train_test_split(X, y, random_state=0, stratify=y)
    scaled = ((X_test - X_train.mean()) / X_train.std(ddof=0).replace(0, 1)).to_numpy()
    rows = ((X_train - X_train.mean()) / X_train.std(ddof=0).replace(0, 1)).to_numpy()
    n_codes = int(re.search("Errors with ([12])", odd_page).group(1))
    pca = PCA(n_components=n_codes).fit(rows)
    lost = np.mean((scaled - pca.inverse_transform(pca.transform(scaled))) ** 2, axis=0)
    shares = lost[:4] / scaled[:, :4].var(axis=0)
    table = odd_page.partition("<h2>Errors with")[2]
    cells = re.findall(r'<td class="name">([^<]*)</td><td>[^<]*</td><td>([^<]*%)</td>', table)
    figures = {unescape(name): figure for name, figure in cells}
    expected = dict(zip(X.columns, [f"{share:.1%}" for share in [*shares, 0.0]], strict=True))
    assert figures == expected


def test_the_pointer_shows_the_row_of_each_point(odd, odd_page):
    X, y = odd
    X_train, X_test, _, y_test = train_test_split(X, y, random_state=0, stratify=y)
    texts = [unescape(text) for text in re.findall("<title>(Held-out[^<]*)</title>", odd_page)]
    # Each row occurs once in the map of each method.
    assert len(texts) == 2 * len(X_test)
    for row, text in enumerate(texts[: len(X_test)]):
        first, target, *cells = text.split("\n")
        assert (first, target) == (f"Held-out row {row}", f"target: {y_test[row]}")
        assert [cell.rpartition(": ")[0] for cell in cells] == list(X.columns)
    # Points are ordered along the first code.
    order = [float(own) for own in re.findall('<circle cx="([^"]*)"', odd_page)[len(X_test) :]]
    scale = X_train.std().replace(0, 1)
    codes = PCA(2).fit(X_train / scale).transform(X_test / scale)
    assert abs(np.corrcoef(order, codes[:, 0])[0, 1]) > 0.999


def test_the_page_explains_the_codes(odd, odd_page):
    table = odd_page.partition("What the codes stand for")[2].partition("</table>")[0]
    rows = re.findall(r'<td>(\d)</td><td>(\d+)%</td><td class="name">([^<]*)</td>', table)
    assert [code for code, _, _ in rows] == [str(own) for own in range(len(rows))]
    assert sum(int(share) for _, share, _ in rows) == pytest.approx(100, abs=1)
    named = unescape(rows[0][2])
    assert re.search(r"[+-]\d\.\d\d", named)
    assert any(name in named for name in odd[0].columns)


def test_invalid_paths_and_shapes_of_a_page_are_refused(tmp_path, digits):
    comparison = compare_with_pca(digits[0], n_components=1, estimator=Curve())
    with pytest.raises(ValueError, match=r"must end in \.html or \.htm\. Got 'table.csv'"):
        comparison.to_html("table.csv")
    with pytest.raises(FileNotFoundError, match="existing folder"):
        comparison.to_html(tmp_path / "nowhere" / "report.html")
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(IsADirectoryError, match="must be a file"):
        comparison.to_html(tmp_path / "folder.html")
    with pytest.raises(ValueError, match="`image_shape` must have as many pixels"):
        comparison.to_html(image_shape=(3, 3))
    with pytest.raises(ValueError, match="`feature_names` must have a name for each of the 64"):
        comparison.to_html(feature_names=["a"])


def test_a_comparison_made_by_hand_has_text_and_no_page():
    result = MethodResult(2, "PCA", 0.5, 1.0, 0.75, None, 0.01, 0.001)
    comparison = PCAComparison((result,), 150, 50, 4, None)
    assert repr(comparison).endswith("none of 0 numbers of codes.")
    with pytest.raises(ValueError, match="must have `evidence`"):
        comparison.to_html()


@pytest.mark.slow
def test_rows_of_a_wide_table_are_lines(monkeypatch):
    drawn = []

    def remember(X, reconstructions, *, kind, **options):
        drawn.append(kind)
        return original(X, reconstructions, kind=kind, **options)

    original = ReconstructionDisplay.from_predictions
    monkeypatch.setattr(ReconstructionDisplay, "from_predictions", remember)
    X = np.random.default_rng(0).normal(size=(20, 250))
    comparison = compare_with_pca(X, n_components=1, estimator=Curve())
    illustrator = ArrayIllustrator(comparison, reach_verdict(comparison), ["x"] * 250, None)
    assert len(list(illustrator.draw_reconstructions())) == 2
    assert drawn == ["series", "series"]


def test_splits_that_disagree_show_no_gain(digits):
    digits = compare_with_pca(*digits, n_components=3, estimator=Curve())
    other = tuple(replace(result, error_ratio=1.1) for result in digits.results)
    sure, unsure = (replace(digits, repeats=(results,)) for results in (digits.results, other))
    assert say_verdict(reach_verdict(sure), sure) == say_verdict(reach_verdict(digits), digits)
    verdict = reach_verdict(unsure)
    assert say_verdict(verdict, unsure).startswith("No clear gain")
    scores = measure_scores(unsure, verdict.autoencoder.n_components)
    text = " ".join(explain_verdict(verdict, unsure, scores))
    assert "Ratios over 2 random splits: " in text
    assert "to 1.10 with " in text
    assert "intervals over splits" in text


def test_scores_of_draws_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    for y in (rng.normal(size=9), np.ones(9)):
        for values in (y + rng.normal(size=9), y):
            assert measure_r2(y, values) == pytest.approx(r2_score(y, values))
    y, values = rng.choice(["a", "b", "c"], (2, 9))
    assert measure_accuracy(y, values) == accuracy_score(y, values)


def test_interval_of_scores_is_that_of_nadeau_and_bengio():
    # t(0.975, 2) = 4.3027; variance 0.0001; 1 / 3 + 25 / 75.
    low, high = find_interval(np.array([0.8, 0.81, 0.82]), 25 / 75)
    assert high - 0.81 == pytest.approx(4.3027 * 0.01 * np.sqrt(2 / 3), rel=1e-4)
    assert 0.81 - low == pytest.approx(high - 0.81)


def test_ratios_close_to_zero_do_not_read_as_no_error_at_all():
    assert [format_ratio(ratio) for ratio in (0.003, 0.0, 0.996, 1.204)] == [
        "0.003",
        "0.00",
        "1.00",
        "1.20",
    ]
