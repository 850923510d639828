"""Text files of many programs: correct values, or a clear error."""

import gzip

import numpy as np
import pytest

from skae.io import read_table
from skae.io._numbers import Cell


@pytest.fixture
def read(tmp_path):
    def read(text, name="table.csv", encoding="utf-8", **options):
        path = tmp_path / name
        path.write_bytes(text.encode(encoding) if isinstance(text, str) else text)
        return read_table(path, **options)

    return read


def assert_holds(table, names, X):
    assert table.feature_names == tuple(names)
    np.testing.assert_array_equal(table.X, X)


def has_remark(table, words):
    return any(words in remark for remark in table.remarks)


def test_separators_at_the_end_of_lines_shift_nothing(read):
    for text in [
        "churn,age,income\n0,31,100,\n1,45,200,\n0,52,300,\n",
        "churn,age,income\n0,31,100,\n1,45,200\n0,52,300\n",
        "churn,age,income\n0,31,100,,,\n1,45,200,,\n0,52,300\n",
        "churn;age;income\n0;31;100;\n1;45;200;\n0;52;300;\n",
        "churn\tage\tincome\n0\t31\t100\t\n1\t45\t200\t\n0\t52\t300\t\n",
        "churn,age,income\n" + "0,31,100\n" * 150 + "0,31,100,\n" * 10,
    ]:
        for missing in ("error", "drop"):
            table = read(text, target="churn", missing=missing)
            assert table.feature_names == ("age", "income")
            assert table.X[0].tolist() == [31, 100]
            assert table.y[0] == 0
            assert set(table.y) <= {0, 1}


def test_two_words_in_each_line_are_no_columns_where_other_separators_are(read):
    for text in ("full name;\nAnn Lee;\nBob Kay;\n", ",full name\n1.,Ann Lee\n2.,Bob Kay\n"):
        assert list(read(text, numeric_only=False).X["full name"]) == ["Ann Lee", "Bob Kay"]


def test_separators_at_the_end_of_lines_are_reported(read):
    assert has_remark(read("a,b\n1,2,\n3,5,\n"), "lines end with a separator")


def test_more_cells_than_names_are_refused(read):
    for text in [
        "a,b\n1,2,3\n4,5,6\n",
        "a,b\n1,2\n4,5,6\n7,8\n",
        "a,b\n1,2,3\n4,5\n7,8\n",
        "a,b\n1,2,3,4\n5,6,7,8\n",
        "a,b\n" + "1,2\n" * 300 + "4,5,6\n",
        "a,b\n" + "1,2\n" * 300 + "4,5,6,7\n",
        "a,b\n1,5,2\n2,5,3\n3,5,4\n",
        "temperature\n21,5\n22,5\n23,5\n",
        "temperature\n1,5\n2,5\n3,5\n",
        "a\n1,2,3\n4,5,6\n",
        "a,b\n\u201c1,5\u201d,2\n\u201c2,5\u201d,3\n\u201c3,5\u201d,5\n",
        "a,b\n1,2\n4,5,,,6\n7,8\n",
    ]:
        for missing in ("error", "drop", "keep"):
            with pytest.raises(ValueError, match=r"has \d+ cells"):
                read(text, missing=missing)


@pytest.mark.parametrize(
    "rows",
    [
        '"1",1.5,2\n"2",2.5,3\n"3",3.5,4\n',
        '"1",1.5,2\n"2",2.5,3\n"3",3.5,4\nExported by X\n',
        "x,1.5,2\ny,2.5,3\nz,3.5,4\n",
    ],
)
def test_names_of_rows_as_r_writes_them_are_no_column(read, rows):
    table = read(f'"a","b"\n{rows}')
    assert_holds(table, "ab", [[1.5, 2], [2.5, 3], [3.5, 4]])
    assert has_remark(table, "one cell more than there are names")
    with_separator = read(f'"a","b",\n{rows}')
    if rows.startswith('"'):
        assert_holds(with_separator, "ab", [[1.5, 2], [2.5, 3], [3.5, 4]])
        assert has_remark(with_separator, "one cell more than there are names")
    else:
        assert has_remark(with_separator, "one column too far left")


@pytest.mark.parametrize(
    "text", ['"a","b",\n"x",1,"u"\n"y",3,"v"\n', '"a","b",\n"x",1,2\n"x",3,4\n']
)
def test_a_last_column_without_a_name_is_no_sign_of_names_of_rows(read, text):
    assert "b" in read(text).feature_names
    assert read(text).X[:, 0].tolist() == [1, 3]


