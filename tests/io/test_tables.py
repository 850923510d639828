"""Reading tables: what is taken, what is left out, and what is refused with which words."""

import builtins
import gzip

import numpy as np
import pandas as pd
import pytest

from skae.io import read_table


@pytest.fixture
def frame():
    return pd.DataFrame(
        {
            "length": [5.1, 4.9, 6.2],
            "petals": [4, 5, 6],
            "open": [True, False, True],
            "colour": ["red", "blue", "red"],
            "kind": ["a", "b", "a"],
        }
    )


def write(frame, path):
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        separator = "\t" if ".tsv" in path.name else ","
        frame.to_csv(path, index=False, sep=separator)
    return path


@pytest.mark.parametrize("suffix", [".csv", ".CSV", ".csv.gz", ".tsv", ".tsv.gz", ".parquet"])
def test_numeric_columns_are_taken_and_others_named(frame, tmp_path, suffix):
    table = read_table(write(frame, tmp_path / f"flowers{suffix}"), target="kind")
    np.testing.assert_array_equal(table.X, [[5.1, 4, 1], [4.9, 5, 0], [6.2, 6, 1]])
    assert table.X.dtype == np.float64
    assert table.feature_names == ("length", "petals", "open")
    assert table.dropped_columns == ("colour",)
    assert list(table.y) == ["a", "b", "a"]


def test_without_target_there_is_no_y(frame, tmp_path):
    table = read_table(str(write(frame, tmp_path / "flowers.csv")))
    assert table.y is None
    assert table.dropped_columns == ("colour", "kind")


def test_numeric_target_is_no_feature(frame, tmp_path):
    table = read_table(write(frame, tmp_path / "flowers.csv"), target="petals")
    assert table.y.tolist() == [4, 5, 6]
    assert "petals" not in table.feature_names


def test_nullable_types_are_numeric(tmp_path):
    frame = pd.DataFrame({"a": pd.array([1, 2], dtype="Int64"), "b": pd.array([True, False])})
    table = read_table(write(frame, tmp_path / "nullable.parquet"))
    np.testing.assert_array_equal(table.X, [[1, 1], [2, 0]])


def test_nullable_target_is_numeric(tmp_path):
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": pd.array([3, 4], dtype="Int64")})
    table = read_table(write(frame, tmp_path / "nullable.parquet"), target="b")
    assert table.y.dtype == np.int64
    assert table.y.tolist() == [3, 4]


def test_row_numbers_written_by_pandas_are_left_out(frame, tmp_path):
    path = tmp_path / "flowers.csv"
    frame.to_csv(path)
    assert "Unnamed: 0" in read_table(path).dropped_columns
    frame.index = [7, 1, 3]
    frame.to_csv(path)
    assert "Unnamed: 0" in read_table(path).feature_names


def test_timestamps_keep_their_precision(tmp_path):
    seconds = 1_700_000_000.25 + np.arange(3)
    frame = pd.DataFrame({"seconds": seconds})
    table = read_table(write(frame, tmp_path / "times.csv"))
    np.testing.assert_array_equal(table.X[:, 0], seconds)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_missing_values_name_their_columns(frame, tmp_path, suffix):
    frame.loc[0, "length"] = np.nan
    frame.loc[:1, "petals"] = np.nan
    frame.loc[2, "colour"] = None
    path = write(frame, tmp_path / f"holes{suffix}")
    with pytest.raises(ValueError, match=r"missing .* in length \(1\), petals \(2\)\. Fill"):
        read_table(path)


def test_missing_value_of_nullable_type_is_refused(tmp_path):
    frame = pd.DataFrame({"a": pd.array([1, None], dtype="Int64")})
    path = write(frame, tmp_path / "holes.parquet")
    with pytest.raises(ValueError, match=r"in a \(1\)"):
        read_table(path)


def test_infinite_values_are_refused(tmp_path):
    path = write(pd.DataFrame({"a": [1.0, np.inf]}), tmp_path / "infinite.csv")
    with pytest.raises(ValueError, match=r"infinite values\. .* in a \(1\)"):
        read_table(path)


def test_missing_target_values_are_counted(frame, tmp_path):
    frame.loc[1, "kind"] = None
    path = write(frame, tmp_path / "holes.csv")
    with pytest.raises(ValueError, match="target 'kind' must hold no missing .* Got 1 of them"):
        read_table(path, target="kind")


def test_unknown_target_lists_columns(frame, tmp_path):
    path = write(frame, tmp_path / "flowers.csv")
    expected = "one of length, petals, open, colour, kind. Got 'Kind'"
    with pytest.raises(ValueError, match=expected):
        read_table(path, target="Kind")


def test_long_lists_of_columns_are_cut(tmp_path):
    frame = pd.DataFrame(np.zeros((1, 12)), columns=[f"c{index}" for index in range(12)])
    path = write(frame, tmp_path / "wide.csv")
    with pytest.raises(ValueError, match="c8, c9 and 2 more. Got 'y'"):
        read_table(path, target="y")


