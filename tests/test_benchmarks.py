"""The benchmarks run on small data, and print correct tables."""

import importlib
import re
from pathlib import Path

import numpy as np
import pytest
from joblib.externals.loky import get_reusable_executor
from scipy.linalg import sqrtm
from scipy.sparse import csr_matrix

FOLDER = Path(__file__).parents[1] / "benchmarks"
PARTS = [
    "digits",
    "conv",
    "recurrent",
    "growth",
    "grid",
    "transform",
    "import",
    "one_row",
    "pickle",
]


@pytest.fixture
def path(monkeypatch):
    """Make the benchmarks importable, here and in worker processes that start from now on."""
    get_reusable_executor().shutdown(wait=True)
    monkeypatch.syspath_prepend(str(FOLDER))


@pytest.fixture
def run(path, capsys):
    """Return a function that runs a benchmark and returns its output."""

    def run(name, *arguments):
        importlib.import_module(name).main([*map(str, arguments)])
        return capsys.readouterr().out

    return run


@pytest.fixture
def load(path):
    """Return a function that imports a module of the benchmarks."""
    return importlib.import_module


def find_line(text, start):
    """Return the cells of the first line with a beginning."""
    line = next(line for line in text.splitlines() if line.startswith(start))
    return re.split(r"\s{2,}", line)


@pytest.mark.slow
def test_sparse_codes_are_compared_with_rivals(run, monkeypatch):
    monkeypatch.setenv("SKAE_DATA", "")
    text = run("sparse_codes", "--quick", "--datasets", "parts", "sentences")
    assert "sentences is left out" in text
    lines = [re.split(r"\s{2,}", line) for line in text.splitlines() if line.startswith("parts")]
    found = {cells[1]: (float(cells[2]), float(cells[5])) for cells in lines[1:4]}
    assert found.keys() == {"skae", "top-k program", "dictionary learning"}
    assert found["skae"] == tuple(map(max, zip(*found.values(), strict=True)))
    assert 0.5 < float(find_line(text.partition("matched")[2], "parts")[1]) <= 1


def test_codes_are_compared_with_parts_as_sae_lens_does(load):
    benchmark, data, parts = load("sparse_codes"), load("_sparse_data"), np.eye(4)
    active = np.array([[1, 0, 1, 0], [0, 1, 0, 0], [1, 1, 0, 1]], dtype=bool)
    task = data.Task("parts", parts, parts, 3, 1, parts, active)
    # The second code represents the first part as well, and is active on one of its two rows.
    dictionary = np.array([[-2.0, 0, 0, 0], [0.8, 0, 0, 0.6], [0, 3, 0, 0]])
    codes = csr_matrix([[1.0, 0, 0], [0, 0, 2], [1, 1, 1]])
    matched, f1, unique = benchmark.compare_parts(task, dictionary, codes)
    assert matched == pytest.approx((1 + 0.6 + 1) / 3)
    assert f1 == pytest.approx((1 + 2 / 3 + 1) / 3)
    assert unique == pytest.approx(2 / 3)


def test_parts_are_made_with_their_parents_and_without_their_siblings(load):
    data = load("_sparse_data")
    active = data.make_parts(data.QUICK, seed=0).active
    children = active[:, 2:6]
    assert (children.sum(1) <= 1).all()
    assert active[:, 0][children.any(1)].all()
    assert 0 < active.mean(0).min() < active.mean(0).max() < 0.5


@pytest.mark.slow
def test_quality_prints_ratios_to_pca(run, monkeypatch):
    monkeypatch.setenv("SKAE_DATA", "")
    text = run("quality", "--datasets", "iris", "mnist", "--seeds", 1, "--rivals", "mlp")
    assert "mnist is left out" in text
    assert find_line(text, "data")[:5] == ["data", "codes", "pca", "skae", "mlp"]
    assert find_line(text, "iris")[:3] == ["iris", "1", "1.000"]
    method, n_runs, mean, *_ = find_line(text, "skae  ")
    assert (method, n_runs) == ("skae", "2")
    assert 0 < float(mean) <= 1.02


@pytest.mark.slow
def test_gpu_runs_without_a_gpu(run, monkeypatch):
    monkeypatch.setenv("SKAE_DATA", "")
    text = run("gpu", "--quick", "--device", "cpu", "--epochs", 1, "--models", 2)
    assert "no GPU" in text
    assert "rows are random numbers" in text
    assert float(find_line(text, "whole fit")[3]) > 0
    assert float(find_line(text, "2  ")[3]) > 0
    assert find_line(text, "skae  ")[2] == "1.000"


