"""Fitted networks exported by torch and to ONNX, for any number of rows."""

import numpy as np
import onnxruntime
import pytest
import torch
from sklearn.base import clone

from skae import (
    AdversarialAutoencoderTransformer,
    AutoencoderTransformer,
    SparseAutoencoderTransformer,
    TokenAutoencoderTransformer,
    VariationalAutoencoderTransformer,
)
from skae.architectures import Recurrent, Sparsity

pytestmark = [
    pytest.mark.filterwarnings("ignore::skae.exceptions.SkaeWarning"),
    # Deprecation warnings within torch.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

CONV = {"architecture": "conv", "sample_shape": (1, 4, 6)}
GRU = {"architecture": "recurrent", "sample_shape": (4, 6)}
LSTM = {"architecture": Recurrent(cell="lstm", bidirectional=True), "sample_shape": (4, 6)}
MASK = {"missing": "mask"}


class Threshold(Sparsity):
    def make_module(self, n_components):
        return torch.nn.Hardshrink(0.5)


ESTIMATORS = {
    "dense": AutoencoderTransformer(),
    "random": AutoencoderTransformer(init="random"),
    "in a range": AutoencoderTransformer(loss="binary_cross_entropy"),
    "batch norm": AutoencoderTransformer(normalization="batch", dropout=0.2),
    "tied": AutoencoderTransformer(normalization="layer", tied_weights=True),
    "sparsity": AutoencoderTransformer(penalty=Threshold()),
    "variational": VariationalAutoencoderTransformer(),
    "adversarial": AdversarialAutoencoderTransformer(),
    "conv": AutoencoderTransformer(normalization="batch", dropout=0.2, **CONV),
    "gru": AutoencoderTransformer(**GRU),
    "lstm": AutoencoderTransformer(**LSTM),
    "mask": AutoencoderTransformer(**MASK),
    "mask variational": VariationalAutoencoderTransformer(**MASK),
    "mask adversarial": AdversarialAutoencoderTransformer(**MASK),
    "mask conv": AutoencoderTransformer(**CONV, **MASK),
    "mask lstm": AutoencoderTransformer(**LSTM, **MASK),
    "mask variational gru": VariationalAutoencoderTransformer(**GRU, **MASK),
}


class Part(torch.nn.Module):
    """Module that calls one method of a network on standardised rows."""

    def __init__(self, module, method):
        super().__init__()
        self.module, self.method = module, method

    def forward(self, rows):
        return getattr(self.module, self.method)(rows)


def export(network, rows):
    sizes = ({0: torch.export.Dim("n_rows")},)
    return torch.export.export(network, (rows,), dynamic_shapes=sizes).module()


def trace(network, rows):
    return torch.jit.trace(network, (rows,))


@pytest.fixture
def export_to_onnx(tmp_path):
    """Return a function that exports to ONNX and returns a session of ONNX Runtime."""

    def export(network, rows, *, dynamo):
        path = tmp_path / "network.onnx"
        options = {"input_names": ["rows"], "dynamo": dynamo, "verbose": False}
        if dynamo:
            options["dynamic_shapes"] = ({0: torch.export.Dim("n_rows")},)
        else:
            options["dynamic_axes"] = {"rows": {0: "n_rows"}}
        torch.onnx.export(network, (rows,), path, **options)
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return lambda rows: torch.from_numpy(session.run(None, {"rows": rows.numpy()})[0])

    return export


def fit(name, images):
    """Return the module to export, and rows for it, with missing cells if it accepts them."""
    rows = images[:, 8:32].copy()
    if "mask" in name:
        rows[np.random.default_rng(0).random(rows.shape) < 0.1] = np.nan
        # A sequence that ends early, and a sequence without any cell.
        rows[3, 12:] = rows[4] = np.nan
    small = {"n_components": 3, "hidden_layer_sizes": (8,), "max_iter": 1, "random_state": 0}
    if "conv" in name:
        small["hidden_layer_sizes"] = "auto"
    estimator = clone(ESTIMATORS[name]).set_params(**small).fit(rows)
    standardised = (np.tile(rows, (2, 1)) - estimator.mean_) / estimator.scale_
    network = estimator.net_.module_.eval()
    parts = [Part(network, method).eval() for method in ("encode", "reconstruct")]
    return [network, *parts], torch.tensor(standardised, dtype=torch.float32)


def assert_equal_for_any_number_of_rows(program, network, rows, *, tolerance=0.0):
    with torch.no_grad():
        for n_rows in (1, 2, 7, 300):
            expected = network(rows[:n_rows])
            assert torch.isfinite(expected).all()
            found = program(rows[:n_rows])
            torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("name", ESTIMATORS)
def test_exported_programs_give_the_same_numbers(images, name):
    networks, rows = fit(name, images)
    for network in networks:
        program = export(network, rows[:5])
        assert_equal_for_any_number_of_rows(program, network, rows, tolerance=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    # Traces and exports of all take minutes.
    [
        name if name == "sparsity" else pytest.param(name, marks=pytest.mark.slow)
        for name in ESTIMATORS
    ],
)
def test_traces_give_the_same_numbers(images, name):
    networks, rows = fit(name, images)
    for network in networks:
        program = trace(network, rows[:5])
        assert_equal_for_any_number_of_rows(program, network, rows, tolerance=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("dynamo", [True, False])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_onnx_gives_the_same_numbers(images, name, dynamo, export_to_onnx):
    networks, rows = fit(name, images)
    for network in networks:
        program = export_to_onnx(network, rows[:5], dynamo=dynamo)
        assert_equal_for_any_number_of_rows(program, network, rows, tolerance=1e-5)


@pytest.mark.parametrize("way", [pytest.param(export, marks=pytest.mark.slow), trace])
def test_an_encoder_of_sparse_codes_is_exported(images, way):
    model = SparseAutoencoderTransformer(12, n_active=3, max_iter=2, random_state=0)
    network = model.fit(images[:, 20:30]).net_.module_.eval()
    rows = np.tile(images[:, 20:30], (2, 1)) - model.mean_
    rows = torch.tensor(rows / model.scale_, dtype=torch.float32)
    part = network if way is trace else Part(network, "encode").eval()
    assert_equal_for_any_number_of_rows(way(part, rows[:5]), part, rows, tolerance=1e-5)


@pytest.mark.slow
def test_onnx_by_way_of_an_exported_program(images, export_to_onnx):
    (_, encoder, _), rows = fit("mask", images)
    program = export_to_onnx(encoder, rows[:5], dynamo=True)
    assert_equal_for_any_number_of_rows(program, encoder, rows, tolerance=1e-5)


@pytest.mark.slow
def test_an_encoder_of_texts_is_exported():
    texts = np.random.default_rng(0).integers(2, 9, size=(40, 6))
    texts[::2, 3:] = 0
    model = TokenAutoencoderTransformer(2, max_iter=1, random_state=0).fit(texts)
    encoder = Part(model.net_.module_, "encode").eval()
    tokens = torch.from_numpy(np.tile(texts, (8, 1)))
    program = export(encoder, tokens[:5])
    assert_equal_for_any_number_of_rows(program, encoder, tokens, tolerance=1e-6)
