"""Outputs that turn the last layer of a decoder into a reconstruction."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from skae._shared.blocks import ColumnBlocks, repeat_for_columns
from skae._shared.constants import GREATEST_LOG_RATE

# Means of columns count as at least this share of the average mean.
_LEAST_SHARE_OF_MEAN = 1e-3
# Mean shares of levels count as at least this.
_LEAST_SHARE = 1e-6


class _Output(nn.Module):
    """Base class of outputs."""

    def link(self, linear: Tensor) -> Tensor:
        """Return the contribution of the linear path to the output.

        Parameters
        ----------
        linear : Tensor of shape (n_samples, n_features)
            Back-projection of the codes, in standardised units.

        Returns
        -------
        linked : Tensor of shape (n_samples, n_features)
            Contribution, such as a logit or the logarithm of a rate.
        """
        raise NotImplementedError

    def link_derivative(self, linear: Tensor) -> Tensor:
        """Return the derivative of `link`."""
        raise NotImplementedError

    def link_gradient_(self, gradient: Tensor, linear: Tensor) -> Tensor:
        """Turn the loss's gradient by the output into that by the linear path, in place."""
        return gradient.mul_(self.link_derivative(linear))

    def forward(self, output: Tensor) -> Tensor:
        """Return the reconstruction in standardised units.

        Parameters
        ----------
        output : Tensor of shape (n_samples, n_features)
            Sum of the linear path and the decoder.

        Returns
        -------
        reconstruction : Tensor of shape (n_samples, n_features)
            Standardised rows.
        """
        raise NotImplementedError


class _OutputOfUnits(_Output):
    """Base class of outputs in the units of X, with its mean and scale."""

    mean: Tensor
    scale: Tensor

    def __init__(self, mean: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)


