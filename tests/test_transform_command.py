"""``skae transform``: codes of a file, written block by block."""

import shutil

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


def make_model():
    return skae.AutoencoderTransformer(2, max_iter=1, early_stopping=False, random_state=0)


@pytest.fixture(scope="module")
def written(X, tmp_path_factory):
    """Return a folder with a model of arrays, a model of frames, and rows of many blocks."""
    folder = tmp_path_factory.mktemp("written")
    skae.save(make_model().fit(X), folder / "array.skae")
    frame = pd.DataFrame(X, columns=NAMES)
    skae.save(make_model().fit(frame), folder / "frame.skae")
    np.save(folder / "rows.npy", X)
    rows = frame[NAMES[::-1]].assign(name="a")
    rows.to_parquet(folder / "rows.parquet", row_group_size=90)
    return folder


@pytest.fixture
def work(monkeypatch, tmp_path, written):
    """Return the current folder, with copies of all that was written."""
    monkeypatch.setattr(transform, "_PIECE_BYTES", 2000)
    monkeypatch.setattr("skae._estimators.stored_tables._BLOCK_BYTES", 1000)
    monkeypatch.chdir(tmp_path)
    return shutil.copytree(written, tmp_path, dirs_exist_ok=True)


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


@pytest.fixture
def mixed(work, X):
    """Return a frame of several kinds of columns, having written a model of it and a file."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(X[:, :2], columns=["a", "b"]).assign(
        kind=rng.choice(["x", "y", None], 500),
        flag=rng.random(500) < 0.5,
        day=pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 300, 500), unit="D"),
        size=pd.Categorical(rng.choice(["s", "m"], 500)),
    )
    frame.loc[::7, "a"] = np.nan
    frame[frame.columns[::-1]].assign(more=1).to_parquet("mixed.parquet", row_group_size=90)
    skae.save(make_model().fit(frame), "mixed.skae")
    return frame


def test_columns_of_several_kinds_are_read_by_name(mixed, capsys):
    model = skae.load("mixed.skae")
    codes = model.transform(mixed)
    assert run(capsys, "mixed.skae", "mixed.parquet", "mixed.npy")[0] == 0
    np.testing.assert_allclose(np.load("mixed.npy"), codes, atol=1e-5)
    assert run(capsys, "mixed.skae", "mixed.parquet", "back.parquet", "--reconstruct")[0] == 0
    expected = model.inverse_transform(codes)
    pd.testing.assert_frame_equal(
        pd.read_parquet("back.parquet"), expected, rtol=1e-4, check_dtype=False
    )
    for arguments, message in [
        (("mixed.parquet", "x.npy", "--reconstruct"), "OUTPUT must end with .parquet for rows of"),
        (("frame.parquet", "x.npy"), "Got none of the name 'kind', and 4 such in all"),
    ]:
        mixed[["a", "b"]].to_parquet("frame.parquet")
        code, _, errors = run(capsys, "mixed.skae", *arguments)
        assert code == 2
        assert message in errors


def test_arrays_become_arrays(work, capsys, X):
    pytest.importorskip("zarr", reason="zarr comes with the extra large")
    model = skae.load("array.skae")
    assert run(capsys, "array.skae", "rows.npy", "codes.npy")[0] == 0
    np.testing.assert_allclose(np.load("codes.npy"), model.transform(X), atol=1e-6)
    assert run(capsys, "array.skae", "rows.npy", "rows.zarr", "--reconstruct")[0] == 0
    assert run(capsys, "array.skae", "rows.zarr", "codes.zarr")[0] == 0
    codes = skae.AutoencoderTransformer(2, max_iter=1, random_state=0).fit("codes.zarr")
    assert codes.n_samples_seen_ == 500


@pytest.mark.mostly_slow(3)
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
    assert "belong to this model" in errors
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
        (["array.skae", "rows.npy", "nowhere/codes.npy"], "OUTPUT must be in an existing folder"),
        (["array.skae", "line.npy", "codes.npy"], "INPUT must have at least two dimensions"),
        (["array.skae", "none.npy", "codes.npy"], "which does not exist"),
        (["array.skae", "empty.npy", "codes.npy"], "'empty.npy', which fails with"),
        (["array.skae", "complex.npy", "codes.npy"], "'complex.npy', an array of complex128"),
        (["array.skae", "rows.csv", "codes.npy"], "INPUT must be a Parquet, NumPy, Zarr or HDF5"),
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
    np.save("line.npy", np.ones(4))
    work.joinpath("rows.csv").write_text("a,b\n1,2\n")
    skae.save(skae.AutoencoderOutlierDetector(), "detector.skae")
    code, output, errors = run(capsys, *arguments)
    assert (code, output) == (2, "")
    assert message in errors
    assert errors.count("\n") == 1


def test_a_run_without_its_output_starts_again(work, capsys, monkeypatch, X):
    with monkeypatch.context() as patch:
        patch.setattr(transform._Work, "finish", lambda self: None)
        assert run(capsys, "array.skae", "rows.npy", "codes.npy")[0] == 0
    (work / "codes.npy.partial").unlink()
    assert run(capsys, "array.skae", "rows.npy", "codes.npy")[0] == 0
    np.testing.assert_allclose(
        np.load("codes.npy"), skae.load("array.skae").transform(X), atol=1e-6
    )


def test_journals_of_other_content_are_refused(work, capsys):
    for content in (b"[]", b"5", b"\xff", b"[[1, 2]]", b"[" * 100_000):
        (work / "codes.npy.partial").touch()
        (work / "codes.npy.partial.json").write_bytes(content)
        code, _, error = run(capsys, "array.skae", "rows.npy", "codes.npy")
        assert code == 2
        assert "OUTPUT must belong to this model and these rows" in error


def test_no_room_is_taken_for_rows_to_come(tmp_path):
    # A file that is mapped would end the process if its disk is full.
    rows = np.arange(20.0).reshape(10, 2)
    writer = written_rows.NumpyRows(tmp_path / "rows.npy", rows.shape, rows.dtype, ["a", "b"])
    writer.write(0, 0, rows[:4])
    assert (tmp_path / "rows.npy").stat().st_size == 128 + 4 * 16
    writer.write(1, 4, rows[4:])
    np.testing.assert_array_equal(np.load(tmp_path / "rows.npy"), rows)


def test_unreadable_rows_and_values_are_errors_of_one_line(work, capsys):
    zarr = pytest.importorskip("zarr", reason="zarr comes with the extra large")
    zarr.create_array("rows.zarr", data=np.ones((20, 6)))
    (work / "rows.zarr" / "c" / "0" / "0").write_bytes(b"junk")
    pd.DataFrame({name: [{"x": 1}] for name in NAMES}).to_parquet("nested.parquet")
    for arguments, message in [
        (("array.skae", "rows.zarr"), "INPUT must be a readable file"),
        (("frame.skae", "nested.parquet"), "X must hold numbers"),
    ]:
        code, _, error = run(capsys, *arguments, "codes.npy")
        assert code == 2
        assert message in error
        assert error.count("\n") == 1
