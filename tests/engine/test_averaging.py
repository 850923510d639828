"""Average of the weights over the last epochs, which does not affect training."""

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from skae import AutoencoderTransformer
from skae._engine.steps.averaging import AveragedWeights
from skae._engine.steps.step import Step


class Weights(Callback):
    """Callback that records the weights of the decoder after batches and epochs."""

    def on_train_begin(self, net, **kwargs):
        self.last, self.averaged = [], []

    def on_epoch_begin(self, net, **kwargs):
        self.last.append(None)

    def on_batch_end(self, net, training, **kwargs):
        if training:
            self.last[-1] = _copy(net)

    def on_epoch_end(self, net, **kwargs):
        self.averaged.append(_copy(net))


def _copy(net):
    return net.module_.decoder.linears[-1].weight.detach().numpy().copy()


def average(last, decay):
    """Return the average of weights, with increasing weights of the average."""
    shares = decay ** np.arange(len(last))[::-1]
    return np.tensordot(shares / shares.sum(), last, 1)


@pytest.mark.parametrize(
    "params",
    [
        {},
        *(
            pytest.param(params, marks=pytest.mark.slow)
            for params in ({"normalization": "batch"}, {"dtype": "float64"})
        ),
    ],
)
def test_epochs_end_with_averaged_weights_and_training_continues_with_the_last(
    quick, images, params
):
    def fit(max_iter):
        callback = Weights()
        model = quick(max_iter=max_iter, learning_rate="constant", early_stopping=False, **params)
        model.set_params(net_params={"callbacks": [callback]}).fit(images[:64])
        return callback

    callback = fit(40)
    for n_epochs in (1, 2, 7, 40):
        expected = average(callback.last[:n_epochs], decay=0.5)
        np.testing.assert_allclose(callback.averaged[n_epochs - 1], expected, rtol=0, atol=1e-6)
    # Few epochs have no average, and training is equal.
    short = fit(20)
    np.testing.assert_array_equal(short.last, callback.last[:20])
    np.testing.assert_array_equal(short.averaged, short.last)


def test_weights_that_a_callback_sets_are_taken_over(quick, images):
    class Reset(Callback):
        first = None

        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 10:
                net.module_.decoder.linears[-1].weight.data.zero_()

        def on_batch_begin(self, net, training, **kwargs):
            if len(net.history) == 11 and self.first is None:
                self.first = _copy(net)

    callback = Reset()
    params = {"early_stopping": False, "net_params": {"callbacks": [callback]}}
    quick(max_iter=40, **params).fit(images[:64])
    assert not callback.first.any()


@pytest.mark.parametrize(
    ("n_epochs", "decay"), [(0, 0.0), (20, 0.0), (40, 0.5), (100, 0.8), (200, 0.9), (10**6, 0.9)]
)
def test_the_average_reaches_back_over_a_twentieth_of_the_epochs(n_epochs, decay):
    assert AveragedWeights(n_epochs).decay == pytest.approx(decay)


@pytest.mark.parametrize(("max_iter", "share"), [(20, 0.0), (40, 1 / 6)])
def test_rates_stay_higher_where_weights_are_averaged(quick, max_iter, share):
    class LastRate(Callback):
        def on_train_end(self, net, **kwargs):
            self.rate = net.optimizer_.param_groups[0]["lr"]

    callback, X = LastRate(), np.random.default_rng(0).normal(size=(40, 4))
    params = {"batch_size": 20, "net_params": {"callbacks": [callback]}}
    quick(max_iter=max_iter, learning_rate_init=0.01, **params).fit(X)
    assert callback.rate == pytest.approx(0.01 * share, abs=0.0001)


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize("params", [{"loss": "neighbors"}, {"dropout": 0.1}])
def test_columns_without_bounds_have_none_on_average(params):
    angles = np.random.default_rng(0).uniform(0, 4, size=100)
    X = np.c_[(angles - 1).clip(0), np.sin(angles), np.cos(2 * angles), np.sin(3 * angles)]
    params = {"max_iter": 41, "hidden_layer_sizes": (16,), "output_range": "auto", **params}
    model = AutoencoderTransformer(1, early_stopping=False, random_state=0, **params)
    model.fit(X.astype(np.float32))
    reconstructions = model.inverse_transform(model.transform(X))
    assert np.isfinite(reconstructions).all()
    assert reconstructions[:, 0].min() >= 0


def test_whole_numbers_and_constants_are_those_of_the_last_epoch():
    class Counting(Step):
        values = None

        def __init__(self):
            super().__init__([], None, [])

        def copy_values(self):
            return [{name: own.clone() for name, own in self.values.items()}]

        def load_values_(self, values):
            (self.values,) = ({name: own.clone() for name, own in values[0].items()},)

    step, averaged = Counting(), AveragedWeights(40)
    for epoch in (1, 2):
        with averaged.train(step):
            bounds = torch.tensor([-torch.inf, torch.inf, 1.0])
            step.values = {"n": torch.tensor(epoch), "w": torch.tensor(3.0 * epoch), "b": bounds}
    assert step.values["n"] == 2
    assert torch.equal(step.values["b"], bounds)
    assert step.values["w"] == pytest.approx(5.0)
