"""Reconstruction losses: values, gradients, missing cells, and user-defined criteria."""

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.metrics import mean_poisson_deviance
from torch import nn
from torch.nn import functional as F

from skae.objectives import (
    LOSSES,
    AbsoluteError,
    ColumnUnits,
    CriterionLoss,
    HuberLoss,
    PoissonLoss,
    ReconstructionLoss,
    SquaredError,
)

N_FEATURES = 4
MEAN = torch.tensor([1.0, 2.0, 0.5, 3.0], dtype=torch.float64)
SCALE = torch.tensor(2.0, dtype=torch.float64)
RANGE = torch.full((N_FEATURES,), -0.5).double(), torch.full((N_FEATURES,), 0.6).double()


def make_loss(name, *, ranged=False, masked=False):
    """Return the loss of this name, prepared for a table."""
    mean = MEAN / 10 if name == "binary_cross_entropy" else MEAN
    units = ColumnUnits(mean, SCALE, *(RANGE if ranged else ()))
    return LOSSES[name]().prepare(units, masked=masked)


def prepare_criterion(criterion, **params):
    return CriterionLoss(criterion).prepare(**params)


def make_batch(name, *shape, seed=0):
    """Return outputs, and targets in the domain of the loss of this name."""
    generator = torch.Generator().manual_seed(seed)
    output = 2 * torch.randn(*shape, N_FEATURES, dtype=torch.float64, generator=generator)
    uniform = torch.rand(output.shape, dtype=torch.float64, generator=generator)
    if name == "binary_cross_entropy":
        return output, (uniform - MEAN / 10) / SCALE
    if name == "poisson":
        return output, ((5 * uniform).floor() - MEAN) / SCALE
    return output, (4 * uniform - 2).clamp(*RANGE)


def drop_cells(target, share=0.4):
    chosen = torch.rand(target.shape, generator=torch.Generator().manual_seed(5)) < share
    return target.masked_fill(chosen, torch.nan), chosen


@pytest.fixture(params=sorted(LOSSES))
def name(request):
    return request.param


def test_gradients_are_those_of_autograd(name):
    for ranged, masked, factor in [
        (False, False, 0.7),
        (True, False, torch.arange(1.0, 6.0).double()[:, None]),
        (True, True, 0.7),
        (False, True, torch.arange(1.0, 6.0).double()[:, None]),
    ]:
        has_link = name in ("binary_cross_entropy", "poisson")
        loss = make_loss(name, ranged=ranged and not has_link, masked=masked)
        output, target = make_batch(name, 3, 5)
        if masked:
            target, _ = drop_cells(target)
        expected_output = output.clone().requires_grad_()
        expected = loss.rows(expected_output, target)
        (loss.cells(expected_output, target) * factor).sum().backward()

        rows, gradient = loss.rows_and_gradient_(output, target, factor)
        torch.testing.assert_close(rows, expected.detach())
        torch.testing.assert_close(gradient, expected_output.grad)
        assert gradient.data_ptr() == output.data_ptr()


def test_losses_are_means_over_cells_then_rows(name):
    loss, (output, target) = make_loss(name), make_batch(name, 5)
    weights = torch.arange(5.0).double()
    cells = loss.cells(output, target)
    assert cells.shape == target.shape
    torch.testing.assert_close(loss.rows(output, target), cells.mean(1))
    torch.testing.assert_close(loss(output, target), cells.mean())
    torch.testing.assert_close(loss(output, target, weights), (cells.mean(1) * weights).mean())


def test_no_loss_is_negative_and_rows_differ(name):
    rows = make_loss(name).rows(*make_batch(name, 50))
    assert (rows >= 0).all()
    assert len(rows.unique()) == 50


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber"])
def test_outputs_beyond_a_bound_lose_nothing_where_the_target_is_the_bound(loss):
    loss = make_loss(loss, ranged=True)
    output = torch.full((2, N_FEATURES), 9.0).double().requires_grad_()
    target = torch.stack([RANGE[1], RANGE[1] - 0.1])
    rows = loss.rows(output, target)
    rows.sum().backward()
    assert rows[0] == 0
    assert rows[1] > 0
    torch.testing.assert_close(output.grad[0].abs() < 1, torch.ones(N_FEATURES) > 0)
    assert (output.grad[1] > 0).all()


def pinball(output, target, units=None):
    return torch.maximum(0.3 * (target - output), 0.7 * (output - target))


class Pinball(ReconstructionLoss):
    cells = staticmethod(pinball)


