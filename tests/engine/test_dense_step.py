"""The explicit training step agrees with autograd and with torch's AdamW."""

import copy

import numpy as np
import pytest
import torch

from skae._engine.fitting.fit import set_up
from skae._engine.fitting.splitting import Split
from skae._engine.steps.autograd import AutogradStep
from skae._engine.steps.dense import DenseStep, is_dense
from skae._engine.steps.epoch import add_up
from skae._engine.steps.optimizer import adamw_groups, make_adamw
from skae._engine.tables.batches import WeightedRows
from skae._engine.tables.rows import DenseRows
from skae.architectures import Recurrent
from skae.modules import ACTIVATIONS
from skae.modules._products import is_large_product
from skae.objectives import BinaryCrossEntropy, ColumnUnits, SquaredError

N_ROWS = 40


@pytest.fixture
def make_training(quick, images):
    """Return a function that makes the settings of a training in double precision."""

    def make(**params):
        estimator = quick(dtype="float64", hidden_layer_sizes=(12, 7), weight_decay=0.3, **params)
        # Rows must lie within the range of the outputs.
        bounds = params.get("output_range")
        return describe_training(estimator, images if bounds is None else images.clip(*bounds))

    return make


def describe_training(estimator, X):
    settings = estimator._make_settings()
    split = Split(torch.arange(len(X)), None)
    return set_up(X, None, split, settings.family, settings.network, settings.loop, None)


def make_groups(setup):
    linear_path = setup.network.linear_path
    return adamw_groups(setup.loop, setup.table.n_features, linear_path=linear_path)


def make_objective(setup):
    return setup.family.make_objective(setup.table, torch.Generator())


def make_modules(setup, n_modules):
    """Return modules with other weights, also in the last layers, which start at zero."""
    generator = torch.Generator().manual_seed(0)
    modules = []
    for _ in range(n_modules):
        components = setup.table.principal_components
        module = setup.family.make_module(setup.plan, setup.table, components, generator)
        for stack in (module.encoder, module.decoder):
            stack = getattr(stack, "head", stack)
            stack.linears[-1].weight.data.normal_(0, 0.1, generator=generator)
            stack.linears[-1].bias.data.normal_(0, 0.1, generator=generator)
        modules.append(module)
    return modules


def make_batches(setup, n_modules, *, weighted, n_batches=4):
    """Return stacked inputs, rows and weights, with a different batch for each model."""
    generator = torch.Generator().manual_seed(1)
    rows = setup.table.rows.tensor
    for n_rows in [N_ROWS] * (n_batches - 1) + [N_ROWS - 1]:
        indices = torch.randint(len(rows), (n_modules, n_rows), generator=generator)
        weights = torch.rand(n_modules, n_rows, generator=generator, dtype=rows.dtype) + 0.1
        noise = torch.rand(n_modules, n_rows, rows.shape[1], generator=generator, dtype=rows.dtype)
        yield rows[indices] + noise, rows[indices], weights if weighted else None


def group_parameters(module, groups):
    """Return parameter groups for torch's AdamW: the stacks, and the linear path if any."""
    stacks = [*module.encoder.parameters(), *module.decoder.parameters()]
    parts = [stacks]
    if module.linear_path is not None:
        parts.append([*module.linear_path.parameters()])
    return [{"params": part, **group} for part, group in zip(parts, groups, strict=True)]


def train_by_autograd(module, loss, groups, batches):
    optimizer = torch.optim.AdamW(group_parameters(module, groups))
    losses = []
    for inputs, rows, weights in batches:
        optimizer.zero_grad()
        value = loss(module(inputs), rows, weights)
        value.backward()
        optimizer.step()
        losses.append(float(value.detach()))
    return losses


def take_steps(step, batches):
    losses = []
    for batch in batches:
        losses.append(step.accumulate_(*batch).mean(1))
        step.update_()
    return torch.stack(losses, 1)


