"""Training step of networks with a dictionary of rows of constant length."""

import torch

from skae._engine.steps.autograd import AutogradStep


class UnitRowStep(AutogradStep):
    """Training step by autograd that keeps the length of the dictionary's rows."""

    # An average of rows of unit length is shorter.
    averages_weights = False

    @torch.no_grad()
    def update_(self):
        """Make steps along the sphere."""
        for module in self.modules:
            directions, gradient = module.directions, module.directions.grad
            along = (gradient * directions).mean(1, keepdim=True)
            gradient -= along * directions
        super().update_()
        for module in self.modules:
            module.normalise_()
