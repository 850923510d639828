"""Fitted estimators in files: loaded models, errors, and information."""

import json
import os
import pickle
import sys
import warnings
from decimal import Decimal
from enum import Enum
from pathlib import Path
from uuid import UUID

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import skae
from skae import AutoencoderTransformer
from skae.__main__ import main
from skae.architectures import Architecture
from skae.base import Plain
from skae.exceptions import InconsistentVersionWarning, ModelFileError
from skae.generate import CodeSampler
from skae.modules import DenseStack
from skae.objectives import HuberLoss, Penalty
from skae.saving import read_about
from skae.sequences import SequencePadder
from skae.text import TokenSequencer

pytestmark = [
    pytest.mark.usefixtures("few_draws"),
    pytest.mark.filterwarnings("ignore::skae.exceptions.NotBetterThanPCAWarning"),
]

STORED = sorted(Path(__file__).parent.glob("format_*.skae"))


class Color(Enum):
    RED = 1
    BLUE = 2


class Wide(Architecture):
    def __init__(self, n_units=8):
        self.n_units = n_units

    def make_stacks(self, plan):
        sizes = [plan.n_features, self.n_units, plan.n_encoder_outputs]
        options = {"zero_last": plan.zero_last, "generator": plan.generator}
        encoder = DenseStack(sizes, **options)
        return encoder, DenseStack([plan.n_components, *sizes[1::-1]], **options)


class Shift(Penalty):
    def __init__(self, size=1.0):
        self.size = size

    def forward(self, module, rows, code, generator=None):
        return (code - self.size).square().mean()

    __call__ = forward


@pytest.fixture
def round_trip(tmp_path):
    def go(model, **options):
        skae.save(model, tmp_path / "model.skae")
        return skae.load(tmp_path / "model.skae", **options)

    return go


def make_autoencoder(**params):
    own = {"n_components": 2, "hidden_layer_sizes": (8,), "max_iter": 2, "random_state": 0}
    return AutoencoderTransformer(**{"early_stopping": False, **own, **params})


X = np.random.RandomState(0).normal(size=(60, 5)).cumsum(axis=1)
SAMPLES = X[:, :4].reshape(-1, 1, 2, 2)
HOLES = np.where(np.random.RandomState(1).uniform(size=X.shape) < 0.1, np.nan, X)

KINDS = {
    "dense": (make_autoencoder(dropout=0.2, normalization="batch", tied_weights=True), X),
    "folds": (make_autoencoder(early_stopping=True), X),
    "double": (make_autoencoder(dtype="float64", init="random", penalty="l1"), X),
    "loss": (make_autoencoder(loss=HuberLoss(2.0), output_range=(-9, 9)), X),
    "noise": (make_autoencoder(corruption="gaussian", penalty="contractive"), X),
    "holes": (make_autoencoder(missing="mask"), HOLES),
    "conv": (make_autoencoder(architecture="conv", hidden_layer_sizes="auto"), SAMPLES),
    "recurrent": (
        make_autoencoder(architecture="recurrent", hidden_layer_sizes="auto", dropout=0.1),
        X.reshape(-1, 5, 1),
    ),
    "variational": (
        skae.VariationalAutoencoderTransformer(2, max_iter=2, early_stopping=False, random_state=0),
        X,
    ),
    "adversarial": (skae.AdversarialAutoencoderTransformer(2, max_iter=2, random_state=0), X),
    "sparse codes": (
        skae.SparseAutoencoderTransformer(
            8, n_active=2, max_iter=2, sparse_output=False, random_state=0
        ),
        X,
    ),
}


# Others take no other path than one of the rest.
SAVED_ALIKE = {"double", "folds", "loss", "noise", "recurrent", "adversarial"}


@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=pytest.mark.slow if kind in SAVED_ALIKE else []) for kind in KINDS],
)
def test_an_autoencoder_comes_back_to_the_bit(kind, round_trip):
    estimator, rows = KINDS[kind]
    model = estimator.fit(rows)
    again = round_trip(model)
    assert type(again) is type(model)
    assert joblib.hash(again) == joblib.hash(model)
    np.testing.assert_array_equal(again.transform(rows), model.transform(rows))
    np.testing.assert_array_equal(again.score_samples(rows), model.score_samples(rows))
    once_more = round_trip(model).partial_fit(rows)
    np.testing.assert_array_equal(
        again.partial_fit(rows).transform(rows), once_more.transform(rows)
    )


