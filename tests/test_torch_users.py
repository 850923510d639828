"""Access to the skorch net: history, options and callbacks."""

import pickle

import numpy as np
import pytest
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, Checkpoint, EarlyStopping, EpochScoring, LRScheduler

from skae import AutoencoderTransformer

pytestmark = pytest.mark.filterwarnings("ignore::skae.exceptions.NotBetterThanPCAWarning")


@pytest.fixture
def fit(digits):
    """Return a function that fits an estimator to digits."""

    def fit(n_components=4, X=digits[0], **params):
        params = {"max_iter": 3, "random_state": 0} | params
        return AutoencoderTransformer(n_components, **params).fit(X)

    return fit


def standardise(estimator, X):
    return torch.from_numpy((X - estimator.mean_) / estimator.scale_).float()


class CountsEpochs(Callback):
    """Typical callback of a user, without methods for batches."""

    def on_train_begin(self, net, **kwargs):
        self.events = ["train_begin"]

    def on_epoch_end(self, net, **kwargs):
        self.events.append(f"epoch {len(net.history)}: {net.history[-1]['train_loss']:.3g}")

    def on_train_end(self, net, **kwargs):
        self.events.append("train_end")


class CountsBatches(Callback):
    """Callback that is called for batches."""

    def on_train_begin(self, net, **kwargs):
        self.begun, self.sizes, self.losses, self.n_gradients = 0, [], [], 0

    def on_batch_begin(self, net, batch, training, **kwargs):
        self.begun += training

    def on_grad_computed(self, net, named_parameters, **kwargs):
        gradients = [parameter.grad for _, parameter in named_parameters]
        self.n_gradients += all(gradient is not None for gradient in gradients)

    def on_batch_end(self, net, batch, training, loss, **kwargs):
        if training:
            self.sizes.append(len(batch[0]))
            self.losses.append(loss.item())


class NotesOptimizer(Callback):
    """Callback that records the optimizer."""

    def on_train_begin(self, net, **kwargs):
        # The first group contains the encoder and the decoder.
        self.kind, self.group = type(net.optimizer_), dict(net.optimizer_.param_groups[0])


@pytest.mark.parametrize(
    "params", [{"early_stopping": False}, {"learning_rate": "adaptive"}], ids=str
)
def test_the_net_is_a_skorch_net_with_its_history(fit, digits, params):
    estimator = fit(X=digits[0][:, 20:34], **params)
    assert isinstance(estimator.net_, NeuralNet)
    assert len(estimator.net_.history) == estimator.n_iter_ == 3
    assert estimator.net_.history[:, "train_loss"] == estimator.loss_curve_
    assert estimator.net_.history[:, "epoch"] == [1, 2, 3]


def test_held_out_rows_are_in_the_history(fit, digits):
    # For few rows, a second training uses all rows and has no validation loss.
    estimator = fit(X=digits[0][:, 20:34], learning_rate="adaptive")
    start, *later = estimator.validation_loss_curve_
    assert estimator.net_.history[:, "valid_loss"] == later
    assert np.isfinite(start)


@pytest.mark.slow
def test_the_history_of_a_cross_validated_net_ends_with_the_epoch_chosen(fit):
    estimator = fit(max_iter=10)
    assert estimator.best_iter_ <= estimator.n_iter_ == len(estimator.loss_curve_)
    assert len(estimator.net_.history) == estimator.best_iter_


def test_a_callback_follows_the_epochs(fit):
    callback = CountsEpochs()
    estimator = fit(early_stopping=False, net_params={"callbacks": [callback]})
    epochs = [f"epoch {i + 1}: {loss:.3g}" for i, loss in enumerate(estimator.loss_curve_)]
    assert callback.events == ["train_begin", *epochs, "train_end"]


def test_a_callback_is_found_again_by_its_name(fit):
    estimator = fit(net_params={"callbacks": [("counter", CountsEpochs())]})
    assert len(dict(estimator.net_.callbacks_)["counter"].events) == 5


