"""The skorch net of an autoencoder, whose epochs do not wait for the losses of batches."""

import contextlib
import copy
from collections.abc import Generator, Sequence

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping, EpochTimer

from skae._engine.compute.device import multiplies_in_bfloat16
from skae._engine.fitting.callbacks import (
    AdaptiveLearningRate,
    BestEpoch,
    EpochLog,
    FiniteLoss,
    Patience,
    TrainingStopped,
)
from skae._engine.fitting.packing import pack_net, unpack_net
from skae._engine.judgement import Judgement, mean_of_rows
from skae._engine.steps.averaging import AveragedWeights
from skae._engine.steps.epoch import Batch, Costs, Epoch, Epochs, add_up, run_epochs
from skae._engine.steps.schedules import LearningRates
from skae._engine.steps.step import Step
from skae._engine.tables.batches import OrderedBatches, WeightedRows
from skae._engine.tables.rows import DenseRows
from skae._shared.progress import WORK

# Callbacks that do not look at the network, except for copies of its values.
_BLIND = (AdaptiveLearningRate, BestEpoch, EpochLog, EpochTimer, FiniteLoss, Patience)
_BATCH_HOOKS = ("on_batch_begin", "on_batch_end", "on_grad_computed")


class AutoencoderNet(NeuralNet):
    """A skorch net whose target is its input.

    The data are `WeightedRows`, the criterion is an `Objective`, and each batch is processed by a
    `Step`. A batch is a pair of rows and weights; losses are summed without synchronising with the
    device, unless a callback listens to batches.

    Parameters
    ----------
    family : Family, default=None
        Kind of the autoencoder; required for training, and to rebuild the module.
    plan : NetworkPlan, default=None
        Structure of the module, from which pickles rebuild it.
    schedule : {"adaptive", "constant", "one_cycle"}, default="constant"
        How the learning rate changes from step to step.
    mixed_precision : bool, default=False
        Whether to multiply in bfloat16 under torch's autocast, except in the linear path.
    noise : InputNoise, default=None
        Noise applied to the rows before the network; required for training.
    validation_set : WeightedRows, default=None
        Rows on which each epoch is evaluated.
    **kwargs
        Parameters of `skorch.NeuralNet`.

    Attributes
    ----------
    n_steps_ : int
        Steps made so far.
    step_ : Step or None
        Training and validation; None after training.
    judgement_ : Judgement or None
        Result of the last epoch on `validation_set`; None after training.
    """

    callbacks: list
    callbacks_: list
    step_: Step

    def __init__(
        self,
        *args,
        family=None,
        plan=None,
        schedule="constant",
        mixed_precision=False,
        noise=None,
        validation_set=None,
        **kwargs,
    ):
        super().__init__(*args, **kwargs)
        self.family = family
        self.plan = plan
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
        params = {**params, "family": state.get("family"), "plan": state.get("plan")}
        AutoencoderNet.__init__(self, module, criterion, iterator_valid=OrderedBatches, **params)
        self._initialize_virtual_params()
        self._initialize_callbacks()
        self._initialize_module()
        self._initialize_criterion()
        self.history_ = history
        self.module_.eval()
        self.initialized_, self._trimmed_for_prediction = True, True

    @property
    def _default_callbacks(self):
        callbacks = [("epoch_timer", EpochTimer())]
        # It would format its table even if nothing is printed.
        return [*callbacks, ("print_log", EpochLog())] if self.verbose else callbacks

    def initialize(self):
        super().initialize()
        self.n_steps_ = 0
        self.step_ = self.family.make_step(
            [self.module_],
            self.criterion_,
            [self.optimizer_],
            by_autograd=bool(self.listens_to_batches() or self.compile or self.mixed_precision),
            precision=self._precision,
        )
        self.step_.averaged = AveragedWeights(self.max_epochs)
        end = self.step_.averaged.find_end_of_rates(self.step_)
        self._rates = LearningRates(self.optimizer_.param_groups, self.schedule, end)
        return self

    def get_all_learnable_params(self):
        """Yield the parameters that skorch's optimiser trains."""
        own = set(map(id, self.family.list_own_parameters(self.module_)))
        for name, parameter in super().get_all_learnable_params():
            if id(parameter) not in own:
                yield name, parameter

    def listens_to_batches(self) -> bool:
        """Whether a callback overrides a hook that is called for each batch."""
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
        """Call the callbacks, and accept the request of skorch's `EarlyStopping` to stop.

        `EarlyStopping` raises KeyboardInterrupt, which is reserved for the user here.
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
        return X, self.validation_set

    def infer(self, x, **fit_params):
        """Return the module's output in the precision of `x`, in the form that the loss expects."""
        with self._precision():
            return super().infer(x, **fit_params).to(x.dtype)

    def _precision(self):
        device = torch.device(self.device)
        # A net may have been trained on another machine than this one.
        if not self.mixed_precision or not multiplies_in_bfloat16(device):
            return contextlib.nullcontext()
        return torch.autocast(device.type, torch.bfloat16)

    def fit_loop(self, X, y=None, epochs=None, **fit_params):
        """Train on `WeightedRows` for some epochs, by default `max_epochs`."""
        self.check_data(X, y)
        self.check_training_readiness()
        all_epochs = self._list_epochs(X, self.max_epochs if epochs is None else epochs)
        run_epochs(self.step_, all_epochs, len(X) * X.rows.n_cells)
        return self

    def _list_epochs(self, X: WeightedRows, n_epochs: int) -> Epochs:
        """Yield epochs; record their losses and judge them."""
        train_set, held_out = self.get_split_datasets(X)
        data = {"dataset_train": train_set, "dataset_valid": held_out}
        iterator = self.get_iterator(train_set, training=True)
        to_judge = None if held_out is None else self.get_iterator(held_out, training=False)
        listening = self.listens_to_batches()
        seen = None if to_judge is None or listening else self._take_single_batch(to_judge)
        for _ in range(n_epochs):
            self.notify("on_epoch_begin", **data)
            loss, judged = yield from self._train_on(iterator, seen, listening=listening)
            self._record("train", loss, listening=listening)
            if to_judge is not None:
                if judged is None:
                    self.judgement_ = self._judge_batches(to_judge, listening=listening)
                else:
                    self.judgement_ = _join_judged([judged], to_judge)
                    WORK.get().add(held_out.n_rows)
                loss = mean_of_rows(self.judgement_.losses, held_out.all_weights)
                self._record("valid", loss, listening=listening)
            self.notify("on_epoch_end", **data)

    def _record(self, prefix: str, loss: float, *, listening: bool):
        """Record the mean loss of an epoch, and what else the step has recorded."""
        self._record_loss(prefix + "_loss", loss, listening=listening)
        for name, value in self.step_.take_records().items():
            self.history.record(name, value)

    def _train_on(
        self, iterator, seen: tuple[torch.Tensor, torch.Tensor] | None, *, listening: bool
    ) -> Generator[Epoch, Costs, tuple[float, tuple[torch.Tensor, ...] | None]]:
        """Yield an epoch of all batches, unless a callback listens.

        Returns the mean loss, and what the step judges of `seen`.
        """
        sizes, all_weights, n_batches = [], [], len(iterator)
        steps, ranks = iter(range(n_batches)), iterator.dataset.ranks
        work = WORK.get()
        work.description = f"Epoch {len(self.history)}"

        def begin_step():
            self._set_progress(next(steps), n_batches)

        def list_batches():
            for (inputs, rows, weights), size in zip(iterator, iterator.sizes, strict=True):
                sizes.append(size)
                all_weights.append(weights)
                yield Batch(self.noise(inputs), rows, weights)
                work.add(size)

        if listening:
            costs = Costs(self._train_before_listeners(list_batches(), begin_step), None)
        else:
            shows = self._shows_networks(seen)
            costs = yield Epoch(list_batches(), begin_step, seen, shows)
        self.n_steps_ += n_batches
        mass = sum(sizes) if all_weights[0] is None else add_up(all_weights, sizes)
        mean = ranks.add(add_up(costs.losses, sizes)) / ranks.add(mass)
        return float(mean), costs.judged

    def _shows_networks(self, seen) -> bool:
        """Whether anything may read or set the network between two epochs."""
        blind = all(type(callback) in _BLIND for _, callback in self.callbacks_)
        return not blind or (self.validation_set is not None and seen is None)

    @torch.no_grad()
    def _train_before_listeners(self, batches, begin_step) -> list[torch.Tensor]:
        """Take one step per batch, and call the callbacks."""
        with self.step_.averaged.train(self.step_):
            return [self._train_batch(own, begin_step) for own in batches]

    def _train_batch(self, own: Batch, begin_step) -> torch.Tensor:
        weights = None if own.weights is None else own.weights[0]
        batch = own.rows[0], weights
        begin_step()
        self.notify("on_batch_begin", batch=batch, training=True)
        losses = self.step_.accumulate_(own.inputs, own.rows, own.weights)
        named = self.get_all_learnable_params()
        self.notify("on_grad_computed", named_parameters=named, batch=batch, training=True)
        self.step_.update_()
        self._tell_of_batch("train", batch, losses.mean())
        return losses

    def _take_single_batch(self, iterator) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Return the arguments of `Step.judge` for all rows, or None for several batches."""
        if len(iterator) > 1:
            return None
        self.noise.restart_judging()
        ((rows, _),) = iterator
        return self.noise.for_judging(rows)[None], rows[None]

    def _judge_batches(self, iterator, *, listening: bool) -> Judgement:
        self.noise.restart_judging()
        parts, work = [], WORK.get()
        for batch in iterator:
            rows, weights = batch
            if listening:
                self.notify("on_batch_begin", batch=batch, training=False)
            parts.append(self.step_.judge(self.noise.for_judging(rows)[None], rows[None]))
            work.add(len(rows) * iterator.dataset.ranks.size)
            if listening:
                losses = parts[-1][0][0]
                loss = losses if weights is None else losses * weights
                self._tell_of_batch("valid", batch, loss.mean())
        return _join_judged(parts, iterator)

    def judge(self, dataset: WeightedRows) -> Judgement:
        """Return losses and errors of rows, with the same noise each time."""
        return self._judge_batches(self.get_iterator(dataset, training=False), listening=False)

    def _tell_of_batch(self, prefix: str, batch, loss: torch.Tensor):
        """Record a batch and call the callbacks at its end."""
        self.history.record_batch(prefix + "_loss", loss.item())
        self.history.record_batch(prefix + "_batch_size", len(batch[0]))
        output = {"loss": loss, "y_pred": self.step_.outputs[0]}
        self.notify("on_batch_end", batch=batch, training=prefix == "train", **output)

    def _record_loss(self, name: str, loss: float, *, listening: bool):
        """Record a loss and whether it is the lowest so far, as skorch's `Checkpoint` expects.

        It also reads the last batch: unless a callback listens to batches, only one is recorded.
        """
        if not listening:
            self.history.new_batch()
            self.history.record_batch(name, loss)
        self.history.record(name, loss)
        # Not by a slice of the history, which takes longer than the rest of a small epoch.
        is_best = all(loss <= epoch[name] for epoch in self.history if name in epoch)
        self.history.record(name + "_best", is_best)

    def _set_progress(self, n_done: int, n_batches: int):
        """Update the schedule and the objective with the share of steps done, in [0, 1]."""
        n_steps = max(1, self.max_epochs * n_batches - 1)
        progress = min(1.0, (self.n_steps_ + n_done) / n_steps)
        self.criterion_.set_progress(progress)
        self._rates.set_(progress)

    def copy_for_prediction(self) -> "AutoencoderNet":
        """Return a net with copies of the module and the history, for prediction."""
        # Not copy.copy, which goes through __getstate__ and ends on the CPU.
        net = type(self).__new__(type(self))
        net.__dict__.update(self.__dict__)
        net.__dict__.update(
            module_=copy.deepcopy(self.module_),
            history_=copy.copy(self.history_),
            optimizer_=None,
            step_=None,
            judgement_=None,
        )
        return net

    def release_training_state(self, callbacks):
        """Release everything that only training needs, among it `callbacks`, which are skae's own.

        Return the input of a step's `load_moments_`; None for a copy that cannot be trained.
        """
        moments = None
        if self.step_ is not None:
            moments = self.step_.copy_moments()
            self.criterion_.release()
        self.__dict__.update(step_=None, judgement_=None, validation_set=None)
        self.callbacks = [callback for callback in self.callbacks if callback not in callbacks]
        self.callbacks_ = [item for item in self.callbacks_ if item[1] not in callbacks]
        # Give the parameters their own memory instead of views of the optimiser's buffers.
        for parameter in self.module_.parameters():
            parameter.data = parameter.data.clone(memory_format=torch.contiguous_format)
        self.module_.eval()
        return moments


def _join_judged(parts: Sequence[tuple[torch.Tensor, ...]], iterator) -> Judgement:
    """Return the judgement of all rows, given what a step judges of each batch."""
    ranks, n_own = iterator.dataset.ranks, len(iterator.dataset.places)
    joined = (torch.cat(own, 1)[0, :n_own] for own in zip(*parts, strict=True))
    return Judgement(*map(ranks.gather, joined))
