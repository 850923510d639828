"""Parquet, Excel and NPZ files: types, names, and broken or malicious files."""

import io
import sys
import zipfile
from datetime import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skae.io import read_table


@pytest.fixture
def read_parquet(tmp_path):
    def read(table, **options):
        path = tmp_path / "table.parquet"
        if isinstance(table, pd.DataFrame):
            table.to_parquet(path)
        else:
            pq.write_table(table, path)
        return read_table(path, **options)

    return read


@pytest.fixture
def read_npz(tmp_path):
    def read(members, **options):
        path = tmp_path / "table.npz"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        return read_table(path, **options)

    return read


@pytest.fixture
def read_excel(tmp_path):
    openpyxl = pytest.importorskip("openpyxl", reason="an optional extra")

    def read(sheets, **options):
        book = openpyxl.Workbook()
        book.remove(book.active)
        for name, rows in sheets.items():
            sheet = book.create_sheet(name)
            for row in rows:
                sheet.append(row)
        path = tmp_path / "table.xlsx"
        book.save(path)
        return read_table(path, **options)

    return read


def pack(array):
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


def claim(shape, n_bytes=80):
    """Return an array file whose header claims a shape, with as many bytes of data as given."""
    content = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(content, header)
    return content.getvalue() + bytes(n_bytes)


@pytest.mark.parametrize("kind", [pa.decimal128(10, 2), pa.decimal256(50, 2)])
def test_decimals_are_numbers(read_parquet, kind):
    prices = pa.array([Decimal("1.5"), Decimal("2.25"), None], kind)
    frame = pa.table({"a": [1.0, 2, 4], "price": prices})
    np.testing.assert_array_equal(
        read_parquet(frame, missing="keep").X, [[1, 1.5], [2, 2.25], [4, np.nan]]
    )
    assert read_parquet(frame, target="price", missing="drop").y.tolist() == [1.5, 2.25]


def test_booleans_with_gaps_are_numbers_with_gaps(read_parquet):
    table = read_parquet(pa.table({"a": [1, 2, 5], "b": [True, None, False]}), missing="keep")
    np.testing.assert_array_equal(table.X[:, 1], [1, np.nan, 0])


def test_columns_of_other_types_are_left_out_with_reasons(read_parquet):
    frame = pa.table(
        {
            "a": [1, 5],
            "text": ["x", "y"],
            "list": [[1], [2]],
            "date": pa.array([1, 2], pa.date32()),
            "none": pa.nulls(2),
            "kind": pa.array(["x", "y"]).dictionary_encode(),
        }
    )
    table = read_parquet(frame)
    assert table.feature_names == ("a",)
    assert table.drop_reasons["text"] == "text"
    assert table.drop_reasons["list"].startswith("values of type list")
    assert table.drop_reasons["date"] == "dates or times"
    assert table.drop_reasons["none"] == "no values"
    assert table.drop_reasons["kind"] == "categories"


@pytest.mark.parametrize(
    "values",
    [
        pd.date_range("2020-01-01", periods=2),
        pd.to_timedelta([1, 2], unit="D"),
        [b"x", b"y"],
        [[1], [2]],
        [{"x": 1}, {"x": 2}],
    ],
)
def test_targets_of_other_values_than_numbers_and_text_are_refused(read_parquet, values):
    with pytest.raises(ValueError, match="target 'y' must hold numbers, booleans or text"):
        read_parquet(pd.DataFrame({"a": [1.5, 2.5], "y": values}), target="y")


def test_numbers_as_text_are_remarked_on(read_parquet):
    columns = {"a": [1.5, 2.5, 3.5], "b": ["1.234,5", "2,5", "n/a"], "c": ["x", "y", "x"]}
    table = read_parquet(pa.table(columns), numeric_only=False)
    assert list(table.X["b"]) == columns["b"]
    assert table.remarks == ("Text that could be numbers was kept as text in b",)


def test_names_of_several_levels_are_text(read_parquet):
    names = pd.MultiIndex.from_tuples([("a", "b"), ("a", "c"), ("d", "e")])
    table = read_parquet(pd.DataFrame([[1, 2.0, "x"], [3, 5.0, "y"]], columns=names))
    assert table.feature_names == ("('a', 'b')", "('a', 'c')")
    assert table.dropped_columns == ("('d', 'e')",)


