"""From the decoder's last layer to a reconstruction: links, ranges and probabilities."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from skae._shared.blocks import ColumnBlocks, repeat_for_columns

# Beyond this logarithm a rate grows no further: e^30 is 10^13, and e^89 would be no float32.
_GREATEST_LOG_RATE = 30.0
# Columns of smaller mean, as a share of the average column's, are taken to have that mean.
_LEAST_SHARE_OF_MEAN = 1e-3
# Levels that hardly occur are taken to have this share.
_LEAST_SHARE = 1e-6


class LinearOutput(nn.Module):
    """The output is the reconstruction, kept inside a range where one is known.

    Parameters
    ----------
    lower, upper : Tensor of shape (n_features,), default=None
        Least and greatest reconstruction of each feature, in standardised units; infinite where
        a feature has no bound, None where none has.

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
        """Return what the linear path adds to the output: itself."""
        return linear

    def link_gradient_(self, gradient: Tensor, linear: Tensor) -> Tensor:
        """Turn the loss's gradient by the output into that by the linear path, in place."""
        return gradient

    def link_derivative(self, linear: Tensor) -> Tensor:
        """Return the derivative of `link`: one."""
        return torch.ones_like(linear)

    def derivative(self, output: Tensor) -> Tensor:
        """Return the derivative of the reconstruction by the output: one, the range left aside."""
        return torch.ones_like(output)

    def forward(self, output: Tensor) -> Tensor:
        """Return the reconstruction in standardised units.

        Parameters
        ----------
        output : Tensor of shape (n_samples, n_features)
            Sum of the linear path and the decoder.

        Returns
        -------
        reconstruction : Tensor of shape (n_samples, n_features)
            The output, within its range.
        """
        if self.lower is None:
            return output
        return torch.clamp(output, self.lower, self.upper)


class LogisticOutput(nn.Module):
    """The output is the logit of a reconstruction in (0, 1), the unit of X.

    The linear path back-projects in the unit of X; its logit is what it adds to the output.
    Outside [``clip``, 1 - ``clip``] the logit goes on along its tangent, flattened to ``slope``:
    a clipped logit would have no gradient there, and the true one has none that is finite.

    Parameters
    ----------
    mean : Tensor of shape (n_features,)
        Mean of X.
    scale : Tensor of shape ()
        Divisor of X after centring.
    clip : float in (0, 0.5), default=0.02
        Where the logit gives way to a straight line.
    slope : float, default=4.0
        Slope of that line; the logit's own least slope is 4.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import LogisticOutput
    >>> output = LogisticOutput(torch.tensor([0.5]), torch.tensor(1.0))
    >>> output(output.link(torch.tensor([[0.25]])))
    tensor([[0.2500]])
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self, mean: Tensor, scale: Tensor, *, clip: float = 0.02, slope: float = 4.0
    ) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)
        self.clip = clip
        self.slope = slope

    def link(self, linear: Tensor) -> Tensor:
        """Return the logit of the linear path's reconstruction.

        Parameters
        ----------
        linear : Tensor of shape (n_samples, n_features)
            Back-projection of the codes, in standardised units.

        Returns
        -------
        logit : Tensor of shape (n_samples, n_features)
            Contribution of the linear path to the output.
        """
        share = self.mean + self.scale * linear
        clipped = share.clamp(self.clip, 1 - self.clip)
        return torch.logit(clipped) + self.slope * (share - clipped)

    def link_gradient_(self, gradient: Tensor, linear: Tensor) -> Tensor:
        """Turn the loss's gradient by the output into that by the linear path, in place."""
        return gradient.mul_(self.link_derivative(linear))

    def link_derivative(self, linear: Tensor) -> Tensor:
        """Return the derivative of `link`."""
        share = self.mean + self.scale * linear
        clipped = share.clamp(self.clip, 1 - self.clip)
        slope = torch.where(share == clipped, 1 / (clipped * (1 - clipped)), self.slope)
        return slope * self.scale

    def derivative(self, output: Tensor) -> Tensor:
        """Return the derivative of the reconstruction by the output."""
        return torch.sigmoid(output) * torch.sigmoid(-output) / self.scale

    def forward(self, output: Tensor) -> Tensor:
        """Return the reconstruction in standardised units.

        Parameters
        ----------
        output : Tensor of shape (n_samples, n_features)
            Logits.

        Returns
        -------
        reconstruction : Tensor of shape (n_samples, n_features)
            The probabilities, standardised as X is.
        """
        return (torch.sigmoid(output) - self.mean) / self.scale


