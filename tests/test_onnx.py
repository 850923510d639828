"""Models exported to ONNX agree with the originals."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
import skl2onnx
import torch
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    RobustScaler,
    StandardScaler,
)

import skae
from skae import (
    AdversarialAutoencoderTransformer,
    AutoencoderImputer,
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    SparseAutoencoderTransformer,
    TokenAutoencoderTransformer,
    VariationalAutoencoderTransformer,
)
from skae.architectures import Recurrent
from skae.exceptions import ExportError
from skae.onnx._branches import add_branch_
from skae.onnx._programs._program import make_program

pytestmark = pytest.mark.filterwarnings("ignore::skae.exceptions.SkaeWarning")

SMALL = {"n_components": 3, "hidden_layer_sizes": (8,), "max_iter": 2, "random_state": 0}
QUICK = SMALL | {"early_stopping": False}
# Without PCA, programs are short, as there is nothing to return to for far rows.
SHORT = QUICK | {"init": "random"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.onnx"


def run(path, inputs, **outputs):
    """Return the outputs of a file in ONNX Runtime."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def list_operators_run(path, rows):
    """Return the operators that ONNX Runtime runs for rows."""
    options = onnxruntime.SessionOptions()
    options.enable_profiling, options.profile_file_prefix = True, str(path)
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    session.run(None, {"X": rows})
    events = json.loads(Path(session.end_profiling()).read_text())
    return [own["args"]["op_name"] for own in events if own["name"].endswith("_kernel_time")]


def test_only_rows_that_are_listed_take_a_branch(path):
    graph = onnx.parser.parse_graph("""
        main (float[n, 2] X) => (float[n, 2] y, float[n, 2] y, int64[m] far)
        <float[2] w = {1, 2}, int64[1] axis = {1}, int64[1] first = {0}>
        {
            y = Mul(X, w)
            sizes = ReduceSum <keepdims = 0> (X, axis)
            is_far = Cast <to = 9> (sizes)
            places = NonZero(is_far)
            far = Squeeze(places, first)
        }
    """)
    other = onnx.parser.parse_graph("""
        other (float[n, 2] X) => (float[n, 2] y, float[n, 2] z)
        <float[2] v = {1, 2}> { y = Add(X, v)
            z = Sub(X, v) }
    """)
    add_branch_(graph, other)
    assert [own.name for own in graph.initializer] == ["w", "axis", "first"]
    opsets = [onnx.helper.make_opsetid("", 18)]
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    rows = np.array([[5, -5], [3, 4], [0, 0], [1, 0]], dtype=np.float32)
    added, subtracted = run(path, {"X": rows}).values()
    np.testing.assert_array_equal(added, [[5, -10], [4, 6], [0, 0], [2, 2]])
    np.testing.assert_array_equal(subtracted, [[5, -10], [2, 2], [0, 0], [0, -2]])
    for n_rows in (0, 1):
        found = run(path, {"X": rows[:n_rows]})
        np.testing.assert_array_equal(found["joined_1"], rows[:n_rows] * [1, 2])
        assert "GatherND" not in list_operators_run(path, rows[:n_rows])
    assert list_operators_run(path, rows).count("ScatterND") == 2


@pytest.mark.slow
def test_only_odd_and_far_rows_run_what_they_alone_need(path):
    rng = np.random.default_rng(0)
    X = np.cos(rng.uniform(0, 6, (500, 1)) + np.arange(8)) + 0.05 * rng.normal(size=(500, 8))
    X[:5] = [0, 0, 0, 0, 0, 0, 0, 9]
    model = AutoencoderTransformer(2, max_iter=30, early_stopping=False, random_state=0).fit(X)
    known, odd, far = X[5:105], X[5:105].copy(), X[5:105] + 2
    odd[::2, 7] = 7
    with model.net_.module_.reach.keep_odd_cells():
        assert np.abs(model.transform(odd) - model.transform(known)).max() > 1e-3
    improved = model.transform(far)
    improving, model.net_.module_.reach.improving = model.net_.module_.reach.improving, None
    assert np.abs(model.transform(far) - improved).max() > 0.1
    model.net_.module_.reach.improving = improving
    skae.to_onnx(model, path, methods=["transform", "reconstruct"])
    for rows in (odd, odd[1::2], odd[:1], odd[:0], far, far[:1], np.vstack([far, odd, known])):
        found = run(path, {"X": rows})
        codes = model.transform(rows) if len(rows) else rows[:, :2]
        expected = model.inverse_transform(codes) if len(rows) else rows
        np.testing.assert_allclose(found["transform"], codes, atol=1e-4)
        np.testing.assert_allclose(found["reconstruct"], expected, atol=1e-4)
    n_run = [len(list_operators_run(path, rows)) for rows in (known, known[:0], odd, far)]
    assert max(n_run[:2]) < 100
    # Only far rows have a search for better codes.
    assert 200 < n_run[2] < n_run[3] / 2


