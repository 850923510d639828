"""The skorch net of an autoencoder, with an epoch that does not wait for its batches."""

import contextlib
import copy
from functools import partial

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping, EpochTimer, PrintLog
from skorch.dataset import unpack_data

from skae._training._batches import OrderedBatches, WeightedRows
from skae._training._callbacks import TrainingStopped
from skae._training._dense_step import DenseStep, is_dense
from skae._training._device import multiplies_in_bfloat16
from skae._training._judgement import Judgement, find_row_errors, mean_of_rows
from skae._training._optimizer import split_parameters
from skae._training._packing import pack_net, unpack_net
from skae._training._rows import DenseRows
from skae._training._schedules import set_learning_rates

_BATCH_HOOKS = ("on_batch_begin", "on_batch_end", "on_grad_computed")


class AutoencoderNet(NeuralNet):
    """A skorch net whose target is its input.

    Data come as `WeightedRows`, the criterion is an `Objective`. A batch is a pair of rows and
    weights, the loss is summed without asking for its value, and a dense module with AdamW takes
    its steps by `DenseStep`. Where a callback listens to batches, or the optimiser is another one,
    everything goes skorch's way.

    Parameters
    ----------
    schedule : {"adaptive", "constant", "one_cycle"}
        How the learning rate changes from step to step.
    mixed_precision : bool, default=False
        Multiply in bfloat16 where torch's autocast does, but for the linear path.
    noise : InputNoise, default=None
        Between the rows and what the network sees of them; needed for training.
    validation_set : WeightedRows, default=None
        Rows on which each epoch is judged.
    **kwargs
        As for `skorch.NeuralNet`.

    Attributes
    ----------
    n_steps_ : int
        Steps made so far.
    """

    callbacks: list
    callbacks_: list

    def __init__(
        self,
        *args,
        schedule="constant",
        mixed_precision=False,
        noise=None,
        validation_set=None,
        **kwargs,
    ):
        super().__init__(*args, **kwargs)
        self.schedule = schedule
        self.mixed_precision = mixed_precision
        self.noise = noise
        self.validation_set = validation_set

    def __getstate__(self):
        """Return the network as arrays, with its history and plain parameters.

        Callbacks, the optimiser and data are left out, so a restored net predicts but does not
        train.
        """
        return pack_net(self)

    def __setstate__(self, state):
        module, history, params = unpack_net(state)
        criterion = torch.nn.Identity()
        AutoencoderNet.__init__(self, module, criterion, iterator_valid=OrderedBatches, **params)
        self._initialize_virtual_params()
        self._initialize_callbacks()
        self._initialize_module()
        self._initialize_criterion()
        self.history_ = history
        self.module_.eval()
        self._dense_step, self.initialized_, self._trimmed_for_prediction = None, True, True

    @property
    def _default_callbacks(self):
        callbacks = [("epoch_timer", EpochTimer())]
        # It would draw up its table even where nothing is printed.
        return [*callbacks, ("print_log", PrintLog())] if self.verbose else callbacks

    def initialize(self):
        """Initialise skorch's parts, and the dense step where it applies."""
        super().initialize()
        self.n_steps_ = 0
        self._base_rates = [group["lr"] for group in self.optimizer_.param_groups]
        self._dense_step = self._make_dense_step()
        return self

    def _make_dense_step(self) -> DenseStep | None:
        groups = self.optimizer_.param_groups
        plain = type(self.optimizer_) is torch.optim.AdamW and not any(
            group["amsgrad"] or group["maximize"] for group in groups
        )
        if not plain or not is_dense(self.module_, self.criterion_):
            return None
        expected = [set(map(id, part)) for part in split_parameters(self.module_)]
        if [set(map(id, group["params"])) for group in groups] != expected:
            return None
        if self._listens_to_batches() or self.compile or self.mixed_precision:
            return None
        return DenseStep([self.module_], self.criterion_.loss, groups)

    def _listens_to_batches(self) -> bool:
        """Tell whether some callback overrides a hook that is called for each batch."""
        return any(
            getattr(type(callback), hook, None) is not getattr(Callback, hook)
            for _, callback in self.callbacks_
            for hook in _BATCH_HOOKS
        )

    def get_dataset(self, X, y=None):
        """Return standardised rows as a data set, for skorch's `predict` and `forward`."""
        if isinstance(X, WeightedRows):
            return X
        return WeightedRows(DenseRows(torch.as_tensor(X)), device=torch.device(self.device))

    def notify(self, method_name, **cb_kwargs):
        """Call the callbacks; take an end that skorch's `EarlyStopping` asks for as such.

        It raises KeyboardInterrupt, which here is left to the user.
        """
        try:
            super().notify(method_name, **cb_kwargs)
        except KeyboardInterrupt:
            if any(
                isinstance(callback, EarlyStopping) and callback.misses_ >= callback.patience
                for _, callback in self.callbacks_
            ):
                raise TrainingStopped from None
            raise

    def get_split_datasets(self, X, y=None, **fit_params):
        """Return the rows to train on and those to judge by."""
        return X, self.validation_set

    def infer(self, x, **fit_params):
        """Return the module's output in the precision of `x`, however it was computed.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_features)
            Standardised rows.
        **fit_params : dict
            Passed to the module.

        Returns
        -------
        output : Tensor of shape (n_samples, n_features)
            What the loss takes.
        """
        with self._precision():
            return super().infer(x, **fit_params).to(x.dtype)

    def _precision(self):
        """Return the context in which the network computes."""
        device = torch.device(self.device)
        # A net may have been trained on another machine than this one.
        if not self.mixed_precision or not multiplies_in_bfloat16(device):
            return contextlib.nullcontext()
        return torch.autocast(device.type, torch.bfloat16)

    def train_step_single(self, batch, **fit_params):
        """Return the loss of a batch, and the output, after the gradients have been stored.

        Parameters
        ----------
        batch : tuple
            Rows, and their weights or None.
        **fit_params : dict
            Not used.

        Returns
        -------
        step : dict
            The "loss" and the output, "y_pred".
        """
        self._set_training(True)
        rows, weights = unpack_data(batch)
        inputs = self.noise(rows)
        with self._precision():
            loss, output = self.criterion_(self.module_, inputs, rows, weights)
        loss.backward()
        return {"loss": loss, "y_pred": output}

    def validation_step(self, batch, **fit_params):
        """Return the loss of a batch, and the output, for callbacks.

        Parameters
        ----------
        batch : tuple
            Rows, and their weights or None.
        **fit_params : dict
            Not used.

        Returns
        -------
        step : dict
            The "loss" and the output, "y_pred".
        """
        self._set_training(False)
        rows, weights = unpack_data(batch)
        losses, output = self._judge_batch(rows)
        return {
            "loss": losses.mean() if weights is None else (losses * weights).mean(),
            "y_pred": output,
        }

    @torch.no_grad()
    def _judge_batch(self, rows):
        inputs = self.noise.for_judging(rows)
        with self._precision():
            return self.criterion_.judge(self.module_, inputs, rows)

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Train on all batches, or judge them, and record the mean loss.

        Parameters
        ----------
        iterator : iterable of (rows, weights) or None
            The batches; nothing is done where None.
        training : bool
            Whether to train.
        prefix : {"train", "valid"}
            Which loss is recorded.
        step_fn : callable
            What skorch does to a batch.
        **fit_params : dict
            Passed to `step_fn`.
        """
        if iterator is None:
            return
        listening = self._listens_to_batches()
        if self._dense_step is not None:
            loss = (
                self._train_densely(self._dense_step, iterator)
                if training
                else mean_of_rows(self.judge(iterator.dataset).losses, iterator.dataset.own_weights)
            )
            self._record_loss(prefix + "_loss", loss, listening=listening)
            return
        if not training:
            self.noise.restart_judging()
        total = mass = 0.0
        for n_done, batch in enumerate(iterator):
            if training:
                progress = self._share_done(n_done, len(iterator))
                self.criterion_.set_progress(progress)
                self._set_learning_rate(progress)
            if listening:
                self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch, **fit_params)
            loss, (rows, weights) = step["loss"].detach(), unpack_data(batch)
            total = total + loss * len(rows)
            mass = mass + (len(rows) if weights is None else weights.sum())
            if listening:
                self.history.record_batch(prefix + "_loss", loss.item())
                self.history.record_batch(prefix + "_batch_size", len(rows))
                self.notify("on_batch_end", batch=batch, training=training, **step)
        if training:
            self.n_steps_ += len(iterator)
        self._record_loss(prefix + "_loss", float(total / mass), listening=listening)

    def _record_loss(self, name: str, loss: float, *, listening: bool):
        """Record a loss and whether it is the least; skorch's `Checkpoint` asks for that.

        It also looks at the last batch. Where nobody listens to batches, one stands for all.
        """
        if not listening:
            self.history.new_batch()
            self.history.record_batch(name, loss)
        self.history.record(name, loss)
        self.history.record(name + "_best", loss <= min(self.history[:, name]))

    @torch.no_grad()
    def _train_densely(self, step: DenseStep, iterator) -> float:
        """Train on all batches by the dense step; return the mean loss."""
        noise, n_batches = self.noise, len(iterator)
        total, mass = step.input_scale.new_zeros(1), 0.0
        for n_done, (rows, weights) in enumerate(iterator):
            self._set_learning_rate(self._share_done(n_done, n_batches))
            rows = rows[None]
            weights = None if weights is None else weights[None]
            total.add_(step(noise(rows), rows, weights), alpha=rows.shape[1])
            mass += rows.shape[1] if weights is None else weights.sum()
        self.n_steps_ += n_batches
        return float(total / mass)

    def _share_done(self, n_done: int, n_batches: int) -> float:
        """Return the share of all steps that has been made, in [0, 1], within an epoch."""
        return min(1.0, (self.n_steps_ + n_done) / max(1, self.max_epochs * n_batches - 1))

    def _set_learning_rate(self, progress: float):
        """Set the learning rates for the next step, except where they stay as they are."""
        if self.schedule == "one_cycle":
            groups = self.optimizer_.param_groups
            set_learning_rates(groups, self._base_rates, self.schedule, progress)

    def copy_state(self):
        """Return a copy of what training changes in the module, for `load_state_`."""
        if self._dense_step is not None:
            return self._dense_step.copy_values()
        return {name: value.clone() for name, value in self.module_.state_dict().items()}

    def load_state_(self, state):
        """Go back to a state that `copy_state` has returned in this training."""
        step = self._dense_step
        load_ = self.module_.load_state_dict if step is None else step.load_values_
        load_(state)

    def copy_for_prediction(self) -> "AutoencoderNet":
        """Return a net with a copy of the module and the history, which training leaves alone."""
        # Not copy.copy, which goes through __getstate__ and ends on the CPU.
        net = type(self).__new__(type(self))
        net.__dict__.update(self.__dict__)
        net.__dict__.update(
            module_=copy.deepcopy(self.module_),
            history_=copy.copy(self.history_),
            optimizer_=None,
            _dense_step=None,
        )
        return net

    def judge(self, dataset: WeightedRows) -> Judgement:
        """Return what rows cost, with the same noise each time."""
        self.noise.restart_judging()
        step = self._dense_step
        judge = self._judge_by_module if step is None else partial(self._judge_densely, step)
        parts = [judge(rows) for rows, _ in self.get_iterator(dataset, training=False)]
        return Judgement(*map(torch.cat, zip(*parts, strict=True)))

    def _judge_by_module(self, rows):
        self._set_training(False)
        losses, output = self._judge_batch(rows)
        return losses, find_row_errors(self.module_.output(output), rows)

    def _judge_densely(self, step: DenseStep, rows):
        return [part[0] for part in step.judge(self.noise.for_judging(rows)[None], rows[None])]

    def load_optimizer_state(self, state):
        """Go on with the moments of an earlier optimiser, as far as there are any."""
        kind, values = (None, None) if state is None else state
        if kind != self._optimizer_kind():
            return
        if self._dense_step is None:
            self.optimizer_.load_state_dict(values)
        else:
            self._dense_step.load_moments(values)

    def _optimizer_kind(self) -> type:
        """Return what takes the steps: a state of one kind is of no use to another."""
        return type(self.optimizer_ if self._dense_step is None else self._dense_step)

    def _copy_optimizer_state(self):
        """Return what `load_optimizer_state` takes, None for a copy that has no optimiser."""
        if self._dense_step is not None:
            return self._optimizer_kind(), self._dense_step.copy_moments()
        if self.optimizer_ is None:
            return None
        return self._optimizer_kind(), self.optimizer_.state_dict()

    def release_training_state(self, callbacks):
        """Let go of what only training needs.

        Parameters
        ----------
        callbacks : list of Callback
            Callbacks that are not the user's.

        Returns
        -------
        optimizer_state : object
            What `load_optimizer_state` takes.
        """
        optimizer_state = self._copy_optimizer_state()
        self._dense_step = None
        self.validation_set = None
        self.callbacks = [callback for callback in self.callbacks if callback not in callbacks]
        self.callbacks_ = [item for item in self.callbacks_ if item[1] not in callbacks]
        # Parameters get memory of their own, no longer views of the optimiser's.
        for parameter in self.module_.parameters():
            parameter.data = parameter.data.clone(memory_format=torch.contiguous_format)
        self.module_.eval()
        return optimizer_state