def test_equal_names_in_parquet_files_are_made_unique(read_parquet):
    frame = pa.Table.from_arrays([pa.array([1, 7]), pa.array([3, 5])], names=["x", "x"])
    table = read_parquet(frame)
    assert table.feature_names == ("x", "x.1")
    np.testing.assert_array_equal(table.X, [[1, 3], [7, 5]])
    with pytest.raises(ValueError, match="must be the name of one column"):
        read_parquet(frame, target="x")


def test_the_index_of_a_frame_is_no_column(read_parquet):
    table = read_parquet(pd.DataFrame({"a": [1, 2, 5]}, index=pd.Index([7, 8, 9], name="id")))
    assert table.feature_names == ("a",)
    assert table.drop_reasons == {"id": "index of the rows"}


def test_metadata_that_no_one_can_read_is_passed_over(read_parquet):
    for metadata in [b"no json", b"[1, 2]", b'{"index_columns": 3}', b"{}"]:
        frame = pa.table({"a": [1, 7]}).replace_schema_metadata({b"pandas": metadata})
        assert read_parquet(frame).feature_names == ("a",)


def test_broken_parquet_files_are_refused(tmp_path):
    pq.write_table(pa.table({"a": [1, 2]}), tmp_path / "whole.parquet")
    content = (tmp_path / "whole.parquet").read_bytes()
    for number, broken in enumerate([content[:-10], content[:-60] + b"\xff" * 20 + content[-40:]]):
        path = tmp_path / f"{number}.parquet"
        path.write_bytes(broken)
        with pytest.raises(ValueError, match=r"must be a readable \.parquet file"):
            read_table(path)


def test_parquet_files_of_countless_rows_are_refused(read_parquet, monkeypatch):
    monkeypatch.setattr("skae.io._sizes._SMALL", 2**20)
    with pytest.raises(ValueError, match="must be a file that fits into memory"):
        read_parquet(pa.table({"a": np.zeros(1_000_000, np.int8)}))


@pytest.mark.slow
def test_parquet_files_of_one_long_text_in_many_rows_are_refused(read_parquet):
    text = pa.DictionaryArray.from_arrays(np.zeros(2000, np.int32), ["x" * 1_000_000])
    frame = pa.table({"a": np.arange(2000), "text": text.cast(pa.large_string())})
    with pytest.raises(ValueError, match="takes at least 1,907 MB"):
        read_parquet(frame, numeric_only=False)
    assert read_parquet(frame).feature_names == ("a",)


def test_texts_of_parquet_files_keep_their_types(read_parquet):
    values = ["x", None, "yy", "x"]
    kinds = {"a": pa.string(), "b": pa.large_string(), "c": pa.dictionary(pa.int8(), pa.string())}
    table = pa.table({name: pa.array(values, kind) for name, kind in kinds.items()})
    found = read_parquet(table, numeric_only=False, missing="keep").X
    pd.testing.assert_frame_equal(found, table.to_pandas())


def test_hostile_arrays_are_refused(read_npz):
    for members, message in [
        ({"X.npy": claim((2**40, 3))}, "claims the shape"),
        ({"X.npy": claim((11,))}, "claims the shape"),
        ({"X.npy": claim((-1, 3))}, "must be an NPZ file|at least one row|must have"),
        ({"X.npy": b"no array"}, "must be an NPZ file of plain arrays"),
        ({"readme.txt": b"hello"}, "must have an array X"),
        ({"X.npy": pack(np.eye(2)), "y.npy": pack(np.array([{}, {}]))}, "without object arrays"),
        ({"X.npy": pack(np.eye(2)), "y.npy": pack(np.array([1, np.inf]))}, "no infinite values"),
    ]:
        with pytest.raises(ValueError, match=message):
            read_npz(members, missing="drop")