def make_frame(n_rows):
    """Return a typical data frame, and labels."""
    source = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": source.integers(18, 90, n_rows),
            "income": source.lognormal(10, 1, n_rows),
            "time": 1.7e9 + source.uniform(0, 1e6, n_rows),
            "city": source.choice(["Lima", "Oslo", "Rome"], n_rows),
            "member": source.random(n_rows) < 0.3,
        }
    )
    labels = np.where(frame["age"] / 50 + source.normal(size=n_rows) > 1, "yes", "no")
    frame.loc[::7, "income"] = np.nan
    frame.loc[::11, "city"] = np.nan
    return frame, labels


def make_preprocessing():
    numbers = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    cities = make_pipeline(
        SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")
    )
    return ColumnTransformer(
        [
            ("numbers", numbers, ["age", "income", "time"]),
            ("cities", cities, ["city"]),
            ("rest", "passthrough", ["member"]),
        ],
        sparse_threshold=0,
    )


def as_inputs(frame):
    """Return a frame as the docstring describes the inputs."""
    return {
        name: frame[name].fillna("nan").to_numpy(object)[:, None]
        if name == "city"
        else frame[name].to_numpy(np.float64)[:, None]
        for name in frame
    }


@pytest.mark.slow
def test_a_pipeline_with_a_column_transformer_and_a_classifier(path):
    frame, labels = make_frame(10_000)
    model = make_pipeline(make_preprocessing(), AutoencoderTransformer(**SMALL))
    model = make_pipeline(model, LogisticRegression()).fit(frame[:500], labels[:500])
    assert list(skae.to_onnx(model, path, check=frame[:50])) == ["predict", "predict_proba"]
    found = run(path, as_inputs(frame))
    assert np.abs(found["predict_proba"] - model.predict_proba(frame)).max() <= 1e-5
    assert (found["predict"] == model.predict(frame)).all()
    stored = onnx.load(path)
    assert {own.domain: own.version for own in stored.opset_import} == {"": 18, "ai.onnx.ml": 2}
    assert {node.domain for node in stored.graph.node} == {"", "ai.onnx.ml"}
    assert not stored.functions


@pytest.mark.slow
def test_outputs_of_a_step_before_the_last(path):
    frame, labels = make_frame(300)
    model = Pipeline(
        [
            ("columns", make_preprocessing()),
            ("encoder", AutoencoderTransformer(**SMALL)),
            ("classifier", LogisticRegression()),
        ]
    ).fit(frame, labels)
    methods = ["encoder__transform", "encoder__score_samples", "predict_proba"]
    assert set(skae.to_onnx(model, path, methods=methods, check=frame[:50])) == set(methods)
    found, rows = run(path, as_inputs(frame)), model["columns"].transform(frame)
    expected = {
        "predict_proba": model.predict_proba(frame),
        "encoder__transform": model["encoder"].transform(rows),
        "encoder__score_samples": model["encoder"].score_samples(rows),
    }
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("encoder__transform", r"one of \['autoencodertransformer', 'ridge'\]. Got 'encoder'"),
        ("autoencodertransformer__predict", "the methods of AutoencoderTransformer that can be"),
    ],
)
def test_a_step_or_method_that_is_not_there_is_named(method, message, images, path):
    X = images[:, 8:32]
    model = make_pipeline(AutoencoderTransformer(**QUICK), Ridge()).fit(X, X[:, 0])
    with pytest.raises(ValueError, match=message):
        skae.to_onnx(model, path, methods=["predict", method], check=X)


