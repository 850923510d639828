"""Reading tables: columns kept, columns left out, and error messages."""

import gzip
import sys

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


def test_numeric_columns_are_taken_and_others_named(frame, tmp_path):
    for suffix in [".csv", ".CSV", ".csv.gz", ".tsv", ".tsv.gz", ".parquet"]:
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
    with pytest.raises(ValueError, match="target 'kind' must have no missing .* Got 1 of them"):
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


def test_an_empty_file_has_a_clear_error(tmp_path):
    path = tmp_path / "empty.csv"
    path.touch()
    with pytest.raises(ValueError, match=r"must be a readable \.csv file\. .*No columns"):
        read_table(path)


def test_table_without_numbers_is_hinted_at(tmp_path):
    path = tmp_path / "spaces.csv"
    path.write_text("a b\n1 2\n3 4\n")
    with pytest.raises(ValueError, match="columns separated by .* names a b, .* by blanks"):
        read_table(path)


@pytest.mark.parametrize(("separator", "name"), [(";", "';'"), ("\t", "tabs"), ("|", "'|'")])
def test_separators_are_recognised(frame, tmp_path, separator, name):
    path = tmp_path / "flowers.csv"
    frame["colour"] = ["red, dark", 'a "b"', "x"]
    frame.to_csv(path, index=False, sep=separator)
    table = read_table(path, target="kind")
    np.testing.assert_array_equal(table.X, [[5.1, 4, 1], [4.9, 5, 0], [6.2, 6, 1]])
    assert table.remarks == (f"Columns are separated by {name}",)


def test_commas_separate_where_semicolons_are_in_cells(tmp_path):
    path = tmp_path / "films.csv"
    path.write_text('year,kinds\n1999,a;b\n2001,"c;d,e"\n')
    table = read_table(path)
    assert (table.feature_names, table.dropped_columns, table.remarks) == (
        ("year",),
        ("kinds",),
        (),
    )


def test_decimal_commas_are_recognised(frame, tmp_path):
    path = tmp_path / "flowers.csv"
    frame["price"] = ["1.234,5", "-7", "0,25"]
    frame.to_csv(path, index=False, sep=";", decimal=",")
    table = read_table(path, target="length")
    np.testing.assert_array_equal(table.X, [[4, 1, 1234.5], [5, 0, -7], [6, 1, 0.25]])
    assert table.y.tolist() == [5.1, 4.9, 6.2]
    assert table.remarks[1] == "Decimal commas in length, price"


def test_thousands_are_no_decimals(tmp_path):
    path = tmp_path / "money.csv"
    path.write_text('a,b\n2,"1,234"\n1,"5,678"\n')
    table = read_table(path)
    np.testing.assert_array_equal(table.X, [[2, 1234], [1, 5678]])
    assert table.remarks == ("Thousands separators in b",)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_text_of_spreadsheets_is_read(tmp_path, encoding):
    path = tmp_path / "größe.csv"
    path.write_text("größe;gewicht\n1,5;2\n2,5;3\n", encoding=encoding)
    table = read_table(path)
    assert table.feature_names == ("größe", "gewicht")
    np.testing.assert_array_equal(table.X, [[1.5, 2], [2.5, 3]])
    assert any("Windows-1252" in remark for remark in table.remarks) == (encoding == "cp1252")


def test_blank_cells_are_missing_and_odd_ones_are_named(tmp_path):
    path = tmp_path / "churn.csv"
    path.write_text("a,b,c\n1, ,3\n2,5,n/v\n3,6,7\n4,?,8\n")
    table = read_table(path, missing="drop")
    np.testing.assert_array_equal(table.X, [[2, 5], [3, 6]])
    assert table.remarks == (
        "Column c is numeric but for 1 cell, such as 'n/v'",
        "Rows with missing values left out: 2 of 4",
    )


