"""How many threads a fit computes with, and that nothing of it stays."""

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from skae import AutoencoderTransformer


@pytest.fixture
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


class Witness(Callback):
    """Remembers with how many threads epochs begin; may end the fit with an error."""

    def __init__(self, *, fails=False):
        self.seen = []
        self.fails = fails

    def on_epoch_begin(self, net, **kwargs):
        self.seen.append(torch.get_num_threads())
        if self.fails:
            raise RuntimeError("the end")


def fit(witness, **params):
    X = np.random.default_rng(0).normal(size=(300, 12))
    params |= {"max_iter": 1, "random_state": 0, "net_params": {"callbacks": [witness]}}
    return AutoencoderTransformer(2, **params).fit(X)


@pytest.mark.parametrize(
    ("params", "n_threads"),
    [
        ({"hidden_layer_sizes": 16, "batch_size": 32}, 1),
        ({"hidden_layer_sizes": (600, 600), "batch_size": 300}, 3),
        (
            {
                "architecture": "conv",
                "sample_shape": (1, 12),
                "hidden_layer_sizes": (),
                "batch_size": 8,
            },
            1,
        ),
    ],
    ids=["small", "large", "small_conv"],
)
def test_small_steps_are_computed_by_one_thread(three_threads, params, n_threads):
    witness = Witness()
    fit(witness, **params)
    assert witness.seen == [n_threads]
    assert torch.get_num_threads() == 3


def test_threads_are_given_back_after_an_error(three_threads):
    with pytest.raises(RuntimeError, match="the end"):
        fit(Witness(fails=True), hidden_layer_sizes=16)
    assert torch.get_num_threads() == 3