METHODS = ["transform", "reconstruct", "score_samples", "reconstruction_errors"]


@pytest.mark.slow
def test_all_methods_of_an_autoencoder_near_and_far(images, path):
    X = images.astype(np.float64) * 1e3 + 1.7e9
    model = AutoencoderTransformer(**SMALL).fit(X)
    differences = skae.to_onnx(model, path, methods=METHODS)
    assert max(differences.values()) <= 2e-5
    rows = X.copy()
    # Beyond the known range, the model becomes PCA.
    rows[::3, ::5] += 2e4
    found = run(path, {"X": rows})
    codes = model.transform(rows)
    assert np.abs(found["transform"] - codes).max() <= 1e-5 * np.abs(codes).max()
    deviations = model.inverse_transform(codes) - 1.7e9
    assert np.abs(found["reconstruct"] - 1.7e9 - deviations).max() <= 1e-5 * abs(deviations).max()
    np.testing.assert_allclose(found["score_samples"], model.score_samples(rows), rtol=1e-4)
    errors = model.reconstruction_errors(rows)
    np.testing.assert_allclose(
        found["reconstruction_errors"], errors, rtol=1e-3, atol=1e-6 * errors.max()
    )
    for n_rows in (1, 2, 7):
        np.testing.assert_allclose(
            run(path, {"X": rows[:n_rows]})["transform"], found["transform"][:n_rows], rtol=1e-4
        )


@pytest.mark.slow
def test_skl2onnx_converts_pipelines_with_skae_steps(images):
    import skae.onnx  # noqa: F401

    X = images[:, 8:32]
    model = make_pipeline(MinMaxScaler(), AutoencoderTransformer(**SHORT), Ridge())
    model.fit(X, X[:, 0])
    options = {AutoencoderTransformer: {"methods": ["transform"]}}
    exported = skl2onnx.to_onnx(model, X[:1].astype(np.float32), options=options)
    session = onnxruntime.InferenceSession(exported.SerializeToString())
    (found,) = session.run(None, {"X": X.astype(np.float32)})
    np.testing.assert_allclose(found[:, 0], model.predict(X), atol=1e-4)


def test_a_model_that_differs_is_not_written(images, path, monkeypatch):
    monkeypatch.setattr("skae.onnx._check.TOLERANCE", -1.0)
    path.write_bytes(b"before")
    with pytest.raises(ExportError, match="must agree with the original to .* in 'transform'"):
        skae.to_onnx(PCA(2).fit(images), path, check=images)
    assert path.read_bytes() == b"before"
    assert [own.name for own in path.parent.iterdir()] == [path.name]


def test_categories_of_scikit_learn_that_are_missing_or_numbers(path):
    frame, _ = make_frame(60)
    frame["age"] //= 20
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    columns = [("categories", encoder, ["city", "age"]), ("numbers", "passthrough", ["time"])]
    model = ColumnTransformer(columns).fit(frame)
    skae.to_onnx(model, path, check=frame)
    found = run(path, as_inputs(frame))["transform"]
    np.testing.assert_array_equal(found, model.transform(frame))


@pytest.mark.filterwarnings("ignore:Skipping features without any observed values")
@pytest.mark.filterwarnings("ignore:Currently, when `keep_empty_feature=False`:FutureWarning")
def test_imputers_of_scikit_learn_in_double_precision(path):
    for imputer in [
        SimpleImputer(),
        SimpleImputer(strategy="median", add_indicator=True),
        SimpleImputer(missing_values=-1.0, strategy="constant", fill_value=7.0),
        SimpleImputer(keep_empty_features=True),
    ]:
        source = np.random.default_rng(0)
        X = 1.7e9 + source.normal(size=(30, 4))
        gap = -1.0 if imputer.missing_values == -1.0 else np.nan
        X[source.random(X.shape) < 0.3] = gap
        X[:, 2] = gap
        model = make_pipeline(clone(imputer), StandardScaler())
        model.fit(X)
        assert skae.to_onnx(model, path, check=X)["transform"] < 1e-9
        np.testing.assert_allclose(run(path, {"X": X})["transform"], model.transform(X), atol=1e-9)


