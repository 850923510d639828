"""One model trained by several processes equals that of one, and no process hangs."""

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import warnings

import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse
import torch
import torch.distributed as dist
from sklearn.base import clone

from skae import (
    AdversarialAutoencoderTransformer,
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    TokenAutoencoderTransformer,
    VariationalAutoencoderTransformer,
    checkpoints,
)
from skae._engine.compute.ranks import Ranks
from skae.exceptions import LostRankError
from skae.parallel import across_processes

pytestmark = pytest.mark.filterwarnings("ignore::skae.exceptions.SkaeWarning")

# More than a thousand rows, which are not cross-validated in one process either.
ANGLES = np.random.default_rng(0).uniform(0, 6, size=(1301, 1))
X = np.hstack([np.sin(ANGLES * k / 2) for k in range(1, 9)])
X += 0.02 * np.random.default_rng(2).normal(size=X.shape)
WEIGHTS = np.random.default_rng(3).uniform(0.5, 2, len(X))
# Double precision, so that rounding errors stay small.
QUICK = {
    "n_components": 2,
    "hidden_layer_sizes": (8,),
    "max_iter": 3,
    "batch_size": 100,
    "learning_rate_init": 0.03,
    "dtype": "float64",
    "random_state": 0,
}
ALL_AT_ONCE = QUICK | {"batch_size": 5000, "max_iter": 12}

EQUAL_FITS = {
    "shared": (AutoencoderTransformer(**QUICK), "shared", None),
    "shards": (AutoencoderTransformer(**ALL_AT_ONCE), "shards", WEIGHTS),
    "odd_cells": (AutoencoderTransformer(**ALL_AT_ONCE), "shards", WEIGHTS),
    "odd_cells_shared": (AutoencoderTransformer(**ALL_AT_ONCE), "shared", WEIGHTS),
}
MORE_EQUAL_FITS = {
    "weights": (AutoencoderTransformer(**QUICK), "shared", WEIGHTS),
    # Equal in each process.
    "two_weights": (
        AutoencoderTransformer(**ALL_AT_ONCE),
        "shards",
        np.repeat([1.0, 9.0], [400, len(X) - 400]),
    ),
    "all_rows": (AutoencoderTransformer(**ALL_AT_ONCE, early_stopping=False), "shards", None),
    "cross_entropy": (
        AutoencoderTransformer(**QUICK, loss="binary_cross_entropy"),
        "shared",
        None,
    ),
    "by_autograd": (
        AutoencoderTransformer(**QUICK, net_params={"optimizer": torch.optim.Adam}),
        "shared",
        None,
    ),
    "convolutional": (
        AutoencoderTransformer(**QUICK, architecture="conv", sample_shape=(1, 2, 4)),
        "shared",
        None,
    ),
    "missing": (AutoencoderTransformer(**QUICK, missing="mask"), "shared", None),
    "varimax": (AutoencoderTransformer(**ALL_AT_ONCE, rotation="varimax"), "shards", None),
    "adaptive": (AutoencoderTransformer(**QUICK, learning_rate="adaptive"), "shared", None),
    "recurrent": (
        AutoencoderTransformer(
            **QUICK | {"max_iter": 6}, architecture="recurrent", sample_shape=(4, 2)
        ),
        "shared",
        None,
    ),
    "sparse": (AutoencoderTransformer(**ALL_AT_ONCE), "shards", WEIGHTS),
    "sparse_shared": (AutoencoderTransformer(**QUICK), "shared", None),
    "stored_shards": (AutoencoderTransformer(**ALL_AT_ONCE), "shards", None),
    "stored_shared": (AutoencoderTransformer(**ALL_AT_ONCE), "shared", None),
    # One rank has rows in few batches, and few held-out rows.
    "uneven": (AutoencoderTransformer(**ALL_AT_ONCE), "uneven", None),
}
REFUSED_FITS = {
    "penalty": (AutoencoderTransformer(**QUICK, penalty="contractive"), "shared", "penalty"),
    "nested": (AutoencoderTransformer(**QUICK, nested=True), "shared", "Nested"),
    "batch_norm": (AutoencoderTransformer(**QUICK, normalization="batch"), "shared", "batch"),
    "adversarial": (AdversarialAutoencoderTransformer(random_state=0), "shared", "Adversarial"),
    "missing": (AutoencoderTransformer(**QUICK, missing="mask"), "shards", "missing="),
    "auto": (AutoencoderTransformer(**QUICK | {"n_components": "auto"}), "shards", "all rows"),
    "detector": (AutoencoderOutlierDetector(), "shards", "Detector must see all rows"),
    "texts": (TokenAutoencoderTransformer(), "shared", "Tokens"),
}


