"""The loss of neighbours: value, weights, and evaluation."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.neighbors import NearestNeighbors
from torch import nn

from skae.objectives import ColumnUnits, NeighborLoss, NeighborObjective


class Codes(nn.Module):
    """Network whose codes are some columns, and whose output is the row."""

    def __init__(self, n_codes):
        super().__init__()
        self.n_codes = n_codes

    def encode_raw(self, inputs):
        self.inputs = inputs
        return inputs[:, : self.n_codes]

    def decode_raw(self, code):
        return self.inputs

    def scale_logits(self, similarities):
        return similarities


@pytest.fixture
def rows():
    return torch.randn(60, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def make_objective(database, **params):
    units = ColumnUnits(torch.full((5,), 2.0).double(), torch.tensor(3.0).double())
    return NeighborObjective(NeighborLoss(**params).prepare(units), database)


def find_loss(objective, network, rows, weights=None):
    return objective(network, rows, rows, weights)[0].item()


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_value_is_that_of_the_formula(rows, metric):
    objective = make_objective(rows, metric=metric, temperature=0.2)
    places = 3 * rows.numpy() + 2
    if metric == "cosine":
        places /= np.linalg.norm(places, axis=1, keepdims=True)
    else:
        places = rows.numpy()
    codes = rows[:, :3].numpy()
    n, (wanted, found) = (
        len(rows),
        (
            -((t[:, None] - t[None]) ** 2).sum(2) / (2 * places.var(0).sum())
            for t in (places, codes)
        ),
    )
    expected = 0.0
    for i in range(n):
        others = np.arange(n) != i
        p = np.exp(wanted[i, others] / 0.2)
        q = np.exp(found[i, others] / 0.2)
        expected -= (p / p.sum()) @ np.log(q / q.sum()) / n
    assert find_loss(objective, Codes(3), rows) == pytest.approx(expected)


def test_a_factor_of_the_similarities_of_codes_is_a_lower_temperature_of_codes(rows):
    class Scaled(Codes):
        def encode_raw(self, inputs):
            return 2 * super().encode_raw(inputs)

        def scale_logits(self, similarities):
            return similarities / 4

    objective = make_objective(rows, metric="euclidean")
    scaled, plain = find_loss(objective, Scaled(3), rows), find_loss(objective, Codes(3), rows)
    assert scaled == pytest.approx(plain)


def test_least_loss_is_that_of_the_rows_themselves(rows):
    objective = make_objective(rows, metric="euclidean")
    losses = [find_loss(objective, Codes(n), rows) for n in (5, 4, 3, 2, 1)]
    assert losses == sorted(losses)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_weights_of_zero_are_rows_left_out(rows, metric):
    objective = make_objective(rows, metric=metric)
    weights = torch.ones(60, dtype=torch.float64)
    weights[40:] = 1e-300
    scale = 60 / 40
    of_all = find_loss(objective, Codes(3), rows, weights * scale)
    assert of_all == pytest.approx(find_loss(objective, Codes(3), rows[:40]))


def test_the_decoder_does_not_change_the_codes(rows):
    encoder, decoder = nn.Linear(5, 2).double(), nn.Linear(2, 5).double()
    network = nn.Module()
    network.encode_raw, network.decode_raw = encoder, decoder
    network.scale_logits = nn.Identity()
    gradients = []
    for scale in (1.0, 100.0):
        with torch.no_grad():
            decoder.weight.mul_(scale)
        encoder.zero_grad()
        make_objective(rows, metric="euclidean")(network, rows, rows)[0].backward()
        gradients.append(encoder.weight.grad.clone())
    torch.testing.assert_close(*gradients)
    assert decoder.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_the_loss_of_rows_is_the_share_of_lost_neighbours(rows, metric):
    objective = make_objective(rows[:50], metric=metric, n_neighbors=4)
    table, codes = (3 * rows + 2 if metric == "cosine" else rows), rows[:, :3]
    truth = NearestNeighbors(n_neighbors=4, metric=metric).fit(table[:50]).kneighbors(table[50:])[1]
    found = NearestNeighbors(n_neighbors=4).fit(codes[:50]).kneighbors(codes[50:])[1]
    lost = [1 - len(set(a) & set(b)) / 4 for a, b in zip(truth, found, strict=True)]
    for _ in range(2):
        losses, _ = objective.judge(Codes(3), rows[50:], rows[50:])
        np.testing.assert_allclose(losses, lost)


def test_released_objective_holds_no_rows(rows):
    objective = make_objective(rows)
    objective.judge(Codes(3), rows, rows)
    objective.release()
    assert sum(tensor.numel() for tensor in objective.buffers()) < rows.numel()


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"metric": "manhattan"}, "metric"),
        ({"n_neighbors": 0}, "n_neighbors"),
        ({"n_neighbors": 2.5}, "n_neighbors"),
        ({"temperature": 0}, "temperature"),
        ({"temperature": "low"}, "temperature"),
        ({"temperature": np.inf}, "temperature"),
    ],
)
def test_wrong_parameters_are_refused(params, name):
    loss = clone(NeighborLoss(**params))
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        loss.check()