@pytest.mark.slow
def test_pipelines_in_double_precision_stay_in_it_and_take_no_rows(images, path):
    # Steps that pass rows on are left out.
    model = make_pipeline(
        "passthrough",
        make_pipeline(None, StandardScaler(with_std=False)),
        AutoencoderTransformer(**QUICK, dtype="float64"),
    ).fit(images)
    differences = skae.to_onnx(model, path, methods=METHODS)
    # The rows that are drawn for the comparison are larger than those of the fit.
    assert max(differences.values()) < 1e-8
    found, codes = run(path, {"X": images.astype(np.float64)}), model.transform(images)
    np.testing.assert_allclose(found["transform"], codes, rtol=0, atol=1e-12)
    decoded = model.inverse_transform(codes)
    np.testing.assert_allclose(found["reconstruct"], decoded, rtol=0, atol=1e-12)
    scores = model.score_samples(images)
    np.testing.assert_allclose(found["score_samples"], scores, rtol=0, atol=1e-12)
    found = run(path, {"X": images[:0].astype(np.float64)})
    assert {name: own.shape[0] for name, own in found.items()} == dict.fromkeys(METHODS, 0)
    assert found["transform"].shape == (0, SMALL["n_components"])


REFUSED = {
    "a step that skl2onnx does not know": (
        make_pipeline(FunctionTransformer(np.sqrt), PCA(2)),
        {},
        "cannot be exported to ONNX: ",
    ),
    "rows that are not known": (
        make_pipeline(PCA(4), AutoencoderTransformer(**QUICK)),
        {"check": None, "methods": ["reconstruct"]},
        "`check` must be rows|Steps before the autoencoder must be StandardScaler",
    ),
    "rows before an imputer": (
        make_pipeline(SimpleImputer(), AutoencoderTransformer(**QUICK)),
        {"check": None},
        "`check` must be rows, such as some of the training rows",
    ),
    "a reconstruction through PCA": (
        make_pipeline(PCA(4), AutoencoderTransformer(**QUICK)),
        {"methods": ["reconstruct"]},
        "Steps before the autoencoder must be StandardScaler",
    ),
    "a method that there is not": (
        AutoencoderTransformer(**QUICK),
        {"methods": ["predict"]},
        "`methods` must be among transform, .* Got .'predict'.",
    ),
    "codes and rows at once": (
        AutoencoderTransformer(**QUICK),
        {"methods": ["transform", "inverse_transform"]},
        "must not combine 'inverse_transform'",
    ),
    "a method that a classifier has not": (
        LogisticRegression(),
        {"methods": ["transform"]},
        "`methods` must be among predict, predict_proba",
    ),
}


def test_refusals_give_the_reason(images, path):
    for case in REFUSED:
        model, params, message = REFUSED[case]
        X = images[:, 8:32]
        model = clone(model).fit(X, X[:, 3] > 0.5)
        with pytest.raises(ValueError, match=message):
            skae.to_onnx(model, path, **{"check": X, **params})
        assert not path.exists()


def test_text_that_needs_operators_beyond_the_standard_is_refused(path):
    model = CountVectorizer().fit(["a film", "a good film"])
    with pytest.raises(ExportError, match="standard operators of ONNX. Got a step that needs"):
        skae.to_onnx(model, path, check=["a film", "no"])


@pytest.mark.slow
def test_sparse_codes(images, path):
    rows = images[:60, 20:30]
    model = SparseAutoencoderTransformer(12, n_active=3, max_iter=2, random_state=0).fit(rows)
    skae.to_onnx(model, path, methods=METHODS, check=rows)
    codes = model.transform(rows).toarray()
    far = 1e4 * rows
    for some in (rows[:1], rows[:2], rows, far):
        found = run(path, {"X": some})
        expected = model.transform(some).toarray()
        np.testing.assert_allclose(found["transform"], expected, rtol=1e-4, atol=1e-5)
    assert found["transform"].dtype == codes.dtype
    skae.to_onnx(model, path, methods="inverse_transform", check=rows)
    found = run(path, {"X": codes})["inverse_transform"]
    np.testing.assert_allclose(found, model.inverse_transform(codes), rtol=1e-5, atol=1e-5)


