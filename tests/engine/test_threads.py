"""Number of threads of a fit, which is restored afterwards."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from skae import AutoencoderTransformer
from skae._engine.compute.threads import find_mkl
from skae.modules import GaussianFilling


@pytest.fixture
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


class Witness(Callback):
    """Callback that records the number of threads, and may end the fit with an error."""

    def __init__(self, *, fails=False):
        self.seen = []
        self.fails = fails

    def on_epoch_begin(self, net, **kwargs):
        self.seen.append(torch.get_num_threads())
        if self.fails:
            raise RuntimeError("the end")


def fit(witness, **params):
    X = np.random.default_rng(0).normal(size=(300, 12))
    params |= {"max_iter": 1, "random_state": 0, "net_params": {"callbacks": [witness]}}
    return AutoencoderTransformer(2, **params).fit(X)


@pytest.mark.parametrize(
    ("params", "n_threads"),
    [
        ({"hidden_layer_sizes": 16, "batch_size": 32}, 1),
        ({"hidden_layer_sizes": (600, 600), "batch_size": 300}, 3),
        pytest.param(
            {
                "architecture": "conv",
                "sample_shape": (1, 12),
                "hidden_layer_sizes": (),
                "batch_size": 8,
            },
            1,
            marks=pytest.mark.slow,
        ),
    ],
    ids=["small", "large", "small_conv"],
)
def test_small_steps_are_computed_by_one_thread(three_threads, params, n_threads):
    witness = Witness()
    fit(witness, **params)
    assert witness.seen == [n_threads]
    assert torch.get_num_threads() == 3


def test_products_of_double_precision_keep_to_one_thread_as_well(three_threads):
    set_mkl, seen = find_mkl(), []

    class AskMKL(Callback):
        def on_epoch_begin(self, net, **kwargs):
            seen.append(set_mkl(1))

    before = set_mkl(0)
    set_mkl(before)
    conv = {"architecture": "conv", "sample_shape": (1, 12), "hidden_layer_sizes": ()}
    fit(AskMKL(), **conv, batch_size=300, dtype="float64")
    assert seen == [1]
    assert set_mkl(before) == before


def test_missing_cells_of_small_tables_are_filled_by_one_thread(three_threads, monkeypatch):
    seen, fill = [], GaussianFilling.forward

    def watch(self, rows):
        seen.append(torch.get_num_threads())
        return fill(self, rows)

    monkeypatch.setattr(GaussianFilling, "forward", watch)
    X = np.random.default_rng(0).normal(size=(60, 12))
    X[::3, 2] = np.nan
    AutoencoderTransformer(2, max_iter=1, missing="mask").fit(X)
    assert seen
    assert set(seen) == {1}
    assert torch.get_num_threads() == 3


def test_threads_are_given_back_after_an_error(three_threads):
    with pytest.raises(RuntimeError, match="the end"):
        fit(Witness(fails=True), hidden_layer_sizes=16)
    assert torch.get_num_threads() == 3


FORKING = """
import os, sys, threading, time
import numpy as np
import torch
from skae import AutoencoderImputer, AutoencoderOutlierDetector, AutoencoderTransformer

def finish(compute):
    # Returns whether a forked process comes to the end of `compute`.
    child = os.fork()
    if child == 0:
        compute()
        os._exit(0)
    for _ in range(600):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status == 0
        time.sleep(0.1)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return False

def in_thread(compute):
    thread = threading.Thread(target=compute)
    thread.start()
    thread.join()

def check_threads(expected):
    if torch.get_num_threads() != expected:
        os._exit(1)

X = np.random.default_rng(0).normal(size=(2000, 60))
gaps = X[:300, :6].copy()
gaps[::5, 2] = np.nan
large = {"hidden_layer_sizes": 600, "batch_size": 500}
assert finish(lambda: check_threads(2)), "threads of a process that has not computed"
transformer = AutoencoderTransformer(4, max_iter=2, **large).fit(X)
detector = AutoencoderOutlierDetector(4).fit(X[:300])
imputer = AutoencoderImputer().fit(gaps)
transformer.transform(X), detector.predict(X), imputer.transform(gaps)
tasks = {
    "transform": lambda: transformer.transform(X),
    "inverse_transform": lambda: transformer.inverse_transform(transformer.transform(X)),
    "fit": lambda: transformer.fit(X),
    "predict": lambda: detector.predict(X),
    "fit of a detector": lambda: detector.fit(X[:300]),
    "imputer": lambda: imputer.transform(gaps),
    "fit of an imputer": lambda: imputer.fit(gaps),
    "thread": lambda: in_thread(lambda: transformer.transform(X)),
    "singular values": lambda: np.linalg.svd(transformer.transform(X)),
}
for name, task in tasks.items():
    assert finish(task), name
assert torch.get_num_threads() == 2, "the parent's threads"
transformer.transform(X)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork processes")
def test_forked_processes_compute():
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    command = [sys.executable, "-W", "ignore", "-c", FORKING]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
