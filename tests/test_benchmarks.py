"""The benchmarks run, on little data, and their tables hold what was measured."""

import importlib
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
PARTS = ["digits", "whole", "growth", "grid", "transform", "import", "one_row", "pickle"]


@pytest.fixture
def run(monkeypatch, capsys):
    """Return a function that runs a benchmark and returns what it prints."""
    monkeypatch.syspath_prepend(str(FOLDER))

    def run(name, *arguments):
        importlib.import_module(name).main([*map(str, arguments)])
        return capsys.readouterr().out

    return run


def find_line(text, start):
    """Return the cells of the first line that begins so."""
    line = next(line for line in text.splitlines() if line.startswith(start))
    return re.split(r"\s{2,}", line)


def test_quality_prints_ratios_to_pca(run, monkeypatch):
    monkeypatch.setenv("SKAE_DATA", "")
    text = run("quality", "--datasets", "iris", "mnist", "--seeds", 1, "--rivals", "mlp")
    assert "mnist is left out" in text
    assert find_line(text, "data")[:5] == ["data", "codes", "pca", "skae", "mlp"]
    assert find_line(text, "iris")[:3] == ["iris", "1", "1.000"]
    method, n_runs, mean, *_ = find_line(text, "skae  ")
    assert (method, n_runs) == ("skae", "2")
    assert 0 < float(mean) <= 1.02


def test_quality_draws_where_it_is_told_to(run, tmp_path):
    pytest.importorskip("matplotlib")
    picture = tmp_path / "figure.png"
    run("quality", "--datasets", "iris", "--seeds", 1, "--rivals", "--output", picture)
    assert picture.stat().st_size > 1000


def test_outliers_prints_areas(run):
    text = run(
        "outliers", "--datasets", "iris", "--seeds", 1, "--rivals", "pca", "--set", "max_iter=2"
    )
    assert find_line(text, "data") == ["data", "skae", "pca"]
    _, ours, theirs = find_line(text, "iris")
    assert 0.9 < float(ours) <= 1
    assert 0 <= float(theirs) <= 1
    assert find_line(text, "skae  ")[1] == ours


def test_outliers_leaves_out_what_is_not_there(run, monkeypatch):
    monkeypatch.setenv("SKAE_DATA", "")
    assert "speaker is left out" in run("outliers", "--datasets", "speaker", "--rivals")


def test_speed_prints_a_ratio(run):
    text = run("speed", "--quick", "pickle")
    n_bytes, of_weights, ratio = text.splitlines()[-1].split()
    assert float(ratio) == pytest.approx(int(n_bytes) / int(of_weights), abs=1e-3)


def test_speed_refuses_what_it_does_not_know(run):
    with pytest.raises(SystemExit):
        run("speed", "nothing")


def test_defaults_marks_the_default(run):
    text = run("defaults", "--datasets", "iris", "--seeds", 1, "--defaults", "output_range")
    assert find_line(text, "auto *")[2] == "1.000"
    assert find_line(text, "None")[0] == "None"


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
def test_every_part_of_speed_runs(run, part):
    text = run("speed", "--quick", "--rounds", 1, "--epochs", 1, part)
    assert re.search(r"\d\.\d{3}", text)


@pytest.mark.slow
def test_a_memory_map_is_fitted_in_little_memory(run):
    text = run("speed", "map", "--map-megabytes", 300)
    assert float(find_line(text, "750,000 rows")[4]) < 1000


@pytest.mark.slow
@pytest.mark.needs_data("mnist.npz")
def test_programs_of_others_run_on_mnist(run):
    text = run("keras_program", "--quick", "--rows", 1000, "--keras-epochs")
    assert 0.05 < float(find_line(text, "skae")[2]) < 0.2
    sizes = ["--hidden", 32, "--rows", 1000, "--test-rows", 200, "--epochs", 2]
    text = run("hinton2006", *sizes)
    curve, final = find_line(text, "     2")[-1], find_line(text, "skae, as fit leaves it")[1]
    assert float(curve) == pytest.approx(float(final), rel=1e-3)