def test_training_continues_as_in_a_copy_that_was_pickled(round_trip):
    model = make_autoencoder(warm_start=True, dropout=0.3).fit(X)
    found, expected = (own.fit(X) for own in (round_trip(model), pickle.loads(pickle.dumps(model))))
    assert found.best_iter_ > 0
    np.testing.assert_array_equal(found.transform(X), expected.transform(X))


def test_other_estimators_come_back(round_trip):
    tokens = np.random.RandomState(0).randint(0, 9, (40, 6))
    texts = skae.TokenAutoencoderTransformer(
        2, max_iter=1, early_stopping=False, random_state=0
    ).fit(tokens)
    np.testing.assert_array_equal(round_trip(texts).transform(tokens), texts.transform(tokens))

    frame = pd.DataFrame(HOLES, columns=list("abcde")).assign(kind=["u", "v", None] * 20)
    imputer = skae.AutoencoderImputer(2, autoencoder=make_autoencoder(), random_state=0).fit(frame)
    pd.testing.assert_frame_equal(
        pd.DataFrame(round_trip(imputer).transform(frame)), pd.DataFrame(imputer.transform(frame))
    )

    detector = skae.AutoencoderOutlierDetector(2, autoencoder=make_autoencoder()).fit(X)
    np.testing.assert_array_equal(round_trip(detector).score_samples(X), detector.score_samples(X))

    words = TokenSequencer().fit(["a good film", "bad"])
    np.testing.assert_array_equal(
        round_trip(words).transform(["good bad"]), words.transform(["good bad"])
    )
    padder = SequencePadder().fit([X[:3], X[:7]])
    np.testing.assert_array_equal(round_trip(padder).transform([X[:2]]), padder.transform([X[:2]]))


def test_conditional_models_come_back(round_trip, monkeypatch):
    monkeypatch.setitem(sys.modules, "skops", None)
    labels = np.arange(len(X)) % 2
    model = skae.VariationalAutoencoderTransformer(
        2, conditional=True, max_iter=2, random_state=0
    ).fit(X, labels)
    again = round_trip(model)
    assert joblib.hash(again) == joblib.hash(model)
    np.testing.assert_array_equal(again.sample(5, 0, y=1), model.sample(5, 0, y=1))


