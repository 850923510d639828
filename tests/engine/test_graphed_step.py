"""The recorded and replayed dense step agrees with the ordinary one.

What is recorded needs a GPU; everything around it is tested with a stand-in that keeps to the rules
of a recording: it reads and writes the tensors that it was made with, and sees nothing else.
"""

import copy
import pickle

import numpy as np
import pytest
import torch

from skae._engine.steps.dense import DenseStep
from skae._engine.steps.flat import split_buffers
from skae._engine.steps.graphed import GraphedStep, Recording, is_replayable
from skae.objectives import HuberLoss, SquaredError
from tests.engine.test_dense_step import (
    describe_training,
    make_batches,
    make_groups,
    make_modules,
    make_objective,
)

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU here")
DEVICES = [pytest.param("cpu", id="stand-in"), pytest.param("cuda", marks=needs_gpu)]


class StandIn:
    """Substitute for a recorded graph, which computes again on tensors of its own."""

    def __init__(self, function, arguments, device):
        self.function = function
        self.arguments = [None if tensor is None else tensor.clone() for tensor in arguments]
        self.results = None

    def __call__(self, *arguments):
        for found, given in zip(self.arguments, arguments, strict=True):
            if found is not None:
                found.copy_(given)
        results = self.function(*self.arguments)
        if self.results is None or results is None:
            self.results = results
        else:
            for found, new in zip(listed(self.results), listed(results), strict=True):
                found.copy_(new)
        return self.results


def listed(tensors):
    return [tensors] if torch.is_tensor(tensors) else list(tensors)


def refuse(function, arguments, device):
    raise RuntimeError("operation not permitted when stream is capturing")


def make_steps(setup, device, *, n_modules=1, groups=None):
    """Return a recorded step and a dense step with equal modules."""
    modules = [module.to(device) for module in make_modules(setup, n_modules)]
    groups = [make_groups(setup)] * n_modules if groups is None else groups
    objective = make_objective(setup).to(device)
    graphed = GraphedStep(modules, objective, copy.deepcopy(groups))
    if device == "cpu":
        graphed.record = StandIn
    return graphed, DenseStep(copy.deepcopy(modules), objective, copy.deepcopy(groups))


def train(step, batches, *, device, rates=(1e-2, 2e-3)):
    """Return losses and errors over batches of two sizes, with and without noise."""
    results = []
    for rate in rates:
        for own in step.groups:
            for group in own:
                group["lr"] = rate
        for batch in batches:
            inputs, rows, weights = (None if t is None else t.to(device) for t in batch)
            results.append(step.accumulate_(inputs, rows, weights))
            step.update_()
            results.append(step.accumulate_(rows, rows, weights))
            step.update_()
            results += [*step.judge(inputs, rows), *step.judge(rows, rows)]
    return results