def test_a_line_of_numbers_is_hardly_one_of_names(tmp_path):
    path = tmp_path / "nameless.csv"
    path.write_text("5.1,3.5\n4.9,3.0\n")
    (remark,) = read_table(path).remarks
    assert remark.startswith("The first line (5.1, 3.5 ...) was read as column names")


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".npz"])
def test_rows_that_lack_values_are_dropped_or_kept(tmp_path, suffix):
    X = np.arange(12.0).reshape(4, 3)
    X[1, 0], X[:, 2] = np.nan, np.nan
    y = np.array([0, 1, np.nan, 3])
    path = tmp_path / f"holes{suffix}"
    if suffix == ".npz":
        np.savez(path, X=X, y=y)
    else:
        write(pd.DataFrame(X, columns=["X0", "X1", "X2"]).assign(y=y), path)

    table = read_table(path, target="y", missing="drop")
    np.testing.assert_array_equal(table.X, X[[0, 3], :2])
    assert table.y.tolist() == [0, 3]
    assert (table.feature_names, table.dropped_columns) == (("X0", "X1"), ("X2",))
    assert table.remarks == ("Rows with missing values left out: 2 of 4",)

    table = read_table(path, target="y", missing="keep")
    np.testing.assert_array_equal(table.X, X[[0, 1, 3]])
    assert table.y.tolist() == [0, 1, 3]
    assert table.remarks == ("Rows with missing values left out: 1 of 4",)

    with pytest.raises(ValueError, match="target 'y' must have no missing .* --drop-missing"):
        read_table(path, target="y")


def test_a_table_without_whole_rows_is_refused(tmp_path):
    frame = pd.DataFrame({"a": [1.0, np.nan], "b": [np.nan, 2.0], "c": [1.0, 2.0]})
    path = write(frame, tmp_path / "holes.csv")
    with pytest.raises(ValueError, match=r"missing in all 2 rows, in the columns a \(1\), b"):
        read_table(path, missing="drop")


def test_missing_must_be_one_of_three(frame, tmp_path):
    with pytest.raises(ValueError, match="`missing` must be one of"):
        read_table(write(frame, tmp_path / "flowers.csv"), missing="ignore")


@pytest.mark.parametrize(("target", "meant"), [("Kind", "kind"), ("lenght", "length")])
def test_near_names_are_offered(frame, tmp_path, target, meant):
    path = write(frame, tmp_path / "flowers.csv")
    with pytest.raises(ValueError, match=f"Did you mean '{meant}'"):
        read_table(path, target=target)


@pytest.mark.parametrize("name", ["book.xls", "book.ods"])
def test_spreadsheets_are_to_be_saved_as_csv(tmp_path, name):
    with pytest.raises(ValueError, match="Save the sheet as CSV"):
        read_table(tmp_path / name)


def test_file_of_another_kind_than_its_name_is_refused(tmp_path):
    for name in ["noise.parquet", "noise.npz", "noise.csv", "noise.csv.gz"]:
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


def test_a_missing_file_has_a_clear_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"existing file. Got .*nowhere\.csv"):
        read_table(tmp_path / "nowhere.csv")


def test_text_files_are_to_be_renamed(tmp_path):
    with pytest.raises(ValueError, match=r"Rename it to \.csv"):
        read_table(tmp_path / "iris.data")


def test_unknown_suffix_lists_known_ones(tmp_path):
    path = tmp_path / "table.docx"
    path.touch()
    with pytest.raises(ValueError, match=r"ending in one of \.csv, .*\.npz. Got .*table\.docx"):
        read_table(path)


def test_missing_pandas_names_the_extra(frame, tmp_path, monkeypatch):
    path = write(frame, tmp_path / "flowers.csv")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r'pip install "skae\[table\]"'):
        read_table(path)


def test_npz_numbers_stay_exact(tmp_path):
    for dtype, expected in [
        ("uint8", "float32"),
        ("float32", "float32"),
        ("int64", "float64"),
        ("float64", "float64"),
    ]:
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
    with pytest.raises(ValueError, match=r"must have an array X.*'a': \(3, 3\), 'b': \(2, 2\)"):
        read_table(tmp_path / "table.npz")


def test_npz_refusals(tmp_path):
    for arrays, target, message in [
        ({"X": np.eye(3), "y": np.ones(2)}, None, r"shape \(3,\).* Got 'y' of shape \(2,\)"),
        ({"X": np.eye(3)}, "label", "one of X. Got 'label'"),
        ({"X": np.eye(3), "y": [1.0, np.nan, 2.0]}, None, "target 'y' .* Got 1 of them"),
        ({"X": [[1.0, np.nan], [np.inf, 1.0]]}, None, r"in X0 \(1\), X1 \(1\)"),
        ({"X": np.eye(3), "y": np.ones(3) * 1j}, None, "Got values of type complex128"),
        ({"X": np.eye(3), "y": np.array([b"a", b"b", b"c"])}, None, "Got values of type bytes"),
        ({"X": np.array([["a"]])}, None, "'X' of `path` must be numeric"),
        ({"X": np.empty((0, 3))}, None, "at least one row"),
        ({"X": np.empty((3, 0))}, None, "at least one numeric column"),
        ({"X": np.array([[{}]], dtype=object)}, None, "without object arrays"),
    ]:
        np.savez(tmp_path / "table.npz", **arrays)
        with pytest.raises(ValueError, match=message):
            read_table(tmp_path / "table.npz", target=target)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".xlsx"])