@pytest.mark.parametrize("params", [{"early_stopping": False}, {}], ids=str)
def test_a_callback_that_listens_to_batches_is_served(fit, digits, params):
    callback = CountsBatches()
    estimator = fit(batch_size=50, net_params={"callbacks": [callback]}, **params)
    n_train = sum(callback.sizes) / 3
    assert n_train in (180, 200)
    assert callback.begun == callback.n_gradients == len(callback.sizes) == 3 * round(n_train / 50)
    means = np.average(np.reshape(callback.losses, (3, -1)), axis=1)
    # Rows with shifted cells have less weight, and curves are weighted means.
    np.testing.assert_allclose(means, estimator.loss_curve_, rtol=0.1)


@pytest.mark.mostly_slow(6)
@pytest.mark.parametrize("loss", ["squared_error", "binary_cross_entropy"])
@pytest.mark.parametrize("activation", ["gelu", "identity", "logistic", "relu", "silu", "tanh"])
def test_listening_to_batches_does_not_change_the_weights(fit, digits, loss, activation):
    params = {"early_stopping": False, "loss": loss, "activation": activation}
    by_hand = fit(**params)
    by_autograd = fit(**params, net_params={"callbacks": [CountsBatches()]})
    np.testing.assert_allclose(by_autograd.loss_curve_, by_hand.loss_curve_, rtol=1e-4)
    expected = by_autograd.net_.module_.state_dict()
    for name, found in by_hand.net_.module_.state_dict().items():
        np.testing.assert_allclose(expected[name], found, rtol=1e-3, atol=2e-4, err_msg=name)


def test_a_learning_rate_scheduler_of_skorch_is_followed(fit):
    scheduler = LRScheduler("StepLR", step_size=1, gamma=0.1)
    params = {"learning_rate": "constant", "early_stopping": False}
    estimator = fit(**params, net_params={"callbacks": [scheduler]})
    rates = np.array(estimator.net_.history[:, "event_lr"])
    np.testing.assert_allclose(rates / rates[0], [1, 0.1, 0.01])
    plain = fit(**params)
    # The first epoch has an equal rate, the others do not.
    assert estimator.loss_curve_[0] == pytest.approx(plain.loss_curve_[0], rel=1e-5)
    assert estimator.loss_curve_[2] != pytest.approx(plain.loss_curve_[2], rel=1e-3)


def test_two_schedules_are_refused(fit):
    for callback in [LRScheduler, LRScheduler(), ("schedule", LRScheduler("StepLR", step_size=1))]:
        for learning_rate in ["one_cycle", "adaptive"]:
            with pytest.raises(
                ValueError, match=f"must be 'constant' where .* Got '{learning_rate}'"
            ):
                fit(learning_rate=learning_rate, net_params={"callbacks": [callback]})


def largest_error(net, X, y=None):
    rows = X.batch(torch.arange(len(X)))[0]
    return float(np.abs(net.predict(X) - rows.numpy()).max())


def test_a_score_of_each_epoch_is_recorded(fit):
    scoring = EpochScoring(largest_error, name="largest_error", use_caching=False)
    estimator = fit(learning_rate="adaptive", net_params={"callbacks": [scoring]})
    scores = estimator.net_.history[:, "largest_error"]
    assert len(scores) == 3
    assert np.isfinite(scores).all()


def test_the_optimizer_is_the_given_one(fit):
    params = {"learning_rate": "constant", "learning_rate_init": 0.004, "early_stopping": False}
    default = fit(**params)
    for net_params, expected in [
        ({"optimizer": torch.optim.SGD}, {"lr": 0.004, "momentum": 0}),
        ({"optimizer": torch.optim.SGD, "optimizer__momentum": 0.9}, {"momentum": 0.9}),
        ({"optimizer": torch.optim.AdamW, "optimizer__amsgrad": True}, {"amsgrad": True}),
        ({"optimizer__weight_decay": 0.3}, {"weight_decay": 0.3, "betas": (0.9, 0.99)}),
        ({"optimizer__lr": 1e-4}, {"lr": 1e-4}),
    ]:
        noted = NotesOptimizer()
        estimator = fit(**params, net_params={**net_params, "callbacks": [noted]})
        assert issubclass(noted.kind, net_params.get("optimizer", torch.optim.AdamW))
        assert {name: noted.group[name] for name in expected} == expected
        # The losses of three epochs depend more on the moved cells than on such small rates.
        assert estimator.loss_curve_ != default.loss_curve_


