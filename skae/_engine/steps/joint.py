"""Joint steps of several dense trainings, with the same results as if each ran alone.

Products and activations are computed for the networks of all trainings together, and so are losses
of differences, whatever the ranges of the columns. AdamW updates all networks with equal settings
in one call. Everything else that differs between trainings, such as links and fills of missing
cells, is computed on the slice of each training, by the same calls as alone; so are penalties on
the codes.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from skae._engine.steps.averaging import mix_
from skae._engine.steps.code_costs import (
    CodeCostStep,
    DiscriminatorNetworks,
    DiscriminatorStep,
    PenaltyStep,
    make_discriminators,
)
from skae._engine.steps.dense import DenseNetworks, DenseStep, find_losses_, make_stack_steps
from skae._engine.steps.epoch import Batch, Costs, Training
from skae._engine.steps.flat import (
    FlatParameters,
    FlatTensors,
    bind_adamw,
    name_settings,
    read_values,
)
from skae._engine.steps.joint_kinds import can_judge_together, count_joint_bytes, find_loss
from skae._engine.steps.step import Step, leave_gradients
from skae._engine.steps.variational import PosteriorNetworks, VariationalStep
from skae.objectives import ColumnUnits, PreparedLoss


def _join_losses(steps: Sequence[DenseStep]) -> PreparedLoss | None:
    """Return a loss for the networks of all steps, or None if each step computes its own."""
    first = steps[0].loss
    if find_loss(first) is None:
        return None
    if first.units.lower is None:
        return first
    sizes = [len(step.modules) for step in steps]
    lower = _repeat([step.loss.units.lower for step in steps], sizes)
    upper = _repeat([step.loss.units.upper for step in steps], sizes)
    return PreparedLoss(first.loss, ColumnUnits(lower=lower, upper=upper))


def _repeat(bounds: Sequence[Tensor | None], sizes: Sequence[int]) -> Tensor:
    """Return the bounds (p,) of each step for each of its networks."""
    pairs = zip(bounds, sizes, strict=True)
    return torch.cat([own.expand(size, 1, -1) for own, size in pairs if own is not None])


class _Member:
    """Training whose networks are a slice of joint memory."""

    batch: Batch
    """Rows of the present step."""

    def __init__(self, training: Training, own: slice):
        self.training, self.own = training, own
        step: Any = training.step
        self.step = step
        self.losses: list[Tensor] = []
        """Losses of the batches of the epoch so far."""

        self.groups: list[Sequence[dict]] = step.list_groups()
        """Settings for each group of parameters: one per network, or one for all."""

        self.parameters: list[FlatParameters] = step.list_parameters()
        self.counts = [float(parameters.n_steps) for parameters in self.parameters]
        """Number of steps before joint training, for each group of parameters."""

        self.values = [parameters.values for parameters in self.parameters]
        """Values of the networks of the step, which may be others than `parameters` has."""

    def lend(self, averages: Sequence[FlatTensors]):
        """Let the step copy its values from joint memory."""
        for parameters, joint in zip(self.parameters, averages, strict=True):
            parameters.values = joint.values[self.own]

    def reclaim(self):
        """Let the step have its own values again."""
        for parameters, values in zip(self.parameters, self.values, strict=True):
            parameters.values = values

    def begin_step(self):
        """Prepare the next step of the epoch."""
        epoch: Any = self.training.epoch
        epoch.begin_step()


class _JointPasses(DenseNetworks):
    """Passes of the networks of several trainings, with parameters in joint memory."""

    def __init__(self, module: Any, tensors: Sequence[FlatTensors]):
        paths = None if module.linear_path is None else tensors[1]
        super().__init__(module, make_stack_steps(module, tensors[0]), paths)
        self.members: list[_Member] = []

    def take(self, members: list[_Member]):
        """Take the networks of trainings, with everything that steps do not change."""
        self.members = members
        if members:
            self.gather_constants([member.step for member in members])

    def gather_constants(self, steps: Sequence[Any]):
        """Join the tensors of the networks that steps do not change."""
        self.input_scale = torch.cat([step.input_scale for step in steps])
        self.code_scale = torch.cat([step.code_scale for step in steps])

    def fill(self, rows: Tensor) -> Tensor:
        return torch.cat([member.step.fill(rows[member.own]) for member in self.members])

    def add_link_(self, output: Tensor, linear: Tensor) -> Tensor:
        for member in self.members:
            member.step.add_link_(output[member.own], linear[member.own])
        return output

    def link_gradient_(self, gradient: Tensor, linear: Tensor) -> None:
        for member in self.members:
            member.step.link_gradient_(gradient[member.own], linear[member.own])


class JointNetworks(_JointPasses):
    """Networks of several trainings of one kind in joint memory.

    Memory is reused for others of that kind with as many networks.
    """

    def __init__(self, trainings: Sequence[Training]):
        first: Any = trainings[0].step
        n_models = sum(len(own.step.modules) for own in trainings)
        self.n_bytes = sum(map(count_joint_bytes, trainings))
        self.tensors = [
            FlatTensors(n_models, [view[0] for view in own.views])
            for own in first.list_parameters()
        ]
        super().__init__(first.modules[0], self.tensors)
        self.averages = [tensors.make_twin() for tensors in self.tensors]
        self.judging = _JointPasses(first.modules[0], self.averages)
        self.judging.encoder.keeps = self.judging.decoder.keeps = False
        self.losses: list[Tensor] = []
        self.updates: dict[tuple, Callable[..., Any]] = {}
        # Adding a number would convert it to a tensor in each step.
        self.one = torch.ones(())

    def train(self, trainings: Sequence[Training], before_epoch: Callable[[], None]):
        """Train until one of the trainings ends, and hand back the networks of all.

        The trainings have their next epochs, whose batches are lists.
        """
        self._take_trainings(trainings)
        self._gather()
        try:
            while all(own.epoch is not None for own in trainings):
                before_epoch()
                self._train_epoch()
        finally:
            if self.stays:
                self._hand_back()
            self.take([])

    def _take_trainings(self, trainings: Sequence[Training]):
        ends = list(itertools.accumulate(len(own.step.modules) for own in trainings))
        self.take(
            [
                _Member(training, slice(end - len(training.step.modules), end))
                for training, end in zip(trainings, ends, strict=True)
            ]
        )
        self.loss = _join_losses([member.step for member in self.members])
        self.n_steps = {
            float(own.n_steps): own.n_steps.clone()
            for member in self.members
            for own in member.parameters
        }
        first: Any = trainings[0]
        self.stays = not first.epoch.shows_networks
        self.judged: list[Tensor] = []
        if self.stays and can_judge_together(first):
            epochs: list[Any] = [own.epoch for own in trainings]
            self.judged = [
                torch.cat(own) for own in zip(*(epoch.judged for epoch in epochs), strict=True)
            ]

    def take(self, members: list[_Member]):
        super().take(members)
        self.judging.take(members)
        self.updates.clear()

    @torch.no_grad()
    def _gather(self):
        """Copy parameters and moments to joint memory."""
        for member in self.members:
            member.step.averaged.go_on(member.step)
        for position, tensors in enumerate(self.tensors):
            own = [member.parameters[position] for member in self.members]
            torch.cat([parameters.values for parameters in own], out=tensors.values)
            for moment, joint in enumerate(tensors.moments):
                torch.cat([parameters.moments[moment] for parameters in own], out=joint)
            for member in self.members:
                averaged = member.step.averaged
                if averaged.n_epochs:
                    self.averages[position].values[member.own] = averaged.average[position]
        if self.judged:
            for member in self.members:
                member.lend(self.averages)

    @torch.no_grad()
    def _hand_back(self):
        """Copy parameters, their averages and moments back to each training."""
        for member in self.members:
            member.reclaim()
            self._copy_back(member)
            averaged = member.step.averaged
            if averaged.n_epochs:
                average = [own.values[member.own].clone() for own in self.averages]
                averaged.keep(member.step.copy_values(), average, member.step)

    def _copy_back(self, member: _Member):
        parts = zip(self.tensors, member.parameters, member.counts, strict=True)
        for tensors, theirs, count in parts:
            theirs.values.copy_(tensors.values[member.own])
            for mine, moment in zip(tensors.moments, theirs.moments, strict=True):
                moment.copy_(mine[member.own])
            theirs.n_steps.copy_(self.n_steps[count])

    def _train_epoch(self):
        """Train and judge an epoch of every training, and ask for the next ones."""
        self._train_batches()
        judged = self._judge_in_place() if self.stays else self._for_each(self._judge_alone)
        for member, own in zip(self.members, judged, strict=True):
            if member.training.error is None:
                member.training.advance(Costs(member.losses, own))
                member.training.list_batches()
        if not self.stays and all(member.training.epoch is not None for member in self.members):
            self._gather()

    @torch.no_grad()
    def _train_batches(self):
        self.losses = []
        for member in self.members:
            member.losses = []
        epochs: list[Any] = [member.training.epoch for member in self.members]
        for batches in zip(*(epoch.batches for epoch in epochs), strict=True):
            self._train_batch(batches)
        for member in self.members:
            member.losses += [losses[member.own] for losses in self.losses]

    def _judge_alone(self, member: _Member) -> tuple[Tensor, ...] | None:
        """Return what a training judges of its networks, after handing them back."""
        step: Any = member.step
        epoch: Any = member.training.epoch
        with torch.no_grad():
            self._copy_back(member)
        if step.averaged.averages(step):
            step.averaged.end_epoch(step)
        return None if epoch.judged is None else step.judge(*epoch.judged)

    @torch.no_grad()
    def _judge_in_place(self) -> list[tuple[Tensor, ...] | None]:
        """Return what each training judges of its networks, which stay in joint memory."""
        self._average()
        if not self.judged:
            return self._for_each(self._judge_averages)
        inputs, rows = self.judged
        output = self.judging.forward(inputs)
        return self._for_each(lambda own: own.step.judge_output(output[own.own], rows[own.own]))

    def _judge_averages(self, member: _Member) -> tuple[Tensor, ...] | None:
        """Return what a training judges, after a copy of the averages to its networks."""
        epoch: Any = member.training.epoch
        if epoch.judged is None:
            return None
        for values, averages in zip(member.values, self.averages, strict=True):
            values.copy_(averages.values[member.own])
        return member.step.judge(*epoch.judged)

    def _average(self):
        """Add the weights of all networks to their averages."""
        runs: list[tuple[float, slice]] = []
        for member in self.members:
            averaged = member.step.averaged
            share = averaged.count_epoch() if averaged.averages(member.step) else 1.0
            start = member.own.start
            if runs and runs[-1][0] == share:
                start = runs.pop()[1].start
            runs.append((share, slice(start, member.own.stop)))
        for share, own in runs:
            for tensors, averages in zip(self.tensors, self.averages, strict=True):
                mix_(averages.values[own], tensors.values[own], share)

    def _train_batch(self, batches: Sequence[Batch]):
        """Make a step of every training that has not failed."""
        inputs = torch.cat([batch.inputs for batch in batches])
        self._begin_step(batches)
        self.backward(self._lose_(self.forward(inputs), inputs, batches))
        self._update_()

    def _begin_step(self, batches: Sequence[Batch]):
        """Prepare the next step of every training, and count it."""
        for member, batch in zip(self.members, batches, strict=True):
            member.batch = batch
        self._for_each(_Member.begin_step)
        for n_steps in self.n_steps.values():
            n_steps += self.one

    def _lose_(self, output: Tensor, inputs: Tensor, batches: Sequence[Batch]) -> Tensor:
        """Store the losses of all networks, and return the gradient by the outputs."""
        if self.loss is not None:
            return self._lose_together_(self.loss, output, inputs, batches)
        self._for_each(lambda member: _lose_(member, output))
        return output

    def _for_each(self, act: Callable[[_Member], Any]) -> list[Any]:
        """Return the results of a function for each training. An error ends only that training."""
        return [self._try(act, member) for member in self.members]

    def _try(self, act: Callable[[_Member], Any], member: _Member) -> Any:
        if member.training.error is not None:
            return None
        try:
            return act(member)
        except Exception as error:
            member.training.fail(error)

    def _lose_together_(
        self, loss: PreparedLoss, output: Tensor, inputs: Tensor, batches: Sequence[Batch]
    ) -> Tensor:
        """Store the losses of all networks, and return the gradient by the outputs."""
        is_noisy = any(batch.inputs is not batch.rows for batch in batches)
        rows = torch.cat([batch.rows for batch in batches]) if is_noisy else inputs
        given = [batch.weights for batch in batches if batch.weights is not None]
        weights = torch.cat(given) if given else None
        losses, gradient = find_losses_(loss, output, rows, weights)
        self.losses.append(losses)
        return gradient

    def _update_(self):
        """Make one AdamW step of every network, in one call for all with equal settings."""
        for position in range(len(self.members[0].step.parameters)):
            self._update_at(position)

    def _update_at(self, position: int):
        """Make one AdamW step of some parameters of every network."""
        for (count, *values), spans in self._list_runs(position).items():
            key = position, count, *spans
            if key not in self.updates:
                parts = [
                    [buffer[slice(*own)] for own in spans]
                    for buffer in self.tensors[position].buffers
                ]
                self.updates[key] = bind_adamw([*parts, [self.n_steps[count]] * len(spans)])
            self.updates[key](**name_settings(values))

    def _list_runs(self, position: int) -> dict[tuple, list[tuple[int, int]]]:
        """Return distinct settings of AdamW for some parameters, each with ranges of networks.

        Keys are the number of steps before joint training, and the settings.
        """
        runs: dict[tuple, list[tuple[int, int]]] = {}
        for member in self.members:
            if member.training.error is not None:
                continue
            for start, stop, group in _list_groups(member.own, member.groups[position]):
                spans = runs.setdefault((member.counts[position], *read_values(group)), [])
                if spans and spans[-1][1] == start:
                    start, _ = spans.pop()
                spans.append((start, stop))
        return runs


class JointPosteriors(JointNetworks, PosteriorNetworks):
    """Variational networks of several trainings in joint memory."""

    @property
    def posterior_views(self) -> tuple[list[Tensor], list[Tensor]]:
        return self.tensors[0].views, self.tensors[0].gradient_views

    def gather_constants(self, steps: Sequence[VariationalStep]):
        super().gather_constants(steps)
        self.likelihood = steps[0].likelihood
        self.log_variance = torch.cat([step.log_variance for step in steps])

    def _train_batch(self, batches: Sequence[Batch]):
        self._begin_step(batches)
        steps: list[Any] = [member.step for member in self.members]
        drawn = [step.draw(batch.rows) for step, batch in zip(steps, batches, strict=True)]
        rows, noise = map(torch.cat, zip(*drawn, strict=True))
        given = [batch.weights for batch in batches if batch.weights is not None]
        shares = torch.cat(given) if given else rows.new_ones(rows.shape[:2])
        betas = [
            rows.new_full((len(batch.rows),), step.objective.present_beta)
            for step, batch in zip(steps, batches, strict=True)
        ]
        self.losses.append(self.bound_(rows, noise, shares, torch.cat(betas)))
        self._update_()

    def find_distances_(self, output: Tensor, rows: Tensor, factors) -> tuple[Tensor, Tensor]:
        if self.loss is not None:
            return self.loss.rows_and_gradient_(output, rows, factors)
        distances = rows.new_empty(rows.shape[:2])
        for member in self.members:
            step: Any = member.step
            own = member.own
            distances[own], _ = step.find_distances_(output[own], rows[own], factors[own])
        return distances, output


class JointCodeCosts(JointNetworks):
    """Networks of several trainings whose codes have a cost."""

    def _train_batch(self, batches: Sequence[Batch]):
        inputs = torch.cat([batch.inputs for batch in batches])
        self._begin_step(batches)
        code = self.encode(inputs)
        costs, by_code = self._charge(code)
        gradient = self._lose_(self.decode(code), inputs, batches)
        self.encode_backward(self.decode_backward(gradient).add_(by_code))
        self._add_costs(costs)
        self._update_()

    def _charge(self, code: Tensor) -> tuple[Tensor, Tensor]:
        """Return the costs (m,) of scaled codes, and their gradient, which each step computes."""
        costs, by_code = code.new_zeros(len(code)), torch.zeros_like(code)

        def charge(member: _Member):
            own, batch, step = member.own, member.batch, member.step
            assert isinstance(step, CodeCostStep)  # noqa: S101
            costs[own], by_code[own] = step.find_costs_(code[own], batch.inputs, batch.weights)

        self._for_each(charge)
        return costs, by_code

    def _add_costs(self, costs: Tensor):
        """Add costs (m,) to the losses of the last batch."""
        if self.loss is not None:
            self.losses[-1] = self.losses[-1] + costs[:, None]
            return
        for member in self.members:
            if member.training.error is None:
                member.losses[-1] = member.losses[-1] + costs[member.own, None]


class JointDiscriminators(JointCodeCosts, DiscriminatorNetworks):
    """Networks of several trainings with discriminators, all in joint memory."""

    def __init__(self, trainings: Sequence[Training]):
        super().__init__(trainings)
        first: Any = trainings[0].step.modules[0]
        self.discriminator = make_discriminators(first.discriminator, self.tensors[-1])

    def _charge(self, code: Tensor) -> tuple[Tensor, Tensor]:
        prepared = self._for_each(lambda own: own.step.prepare(code[own.own], own.batch.weights))
        # Trainings that have failed have no draws.
        blank = torch.zeros_like(code), code.new_zeros(code.shape[:2]), code.new_zeros(len(code))
        given = [
            tuple(part[member.own] for part in blank) if own is None else own
            for member, own in zip(self.members, prepared, strict=True)
        ]
        costs, by_code, losses = self.charge_(code, *map(torch.cat, zip(*given, strict=True)))
        for member in self.members:
            member.step.losses += losses[member.own].unbind()
        return costs, by_code

    def update_discriminators_(self):
        for member in self.members:
            member.groups[len(self.tensors) - 1 :] = [member.step.list_discriminator_groups()]
        self._update_at(len(self.tensors) - 1)


# Networks in joint memory by the kind of step whose work they do.
_KINDS: dict[type[Step], type[JointNetworks]] = {
    DenseStep: JointNetworks,
    VariationalStep: JointPosteriors,
    PenaltyStep: JointCodeCosts,
    DiscriminatorStep: JointDiscriminators,
}


def can_join(step: Step) -> bool:
    """Return whether a training with this step can run together with others."""
    return (
        type(step) in _KINDS
        and isinstance(step, DenseStep)
        and step.exchange_ is leave_gradients
        and step.parameters[0].values.device.type == "cpu"
    )


def join(trainings: Sequence[Training]) -> JointNetworks:
    """Return joint memory for trainings of one kind."""
    return _KINDS[type(trainings[0].step)](trainings)


def _lose_(member: _Member, output: Tensor):
    """Store the losses of one training, and turn the outputs of its networks into the gradient."""
    own, batch = output[member.own], member.batch
    losses, _ = member.step.losses_and_gradient_(own, batch.rows, batch.weights)
    member.losses.append(losses)


def _list_groups(own: slice, groups: Sequence[dict]) -> list[tuple[int, int, dict]]:
    """Return ranges of networks that share settings, with the settings."""
    if len(groups) == 1:
        return [(own.start, own.stop, groups[0])]
    return [(model, model + 1, group) for model, group in enumerate(groups, own.start)]