def test_the_separator_of_most_lines_is_taken(read):
    for text, X in [
        ("a;b\n1,5;2,5\n2,5;3,5\n3,5;4,5\n# end of export\n", [[1.5, 2.5], [2.5, 3.5], [3.5, 4.5]]),
        ("a;b\n1,5;2,5\n2,5\n3,5;4,5\n", [[1.5, 2.5], [3.5, 4.5]]),
        ("sep=;\na;b\n1,5;2,5\n3,5;4,5\n", [[1.5, 2.5], [3.5, 4.5]]),
        ("Export, May\na;b\n1,5;2,5\n3,5;4,5\n", [[1.5, 2.5], [3.5, 4.5]]),
        ("a|b\n1.5|2.5\n3.5|4.5\ntotal\n", [[1.5, 2.5], [3.5, 4.5]]),
        ("a;b\r\n1,5;2,5\r\n3,5;4,5\r\n", [[1.5, 2.5], [3.5, 4.5]]),
        ('a,b\n"1,5","2,5"\n"3,5","4,5"\n', [[1.5, 2.5], [3.5, 4.5]]),
        ("k;a;b\nx;1,123;2.5;\ny;2,234;3.5;\nTotal;3,357;\n", [[1123, 2.5], [2234, 3.5]]),
    ]:
        assert_holds(read(text, missing="drop"), "ab", X)


@pytest.mark.parametrize(
    "text",
    [
        "a b\n1 234\n3 456\n",
        "a   b\n1   2\n3   4\n",
        '"a" "b"\n"Fiat 128" 1.5 2\n"Audi" 2.5 3\n',
        '"a"\n"1" 1.5\n"2" 2.5\n',
        "# made by x, y\na b\n1 2\n3 4\n",
        "a   b\n--- ---\n1   2.5\n3   4.5\n\n(2 rows affected)\n",
        "a   b\n--- ---\n1   2.5\n3   4.5\n\na   b\n--- ---\n5   6.5\n7   8.5\n\n4 rows.\n",
        '"a" "b"\n"1" 1.5 "x"\n"2" 2.5 "y z"\n',
    ],
)
def test_columns_separated_by_blanks_are_refused(read, text):
    for numeric_only in (True, False):
        with pytest.raises(ValueError, match="separated by blanks"):
            read(text, numeric_only=numeric_only)


def test_repeated_lines_of_names_are_left_out_if_some_names_are_numbers(read):
    for names, X in [
        ("a,2020,b", [[1, 2, 3], [4, 5, 6]]),
        ("2019,2020.5,b", [[1, 2, 3], [4, 5, 6]]),
    ]:
        table = read(f"{names}\n1,2,3\n{names}\n4,5,6\n")
        assert_holds(table, names.split(","), X)
        assert has_remark(table, "Lines that repeat the names left out: 1")


def test_a_first_line_of_values_is_remarked_on(read):
    for first in [
        "5.1,3.5,1.4,0.2,setosa",
        "0.2,0.2,1,3,a",
        "63.0,1.0,?,?,6",
        "2020-01-01,1,2,3,x",
        "1,2,a,b,3",
    ]:
        rows = "4.9,3.0,1.4,0.2,setosa\n4.7,3.2,1.3,0.2,setosa\n"
        assert has_remark(read(f"{first}\n{rows}", missing="keep"), "pass header=False")


def test_one_column_without_a_name_is_remarked_on(read):
    assert has_remark(read("1.5\n2.5\n3.5\n"), "was read as column names")


@pytest.mark.parametrize("first", ["a,b,c,d,e", "x1,x2,x3,x4,y", "a,b,c,d,2001"])
def test_names_are_not_remarked_on(read, first):
    assert not has_remark(read(f"{first}\n1.5,2,3,4,5\n7,8,9,10,11\n"), "was read as column names")


def test_files_without_names(read):
    text = "5.1,3.5,setosa\n4.9,3.0,virginica\n"
    table = read(text, header=False, target="x2")
    assert_holds(table, ("x0", "x1"), [[5.1, 3.5], [4.9, 3.0]])
    assert table.y.tolist() == ["setosa", "virginica"]
    table = read("# device 7\n1,2,\n3,5,\n", header=False)
    assert_holds(table, ("x0", "x1"), [[1, 2], [3, 5]])
    with pytest.raises(ValueError, match="row 201 of the data has 3 cells and the first lines 2"):
        read("1,2\n" * 200 + "1,2,3\n", header=False, missing="keep")


def test_row_numbers_are_left_out(read):
    for name in [
        '""',
        "rownames",
        "index",
        "Unnamed: 0",
        "Unnamed: 0.1",
        "row.names",
        "rownames.1",
    ]:
        for start in (0, 1):
            rows = "".join(f"{start + number},{number / 2},{number**2}\n" for number in range(4))
            table = read(f"{name},a,b\n{rows}")
            assert table.feature_names == ("a", "b")
            assert list(table.drop_reasons.values()) == [f"row numbers from {start}"]


def test_several_row_numbers_are_left_out(read):
    table = read(",Unnamed: 0.1,Unnamed: 0,a\n0,0,0,1.5\n1,1,1,2\n2,2,2,3.5\n")
    assert table.feature_names == ("a",)


def test_other_columns_that_count_are_remarked_on(read):
    rows = "".join(f"{number},{number % 3}\n" for number in range(20))
    table = read(f"customer,a\n{rows}")
    assert table.feature_names == ("customer", "a")
    assert has_remark(table, "Column customer counts the rows from 0")
    table = read(",a\n7,1\n3,2\n5,4\n")
    assert has_remark(table, "has no name")


