"""Explicit gradients of other objectives agree with autograd."""

import copy

import numpy as np
import pytest
import torch

from skae import AdversarialAutoencoderTransformer, VariationalAutoencoderTransformer
from skae._engine.families.adversarial import draw_normal
from skae._engine.steps.adversarial import AdversarialStep, make_discriminator_groups
from skae._engine.steps.autograd import AutogradStep
from skae._engine.steps.code_costs import (
    DiscriminatorStep,
    PenaltyStep,
    has_penalty_of_codes,
    is_adversarial,
)
from skae._engine.steps.optimizer import make_adamw
from skae._engine.steps.variational import VariationalStep, is_variational
from skae.objectives import (
    AdversarialObjective,
    MaximumMeanDiscrepancy,
    NegativeELBO,
    ReconstructionObjective,
    SquaredError,
)

pytestmark = pytest.mark.filterwarnings("ignore::skae.exceptions.NotBetterThanPCAWarning")

GROUP = {"lr": 0.01, "betas": (0.9, 0.99), "eps": 1e-8, "weight_decay": 0.1, "fused": True}
N_STEPS = 3


def make_module(estimator, seed=0):
    """Return a network away from its start, with codes of various scales."""
    X = np.random.default_rng(0).uniform(size=(30, 6)).round(1)
    common = {
        "n_components": 2,
        "hidden_layer_sizes": (5,),
        "max_iter": 1,
        "dtype": "float64",
        "random_state": seed,
    }
    module = estimator.set_params(**common).fit(X).net_.module_
    module.reach = None
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            noise = torch.randn(parameter.shape, generator=source, dtype=parameter.dtype)
            parameter.add_(noise, alpha=0.3)
        module.code_scale.mul_(1.3)
    return module


def make_optimizer(module):
    """Return the optimiser of an autoencoder, without that of a discriminator."""
    module = copy.copy(module)
    module._modules = {k: v for k, v in module._modules.items() if k != "discriminator"}
    groups = [GROUP] if module.linear_path is None else [GROUP, {**GROUP, "lr": 0.002}]
    return make_adamw(module, groups)


def make_elbo(generator):
    return NegativeELBO(0.7, warm_up=0.5, generator=generator)


def make_adversarial(generator):
    return AdversarialObjective(SquaredError().prepare(), draw_normal, generator)


def make_discrepancy(generator):
    penalty = MaximumMeanDiscrepancy(draw_normal)
    loss = SquaredError().prepare()
    return ReconstructionObjective(loss, penalty=penalty, alpha=3.0, generator=generator)


VARIATIONAL = VariationalStep, AutogradStep, make_elbo, is_variational
KINDS = {
    "gaussian": ({}, *VARIATIONAL),
    "laplace": ({"likelihood": "laplace"}, *VARIATIONAL),
    "bernoulli": ({"likelihood": "bernoulli"}, *VARIATIONAL),
    "no linear path": ({"init": "random"}, *VARIATIONAL),
    "range": ({"output_range": "auto"}, *VARIATIONAL),
    "adversarial": (None, DiscriminatorStep, AdversarialStep, make_adversarial, is_adversarial),
    "discrepancy": ("mmd", PenaltyStep, AutogradStep, make_discrepancy, has_penalty_of_codes),
}


def make_estimator(params):
    if isinstance(params, dict):
        return VariationalAutoencoderTransformer(**params)
    return AdversarialAutoencoderTransformer(divergence=params or "adversarial")


def train(step, objective):
    """Return losses of some steps, and outputs of the trained networks for other rows."""
    source = torch.Generator().manual_seed(1)

    def draw(*shape):
        return torch.randn(1, *shape, generator=source, dtype=torch.float64)

    losses = []
    for number in range(N_STEPS):
        for group in step.groups[0]:
            group["lr"] *= 0.8
        rows = draw(8, 6)
        objective.set_progress(number / N_STEPS)
        losses.append(step.accumulate_(rows, rows, draw(8).exp()).mean(1))
        step.update_()
    rows = draw(4, 6)
    # Rows are judged with the full weight of the divergence, whatever that of training.
    objective.set_progress(0.1)
    return [*losses, *step.judge(rows, rows), *step.take_records().values()]


def test_steps_are_those_of_autograd():
    for kind in KINDS.values():
        params, written_out, by_autograd, make_objective, fits = kind
        module = make_module(make_estimator(params))
        results = []
        for make_step in (written_out, by_autograd):
            own = copy.deepcopy(module)
            objective = make_objective(torch.Generator().manual_seed(0))
            optimizer = make_optimizer(own)
            assert fits(own, objective)
            settings = optimizer.param_groups if make_step is written_out else optimizer
            step = make_step([own], objective, [settings])
            results.append([*train(step, objective), *own.parameters()])
        for found, expected in zip(*results, strict=True):
            torch.testing.assert_close(found, expected)


def test_discriminators_slow_down_with_their_autoencoders_to_a_tenth_of_their_rate():
    groups = make_discriminator_groups([0.02, 0.01, 1e-6], [0.02] * 3)
    assert [group["lr"] for group in groups] == pytest.approx([0.01, 0.005, 0.001])


@pytest.mark.mostly_slow(3, first=1)
@pytest.mark.parametrize("name", ["gaussian", "adversarial", "discrepancy"])
def test_errors_of_a_model_do_not_depend_on_other_models(name):
    params, make_step, _, make_objective, _ = KINDS[name]
    modules = [make_module(make_estimator(params), seed) for seed in range(3)]
    groups = [make_optimizer(module).param_groups for module in modules]
    objective, source = make_objective(None), torch.Generator().manual_seed(0)
    # Elementwise functions use other instructions for the last rows of a network.
    for n_rows in (1, 5, 30, 31, 33, 35, 37, 39):
        rows = torch.randn(3, n_rows, 6, generator=source, dtype=torch.float64)
        together = make_step(copy.deepcopy(modules), objective, groups).judge(rows, rows)
        for model, module in enumerate(modules):
            alone = make_step([module], objective, groups[:1])
            own = rows[model : model + 1]
            for one, other in zip(alone.judge(own, own), together, strict=True):
                assert torch.equal(one[0], other[model])


def test_fits_take_the_steps_that_are_written_out(monkeypatch):
    X = np.random.default_rng(0).normal(size=(40, 6))
    taken = []
    for kind in (VariationalStep, DiscriminatorStep, PenaltyStep):
        monkeypatch.setattr(kind, "update_", lambda self: taken.append(type(self)))
    for params in ({}, None, "mmd"):
        make_estimator(params).set_params(n_components=2, max_iter=1, random_state=0).fit(X)
    assert set(taken) == {VariationalStep, DiscriminatorStep, PenaltyStep}
