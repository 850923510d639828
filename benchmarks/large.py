"""Tables larger than memory: memory maps, Parquet and Dask, relative to tables in memory.

See README.md.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from _common import (
    PeakMemory,
    describe_machine,
    is_installed,
    limit_threads,
    make_parser,
    print_table,
    quiet,
)

import skae
from skae import AutoencoderTransformer
from skae.__main__ import main as run_skae

_PARTS = ("file", "parquet", "dask")
_ROWS_AT_ONCE = 20_000


def main(arguments=None):
    parser = make_parser(__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of {', '.join(_PARTS)}")
    parser.add_argument("--rows", type=int, help="rows of every part (default: small numbers)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of Dask; the median counts")
    parser.add_argument("--folder", type=Path, help="where files are written, and deleted")
    options = parser.parse_args(arguments)
    print(describe_machine())
    for part in options.parts or _PARTS:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder, quiet(), limit_threads(1):
            {"file": measure_file, "parquet": measure_parquet, "dask": measure_dask}[part](
                Path(folder), options
            )


def measure_file(folder, options):
    """Fit a file of 384 columns and a tenth of it in memory: PCA and one epoch at 32 codes."""
    n_rows = options.rows or (100_000 if options.quick else 400_000)
    path = folder / "rows.npy"
    rows = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(n_rows, 384))
    for start, part in _make_rows(n_rows, 384):
        rows[start : start + len(part)] = part
    rows.flush()
    # Each in a new process, which starts with little memory.
    speeds, memory = {}, {}
    for name, n_read in {"in memory, a tenth": n_rows // 10, "file": 0}.items():
        command = [sys.executable, __file__, "--fit", str(path), str(n_read)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        speeds[name], seconds, memory[name] = map(float, done.stdout.split()[-3:])
        print(f"{name}: {seconds:.1f} s of the processor")
    (base, ours), (_, used) = speeds.values(), memory.values()
    title = f"{n_rows:,} x 384 single precision, {n_rows * 384 * 4 / 1e9:.2f} GB in one file"
    header = ["fit", "rows per second", "/ in memory", "anonymous memory, GB"]
    lines = [[name, speeds[name], speeds[name] / base, memory[name] / 1e9] for name in speeds]
    print_table(title, header, lines)
    return ours / base, used


def fit_file(path, n_read):
    """Fit in this process, and print rows per processor second, seconds, and peak memory."""
    rows = np.load(path, mmap_mode="r")
    if n_read:
        rows = np.array(rows[:n_read])
    fit = AutoencoderTransformer(32, max_iter=1, random_state=0).fit
    with quiet(), limit_threads(1):
        fit(np.array(rows[:2000]))
        with PeakMemory() as memory:
            start = time.process_time()
            fit(rows)
            seconds = time.process_time() - start
    print(len(rows) / seconds, seconds, memory.peak)


def measure_parquet(folder, options):
    """Transform a folder of Parquet files of 20 columns by the command."""
    if not is_installed("pyarrow"):
        return
    import pyarrow
    import pyarrow.dataset
    import pyarrow.parquet

    n_rows = options.rows or (100_000 if options.quick else 1_000_000)
    names, source = [f"c{i}" for i in range(20)], folder / "rows"
    source.mkdir()
    for start, part in _make_rows(n_rows, 20):
        table = pyarrow.table(list(part.astype(np.float64).T), names=names)
        pyarrow.parquet.write_table(table, source / f"{start:09}.parquet")
    first = next(pyarrow.dataset.dataset(source).to_batches()).to_pandas()
    skae.save(AutoencoderTransformer(8, max_iter=1, random_state=0).fit(first), folder / "m.skae")

    def copy():
        data = pyarrow.dataset.dataset(source)
        pyarrow.dataset.write_dataset(data, folder / "copy", format="parquet")

    def transform():
        code = run_skae(["transform", *(str(folder / n) for n in ("m.skae", "rows", "c.parquet"))])
        assert code == 0

    run = _time_both({"read and write": copy, "skae transform": transform})
    title = f"Parquet, {n_rows:,} x 20 double precision, to 8 codes"
    _print_speeds(title, run, n_rows)


def measure_dask(folder, options):
    """Transform an array of Dask of 100 columns by one worker and by two, in turns."""
    if not is_installed("dask"):
        return
    import dask
    import dask.array

    n_rows = options.rows or (50_000 if options.quick else 1_000_000)
    rows = dask.array.random.default_rng(0).normal(size=(n_rows, 100), chunks=(50_000, 100))
    # In memory, so that only the transformation is measured.
    rows = rows.astype(np.float32).persist(scheduler="synchronous")
    model = AutoencoderTransformer(8, max_iter=1, random_state=0).fit(rows[:5000].compute())

    def transform(scheduler, n_workers=1):
        with dask.config.set(scheduler=scheduler, num_workers=n_workers):
            return model.transform(rows).compute()

    contenders = {
        "one": lambda: transform("synchronous"),
        "two": lambda: transform("threads", 2),
    }
    rounds = [_time_both(contenders) for _ in range(options.rounds)]
    run = sorted(rounds, key=lambda own: own["two"][0] / own["one"][0])[len(rounds) // 2]
    _print_speeds(f"Dask, {n_rows:,} x 100, by one worker and by two", run, n_rows)


def _make_rows(n_rows, n_columns):
    """Yield blocks of rows near a curved surface of 16 dimensions."""
    rng = np.random.default_rng(0)
    axes = rng.normal(size=(16, n_columns))
    for start in range(0, n_rows, _ROWS_AT_ONCE):
        n_own = min(_ROWS_AT_ONCE, n_rows - start)
        part = np.tanh(rng.normal(size=(n_own, 16)) @ axes / 4)
        yield start, (part + 0.1 * rng.normal(size=part.shape)).astype(np.float32)


def _time_both(contenders):
    """Return wall time and processor time in seconds, and the added anonymous memory."""
    found = {}
    for name, contender in contenders.items():
        with PeakMemory() as memory:
            wall, processor = time.perf_counter(), time.process_time()
            contender()
            seconds = time.perf_counter() - wall, time.process_time() - processor
        found[name] = (*seconds, memory.growth)
    return found


def _print_speeds(title, found, n_rows):
    (theirs, their_cpu, _), *_ = found.values()
    header = ["work", "rows per second", "seconds / first", "processor / first", "memory, GB"]
    lines = [
        [name, n_rows / wall, wall / theirs, cpu / their_cpu, memory / 1e9]
        for name, (wall, cpu, memory) in found.items()
    ]
    print_table(title, header, lines)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--fit"]:
        fit_file(sys.argv[2], int(sys.argv[3]))
    else:
        main()