def assert_step_is_that_of_autograd(setup, *, n_modules=1, weighted=False):
    modules, objective = make_modules(setup, n_modules), make_objective(setup)
    groups = make_groups(setup)
    batches = list(make_batches(setup, n_modules, weighted=weighted))
    references = copy.deepcopy(modules)
    others = copy.deepcopy(modules)

    step = DenseStep(modules, objective, [groups] * n_modules)
    losses = take_steps(step, batches)
    other = AutogradStep(others, objective, [make_adamw(module, groups) for module in others])
    np.testing.assert_allclose(losses, take_steps(other, batches))

    for model, (module, reference) in enumerate(zip(modules, references, strict=True)):
        own = [[None if part is None else part[model] for part in batch] for batch in batches]
        expected = train_by_autograd(reference, objective.loss, groups, own)
        np.testing.assert_allclose(losses[model], expected, rtol=1e-10)
        assert_equal_parameters(module, reference)
        assert_equal_parameters(others[model], reference)
    for judged, expected in zip(
        step.judge(*batches[0][:2]), other.judge(*batches[0][:2]), strict=True
    ):
        torch.testing.assert_close(judged, expected)


@pytest.mark.parametrize("missing", ["mask", None])
def test_steps_of_recurrent_networks_are_those_of_autograd(quick, images, missing):
    X = images[:, :24].copy()
    X[::3, 16:] = np.nan if missing else X[::3, 16:]
    own = {"architecture": Recurrent(n_units=5), "sample_shape": (6, 4), "missing": missing}
    setup = describe_training(quick(dtype="float64", **own), X)
    assert_step_is_that_of_autograd(setup, n_modules=2, weighted=True)


def test_models_side_by_side_have_their_own_settings(make_training):
    setup = make_training()
    modules, objective = make_modules(setup, 3), make_objective(setup)
    references = copy.deepcopy(modules)
    groups = [
        [{**group, "lr": rate, "weight_decay": rate} for group in make_groups(setup)]
        for rate in (0.1, 0.01, 0.001)
    ]
    batches = list(make_batches(setup, 3, weighted=False))
    take_steps(DenseStep(modules, objective, groups), batches)
    for model, (module, reference) in enumerate(zip(modules, references, strict=True)):
        own = [[part[model] for part in batch[:2]] + [None] for batch in batches]
        train_by_autograd(reference, objective.loss, groups[model], own)
        assert_equal_parameters(module, reference)


@pytest.mark.parametrize("kind", [DenseStep, AutogradStep])
def test_gradients_can_be_exchanged_before_they_are_used(make_training, kind):
    setup = make_training()
    (module,), objective = make_modules(setup, 1), make_objective(setup)
    before = copy.deepcopy(module)
    groups = [{**group, "weight_decay": 0.0} for group in make_groups(setup)]
    own = [make_adamw(module, groups)]
    step = kind([module], objective, own if kind is AutogradStep else [own[0].param_groups])
    step.exchange_ = lambda gradients: [gradient.zero_() for gradient in gradients]
    take_steps(step, make_batches(setup, 1, weighted=False))
    assert_equal_parameters(module, before)


def assert_equal_parameters(module, reference):
    values = dict(reference.named_parameters())
    assert values
    for name, value in module.named_parameters():
        torch.testing.assert_close(value, values[name], rtol=0, atol=1e-9, msg=name)


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("init", ["pca", "random"])
def test_weights_are_those_of_autograd(make_training, activation, init):
    assert_step_is_that_of_autograd(make_training(activation=activation, init=init))


@pytest.mark.mostly_slow(4)
@pytest.mark.parametrize("n_modules", [1, 3])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", ["squared_error", "binary_cross_entropy"])
@pytest.mark.parametrize("output_range", [None, (0.1, 0.6)])
def test_weights_are_those_of_autograd_for_all_losses(
    make_training, n_modules, weighted, loss, output_range
):
    setup = make_training(loss=loss, output_range=output_range)
    assert_step_is_that_of_autograd(setup, n_modules=n_modules, weighted=weighted)


