"""Mutated files: one kind of error, no code, little memory."""

import json
import random
import tracemalloc

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

import skae
from skae.exceptions import ModelFileError
from skae.saving._container import pack

pytestmark = pytest.mark.filterwarnings("ignore::skae.exceptions.SkaeWarning")

# Python objects of the header, and torch's of an empty network.
_OVERHEAD = 1_000_000
_ODD = [None, True, -1, 0, 10**12, 1e308, "x", "os.system", [], {}, [[]], {"tuple": [10**9]}]


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzz") / "model.skae"
    rows = np.random.RandomState(0).normal(size=(60, 5))
    model = skae.AutoencoderTransformer(2, dropout=0.1, max_iter=2, random_state=0)
    skae.save(model.fit(rows), path)
    return path


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
    """Put something else in a random place of nested values."""
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


@pytest.mark.parametrize("n_files", [50, pytest.param(500, marks=pytest.mark.slow)])
def test_mutated_bytes_are_an_error(stored, n_files, tmp_path):
    content, path = stored.read_bytes(), tmp_path / "mutated.skae"
    for seed in range(n_files):
        mutated = mutate_bytes(content, random.Random(seed))
        if mutated == content:
            continue
        path.write_bytes(mutated)
        with pytest.raises(ModelFileError):
            skae.load(path)


@pytest.mark.parametrize("n_files", [50, pytest.param(500, marks=pytest.mark.slow)])
def test_mutated_headers_that_have_a_digest_do_no_harm(stored, n_files, tmp_path):
    with safe_open(stored, framework="numpy") as file:
        text = file.metadata()["skae"]
    arrays, path = load_file(stored), tmp_path / "mutated.skae"
    for seed in range(n_files):
        header = json.loads(text)
        mutate_header(header, random.Random(seed))
        content = pack(json.dumps(header), arrays)
        path.write_bytes(content)
        load_mutated(path, len(content))
