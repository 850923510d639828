"""Base class of objectives, and the objective of a loss with a penalty."""

from torch import Generator, Tensor, nn

from skae.objectives._penalties import Penalty
from skae.objectives._reconstruction import PreparedLoss, mean_loss


class Objective(nn.Module):
    """Base class of objectives, which training minimises: the loss of each row and of a batch.

    A training step calls ``objective(module, inputs, rows, weights)`` and differentiates the
    returned loss. Held-out rows are evaluated by ``objective.judge(module, inputs, rows)``, without
    gradients. It must return the same losses in each call, so random draws in `judge` come from a
    generator that is reseeded in each call. At the start of each step, `set_progress` is called
    with the share of training done so far.

    A subclass must override `judge`. It also overrides `forward` if the loss of a batch is not the
    mean over its rows, or if training is random; `set_progress` if the objective changes during
    training; and `rotates` if codes must not be rotated after training. An objective belongs to one
    training and has no trainable weights.

    Attributes
    ----------
    rotates : bool, default=True
        Whether codes may be rotated after training.
    error : PreparedLoss or None, default=None
        Loss of outputs by which models are compared with their start. None means the squared error
        of reconstructions.

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
        """Receive the progress of the training. The base class ignores it.

        Parameters
        ----------
        share : float in [0, 1]
            Share of the training steps done so far.
        """

    def release(self) -> None:
        """Release what only training needs. The base class holds nothing."""

    def forward(
        self, module: nn.Module, inputs: Tensor, rows: Tensor, weights: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the loss of a batch in training, and the output.

        Parameters
        ----------
        module : Module
            The network, such as `skae.modules.Autoencoder`.
        inputs : Tensor of shape (n_samples, n_features)
            Input of the network: standardised rows, with or without noise.
        rows : Tensor of shape (n_samples, n_features)
            Standardised rows to reconstruct.
        weights : Tensor of shape (n_samples,), default=None
            Weights of the rows, 1 on average over all batches. None gives all rows equal weight.

        Returns
        -------
        loss : Tensor of shape ()
            Loss with a gradient: the weighted mean over the rows.
        output : Tensor
            Output of the decoder, as accepted by `module.output`.
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
            Input of the network, and rows to reconstruct.

        Returns
        -------
        losses : Tensor of shape (n_samples,)
            Loss of each row, equal in each call.
        output : Tensor
            Output of the decoder, as accepted by `module.output`.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must have a method `judge` that returns the loss of each row "
            "and the output."
        )


class ReconstructionObjective(Objective):
    """Reconstruction loss plus a penalty.

    Parameters
    ----------
    loss : PreparedLoss
        Loss of outputs and rows.
    penalty : Penalty, default=None
        Penalty. None adds nothing.
    alpha : float, default=0.0
        Factor of the penalty.
    generator : torch.Generator, default=None
        Generator of random draws of the penalty in training. In `judge`, the draws are the same in
        each call.

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
        return self.penalty is None or self.penalty.rotates

    @property
    def error(self) -> PreparedLoss | None:  # type: ignore[override]
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
