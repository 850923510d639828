"""The variational step that writes its gradients out does what autograd does."""

import copy

import numpy as np
import pytest
import torch

from skae import VariationalAutoencoderTransformer
from skae._engine.steps.autograd import AutogradStep
from skae._engine.steps.optimizer import make_adamw
from skae._engine.steps.variational import VariationalStep, is_variational
from skae.objectives import NegativeELBO

GROUP = {"lr": 0.01, "betas": (0.9, 0.99), "eps": 1e-8, "weight_decay": 0.1, "fused": True}
N_STEPS = 3


def make_module(seed, **params):
    """Return a network away from its start, with codes on a scale of their own."""
    X = np.random.default_rng(0).uniform(size=(30, 6)).round(1)
    given = {"n_components": 2, "hidden_layer_sizes": (5,), "max_iter": 1, "dtype": "float64"}
    module = VariationalAutoencoderTransformer(**(given | params)).fit(X).net_.module_
    module.reach = None
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            noise = torch.randn(parameter.shape, generator=source, dtype=parameter.dtype)
            parameter.add_(noise, alpha=0.3)
        module.code_scale.mul_(1.3)
    return module


def make_optimizers(modules):
    linear_path = modules[0].linear_path is not None
    return [
        make_adamw(module, [GROUP, {**GROUP, "lr": 0.002}][: 1 + linear_path]) for module in modules
    ]


def train(step, objective, *, weighted):
    """Return losses of some steps, and what the trained networks make of other rows."""
    source = torch.Generator().manual_seed(1)
    n_models = len(step.modules)

    def draw(*shape):
        return torch.randn(n_models, *shape, generator=source, dtype=torch.float64)

    losses = []
    for number in range(N_STEPS):
        rows = draw(8, 6)
        weights = draw(8).exp() if weighted else None
        objective.set_progress(number / N_STEPS)
        losses.append(step.accumulate_(rows, rows, weights).clone())
        step.update_()
    rows = draw(4, 6)
    return [*losses, *step.judge(rows, rows)]


pytestmark = pytest.mark.filterwarnings("ignore::skae.exceptions.NotBetterThanPCAWarning")


KINDS = {
    "gaussian": {},
    "laplace": {"likelihood": "laplace"},
    "bernoulli": {"likelihood": "bernoulli"},
    "no linear path": {"init": "random"},
    "range": {"output_range": "auto"},
}


@pytest.mark.parametrize("params", KINDS.values(), ids=KINDS)
def test_steps_are_those_of_autograd(params):
    module = make_module(0, **params)
    results = []
    for kind in (VariationalStep, AutogradStep):
        own = [copy.deepcopy(module)]
        objective = NegativeELBO(0.7, warm_up=0.5, generator=torch.Generator().manual_seed(0))
        optimizers = make_optimizers(own)
        assert is_variational(own[0], objective)
        settings = optimizers if kind is AutogradStep else [o.param_groups for o in optimizers]
        step = kind(own, objective, settings)
        results.append([train(step, objective, weighted=True), list(own[0].parameters())])
    for mine, theirs in zip(*results, strict=True):
        for one, other in zip(mine, theirs, strict=True):
            torch.testing.assert_close(one, other)


def test_a_model_is_judged_alike_in_any_company():
    modules = [make_module(seed) for seed in range(3)]
    rows = torch.randn(3, 5, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    groups = [own.param_groups for own in make_optimizers(modules)]
    together = VariationalStep(copy.deepcopy(modules), NegativeELBO(), groups).judge(rows, rows)
    for model, module in enumerate(modules):
        alone = VariationalStep([module], NegativeELBO(), groups[:1])
        own = rows[model : model + 1]
        for one, other in zip(alone.judge(own, own), together, strict=True):
            assert torch.equal(one[0], other[model])
