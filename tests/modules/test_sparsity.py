"""Codes of which only a few are active."""

import pytest
import torch

from skae.modules import TopK


def make_codes():
    return torch.randn(20, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("n_active", [1, 3, 6])
def test_the_codes_of_greatest_size_are_kept_as_they_are(n_active):
    codes = make_codes()
    sparse = TopK(n_active)(codes)
    kept = sparse != 0
    assert (kept.sum(1) == n_active).all()
    assert torch.equal(sparse[kept], codes[kept])
    least_kept = codes.abs().where(kept, torch.inf).min(1).values
    greatest_lost = codes.abs().where(~kept, 0).max(1).values
    assert (least_kept > greatest_lost).all()


@pytest.mark.parametrize("n_active", [7, 100])
def test_all_are_kept_where_there_are_no_more(n_active):
    assert torch.equal(TopK(n_active)(make_codes()), make_codes())


def test_gradient_passes_through_what_is_kept():
    codes = make_codes().requires_grad_()
    sparse = TopK(3)(codes)
    (2 * sparse).sum().backward()
    assert torch.equal(codes.grad, 2 * (sparse != 0).to(codes.dtype))


def test_at_least_one_is_kept():
    with pytest.raises(ValueError, match="`n_active` must be a number of codes, 1 or more. Got 0"):
        TopK(0)