@pytest.mark.parametrize("text", ["a,b\n", "a\tb\n"])
def test_header_alone_is_no_table(tmp_path, text):
    path = tmp_path / "header.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match="at least one row"):
        read_table(path)


def test_empty_file_is_said_to_be_unreadable(tmp_path):
    path = tmp_path / "empty.csv"
    path.touch()
    with pytest.raises(ValueError, match=r"must be a readable \.csv file\. .*No columns"):
        read_table(path)


def test_wrong_separator_is_hinted_at(tmp_path):
    path = tmp_path / "semicolons.csv"
    path.write_text("a;b\n1;2\n3;4\n")
    with pytest.raises(ValueError, match="numeric column. Got .* columns a;b. .* separator"):
        read_table(path)


@pytest.mark.parametrize("name", ["noise.parquet", "noise.npz", "noise.csv", "noise.csv.gz"])
def test_file_of_another_kind_than_its_name_is_refused(tmp_path, name):
    path = tmp_path / name
    noise = bytes(range(256)) * 4
    path.write_bytes(gzip.compress(noise) if name.endswith(".gz") else noise)
    with pytest.raises(ValueError, match="`path` must be .* Got .*noise"):
        read_table(path)


def test_text_named_gz_is_refused(tmp_path):
    path = tmp_path / "plain.csv.gz"
    path.write_text("a\n1\n")
    with pytest.raises(ValueError, match="must be a readable .csv.gz file"):
        read_table(path)


def test_truncated_archives_are_refused(tmp_path):
    np.savez_compressed(tmp_path / "whole.npz", X=np.random.default_rng(0).random((50, 4)))
    content = (tmp_path / "whole.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="must be an NPZ file"):
        read_table(tmp_path / "cut.npz")
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(b"a\n1\n" * 500)[:-20])
    with pytest.raises(ValueError, match="must be a readable"):
        read_table(tmp_path / "cut.csv.gz")


def test_absent_file_is_said_to_be_absent(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"existing file. Got .*nowhere\.csv"):
        read_table(tmp_path / "nowhere.csv")


def test_unknown_suffix_lists_known_ones(tmp_path):
    path = tmp_path / "table.xlsx"
    path.touch()
    with pytest.raises(ValueError, match=r"ending in one of \.csv, .*\.npz. Got .*table\.xlsx"):
        read_table(path)


def test_missing_pandas_names_the_extra(frame, tmp_path, monkeypatch):
    path = write(frame, tmp_path / "flowers.csv")
    real_import = builtins.__import__

    def refuse_pandas(name, *arguments, **options):
        if name == "pandas":
            raise ImportError(name)
        return real_import(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", refuse_pandas)
    with pytest.raises(ImportError, match=r'pip install "skae\[table\]"'):
        read_table(path)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("uint8", "float32"), ("float32", "float32"), ("int64", "float64"), ("float64", "float64")],
)
def test_npz_numbers_stay_exact(tmp_path, dtype, expected):
    X = np.arange(6).reshape(3, 2).astype(dtype)
    np.savez(tmp_path / "table.npz", X=X, y=np.array(["a", "b", "c"]))
    table = read_table(tmp_path / "table.npz")
    assert table.X.dtype == expected
    np.testing.assert_array_equal(table.X, X)
    assert table.y.tolist() == ["a", "b", "c"]
    assert table.feature_names == ("X0", "X1")
    assert table.dropped_columns == ()


def test_npz_with_one_matrix_of_any_name(tmp_path):
    np.savez(tmp_path / "table.npz", pixels=np.eye(3), digit=[1, 2, 3])
    assert read_table(tmp_path / "table.npz").y is None
    assert read_table(tmp_path / "table.npz", target="digit").y.tolist() == [1, 2, 3]


def test_npz_with_two_matrices_is_ambiguous(tmp_path):
    np.savez(tmp_path / "table.npz", a=np.eye(3), b=np.eye(2))
    with pytest.raises(ValueError, match=r"must hold an array X.*'a': \(3, 3\), 'b': \(2, 2\)"):
        read_table(tmp_path / "table.npz")


@pytest.mark.parametrize(
    ("arrays", "target", "message"),
    [
        ({"X": np.eye(3), "y": np.ones(2)}, None, r"shape \(3,\).* Got 'y' of shape \(2,\)"),
        ({"X": np.eye(3)}, "label", "one of X. Got 'label'"),
        ({"X": np.eye(3), "y": [1.0, np.nan, 2.0]}, None, "target 'y' .* Got 1 of them"),
        ({"X": [[1.0, np.nan], [np.inf, 1.0]]}, None, r"in X0 \(1\), X1 \(1\)"),
        ({"X": np.array([["a"]])}, None, "'X' of `path` must be numeric"),
        ({"X": np.empty((0, 3))}, None, "at least one row"),
        ({"X": np.empty((3, 0))}, None, "at least one numeric column"),
        ({"X": np.array([[{}]], dtype=object)}, None, "without object arrays"),
    ],
)
def test_npz_refusals(tmp_path, arrays, target, message):
    np.savez(tmp_path / "table.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        read_table(tmp_path / "table.npz", target=target)