@pytest.mark.parametrize("loss", [Pinball(), CriterionLoss(pinball)], ids=["class", "function"])
def test_no_gradient_moves_an_output_further_beyond_its_bound(loss):
    loss = loss.prepare(ColumnUnits(MEAN, SCALE, *RANGE))
    below, inside, above = torch.tensor([-2.0, 0.0, 2.0]).double()[:, None].expand(3, N_FEATURES)
    output = torch.stack([below, below, inside, above]).requires_grad_()
    # The maximum has the gradient 0.2 where the output is the target.
    target = torch.stack([RANGE[0], inside, inside, RANGE[1]])
    loss.cells(output, target).sum().backward()
    expected = torch.tensor([0, -0.3, 0.2, 0.2]).double()[:, None].expand(4, N_FEATURES)
    torch.testing.assert_close(output.grad, expected)


def test_missing_cells_have_no_loss_and_no_gradient(name):
    loss = make_loss(name)
    output, complete = make_batch(name, 6)
    target, missing = drop_cells(complete)
    expected = loss.cells(output, complete).masked_fill(missing, 0)
    loss = make_loss(name, masked=True)
    # Outputs of missing cells may be anything, so their exponential may be infinite.
    output = output.masked_fill(missing, 1e308).requires_grad_()

    cells = loss.cells(output, target)
    cells.sum().backward()
    torch.testing.assert_close(cells.detach(), expected)
    assert (cells[missing] == 0).all()
    assert (output.grad[missing] == 0).all()
    assert (output.grad[~missing] != 0).all()
    torch.testing.assert_close(loss.rows(output, target).detach(), expected.sum(1) / N_FEATURES)

    rows, gradient = loss.rows_and_gradient_(output.detach().clone(), target, 1.0)
    torch.testing.assert_close(rows, expected.mean(1))
    torch.testing.assert_close(gradient, output.grad)
    assert (gradient[missing] == 0).all()


def test_losses_for_missing_cells_are_equal_where_none_are_missing(name):
    loss, batch = make_loss(name), make_batch(name, 6)
    expected = loss.cells(*batch)
    loss = make_loss(name, masked=True)
    torch.testing.assert_close(loss.cells(*batch), expected, rtol=0, atol=0)


def test_a_row_without_any_cell_has_no_loss(name):
    loss, (output, target) = make_loss(name, masked=True), make_batch(name, 2)
    assert (loss.rows(output, torch.full_like(target, torch.nan)) == 0).all()


def test_known_losses_have_their_gradient_written_out(name):
    assert make_loss(name).has_gradient


class Cubed(SquaredError):
    def cells(self, output, target, units):
        return (output - target).abs() ** 3


class Renamed(SquaredError):
    pass


class InFull(Cubed):
    must_beat_pca = True

    def rows_and_gradient_(self, output, target, factor, units):
        return super().rows_and_gradient_(output, target, factor, units)


class Furthest(AbsoluteError):
    def rows(self, output, target, units):
        return (output - target).abs().amax(-1)


class Mixin:
    def cells(self, output, target, units):
        return (output - target) ** 4


class Mixed(Mixin, SquaredError):
    pass


def test_a_changed_loss_inherits_no_gradient_and_no_comparison_with_pca():
    for kind, expected in [
        (ReconstructionLoss, False),
        (CriterionLoss, False),
        (Cubed, False),
        (Mixed, False),
        (Renamed, True),
        (InFull, True),
    ]:
        assert kind.has_gradient is expected
        assert kind.must_beat_pca is expected


def test_a_loss_of_rows_has_no_gradient_of_cells():
    assert AbsoluteError.has_gradient
    assert not Furthest.has_gradient
    loss, (output, target) = Furthest().prepare(), make_batch("huber", 5)
    torch.testing.assert_close(loss.rows(output, target), (output - target).abs().amax(1))
    torch.testing.assert_close(loss(output, target), (output - target).abs().amax(1).mean())


def test_a_loss_of_rows_gets_zeros_for_missing_cells():
    output, target = make_batch("huber", 5)
    target, missing = drop_cells(target)
    expected = (output - target).abs().masked_fill(missing, 0).amax(1)
    torch.testing.assert_close(Furthest().prepare(masked=True).rows(output, target), expected)


@pytest.mark.parametrize(("method", "shape"), [("cells", ()), ("cells", None), ("rows", (4, 1))])
def test_losses_of_the_wrong_shape_are_refused(method, shape):
    def give(self, output, target, units):
        return None if shape is None else output.new_zeros(shape)

    kind = type("Wrong", (ReconstructionLoss,), {method: give})
    with pytest.raises(ValueError, match=f"`{method}` of Wrong must return a tensor of shape"):
        kind().prepare().rows(*make_batch("huber", 5))


