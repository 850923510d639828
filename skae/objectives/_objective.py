"""What training minimises: a reconstruction loss and a penalty."""

import torch
from torch import Tensor, nn

from skae.objectives._penalties import Penalty
from skae.objectives._reconstruction import ReconstructionLoss


class Objective(nn.Module):
    """The loss of rows and their reconstructions, plus a penalty on what the network does.

    Parameters
    ----------
    loss : ReconstructionLoss
        Compares reconstructions with the rows.
    penalty : Penalty, default=None
        A number to be kept low.
    alpha : float, default=0.0
        What the penalty is multiplied with.
    generator : torch.Generator, default=None
        Source of what the penalty draws in training; in judging it draws the same each time.

    Attributes
    ----------
    progress : float, default=1.0
        Share of the training that has been made, for what changes with it; whoever trains says so.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import Autoencoder, CodeBasis, DenseStack
    >>> from skae.objectives import Objective, SquaredError
    >>> model = Autoencoder(
    ...     DenseStack([4, 2]), DenseStack([2, 4]), CodeBasis(2), torch.ones(4), torch.ones(2)
    ... )
    >>> rows = torch.zeros(5, 4)
    >>> loss, output = Objective(SquaredError())(model, rows, rows)
    >>> loss.item(), output.shape
    (0.0, torch.Size([5, 4]))
    """

    progress: float = 1.0

    def __init__(
        self,
        loss: ReconstructionLoss,
        *,
        penalty: Penalty | None = None,
        alpha: float = 0.0,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.loss = loss
        self.penalty = penalty
        self.alpha = alpha
        self.generator = generator

    @property
    def rotates(self) -> bool:
        """Whether the codes may be rotated once training is over."""
        return self.penalty is None or self.penalty.rotates

    def forward(
        self, module: nn.Module, inputs: Tensor, rows: Tensor, weights: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the loss of a batch, and the output that it is about.

        Parameters
        ----------
        module : Module
            The autoencoder.
        inputs : Tensor of shape (n_samples, n_features)
            What the autoencoder sees: standardised rows, with noise on them or without.
        rows : Tensor of shape (n_samples, n_features)
            What it is to reconstruct.
        weights : Tensor of shape (n_samples,), default=None
            Weights of the rows, 1 on average over all batches; equal where None.

        Returns
        -------
        loss : Tensor of shape ()
            Mean loss of the rows, and the penalty.
        output : Tensor of shape (n_samples, n_features)
            What the network made of its inputs.
        """
        output, penalty = self._penalised(module, inputs)
        return self.loss(output, rows, weights) + penalty, output

    def judge(self, module: nn.Module, inputs: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of each row, with the penalty of all of them, and the output.

        Parameters
        ----------
        module : Module
            The autoencoder.
        inputs, rows : Tensor of shape (n_samples, n_features)
            As in `forward`.

        Returns
        -------
        losses : Tensor of shape (n_samples,)
            Loss of each row.
        output : Tensor of shape (n_samples, n_features)
            What the network made of its inputs.
        """
        output, penalty = self._penalised(module, inputs)
        return self.loss.rows(output, rows) + penalty, output

    def _penalised(self, module, inputs: Tensor) -> tuple[Tensor, Tensor | float]:
        """Return the output of the network and the weighted penalty."""
        if self.penalty is None:
            return module(inputs), 0.0
        code = module.encode_raw(inputs)
        penalty = self.penalty(
            module,
            inputs,
            code * module.code_scale,
            generator=self.generator if self.training else None,
        )
        return module.decode_raw(code), self.alpha * penalty
