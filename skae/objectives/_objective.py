"""The contract of what training minimises, and its form for a loss with a penalty."""

from torch import Generator, Tensor, nn

from skae.objectives._penalties import Penalty
from skae.objectives._reconstruction import PreparedLoss, mean_loss


class Objective(nn.Module):
    """Base class of what training minimises: a loss for each row, and one for a batch.

    A training step calls ``objective(module, inputs, rows, weights)`` and differentiates the loss
    that it returns. Rows that were not trained on are judged by ``objective.judge(module, inputs,
    rows)``, without gradients, and must get the same losses each time: draws in judging come from a
    generator that starts anew at each call. At the beginning of each step the training tells by
    `set_progress` how far it has come.

    A subclass must override `judge`. It overrides `forward` where the loss of a batch is no mean
    over the losses of its rows, or where training draws at random; `set_progress` where the
    objective changes during the training; and `rotates` where codes must not be rotated after it.
    An objective belongs to one training and has no weights that are trained.

    Attributes
    ----------
    rotates : bool, default=True
        Whether the codes may be rotated once training is over.
    error : PreparedLoss or None, default=None
        Loss of outputs by which models are compared with their start; the squared error of
        reconstructions where None.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import Autoencoder, CodeBasis, DenseStack
    >>> from skae.objectives import Objective
    >>> class WorstCell(Objective):
    ...     def judge(self, module, inputs, rows):
    ...         output = module(inputs)
    ...         return (output - rows).abs().amax(1), output
    >>> generator = torch.Generator().manual_seed(0)
    >>> stacks = DenseStack([4, 2], generator=generator), DenseStack([2, 4], generator=generator)
    >>> model = Autoencoder(*stacks, CodeBasis(2), torch.ones(4), torch.ones(2))
    >>> rows = torch.randn(50, 4, generator=generator)
    >>> optimizer, losses = torch.optim.Adam(model.parameters(), 0.01), []
    >>> for step in range(30):
    ...     optimizer.zero_grad()
    ...     loss, output = WorstCell()(model, rows, rows)
    ...     loss.backward()
    ...     optimizer.step()
    ...     losses.append(loss.item())
    >>> losses[-1] < losses[0]
    True
    """

    rotates: bool = True
    error: PreparedLoss | None = None

    def set_progress(self, share: float):
        """Take note of how far the training has come; the base class has no use for it.

        Parameters
        ----------
        share : float in [0, 1]
            Share of all training steps that have been made.
        """

    def release(self) -> None:
        """Let go of all that only training needs; the base class holds nothing."""

    def forward(
        self, module: nn.Module, inputs: Tensor, rows: Tensor, weights: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the loss of a batch in training, and the output.

        Parameters
        ----------
        module : Module
            The network, such as `skae.modules.Autoencoder`.
        inputs : Tensor of shape (n_samples, n_features)
            Input of the network: standardised rows, with noise on them or without.
        rows : Tensor of shape (n_samples, n_features)
            Standardised rows that the network is to reconstruct.
        weights : Tensor of shape (n_samples,), default=None
            Weights of the rows, 1 on average over all batches; equal where None.

        Returns
        -------
        loss : Tensor of shape ()
            Loss with a gradient: the mean over the rows, times their weights.
        output : Tensor
            Output of the decoder that the loss is about, as `module.output` takes it.
        """
        losses, output = self.judge(module, inputs, rows)
        return mean_loss(losses, weights), output

    def judge(self, module: nn.Module, inputs: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of each row, and the output.

        Parameters
        ----------
        module : Module
            The network.
        inputs, rows : Tensor of shape (n_samples, n_features)
            Input of the network, and the rows that it is to reconstruct.

        Returns
        -------
        losses : Tensor of shape (n_samples,)
            Loss of each row, equal from call to call.
        output : Tensor
            Output of the decoder, as `module.output` takes it.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must have a method `judge` that returns the loss of each row "
            "and the output."
        )


class ReconstructionObjective(Objective):
    """The loss of rows and their reconstructions, plus a penalty on what the network does.

    Parameters
    ----------
    loss : PreparedLoss
        Compares outputs with the rows.
    penalty : Penalty, default=None
        A number to be kept low.
    alpha : float, default=0.0
        Factor of the penalty.
    generator : torch.Generator, default=None
        Source of the penalty's draws in training; in judging it draws the same each time.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import Autoencoder, CodeBasis, DenseStack
    >>> from skae.objectives import ReconstructionObjective, SquaredError
    >>> model = Autoencoder(
    ...     DenseStack([4, 2]), DenseStack([2, 4]), CodeBasis(2), torch.ones(4), torch.ones(2)
    ... )
    >>> rows = torch.zeros(5, 4)
    >>> loss, output = ReconstructionObjective(SquaredError().prepare())(model, rows, rows)
    >>> loss.item(), output.shape
    (0.0, torch.Size([5, 4]))
    """

    def __init__(
        self,
        loss: PreparedLoss,
        *,
        penalty: Penalty | None = None,
        alpha: float = 0.0,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        if penalty is not None:
            penalty.check()
        self.loss, self.penalty = loss, penalty
        self.alpha, self.generator = alpha, generator

    @property
    def rotates(self) -> bool:  # type: ignore[override]
        """Whether the codes may be rotated once training is over."""
        return self.penalty is None or self.penalty.rotates

    @property
    def error(self) -> PreparedLoss | None:  # type: ignore[override]
        """The loss where models are compared by it, None for the squared error."""
        return self.loss if self.loss.loss.is_error else None

    def forward(
        self, module: nn.Module, inputs: Tensor, rows: Tensor, weights: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the mean loss of the rows plus the penalty of the batch, and the output."""
        output, penalty = self._penalise(module, inputs, self.generator)
        return self.loss(output, rows, weights) + penalty, output

    def judge(self, module: nn.Module, inputs: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of each row plus the penalty of all of them, and the output."""
        output, penalty = self._penalise(module, inputs, None)
        return self.loss.rows(output, rows) + penalty, output

    def _penalise(self, module, inputs: Tensor, generator) -> tuple[Tensor, Tensor | float]:
        """Return the output of the network and the weighted penalty."""
        if self.penalty is None:
            return module(inputs), 0.0
        code = module.encode_raw(inputs)
        penalty = self.penalty(module, inputs, code * module.code_scale, generator=generator)
        if getattr(penalty, "shape", None) != ():
            found = getattr(penalty, "shape", None)
            raise ValueError(
                f"{type(self.penalty).__name__} must return a tensor of shape (). "
                f"Got {type(penalty).__name__ if found is None else tuple(found)}. "
                "Take the mean over the rows."
            )
        return module.decode_raw(code), self.alpha * penalty
