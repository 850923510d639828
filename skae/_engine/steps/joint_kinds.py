"""Which dense trainings can run together, and the memory that they need."""

from collections.abc import Hashable, Sequence
from typing import Any

import torch

from skae._engine.steps.code_costs import DiscriminatorStep
from skae._engine.steps.dense import DenseStep
from skae._engine.steps.epoch import Training
from skae._engine.steps.flat import FlatTensors
from skae._engine.steps.products import count_held_rows
from skae._engine.steps.recurrent import RecurrentDecoderStep, RecurrentEncoderStep
from skae._engine.steps.stacks import describe_stack
from skae._engine.steps.variational import VariationalStep
from skae.modules import DenseStack
from skae.modules._products import LARGE_PRODUCT
from skae.objectives import AbsoluteError, HuberLoss, PreparedLoss, SquaredError

_LOSSES_OF_DIFFERENCES = {AbsoluteError, HuberLoss, SquaredError}


def find_kind(training: Training) -> Any:
    """Return a value that is equal for trainings that can run together.

    Returns None if products are so large that a network alone uses another library for them, or if
    there are several threads. Such networks gain nothing from being trained together.
    """
    step: Any = training.step
    epoch: Any = training.epoch
    batches, _, judged, shows = epoch
    sizes = tuple(batch.rows.shape[1] for batch in batches)
    n_weights, kind = _describe(step)
    if n_weights * max(sizes) >= LARGE_PRODUCT or torch.get_num_threads() > 1:
        return None
    n_judged = None if judged is None else judged[1].shape[1]
    return kind, sizes, n_judged, shows, tuple(batch.weights is None for batch in batches)


def can_judge_together(training: Training) -> bool:
    """Return whether trainings like this one are judged by one pass, with the same results."""
    step: Any = training.step
    epoch: Any = training.epoch
    if type(step) is not DenseStep or epoch.judged is None:
        return False
    n_weights, _ = _describe(step)
    return n_weights * epoch.judged[1].shape[1] < LARGE_PRODUCT


def count_bytes(step: DenseStep) -> int:
    """Return the memory of the parameters and their gradients in bytes."""
    return sum(2 * own.values.nbytes for own in step.list_parameters())


def count_joint_bytes(training: Training) -> int:
    """Return the joint memory of the networks of a training, in bytes.

    Values, gradients, two moments and averages are held for each parameter, and for each number of
    rows the scaled rows and the inputs, outputs and gradients of all layers.
    """
    step: Any = training.step
    epoch: Any = training.epoch
    judged = [] if epoch.judged is None else [own.nbytes for own in epoch.judged]
    n_trained = [*{batch.rows.shape[1] for batch in epoch.batches}]
    n_judged = 0 if epoch.judged is None else epoch.judged[1].shape[1]
    numbers = [*n_trained, *([n_judged] if n_judged else [])]
    n_held = _count_held(step.parameters[0], numbers)
    for stack in (step.encoder, step.decoder):
        if isinstance(stack, RecurrentEncoderStep | RecurrentDecoderStep):
            n_held += stack.count_cells(n_trained, n_judged)
    if isinstance(step, DiscriminatorStep):
        # Of rows, and of rows and draws together.
        n_held += _count_held(step.own_parameters, [n * own for own in numbers for n in (1, 2)])
    values = [own.values for own in step.list_parameters()]
    n_cells = len(step.modules) * n_held + 5 * sum(own.numel() for own in values)
    return n_cells * values[0].element_size() + sum(judged)


def _count_held(parameters: FlatTensors, numbers: Sequence[int]) -> int:
    """Return the number of cells that layers hold for some numbers of rows and for a gradient."""
    shapes = [view.shape[1:] for view in parameters.views if view.dim() == 3]
    widths = [shapes[0][1]]
    for n_outputs, n_inputs in shapes:
        widths += [n_outputs, n_inputs, n_inputs]
    n_rows = sum(count_held_rows(own, width) * width for own in numbers for width in widths)
    return n_rows + max(shape.numel() for shape in shapes)


def _describe(step: DenseStep) -> tuple[int, Hashable]:
    """Return the number of the largest weights, and a value that is equal for equal networks."""
    first = step.modules[0]
    shapes = [view.shape[1:] for own in step.list_parameters() for view in own.views]
    likelihood = type(step.likelihood) if isinstance(step, VariationalStep) else None
    kind = (
        type(step),
        likelihood,
        tuple(shapes),
        len(step.parameters),
        *(describe_stack(stack) for stack in (first.encoder, first.decoder)),
        *(stack.activation for stack in first.modules() if isinstance(stack, DenseStack)),
        step.has_link,
        step.fills,
        step.parameters[0].values.dtype,
        find_loss(step.loss),
    )
    # Discriminators see as many draws as rows.
    n_weights = max(shape.numel() for shape in shapes) * (1 + isinstance(step, DiscriminatorStep))
    return n_weights, kind


def find_loss(prepared: PreparedLoss) -> Hashable:
    """Return a value that is equal for equal losses.

    None if the loss depends on the table by more than the ranges of its columns.
    """
    loss, units = prepared.loss, prepared.units
    if type(prepared) is not PreparedLoss or type(loss) not in _LOSSES_OF_DIFFERENCES:
        return None
    if prepared.masked or (units.lower is None) != (units.upper is None):
        return None
    return type(loss), units.lower is not None, *vars(loss).items()