def test_points_and_commas_are_decimals_or_thousands_as_the_file_proves(read):
    for text, names, X in [
        ("k;n;q\nx;246.794;1,5\ny;567;3,5\n", "nq", [[246794, 1.5], [567, 3.5]]),
        ("k;n;q\nx;1.246.794;1,5\ny;567;3,5\n", "nq", [[1246794, 1.5], [567, 3.5]]),
        ("k\tn\tq\nx\t246.794\t-1,5\ny\t567\t3,5\n", "nq", [[246794, -1.5], [567, 3.5]]),
        ("k;n\nx;1.246.794\ny;110.674\n", "n", [[1246794], [110674]]),
        ("k;n;q\nx;246.794;1.5\ny;567;3.25\n", "nq", [[246.794, 1.5], [567, 3.25]]),
        ("k;n;q\nx;0.123;1,234\ny;0.567;3,25\n", "nq", [[0.123, 1.234], [0.567, 3.25]]),
        ('k,n,q\nx,"246,794",1.5\ny,567,3.5\n', "nq", [[246794, 1.5], [567, 3.5]]),
    ]:
        assert_holds(read(text), names, X)


@pytest.mark.parametrize(
    "text", ["k;n\nx;246.794\ny;567\n", "lat;lon\n54.321;10.139\n49.757;6.641\n"]
)
def test_unproven_decimal_points_are_remarked_on(read, text):
    assert has_remark(read(text), "were read as decimal marks, not thousands")


def test_decimals_that_the_file_contradicts_are_left_out(read):
    table = read("a;b;c\n1,5;2.5;1.234\n2,5;3.5;2.345\n")
    assert_holds(table, "ab", [[1.5, 2.5], [2.5, 3.5]])
    assert "the file has both" in table.drop_reasons["c"]


def test_numbers_are_read_in_many_notations(read):
    for cells, numbers in [
        (['"1,234"', '"5,678,900"'], [1234, 5678900]),
        (["1 234.5", "12"], [1234.5, 12]),
        (["1\u00a0234.5", "1\u202f234"], [1234.5, 1234]),
        (["1'234.5", "1\u2019234"], [1234.5, 1234]),
        (['"12,34,567"', "3.5"], [1234567, 3.5]),
        (["12.5 %", "3%"], [12.5, 3]),
        (["%12.5", "%3"], [12.5, 3]),
        (["$5", '"$1,234.50"'], [5, 1234.5]),
        (["-$5", "$-7"], [-5, -7]),
        (["\u20ac 5", "7 \u20ac"], [5, 7]),
        (["5 EUR", "EUR 7.5"], [5, 7.5]),
        (["(987)", "12"], [-987, 12]),
        (['"($1,234.50)"', "$1"], [-1234.5, 1]),
        (["\u22125", "\u22121.5"], [-5, -1.5]),
        (["987-", "5"], [-987, 5]),
        (["-", "5.5", "--", "n/a", "#DIV/0!"], [np.nan, 5.5, np.nan, np.nan, np.nan]),
        (["True", "", "False"], [1, np.nan, 0]),
        (["\u00a0", "1.5", "", "3"], [np.nan, 1.5, np.nan, 3]),
        ([".", "1.5", ".A", ".z"], [np.nan, 1.5, np.nan, np.nan]),
        (["\u202d1.5\u202c", "\u0661\u066b\u0665"], [1.5, 1.5]),
        (["1.5D+03", "-2.5D-01", "3"], [1500, -0.25, 3]),
        (["1.5\u00d710^3", "-2 x 10^-1", "3"], [1500, -0.2, 3]),
        (["$ -", "$3", "- $"], [0, 3, 0]),
        (["TRUE", "FALSE", "TRUE"], [1, 0, 1]),
        (["WAHR", "FALSCH", "VRAI"], [1, 0, 1]),
        (["1.5", "-nan(ind)"], [1.5, np.nan]),
        (['"$ (1,234.50)"', "$(2)", "$ 3"], [-1234.5, -2, 3]),
        (["1.5", "***", "#N/A Field Not Applicable", ":"], [1.5, np.nan, np.nan, np.nan]),
    ]:
        rows = "".join(f"{cell},{index % 2}\n" for index, cell in enumerate(cells))
        table = read(f"a,b\n{rows}", missing="keep")
        assert table.feature_names == ("a", "b")
        np.testing.assert_array_equal(table.X[:, 0], numbers)


