"""Noise on standardised rows."""

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone

from skae.corruption import (
    CORRUPTIONS,
    Columns,
    Corruption,
    GaussianNoise,
    HidingNoise,
    MaskingNoise,
    SwapNoise,
)

LEVEL = 0.3
SHAPES = [(200, 50), (3, 200, 50), (7, 3)]


def make_rows(*shape, seed=0):
    return torch.randn(shape, generator=make_generator(seed)) + 3


def make_generator(seed=0):
    return torch.Generator().manual_seed(seed)


def describe(rows):
    cells = rows.reshape(-1, rows.shape[-1])
    return Columns(0.5, cells.min(0).values - 1, cells.max(0).values + 1)


def corrupt(kind, level, rows, seed=0):
    return CORRUPTIONS[kind](level)(rows, describe(rows), make_generator(seed))


@pytest.fixture(params=sorted(CORRUPTIONS))
def kind(request):
    return request.param


def test_rows_and_global_generator_are_left_alone(kind):
    for shape in SHAPES:
        rows = make_rows(*shape)
        before, state = rows.clone(), torch.get_rng_state()
        corrupted = corrupt(kind, LEVEL, rows)
        assert corrupted.shape == rows.shape
        assert not torch.equal(corrupted, rows)
        torch.testing.assert_close(rows, before, rtol=0, atol=0)
        assert torch.equal(torch.get_rng_state(), state)


def test_noise_is_that_of_the_seed(kind):
    rows = make_rows(40, 6)
    first, again, other = (corrupt(kind, LEVEL, rows, seed=seed) for seed in (0, 0, 1))
    torch.testing.assert_close(first, again, rtol=0, atol=0, equal_nan=True)
    assert not torch.equal(first, other)


def test_draws_continue(kind):
    rows, generator = make_rows(40, 6), make_generator()
    noise = CORRUPTIONS[kind](LEVEL)
    assert not torch.equal(*(noise(rows, describe(rows), generator) for _ in range(2)))


def test_no_noise_at_level_zero(kind):
    rows = make_rows(20, 4)
    corrupted = corrupt(kind, 0, rows)
    torch.testing.assert_close(corrupted, rows, rtol=0, atol=0)
    assert corrupted.data_ptr() != rows.data_ptr()


def test_missing_cells_are_missing_still_and_no_others_are(kind):
    rows = make_rows(60, 5)
    rows[torch.rand(rows.shape, generator=make_generator(1)) < 0.4] = torch.nan
    noise = CORRUPTIONS[kind](0.9)
    columns = Columns(1.0, torch.zeros(5), torch.ones(5))
    corrupted = noise(rows, columns, make_generator())
    stay = corrupted.isnan() if kind != "hiding" else corrupted.isnan() & rows.isnan()
    assert torch.equal(stay, rows.isnan())


def test_rows_may_lie_anyhow_in_memory(kind):
    rows = make_rows(5, 40).T
    expected = corrupt(kind, LEVEL, rows.contiguous())
    torch.testing.assert_close(corrupt(kind, LEVEL, rows), expected, equal_nan=True)


def test_precision_of_the_rows_is_kept(kind):
    for dtype in (torch.float32, torch.float64):
        assert corrupt(kind, LEVEL, make_rows(10, 3).to(dtype)).dtype == dtype


def test_level_is_the_share_of_cells():
    for level in [0.01, 1.0]:
        for name in ["masking", "salt_and_pepper"]:
            rows = make_rows(400, 100)
            share = float((corrupt(name, level, rows) != rows).float().mean())
            # Four standard deviations of a binomial share.
            assert abs(share - level) <= 4 * np.sqrt(level * (1 - level) / rows.numel())


def test_each_cell_is_chosen_by_itself():
    rows = torch.ones(2000, 8)
    masked = 1 - corrupt("masking", 0.5, rows)
    correlations = torch.corrcoef(masked.T) - torch.eye(8)
    assert correlations.abs().max() < 0.1
    assert abs(float((masked[1:] * masked[:-1]).mean()) - 0.25) < 0.02


def test_gaussian_noise_is_in_units_of_x():
    rows = make_rows(400, 100)
    noise = GaussianNoise(0.2)(rows, Columns(0.5, rows[0], rows[0]), make_generator()) - rows
    # A standardised unit is half a unit of X.
    assert abs(float(noise.std()) - 0.4) < 0.01
    assert abs(float(noise.mean())) < 0.01


def test_masked_cells_are_zero_and_others_untouched():
    rows = make_rows(50, 10)
    corrupted = corrupt("masking", LEVEL, rows)
    assert set(torch.unique(corrupted[corrupted != rows]).tolist()) == {0.0}


def test_salt_and_pepper_are_the_ends_of_the_column_evenly():
    rows = make_rows(500, 20)
    columns, corrupted = describe(rows), corrupt("salt_and_pepper", LEVEL, rows)
    changed = corrupted != rows
    lowest, highest = corrupted == columns.lowest, corrupted == columns.highest
    assert torch.equal(changed, lowest | highest)
    assert abs(float(highest.sum() / changed.sum()) - 0.5) < 0.04


def test_hiding_takes_each_cell_by_itself():
    rows = make_rows(400, 100)
    hidden = corrupt("hiding", LEVEL, rows).isnan().double()
    assert abs(float(hidden.mean()) - LEVEL) < 4 * np.sqrt(LEVEL * (1 - LEVEL) / rows.numel())