def test_a_loss_without_a_method_names_it():
    with pytest.raises(NotImplementedError, match="must have a method `cells`"):
        ReconstructionLoss().prepare()(*make_batch("huber", 5))


def test_a_prepared_loss_is_independent_of_the_one_it_was_made_from():
    loss = HuberLoss(1.0)
    prepared = loss.prepare()
    loss.set_params(delta=3.0)
    assert prepared.loss.delta == 1.0


def test_losses_are_estimators(name):
    loss = LOSSES[name]()
    assert clone(loss).get_params() == loss.get_params()
    assert type(pickle.loads(pickle.dumps(loss))) is LOSSES[name]
    assert repr(HuberLoss(2.0)) == "HuberLoss(delta=2.0)"


@pytest.mark.parametrize("delta", [0.3, 100.0])
def test_huber_is_that_of_torch(delta):
    output, target = make_batch("huber", 20)
    expected = F.huber_loss(output, target, reduction="none", delta=delta)
    torch.testing.assert_close(HuberLoss(delta).prepare().cells(output, target), expected)


def test_delta_must_be_positive():
    for delta in [0, np.inf, np.nan, "1", True]:
        with pytest.raises(ValueError, match="`delta` must be a finite number above 0"):
            HuberLoss(delta).prepare()


def test_poisson_is_half_the_deviance():
    output, target = make_batch("poisson", 20)
    counts = (MEAN + SCALE * target).round()
    expected = mean_poisson_deviance(counts.ravel(), output.exp().ravel()) / 2
    loss = PoissonLoss().prepare(ColumnUnits(MEAN, SCALE))
    assert float(loss(output, target)) == pytest.approx(expected, rel=1e-9)


def test_poisson_of_the_true_rate_is_about_a_half():
    generator = torch.Generator().manual_seed(0)
    rates = torch.full((20_000, N_FEATURES), 20.0).double()
    counts = torch.poisson(rates, generator=generator)
    loss = PoissonLoss().prepare(ColumnUnits(MEAN, SCALE))(rates.log(), (counts - MEAN) / SCALE)
    assert float(loss) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_poisson_stays_finite(dtype):
    loss = PoissonLoss().prepare(ColumnUnits(MEAN.to(dtype), SCALE.to(dtype)))
    output = torch.tensor([[1e4, -1e4, 200.0, 30.5]], dtype=dtype, requires_grad=True)
    # In single precision a standardised zero comes back a little below.
    target = torch.nextafter(-MEAN / SCALE, torch.tensor(-9.0).double()).to(dtype)[None]
    value = loss(output, target)
    value.backward()
    assert value.isfinite()
    assert output.grad.isfinite().all()
    assert (output.grad[0, [0, 2, 3]] > 0).all()


class CosineError(nn.Module):
    """Criterion that returns a loss per row."""

    def forward(self, output, target):
        return 1 - F.cosine_similarity(output, target)


def test_criteria_of_cells_and_rows_have_losses_of_rows():
    for criterion in [
        nn.SmoothL1Loss,
        nn.SmoothL1Loss(),
        nn.SmoothL1Loss(reduction="sum"),
        F.smooth_l1_loss,
        lambda output, target: F.smooth_l1_loss(output, target, reduction="none"),
        lambda output, target: F.smooth_l1_loss(output, target, reduction="none").mean(1),
    ]:
        loss, (output, target) = prepare_criterion(criterion), make_batch("huber", 5)
        weights = torch.arange(5.0).double()
        expected = F.smooth_l1_loss(output, target, reduction="none").mean(1)
        torch.testing.assert_close(loss.rows(output, target), expected)
        torch.testing.assert_close(loss.cells(output, target).mean(1), expected)
        torch.testing.assert_close(loss(output, target), expected.mean())
        torch.testing.assert_close(loss(output, target, weights), (expected * weights).mean())


def test_the_criterion_of_the_user_is_not_changed():
    criterion = nn.SmoothL1Loss(reduction="sum")
    prepare_criterion(criterion)(*make_batch("huber", 5))
    assert criterion.reduction == "sum"


def test_a_criterion_may_be_a_module_of_rows():
    output, target = make_batch("huber", 5)
    expected = 1 - F.cosine_similarity(output, target)
    torch.testing.assert_close(prepare_criterion(CosineError).rows(output, target), expected)


