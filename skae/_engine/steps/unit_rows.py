"""Training steps of networks with rows of unit length."""

import torch

from skae._engine.steps.autograd import AutogradStep


class UnitRowStep(AutogradStep):
    """Steps by autograd that leave the rows of the dictionary their length."""

    @torch.no_grad()
    def update_(self):
        """Take steps along the sphere."""
        for module in self.modules:
            directions, gradient = module.directions, module.directions.grad
            along = (gradient * directions).mean(1, keepdim=True)
            gradient -= along * directions
        super().update_()
        for module in self.modules:
            module.normalise_()