def write_tables(folder):
    """Write two small tables and a text to a folder."""
    rows = np.random.default_rng(0).normal(size=(60, 6)) * [1, 1, 1, 1, 1, 100]
    np.savez(folder / "numbers.npz", X=rows, y=np.zeros(60))
    np.savetxt(folder / "text.csv", rows[:, :3], delimiter=",", header="a,b,c", comments="")
    (folder / "notes.txt").write_text("no table")


def test_quality_runs_on_the_tables_of_a_folder(run, tmp_path):
    pytest.importorskip("pandas")
    write_tables(tmp_path)
    text = run("quality", "--folder", tmp_path, "--seeds", 1, "--set", "max_iter=1")
    assert "notes.txt is left out" in text
    assert find_line(text, "data")[:4] == ["data", "codes", "pca", "skae"]
    assert re.findall(r"^(\S+) +(\d+) +1.000 +\S+$", text.split("Greatest")[0], re.MULTILINE) == [
        ("numbers.npz", "2"),
        ("numbers.npz", "3"),
        ("text.csv", "1"),
        ("text.csv", "2"),
    ]


def test_quality_limits_the_rows_of_a_table_and_scales_its_columns(load, tmp_path):
    pytest.importorskip("pandas")
    write_tables(tmp_path)
    tables = load("_data").select_folder(tmp_path, max_rows=20)
    split = tables["numbers.npz"].split(0)
    assert (len(split.X_train), len(split.X_test), split.y_train) == (15, 5, None)
    np.testing.assert_allclose(split.X_train.std(axis=0), 1)
    raw = load("_data").select_folder(tmp_path, raw=True)["numbers.npz"].split(0)
    assert len(raw.X_train) == 45
    assert raw.X_train[:, 5].std() > 50


@pytest.mark.slow
def test_quality_draws_to_the_given_file(run, tmp_path):
    pytest.importorskip("matplotlib")
    picture = tmp_path / "figure.png"
    run("quality", "--datasets", "iris", "--seeds", 1, "--rivals", "--output", picture)
    assert picture.stat().st_size > 1000


@pytest.mark.slow
def test_far_compares_shifted_rows(run, tmp_path):
    t, noise = np.split(np.random.default_rng(0).uniform(size=(300, 5)), [1], axis=1)
    np.savez(tmp_path / "curve.npz", X=np.cos(6 * t + np.arange(4)) + 0.1 * noise)
    text = run("far", "--folder", tmp_path, "--set", "max_iter=30")
    assert "models that learned" in text
    lines = [line.split() for line in text.splitlines() if line.startswith(("none", "all", "one"))]
    assert len(lines) == 17
    assert all(float(line[-3]) <= float(line[-1]) < 1.1 for line in lines)


@pytest.mark.slow
def test_outliers_prints_areas(run):
    text = run(
        "outliers", "--datasets", "iris", "--seeds", 1, "--rivals", "pca", "--set", "max_iter=2"
    )
    assert find_line(text, "data") == ["data", "skae", "pca"]
    _, found, expected = find_line(text, "iris")
    assert 0.9 < float(found) <= 1
    assert 0 <= float(expected) <= 1
    assert find_line(text, "skae  ")[1] == found


@pytest.mark.slow
def test_outliers_continues_the_runs_of_a_file(run, tmp_path):
    rng = np.random.default_rng(0)
    y = np.arange(60) >= 54
    for name in "abc":
        np.savez(tmp_path / name, X=rng.normal(size=(60, 3)) + 9 * y[:, None], y=y)
    file = tmp_path / "runs.csv"
    call = ["outliers", "--folder", tmp_path, "--output", file, "--set", "max_iter=2", "--rivals"]
    first = run(*call, "lof", "--part", "judging", "--max-rows", 50)
    text = file.read_text()
    assert text.count("\n") == 1 + 4  # a header, and clean and dirty rows by two methods
    assert run(*call, "lof", "--part", "judging", "--max-rows", 50) == first
    assert file.read_text() == text
    run(*call, "--part", "choosing")
    assert {line[0] for line in file.read_text().splitlines()[1:]} == {"a", "b", "c"}


@pytest.mark.slow
def test_neighbors_prints_shares_kept(run):
    text = run("neighbors", "--datasets", "digits", "--codes", 4, "--quick", "--set", "max_iter=2")
    assert find_line(text, "codes")[:4] == ["codes", "skae", "skae, 4 bits", "pca"]
    number, found, packed, expected, *_, ratio = find_line(text, "4")
    assert number == "4"
    assert 0 < float(packed) <= float(found) + 0.02 <= 1.02
    assert float(expected) < 1
    assert float(ratio) > 0


def test_outliers_leaves_out_missing_data(run, monkeypatch):
    monkeypatch.setenv("SKAE_DATA", "")
    assert "speaker is left out" in run("outliers", "--datasets", "speaker", "--rivals")


