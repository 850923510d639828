"""Fitted networks exported by torch and to ONNX, for any number of rows."""

import io

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


class Encoder(torch.nn.Module):
    """Module that returns codes of rows."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, rows):
        return self.module.encode(rows)


class Both(torch.nn.Module):
    """Module that returns codes and reconstructions of standardised rows."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, rows):
        raw_code = self.module.encode_raw(rows)
        return self.module.basis(raw_code), self.module.restore(raw_code)


def export(network, rows):
    sizes = ({0: torch.export.Dim("n_rows")},)
    return torch.export.export(network, (rows,), dynamic_shapes=sizes).module()


def trace(network, rows):
    return torch.jit.trace(network, (rows,))


def export_to_onnx(network, rows, **options):
    """Return a function that computes the results of a network by ONNX Runtime."""
    file = io.BytesIO()
    torch.onnx.export(network, (rows,), file, input_names=["rows"], verbose=False, **options)
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    return lambda rows: tuple(map(torch.from_numpy, session.run(None, {"rows": rows.numpy()})))


WAYS = {
    "export": export,
    "trace": trace,
    "onnx": lambda network, rows: export_to_onnx(
        network, rows, dynamo=True, dynamic_shapes=({0: torch.export.Dim("n_rows")},)
    ),
    "onnx of a trace": lambda network, rows: export_to_onnx(
        network, rows, dynamo=False, dynamic_axes={"rows": {0: "n_rows"}}
    ),
}


def fit(name, images):
    """Return the network to export, and rows for it, with missing cells if it accepts them."""
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
    return estimator.net_.module_.eval(), torch.tensor(standardised, dtype=torch.float32)


def assert_equal_for_any_number_of_rows(program, network, rows, *, tolerance=0.0):
    with torch.no_grad():
        for n_rows in (1, 2, 7, 300):
            expected = network(rows[:n_rows])
            found = program(rows[:n_rows])
            torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)
            for own in found if isinstance(found, tuple) else [found]:
                assert torch.isfinite(own).all()


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ESTIMATORS)
def test_exported_networks_give_the_same_numbers(images, name, way):
    network, rows = fit(name, images)
    program = WAYS[way](Both(network).eval(), rows[:5])
    methods = lambda rows: (network.encode(rows), network.reconstruct(rows))  # noqa: E731
    tolerance = 1e-5 if "onnx" in way else 1e-6
    assert_equal_for_any_number_of_rows(program, methods, rows, tolerance=tolerance)
    if way == "trace":
        program = trace(network, rows[:5])
        assert_equal_for_any_number_of_rows(program, network, rows, tolerance=tolerance)


@pytest.mark.parametrize("way", [pytest.param(export, marks=pytest.mark.slow), trace])
def test_an_encoder_of_sparse_codes_is_exported(images, way):
    model = SparseAutoencoderTransformer(12, n_active=3, max_iter=2, random_state=0)
    network = model.fit(images[:, 20:30]).net_.module_.eval()
    rows = np.tile(images[:, 20:30], (2, 1)) - model.mean_
    rows = torch.tensor(rows / model.scale_, dtype=torch.float32)
    part = network if way is trace else Encoder(network).eval()
    assert_equal_for_any_number_of_rows(way(part, rows[:5]), part, rows, tolerance=1e-5)


@pytest.mark.slow
def test_an_encoder_of_texts_is_exported():
    texts = np.random.default_rng(0).integers(2, 9, size=(40, 6))
    texts[::2, 3:] = 0
    model = TokenAutoencoderTransformer(2, max_iter=1, random_state=0).fit(texts)
    encoder = Encoder(model.net_.module_).eval()
    tokens = torch.from_numpy(np.tile(texts, (8, 1)))
    program = export(encoder, tokens[:5])
    assert_equal_for_any_number_of_rows(program, encoder, tokens, tolerance=1e-6)