class ExponentialOutput(nn.Module):
    """The output is the logarithm of a rate, the expected count, in the unit of X.

    The linear path back-projects in the unit of X; the logarithm of that is what it adds to the
    output. Below ``clip`` of a column's mean the logarithm goes on along a straight line, whose
    slope is flattened to the logarithm's own at the mean: linear reconstructions of counts are
    often negative, and the true slope would put these at rates of next to nothing.

    Rates end at ``exp(30)``, so that no output overflows.

    Parameters
    ----------
    mean : Tensor of shape (n_features,)
        Mean of X, counts.
    scale : Tensor of shape ()
        Divisor of X after centring.
    clip : float in (0, 1), default=0.05
        Share of a column's mean at which the logarithm gives way to a straight line.

    Notes
    -----
    A column whose mean is below a thousandth of the average column's is clipped as if it had that
    mean, so that a column of zeros alone has a finite rate.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import ExponentialOutput
    >>> output = ExponentialOutput(torch.tensor([3.0]), torch.tensor(2.0))
    >>> output(output.link(torch.tensor([[0.5]])))
    tensor([[0.5000]])
    """

    mean: Tensor
    scale: Tensor
    unit: Tensor

    def __init__(self, mean: Tensor, scale: Tensor, *, clip: float = 0.05) -> None:
        super().__init__()
        average = mean.mean()
        least = torch.where(average > 0, _LEAST_SHARE_OF_MEAN * average, 1.0)
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)
        self.register_buffer("unit", mean.clamp_min(least))
        self.clip = clip

    def link(self, linear: Tensor) -> Tensor:
        """Return the logarithm of the linear path's reconstruction.

        Parameters
        ----------
        linear : Tensor of shape (n_samples, n_features)
            Back-projection of the codes, in standardised units.

        Returns
        -------
        log_rate : Tensor of shape (n_samples, n_features)
            Contribution of the linear path to the output.
        """
        rate = self.mean + self.scale * linear
        clipped = rate.clamp_min(self.clip * self.unit)
        return torch.log(clipped) + (rate - clipped) / self.unit

    def link_gradient_(self, gradient: Tensor, linear: Tensor) -> Tensor:
        """Turn the loss's gradient by the output into that by the linear path, in place."""
        return gradient.mul_(self.link_derivative(linear))

    def link_derivative(self, linear: Tensor) -> Tensor:
        """Return the derivative of `link`."""
        rate = self.mean + self.scale * linear
        clipped = rate.clamp_min(self.clip * self.unit)
        return torch.where(rate == clipped, 1 / clipped, 1 / self.unit) * self.scale

    def derivative(self, output: Tensor) -> Tensor:
        """Return the derivative of the reconstruction by the output."""
        return torch.exp(output.clamp_max(_GREATEST_LOG_RATE)) / self.scale

    def forward(self, output: Tensor) -> Tensor:
        """Return the reconstruction in standardised units.

        Parameters
        ----------
        output : Tensor of shape (n_samples, n_features)
            Logarithms of rates.

        Returns
        -------
        reconstruction : Tensor of shape (n_samples, n_features)
            The rates, standardised as X is.
        """
        return (torch.exp(output.clamp_max(_GREATEST_LOG_RATE)) - self.mean) / self.scale


class MixedOutput(nn.Module):
    """The output is a number, or the logit of a level of a category, block by block.

    The linear path back-projects numbers and shares of levels; what it adds to the output is the
    number itself, and the logarithm of the share. Below ``clip`` times the level's mean share the
    logarithm goes on along a straight line, as estimated shares of a linear model are often
    negative. Within a block the probabilities of the levels sum to 1.

    Parameters
    ----------
    mean : Tensor of shape (n_features,)
        Mean of X.
    scale : Tensor of shape ()
        Divisor of X after centring.
    levels : sequence of int
        Number of levels of each block, 0 for a number, which takes one column.
    factors : sequence of float
        For each block the factor that turns its columns of X into 0 and 1; of no use for numbers.
    clip : float in (0, 1), default=0.02
        Share of a level's mean at which the logarithm gives way to a straight line.
    slope : float, default=4.0
        Slope of that line, divided by the level's mean share.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import MixedOutput
    >>> mean = torch.tensor([10.0, 0.25, 0.75])
    >>> output = MixedOutput(mean, torch.tensor(1.0), levels=(0, 2), factors=(1.0, 1.0))
    >>> output(output.link(torch.tensor([[2.0, 0.25, -0.25]]))) + mean
    tensor([[12.0000,  0.5000,  0.5000]])
    """

    mean: Tensor
    scale: Tensor
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
        super().__init__()
        self.blocks = ColumnBlocks(levels)
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)
        self.register_buffer("factor", mean.new_tensor(repeat_for_columns(factors, levels)))
        self.clip = clip
        self.slope = slope

    @property
    def _shares(self) -> Tensor:
        """Mean shares of levels, kept from 0."""
        return (self.mean * self.factor).clamp_min(_LEAST_SHARE)

    def link(self, linear: Tensor) -> Tensor:
        """Return numbers as they are, and logarithms of the shares of levels.

        Parameters
        ----------
        linear : Tensor of shape (n_samples, n_features)
            Back-projection of the codes, in standardised units.

        Returns
        -------
        output : Tensor of shape (n_samples, n_features)
            Contribution of the linear path to the output.
        """
        share = (self.mean + self.scale * linear) * self.factor
        usual = self._shares
        clipped = torch.maximum(share, self.clip * usual)
        logit = torch.log(clipped) + self.slope * (share - clipped) / usual
        return torch.where(self.blocks.is_level, logit, linear)

    def link_gradient_(self, gradient: Tensor, linear: Tensor) -> Tensor:
        """Turn the loss's gradient by the output into that by the linear path, in place."""
        return gradient.mul_(self.link_derivative(linear))

    def link_derivative(self, linear: Tensor) -> Tensor:
        """Return the derivative of `link`."""
        share = (self.mean + self.scale * linear) * self.factor
        usual = self._shares
        clipped = torch.maximum(share, self.clip * usual)
        slope = torch.where(share == clipped, 1 / clipped, self.slope / usual)
        return torch.where(self.blocks.is_level, slope * (self.scale * self.factor), 1.0)

    def forward(self, output: Tensor) -> Tensor:
        """Return the reconstruction in standardised units.

        Parameters
        ----------
        output : Tensor of shape (n_samples, n_features)
            Numbers and logits.

        Returns
        -------
        reconstruction : Tensor of shape (n_samples, n_features)
            Numbers and probabilities, standardised as X is.
        """
        probability = self.blocks.log_softmax(output).exp()
        shown = (probability / self.factor - self.mean) / self.scale
        return torch.where(self.blocks.is_level, shown, output)