def test_verbose_prints_a_line_for_each_epoch(fit, capsys):
    fit(early_stopping=False)
    assert capsys.readouterr().out == ""
    fit(early_stopping=False, verbose=1)
    header, _, *epochs, _ = capsys.readouterr().out.strip().splitlines()
    assert header.split()[:2] == ["epoch", "train_loss"]
    assert [line.split()[0] for line in epochs] == ["1", "2", "3"]


def test_the_cpu_can_be_requested(fit):
    parameters = fit(device="cpu").net_.module_.parameters()
    assert {parameter.device.type for parameter in parameters} == {"cpu"}


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize("restore", [lambda net: net, lambda net: pickle.loads(pickle.dumps(net))])
def test_the_net_predicts(fit, digits, restore):
    X, estimator = digits[0], fit()
    rows = standardise(estimator, X)
    net = restore(estimator.net_)
    with torch.no_grad():
        expected = estimator.net_.module_(rows).numpy()
    # skorch processes rows in batches, whose products may be rounded differently.
    np.testing.assert_allclose(net.predict(rows), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(net.predict(rows.numpy()), expected, rtol=1e-4, atol=1e-5)
    assert net.history[:, "train_loss"] == estimator.net_.history[:, "train_loss"]


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize("loss", ["squared_error", "binary_cross_entropy"])
def test_the_module_is_a_plain_one(fit, digits, loss):
    X, estimator = digits[0], fit(loss=loss)
    module = estimator.net_.module_
    rows = standardise(estimator, X)
    assert not module.training
    output = module(rows)
    assert output.shape == X.shape
    assert output.requires_grad
    with torch.no_grad():
        codes = module.encode(rows)
        reconstructions = module.decode(codes).numpy() * estimator.scale_ + estimator.mean_
    np.testing.assert_allclose(codes, estimator.transform(X), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        reconstructions, estimator.inverse_transform(codes.numpy()), rtol=1e-4, atol=1e-5
    )


def test_the_module_can_be_trained_on(fit, digits):
    estimator = fit()
    module, rows = estimator.net_.module_, standardise(estimator, digits[0])
    optimizer = torch.optim.SGD(module.parameters(), lr=0.01)
    losses = []
    for _ in range(5):
        optimizer.zero_grad()
        loss = (module.reconstruct(rows) - rows).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses == sorted(losses, reverse=True)


def test_early_stopping_of_skorch_ends_the_fit(fit):
    stopping = EarlyStopping(monitor="train_loss", patience=2, threshold=10)
    estimator = fit(max_iter=9, early_stopping=False, net_params={"callbacks": [stopping]})
    assert estimator.n_iter_ < 9


def test_checkpoint_of_skorch_knows_the_best_epoch(fit, tmp_path):
    checkpoint = Checkpoint(dirname=tmp_path)
    fit(early_stopping=True, net_params={"callbacks": [checkpoint]})
    assert (tmp_path / "params.pt").exists()


@pytest.mark.mostly_slow(2, first=1)
@pytest.mark.parametrize(
    "net_params",
    [
        {"optimizer": torch.optim.AdamW},
        {"optimizer__param_groups": [("encoder.*", {"lr": 1e-3})]},
    ],
    ids=str,
)
def test_parameter_groups_may_be_others(fit, net_params):
    estimator = fit(early_stopping=False, net_params=net_params)
    assert estimator.loss_curve_[-1] < estimator.loss_curve_[0]


@pytest.mark.slow
def test_a_compiled_network_trains_as_an_uncompiled_one(fit, digits):
    plain = fit(max_iter=4, net_params={"compile": False})
    compiled = fit(max_iter=4, net_params={"compile": True, "compile__backend": "eager"})
    np.testing.assert_allclose(compiled.loss_curve_, plain.loss_curve_, rtol=1e-3)
    codes = compiled.transform(digits[0])
    np.testing.assert_allclose(codes, plain.transform(digits[0]), atol=0.05 * codes.std())
    restored = pickle.loads(pickle.dumps(compiled))
    np.testing.assert_array_equal(restored.transform(digits[0]), codes)
