"""Serving: ONNX Runtime relative to the model, to PCA, and to the start of NumPy.

Contenders take turns; each start is a new process. See README.md.
"""

import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
from _common import (
    compare_seconds,
    describe_machine,
    limit_threads,
    make_parser,
    print_table,
    quiet,
    time_interleaved,
    time_program,
)
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import skae
from skae import AutoencoderTransformer

_START_ONNX = (
    "import numpy, onnxruntime; session = onnxruntime.InferenceSession({!r}); "
    "session.run(None, {{'X': numpy.zeros((1, 64))}})"
)
_START_SKAE = "import numpy, skae; skae.load({!r}).transform(numpy.zeros((1, 64)))"
_START_NUMPY = "import numpy; numpy.zeros((1, 64)) @ numpy.zeros((64, 8))"
_N_CALLS = 200
_LEAST_OF = 20
_N_ROWS = 10_000


def main(arguments=None):
    parser = make_parser(__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=None, help="turns of the contenders")
    options = parser.parse_args(arguments)
    options.rounds = options.rounds or (2 if options.quick else 7)
    print(describe_machine(), f"onnxruntime {onnxruntime.__version__}", sep=", ")
    X = load_digits().data
    params = {"max_iter": 2 if options.quick else "auto", "random_state": 0, **options.set}
    with quiet(), tempfile.TemporaryDirectory() as folder, limit_threads(1):
        model = AutoencoderTransformer(8, **params).fit(X)
        files = {"skae": Path(folder) / "digits.skae", "onnx": Path(folder) / "digits.onnx"}
        skae.save(model, files["skae"])
        differences = skae.to_onnx(model, files["onnx"], check=X)
        measure_files(model, files, differences)
        measure_start(files, options)
        measure_one_row(model, files["onnx"], X, options)
        measure_pipeline(Path(folder) / "pipeline.onnx", params)


def measure_files(model, files, differences):
    """Print the size of files relative to the weights."""
    n_bytes = sum(weight.nbytes for weight in model.net_.module_.state_dict().values())
    sizes = [(name, path.stat().st_size) for name, path in files.items()]
    rows = [[name, size, size - n_bytes, size / n_bytes] for name, size in sizes]
    title = f"Digits, dense, 8 codes; ONNX differs by {differences['transform']:.1e} at most"
    print_table(title, ["file", "bytes", "over weights", "/ weights"], rows)


def measure_start(files, options):
    """Start a process, load a file and transform a row: ONNX Runtime, skae, and only NumPy."""
    programs = {
        "skae, onnxruntime": _START_ONNX.format(str(files["onnx"])),
        "skae, torch": _START_SKAE.format(str(files["skae"])),
        "numpy": _START_NUMPY,
    }
    contenders = {name: lambda code=code: time_program(code) for name, code in programs.items()}
    seconds = time_interleaved(contenders, options.rounds)
    title = "Load and first row, new process; onnxruntime is to take 0.25 s at most"
    compare_seconds(title, seconds, {})


def measure_one_row(model, path, X, options):
    """Transform one row: ONNX Runtime, the model, and scikit-learn's PCA."""
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    pca, row = PCA(8).fit(X), X[:1]
    calls = {
        "skae, onnxruntime": lambda: session.run(None, {"X": row}),
        "skae, torch": lambda: model.transform(row),
        "PCA": lambda: pca.transform(row),
    }
    contenders = {name: lambda call=call: _time_call(call) for name, call in calls.items()}
    seconds = time_interleaved(contenders, options.rounds)
    title = "One row of digits; onnxruntime is to take 30 us at most"
    compare_seconds(title, seconds, {"PCA": 1.0}, unit="us")


def _time_call(call):
    """Return the microseconds of a call, as the lowest of several means."""
    seconds = []
    for _ in range(_LEAST_OF):
        start = time.perf_counter()
        for _ in range(_N_CALLS // _LEAST_OF):
            call()
        seconds.append(time.perf_counter() - start)
    return min(seconds) / (_N_CALLS // _LEAST_OF) * 1e6


def measure_pipeline(path, params):
    """Compare a pipeline on 10,000 rows with its export in ONNX Runtime."""
    frame, labels = _make_frame()
    columns = ColumnTransformer(
        [
            ("numbers", StandardScaler(), ["age", "income", "time"]),
            ("city", OneHotEncoder(handle_unknown="ignore"), ["city"]),
        ],
        sparse_threshold=0,
    )
    model = make_pipeline(columns, AutoencoderTransformer(4, **params), LogisticRegression())
    model.fit(frame[:2000], labels[:2000])
    differences = skae.to_onnx(model, path, check=frame)
    rows = [[name, f"{difference:.1e}"] for name, difference in differences.items()]
    title = f"ColumnTransformer, autoencoder, LogisticRegression: {_N_ROWS} rows, 1e-5 at most"
    print_table(title, ["output", "greatest difference"], rows)


def _make_frame():
    source = np.random.default_rng(0)
    columns = {
        "age": source.integers(18, 90, _N_ROWS),
        "income": source.lognormal(10, 1, _N_ROWS),
        "time": 1.7e9 + source.uniform(0, 1e6, _N_ROWS),
        "city": source.choice(["Lima", "Oslo", "Rome"], _N_ROWS),
    }
    return pd.DataFrame(columns), columns["age"] / 50 + source.normal(size=_N_ROWS) > 1


if __name__ == "__main__":
    main()
