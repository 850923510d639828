"""Training steps of any autoencoders by autograd, in the manner of the dense step."""

from collections.abc import Sequence

import torch
from torch import Tensor

from skae._training._judgement import find_row_errors
from skae._training._optimizer import split_parameters
from skae.modules import Autoencoder
from skae.objectives import Objective


class AutogradStep:
    """Training steps of m autoencoders, one after the other: what `DenseStep` is for dense ones.

    Parameters
    ----------
    modules : list of Autoencoder
        The models.
    objective : Objective
        What each of them minimises.
    groups : list of dict
        Settings of AdamW, as `adamw_groups` returns them. The learning rates are read at each step.
    """

    def __init__(self, modules: Sequence[Autoencoder], objective: Objective, groups):
        self.modules, self.objective, self.groups = modules, objective, groups
        self.optimizers = [self._make_optimizer(module) for module in modules]

    def _make_optimizer(self, module) -> torch.optim.Optimizer:
        parts = zip(split_parameters(module), self.groups, strict=True)
        return torch.optim.AdamW([{"params": part, **group} for part, group in parts])

    @torch.enable_grad()
    def __call__(self, inputs: Tensor, rows: Tensor, weights: Tensor | None = None) -> Tensor:
        """Make one step and return the losses before it.

        Parameters
        ----------
        inputs, rows : Tensor of shape (m, b, p)
            What the models see and what they are to reconstruct, a batch for each.
        weights : Tensor of shape (m, b), default=None
            Weights of the rows, 1 on average over all batches; equal where None.

        Returns
        -------
        losses : Tensor of shape (m,)
            Loss of each model on its batch.
        """
        losses = []
        for model, (module, optimizer) in enumerate(
            zip(self.modules, self.optimizers, strict=True)
        ):
            for own, group in zip(optimizer.param_groups, self.groups, strict=True):
                own["lr"] = group["lr"]
            own_weights = None if weights is None else weights[model]
            module.train()
            self.objective.train()
            optimizer.zero_grad()
            loss, _ = self.objective(module, inputs[model], rows[model], own_weights)
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        return torch.stack(losses)

    @torch.no_grad()
    def judge(self, inputs: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return loss and squared error of rows.

        Parameters
        ----------
        inputs, rows : Tensor of shape (m, b, p)
            What the models see and what they are to reconstruct.

        Returns
        -------
        losses, errors : Tensor of shape (m, b)
            Loss, and mean squared error of the cells in standardised units.
        """
        losses, errors = [], []
        self.objective.eval()
        for module, own_inputs, own_rows in zip(self.modules, inputs, rows, strict=True):
            module.eval()
            loss, output = self.objective.judge(module, own_inputs, own_rows)
            losses.append(loss)
            errors.append(find_row_errors(module.output(output), own_rows))
        return torch.stack(losses), torch.stack(errors)