def test_rows_lose_the_cells_that_another_row_of_their_model_lacks():
    rows = make_rows(2, 30, 8)
    rows[0, :, :3] = torch.nan
    rows[1, 4, 5:] = torch.nan
    hidden = corrupt("hiding", 0.0, rows).isnan()
    assert torch.equal(hidden[0], rows[0].isnan())
    others = torch.arange(30) != 4
    assert hidden[1, others].sum() in (0, 3)
    assert not hidden[1, :, :5].any()


def make_labelled_rows(n_models, n_rows, n_features):
    """Return rows whose cells encode model, row and column."""
    cells = torch.arange(n_models * n_rows * n_features, dtype=torch.float64)
    return cells.view(n_models, n_rows, n_features)


@pytest.mark.parametrize("n_models", [1, 3])
def test_swapped_cells_come_from_other_rows_of_the_same_column_and_model(n_models):
    rows = make_labelled_rows(n_models, 40, 6)
    corrupted = corrupt("swap", LEVEL, rows)
    cells = corrupted.long()
    assert torch.equal(cells % 6, rows.long() % 6)
    assert torch.equal(cells // 240, rows.long() // 240)
    share = float((corrupted != rows).double().mean())
    assert abs(share - LEVEL) < 4 * np.sqrt(LEVEL * (1 - LEVEL) / rows.numel())


def test_at_full_level_no_cell_is_swapped_with_itself():
    rows = make_labelled_rows(2, 9, 5)
    assert (corrupt("swap", 1.0, rows) != rows).all()


def test_any_other_row_is_as_likely():
    rows = make_labelled_rows(1, 5, 4000)
    donors = (corrupt("swap", 1.0, rows).long()[0] // 4000)[2]
    counts = torch.bincount(donors, minlength=5)
    assert counts[2] == 0
    assert (counts[[0, 1, 3, 4]] > 850).all()


def test_a_single_row_is_not_swapped():
    rows = make_rows(2, 1, 4)
    torch.testing.assert_close(corrupt("swap", 1.0, rows), rows)


def test_copies_make_the_same_noise(kind):
    noise, rows = CORRUPTIONS[kind](LEVEL), make_rows(9, 4)
    expected = noise(rows, describe(rows), make_generator())
    for other in (copy.deepcopy(noise), pickle.loads(pickle.dumps(noise))):
        noisy = other(rows, describe(rows), make_generator())
        torch.testing.assert_close(noisy, expected, equal_nan=True)
    assert repr(noise) == f"{type(noise).__name__}(level=0.3)"


def test_level_must_be_a_share():
    for noise, level in [
        (MaskingNoise, -0.1),
        (SwapNoise, 1.1),
        (MaskingNoise, np.nan),
        (SwapNoise, True),
    ]:
        with pytest.raises(
            ValueError, match="`level` must be a share of the cells, from 0 to 1. Got"
        ):
            noise(level).check()


def test_level_of_gaussian_noise_must_be_a_deviation():
    for level in [-0.1, np.inf, np.nan, "1"]:
        with pytest.raises(ValueError, match="`level` must be a standard deviation in units of X"):
            GaussianNoise(level).check()


def test_gaussian_noise_may_be_of_any_size():
    assert GaussianNoise(np.float32(30)).level == 30


def test_spread_is_the_deviation_of_noisy_columns():
    for name in sorted(CORRUPTIONS.keys() - {"hiding"}):
        generator = torch.Generator().manual_seed(0)
        rows = torch.randn(20_000, 3, generator=generator, dtype=torch.float64)
        rows = (rows - rows.mean(0)) * torch.tensor([0.0, 0.5, 2.0])
        columns = Columns(scale=2.0, lowest=rows.amin(0) - 1, highest=rows.amax(0))
        corruption = CORRUPTIONS[name](0.6)
        noisy = corruption(rows, columns, generator)
        spread = corruption.spread(rows.std(0), columns)
        # Masking and swapping may reduce a standard deviation, which is harmless.
        assert (noisy.std(0) <= 1.03 * spread).all()
        if name in ("gaussian", "salt_and_pepper"):
            torch.testing.assert_close(noisy.std(0), spread, rtol=0.03, atol=0)


def test_noises_are_estimators(kind):
    noise = CORRUPTIONS[kind](LEVEL)
    copied = clone(noise).set_params(level=0.5)
    assert (noise.level, copied.level) == (LEVEL, 0.5)
    assert copied.get_params()["level"] == 0.5


def test_wrong_levels_are_refused_where_noise_is_used(kind):
    noise = CORRUPTIONS[kind](LEVEL).set_params(level=-1)
    rows = make_rows(5, 3)
    with pytest.raises(ValueError, match="`level` must be"):
        noise(rows, describe(rows), make_generator())


def test_groups_are_kept_as_they_were_given():
    noise = clone(HidingNoise(0.5, groups=[0, 0, 1]))
    assert noise.groups == [0, 0, 1]
    hidden = noise(
        torch.ones(200, 3), Columns(1.0, torch.zeros(3), torch.ones(3)), make_generator()
    )
    assert torch.equal(hidden[:, 0].isnan(), hidden[:, 1].isnan())
    assert not torch.equal(hidden[:, 0].isnan(), hidden[:, 2].isnan())


class Strength(Corruption):
    """User-defined corruption with another parameter than a level."""

    def __init__(self, strength=0.5):
        self.strength = strength

    def __call__(self, rows, columns, generator):
        return rows * (1 - self.strength)


def test_user_defined_noise_needs_no_level():
    noise = Strength()
    noise.check()
    assert repr(noise.set_params(strength=0.1)) == "Strength(strength=0.1)"