def test_columns_that_are_not_numeric_are_left_out_with_the_reason(read):
    for cells, reason in [
        (["$5", "\u20ac5", "$7"], "more than one unit"),
        (["5%", "0.5", "7%"], "more than one unit"),
        (["1,5", "2.5", "3,25"], "decimal points in some cells"),
        (["5", "n/v", "7"], "numeric but for 1 cell, such as 'n/v'"),
        (["5", "(7", "8"], "numeric but for 1 cell"),
        (["5 kg", "6 lb", "7 kg"], "more than one unit, such as '5 kg' and '6 lb'"),
        (["5 kg", "6", "7 kg"], "more than one unit, such as '5 kg' and '6'"),
        (["12 Main St", "14 Oak Ave", "7 Elm Rd"], "text, such as '12 Main St'"),
        (["5 PM", "12 PM", "7 PM"], "text, such as '5 PM'"),
        (["5 May", "12 May", "7 May"], "text, such as '5 May'"),
        (["12A", "13A", "14A"], "text, such as '12A'"),
        (["1-2", "2020-01-01", "3-4"], "text"),
        (["+", "-", "+"], "text"),
        (["9" * 40 + " " * 90_000 + "x", "1", "2"], "numeric but for 1 cell"),
    ]:
        rows = "".join(f'"{cell}",{index % 2}\n' for index, cell in enumerate(cells))
        table = read(f"a,b\n{rows}")
        assert table.feature_names == ("b",)
        assert reason in table.drop_reasons["a"]


def test_lines_above_the_names_are_left_out(read):
    for above in [
        "# device 7\n",
        "# device 7, rev 2\n# b\n",
        "// device 7, rev 2\n",
        "Report of May\n",
        "Report of May,,\n",
        "Report of May, site 5\n\n",
        "Title\nDate: 2020-01-01\n\n",
        "Serial,123\nDate,2020-01-01\n",
        "Export,device,7\n",
        "Report,2024,Q1\n",
        "Serial,A12,x\nOwner,Ann,y\n\n",
        "[Header]\nDate,2020-01-01\nOperator,Ann\n[Data]\n",
        "[Header],,\nOwner,Ann,x\n[Data],,\n",
        '"A title\nof two lines"\n',
    ]:
        table = read(f"{above}a,b,c\n1,2,3\n3,5,7\n")
        assert_holds(table, "abc", [[1, 2, 3], [3, 5, 7]])
        assert has_remark(table, "Lines above the table left out")


def test_lines_between_rows_that_begin_with_text_separate_no_names(read):
    text = "name,score\nAnn,absent\n\nBob,absent\nCid,7\nDan,8\n"
    table = read(text, numeric_only=False)
    assert list(table.X.columns) == ["name", "score"]
    assert list(table.X["name"]) == ["Ann", "Bob", "Cid", "Dan"]
    table = read("name,town\n[A]\nAnn,Kiel\nBob,Bonn\n", numeric_only=False, missing="keep")
    assert list(table.X["name"]) == ["[A]", "Ann", "Bob"]


def test_a_title_may_be_as_short_as_a_name(read):
    table = read("Weights\n\nmass,2020\n1.5,3\n2.5,5\n")
    assert_holds(table, ["mass", "2020"], [[1.5, 3], [2.5, 5]])
    # Without the empty line, these might be names of rows.
    with pytest.raises(ValueError, match="has 2 cells"):
        read("Weights\nmass,2020\n1.5,3\n2.5,5\n3.5,6\n")


def test_names_may_stand_in_a_comment(read):
    assert_holds(read("# a,b\n1,2\n3,5\n"), "ab", [[1, 2], [3, 5]])
    table = read("#,a,b\n1,2,5\n2,5,6\n3,8,7\n")
    assert_holds(table, "ab", [[2, 5], [5, 6], [8, 7]])


def test_names_stand_below_descriptions_and_comments_of_several_lines(read):
    logger = '"TOA5","CR1","CR1","123"\n"a","b","c"\n"s","V","C"\n'
    comment = "/* DATA:\nCitation:,Ann (2020),x\nSize:,3 rows,y\n*/\na,b,c\n"
    channels = "Log\nSeparator,Tab\nSamples,4,4\na,b,c\n"
    for above in (logger, comment, channels):
        table = read(f"{above}1,2,3\n3,5,7\n4,6,9\n")
        assert_holds(table, "abc", [[1, 2, 3], [3, 5, 7], [4, 6, 9]])
        assert has_remark(table, "Lines above the table left out")


def test_rows_of_limits_and_flags_are_no_units(read):
    for cell in ("<0.5", "12.3 p", "5*", "> 100"):
        table = read(f"k,a\nx,{cell}\ny,1.5\nz,2.5\n", numeric_only=False)
        assert table.X["k"].tolist() == ["x", "y", "z"]


def test_lines_of_units_are_left_out(read):
    for text in [
        "a,b\ns,V\n1,2\n3,5\n",
        "a,b\n-,m\n1,2\n3,5\n",
        "a,k,b\ns,,V\n1,x,2\n3,y,5\n",
        "a;b\n[s];[V]\n1;2\n3;5\n",
        "a,b\ncontinuous,continuous\nmeta,\n1,2\n3,5\n",
    ]:
        table = read(text)
        assert_holds(table, "ab", [[1, 2], [3, 5]])
        assert has_remark(table, "was read as units")


@pytest.mark.parametrize("units", ["-,EUR,EUR", ",t,t", "name,%,%"])
def test_years_above_units_are_names(read, units):
    table = read(f"country,2019,2020\n{units}\nx,1,2\ny,3,5\n")
    assert_holds(table, ["2019", "2020"], [[1, 2], [3, 5]])


