"""One model trained by several processes, compared with threads and with an estimate.

Contenders take turns, with ratios within a round, so that a busy machine slows both. See README.md.
"""

import math
import multiprocessing
import statistics
import tempfile
import time

import torch
import torch.distributed as dist
from _common import describe_machine, limit_threads, make_parser, print_table, quiet
from _speed_training import load_digit_rows, load_mnist_rows

from skae import AutoencoderTransformer
from skae.datasets import has_data_file
from skae.parallel import across_processes

_N_PROCESSES = 2
# Rows per rank and step of a large training, and speed of a network between machines.
_ROWS_OF_RANK = 512
_BYTES_PER_SECOND = 25e9 / 8
_SECONDS_OF_MESSAGE = 20e-6
_RANKS = (8, 64, 512)
_N_EXCHANGES = 50


def main(arguments=None):
    """Measure and print the tables."""
    parser = make_parser(__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="rounds to take medians of")
    parser.add_argument("--epochs", type=int, default=3, help="epochs of each fit")
    options = parser.parse_args(arguments)
    if options.quick:
        options.rounds, options.epochs = 1, 1
    with quiet():
        print(describe_machine())
        measure(options)


def make_model(n_epochs, settings):
    """Return a model 784-128-16-128-784, or with other settings."""
    given = {"n_components": 16, "hidden_layer_sizes": (128,), "batch_size": 1024}
    given |= {"max_iter": n_epochs, "random_state": 0, "device": "cpu"}
    return AutoencoderTransformer(**given | settings)


def load_rows(*, quick):
    """Return images of MNIST, or of scikit-learn's digits without the file."""
    if quick or not has_data_file("mnist.npz"):
        return load_digit_rows()
    return load_mnist_rows()


def fit(model, X, n_threads):
    """Fit a model, and return wall time, processor time, and the error."""
    with limit_threads(n_threads):
        start, start_cpu = time.perf_counter(), time.process_time()
        model.fit(X)
        seconds = time.perf_counter() - start, time.process_time() - start_cpu
    return *seconds, model.reconstruction_error_


def work(rank, folder, options, pipe):
    """Fit whenever the pipe asks for it, and exchange gradients at the end."""
    store = f"file://{folder}/store"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=_N_PROCESSES)
    X, model = load_rows(quick=options.quick), make_model(options.epochs, options.set)
    with quiet(), across_processes("shared"):
        while pipe.recv():
            pipe.send(fit(model, X, 1))
    size = sum(parameter.numel() for parameter in model.net_.module_.parameters())
    pipe.send((size, time_exchange(size)))
    dist.destroy_process_group()


def time_exchange(size):
    """Return the lowest time of a sum of gradients over processes, in seconds."""
    gradients, seconds = torch.ones(size), []
    for _ in range(_N_EXCHANGES):
        start = time.perf_counter()
        dist.all_reduce(gradients)
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def measure(options):
    """Compare two processes with one process of one and two threads, and estimate more ranks."""
    with tempfile.TemporaryDirectory() as folder:
        pipes, processes = start_processes(folder, options)
        X, model = load_rows(quick=options.quick), make_model(options.epochs, options.set)
        rounds = [compare(model, X, pipes) for _ in range(options.rounds + 1)][1:]
        for pipe in pipes:
            pipe.send(False)
        size, exchange = pipes[0].recv()
        for process in processes:
            process.join()
    print_comparison(rounds, X.shape)
    print_scaling(size, exchange, min(one[1] for one, *_ in rounds) / options.epochs / len(X))


def compare(model, X, pipes):
    """Fit with one thread, with two threads, and by all processes, and return the results."""
    return fit(model, X, 1), fit(model, X, _N_PROCESSES), ask(pipes)


def start_processes(folder, options):
    """Return pipes to processes that wait for work, and the processes."""
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    for rank in range(_N_PROCESSES):
        ours, theirs = context.Pipe()
        process = context.Process(target=work, args=(rank, folder, options, theirs))
        process.start()
        pipes.append(ours)
        processes.append(process)
    return pipes, processes


def ask(pipes):
    """Let all processes fit, and return the longest time, total processor time, and error."""
    for pipe in pipes:
        pipe.send(True)
    seconds, cpu, errors = zip(*(pipe.recv() for pipe in pipes), strict=True)
    return max(seconds), sum(cpu), errors[0]


def print_comparison(rounds, shape):
    """Print medians, and medians of ratios within rounds."""
    rows = []
    for name, place in [("seconds", 0), ("seconds of processors", 1), ("error", 2)]:
        values = [[own[place] for own in round_] for round_ in rounds]
        medians = [statistics.median(own) for own in zip(*values, strict=True)]
        ratios = [[several / one, several / two] for one, two, several in values]
        both = [statistics.median(own) for own in zip(*ratios, strict=True)]
        rows.append([name, *medians, *both, min(own[1] for own in ratios)])
    title = f"Fits to {shape[0]} x {shape[1]}, one process and two of one thread each"
    header = ["", "one thread", "two threads", "processes", "/ one", "/ two", "least / two"]
    print_table(title, header, rows)


def print_scaling(size, measured, seconds_of_row):
    """Print estimates of computation and exchange of many ranks, from measurements of two."""
    compute = seconds_of_row * _ROWS_OF_RANK
    rows = []
    for n_ranks in _RANKS:
        n_bytes = 2 * (n_ranks - 1) / n_ranks * 4 * size
        messages = 2 * math.log2(n_ranks) * _SECONDS_OF_MESSAGE
        exchange = n_bytes / _BYTES_PER_SECOND + messages
        flops = 6 * size * _ROWS_OF_RANK * n_ranks
        times = 1e3 * compute, 1e3 * exchange, compute / (compute + exchange)
        rows.append([str(n_ranks), n_bytes / 1e6, flops / 1e9, *times])
    title = (
        f"{size} parameters, {_ROWS_OF_RANK} rows a rank and step, {1e3 * measured:.2f} ms for an "
        "exchange between two processes here"
    )
    header = ["ranks", "MB a rank", "GFLOP a step", "ms of computing", "ms of exchange", "share"]
    print_table(title, header, rows)


if __name__ == "__main__":
    main()
