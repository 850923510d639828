"""Command line: output and exit codes."""

import re
import subprocess
import sys
import textwrap
from dataclasses import replace
from html import unescape
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import skae
from skae.__main__ import main
from skae._commands import compare
from skae._engine.settings import LoopSettings


@pytest.fixture(autouse=True)
def no_data_folder(monkeypatch):
    monkeypatch.delenv("SKAE_DATA", raising=False)


@pytest.fixture(autouse=True)
def few_epochs(monkeypatch):
    """Let the autoencoder of a comparison, which takes no options, train for few epochs."""
    monkeypatch.setattr(LoopSettings, "resolve_max_iter", lambda self, *rest: 3)


@pytest.fixture
def no_pictures(monkeypatch):
    """Leave the pictures out of pages, as drawing them takes most of the time."""
    for module in ("_make", "_cells"):
        name = f"skae.comparison._report.{module}.make_pictures"
        monkeypatch.setattr(name, lambda pictures: "")
    name = "skae.comparison._report._cells.draw_column_errors"
    monkeypatch.setattr(name, lambda *given: None)


@pytest.fixture
def flowers(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(60, 4)) * [1, 10, 100, 1000], columns=list("abcd"))
    frame["colour"] = "red"
    frame["kind"] = rng.choice(["x", "y"], size=60)
    path = tmp_path / "flowers.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.fixture