def test_archives_of_zeros_are_refused_before_they_are_unpacked(read_npz, monkeypatch):
    monkeypatch.setattr("skae.io._sizes._SMALL", 2**20)
    with pytest.raises(ValueError, match="fits into memory.*numpy.savez"):
        read_npz({"X.npy": claim((500_000, 2), 8_000_000)})


def test_other_arrays_of_an_archive_are_not_read(read_npz):
    members = {"X.npy": pack(np.eye(2)), "a.txt": b"x", "meta.npy": pack(np.array([{}]))}
    assert read_npz(members).X.tolist() == [[1, 0], [0, 1]]


def test_columns_of_arrays_are_dropped_on_demand(read_npz):
    table = read_npz({"X.npy": pack(np.arange(6.0).reshape(2, 3))}, drop=["X1"])
    assert table.feature_names == ("X0", "X2")
    assert table.X.tolist() == [[0, 2], [3, 5]]


def test_sheets_are_read(read_excel):
    sheets = {"A": [["a", "k"], [1.5, "x"], [246.794, "y"]], "B": [["b"], [3], [7]]}
    table = read_excel(sheets, target="k")
    assert table.X.tolist() == [[1.5], [246.794]]
    assert table.y.tolist() == ["x", "y"]
    assert table.remarks == ("Sheet 'A' of A, B",)
    assert read_excel(sheets, sheet="B").X.tolist() == [[3], [7]]
    with pytest.raises(ValueError, match="`sheet` must be one of A, B. Got 'C'"):
        read_excel(sheets, sheet="C")


def test_sheets_with_titles_units_and_text_are_read(read_excel):
    rows = [["Report"], [None], ["a", "b", "c"], ["s", "V", None]]
    rows += [[1, 2.5, "12 %"], [3, 246.794, "3,5 %"], ["Total"]]
    table = read_excel({"A": rows})
    assert table.feature_names == ("a", "b", "c")
    np.testing.assert_array_equal(table.X, [[1, 2.5, 12], [3, 246.794, 3.5]])
    assert read_excel({"A": [[1, 2], [3, 7]]}, header=False).feature_names == ("x0", "x1")


def test_codes_in_sheets_are_remarked_on(read_excel):
    table = read_excel({"A": [["zip", "a"], ["01234", 1], ["12345", 2]]})
    assert any("zip may hold codes, such as 01234" in remark for remark in table.remarks)


def test_dates_among_numbers_are_the_reason_to_leave_out_a_column(read_excel):
    table = read_excel({"A": [["a", "b"], [1, 2], [datetime(2024, 1, 5), 3]]})
    assert table.drop_reasons == {"a": "values of type datetime and int"}


def test_formulas_without_a_result_are_remarked_on(read_excel):
    table = read_excel({"A": [["a", "b"], [1, "=2*A2"], [3, "=2*A3"], [5, 7]]}, missing="keep")
    np.testing.assert_array_equal(table.X, [[1, np.nan], [3, np.nan], [5, 7]])
    assert "Formulas without a result, read as missing values: 2" in table.remarks[0]


def test_years_above_decimals_are_names_without_decimals(read_excel):
    table = read_excel({"A": [["k", 2018, 2019], ["x", 1.5, 3], ["y", 2.5, 4]]})
    assert table.feature_names == ("2018", "2019")


@pytest.fixture
def read_book(tmp_path):
    openpyxl = pytest.importorskip("openpyxl", reason="an optional extra")

    def read(rows, change, **options):
        book = openpyxl.Workbook()
        for row in rows:
            book.active.append(row)
        change(book)
        book.save(tmp_path / "table.xlsx")
        return read_table(tmp_path / "table.xlsx", missing="keep", **options)

    return read


def test_merged_cells_are_filled_down(read_book):
    def merge(book):
        for cells in ["A1:C1", "A3:A5", "B4:B5", "A6:B6"]:
            book.active.merge_cells(cells)

    rows = [["Title"], ["k", "a", "b"], ["x", 1, 2], [None, 3, 5], [None, None, 7], ["y", None, 9]]
    table = read_book(rows, merge, numeric_only=False)
    assert table.X["k"].tolist() == ["x", "x", "x", "y"]
    np.testing.assert_array_equal(table.X["a"], [1, 3, 3, np.nan])
    assert "Merged cells filled down with their values: A3:A5, B4:B5" in table.remarks
    assert "Merged cells read as missing but for the first: A6:B6" in table.remarks


