"""Models that come with skae, and folders of models."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import roc_auc_score

import skae
from skae.__main__ import main
from skae.exceptions import ModelFileError
from skae.zoo._models import BUILT_IN

pytestmark = pytest.mark.filterwarnings("ignore::skae.exceptions.NotBetterThanPCAWarning")

NAMES = skae.zoo.list_models()
KINDS = {
    "TF-IDF", "adversarial", "beta", "conditional", "contractive", "convolutional", "deep", "dense",
    "denoising", "detector", "imputer", "inpainting", "recurrent", "sparse", "spectra", "tokens",
    "variational",
}  # fmt: skip
X = np.random.RandomState(0).normal(size=(60, 5)).cumsum(axis=1)
ROOT = Path(__file__).parent.parent.parent


def fit_small(**params):
    return skae.AutoencoderTransformer(2, max_iter=2, random_state=0, **params).fit(X)


def test_there_is_a_model_of_each_kind():
    assert {skae.zoo.read_about(name)["card"]["kind"] for name in NAMES} == KINDS


def test_all_models_take_12_megabytes_at_most():
    sizes = [path.stat().st_size for path in BUILT_IN.path.iterdir()]
    assert sum(sizes) <= 12e6


def test_cards_describe_data_licence_input_and_recipe():
    for name in NAMES:
        card = skae.zoo.read_about(name)["card"]
        for entry in ("title", "kind", "data", "licence", "input", "recipe"):
            assert card[entry], name
        assert len(card["figures"]) >= 3
        script, recipe = card["recipe"].split()
        assert recipe == name
        assert (ROOT / script).is_file()
        assert (ROOT / "docs" / "_static" / "zoo" / f"{name}.png").stat().st_size < 60_000


def make_rows(name):
    about = skae.zoo.read_about(name)
    if "reviews-tokens" in name:
        return ["a good film with an end", "the plot is thin"]
    if "recurrent" in name:
        return [np.full((12, 16), -3.0), np.full((25, 16), -2.0)]
    rows = np.random.default_rng(0).uniform(size=(3, about["columns"]))
    return rows.reshape(-1, 1, 28, 28) if "conv" in name else rows


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("error")
def test_models_load_and_compute(name):
    model, rows = skae.zoo.load(name), make_rows(name)
    if name == "cancer-detector":
        assert np.isfinite(model.score_samples(rows)).all()
        return
    codes = model.transform(rows)
    assert codes.shape[0] == len(rows)
    assert np.isfinite(codes.data if name.startswith("mnist-sparse") else codes).all()
    if name != "cancer-imputer":
        assert len(model.inverse_transform(codes)) == len(rows)


def test_figures_are_those_of_the_cards():
    digits = load_digits().data[1200:]
    model = skae.zoo.load("digits-dense-8")
    figures = skae.zoo.read_about("digits-dense-8")["card"]["figures"]
    error = np.square(model.inverse_transform(model.transform(digits)) - digits).mean()
    assert error == pytest.approx(figures["squared error per cell"], rel=1e-3)
    assert error < figures["PCA of as many codes"]

    X, y = load_breast_cancer(return_X_y=True)
    test = np.random.default_rng(0).permutation(len(y))[380:]
    scores = skae.zoo.load("cancer-detector").score_samples(X[test])
    areas = skae.zoo.read_about("cancer-detector")["card"]["figures"]["area under the ROC curve"]
    area = roc_auc_score(y[test] == 0, -scores)
    assert area == pytest.approx(areas["AutoencoderOutlierDetector"], abs=2e-3)


@pytest.mark.slow
@pytest.mark.needs_data("mnist.npz")
def test_models_of_mnist_are_as_good_as_they_say():
    images = skae.datasets.load_mnist().X_test[:1000]
    for name in ("mnist-dense-64", "mnist-deep-30", "mnist-variational-16"):
        model, card = skae.zoo.load(name), skae.zoo.read_about(name)["card"]
        error = np.square(model.inverse_transform(model.transform(images)) - images).mean()
        assert error == pytest.approx(card["figures"]["squared error per cell"], rel=0.1)


def test_training_continues_from_a_model_of_the_zoo():
    moved = np.roll(load_digits().images, 1, axis=2).reshape(-1, 64)
    model = skae.zoo.load("digits-dense-8")
    before = model.score(moved[1200:])
    model.set_params(warm_start=True, max_iter=20, learning_rate_init=0.003, early_stopping=False)
    assert model.fit(moved[:100]).score(moved[1200:]) > before + 0.1


def test_every_load_returns_a_new_model():
    one = skae.zoo.load("digits-dense-8").set_params(max_iter=1)
    assert skae.zoo.load("digits-dense-8") is not one
    assert skae.zoo.load("digits-dense-8").max_iter != 1


@pytest.mark.parametrize("name", ["mnist-dens-64", "../zoo/models/mnist-dense-64", "", None])
def test_unknown_names_are_refused_with_names_like_them(name):
    with pytest.raises(
        ValueError, match=r"`name` must be the name of a model in .* mnist-dense-64"
    ):
        skae.zoo.load(name)


def test_folders_hold_models(tmp_path):
    folder = skae.zoo.Folder(tmp_path / "models")
    with pytest.raises(FileNotFoundError):
        folder.list_models()
    model = fit_small()
    folder.save(model, "found", card={"data": "noise", "figures": {"error": 1.5, "rows": [1, 2]}})
    folder.save(model, "other", half=True)
    (folder.path / "notes.txt").write_text("no model")
    assert folder.list_models() == ["found", "other"]
    np.testing.assert_array_equal(folder.load("found").transform(X), model.transform(X))
    assert folder.read_about("found")["card"]["figures"] == {"error": 1.5, "rows": [1, 2]}
    assert "card" not in folder.read_about("other")


@pytest.mark.parametrize("name", ["", "../found", "a/b", "a\\b", ".hidden"])
def test_names_with_folders_are_refused(name, tmp_path):
    with pytest.raises(ValueError, match="without its suffix"):
        skae.zoo.Folder(tmp_path).save(fit_small(), name)
    assert list(tmp_path.iterdir()) == []


def test_files_of_others_are_read_with_care(tmp_path):
    (tmp_path / "bad.skae").write_bytes(b"GIF89a")
    with pytest.raises(ModelFileError):
        skae.zoo.Folder(tmp_path).load("bad")


def test_the_command_lists_and_describes_models(capsys, tmp_path):
    assert main(["zoo"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == NAMES
    assert main(["zoo", "mnist-dense-64"]) == 0
    printed = capsys.readouterr().out
    for part in ("AutoencoderTransformer", "20000 rows, 784 columns", "64 codes", "CC BY-SA"):
        assert part in printed
    assert main(["zoo", "--folder", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"No models in {tmp_path}\n"
    skae.zoo.Folder(tmp_path).save(fit_small(), "found", card={"title": "a \x1b[31mred model"})
    assert main(["zoo", "--folder", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("found  a ")
    assert "\x1b" not in printed
    assert main(["zoo", "nothing"]) == 2
    assert "nothing" in capsys.readouterr().err


@pytest.mark.slow
def test_recipes_make_the_models(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "zoo")
    spec = importlib.util.spec_from_file_location("cancer", ROOT / "zoo" / "cancer.py")
    recipes = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recipes)
    rows = load_breast_cancer().data
    expected = skae.zoo.load("cancer-detector").score_samples(rows)
    np.testing.assert_allclose(
        recipes.make_detector()[0].score_samples(rows), expected, rtol=0.01, atol=0.01
    )


def test_the_page_shows_every_model():
    page = (ROOT / "docs" / "zoo.md").read_text(encoding="utf-8")
    for name in NAMES:
        assert f"### {name}\n" in page
        assert f"(_static/zoo/{name}.png)" in page


def test_texts_become_codes_as_the_card_says():
    card = skae.zoo.read_about("reviews-tfidf-32")["card"]
    vectorizer = TfidfVectorizer(sublinear_tf=True, vocabulary=card["vocabulary"])
    vectorizer.idf_ = np.array(card["idf"])
    rows = vectorizer.transform(["a funny film with a good script", "the war, the war", ""])
    model = skae.zoo.load("reviews-tfidf-32")
    assert rows.shape == (3, model.n_features_in_)
    codes = model.transform(rows)
    assert np.linalg.norm(codes[0] - codes[1]) > 0.1
    words = np.array(card["vocabulary"])[model.inverse_transform(codes)[1].argsort()[-20:]]
    assert "war" in words