def find_own(rows, rank):
    """Return the rows that a rank passes to `fit`."""
    split = {"shards": 400, "uneven": len(X) - 3, "shared": 0}[rows]
    if rows == "shared":
        return slice(None)
    return slice(0, split) if rank == 0 else slice(split, None)


def describe(model):
    """Return all learned numbers of a fit."""
    usual = model.net_.module_.reach.usual
    return {
        "usual": np.empty(0) if usual is None else usual.numpy(),
        "codes": model.transform(X),
        "reconstructions": model.inverse_transform(model.transform(X)),
        "losses": np.array(model.loss_curve_),
        "held_out": np.array(model.validation_loss_curve_ or []),
        "errors": np.array([model.reconstruction_error_, model.pca_reconstruction_error_]),
        "ratios": model.explained_variance_ratio_,
        "variance": model.explained_variance_,
        "mean": model.mean_,
        "numbers": np.array([model.best_iter_, model.n_samples_seen_, model.n_components_]),
    }


def make_table(model, name):
    table = X
    if name.startswith("odd"):
        # Ranks have rows of other kinds.
        table = X[np.argsort(X[:, 0])]
        table[::50, 1] = 6
    if getattr(model, "loss", None) == "binary_cross_entropy":
        table = (X - X.min()) / np.ptp(X)
    if getattr(model, "missing", None) == "mask":
        table = np.where(np.random.default_rng(4).uniform(size=X.shape) < 0.1, np.nan, X)
    return table


def fit_equal(rank, name):
    model, rows, weights = (EQUAL_FITS | MORE_EQUAL_FITS)[name]
    own = find_own(rows, rank)
    table = make_table(model, name)[own]
    if name.startswith("sparse"):
        table = scipy.sparse.csr_array(table)
    if name.startswith("stored"):
        table = pa.table({f"c{i}": column for i, column in enumerate(table.T)})
    with across_processes("shared" if rows == "shared" else "shards"):
        model.fit(table, sample_weight=None if weights is None else weights[own])
    return describe(model)


def fit_refused(rank, name):
    model, rows, _ = REFUSED_FITS[name]
    with across_processes(rows):
        return model.fit(np.abs(X).astype(int) if name == "texts" else X)


def fit_other_parameters(rank, name):
    with across_processes("shared"):
        AutoencoderTransformer(**QUICK | {"max_iter": 3 + rank}).fit(X)


def fit_bad_rows(rank, name):
    rows = X[find_own("shards", rank)].copy()
    if rank == 1:
        rows[7, 3] = np.nan
    with across_processes("shards"):
        AutoencoderTransformer(**QUICK).fit(rows)


def fit_and_fail(rank, name):
    class Stop(torch.optim.AdamW):
        def step(self, *args):
            if rank == 1:
                raise MemoryError("no room")
            return super().step(*args)

    with across_processes("shared"):
        AutoencoderTransformer(**QUICK, net_params={"optimizer": Stop}).fit(X)


def fit_with_checkpoints(rank, name):
    def fit():
        with across_processes("shards"), checkpoints("kept"):
            return AutoencoderTransformer(**QUICK).fit(X[find_own("shards", rank)])

    whole, folder = fit().transform(X), f"kept/fit-1-rank-{rank}"
    if rank == 1:
        # Simulates a rank that was killed before the others had written a checkpoint.
        os.unlink(f"{folder}/epoch-3.checkpoint")
    before = os.stat(f"{folder}/epoch-2.checkpoint").st_mtime_ns
    is_equal = np.array_equal(fit().transform(X), whole)
    return is_equal and os.stat(f"{folder}/epoch-2.checkpoint").st_mtime_ns == before


def fit_in_other_modes(rank, name):
    with across_processes("shared" if rank else "shards"):
        pass


def fit_variational(rank, name):
    with across_processes("shared"):
        model = VariationalAutoencoderTransformer(**QUICK, dropout=0.1).fit(X)
    return describe(model)