def test_merged_names_are_joined_with_those_below(read_book):
    rows = [["k", "a", None, "b"], [None, "x", "y", "x"], ["u", 1, 2, 3], ["v", 3, 5, 7]]
    table = read_book(rows, lambda book: book.active.merge_cells("B1:C1"))
    assert table.feature_names == ("a x", "a y", "b x")


def test_sheets_may_begin_with_empty_columns(read_book):
    rows = [[None, "Title"], [], [None, "k", "a", "b"], [None, "x", 1, 2], [None, None, 3, 5], []]
    rows.append([None, "Source: office"])
    table = read_book(rows, lambda book: book.active.merge_cells("B4:B5"), numeric_only=False)
    assert table.X["k"].tolist() == ["x", "x"]
    assert table.X["a"].tolist() == [1, 3]
    assert table.feature_names == ("k", "a", "b")


def test_hidden_rows_are_remarked_on(read_book):
    def hide(book):
        book.active.row_dimensions[2].hidden = True

    table = read_book([["a", "b"], [1, 2], [3, 5]], hide)
    assert len(table.X) == 2
    assert table.remarks == ("Hidden rows, read like the others: 1",)


def test_charts_and_hidden_sheets_are_passed_over(read_book):
    def hide(book):
        from openpyxl.chart import BarChart

        book.create_chartsheet("chart", 0).add_chart(BarChart())
        hidden = book.create_sheet("hidden", 1)
        hidden.append(["c"])
        hidden.append([9])
        hidden.sheet_state = "hidden"

    rows = [["a", "b"], [1, 2], [3, 5]]
    assert read_book(rows, hide).X.tolist() == [[1, 2], [3, 5]]
    assert read_book(rows, hide, sheet="hidden").X.tolist() == [[9]]


def test_workbooks_that_lack_their_sheets_are_refused(read_book, tmp_path):
    read_book([["a"], [1]], lambda book: None)
    path = tmp_path / "lacking.xlsx"
    with zipfile.ZipFile(tmp_path / "table.xlsx") as whole, zipfile.ZipFile(path, "w") as rest:
        for name in whole.namelist():
            if "sheet1" not in name:
                rest.writestr(name, whole.read(name))
    with pytest.raises(ValueError, match="must have a sheet with cells"):
        read_table(path)


def test_formulas_of_other_sheets_do_not_count(read_book):
    table = read_book(
        [["a"], [1], [None], [3]], lambda book: book.create_sheet("B").append(["=A1"])
    )
    assert not any("Formulas" in remark for remark in table.remarks)


def test_empty_sheets_are_refused(read_excel):
    with pytest.raises(ValueError, match="the sheet 'A' is empty. Choose another of A, B"):
        read_excel({"A": [], "B": [["a"], [1]]})


@pytest.mark.parametrize("content", [b"PK\x03\x04junk", b"a,b\n1,2\n"])
def test_files_that_are_not_workbooks_are_refused(tmp_path, content):
    pytest.importorskip("openpyxl", reason="an optional extra")
    path = tmp_path / "table.xlsx"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="must be a readable Excel workbook"):
        read_table(path)


def test_missing_openpyxl_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    path = tmp_path / "table.xlsx"
    path.touch()
    with pytest.raises(ImportError, match=r'pip install "skae\[excel\]"'):
        read_table(path)


def test_sheets_are_for_workbooks(tmp_path):
    with pytest.raises(ValueError, match="`sheet` must be None unless"):
        read_table(tmp_path / "table.csv", sheet="A")


def test_sheets_of_few_cells_far_apart_are_refused(tmp_path):
    openpyxl = pytest.importorskip("openpyxl", reason="an optional extra")
    book = openpyxl.Workbook()
    book.active.cell(1, 16_384, "a")
    book.active.cell(1_048_576, 1, 3)
    book.save(tmp_path / "table.xlsx")
    with pytest.raises(ValueError, match="takes at least 131,072 MB"):
        read_table(tmp_path / "table.xlsx")