@pytest.mark.mostly_slow(2)
@pytest.mark.usefixtures("by_onednn")
@pytest.mark.parametrize("loss", ["squared_error", "binary_cross_entropy"])
@pytest.mark.parametrize("init", ["pca", "random"])
def test_large_products_give_the_weights_of_autograd_too(quick, init, loss):
    X = np.random.default_rng(0).uniform(size=(400, 150)).astype(np.float32)
    estimator = quick(n_components=100, hidden_layer_sizes=(120,), init=init, loss=loss)
    setup = describe_training(estimator, X)
    (module,) = make_modules(setup, 1)
    rows = setup.table.rows.tensor
    assert is_large_product(len(X) * 120 * 100, rows)
    reference = copy.deepcopy(module).double()
    objective = make_objective(setup)
    groups = [{**group, "eps": 1e-4} for group in make_groups(setup)]
    losses = take_steps(DenseStep([module], objective, [groups]), [(rows[None], rows[None])] * 3)[0]

    batches = [(rows.double(), rows.double(), None)] * 3
    expected = train_by_autograd(reference, objective.loss.double(), groups, batches)
    np.testing.assert_allclose(losses, expected, rtol=1e-4)
    for found, of_autograd in zip(module.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(found.double(), of_autograd, rtol=0, atol=1e-4)


@pytest.mark.parametrize("init", ["pca", "random"])
def test_outputs_are_those_of_the_modules(make_training, init):
    setup = make_training(init=init)
    modules = make_modules(setup, 3)
    ((_, rows, _),) = make_batches(setup, 3, weighted=False, n_batches=1)
    expected = torch.stack([module(part) for module, part in zip(modules, rows, strict=True)])
    step = DenseStep(modules, make_objective(setup), [make_groups(setup)] * 3)
    torch.testing.assert_close(step.forward(rows), expected.detach(), rtol=0, atol=1e-10)


def test_only_known_networks_and_objectives_are_dense(make_training):
    setup = make_training()
    (module,), objective = make_modules(setup, 1), make_objective(setup)
    assert is_dense(module, objective)
    assert not is_dense(module, torch.nn.MSELoss())
    module.encoder = torch.nn.Sequential(module.encoder)
    assert not is_dense(module, objective)


@pytest.mark.parametrize("make_loss", [SquaredError, BinaryCrossEntropy])
def test_gradients_of_losses_are_those_of_autograd(make_loss):
    generator = torch.Generator().manual_seed(0)
    output, target = torch.rand(2, 5, 4, generator=generator, dtype=torch.float64) * 2 - 0.5
    target = target.clamp(0, 1)
    two = torch.tensor([[0.0] * 4, [1.0] * 4], dtype=torch.float64)
    is_squared = make_loss is SquaredError
    units = ColumnUnits(lower=two[0], upper=two[1]) if is_squared else ColumnUnits(*two[:, 0])
    loss = make_loss().prepare(units)
    output.requires_grad_()
    expected = loss.rows(output, target)
    expected.sum().backward()

    rows, gradient = loss.rows_and_gradient_(output.detach().clone(), target, 3 / 4)
    torch.testing.assert_close(rows, expected.detach())
    torch.testing.assert_close(gradient, 3 * output.grad)


def test_weights_of_a_set_go_with_its_rows():
    rows = torch.arange(12.0).reshape(6, 2)
    weights = torch.arange(6.0)
    dataset = WeightedRows(DenseRows(rows), weights, torch.tensor([5, 1, 3]))
    taken, their_weights = dataset.batch(torch.tensor([2, 0]))
    torch.testing.assert_close(taken, rows[[3, 5]])
    torch.testing.assert_close(their_weights, weights[[3, 5]])


def test_losses_of_an_epoch_add_up_whatever_their_number_for_each_batch():
    rows = torch.arange(10.0).view(2, 5)
    parts = rows.split([3, 2], 1)
    sums = rows.sum(1)
    assert torch.equal(add_up(parts, [3, 2]), sums)
    torch.testing.assert_close(add_up([own.mean(1, keepdim=True) for own in parts], [3, 2]), sums)
    # As in one of several processes, which has a part of the rows of each batch.
    torch.testing.assert_close(add_up(parts, [6, 4]), 2 * sums)