def test_lines_that_are_no_data_are_left_out(read):
    for text in [
        "a,b\n1,2\n3,5\n\nExported by X\n",
        "a,b\n1,2\n3,5\nExported by X,\nOn a day,\n",
        "a,b\n1,2\n# restart\n3,5\n",
        "a,b\n1,2\n# restart, now\n3,5\n",
        "a,b\n1,2\n# restart, now, again\n3,5\n",
        "a,b\n1,2\na,b\n3,5\n",
        "a,b\n1,2\n,\n3,5\n,\n",
        "a,b\n-----,-----\n1,2\n3,5\n",
        "a,b\n1,2\nn/a,-\n3,5\n",
        "a|b\n:---|---:\n1|2\n3|5\n",
        "a,b\n1,2\n# restart\n3,5\nExported by X\n",
        "a,b\n1,2\n3,5\nTotal,7\nExported by X\n",
        "a,b\n1,2\n3,5\nTotal,7\n",
        "a,b\n1,2\n3,5\nTotal:,7\nMean,3.5\n",
    ]:
        table = read(text)
        assert_holds(table, "ab", [[1, 2], [3, 5]])
        assert has_remark(table, "left out: ")


def test_totals_between_rows_are_remarked_on(read):
    for rows in ("Total,6\nx,1\ny,2\nz,3\n", "x,1\ny,2\nSubtotal,3\nz,3\n"):
        table = read(f"k,a\n{rows}", numeric_only=False)
        assert len(table.X) == 4
        assert has_remark(table, "may be sums of others")


def test_missing_codes_of_countries_are_remarked_on(read):
    table = read("k,a\nNA,1\nDE,2\nFR,3\n", numeric_only=False, missing="keep")
    assert has_remark(table, "Cells NA of column k are missing")
    for text in ("k,a\nNA,1\nx,2\ny,3\n", "k,a\nNA,1\n,2\nNA,3\n"):
        assert not has_remark(read(text, missing="keep"), "Cells NA")


def test_totals_are_left_out(read):
    for total in ["Total,7.3", "Grand total,7.3", "Summe,", ",7.3", "**,7.3"]:
        table = read(f"item,a\nx,1.1\ny,2.2\nz,4\n{total}\n")
        assert_holds(table, "a", [[1.1], [2.2], [4]])
        assert has_remark(table, "Totals left out: 1")
    table = read('item,a\nx,"1,100"\ny,"2,200"\nz,4\n,"3,304"\n')
    assert_holds(table, "a", [[1100], [2200], [4]])


def test_statistics_below_dates_and_numbers_are_left_out(read):
    for first in ["2024-01-05", "05.01.2024 10:00", "1"]:
        text = f"time,a\n{first},1.1\n{first},2.2\n\nMin,1.1\nMax,2.2\nStd. dev.,0.8\nMean,1.6\n"
        table = read(text, drop=["time"])
        assert_holds(table, "a", [[1.1], [2.2]])
        assert has_remark(table, "Totals left out: 4, such as 'Min'")
    assert len(read("name,a\nEva,1.1\nKim,2.2\nMax,3.5\n").X) == 3
    for last in ["y", "n"]:
        table = read(f"a,answer,b\n1,y,2\n2,{last},3\n,n,5\n", missing="keep")
        assert len(table.X) == 3


def test_notes_below_two_columns_are_left_out_if_they_begin_as_notes(read):
    for note in ("Source: Eurostat\nprovisional\n", "* estimated\n"):
        for row in ("z,3", "z,"):
            table = read(f"k,a\nx,1\ny,2\n{row}\n\n{note}", numeric_only=False, missing="keep")
            assert len(table.X) == 3
            assert has_remark(table, "Lines below the table left out")
    assert len(read("k,a\nx,1\ny,2\nz,3\nNotes\n", numeric_only=False, missing="keep").X) == 4


def test_notes_below_a_first_column_of_text_are_left_out(read):
    rows = "k,a,b\nx,1,2\ny,,5\n"
    for numeric_only in (True, False):
        table = read(f"{rows}\nExported by X\n", missing="keep", numeric_only=numeric_only)
        np.testing.assert_array_equal(
            table.X[["a", "b"]] if not numeric_only else table.X, [[1, 2], [np.nan, 5]]
        )
        assert has_remark(table, "Lines below the table left out: 1, such as 'Exported by X'")
    table = read("k,a,b\nx,1,2\nz,,\ny,3,5\nw,,\n", missing="keep", numeric_only=False)
    assert table.X["k"].tolist() == ["x", "z", "y", "w"]


@pytest.mark.parametrize("last", [",7", "*,7", "Totals of y,7.3", "w,7.3"])
def test_last_rows_that_are_no_totals_are_kept(read, last):
    assert len(read(f"item,a\nx,1.1\ny,2.2\nz,4\n{last}\n").X) == 4