def fit_giant(rank, name):
    for rows in ("shards", "shared"):
        own, weights = X[find_own(rows, rank)].copy(), np.ones(len(X))
        # Without the row, those of one rank are equal.
        weights[400:], weights[7] = WEIGHTS[400:], 2
        weights = weights[find_own(rows, rank)]
        others, own_weights = own, weights
        if rows == "shared" or rank == 0:
            # All ranks leave out the row.
            own[7, 3] = 1e7
            others, own_weights = np.delete(own, 7, axis=0), np.delete(weights, 7)
        fits = []
        for table, shares in ((own, weights), (others, own_weights)):
            model = VariationalAutoencoderTransformer(**QUICK)
            with across_processes(rows):
                fits.append(describe(model.fit(table, sample_weight=shares)))
        for key, value in fits[0].items():
            np.testing.assert_array_equal(value, fits[1][key])
    return fits[0]


def fit_denoising(rank, name):
    with across_processes("shards"):
        model = AutoencoderTransformer(**QUICK, corruption="gaussian")
        model.fit(X[find_own("shards", rank)])
    return describe(model)


def fit_and_die(rank, name):
    class Die(torch.optim.AdamW):
        def step(self, *args):
            if rank == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            return super().step(*args)

    with across_processes("shared"):
        AutoencoderTransformer(**QUICK, net_params={"optimizer": Die}).fit(X)


# Starting two processes takes longer than many tasks.
TASKS = {
    "usual": dict.fromkeys(EQUAL_FITS, fit_equal)
    | {
        "penalty": fit_refused,
        "auto": fit_refused,
        "other_parameters": fit_other_parameters,
        "bad_rows": fit_bad_rows,
        "failing": fit_and_fail,
        "checkpoints": fit_with_checkpoints,
        "modes": fit_in_other_modes,
    },
    "equal": dict.fromkeys(MORE_EQUAL_FITS, fit_equal)
    | {"variational": fit_variational, "giant": fit_giant, "denoising": fit_denoising},
    "refused": dict.fromkeys(REFUSED_FITS, fit_refused),
    "killed": {"killed": fit_and_die},
}


def work(rank, folder, tasks):
    """Run tasks one after the other, and write the results or errors."""
    warnings.simplefilter("ignore")
    os.chdir(folder)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    results = {}
    for name, task in tasks.items():
        try:
            results[name] = task(rank, name)
        except (ValueError, MemoryError, LostRankError) as error:
            results[name] = error
    with open(f"{folder}/{rank}", "wb") as file:
        pickle.dump(results, file)
    dist.destroy_process_group()


def main(folder, names):
    """Start both processes and end those that hang."""
    # A fork is safe here, because no thread has run yet.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    processes = [context.Process(target=work, args=(rank, folder, TASKS[names])) for rank in (0, 1)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=200)
        process.kill()


def run(folder, names):
    """Return the results of both processes.

    This file is their program: the process of the tests has run threads, after which a fork hangs.
    """
    command = [sys.executable, __file__, str(folder), names]
    # One thread each, as set by torchrun.
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run(command, check=True, timeout=500, env=environment)
    # A process that was killed has written nothing.
    paths = [path for rank in range(2) if (path := folder / str(rank)).exists()]
    return [pickle.loads(path.read_bytes()) for path in paths]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return run(tmp_path_factory.mktemp("ranks"), "usual")


