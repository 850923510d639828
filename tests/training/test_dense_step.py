"""The hand-written training step against autograd and torch's own AdamW."""

import copy

import numpy as np
import pytest
import torch

from skae._training._autograd_step import AutogradStep
from skae._training._batches import WeightedRows
from skae._training._dense_step import DenseStep, is_dense
from skae._training._losses import make_objective
from skae._training._networks import make_module
from skae._training._optimizer import adamw_groups
from skae._training._problem import make_problem
from skae._training._rows import DenseRows
from skae.modules import ACTIVATIONS
from skae.modules._products import is_large_product
from skae.objectives import BinaryCrossEntropy, ColumnUnits, SquaredError

N_ROWS = 40


@pytest.fixture
def make_training(quick, images):
    """Return what makes the description of a training in double precision."""

    def make(**params):
        estimator = quick(dtype="float64", hidden_layer_sizes=(12, 7), weight_decay=0.3, **params)
        in_training = np.ones(len(images), dtype=bool)
        settings = estimator._training_settings()
        return make_problem(images, None, in_training, settings, torch.device("cpu"))

    return make


def make_modules(problem, n_modules):
    """Return like modules with other weights, the last layers too, which start at zero."""
    generator = torch.Generator().manual_seed(0)
    modules = []
    for _ in range(n_modules):
        module = make_module(problem, problem.principal_components, generator)
        for stack in (module.encoder, module.decoder):
            stack.linears[-1].weight.data.normal_(0, 0.1, generator=generator)
            stack.linears[-1].bias.data.normal_(0, 0.1, generator=generator)
        modules.append(module)
    return modules


def make_batches(problem, n_modules, *, weighted, n_batches=4):
    """Return stacked inputs, rows and weights, another batch for each model."""
    generator = torch.Generator().manual_seed(1)
    rows = problem.rows.tensor
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


def assert_step_is_that_of_autograd(problem, *, n_modules=1, weighted=False):
    modules, objective = (
        make_modules(problem, n_modules),
        make_objective(problem, torch.Generator()),
    )
    groups = adamw_groups(problem.settings, problem.n_features)
    batches = list(make_batches(problem, n_modules, weighted=weighted))
    references = copy.deepcopy(modules)
    others = copy.deepcopy(modules)

    step = DenseStep(modules, objective.loss, groups)
    losses = torch.stack([step(*batch) for batch in batches], 1)
    other = AutogradStep(others, objective, groups)
    np.testing.assert_allclose(losses, torch.stack([other(*batch) for batch in batches], 1))

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


def assert_equal_parameters(module, reference):
    values = dict(reference.named_parameters())
    assert values
    for name, value in module.named_parameters():
        torch.testing.assert_close(value, values[name], rtol=0, atol=1e-9, msg=name)


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("init", ["pca", "random"])
def test_weights_are_those_of_autograd(make_training, activation, init):
    assert_step_is_that_of_autograd(make_training(activation=activation, init=init))


@pytest.mark.parametrize("n_modules", [1, 3])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", ["squared_error", "binary_cross_entropy"])
@pytest.mark.parametrize("output_range", [None, (0.1, 0.6)])
def test_weights_are_those_of_autograd_for_all_losses(
    make_training, n_modules, weighted, loss, output_range
):
    problem = make_training(loss=loss, output_range=output_range)
    assert_step_is_that_of_autograd(problem, n_modules=n_modules, weighted=weighted)


@pytest.mark.usefixtures("by_onednn")
@pytest.mark.parametrize("loss", ["squared_error", "binary_cross_entropy"])
@pytest.mark.parametrize("init", ["pca", "random"])
def test_large_products_give_the_weights_of_autograd_too(quick, init, loss):
    X = np.random.default_rng(0).uniform(size=(400, 150)).astype(np.float32)
    estimator = quick(n_components=100, hidden_layer_sizes=(120,), init=init, loss=loss)
    settings = estimator._training_settings()
    problem = make_problem(X, None, np.ones(len(X), dtype=bool), settings, torch.device("cpu"))
    (module,) = make_modules(problem, 1)
    assert is_large_product(len(X) * 120 * 100, problem.rows.tensor)
    reference, rows = copy.deepcopy(module).double(), problem.rows.tensor
    objective = make_objective(problem, torch.Generator())
    groups = [{**group, "eps": 1e-4} for group in adamw_groups(settings, X.shape[1])]
    step = DenseStep([module], objective.loss, groups)
    losses = [float(step(rows[None], rows[None])) for _ in range(3)]

    batches = [(rows.double(), rows.double(), None)] * 3
    expected = train_by_autograd(reference, objective.loss.double(), groups, batches)
    np.testing.assert_allclose(losses, expected, rtol=1e-4)
    for ours, theirs in zip(module.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=0, atol=1e-4)


@pytest.mark.parametrize("init", ["pca", "random"])
def test_outputs_are_those_of_the_modules(make_training, init):
    problem = make_training(init=init)
    modules = make_modules(problem, 3)
    ((_, rows, _),) = make_batches(problem, 3, weighted=False, n_batches=1)
    expected = torch.stack([module(part) for module, part in zip(modules, rows, strict=True)])
    step = DenseStep(
        modules, make_objective(problem, torch.Generator()).loss, adamw_groups(problem.settings, 64)
    )
    torch.testing.assert_close(step.forward(rows), expected.detach(), rtol=0, atol=1e-10)


def test_only_what_the_step_knows_is_dense(make_training):
    problem = make_training()
    (module,), objective = make_modules(problem, 1), make_objective(problem, torch.Generator())
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
