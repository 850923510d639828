"""Splits into training and held-out rows: at random, by groups, or given by the user."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Split:
    """Training rows and held-out rows, None if no rows are held out."""

    train: torch.Tensor
    held_out: torch.Tensor | None
    held_out_groups: torch.Tensor | None = None
    """Number of each held-out row's group, None where every row stands for itself."""


@dataclass(frozen=True)
class Separation:
    """Rows that must not be on both sides of a split."""

    groups: torch.Tensor | None = None
    """Number of each row's group, consecutive from 0. If None, each row is its own group."""

    split: Split | None = None
    """Training rows and held-out rows. If None, they are drawn at random."""


def hold_out(n_samples: int, fraction: float, groups, generator: torch.Generator) -> Split:
    """Hold out a share of the rows at random, keeping groups together.

    Both parts are in the order of the rows. Neither is empty if there are two rows (and groups) or
    more. `groups` has the number of each row's group, or is None; with large groups, the share is
    approximate.
    """
    n_wanted = min(max(1, round(n_samples * fraction)), n_samples - 1)
    if groups is None:
        chosen = torch.randperm(n_samples, generator=generator)[:n_wanted]
        is_held_out = torch.zeros(n_samples, dtype=torch.bool).index_fill_(0, chosen, True)
    else:
        is_held_out = torch.isin(groups, _choose_groups(groups.bincount(), n_wanted, generator))
    held_out_groups = None if groups is None else groups[is_held_out]
    return Split((~is_held_out).nonzero()[:, 0], is_held_out.nonzero()[:, 0], held_out_groups)


def _choose_groups(sizes: torch.Tensor, n_wanted: int, generator) -> torch.Tensor:
    """Return groups with at least the given number of rows, but at most half of all rows.

    If that is impossible, return the smallest group alone.
    """
    chosen, n_rows = [], 0
    for group in torch.randperm(len(sizes), generator=generator).tolist():
        if n_rows >= n_wanted:
            break
        size = int(sizes[group])
        if 2 * (n_rows + size) <= int(sizes.sum()):
            chosen.append(group)
            n_rows += size
    return torch.tensor(chosen or [int(sizes.argmin())])


def make_folds(n_samples: int, n_folds: int, groups, generator: torch.Generator) -> list:
    """Divide rows into folds of about equal size, keeping groups together; return their indices.

    There are fewer folds if there are fewer rows or groups.
    """
    if groups is None:
        order = torch.randperm(n_samples, generator=generator)
        return list(order.tensor_split(min(n_folds, n_samples)))
    sizes = groups.bincount()
    order = torch.randperm(len(sizes), generator=generator)
    order = order[sizes[order].argsort(descending=True, stable=True)]
    totals = torch.zeros(min(n_folds, len(sizes)), dtype=torch.long)
    fold_of = torch.empty_like(sizes)
    for group in order:
        fold = totals.argmin()
        fold_of[group] = fold
        totals[fold] += sizes[group]
    return [(fold_of[groups] == fold).nonzero()[:, 0] for fold in range(len(totals))]