@pytest.mark.slow
def test_imputation_prints_errors_of_all_imputers(run):
    text = run(
        "imputation", "--datasets", "wine", "--seeds", 1, "--no-holes", "--set", "max_iter=2"
    )
    methods = ["skae", "simple", "knn", "iterative", "over best rival"]
    assert find_line(text, "data") == ["data", "missing", *methods]
    _, pattern, found, simple, *_ = find_line(text, "wine")
    assert pattern == "random 10 %"
    assert 0 < float(found) < float(simple)


@pytest.mark.slow
def test_draws_prints_coverage_and_distances_of_all_methods(run):
    quick = ["--runs", 1, "--draws", 2, "--methods", "complete", "skae", "hot deck"]
    text = run("draws", "--tables", "kinds", *quick, "--set", "max_iter=1")
    assert find_line(text, "table") == ["table", "pattern", "complete", "skae", "hot deck"]
    distances = text[text.index("\ndistance") :]
    *_, complete, found, hot_deck = find_line(distances, "kinds*")
    assert float(complete) == 0 < float(found) < float(hot_deck)


@pytest.mark.slow
def test_kinds_draws_the_errors_of_dense_layers_and_convolutions(run, tmp_path):
    pytest.importorskip("matplotlib")
    picture = tmp_path / "curves.png"
    small = ["--rows", 200, "--test-rows", 100, "--epochs", 1]
    text = run("kinds", "images", "--quick", "--output", picture, *small)
    assert picture.stat().st_size > 1000
    dense, conv = (find_line(text, name) for name in ("dense", "conv"))
    assert float(conv[2]) == pytest.approx(float(conv[1]) / float(dense[1]), abs=0.01)


@pytest.mark.slow
@pytest.mark.needs_data("fsdd.npz")
def test_kinds_classifies_spoken_digits(run):
    text = run("kinds", "speech", "--codes", 8, "--epochs", 1)
    *accuracies, deviation, above, aim = map(float, find_line(text, "takes 0 to 4")[2:])
    assert len(accuracies) == 4
    assert all(0.5 < accuracy < 1 for accuracy in accuracies)
    assert above == pytest.approx(accuracies[-1] - accuracies[0], abs=2e-3)
    assert (deviation, aim) == (0, 0.12)


def test_speed_prints_a_ratio(run):
    text = run("speed", "--quick", "pickle")
    n_bytes, of_weights, ratio = text.splitlines()[-1].split()
    assert float(ratio) == pytest.approx(int(n_bytes) / int(of_weights), abs=1e-3)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::skae.exceptions.SkaeWarning")
def test_serving_compares_files_starts_rows_and_pipelines(run):
    text = run("serving", "--quick")
    assert float(find_line(text, "onnx ")[3]) < 2
    assert len(re.findall(r"^skae, onnxruntime  ", text, re.MULTILINE)) == 2
    assert float(find_line(text, "predict_proba")[1]) <= 1e-5


def test_speed_refuses_unknown_parts(run):
    with pytest.raises(SystemExit):
        run("speed", "nothing")


@pytest.mark.slow
def test_kinds_prints_accuracies_of_series(run):
    text = run("kinds", "--quick", "series", "--set", "n_iter_no_change=1")
    assert find_line(text, "series  ")[2:5] == ["PCA resampled", "PCA padded", "recurrent"]
    _, codes, *accuracies, difference, _ = find_line(text, "waves")
    resampled, _, found = map(float, accuracies)
    assert codes == "4"
    assert float(difference) == pytest.approx(found - resampled, abs=2e-3)


def test_kinds_leaves_out_missing_data(run, monkeypatch):
    monkeypatch.setenv("SKAE_DATA", "")
    text = run("kinds", "speech", "reviews")
    assert "speech is left out" in text
    assert "reviews is left out" in text
    with pytest.raises(SystemExit):
        run("kinds", "nothing")


@pytest.mark.slow
@pytest.mark.needs_data("reviews.jsonl.gz")
def test_kinds_prints_accuracies_of_reviews(run):
    text = run("kinds", "--quick", "reviews", "--codes", 16)
    assert find_line(text, "16     TruncatedSVD")[4:] == ["0.000", "0.000"]
    assert 0.5 < float(find_line(text, "16     skae")[2]) < 1


@pytest.mark.slow
def test_defaults_marks_the_default(run):
    text = run("defaults", "--datasets", "iris", "--seeds", 1, "--defaults", "output_range")
    assert find_line(text, "auto *")[2] == "1.000"
    assert find_line(text, "None")[0] == "None"


