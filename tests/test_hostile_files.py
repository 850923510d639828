"""Malicious tables: no crash, no code run, little memory, and no scripts in a page.

Files of estimators are in `tests/saving/test_fuzz.py`. With SKAE_FUZZ set to a number, so many
files are made of each kind.
"""

import io
import os
import pickle
import random
import struct
import tracemalloc
import zipfile
from html.parser import HTMLParser

import numpy as np
import pytest

from skae.__main__ import main
from skae.io import read_table

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

# Memory of unpacking, and of the objects of pandas.
_OVERHEAD = 4_000_000
_MORE = int(os.environ.get("SKAE_FUZZ", "1000"))

CSV = "\n".join(
    ["name,height,width,kind", *(f"n{i},{i / 7:.3f},{i * i % 11}.5,k{i % 3}" for i in range(30))]
)


class Trap:
    """Object whose unpickling creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def mutate(content: bytes, source: random.Random) -> bytes:
    """Change, cut, repeat or move bytes a few times."""
    for _ in range(source.choice([1, 1, 3])):
        start = source.randrange(len(content))
        end = min(len(content), start + source.choice([1, 4, 100]))
        content = source.choice(
            [
                content[:start] + source.randbytes(end - start) + content[end:],
                content[:start] + source.choice(ODD) + content[end:],
                content[:start] or content,
                content[:end] + content[start:],
            ]
        )
    return content


ODD = [
    b"\x00",
    b"\xff\xfe",
    b'"',
    b"\r\n",
    b",,,,,",
    b"1e999",
    b"=1+1",
    b"\xe2\x80\xae",
    b"nan,inf",
]


def read_mutated(path, content):
    path.write_bytes(content)
    tracemalloc.start()
    try:
        read_table(path, missing="drop")
    except ValueError:
        pass
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 2 * len(content) + _OVERHEAD


def write_npz(**arrays):
    content = io.BytesIO()
    np.savez(content, **arrays)
    return content.getvalue()


@pytest.mark.parametrize("n_files", [10, pytest.param(_MORE, marks=pytest.mark.slow)])
@pytest.mark.parametrize("suffix", ["npz", "csv"])
def test_mutated_tables_are_read_or_refused(suffix, n_files, tmp_path):
    rows = np.random.default_rng(0).normal(size=(40, 3))
    content = CSV.encode() if suffix == "csv" else write_npz(X=rows, y=np.arange(40))
    for seed in range(n_files):
        read_mutated(tmp_path / f"table.{suffix}", mutate(content, random.Random(seed)))


@pytest.mark.parametrize("name", ["X", "y", "table"])
def test_pickles_in_archives_are_not_loaded(name, tmp_path):
    made = tmp_path / "made"
    array = np.array([Trap(made), Trap(made)], dtype=object)
    arrays = {"X": np.eye(2), name: array[:, None] if name == "X" else array}
    (tmp_path / "table.npz").write_bytes(write_npz(**arrays))
    if name == "table":
        # The array is neither the table nor its target.
        read_table(tmp_path / "table.npz")
    else:
        with pytest.raises(ValueError, match="without object arrays"):
            read_table(tmp_path / "table.npz")
    assert not made.exists()


def test_pickles_by_other_names_are_not_loaded(tmp_path):
    for suffix in [".npz", ".csv", ".parquet", ".xlsx", ".skae"]:
        made, path = tmp_path / "made", tmp_path / f"table{suffix}"
        path.write_bytes(pickle.dumps(Trap(made)))
        assert main(["info" if suffix == ".skae" else "compare", str(path)]) == 2
        assert not made.exists()


def write_bomb(path, *parts):
    """Write an archive with an array X of repeated bytes."""
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("X.npy", "w") as file,
    ):
        for part, n_times in parts:
            for _ in range(n_times):
                file.write(part)


def find_peak(path):
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="must be a"):
            read_table(path)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_long_headers_of_arrays_are_not_unpacked(tmp_path):
    start = b"\x93NUMPY\x02\x00" + struct.pack("<I", 50_000_000)
    write_bomb(tmp_path / "bomb.npz", (start, 1), (b" " * 1_000_000, 50))
    assert find_peak(tmp_path / "bomb.npz") < _OVERHEAD


def test_arrays_that_are_larger_than_they_say_are_not_unpacked(tmp_path):
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        content, {"descr": "<f8", "fortran_order": False, "shape": (10**7, 10**3)}
    )
    write_bomb(tmp_path / "bomb.npz", (content.getvalue(), 1), (bytes(1_000_000), 20))
    assert find_peak(tmp_path / "bomb.npz") < _OVERHEAD


class Tags(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'></td></table><iframe src=javascript:alert(1)>",
    "=HYPERLINK(0)",
    "+1+cmd|' /C calc'!A0",
    "@SUM(1)",
    "</title></style><svg onload=alert(1)>",
    "${7*7}{{7*7}}$main[0]",
]


@pytest.mark.slow
def test_the_page_of_a_hostile_table_runs_no_script(tmp_path, capsys):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(60, len(HOSTILE))) @ rng.normal(size=(len(HOSTILE),) * 2)
    header = ",".join('"{}"'.format(name.replace('"', '""')) for name in [*HOSTILE, "<b>kind</b>"])
    labels = ["<script>1</script>", "=1+1"]
    lines = [f"{','.join(map(str, row))},{labels[int(row[0] > 0)]}" for row in values]
    path = tmp_path / "<script>alert(1)<!-- & .csv"
    path.write_text("\n".join([header, *lines]), encoding="utf-8")
    page = tmp_path / "page.html"
    arguments = ["--target", "<b>kind</b>", "--n-components", "2", "--report", str(page)]
    assert main(["compare", str(path), *arguments]) == 0
    text = page.read_text(encoding="utf-8")
    tags = Tags(text).found
    assert {tag for tag, _ in tags}.isdisjoint({"script", "iframe", "b", "object", "link"})
    for tag, attributes in tags:
        assert tag != "svg" or attributes.keys() == {"viewbox", "aria-hidden"}
        assert not any(name.startswith("on") for name in attributes)
        assert attributes.get("src", "data:image/png;base64,").startswith("data:image/png;base64,")
        assert "href" not in attributes
    assert "${7*7}{{7*7}}$main[0]" in text
    assert "\x1b" not in capsys.readouterr().out