class LinearOutput(_Output):
    """Output that is the reconstruction, clipped to a range if one is known.

    Parameters
    ----------
    lower, upper : Tensor of shape (n_features,), default=None
        Bounds of the reconstruction of each feature, in standardised units. Infinite for a feature
        without a bound, None if no feature has one.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import LinearOutput
    >>> LinearOutput(torch.tensor([0.0]), torch.tensor([1.0]))(torch.tensor([[-0.5], [0.5]]))
    tensor([[0.0000],
            [0.5000]])
    """

    lower: Tensor | None
    upper: Tensor | None

    def __init__(self, lower: Tensor | None = None, upper: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("lower", lower)
        self.register_buffer("upper", upper)

    def link(self, linear: Tensor) -> Tensor:
        """Return the contribution of the linear path to the output, which is unchanged."""
        return linear

    def link_gradient_(self, gradient: Tensor, linear: Tensor) -> Tensor:
        return gradient

    def link_derivative(self, linear: Tensor) -> Tensor:
        """Return the derivative of `link`, which is one."""
        return torch.ones_like(linear)

    def derivative(self, output: Tensor) -> Tensor:
        """Return the derivative of the reconstruction by the output, one, ignoring the range."""
        return torch.ones_like(output)

    def find_excess(self, output: Tensor) -> Tensor:
        """Return by how much an output exceeds its upper bounds, or its lower ones if negative."""
        return output - self(output)

    def forward(self, output: Tensor, excess: Tensor | None = None) -> Tensor:
        """Return the reconstruction in standardised units.

        Parameters
        ----------
        output : Tensor of shape (n_samples, n_features)
            Sum of the linear path and the decoder.
        excess : Tensor of the same shape, default=None
            Values by which reconstructions may exceed the upper bounds if positive, and the lower
            bounds if negative. None means zero.

        Returns
        -------
        reconstruction : Tensor of shape (n_samples, n_features)
            Output clipped to its range.
        """
        if self.lower is None or self.upper is None:
            return output
        lower, upper = self.lower, self.upper
        if excess is not None:
            lower, upper = lower + excess.clamp_max(0), upper + excess.clamp_min(0)
        return torch.clamp(output, lower, upper)


class LogisticOutput(_OutputOfUnits):
    """Output that is the logit of a reconstruction in (0, 1), in the units of X.

    The linear path adds the logit of its back-projection in the units of X to the output. Outside
    of [``clip``, 1 - ``clip``], the logit continues as a straight line of slope ``slope``. A
    clipped logit would have no gradient there, and the gradient of the true logit is not bounded.

    Parameters
    ----------
    mean : Tensor of shape (n_features,)
        Mean of X.
    scale : Tensor of shape ()
        Divisor of X after centring.
    clip : float in (0, 0.5), default=0.02
        Share at which a straight line replaces the logit.
    slope : float, default=4.0
        Slope of that line. The smallest slope of the logit is 4.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import LogisticOutput
    >>> output = LogisticOutput(torch.tensor([0.5]), torch.tensor(1.0))
    >>> output(output.link(torch.tensor([[0.25]])))
    tensor([[0.2500]])
    """

    def __init__(
        self, mean: Tensor, scale: Tensor, *, clip: float = 0.02, slope: float = 4.0
    ) -> None:
        super().__init__(mean, scale)
        self.clip = clip
        self.slope = slope

    def link(self, linear: Tensor) -> Tensor:
        """Return the logit of the reconstruction of the linear path."""
        share = self.mean + self.scale * linear
        clipped = share.clamp(self.clip, 1 - self.clip)
        return torch.logit(clipped) + self.slope * (share - clipped)

    def link_derivative(self, linear: Tensor) -> Tensor:
        share = self.mean + self.scale * linear
        clipped = share.clamp(self.clip, 1 - self.clip)
        slope = torch.where(share == clipped, 1 / (clipped * (1 - clipped)), self.slope)
        return slope * self.scale

    def derivative(self, output: Tensor) -> Tensor:
        """Return the derivative of the reconstruction by the output."""
        return torch.sigmoid(output) * torch.sigmoid(-output) / self.scale

    def forward(self, output: Tensor) -> Tensor:
        return (torch.sigmoid(output) - self.mean) / self.scale


class ExponentialOutput(_OutputOfUnits):
    """Output that is the logarithm of a rate, the expected count in the units of X.

    The linear path adds the logarithm of its back-projection in the units of X to the output. Below
    a share ``clip`` of the mean of a column, the logarithm continues as a straight line with the
    slope that the logarithm has at the mean. Linear reconstructions of counts are often negative,
    and the slope at ``clip`` would turn these into rates close to zero.

    Rates are limited to ``exp(30)``, so that no output overflows.

    Parameters
    ----------
    mean : Tensor of shape (n_features,)
        Mean of X, counts.
    scale : Tensor of shape ()
        Divisor of X after centring.
    clip : float in (0, 1), default=0.05
        Share of the mean of a column below which a straight line replaces the logarithm.

    Notes
    -----
    Means below a thousandth of the average mean of the columns count as that value, so that columns
    of zeros have finite log rates.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import ExponentialOutput
    >>> output = ExponentialOutput(torch.tensor([3.0]), torch.tensor(2.0))
    >>> output(output.link(torch.tensor([[0.5]])))
    tensor([[0.5000]])
    """

    unit: Tensor

    def __init__(self, mean: Tensor, scale: Tensor, *, clip: float = 0.05) -> None:
        super().__init__(mean, scale)
        average = mean.mean()
        least = torch.where(average > 0, _LEAST_SHARE_OF_MEAN * average, 1.0)
        self.register_buffer("unit", mean.clamp_min(least))
        self.clip = clip

    def link(self, linear: Tensor) -> Tensor:
        """Return the logarithm of the reconstruction of the linear path."""
        rate = self.mean + self.scale * linear
        clipped = rate.clamp_min(self.clip * self.unit)
        return torch.log(clipped) + (rate - clipped) / self.unit

    def link_derivative(self, linear: Tensor) -> Tensor:
        rate = self.mean + self.scale * linear
        clipped = rate.clamp_min(self.clip * self.unit)
        return torch.where(rate == clipped, 1 / clipped, 1 / self.unit) * self.scale

    def derivative(self, output: Tensor) -> Tensor:
        """Return the derivative of the reconstruction by the output."""
        return torch.exp(output.clamp_max(GREATEST_LOG_RATE)) / self.scale

    def forward(self, output: Tensor) -> Tensor:
        return (torch.exp(output.clamp_max(GREATEST_LOG_RATE)) - self.mean) / self.scale


class MixedOutput(_OutputOfUnits):
    """Output of numbers, and of logits of the levels of categories, in blocks of columns.

    The linear path back-projects numbers and shares of levels. It adds the numbers and the
    logarithms of the shares to the output. Below ``clip`` times the mean share of a level, the
    logarithm continues as a straight line, as shares estimated by a linear model are often
    negative. The probabilities of the levels of a block sum to 1.

    Parameters
    ----------
    mean : Tensor of shape (n_features,)
        Mean of X.
    scale : Tensor of shape ()
        Divisor of X after centring.
    levels : sequence of int
        Number of levels of each block. 0 means a number, which has one column.
    factors : sequence of float
        Factor of each block that turns its columns of X into 0 and 1. Ignored for numbers.
    clip : float in (0, 1), default=0.02
        Share of the mean of a level below which a straight line replaces the logarithm.
    slope : float, default=4.0
        Slope of that line times the mean share of the level.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import MixedOutput
    >>> mean = torch.tensor([10.0, 0.25, 0.75])
    >>> output = MixedOutput(mean, torch.tensor(1.0), levels=(0, 2), factors=(1.0, 1.0))
    >>> output(output.link(torch.tensor([[2.0, 0.25, -0.25]]))) + mean
    tensor([[12.0000,  0.5000,  0.5000]])
    """

    factor: Tensor

    def __init__(
        self,
        mean: Tensor,
        scale: Tensor,
        levels: Sequence[int],
        factors: Sequence[float],
        *,
        clip: float = 0.02,
        slope: float = 4.0,
    ):
        super().__init__(mean, scale)
        self.blocks = ColumnBlocks(levels)
        self.register_buffer("factor", mean.new_tensor(repeat_for_columns(factors, levels)))
        self.clip = clip
        self.slope = slope

    @property
    def _shares(self) -> Tensor:
        """Mean shares of levels, with a positive minimum."""
        return (self.mean * self.factor).clamp_min(_LEAST_SHARE)

    def link(self, linear: Tensor) -> Tensor:
        """Return unchanged numbers, and logarithms of the shares of levels."""
        share = (self.mean + self.scale * linear) * self.factor
        usual = self._shares
        clipped = torch.maximum(share, self.clip * usual)
        logit = torch.log(clipped) + self.slope * (share - clipped) / usual
        return torch.where(self.blocks.is_level, logit, linear)

    def link_derivative(self, linear: Tensor) -> Tensor:
        share = (self.mean + self.scale * linear) * self.factor
        usual = self._shares
        clipped = torch.maximum(share, self.clip * usual)
        slope = torch.where(share == clipped, 1 / clipped, self.slope / usual)
        return torch.where(self.blocks.is_level, slope * (self.scale * self.factor), 1.0)

    def forward(self, output: Tensor) -> Tensor:
        probability = self.blocks.log_softmax(output).exp()
        shown = (probability / self.factor - self.mean) / self.scale
        return torch.where(self.blocks.is_level, shown, output)
