"""The parts of speed.py about large tables: transform, map. Each works in a process of its own.

Run as `python _speed_memory.py transform 1000000 1` or `python _speed_memory.py map FILE ROWS`, it
prints what it measured as JSON.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from _common import PeakMemory, median_ratio, print_table, quiet, time_call
from torch.nn import functional

from skae import AutoencoderTransformer
from skae.modules import INPUT_LIMIT

_N_COLUMNS = 100
_CHUNK = 4096
_MEGABYTE = 1e6


def measure_transform(options):
    """Compare time and memory of `transform` and of the network called on chunks."""
    n_rows = 100_000 if options.quick else 1_000_000
    seen = run_apart("transform", n_rows, options.rounds)
    rows = []
    for name in ("skae", "torch"):
        seconds, extra = seen[name]["seconds"], max(seen[name]["extra_bytes"]) / _MEGABYTE
        ratio = median_ratio(seconds, seen["torch"]["seconds"])
        aims = [1.1, 100.0] if name == "skae" else [None, None]
        rows.append([name, statistics.median(seconds), ratio, aims[0], extra, aims[1]])
    title = f"transform of {n_rows:,} x {_N_COLUMNS} float32; torch: forward in chunks of {_CHUNK}"
    print_table(title, ["", "seconds", "over torch", "aim", "extra MB", "aim"], rows)


def measure_map(options):
    """Fit on a memory map, and measure the anonymous memory."""
    megabytes = options.map_megabytes or (300 if options.quick else 4000)
    n_rows = int(megabytes * _MEGABYTE) // (4 * _N_COLUMNS)
    with tempfile.TemporaryDirectory(dir=options.map_folder) as folder:
        path = Path(folder) / "table.float32"
        write_table(path, n_rows)
        seen = run_apart("map", path, n_rows)
    row = [f"{n_rows:,} rows", megabytes, seen["seconds"], seen["peak"] / _MEGABYTE]
    row += [seen["growth"] / _MEGABYTE, 1000.0]
    title = "fit on a float32 memory map, one epoch, batches of 4096: anonymous memory"
    print_table(title, ["map", "MB", "seconds", "peak MB", "of that by fit", "aim"], [row])


def run_apart(*arguments):
    """Run this file in a new process, and return its output."""
    command = [sys.executable, __file__, *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def write_table(path, n_rows):
    """Write rows that depend on ten factors, a chunk at a time."""
    generator = np.random.default_rng(0)
    with path.open("wb") as file:
        for start in range(0, n_rows, 100_000):
            make_rows(min(100_000, n_rows - start), generator).tofile(file)


def make_rows(n_rows, generator):
    """Return rows that depend on ten factors."""
    loadings = np.random.default_rng(1).normal(size=(10, _N_COLUMNS)).astype(np.float32)
    rows = generator.standard_normal((n_rows, 10), dtype=np.float32) @ loadings
    rows += generator.standard_normal(rows.shape, dtype=np.float32)
    return rows


def watch_transform(n_rows, n_rounds):
    """Return the seconds of `transform` and torch, and their memory beyond the result."""
    generator = np.random.default_rng(0)
    X = np.concatenate([make_rows(100_000, generator) for _ in range(n_rows // 100_000)])
    model = AutoencoderTransformer(10, max_iter=1, random_state=0).fit(X[:5000])
    if not np.allclose(model.transform(X[:5000]), call_plainly(model, X[:5000]), atol=1e-4):
        raise RuntimeError("transform and the network give different codes; compare like with like")
    seen = {name: {"seconds": [], "extra_bytes": []} for name in ("skae", "torch")}
    for _ in range(n_rounds + 1):
        for name, encode in (
            ("skae", model.transform),
            ("torch", lambda X: call_plainly(model, X)),
        ):
            with PeakMemory() as memory:
                codes, seconds = time_call(encode, X)
            seen[name]["seconds"].append(seconds)
            seen[name]["extra_bytes"].append(memory.growth - codes.nbytes)
            del codes
    # The first round is a warm-up.
    return {name: {key: values[1:] for key, values in d.items()} for name, d in seen.items()}


@torch.no_grad()
def call_plainly(model, X):
    """Return the codes of the network, computed by functions of torch."""
    module, scale = model.net_.module_.eval(), X.dtype.type(model.scale_)
    hidden_layers, last = module.encoder.linears[:-1], module.encoder.linears[-1]
    codes = np.empty((len(X), model.n_components_), dtype=np.float32)
    for start in range(0, len(X), _CHUNK):
        rows = torch.from_numpy((X[start : start + _CHUNK] - model.mean_) / scale)
        rows = rows * module.input_scale
        hidden = rows.clamp(-INPUT_LIMIT, INPUT_LIMIT)
        for layer in hidden_layers:
            hidden = functional.silu(functional.linear(hidden, layer.weight, layer.bias))
        code = functional.linear(hidden, last.weight, last.bias)
        code += rows @ module.linear_path.projection.T
        codes[start : start + _CHUNK] = module.basis(code).numpy()
    return codes


def watch_map(path, n_rows):
    """Return seconds and anonymous memory of a fit."""
    X = np.memmap(path, dtype=np.float32, mode="r", shape=(n_rows, _N_COLUMNS))
    model = AutoencoderTransformer(10, max_iter=1, batch_size=4096, random_state=0)
    with quiet(), PeakMemory() as memory:
        _, seconds = time_call(model.fit, X)
    return {"seconds": seconds, "peak": memory.peak, "growth": memory.growth}


if __name__ == "__main__":
    part, first, second = sys.argv[1:]
    with quiet():
        if part == "transform":
            print(json.dumps(watch_transform(int(first), int(second))))
        else:
            print(json.dumps(watch_map(first, int(second))))