def test_a_single_number_counts_for_all_rows_and_cannot_be_weighted():
    loss = prepare_criterion(lambda output, target: (output - target).square().mean())
    output, target = make_batch("huber", 5)
    expected = F.mse_loss(output, target)
    torch.testing.assert_close(loss.rows(output, target), expected.expand(5))
    torch.testing.assert_close(loss.cells(output, target), expected.expand(5, N_FEATURES))
    torch.testing.assert_close(loss(output, target), expected)
    with pytest.raises(ValueError, match="`criterion` must return the loss of each row or cell"):
        loss(output, target, torch.ones(5))


@pytest.mark.parametrize("criterion", [nn.SmoothL1Loss, nn.MSELoss, CosineError])
def test_missing_cells_have_no_gradient_with_any_criterion(criterion):
    loss, (output, target) = prepare_criterion(criterion, masked=True), make_batch("huber", 6)
    target, missing = drop_cells(target)
    output = output.masked_fill(missing, 1e200).requires_grad_()
    value = loss(output, target)
    value.backward()
    assert value.isfinite()
    assert (output.grad[missing] == 0).all()
    assert output.grad.isfinite().all()
    assert (output.grad[~missing] != 0).any()


def test_missing_cells_have_no_loss_under_a_criterion_of_cells():
    loss = prepare_criterion(nn.BCEWithLogitsLoss, masked=True)
    output, target = make_batch("huber", 6)
    target, missing = drop_cells(target)
    assert (loss.cells(output, target)[missing] == 0).all()
    assert (loss.cells(output, target)[~missing] != 0).all()


class MeanOnly(nn.Module):
    """Criterion with a reduction that cannot be turned off."""

    def __init__(self, reduction="mean"):
        super().__init__()
        self.reduction = reduction

    def forward(self, output, target):
        if self.reduction == "none":
            raise NotImplementedError
        return F.mse_loss(output, target, reduction=self.reduction)


class MeanFromTheStart(MeanOnly):
    def __init__(self, reduction="mean"):
        if reduction == "none":
            raise ValueError
        super().__init__(reduction)


def reduce_always(output, target, reduction="mean"):
    return (output - target).square()[:, :2] if reduction == "none" else F.mse_loss(output, target)


def test_a_criterion_that_always_reduces_is_used_unchanged():
    for criterion in [MeanOnly, MeanOnly(), MeanFromTheStart, MeanFromTheStart(), reduce_always]:
        output, target = make_batch("huber", 5)
        loss = prepare_criterion(criterion)
        torch.testing.assert_close(loss(output, target), F.mse_loss(output, target))
        assert not CriterionLoss(criterion).tells_rows_apart(4)


@pytest.mark.parametrize("criterion", [nn.L1Loss, nn.MSELoss(reduction="sum"), CosineError])
def test_other_criteria_have_losses_of_rows(criterion):
    assert CriterionLoss(criterion).tells_rows_apart(4)


class Perceptual(nn.Module):
    """Criterion with trainable weights."""

    def __init__(self):
        super().__init__()
        self.seen = nn.Linear(N_FEATURES, 2)

    def forward(self, output, target):
        return (self.seen(output) - self.seen(target)).square().sum(1)


def test_weights_of_a_criterion_are_not_trained():
    criterion = Perceptual()
    loss = prepare_criterion(criterion)
    assert not any(weight.requires_grad for weight in loss.parameters())
    assert all(weight.requires_grad for weight in criterion.parameters())


def test_a_criterion_must_return_losses():
    for value in [torch.zeros(3), torch.zeros(5, 1), 0.5, None]:
        with pytest.raises(ValueError, match="`criterion` must return a tensor of shape"):
            prepare_criterion(lambda output, target, value=value: value)(*make_batch("huber", 5))


def test_a_criterion_must_be_callable():
    with pytest.raises(
        ValueError, match="`criterion` must be a callable or a class of criteria. Got 3"
    ):
        prepare_criterion(3)


def test_losses_can_be_copied(name):
    loss, batch = make_loss(name), make_batch(name, 4)
    torch.testing.assert_close(copy.deepcopy(loss)(*batch), loss(*batch))


def test_outliers_pull_less_under_robust_losses():
    target = torch.tensor([[0.0, 100.0, 0.0, 0.0]]).double()
    pulls = {}
    for kind in (SquaredError, HuberLoss, AbsoluteError):
        output = torch.zeros_like(target).requires_grad_()
        kind().prepare()(output, target).backward()
        pulls[kind] = float(output.grad.abs().max()) * N_FEATURES
    assert pulls == {SquaredError: 200.0, HuberLoss: 1.35, AbsoluteError: 1.0}