@pytest.mark.parametrize("name", ["Total", "Mean"])
def test_a_category_that_occurs_more_than_once_is_no_total(read, name):
    table = read(f"brand,a\nAral,1.1\nShell,2.2\n{name},4\n{name},3.5\n")
    assert len(table.X) == 4
    assert not has_remark(table, "Totals")


def test_frames_of_tables_are_left_out(read):
    rule = "+---+---+\n"
    table = read(f"{rule}| a | b |\n{rule}| 1 | 2 |\n| 3 | 5 |\n{rule}", missing="keep")
    assert_holds(table, "ab", [[1, 2], [3, 5]])
    for below in ("+---+\n| 1 |\n| 2 |\n+---+\n", "+===+\n| 1 |\n+---+\n| 2 |\n+---+\n"):
        assert_holds(read(f"+---+\n| a |\n{below}", missing="keep"), "a", [[1], [2]])


def test_rules_below_the_names_are_no_names(read):
    text = " a | k | b \n---+---+---\n 1 | x | 2\n 3 | y | 5\n(2 rows)\n"
    assert_holds(read(text), "ab", [[1, 2], [3, 5]])
    rules = read("| a | b |\n|---+---|\n| 1 | 2 |\n| 3 | 5 |\n")
    assert_holds(rules, "ab", [[1, 2], [3, 5]])
    assert not has_remark(rules, "fewer cells")
    marks = read("a,b\n+,1\n+++,2\n++,3\n", numeric_only=False).X["a"]
    assert marks.tolist() == ["+", "+++", "++"]


def test_names_of_two_lines_are_joined(read):
    for text in [
        "a,a,b\nx,y,x\n1,2,3\n3,5,7\n",
        "a,,b\nx,y,x\n1,2,3\n3,5,7\n",
        "a,,b,\nx,y,x,z\n1,2,3,4\n3,5,7,8\n",
        "a,,b\nx,y,x,z\n1,2,3,4\n3,5,7,8\n",
        "a,a,b\nx,y,x\n,,\n1,2,3\n3,5,7\n",
        ",a,a,b\n,x,y,x\nrow,,,\nk,1,2,3\nl,3,5,7\n",
        "Title\nrow,a,,b\n,x,y,x\nk,1,2,3\nl,3,5,7\n",
    ]:
        table = read(text)
        assert table.feature_names[:3] == ("a x", "a y", "b x")
        assert table.feature_names[3:] in [(), ("b z",)]
        assert table.X[:, :3].tolist() == [[1, 2, 3], [3, 5, 7]]
        assert has_remark(table, "were joined to names, such as 'b ")
    text = "row,a,,b\n,x,y,z\nk,1,2,3\nl,3,5,7\n"
    assert read(text, numeric_only=False).feature_names == ("row", "a x", "a y", "b z")
    assert read("a,a\nm,m\n1,2\n3,5\n").feature_names == ("a", "a.1")


def test_marks_that_look_like_comments_are_kept(read):
    for mark in ["#DIV/0!", "#NV", "#WERT!", "#N/D", "#NOM?", "#¡REF!", "#ÜBERLAUF!"]:
        table = read(f"a,b\n{mark},1\n5.5,2\n7.5,3\n", missing="keep")
        assert_holds(table, "ab", [[np.nan, 1], [5.5, 2], [7.5, 3]])
    assert len(read("colour,b\n#ff0000,1\n#00ff00,2\n").X) == 2


def test_a_name_left_empty_is_remarked_on(read):
    table = read("a,b,\n1,2,5\n3,5,4\n")
    assert table.feature_names == ("a", "b", "Unnamed: 2")
    assert has_remark(table, "Columns without a name: Unnamed: 2")


def test_blanks_after_separators_are_no_part_of_cells(read):
    table = read("a, b, kind\n1, 2, x\n3, ?, y\n5, 6, x \n", target="kind", missing="drop")
    assert_holds(table, "ab", [[1, 2], [5, 6]])
    assert table.y.tolist() == ["x", "x"]


def test_equal_names_are_made_unique_and_never_a_target(read):
    text = "x,y,y\n1,2,2\n3,5,5\n"
    table = read(text)
    assert table.feature_names == ("x", "y", "y.1")
    assert has_remark(table, "Columns with equal names were renamed: y, y.1")
    with pytest.raises(ValueError, match=r"the name of 2 columns of .*--drop\): y\.1"):
        read(text, target="y")
    assert read(text, target="y", drop=["y.1"]).feature_names == ("x",)


@pytest.mark.parametrize("cell", ["x" * 140_000, '"' + "x, y\n" * 40_000 + '"'])
def test_long_cells_are_read(read, cell):
    assert_holds(read(f"a,text\n1,{cell}\n2,b\n3,c\n"), "a", [[1], [2], [3]])


def test_utf32_is_known_by_its_mark(read):
    assert_holds(read("a;b\n1,5;2\n2,5;3\n", encoding="utf-32"), "ab", [[1.5, 2], [2.5, 3]])


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_is_known_without_its_mark(read, encoding):
    assert_holds(read("a;b\n1,5;2\n2,5;3\n", encoding=encoding), "ab", [[1.5, 2], [2.5, 3]])