def test_generation_prints_bounds_and_their_curve(run):
    sizes = ["--rows", 200, "--test-rows", 50, "--draws", 20, "--set", "hidden_layer_sizes=8"]
    text = run("generation", "nats", "--quick", "--every", 1, *sizes)
    bounds = float(find_line(text, "skae, 20 draws")[1]), float(find_line(text, "     2")[-1])
    # A fair coin for each of the 64 pixels costs 64 log 2.
    assert all(10 < bound < 64 * np.log(2) for bound in bounds)
    assert np.ptp(bounds) < 2


@pytest.mark.slow
def test_generation_needs_digits_or_makes_its_own_images(run, monkeypatch):
    monkeypatch.setenv("SKAE_DATA", "")
    sizes = ["--rows", 100, "--test-rows", 200, "--epochs", 1]
    text = run("generation", "nats", "factors", *sizes, "--set", "hidden_layer_sizes=8")
    assert "nats is left out" in text
    lost, *_ = find_line(text, "0.500")[1:]
    assert 0 < float(lost) < 1
    with pytest.raises(SystemExit):
        run("generation", "nothing")


def test_generation_measures_the_distance_of_moments(load):
    source = np.random.default_rng(0)
    one = source.normal(size=(200, 3)) @ source.normal(size=(3, 3))
    other = source.normal(size=(300, 3)) + 1
    covariances = np.cov(one.T), np.cov(other.T)
    expected = np.square(one.mean(0) - other.mean(0)).sum() + np.trace(
        covariances[0] + covariances[1] - 2 * sqrtm(covariances[0] @ covariances[1]).real
    )
    frechet_distance = load("_generation_digits").frechet_distance
    assert frechet_distance(one, other) == pytest.approx(expected)
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-9)


def test_generation_finds_the_code_of_a_factor(load):
    source = np.random.default_rng(0)
    factors = np.column_stack([source.integers(3, size=5000), source.uniform(size=(5000, 2))])
    mixed = factors[:, 1] + factors[:, 2], factors[:, 1] - factors[:, 2]
    codes = np.column_stack([-2 * factors[:, 0], factors[:, 1] ** 3, *mixed])
    gaps = load("_generation_factors").mutual_information_gaps(codes, factors)
    assert gaps[0] == pytest.approx(1, abs=0.01)
    assert 0.5 < gaps[1] < 1
    # Both sums are equally informative about the last factor.
    assert gaps[2] < 0.1


def test_generation_distinguishes_codes_from_draws(load):
    codes = np.random.default_rng(0).normal(size=(1000, 2))
    distance = load("_generation_adversarial").energy_distance
    draws = np.random.default_rng(1).normal(size=(1000, 2))
    assert distance(codes, draws) == pytest.approx(0, abs=0.01)
    assert distance(codes + 1, draws) > 0.3


@pytest.mark.slow
def test_generation_runs_whole_and_draws_a_picture(run, tmp_path):
    pytest.importorskip("matplotlib")
    picture = tmp_path / "digits.png"
    text = run("generation", "digits", "adversarial", "labels", "--quick", "--output", picture)
    assert picture.stat().st_size > 1000
    assert float(find_line(text, "real, of the")[2]) > 0.7
    assert find_line(text, "autoencoder, whitened")[4] == "1.000"
    assert float(find_line(text, "variational, 16 codes")[1]) > 0.6


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
def test_every_part_of_speed_runs(run, part):
    text = run("speed", "--quick", "--rounds", 1, "--epochs", 1, part)
    assert re.search(r"\d\.\d{3}", text)


@pytest.mark.slow
def test_a_whole_fit_is_compared_with_its_own_loop(run):
    text = run("speed", "--quick", "--rounds", 1, "--epochs", 5, "whole")
    assert 1 < float(find_line(text, "digits, one thread")[-2]) < 5


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


@pytest.mark.slow
def test_nested_prints_errors_over_those_of_models_of_one_number(run):
    text = run("nested", "--datasets", "iris", "--seeds", 1, "--set", "max_iter=2")
    data, n_codes, *ratios = find_line(text, "iris  ")
    assert (data, n_codes) == ("iris", "2")
    assert 0 < float(ratios[0]) < 2
    assert 0 < float(ratios[2]) <= 1.02
    assert float(find_line(text, "geometric mean")[1]) == float(ratios[0])


@pytest.mark.slow
def test_large_tables_are_compared_with_small_ones(run):
    text = run("large", "--rows", 20_000)
    speeds, memory = find_line(text, "file ")[2:]
    assert 0.3 < float(speeds) < 3
    assert float(memory) < 1
    for name in ("skae transform", "two"):
        assert float(find_line(text, name)[1]) > 0


@pytest.mark.slow
def test_models_side_by_side_agree_with_those_alone(run):
    text = run("side_by_side", "--quick", "--only", "halving", "many")
    for name in ("halving", "many"):
        assert float(find_line(text, name)[5]) > 0