def small_mnist(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    arrays = {}
    for part, n_rows in (("train", 40), ("test", 20)):
        arrays[f"X_{part}"] = rng.integers(256, size=(n_rows, 784), dtype=np.uint8)
        arrays[f"y_{part}"] = np.arange(n_rows, dtype=np.uint8) % 10
    np.savez(tmp_path / "mnist.npz", **arrays)
    monkeypatch.setenv("SKAE_DATA", str(tmp_path))


def run(capsys, *arguments):
    code = main(["compare", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out.splitlines(), captured.err


def test_file_with_target(flowers, capsys):
    code, lines, errors = run(capsys, flowers, "--target", "kind", "--n-components", 1, 2)
    assert code == 0
    assert errors == ""
    assert lines[0] == str(flowers)
    assert lines[1] == "Column left out (constant): colour"
    assert lines[2].startswith("Columns scaled to standard deviation 1")
    assert lines[3] == "45 rows to fit on, 15 held out, 4 columns"
    assert lines[4].split()[-1] == "accuracy"
    assert [line.split()[:2] for line in lines[5:9]] == [
        ["1", "PCA"],
        ["1", "autoencoder"],
        ["2", "PCA"],
        ["2", "autoencoder"],
    ]
    assert lines[9].startswith("The autoencoder's error is below PCA's")
    assert len(lines) == 10


def test_raw_keeps_units(flowers, capsys):
    def variance_kept(*options):
        _, lines, _ = run(capsys, flowers, "--n-components", 1, "--numeric-only", *options)
        return float(next(line for line in lines if "PCA " in line and "%" in line).split()[4])

    assert variance_kept("--raw") > 95
    assert variance_kept() < 60


def test_npz_file(tmp_path, capsys):
    X = np.random.default_rng(0).normal(size=(40, 5))
    np.savez(tmp_path / "table.npz", X=X, y=np.repeat([0, 1], 20))
    code, lines, _ = run(capsys, tmp_path / "table.npz", "--n-components", 2, "--test-size", 10)
    assert code == 0
    assert "30 rows to fit on, 10 held out, 5 columns" in lines


def test_default_is_digits(capsys):
    code, lines, _ = run(capsys, "--max-rows", 100, "--n-components", 2)
    assert code == 0
    assert lines[0] == "digits"
    assert "75 rows to fit on, 25 held out, 64 columns" in lines
    assert "mnist" not in lines


def test_mnist_comes_with_its_own_held_out_rows(small_mnist, capsys):
    code, lines, _ = run(capsys, "--max-rows", 30, "--n-components", 2)
    assert code == 0
    start = lines.index("mnist")
    assert lines[start - 1] == ""
    assert lines[start + 1] == "30 rows to fit on, 20 held out, 784 columns"


def test_too_many_codes_are_left_out_with_a_remark(flowers, capsys):
    code, lines, errors = run(capsys, flowers, "--n-components", 2, 8)
    assert code == 0
    assert errors == ""
    assert any(line.startswith("Left out 8 codes") for line in lines)


@pytest.mark.slow
def test_report_is_the_table_as_a_page(flowers, tmp_path, capsys):
    page = tmp_path / "page.html"
    options = ("--target", "kind", "--n-components", 1, "--max-rows", 50, "--splits", 1)
    code, lines, errors = run(capsys, flowers, *options, "--report", page)
    assert code == 0
    assert errors == ""
    assert lines[-1] == f"Report: {page}"
    text = unescape(page.read_text(encoding="utf-8"))
    figures = next(line for line in lines if "PCA " in line and "%" in line).split()
    assert f"<td>{figures[2]}</td><td>1.00x</td>" in text
    assert '<td class="name">colour</td><td>constant</td>' in text
    assert f"skae compare {flowers} --target kind" in text

    names = {}
    exec(re.search("<pre><code>(.*?)</code></pre>", text, re.DOTALL).group(1), names)
    assert f"{names['comparison'].results[0].squared_error:.4g}" == figures[2]
    assert len(names["codes"]) == 50


@pytest.mark.usefixtures("no_pictures")
def test_missing_cells_are_passed_over_or_their_rows_left_out(flowers, tmp_path, capsys):
    frame = pd.read_csv(flowers)
    frame.loc[3:6, "b"] = np.nan
    frame["empty"] = np.nan
    frame.to_csv(tmp_path / "holes.csv", index=False, sep=";", decimal=",")
    options = (tmp_path / "holes.csv", "--numeric-only", "--n-components", 1, "--splits", 1)
    code, lines, errors = run(capsys, *options, "--report", tmp_path / "page.html")
    assert (code, errors) == (0, "")
    assert "Column left out (no values): empty" in lines
    assert "45 rows to fit on, 15 held out, 4 columns, 4 missing cells" in lines
    assert ["1", "PCA"] in [line.split()[:2] for line in lines]
    page = unescape((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert "AutoencoderTransformer(n_components=1, missing='mask', random_state=0)" in page
    code, lines, errors = run(capsys, *options, "--drop-missing")
    assert (code, errors) == (0, "")
    assert lines[1:4] == [
        "Columns are separated by ';'",
        "Decimal commas in a, b, c, d",
        "Rows with missing values left out: 4 of 60",
    ]
    assert "42 rows to fit on, 14 held out, 4 columns" in lines


@pytest.mark.slow
@pytest.mark.usefixtures("no_pictures")
def test_columns_of_all_kinds_are_compared_with_famd(tmp_path, capsys):
    draw = np.random.default_rng(0)
    size = draw.normal(size=80)
    frame = pd.DataFrame(
        {
            "size": (10 * size).round(2),
            "weight": (3 * size + draw.normal(size=80)).round(2),
            "<kind>": np.where(size > 0, "big", "small"),
            "since": (pd.Timestamp("2020-01-01") + pd.to_timedelta((size * 50).round(), "D")),
            "known": size > -0.5,
            "tag": [f"no. {i}" for i in range(80)],
            "place": "here",
        }
    ).astype(object)
    frame.iloc[:8, 1:5] = None
    frame.to_csv(tmp_path / "things.csv", index=False)
    options = ("--n-components", 1, "--splits", 1, "--report", tmp_path / "page.html")
    code, lines, errors = run(capsys, tmp_path / "things.csv", *options)
    assert (code, errors) == (0, "")
    assert lines[1:4] == [
        "Column left out (identifiers, all different): tag",
        "Column left out (constant): place",
        "60 rows to fit on, 20 held out, 5 columns, 32 missing cells",
    ]
    assert lines[5].split()[:2] == ["1", "FAMD"]
    assert "nats: mean negative log-likelihood of a cell; lower is better" in lines
    start = next(place for place, line in enumerate(lines) if line.startswith("column"))
    assert lines[start].split() == ["column", "kind", "missing", "FAMD", "autoencoder"]
    kinds = {line.split()[0]: line.split()[1:3] for line in lines[start + 1 : start + 6]}
    assert kinds == {
        "size": ["number", "0"],
        "weight": ["number", "8"],
        "<kind>": ["category", "8"],
        "since": ["time", "8"],
        "known": ["category", "8"],
    }
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    for part in ("&lt;kind&gt;: small", "date or time", "FAMD and an autoencoder"):
        assert part in page
    assert '<td class="name">tag</td><td>identifiers, all different</td>' in page
    names = {}
    exec(unescape(re.search("<pre><code>(.*?)</code></pre>", page, re.DOTALL).group(1)), names)
    error = names["comparison"].results[0].squared_error
    assert f"{error:.4g}" == lines[5].split()[2]
    assert names["codes"].shape[0] == 80


def test_few_columns_are_tried_with_few_codes():
    for n_columns, numbers in [
        (1, [1]),
        (2, [1]),
        (4, [1, 2]),
        (14, [1, 2, 4, 8]),
        (17, [2, 8, 16]),
        (64, [2, 8, 16, 32]),
    ]:
        assert compare._choose_n_components(n_columns) == numbers


@pytest.mark.slow
def test_seed_decides_rows(capsys):
    def figures(seed):
        options = ("--max-rows", 80, "--n-components", 2, "--random-state", seed)
        _, lines, _ = run(capsys, "digits", *options)
        return [line.split()[2] for line in lines if "%" in line]

    assert figures(0) == figures(0)
    assert figures(0) != figures(1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.csv"], "DATA must be an existing file, or one of digits, mnist. Got 'nowhere"),
        (["digits", "nowhere.csv"], "Got 'nowhere.csv'"),
        (["mnist"], "SKAE_DATA must be"),
        (["digits", "--target", "kind"], "--target must be left out with digits"),
        (["FLOWERS", "--target", "Kind"], "one of a, b, c, d, colour, kind. Got 'Kind'"),
        (["FLOWERS", "--n-components", "9"], "of at most 5"),
        (["FLOWERS", "--test-size", "60"], "test_size"),
        (["FLOWERS", "--max-rows", "2"], "at least 3 rows: two to fit on, one to hold out. Got 2"),
        (["FLOWERS", "--report", "page.csv"], "must end in .html or .htm. Got 'page.csv'"),
        (["FLOWERS", "--report", "nowhere/page.html"], "must be in an existing folder"),
        (["--report", "page.html"], "--report must come with one DATA. Got 0"),
    ],
)
def test_user_errors_are_one_line(flowers, capsys, arguments, message):
    arguments = [str(flowers) if name == "FLOWERS" else name for name in arguments]
    code, _, errors = run(capsys, *arguments)
    assert code == 2
    assert errors.startswith("skae compare: error: ")
    assert message in errors
    assert errors.count("\n") == 1


def test_columns_are_left_out_with_reasons(flowers, capsys):
    options = ("--drop", "a", "--drop", "b", "--n-components", 1, "--numeric-only")
    code, lines, _ = run(capsys, flowers, *options)
    assert code == 0
    assert "Columns left out (as asked for): a, b" in lines
    assert "Column left out (text, such as 'red'): colour" in lines
    assert "45 rows to fit on, 15 held out, 2 columns" in lines


def test_a_file_without_names(flowers, capsys):
    flowers.write_text("".join(flowers.read_text().splitlines(keepends=True)[1:]))
    options = ("--no-header", "--target", "x5", "--n-components", 1)
    code, lines, _ = run(capsys, flowers, *options)
    assert code == 0
    assert "45 rows to fit on, 15 held out, 4 columns" in lines


def test_reports_on_few_rows_use_several_splits():
    few, many = (compare._Data("name", np.zeros((n_rows, 2)), None) for n_rows in (2000, 2001))
    parted = replace(few, X_test=few.X)
    page, console = SimpleNamespace(report="page.html"), SimpleNamespace(report=None)
    for data, options, n_splits in (
        (few, page, 5),
        (few, console, 1),
        (many, page, 1),
        (parted, page, 1),
    ):
        assert compare._choose_n_splits(data, options) == n_splits


def test_the_code_of_a_sample_draws_its_rows():
    options = SimpleNamespace(max_rows=5, random_state=3)
    X, y = np.random.default_rng(0).normal(size=(20, 2)), np.arange(20)
    for table in (X, pd.DataFrame(X)):
        taken = compare._take_rows(compare._Data("name", table, y, code=""), options)
        names = {"X": table, "y": y}
        exec(taken.code, names)
        np.testing.assert_array_equal(names["X"], taken.X)
        np.testing.assert_array_equal(names["y"], taken.y)
        assert len(taken.X) == 5


def test_reports_get_all_that_the_command_line_knows(flowers, tmp_path, monkeypatch, capsys):
    given = {}
    stand_in = SimpleNamespace(reference="PCA", to_html=lambda path, **own: given.update(own))
    monkeypatch.setattr(compare, "compare_with_pca", lambda X, y, **own: stand_in)
    run(capsys, flowers, "--target", "kind", "--drop", "a", "--report", tmp_path / "page.html")
    assert given["feature_names"] == ("b", "c", "d")
    assert set(given["drop_reasons"]) == {"a", "colour"}
    assert "--drop a" in given["command"]
    assert f"read_table({str(flowers)!r}" in given["load_code"]
    assert given["title"] == flowers.name


@pytest.mark.slow
def test_the_code_of_a_report_reads_the_file_alike(flowers, tmp_path, capsys):
    options = ("--drop", "a", "--target", "kind", "--n-components", 1)
    run(capsys, flowers, *options, "--splits", 1, "--report", tmp_path / "page.html")
    text = unescape((tmp_path / "page.html").read_text(encoding="utf-8"))
    given = "target='kind', numeric_only=False, missing='keep', drop=['a']"
    assert f"read_table({str(flowers)!r}, {given})" in text
    assert "X = X.drop(columns=['colour'])" in text


def test_control_characters_are_escaped_in_the_output(tmp_path, capsys):
    rows = "".join(f"{row},{row % 7},k\x1b[2J\n" for row in range(20))
    path = tmp_path / "evil.csv"
    path.write_text(f"a\x1b]0;x\x07,b\u202e,kind\x9b31m\n{rows}", encoding="utf-8")
    for options in (["--n-components", 1], ["--target", "nowhere"], ["--drop", "a"]):
        _, lines, errors = run(capsys, path, *options)
        text = "".join(lines) + errors
        assert r"\x1b" in text
        assert all(letter.isprintable() for letter in text.replace("\n", ""))


@pytest.mark.parametrize(
    ("given", "code"), [pytest.param("FLOWERS", 0, marks=pytest.mark.slow), ("no.csv", 2)]
)
def test_a_missing_standard_output_does_not_matter(flowers, tmp_path, monkeypatch, given, code):
    # As in services, and after `>&-` in a shell.
    monkeypatch.setattr(sys, "stdout", None)
    path, page = str(flowers) if given == "FLOWERS" else given, tmp_path / "page.html"
    arguments = ["compare", path, "--n-components", "1", "--splits", "1", "--report", str(page)]
    assert main(arguments) == code
    assert page.exists() == (code == 0)


@pytest.mark.parametrize(
    "option", [["--drop", "a"], ["--no-header"], ["--sheet", "A"], ["--target", "a"]]
)
def test_options_of_files_are_refused_with_built_in_data(option, capsys):
    code, _, errors = run(capsys, "digits", *option)
    assert code == 2
    assert f"{option[0]} must be left out with digits" in errors


def test_too_little_memory_is_one_line(flowers, monkeypatch, capsys):
    def fail(*arguments, **options):
        raise MemoryError

    monkeypatch.setattr(compare, "compare_with_pca", fail)
    code, _, errors = run(capsys, flowers)
    assert code == 2
    assert errors == (
        "skae compare: error: There is not enough memory. Use fewer rows or columns.\n"
    )


def test_nothing_is_fitted_before_all_names_are_checked(capsys):
    _, lines, _ = run(capsys, "digits", "nowhere.csv")
    assert lines == []


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["compare", "--random-state", "-1"],
        ["compare", "--max-rows", "0"],
        ["compare", "--n-components", "two"],
        ["compare", "--n-components", "0"],
        ["compare", "--test-size", "2.5"],
        ["compare", "--test-size", "1.0"],
        ["compare", "--test-size", "some"],
        ["unknown"],
    ],
)
def test_arguments_that_do_not_parse_exit_with_2(capsys, arguments):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_unknown_options_show_those_of_the_command(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["info", "model.skae", "--rows"])
    errors = capsys.readouterr().err
    usage = "usage: skae info [-h] path\n"
    assert errors == f"{usage}skae info: error: unrecognized arguments: --rows\n"


def test_faults_of_the_program_are_not_called_errors_of_the_user(flowers, monkeypatch):
    monkeypatch.setattr(compare, "run", lambda options: len(None))
    with pytest.raises(TypeError):
        main(["compare", str(flowers)])


def test_interruption_is_no_traceback(monkeypatch, capsys):
    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(compare, "compare_with_pca", interrupt)
    code, _, errors = run(capsys, "digits")
    assert code == 130
    assert errors == "\nInterrupted.\n"


def test_version(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"skae {skae.__version__}\n"


@pytest.mark.slow
def test_reader_that_leaves_is_no_traceback(flowers):
    command = [sys.executable, "-m", "skae", "compare", str(flowers), "--n-components", "1", "2"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=120) == 141
    assert process.stderr.read() == ""


@pytest.mark.slow
def test_module_runs_as_a_program(flowers):
    command = [sys.executable, "-m", "skae", "compare", str(flowers), "--n-components", "2"]
    process = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""
    assert "45 rows to fit on, 15 held out, 5 columns" in process.stdout


@pytest.mark.mostly_slow(3, first=2)
@pytest.mark.parametrize(
    "arguments", [["--help"], ["compare", "--nonsense"], ["compare", "no.csv"]]
)
def test_help_and_errors_wait_for_no_slow_import(arguments):
    program = f"""
        import sys
        from skae.__main__ import main
        try:
            main({arguments})
        except SystemExit:
            pass
        assert not {{"torch", "sklearn", "pandas"}} & sys.modules.keys()
    """
    call = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(call, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_the_package_has_all_names_that_it_lists():
    assert all(getattr(skae, name) is not None for name in dir(skae))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        skae.nonsense  # noqa: B018