@pytest.mark.parametrize("missing", ["error", "drop", "keep"])
def test_infinite_targets_are_refused(read, missing):
    with pytest.raises(ValueError, match="target 'y' must have no infinite values"):
        read("a,y\n1,2\n2,inf\n3,4\n", target="y", missing=missing)


def test_columns_are_dropped_on_demand(read):
    text = "id,a,b\n7,1,x\n3,2,y\n9,4,z\n"
    table = read(text, drop=["id", "b"])
    assert table.feature_names == ("a",)
    assert table.drop_reasons == {"id": "as asked for", "b": "as asked for"}
    assert read(text, drop="id").dropped_columns == ("id", "b")
    with pytest.raises(ValueError, match="`drop` must be one of id, a, b. Got 'Id'.* mean 'id'"):
        read(text, drop=["Id"])
    with pytest.raises(ValueError, match="must not contain the target"):
        read(text, drop=["a"], target="a")


def test_columns_without_name_and_values_are_left_out(read):
    for text in ["| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 5 |\n", ";a;b\n;1;2\n;3;5\n"]:
        for numeric_only in (True, False):
            table = read(text, missing="keep", numeric_only=numeric_only)
            assert_holds(table, "ab", [[1, 2], [3, 5]])
            assert table.drop_reasons == {"Unnamed: 0": "no values"}


def test_numbers_in_several_units_are_remarked_on(read):
    for numeric_only in (True, False):
        table = read("a,b\n5 kg,1\n,2\n6 lb,3\n", numeric_only=numeric_only, missing="keep")
        assert has_remark(table, "Column a is numeric in more than one unit, such as '5 kg'")


def test_units_behind_all_numbers_are_left_out(read):
    for cells, unit in [
        (["5 kg", "6 kg", "n/a", "7.5 kg"], "kg"),
        (["5kg", "6 kg", "", "7,5kg"], "kg"),
        (["5°C", "6°C", "-", "7.5°C"], "°C"),
        (["5 m²", "6 m²", "?", "7.5 m²"], "m²"),
    ]:
        rows = "".join(f"{cell};{index}\n" for index, cell in enumerate(cells))
        table = read(f"a;b\n{rows}", missing="keep")
        assert_holds(table, "ab", [[5, 0], [6, 1], [np.nan, 2], [7.5, 3]])
        assert has_remark(table, f"Unit '{unit}', ignored, in a")


def test_marks_of_missing_values_stand_between_booleans_and_dates(read):
    text = "a;b;c\nTrue;31.5.2024;1\n-;n.a.;2\nFalse;1.6.2024;3\n"
    table = read(text, numeric_only=False, missing="keep")
    assert [kind.kind for kind in table.X.dtypes] == ["b", "M", "i"]
    assert table.X["a"].isna().tolist() == table.X["b"].isna().tolist() == [False, True, False]


def test_lines_with_too_few_cells_are_remarked_on(read):
    table = read("a,b,c\n1,2,3\n4,5\n7,8,9\n", missing="keep")
    assert_holds(table, "abc", [[1, 2, 3], [4, 5, np.nan], [7, 8, 9]])
    assert has_remark(table, "fewer cells than names end with missing values, such as '4, 5'")


@pytest.mark.parametrize("numeric_only", [True, False])
def test_files_that_are_not_text_with_usual_separators_are_refused(read, numeric_only):
    rows = "".join(f"{index},{index**2 % 7}\n" for index in range(30))
    for text, message in [
        ("a:b\n1:2\n3:5\n", "separated by ':'"),
        ("a^b\n1^2\n3^5\n", r"separated by '\^'"),
        ("a\uff0cb\n1\uff0c2\n3\uff0c5\n", "separated by '\uff0c'"),
        ('"a,b"\n"1,2"\n"3,5"\n', "separated by ','"),
        ("a\x01b\n1\x012\n3\x015\n", "control character"),
        ("a\u00a7b\n1\u00a72\n3\u00a75\n", "separated by '\u00a7'"),
        (
            "name       b\nAnn        2\nBob Lee    3\nCarl de Wit 5\nAl         6\n",
            "separated by several blanks",
        ),
        ("+----+\n| a b |\n|----|\n1. | x  2 |\n2. | y  3 |\n+----+\n", "separated by blanks"),
        ("shape: (2, 1)\n\u250c\u2500\u2510\n\u2502a\u2502\n", "seems to be a printed table"),
        ("%%MatrixMarket matrix array real\n2 1\n1\n3\n", "seems to be a file of Matrix Market"),
        ("<!DOCTYPE html>\n<p>404, not found</p>\n", "seems to be HTML"),
        ('[\n {"a": 1, "b": 2},\n {"a": 2, "b": 3}\n]\n', "seems to be JSON"),
        ('{"a":1,"b":2}\n{"a":2,"b":3}\n', "seems to be JSON"),
        ("version https://git-lfs.github.com/spec/v1\nsize 3\n", "seems to be a pointer of Git"),
        ("@relation x\n@attribute a real\n@data\n1\n", "seems to be ARFF"),
        ('a,b\n1,x\n2,"y\n3,z\n', "quotation mark in row 2 of the data is never closed"),
        (f"PK\x03\x04\x14a,b\n{rows}", "control character"),
        (f"a,b\n{rows}".encode("utf-32-le"), "control character"),
    ]:
        with pytest.raises(ValueError, match=message):
            read(text, numeric_only=numeric_only)