def test_autoencoders_of_frames_with_several_kinds_of_columns_are_refused(path):
    frame = pd.DataFrame({"number": np.arange(40) ** 2, "kind": ["a", "b"] * 20})
    model = AutoencoderTransformer(**QUICK | {"n_components": 1}).fit(frame)
    with pytest.raises(ExportError, match="must be fitted to numbers to be exported"):
        skae.to_onnx(model, path, check=frame)


def test_an_imputer_of_categories_is_refused(path):
    frame, _ = make_frame(60)
    template = AutoencoderTransformer(**QUICK)
    model = AutoencoderImputer(autoencoder=template, random_state=0).fit(frame)
    with pytest.raises(ExportError, match="AutoencoderImputer must be fitted to numbers"):
        skae.to_onnx(model, path, check=frame)


def test_importing_skae_imports_no_onnx():
    code = """
import sys, skae
names = "onnx", "onnxruntime", "onnxscript", "skl2onnx"
assert not set(names) & set(sys.modules), sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_unknown_names_of_the_package_are_errors():
    with pytest.raises(AttributeError, match="module 'skae' has no attribute 'to_onxn'"):
        skae.to_onxn  # noqa: B018


# Exports take seconds, so the following tests are slow.

CONV = {"architecture": "conv", "sample_shape": (1, 4, 6), "hidden_layer_sizes": "auto"}
GRU = {"architecture": "recurrent", "sample_shape": (4, 6)}
LSTM = {"architecture": Recurrent(cell="lstm", bidirectional=True), "sample_shape": (4, 6)}
MASK = {"missing": "mask"}
KINDS = {
    "random": AutoencoderTransformer(init="random"),
    "binary": AutoencoderTransformer(loss="binary_cross_entropy"),
    "counts": AutoencoderTransformer(loss="poisson"),
    "bounds": AutoencoderTransformer(output_range=(0, 1)),
    "double": AutoencoderTransformer(dtype="float64"),
    "gelu": AutoencoderTransformer(activation="gelu", whiten=True),
    "batch norm": AutoencoderTransformer(normalization="batch", dropout=0.2),
    "tied": AutoencoderTransformer(normalization="layer", tied_weights=True),
    "denoising": AutoencoderTransformer(corruption="masking"),
    "variational": VariationalAutoencoderTransformer(),
    "bernoulli": VariationalAutoencoderTransformer(likelihood="bernoulli"),
    "adversarial": AdversarialAutoencoderTransformer(),
    "conv": AutoencoderTransformer(normalization="batch", **CONV),
    "gru": AutoencoderTransformer(**GRU),
    "lstm": AutoencoderTransformer(**LSTM),
    "mask": AutoencoderTransformer(**MASK),
    "mask variational": VariationalAutoencoderTransformer(**MASK),
    "mask conv": AutoencoderTransformer(**CONV, **MASK),
    "mask gru": AutoencoderTransformer(**GRU, **MASK),
}


def fit_kind(name, images):
    rows = images[:, 8:32].copy()
    if "mask" in name:
        rows[np.random.default_rng(0).random(rows.shape) < 0.1] = np.nan
        # A sequence that ends early, and one without any cell; none has the last steps.
        rows[3, 12:] = rows[4] = rows[:, 18:] = np.nan
        if "gru" not in name:
            rows[:2, 18:] = 0.5
    params = {key: value for key, value in SMALL.items() if "conv" not in name or key[0] != "h"}
    return clone(KINDS[name]).set_params(**params).fit(rows), rows


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_all_kinds_and_all_their_methods(name, images, path):
    model, rows = fit_kind(name, images)
    methods = [*METHODS, *(["posterior_std"] if hasattr(model, "posterior_std") else [])]
    assert set(skae.to_onnx(model, path, methods=methods)) == set(methods)
    found, codes = run(path, {"X": rows}), model.transform(rows)
    np.testing.assert_allclose(found["transform"], codes, atol=2e-5, rtol=2e-5)
    assert {len(own) for own in run(path, {"X": rows[:0]}).values()} == {0}
    skae.to_onnx(model, path, methods="inverse_transform")
    np.testing.assert_allclose(
        run(path, {"X": codes})["inverse_transform"], model.inverse_transform(codes), atol=2e-5
    )


@pytest.mark.slow
def test_samples_keep_their_axes(images, path):
    X = images[:, 8:32].reshape(-1, 1, 4, 6).astype(np.float32)
    params = SHORT | {"architecture": "conv", "hidden_layer_sizes": "auto"}
    model = AutoencoderTransformer(**params).fit(X)
    skae.to_onnx(model, path, methods=["reconstruct"], check=X)
    (found,) = run(path, {"X": X}).values()
    assert found.shape == X.shape
    assert found.dtype == np.float32


@pytest.mark.slow
def test_reconstructions_in_units_before_the_scalers(images, path):
    X = images[:, 20:32] * 5 + 3
    scalers = make_pipeline(
        StandardScaler(with_mean=False),
        RobustScaler(),
        MinMaxScaler((-3, 2)),
        MaxAbsScaler(),
        StandardScaler(),
    )
    model = make_pipeline(scalers, AutoencoderTransformer(**SHORT)).fit(X)
    skae.to_onnx(model, path, methods=["reconstruct", "transform"])
    codes = model.transform(X)
    expected = model.inverse_transform(codes)
    np.testing.assert_allclose(run(path, {"X": X})["reconstruct"], expected, atol=1e-4)
    skae.to_onnx(model, path, methods=["inverse_transform"])
    np.testing.assert_allclose(
        run(path, {"X": codes})["inverse_transform"], expected, atol=1e-4, rtol=1e-5
    )


def use_neighbors_(model, X):
    """Let an imputer fill with a network, a linear model and neighbours, whatever was best."""
    used = model._find_used()
    model._neighbors = np.nan_to_num(model._encoding.encode(list(X[:, used].T)))
    model._neighbors_have = ~np.isnan(X[:, used])
    model.learned_share_, model.neighbor_share_ = 0.5, 0.6


@pytest.mark.slow
@pytest.mark.parametrize("missing", [True, False])
def test_imputers_of_numbers(missing, wine, path):
    X, _ = wine
    X = X.copy()
    X[np.random.default_rng(0).random(X.shape) < 0.2] = np.nan
    X[:, 4] = np.nan
    model = AutoencoderImputer(
        add_indicator=missing, keep_empty_features=not missing, min_value=-2, random_state=0
    ).fit(X)
    use_neighbors_(model, X)
    X[0] = np.nan
    skae.to_onnx(model, path, check=X if missing else None)
    np.testing.assert_allclose(run(path, {"X": X})["transform"], model.transform(X), atol=1e-4)


def assert_program_agrees(model, X, methods):
    """Compare results of a model with those of its program in torch, before the export."""
    with torch.no_grad():
        found = make_program(model).select(methods)(torch.from_numpy(X))
    for name, own in zip(methods, found, strict=True):
        np.testing.assert_allclose(own, getattr(model, name)(X), rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("few_draws")
def test_program_of_an_imputer(wine):
    X = wine[0][:, :6].copy()
    X[np.random.default_rng(0).random(X.shape) < 0.2] = np.nan
    X[:, 4] = np.nan
    autoencoder = AutoencoderTransformer(max_iter=2, early_stopping=False, corruption="hiding")
    model = AutoencoderImputer(
        autoencoder=autoencoder, add_indicator=True, min_value=-0.2, random_state=0
    ).fit(X)
    use_neighbors_(model, X)
    X[0] = np.nan
    assert_program_agrees(model, X, ["transform"])


def test_program_of_a_detector(wine):
    X = wine[0]
    autoencoder = AutoencoderTransformer(hidden_layer_sizes=(8,), max_iter=2, early_stopping=False)
    model = AutoencoderOutlierDetector(autoencoder=autoencoder, cv=None, random_state=0).fit(X)
    rows = np.vstack([X, X * 3, X[:20] * 1e9])
    methods = ["predict", "decision_function", "score_samples", "reconstruction_errors"]
    assert_program_agrees(model, rows, methods)


@pytest.mark.slow
def test_texts_as_numbers_of_words(path):
    texts = np.random.default_rng(0).integers(2, 9, size=(40, 6))
    texts[::2, 3:] = 0
    model = TokenAutoencoderTransformer(2, max_iter=1, random_state=0).fit(texts)
    texts[0, 0] = 99
    methods = ["transform", "score_samples"]
    skae.to_onnx(model, path, methods=methods, check=texts)
    found = run(path, {"X": texts})
    for name in methods:
        np.testing.assert_allclose(found[name], getattr(model, name)(texts), atol=1e-5)
    assert skae.to_onnx(model, path, methods="inverse_transform") == {"inverse_transform": 0}


@pytest.mark.slow
def test_an_outlier_detector(wine, path):
    X, _ = wine
    model = AutoencoderOutlierDetector(
        autoencoder=AutoencoderTransformer(hidden_layer_sizes=(8,), max_iter=2), random_state=0
    ).fit(X)
    methods = ["predict", "decision_function", "score_samples"]
    rows = np.vstack([X, X * 3, X[:20] * 1e9])
    skae.to_onnx(model, path, methods=methods)
    found = run(path, {"X": rows})
    for name in methods:
        expected = getattr(model, name)(rows)
        np.testing.assert_allclose(found[name], expected, rtol=1e-4, atol=1e-5)
    assert set(found["predict"]) == {-1, 1}


class Shifted(AutoencoderTransformer):
    """Estimator with codes that are not computed by its network."""

    def transform(self, X):
        return super().transform(X) + self.shift


@pytest.mark.slow
def test_derived_classes_are_exported_as_their_base_class(images, path):
    model = Shifted(**SHORT).fit(images[:, 8:32])
    model.shift = 0.0
    skae.to_onnx(model, path)
    model.shift = 1e-2
    with pytest.raises(ExportError, match="in 'transform'"):
        skae.to_onnx(model, path)


@pytest.mark.slow
def test_a_detector_of_rows_with_gaps(wine, path):
    X, _ = wine
    X = X.copy()
    X[np.random.default_rng(0).random(X.shape) < 0.1] = np.nan
    autoencoder = AutoencoderTransformer(missing="mask", max_iter=1)
    model = AutoencoderOutlierDetector(autoencoder=autoencoder, random_state=0).fit(X)
    skae.to_onnx(model, path, check=X)


@pytest.mark.slow
def test_searches_and_frames_of_numbers(wine, path):
    X, y = wine
    frame = pd.DataFrame(X).add_prefix("wine ")
    model = make_pipeline(AutoencoderTransformer(**SHORT), LogisticRegression())
    grid = {"autoencodertransformer__n_components": [2, 3]}
    search = GridSearchCV(model, grid, cv=2).fit(frame, y)
    skae.to_onnx(search, path)
    found = run(path, {"X": frame.to_numpy()})
    assert (found["predict"] == search.predict(frame)).all()


class Own(torch.nn.Module):
    """Network with a condition on the values of the rows."""

    def __init__(self, n_in, n_out):
        super().__init__()
        self.linear = torch.nn.Linear(n_in, n_out)

    def forward(self, rows):
        return self.linear(rows) if float(rows.sum()) > 0 else self.linear(-rows)


@pytest.mark.slow
def test_user_defined_networks_are_refused_with_the_reason(wine, path):
    X, _ = wine
    own = lambda shape, n_codes, n_outputs: (  # noqa: E731
        Own(shape[0], n_outputs),
        torch.nn.Linear(n_codes, shape[0]),
    )
    model = AutoencoderTransformer(2, architecture=own, max_iter=1, random_state=0).fit(X)
    with pytest.raises(ExportError, match="operations that torch can export to ONNX"):
        skae.to_onnx(model, path)