def test_objects_of_scikit_learn_come_back(round_trip):
    pytest.importorskip("skops")
    sampler = CodeSampler(make_autoencoder(), random_state=0).fit(X)
    np.testing.assert_array_equal(
        round_trip(sampler).sample(3, random_state=0), sampler.sample(3, random_state=0)
    )

    frame = pd.DataFrame(X, columns=list("abcde")).assign(kind=["u", "v"] * 30)
    columns = make_column_transformer(
        (make_pipeline(StandardScaler(), make_autoencoder()), list("abcde")),
        (OneHotEncoder(), ["kind"]),
    )
    pipeline = make_pipeline(columns, LogisticRegression())
    grid = {"columntransformer__pipeline__autoencodertransformer__n_components": [1, 2]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(frame, frame["kind"])
    np.testing.assert_array_equal(
        round_trip(search).predict_proba(frame), search.predict_proba(frame)
    )


@pytest.mark.parametrize("params", [{"architecture": Wide(6)}, {"penalty": Shift(0.5)}], ids=str)
def test_user_defined_classes_must_be_trusted(params, round_trip, tmp_path):
    model = make_autoencoder(hidden_layer_sizes="auto", **params).fit(X)
    (own,) = map(type, params.values())
    path = f"{own.__module__}.{own.__qualname__}"
    with pytest.raises(ModelFileError, match=rf"objects of {path}.*trusted="):
        round_trip(model)
    again = round_trip(model, trusted=[own])
    np.testing.assert_array_equal(again.transform(X), model.transform(X))


class OwnFamily(Plain):
    """A family that changes nothing."""


class OwnAutoencoder(AutoencoderTransformer):
    """An estimator with a family of its own."""

    def _make_family(self):
        return OwnFamily(**vars(super()._make_family()))


def test_parts_of_skae_in_user_defined_families_need_no_trust(round_trip):
    model = OwnAutoencoder(2, max_iter=1, early_stopping=False, random_state=0).fit(X)
    again = round_trip(model, trusted=[OwnAutoencoder, OwnFamily])
    np.testing.assert_array_equal(again.transform(X), model.transform(X))


@pytest.mark.parametrize(
    "params", [{"loss": lambda output, rows: (output - rows).abs()}, {"loss": torch.nn.L1Loss()}]
)
def test_functions_and_modules_cannot_be_saved(params, tmp_path):
    model = make_autoencoder(**params).fit(X)
    with pytest.raises(TypeError, match="only a pickle can store"):
        skae.save(model, tmp_path / "model.skae")
    assert os.listdir(tmp_path) == []


def test_categories_that_are_members_of_an_enumeration_cannot_be_saved(tmp_path):
    colors = [Color.RED, Color.BLUE] * 10
    frame = pd.DataFrame({"size": np.arange(20) ** 2.0, "color": pd.Series(colors, dtype=object)})
    model = make_autoencoder(missing="mask").fit(frame)
    with pytest.raises(TypeError, match=r"Color\.BLUE.*only a pickle can store"):
        skae.save(model, tmp_path / "model.skae")


@pytest.mark.parametrize("n_hidden", [(8,), (128, 64)])
def test_a_file_is_little_more_than_its_weights(n_hidden, tmp_path):
    model = make_autoencoder(hidden_layer_sizes=n_hidden, max_iter=25).fit(X)
    skae.save(model, tmp_path / "model.skae")
    n_bytes = sum(value.nbytes for value in model.net_.module_.state_dict().values())
    assert (tmp_path / "model.skae").stat().st_size <= n_bytes + 4096


def test_halves_take_half_the_space_and_come_back_as_single_precision(tmp_path):
    dictionary = skae.SparseAutoencoderTransformer(300, n_active=2, max_iter=1, random_state=0)
    dictionary.fit(np.tile(X, 80))
    skae.save(dictionary, tmp_path / "dictionary.skae", half=True)
    assert (tmp_path / "dictionary.skae").stat().st_size < 3 * dictionary.components_.size + 2**14
    model = make_autoencoder(hidden_layer_sizes=(300, 300)).fit(X)
    whole, half = tmp_path / "whole.skae", tmp_path / "half.skae"
    skae.save(model, whole)
    skae.save(model, half, half=True)
    assert half.stat().st_size < 0.53 * whole.stat().st_size
    again = skae.load(half)
    codes = again.transform(X)
    assert codes.dtype == np.float32
    assert all(own.dtype == torch.float32 for own in again.net_.module_.parameters())
    np.testing.assert_allclose(codes, model.transform(X), rtol=0.01, atol=0.01)
    # Half precision loses nothing the second time.
    skae.save(again, whole, half=True)
    np.testing.assert_array_equal(skae.load(whole).transform(X), codes)


def test_weights_beyond_half_precision_are_kept(tmp_path):
    model = make_autoencoder(init="random").fit(X)
    with torch.no_grad():
        model.net_.module_.encoder.linears[0].weight.mul_(1e6)
    skae.save(model, tmp_path / "model.skae", half=True)
    again = skae.load(tmp_path / "model.skae").net_.module_.encoder.linears[0].weight
    assert torch.equal(again, model.net_.module_.encoder.linears[0].weight)


def test_values_that_only_look_usual_are_kept(round_trip):
    for value in [0, False, "0.0", np.float64(0.0)]:
        again = round_trip(make_autoencoder(dropout=value))
        assert type(again.dropout) is type(value)
        assert again.dropout == value


def test_many_equal_lists_come_back(round_trip):
    lists = [list(range(9)) for _ in range(7)]
    again = round_trip(make_autoencoder(net_params={"lists": lists}))
    assert again.net_params["lists"] == lists


def test_new_defaults_do_not_reach_into_files(tmp_path, monkeypatch):
    skae.save(make_autoencoder().fit(X), tmp_path / "model.skae")
    monkeypatch.setitem(AutoencoderTransformer.__init__.__kwdefaults__, "tol", 1.0)
    assert AutoencoderTransformer().tol == 1.0
    assert skae.load(tmp_path / "model.skae").tol == 1e-4


def test_parameters_that_a_file_does_not_know_have_their_default(tmp_path):
    path = tmp_path / "model.skae"
    skae.save(make_autoencoder(tied_weights=True).fit(X), path)

    def forget(header):
        del header["model"]["object"]["state"]["tied_weights"]

    rewrite(path, forget)
    assert skae.load(path).tied_weights is False


@pytest.mark.parametrize("name", ["AutoencoderTransformer", "VariationalAutoencoderTransformer"])
def test_files_leave_out_defaults(name, tmp_path):
    model = getattr(skae, name)(2)
    skae.save(model, tmp_path / "model.skae")
    with safe_open(tmp_path / "model.skae", framework="numpy") as file:
        content = json.loads(file.metadata()["skae"])["model"]["object"]
    state = content["state"].get("map", content["state"])
    assert state["n_components"] == 2
    assert state.keys().isdisjoint({"activation", "dropout", "init", "learning_rate", "tol"})
    assert skae.load(tmp_path / "model.skae").get_params() == model.get_params()


def test_the_history_comes_back_whole(round_trip):
    model = make_autoencoder(max_iter=9, early_stopping=True).fit(np.tile(X, (40, 1)))
    history = round_trip(model).net_.history
    assert history[:, "epoch"] == list(range(1, len(history) + 1))
    least = [
        loss <= min(history[: i + 1, "train_loss"]) for i, loss in enumerate(model.loss_curve_)
    ]
    assert history[:, "train_loss_best"] == least
    assert set(history[-1]) == set(model.net_.history[-1]) - {"dur"}


@pytest.mark.parametrize("stored", STORED, ids=lambda path: path.stem)
def test_stored_files_of_all_formats_are_read(stored):
    model = skae.load(stored)
    expected = np.load(stored.with_suffix(".npy"))
    np.testing.assert_allclose(model.transform(expected[:, :4]), expected[:, 4:], atol=1e-5)
    about = read_about(stored)
    assert (about["class"], about["columns"]) == ("AutoencoderTransformer", 4)
    assert model.score(expected[:, :4]) > 0.9


def rewrite(path, change):
    """Change the header of a file, and update its digest."""
    from skae.saving._container import pack

    with safe_open(path, framework="numpy") as file:
        header = json.loads(file.metadata()["skae"])
    change(header)
    Path(path).write_bytes(pack(json.dumps(header), load_file(path)))


def set_format(header):
    header["format"] = 4


def set_class(header):
    header["model"]["object"]["kind"] = "Popen"


def set_size(header):
    header["model"]["object"]["state"]["net_"]["plan"]["hidden_layer_sizes"] = {"tuple": [10**9]}


def set_depth(header):
    sizes = {"tuple": [1] * 100_000}
    header["model"]["object"]["state"]["net_"]["plan"]["hidden_layer_sizes"] = sizes


def ask_for_code(header):
    header["model"] = {"object": {"kind": "trusted", "class": "os.system", "state": {}}}


def repeat_an_array(header):
    header["model"] = [{"array": "0/encoder.linears.0.weight"}] * 1000


def repeat_a_small_array(header):
    header["model"] = [{"array": [0, 10]}] * 1000


def leave_the_small_arrays(header):
    header["model"] = {"array": ["float64", 0, 10**12]}


HOSTILE = [
    set_format,
    set_class,
    set_size,
    set_depth,
    ask_for_code,
    repeat_an_array,
    repeat_a_small_array,
    leave_the_small_arrays,
]


def test_hostile_headers_are_refused(tmp_path):
    path = tmp_path / "model.skae"
    skae.save(make_autoencoder(hidden_layer_sizes=(300,)).fit(X), path)
    written = path.read_bytes()
    for change in HOSTILE:
        path.write_bytes(written)
        rewrite(path, change)
        with pytest.raises(ModelFileError):
            skae.load(path)


def test_foreign_files_are_refused(tmp_path):
    path = tmp_path / "model.skae"
    for content in (b"", b"GIF89a", b"\xff" * 8, (10**9).to_bytes(8, "little") + b"{}"):
        path.write_bytes(content)
        with pytest.raises(ModelFileError, match=r"written by skae\.save"):
            skae.load(path)
    save_file({"weights": np.ones(3)}, path)
    with pytest.raises(ModelFileError, match="not one written by skae"):
        skae.load(path)
    with open(path, "wb") as file:
        # The sparse file takes no space on the disk.
        file.truncate(1 << 40)
    with pytest.raises(ModelFileError):
        skae.load(path)


def test_a_missing_file_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        skae.load(tmp_path / "model.skae")


def test_info_shows_the_contents_of_a_file(tmp_path, capsys):
    path = tmp_path / "model.skae"
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d", "e\x1b[2J"])
    skae.save(make_autoencoder().fit(frame), path)
    assert main(["info", str(path)]) == 0
    printed = capsys.readouterr().out
    for part in ("AutoencoderTransformer", "60 rows", "5 columns", "a, b, c, d", "PCA"):
        assert part in printed
    assert "\x1b" not in printed


def list_composites():
    """Yield estimators that contain an autoencoder."""
    own = make_autoencoder()
    pipeline = make_pipeline(StandardScaler(), own, LogisticRegression())
    grid = {"autoencodertransformer__n_components": [1, 2]}
    yield skae.AutoencoderImputer(2, autoencoder=own, random_state=0)
    yield skae.AutoencoderOutlierDetector(2, autoencoder=own, trim=0)
    yield CodeSampler(own)
    yield pipeline
    yield make_union(own, PCA(1))
    yield make_column_transformer((own, slice(0, 5)))
    yield GridSearchCV(pipeline, grid, cv=2)


@pytest.mark.mostly_slow(3)
@pytest.mark.parametrize("model", list(list_composites()), ids=lambda model: type(model).__name__)
def test_info_shows_the_autoencoder_inside_a_model(model, tmp_path, capsys):
    pytest.importorskip("skops")
    skae.save(model.fit(X, X[:, 0] > 0), tmp_path / "model.skae")
    about = read_about(tmp_path / "model.skae")
    (part,) = about["parts"]
    assert about["columns"] == part["columns"] == 5
    assert part["rows"] == 60
    assert part["pca_error"] >= part["error"] > 0
    assert main(["info", str(tmp_path / "model.skae")]) == 0
    printed = capsys.readouterr().out
    for words in (type(model).__name__, "holds AutoencoderTransformer, fitted 20", "(PCA: "):
        assert words in printed


def test_info_shows_when_a_model_was_fitted(tmp_path, monkeypatch):
    path, times = tmp_path / "model.skae", iter(["2026-01-02T03:04:05+00:00", "2027-01-01"])
    monkeypatch.setattr("skae._estimators.base.tell_time", lambda: next(times))
    model = make_autoencoder().fit(X)
    skae.save(model, path)
    for _ in range(2):
        assert read_about(path)["fitted"] == "2026-01-02T03:04:05+00:00"
        assert read_about(path)["saved"] > "2026-01-02T03:04:05+00:00"
        skae.save(skae.load(path), path)
    assert joblib.hash(make_autoencoder().fit(X)) == joblib.hash(model)


def test_pipelines_of_skae_steps_need_no_skops(tmp_path, monkeypatch):
    texts = ["a good film", "a bad film", "no film at all", "good"] * 5
    model = make_pipeline(
        TokenSequencer(), skae.TokenAutoencoderTransformer(2, max_iter=1, random_state=0)
    ).fit(texts)
    monkeypatch.setitem(sys.modules, "skops", None)
    monkeypatch.setitem(sys.modules, "skops.io", None)
    skae.save(model, tmp_path / "model.skae", half=True)
    again = skae.load(tmp_path / "model.skae")
    assert [name for name, _ in again.steps] == [name for name, _ in model.steps]
    np.testing.assert_allclose(again.transform(texts), model.transform(texts), atol=0.01)
    assert len(again.inverse_transform(again.transform(texts))) == len(texts)


def test_cards_come_back(tmp_path):
    card = {"data": "noise", "figures": {"error": 0.25, "rows": [1, 2]}, "Größe": None}
    skae.save(make_autoencoder().fit(X), tmp_path / "model.skae", card=card)
    assert read_about(tmp_path / "model.skae")["card"] == card


NO_CARDS = {
    "text": "text",
    "number as name": {1: "a"},
    "array": {"a": X},
    "nan": {"a": np.nan},
    "object": {"a": object()},
}


def test_cards_of_other_values_are_refused(tmp_path):
    for card in list(NO_CARDS.values()):
        with pytest.raises(TypeError, match="`card` must be a dictionary of texts"):
            skae.save(make_autoencoder(), tmp_path / "model.skae", card=card)
        assert os.listdir(tmp_path) == []


def test_other_versions_warn_where_wanted(tmp_path):
    path = tmp_path / "model.skae"
    skae.save(make_autoencoder().fit(X), path)
    rewrite(path, lambda header: header["about"]["versions"].update(torch="1.0"))
    with pytest.warns(InconsistentVersionWarning, match=r"torch 1\.0"):
        skae.load(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        skae.load(path, compare_versions=False)


def test_info_of_a_foreign_file_is_one_line(tmp_path, capsys):
    (tmp_path / "model.skae").write_bytes(b"GIF89a")
    assert main(["info", str(tmp_path / "model.skae")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_pipes_are_refused_as_files_of_estimators(tmp_path):
    os.mkfifo(tmp_path / "model.skae")
    with pytest.raises(ModelFileError, match="Got a pipe or a device"):
        skae.load(tmp_path / "model.skae")


def test_categories_of_every_type_are_saved(tmp_path):
    days = pd.date_range("2024-01-01", periods=3)
    kinds = {
        "bytes": [b"a", b"b", b"c"],
        "dates": [day.date() for day in days],
        "decimals": [Decimal("1.5"), Decimal(2), Decimal(3)],
        "sets": [frozenset(text) for text in ("", "a", "ba")],
        "identities": [UUID(int=i) for i in range(3)],
        "intervals": pd.interval_range(0, 3),
        "months": pd.period_range("2024-01", periods=3, freq="M"),
        "spans": pd.IntervalIndex.from_breaks(pd.date_range("2024-01-01", periods=4)),
        "durations": days - days[0],
        "moments": days.tz_localize("Europe/Berlin"),
        "offsets": pd.to_datetime([f"2024-01-0{i}T00:00:00.000000001+02:00" for i in (1, 2, 3)]),
    }
    numbers = np.arange(30.0) % 3
    frame = pd.DataFrame({"number": numbers})
    for name, values in kinds.items():
        frame[name] = pd.Categorical.from_codes(numbers.astype(int), categories=values)
    model = AutoencoderTransformer(2, max_iter=1, early_stopping=False, random_state=0).fit(frame)
    skae.save(model, tmp_path / "model.skae")
    loaded = skae.load(tmp_path / "model.skae")
    codes = model.transform(frame)
    np.testing.assert_array_equal(loaded.transform(frame), codes)
    found, expected = loaded.inverse_transform(codes), model.inverse_transform(codes)
    # For pandas, types differ if the elements of equal sets come in another order.
    assert list(found.pop("sets")) == list(expected.pop("sets"))
    assert found.equals(expected)


def test_labels_that_are_dates_are_saved(tmp_path):
    labels = np.array(["2024-01-01", "2024-01-02"] * 20, "M8[D]")
    X = np.random.default_rng(0).normal(size=(40, 3))
    model = skae.VariationalAutoencoderTransformer(1, conditional=True, max_iter=1).fit(X, labels)
    skae.save(model, tmp_path / "model.skae")
    np.testing.assert_array_equal(skae.load(tmp_path / "model.skae").classes_, labels[:2])