def test_lines_of_countless_cells_are_refused(read, monkeypatch):
    monkeypatch.setattr("skae.io._text._MOST_COLUMNS", 1000)
    with pytest.raises(ValueError, match="at most 1,000 columns. Got 1,002"):
        read("a" + "," * 1001 + "\n1\n")


def test_marks_without_width_are_no_part_of_names(read):
    assert_holds(read("\ufeff\ufeffa,\u200bb\n1,2\n3,5\n"), "ab", [[1, 2], [3, 5]])


def test_one_column_of_several_words_is_text(read):
    for text in ["time\n10:05\n11:10\n", "address\n12 High St\n14 Low St\n", 'a\n"b, c"\n"d, e"\n']:
        assert len(read(text, numeric_only=False).X) == 2
    # These lines have no cells if colons or the like separate them.
    for text in ["a\n:\n::\n:\n", "a\n^\n1\n^\n", "a\n~\n~\n1\n", 'a\n","\n","\n']:
        assert read(text, numeric_only=False).feature_names == ("a",)
    assert_holds(read("a\n1 234\n5 678\n"), "a", [[1234], [5678]])


def test_the_reasons_stand_in_the_error_of_a_table_without_numbers(read):
    with pytest.raises(ValueError, match=r"columns a \(text, such as 'x y'\)"):
        read("a\nx y\nz\n")


def test_archives_that_unpack_to_too_much_are_refused(read, monkeypatch):
    packed = gzip.compress(b"a,b\n" + b"0,0\n" * 2_000_000)
    monkeypatch.setattr("skae.io._sizes._SMALL", 2**20)
    with pytest.raises(ValueError, match="must be a file that fits into memory"):
        read(packed, name="table.csv.gz")


@pytest.mark.parametrize("text", ["name,,,,,,", "a,b\na,b\n"])
def test_files_of_names_alone_have_no_rows(tmp_path, text):
    (tmp_path / "names.csv").write_text(text)
    with pytest.raises(ValueError, match="must have at least one row"):
        read_table(tmp_path / "names.csv")


@pytest.mark.parametrize(
    ("cells", "filler"),
    [
        ("1,-999,7,-999", "-999"),
        ("1,-99,7,5", "-99"),
        ("0,-99,0", "-99"),
        ("-1.5,-9999.0,7,-9999.0", "-9999"),
        ("1,99999,7,99999", "99999"),
        ("1.5,9.96921e36,7,5", "9.96921e+36"),
        ("1,-1e20,7,5", "-1e+20"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_numbers_that_may_stand_for_missing_values_are_remarked_on(read, cells, filler):
    table = read("a\n" + cells.replace(",", "\n"))
    assert has_remark(table, f"Column a may mark missing values by {filler}, read as a number")
    lines = "".join(f"{index},{cell}\n" for index, cell in enumerate(cells.split(",")))
    target = read("b,a\n" + lines, target="a")
    assert has_remark(target, f"Column a may mark missing values by {filler}, read as a number")


@pytest.mark.parametrize(
    "cells", ["1,999,7,5", "-90,-99,7,5", "2e20,1e20,1e3", "99999,99998", "0,0", "1e305,5e304"]
)
@pytest.mark.filterwarnings("error")
def test_ordinary_numbers_stand_for_themselves(read, cells):
    assert not has_remark(read("a\n" + cells.replace(",", "\n")), "missing values")


def test_numbers_of_too_many_digits_and_with_exponents_of_long_numbers_may_be_codes(read):
    for code in ("12345678901234567890123", "12e4", "00e1"):
        table = read(f"id,a\n{code},1\n2.5,2\n")
        assert has_remark(table, f"Column id may hold codes, such as {code}")
    assert not has_remark(read("id,a\n1e5,1\n1.25E+05,2\n"), "may hold codes")


def test_addresses_are_no_numbers_with_thousands(read):
    table = read("address;a\n192.168.100.101;1,5\n10.100.200.111;2,5\n", numeric_only=False)
    assert table.X["address"].tolist() == ["192.168.100.101", "10.100.200.111"]


def test_errors_of_spreadsheets_are_missing_in_text(read):
    table = read("k,a\n#NULL!,1\nx,2\n", numeric_only=False, missing="keep")
    assert table.X["k"].isna().tolist() == [True, False]


def test_each_cell_is_examined_a_few_times(read, monkeypatch):
    examined = []
    allows = Cell.allows
    monkeypatch.setattr(Cell, "allows", lambda *given: examined.append(0) or allows(*given))
    table = read("a;b\n" + "".join(f"1.{index:03},5;1\n" for index in range(1000)))
    assert table.X[1].tolist() == [1001.5, 1]
    assert len(examined) < 20 * 1000