def check_equal_fits(name, results):
    model, _, weights = (EQUAL_FITS | MORE_EQUAL_FITS)[name]
    one = describe(clone(model).fit(make_table(model, name), sample_weight=weights))
    assert one["numbers"][0] > 0, "the model is PCA"
    assert len(one["usual"]) == (2 if name.startswith("odd") else 0)
    for key, expected in one.items():
        np.testing.assert_array_equal(results[0][name][key], results[1][name][key])
        np.testing.assert_allclose(results[0][name][key], expected, rtol=1e-5, atol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("name", EQUAL_FITS)
def test_several_processes_train_the_model_of_one(name, results):
    check_equal_fits(name, results)


@pytest.mark.slow
def test_all_processes_report_why_they_refuse_a_fit(results):
    messages = {
        "penalty": "sums over rows",
        "auto": "all rows",
        "other_parameters": "parameters on rank 1 .* max_iter 4 and 3",
        "modes": "must be the same on all processes",
    }
    for name, message in messages.items():
        for own in results:
            with pytest.raises(ValueError, match=message):
                raise own[name]


@pytest.mark.slow
def test_all_processes_resume_from_a_checkpoint_that_all_have(results):
    assert results[0]["checkpoints"] is True
    assert results[1]["checkpoints"] is True


@pytest.mark.slow
def test_a_process_that_fails_is_named_to_the_others(results):
    for name, kind, text in [("bad_rows", ValueError, "NaN"), ("failing", MemoryError, "no room")]:
        assert isinstance(results[1][name], kind)
        with pytest.raises(LostRankError, match=rf"Rank 1 has failed: {kind.__name__}.*{text}"):
            raise results[0][name]


@pytest.fixture
def group_of_one():
    """Make this process a group, which takes the way of several without another process."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.mostly_slow(2, first=1)
@pytest.mark.usefixtures("group_of_one")
@pytest.mark.parametrize("rows", ["shared", "shards"])
def test_a_group_of_one_process_trains_the_model_of_none(rows, monkeypatch):
    exchanged = []
    exchange = Ranks.exchange_
    monkeypatch.setattr(
        Ranks, "exchange_", lambda self, own: exchanged.append(len(own)) or exchange(self, own)
    )
    model = AutoencoderTransformer(**ALL_AT_ONCE)
    one = describe(clone(model).fit(X))
    assert not exchanged
    with across_processes(rows):
        found = describe(model.fit(X))
    assert exchanged
    for key, expected in one.items():
        np.testing.assert_allclose(found[key], expected, rtol=1e-5, atol=1e-7)


@pytest.mark.usefixtures("group_of_one")
def test_penalties_that_processes_cannot_share_are_refused_in_a_group_of_one():
    with across_processes(), pytest.raises(ValueError, match="sums over rows"):
        AutoencoderTransformer(**QUICK, penalty="contractive").fit(X)


def test_a_group_must_be_there():
    with pytest.raises(RuntimeError, match="torchrun"), across_processes():
        pass
    with pytest.raises(ValueError, match="`rows`"), across_processes("all"):
        pass


@pytest.fixture(scope="module")
def more_results(tmp_path_factory):
    return run(tmp_path_factory.mktemp("more_ranks"), "equal")


@pytest.mark.slow
@pytest.mark.parametrize("name", MORE_EQUAL_FITS)
def test_every_kind_of_training_is_that_of_one_process(name, more_results):
    check_equal_fits(name, more_results)


@pytest.mark.slow
def test_options_that_processes_cannot_share_are_refused(tmp_path):
    results = run(tmp_path, "refused")
    for name, (_, _, message) in REFUSED_FITS.items():
        for own in results:
            with pytest.raises(ValueError, match=message):
                raise own[name]


@pytest.mark.slow
def test_draws_differ_between_processes_and_models_do_not(more_results):
    for name in ("variational", "giant", "denoising"):
        for key, value in more_results[0][name].items():
            np.testing.assert_array_equal(value, more_results[1][name][key])


@pytest.mark.slow
def test_a_process_that_is_killed_is_named_to_the_others(tmp_path):
    (survivor,) = run(tmp_path, "killed")
    with pytest.raises(LostRankError, match="Rank 1 has ended without an error message"):
        raise survivor["killed"]


@pytest.mark.slow
def test_torchrun_ends_all_when_one_is_killed(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(f"""
import os, signal
import numpy as np
import torch.distributed as dist
from sklearn.base import TransformerMixin
from skae import AutoencoderTransformer
from skae.parallel import across_processes
from skae._engine.compute import ranks
dist.init_process_group("gloo")
exchange = ranks.Ranks.exchange_
def exchange_or_die(self, gradients):
    if dist.get_rank() == 1:
        os.kill(os.getpid(), {int(signal.SIGKILL)})
    exchange(self, gradients)
ranks.Ranks.exchange_ = exchange_or_die
X = np.random.default_rng(0).normal(size=(1200, 5)).cumsum(1)
with across_processes("shared"):
    AutoencoderTransformer(2, max_iter=2, random_state=0).fit(X)
""")
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", script]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    ended = subprocess.run(
        command, check=False, capture_output=True, text=True, env=environment, timeout=300
    )
    assert ended.returncode != 0
    assert "Signal 9 (SIGKILL)" in ended.stderr or signal.SIGKILL.name in ended.stderr


if __name__ == "__main__":
    main(*sys.argv[1:])