def assert_same_training(setup, device, *, weighted=False, record=None, **params):
    graphed, dense = make_steps(setup, device, **params)
    if record is not None:
        graphed.record = record
    batches = list(make_batches(setup, len(dense.modules), weighted=weighted))
    found, expected = (train(step, batches, device=device) for step in (graphed, dense))
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)
    for mine, theirs in zip(graphed.copy_values(), dense.copy_values(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-6)
    return graphed


@pytest.fixture
def make_training(quick, images):
    def make(**params):
        defaults = {"dtype": "float64", "hidden_layer_sizes": (12, 7), "weight_decay": 0.3}
        return describe_training(quick(device="cpu", **defaults | params), images)

    return make


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("n_modules", [1, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_training_is_that_of_the_dense_step(make_training, device, n_modules, weighted):
    graphed = assert_same_training(make_training(), device, n_modules=n_modules, weighted=weighted)
    assert any(graphed._recordings.values())
    assert graphed._can_record


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    "params",
    [
        {"init": "random", "activation": "gelu"},
        {"loss": "binary_cross_entropy"},
        {"loss": "huber", "activation": "relu"},
        {"output_range": (0.1, 0.6), "dtype": "float32"},
    ],
    ids=str,
)
def test_all_kinds_of_networks_are_recorded(make_training, device, params):
    assert assert_same_training(make_training(**params), device)._can_record


@pytest.mark.parametrize("device", DEVICES)
def test_models_side_by_side_have_their_own_settings(make_training, device):
    setup = make_training()
    groups = [[{**group, "eps": eps} for group in make_groups(setup)] for eps in (1e-8, 1e-3)]
    assert_same_training(setup, device, n_modules=2, groups=groups)


def test_steps_that_cannot_be_recorded_are_computed(make_training):
    graphed = assert_same_training(make_training(), "cpu", record=refuse)
    assert not any(graphed._recordings.values())


def test_changed_settings_are_recorded_again(make_training):
    graphed, dense = make_steps(make_training(), "cpu")
    ((_, rows, _),) = make_batches(make_training(), 1, weighted=False, n_batches=1)
    for decay in (0.1, 0.1, 0.1, 0.5, 0.5, 0.5):
        for step in (graphed, dense):
            step.groups[0][0]["weight_decay"] = decay
            step.accumulate_(rows, rows)
            step.update_()
    for found, expected in zip(graphed.copy_values(), dense.copy_values(), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_losses_are_unchanged_by_the_next_step(make_training):
    setup = make_training()
    graphed, _ = make_steps(setup, "cpu")
    batches = [rows for _, rows, _ in make_batches(setup, 1, weighted=False)][:3]
    losses = [graphed.accumulate_(rows, rows) for rows in batches]
    assert len({float(own.sum()) for own in losses}) == 3


def test_gradients_are_exchanged_between_the_recordings(make_training):
    graphed, _ = make_steps(make_training(), "cpu")
    ((_, rows, _),) = make_batches(make_training(), 1, weighted=False, n_batches=1)
    seen = []
    graphed.exchange_ = lambda gradients: seen.append([own.clone() for own in gradients])
    for _ in range(3):
        graphed.accumulate_(rows, rows)
        graphed.update_()
    assert len(seen) == 3
    assert not torch.equal(seen[0][0], seen[2][0])


def test_only_losses_that_do_not_look_at_numbers_are_replayed():
    class Own(HuberLoss):
        pass

    assert is_replayable(SquaredError().prepare())
    assert not is_replayable(Own().prepare())


@pytest.mark.parametrize("n_pieces", [1, 3, 32])
def test_the_optimiser_takes_all_parameters_in_pieces(n_pieces):
    buffer = torch.arange(2000.0).view(2, 1000)
    (pieces,) = split_buffers([buffer], n_pieces)
    assert len(pieces) <= n_pieces
    for piece in pieces:
        piece += 1
    torch.testing.assert_close(buffer.view(-1), torch.arange(2000.0) + 1, rtol=0, atol=0)


@needs_gpu
def test_a_recording_that_fails_leaves_the_gpu_usable():
    one = torch.ones(3, device="cuda")
    with pytest.raises(RuntimeError):
        Recording(lambda values: values * float(values.sum()), (one,), one.device)
    assert (one * 2).tolist() == [2.0] * 3


@needs_gpu
@pytest.mark.parametrize("params", [{}, {"early_stopping": False}, {"missing": "mask"}], ids=str)
def test_training_on_a_gpu_equals_training_on_a_cpu(quick, images, params):
    images = images.copy()
    if "missing" in params:
        images[::5, 3] = float("nan")
    cpu, gpu = (quick(device=name, **params).fit(images) for name in ("cpu", "cuda"))
    assert gpu.n_iter_ == cpu.n_iter_
    assert gpu.reconstruction_error_ == pytest.approx(cpu.reconstruction_error_, rel=1e-3)
    np.testing.assert_allclose(gpu.transform(images), cpu.transform(images), rtol=0, atol=1e-2)


@needs_gpu
@pytest.mark.parametrize("devices", [("cuda", "cuda"), ("cuda", "cpu"), ("cpu", "cuda")])
def test_a_fit_continues_on_another_device_or_from_a_file(quick, images, devices):
    first, second = devices
    estimator = quick(device=first).fit(images)
    loaded = pickle.loads(pickle.dumps(estimator)).set_params(device=second)
    for model in (loaded, estimator.set_params(device=second)):
        model.partial_fit(images)
        assert next(model.net_.module_.parameters()).device.type == second
        assert np.isfinite(model.transform(images)).all()
