"""Interrupted fits that resume: equal results, and errors."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

import skae
from skae import (
    AdversarialAutoencoderTransformer,
    AutoencoderTransformer,
    SparseAutoencoderTransformer,
    TokenAutoencoderTransformer,
    VariationalAutoencoderTransformer,
)
from skae._engine.steps import averaging
from skae.exceptions import ModelFileError
from skae.saving import _checkpoints

pytestmark = pytest.mark.filterwarnings("ignore::skae.exceptions.SkaeWarning")

# Tables of more than a thousand rows are not cross-validated.
X = np.random.default_rng(0).normal(size=(1010, 3)) @ np.random.default_rng(1).normal(size=(3, 9))
X = np.tanh(X) + 0.1 * np.random.default_rng(2).normal(size=X.shape)
QUICK = {"n_components": 3, "hidden_layer_sizes": (8,), "max_iter": 5, "random_state": 0}


@pytest.fixture(autouse=True)
def average_weights(monkeypatch):
    """Average the weights in short trainings as well."""
    monkeypatch.setattr(averaging, "_SHARE_OF_EPOCHS", 1.0)


def interrupt(monkeypatch, folder, fit, *, after, every=1):
    """Write checkpoints during a fit, and interrupt it after one of them."""
    write = _checkpoints._Store.write

    def write_and_stop(store, state, epoch):
        write(store, state, epoch)
        if epoch == after:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, skae.checkpoints(folder, every=every):
        patch.setattr(_checkpoints._Store, "write", write_and_stop)
        with pytest.raises(KeyboardInterrupt):
            fit()


def resume(folder, fit, **options):
    with skae.checkpoints(folder, **options):
        return fit()


def assert_equal(resumed, whole):
    states = [model.net_.module_.state_dict() for model in (resumed, whole)]
    for name, value in states[1].items():
        torch.testing.assert_close(states[0][name], value, rtol=0, atol=0, equal_nan=True)
    assert resumed.loss_curve_ == whole.loss_curve_
    assert resumed.validation_loss_curve_ == whole.validation_loss_curve_
    assert resumed.best_iter_ == whole.best_iter_


MODELS = {
    "plain": AutoencoderTransformer(**QUICK),
    "variational": VariationalAutoencoderTransformer(**QUICK | {"max_iter": 3}, dropout=0.2),
    # All codes except three are noise, with growing influence.
    "nested": AutoencoderTransformer(**QUICK | {"n_components": 6, "max_iter": 3}, nested=True),
}
MORE_MODELS = {
    "adaptive": AutoencoderTransformer(
        **QUICK, learning_rate="adaptive", tol=0.3, early_stopping=False
    ),
    "adversarial": AdversarialAutoencoderTransformer(**QUICK),
    "denoising": AutoencoderTransformer(**QUICK, corruption="gaussian", normalization="batch"),
    "momentum": AutoencoderTransformer(
        **QUICK,
        net_params={"optimizer": torch.optim.SGD, "optimizer__momentum": 0.9},
        learning_rate_init=1e-3,
    ),
    "neighbors": AutoencoderTransformer(**QUICK, loss="neighbors"),
    "sparse_codes": SparseAutoencoderTransformer(20, n_active=2, max_iter=5, random_state=0),
    "texts": TokenAutoencoderTransformer(2, max_iter=3, random_state=0),
}


def check_resumed_fit(model, tmp_path, monkeypatch):
    table = X
    if isinstance(model, TokenAutoencoderTransformer):
        table = load_digits().data[:200, 2:6].astype(int)
    interrupt(monkeypatch, tmp_path, lambda: model.fit(table), after=2)
    assert not hasattr(model, "net_")
    resumed = resume(tmp_path, lambda: model.fit(table))
    whole = type(model)(**model.get_params()).fit(table)
    assert_equal(resumed, whole)
    assert sorted(os.listdir(tmp_path / "fit-1")) == [
        f"epoch-{whole.n_iter_ - 1}.checkpoint",
        f"epoch-{whole.n_iter_}.checkpoint",
    ]


@pytest.mark.parametrize(
    "name",
    [name if name == "plain" else pytest.param(name, marks=pytest.mark.slow) for name in MODELS],
)
def test_an_interrupted_fit_resumes_to_equal_bits(name, tmp_path, monkeypatch):
    check_resumed_fit(MODELS[name], tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("name", MORE_MODELS)
def test_every_kind_of_training_resumes_to_equal_bits(name, tmp_path, monkeypatch):
    check_resumed_fit(MORE_MODELS[name], tmp_path, monkeypatch)


def test_a_fit_resumes_with_the_seed_that_it_drew(tmp_path):
    model = AutoencoderTransformer(**QUICK | {"random_state": None})
    with skae.checkpoints(tmp_path, every=2):
        whole = model.fit(X)
    curve, codes = whole.loss_curve_, whole.transform(X)
    os.unlink(tmp_path / "fit-1" / "epoch-4.checkpoint")
    again = resume(tmp_path, lambda: model.fit(X), every=2)
    assert again.loss_curve_ == curve
    np.testing.assert_array_equal(again.transform(X), codes)


@pytest.mark.slow
def test_each_fit_of_a_block_has_its_own_checkpoints(tmp_path, monkeypatch):
    def fit_both():
        return [AutoencoderTransformer(**QUICK | {"n_components": k}).fit(X) for k in (2, 3)]

    interrupt(monkeypatch, tmp_path, fit_both, after=5)
    assert os.listdir(tmp_path) == ["fit-1"]
    for resumed, whole in zip(resume(tmp_path, fit_both), fit_both(), strict=True):
        assert_equal(resumed, whole)
    assert sorted(os.listdir(tmp_path)) == ["fit-1", "fit-2"]


def test_checkpoints_of_another_fit_are_refused(tmp_path):
    resume(tmp_path, lambda: AutoencoderTransformer(**QUICK).fit(X))
    others = [
        (AutoencoderTransformer(**QUICK | {"max_iter": 6}), X, {}, r"`max_iter` \(5 then, 6 now\)"),
        (AutoencoderTransformer(**QUICK), X + 1e-9, {}, "other table"),
        (AutoencoderTransformer(**QUICK), X, {"sample_weight": 1 + X[:, 0] ** 2}, "`weights`"),
        (VariationalAutoencoderTransformer(**QUICK), X, {}, "other estimator"),
    ]
    for model, table, params, message in others:
        with pytest.raises(ValueError, match=message):
            resume(tmp_path, lambda m=model, t=table, p=params: m.fit(t, **p))
    # Parameters that do not affect the model may differ.
    resume(tmp_path, lambda: AutoencoderTransformer(**QUICK, verbose=True).fit(X), every=3)


def test_checkpoints_under_other_versions_are_refused(tmp_path, monkeypatch):
    resume(tmp_path, lambda: AutoencoderTransformer(**QUICK).fit(X))
    versions = {"skae": "9", "torch": torch.__version__, "scikit-learn": "9"}
    monkeypatch.setattr("skae._estimators.checkpoints.current_versions", lambda: versions)
    with pytest.raises(ValueError, match=r"`skae` \(.*then, \"9\" now\)"):
        resume(tmp_path, lambda: AutoencoderTransformer(**QUICK).fit(X))


def test_fits_whose_state_is_not_known_are_refused(tmp_path):
    fitted = AutoencoderTransformer(**QUICK, warm_start=True).fit(X)
    for fit in (fitted.fit, fitted.partial_fit):
        with pytest.raises(ValueError, match="must start from the beginning"):
            resume(tmp_path, lambda f=fit: f(X))
    listening = AutoencoderTransformer(**QUICK, net_params={"callbacks": [lambda: None]})
    with pytest.raises(ValueError, match="callbacks"):
        resume(tmp_path, lambda: listening.fit(X))
    for every in (0, 1.5, True):
        with pytest.raises(ValueError, match="`every`"):
            resume(tmp_path, lambda: None, every=every)


def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path):
    whole = resume(tmp_path, lambda: AutoencoderTransformer(**QUICK).fit(X))
    last, before = (tmp_path / "fit-1" / f"epoch-{epoch}.checkpoint" for epoch in (5, 4))
    last.write_bytes(last.read_bytes()[:-100])
    assert_equal(resume(tmp_path, lambda: AutoencoderTransformer(**QUICK).fit(X)), whole)
    last.write_bytes(b"")
    before.write_bytes(b"no checkpoint")
    with pytest.raises(ModelFileError, match="Delete the folder"):
        resume(tmp_path, lambda: AutoencoderTransformer(**QUICK).fit(X))


def test_small_tables_leave_no_checkpoints(tmp_path):
    resume(tmp_path, lambda: AutoencoderTransformer(**QUICK).fit(X[:100]))
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
def test_a_killed_fit_resumes_to_equal_bits(tmp_path):
    program = f"""
import os, signal, sys
import numpy as np
import skae
from skae.saving import _checkpoints
X = np.tanh(np.random.default_rng(0).normal(size=(1500, 8)).cumsum(1))
write = _checkpoints.write_bytes
def write_and_die(path, content):
    write(path, content)
    if sys.argv[1] == "die" and path.name == "epoch-3.checkpoint":
        os.kill(os.getpid(), {int(signal.SIGKILL)})
_checkpoints.write_bytes = write_and_die
with skae.checkpoints(sys.argv[2]):
    model = skae.AutoencoderTransformer(3, max_iter=6, random_state=0).fit(X)
print(model.transform(X).tobytes().hex())
"""
    command = [sys.executable, "-W", "ignore", "-c", program]
    killed = subprocess.run([*command, "die", tmp_path / "a"], check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    outputs = [
        subprocess.run([*command, "live", folder], check=True, capture_output=True).stdout
        for folder in (tmp_path / "a", tmp_path / "b")
    ]
    assert outputs[0] == outputs[1] != b""
