"""Mutated files raise one kind of error, run no code, and take little memory."""

import json
import os
import random
import tracemalloc

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file
from sklearn.pipeline import make_pipeline

import skae
from skae.exceptions import ModelFileError
from skae.saving._container import pack
from skae.text import TokenSequencer

pytestmark = pytest.mark.filterwarnings("ignore::skae.exceptions.SkaeWarning")

# Memory of the Python objects of the header, and of an empty network of torch.
_OVERHEAD = 1_000_000
_ODD = [None, True, -1, 0, 10**12, 1e308, "x", "os.system", [], {}, [[]], {"tuple": [10**9]}]
_ODD += [{"arrays": "0/"}, {"halves": "0/"}, {"list": "mean_"}, {"array": "mean_"}, [0, 5], [-9, 9]]
_ODD += [{"arrays": {"x": [0, 5]}}, {"list": [0, 10**12]}, {"array": ["float64", 0, -1]}]
# SKAE_FUZZ=10000 tries this number of files for each mutation, in the slow tests.
_MORE = int(os.environ.get("SKAE_FUZZ", "1000"))
N_FILES = pytest.mark.parametrize("n_files", [10, pytest.param(_MORE, marks=pytest.mark.slow)])

ROWS = np.random.RandomState(0).normal(size=(60, 5))
OWN = {"hidden_layer_sizes": (8,), "max_iter": 2, "random_state": 0, "early_stopping": False}
PLAIN = skae.AutoencoderTransformer(2, dropout=0.1, **OWN)


def list_models():
    """Yield fitted models of several kinds, and whether to save them in half precision."""
    yield PLAIN.fit(ROWS), False
    yield make_pipeline(PLAIN, skae.VariationalAutoencoderTransformer(1, **OWN)).fit(ROWS), True
    yield skae.AutoencoderImputer(2, autoencoder=PLAIN, random_state=0).fit(ROWS), False
    yield skae.AutoencoderOutlierDetector(2, autoencoder=PLAIN, random_state=0).fit(ROWS), False
    texts = make_pipeline(
        TokenSequencer(),
        skae.TokenAutoencoderTransformer(2, max_iter=1, early_stopping=False, random_state=0),
    )
    yield texts.fit(["a good film", "a bad film", "no film"] * 4), False


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Return the paths of files of several kinds of models."""
    folder = tmp_path_factory.mktemp("fuzz")
    paths = []
    for number, (model, half) in enumerate(list_models()):
        paths.append(folder / f"{number}.skae")
        skae.save(model, paths[-1], half=half, card={"data": "noise"})
    return paths


def mutate_bytes(content: bytes, source: random.Random) -> bytes:
    """Change, cut, repeat or move bytes."""
    start = source.randrange(len(content))
    end = min(len(content), start + source.choice([1, 8, 300]))
    return source.choice(
        [
            content[:start] + source.randbytes(end - start) + content[end:],
            content[:start],
            content[:start] + content[end:],
            content[:end] + content[start:],
        ]
    )


def mutate_header(header, source: random.Random):
    """Replace a random part of nested values."""
    holder = header
    while True:
        keys = list(holder) if isinstance(holder, dict) else range(len(holder))
        key = source.choice(keys)
        inner = holder[key]
        if not isinstance(inner, dict | list) or not inner or source.random() < 0.1:
            holder[key] = source.choice(_ODD)
            return
        holder = inner


def load_mutated(path, n_bytes: int):
    tracemalloc.start()
    try:
        skae.load(path)
    except ModelFileError:
        pass
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 2 * n_bytes + _OVERHEAD


def mutate_arrays(arrays, source: random.Random):
    """Remove an array, or change its shape, type or numbers."""
    name = source.choice(list(arrays))
    array = arrays.pop(name)
    changes = [
        lambda: None,
        lambda: array.ravel(),
        lambda: array.ravel()[:0],
        lambda: array.astype(source.choice(["f8", "f2", "i1", "u8", "?"])),
        lambda: np.full_like(array, source.choice([0, 1, 100])),
        lambda: np.full(array.shape, source.choice([np.nan, np.inf, 1e30])),
        lambda: np.concatenate([array.ravel()] * 2),
    ]
    with np.errstate(all="ignore"):
        changed = source.choice(changes)()
    if changed is not None:
        arrays[source.choice([name, name, "other"])] = changed


def read_parts(path):
    with safe_open(path, framework="numpy") as file:
        return file.metadata()["skae"], load_file(path)


@N_FILES
def test_mutated_bytes_are_an_error(stored, n_files, tmp_path):
    contents, path = [own.read_bytes() for own in stored], tmp_path / "mutated.skae"
    for seed in range(n_files):
        content = contents[seed % len(contents)]
        mutated = mutate_bytes(content, random.Random(seed))
        if mutated == content:
            continue
        path.write_bytes(mutated)
        with pytest.raises(ModelFileError):
            skae.load(path)


@N_FILES
def test_mutated_headers_that_have_a_digest_do_no_harm(stored, n_files, tmp_path):
    parts, path = list(map(read_parts, stored)), tmp_path / "mutated.skae"
    for seed in range(n_files):
        text, arrays = parts[seed % len(parts)]
        header = json.loads(text)
        mutate_header(header, random.Random(seed))
        content = pack(json.dumps(header), arrays)
        path.write_bytes(content)
        load_mutated(path, len(content))


@N_FILES
def test_mutated_arrays_that_have_a_digest_do_no_harm(stored, n_files, tmp_path):
    parts, path = list(map(read_parts, stored)), tmp_path / "mutated.skae"
    for seed in range(n_files):
        text, arrays = parts[seed % len(parts)]
        changed = dict(arrays)
        mutate_arrays(changed, random.Random(seed))
        content = pack(text, changed)
        path.write_bytes(content)
        load_mutated(path, len(content))