def test_columns_of_all_kinds_are_read_as_a_frame(tmp_path, suffix):
    frame = pd.DataFrame(
        {
            "number": [1.5, 2.5, np.nan],
            "count": [1, 2, 4],
            "flag": [True, False, True],
            "gaps": [True, None, False],
            "word": ["a", None, "b"],
            "day": pd.to_datetime(["2024-05-31", None, "2024-02-29"]),
            "empty": [np.nan] * 3,
            "kind": ["x", "y", "x"],
        }
    )
    path = tmp_path / f"all{suffix}"
    if suffix == ".xlsx":
        frame.to_excel(path, index=False)
    else:
        write(frame, path)
    table = read_table(path, target="kind", numeric_only=False, missing="keep", drop="count")
    assert table.y.tolist() == ["x", "y", "x"]
    assert list(table.X.columns) == ["number", "flag", "gaps", "word", "day"]
    assert table.drop_reasons == {"count": "as asked for", "empty": "no values"}
    pd.testing.assert_series_equal(table.X["number"], frame["number"])
    for name in ("flag", "gaps", "word"):
        expected = [None if pd.isna(cell) else cell for cell in frame[name]]
        assert [None if pd.isna(cell) else cell for cell in table.X[name]] == expected
    assert (table.X["day"] == frame["day"]).tolist() == [True, False, True]
    with pytest.raises(ValueError, match=r"missing or infinite values.* number \(1\), gaps \(1\)"):
        read_table(path, target="kind", numeric_only=False)
    rows = read_table(path, target="kind", numeric_only=False, missing="drop")
    assert (len(rows.X), rows.y.tolist()) == (1, ["x"])


def test_text_is_dates_where_there_is_no_doubt(tmp_path):
    for cells, dates in [
        (["2024-05-31 12:30", "2024-02-01 00:00"], ["2024-05-31 12:30", "2024-02-01"]),
        (
            ["2024-05-31T12:30:01Z", "2024-02-01T00:00Z"],
            ["2024-05-31 12:30:01Z", "2024-02-01T00:00Z"],
        ),
        (["31.5.2024", "01.02.2024"], ["2024-05-31", "2024-02-01"]),
        (["5/31/2024", "02/01/2024"], ["2024-05-31", "2024-02-01"]),
        (["31/5/2024", "01/02/2024"], ["2024-05-31", "2024-02-01"]),
        (["2024/5/31", "2024/02/01"], ["2024-05-31", "2024-02-01"]),
        (["2024.5.31", "2024.02.01"], ["2024-05-31", "2024-02-01"]),
        (["31-5-2024", "01-02-2024"], ["2024-05-31", "2024-02-01"]),
        (["31-May-2024", "01-Feb-2024"], ["2024-05-31", "2024-02-01"]),
        (["31MAY2024", "01feb2024"], ["2024-05-31", "2024-02-01"]),
        (["31MAY2024:12:30:00", "1JUN2024:00:00:05"], ["2024-05-31T12:30", "2024-06-01T00:00:05"]),
        (["31 May 2024", "1 Feb 2024"], ["2024-05-31", "2024-02-01"]),
        (["31 May 2024", "1 February 2024"], ["2024-05-31", "2024-02-01"]),
        (["May 31, 2024", "May 1, 2024"], ["2024-05-31", "2024-05-01"]),
        (["Jan 31, 2024", "February 1, 2024"], None),
        (["31.5.2024 12:30", "01.02.2024 0:00"], ["2024-05-31 12:30", "2024-02-01"]),
        (
            ["5/31/2024 2:30:05 PM", "02/01/2024 1:00:00 am"],
            ["2024-05-31 14:30:05", "2024-02-01 1:00"],
        ),
        (["3/5/2024", "01/02/2024"], None),
        (["2024-05-31", "2024-02-31"], None),
        (["31.5.2024", "2024-02-01"], None),
    ]:
        path = tmp_path / "days.csv"
        path.write_text("size;day\n" + "".join(f"{i};{cell}\n" for i, cell in enumerate(cells)))
        found = read_table(path, numeric_only=False).X["day"]
        assert found.tolist() == (
            cells if dates is None else [pd.Timestamp(date) for date in dates]
        )
