"""``skae transform``: codes of a file, written block by block."""

import numpy as np
import pandas as pd
import pytest

import skae
from skae.__main__ import main
from skae._commands import transform, written_rows

pytestmark = pytest.mark.filterwarnings("ignore::skae.exceptions.NotBetterThanPCAWarning")

NAMES = [f"c{i}" for i in range(6)]


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    return np.tanh(rng.normal(size=(500, 2)) @ rng.normal(size=(2, 6))).astype(np.float32)


@pytest.fixture
def work(monkeypatch, tmp_path, X):
    """Return a folder with a model of arrays, a model of frames, and rows of many blocks."""
    monkeypatch.setattr(transform, "_PIECE_BYTES", 2000)
    monkeypatch.setattr("skae._estimators.stored_tables._BLOCK_BYTES", 1000)
    monkeypatch.chdir(tmp_path)
    model = skae.AutoencoderTransformer(2, max_iter=1, random_state=0)
    skae.save(model.fit(X), "array.skae")
    frame = pd.DataFrame(X, columns=NAMES)
    skae.save(model.fit(frame), "frame.skae")
    np.save("rows.npy", X)
    frame[NAMES[::-1]].assign(name="a").to_parquet("rows.parquet", row_group_size=90)
    return tmp_path


def run(capsys, *arguments):
    code = main(["transform", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_parquet_becomes_parquet_by_the_names_of_its_columns(work, capsys, X):
    assert run(capsys, "frame.skae", "rows.parquet", "codes.parquet") == (
        0,
        "500 rows: codes.parquet\n",
        "",
    )
    model, codes = skae.load("frame.skae"), pd.read_parquet("codes.parquet")
    assert list(codes.columns) == list(model.get_feature_names_out())
    expected = model.transform(pd.DataFrame(X, columns=NAMES))
    np.testing.assert_allclose(codes, expected, atol=1e-6)
    assert len(list((work / "codes.parquet").iterdir())) == 6
    assert run(capsys, "frame.skae", "codes.parquet", "back.parquet", "--inverse")[0] == 0
    back = pd.read_parquet("back.parquet")
    assert list(back.columns) == NAMES
    np.testing.assert_allclose(back, model.inverse_transform(expected), atol=1e-5)
    assert not list(work.glob("*.partial*"))


def test_arrays_become_arrays(work, capsys, X):
    pytest.importorskip("zarr", reason="zarr comes with the extra large")
    model = skae.load("array.skae")
    assert run(capsys, "array.skae", "rows.npy", "codes.npy")[0] == 0
    np.testing.assert_allclose(np.load("codes.npy"), model.transform(X), atol=1e-6)
    assert run(capsys, "array.skae", "rows.npy", "rows.zarr", "--reconstruct")[0] == 0
    assert run(capsys, "array.skae", "rows.zarr", "codes.zarr")[0] == 0
    codes = skae.AutoencoderTransformer(2, max_iter=1, random_state=0).fit("codes.zarr")
    assert codes.n_samples_seen_ == 500


@pytest.mark.parametrize("ending", [".npy", ".parquet", ".zarr"])
def test_an_interrupted_run_resumes(work, capsys, monkeypatch, X, ending):
    if ending == ".zarr":
        pytest.importorskip("zarr", reason="zarr comes with the extra large")
    writer, pieces = written_rows.WRITERS[ending], []

    class Interrupted(writer):
        def write(self, piece, start, rows):
            if len(pieces) == 3:
                pieces.append("interrupted")
                raise KeyboardInterrupt
            pieces.append(piece)
            super().write(piece, start, rows)

    monkeypatch.setitem(written_rows.WRITERS, ending, Interrupted)
    output = f"codes{ending}"
    assert run(capsys, "array.skae", "rows.npy", output)[0] == 130
    assert not (work / output).exists()
    code, _, errors = run(capsys, "array.skae", "rows.npy", output, "--reconstruct")
    assert code == 2
    assert "begun from this model" in errors
    assert run(capsys, "array.skae", "rows.npy", output)[0] == 0
    assert pieces == [0, 1, 2, "interrupted", *range(3, len(pieces) - 1)]
    run(capsys, "array.skae", "rows.npy", "expected.npy")
    if ending == ".npy":
        np.testing.assert_array_equal(np.load(output), np.load("expected.npy"))
    if ending == ".parquet":
        np.testing.assert_array_equal(pd.read_parquet(output), np.load("expected.npy"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["array.skae", "rows.npy", "codes.txt"], "must end with one of .parquet"),
        (["array.skae", "rows.npy", "rows.npy"], "must not exist yet"),
        (["array.skae", "none.npy", "codes.npy"], "where nothing is"),
        (["array.skae", "empty.npy", "codes.npy"], "which is empty"),
        (["array.skae", "complex.npy", "codes.npy"], "'complex.npy', an array of complex128"),
        (["array.skae", "number.npy", "codes.npy"], "an array of float64 with the shape ()"),
        (["array.skae", "junk.npy", "codes.npy"], "'junk.npy', which fails with"),
        (["detector.skae", "rows.npy", "codes.npy"], "must have the method 'transform'"),
        (["frame.skae", "codes.parquet", "other.parquet"], "Got none of the name 'c0'"),
        (["array.skae", "rows.npy", "x.npy", "--inverse", "--reconstruct"], "Got both"),
    ],
)
def test_user_errors_of_transform_are_one_line(work, capsys, arguments, message):
    pd.DataFrame({"code": [1.0]}).to_parquet("codes.parquet")
    work.joinpath("empty.npy").touch()
    work.joinpath("junk.npy").write_bytes(b"junk")
    np.save("complex.npy", np.ones((3, 4), complex))
    np.save("number.npy", 1.5)
    skae.save(skae.AutoencoderOutlierDetector(), "detector.skae")
    code, output, errors = run(capsys, *arguments)
    assert (code, output) == (2, "")
    assert message in errors
    assert errors.count("\n") == 1
