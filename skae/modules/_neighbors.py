"""Autoencoders whose codes are compared by their distances."""

import torch
from torch import Tensor
from torch.nn import functional as F

from skae.modules._autoencoder import Autoencoder, CodeBasis


class NeighborAutoencoder(Autoencoder):
    """An autoencoder whose codes may have unit length, and that knows what it was compared with.

    Parameters
    ----------
    *parts
        As for `Autoencoder`.
    spherical : bool
        Whether codes have unit length.
    linear_kept : Tensor of shape (n_maps,)
        Shares of the neighbours that linear maps keep, the start of the network being the best.
    **options
        As for `Autoencoder`.

    Attributes
    ----------
    offset : Tensor of shape (n_components,)
        Code of the mean row by the linear map that the network starts as.
    size : Tensor of shape ()
        Factor of codes that have no unit length. Encoders make codes of about unit size, as the
        steps of an optimiser are about equal for all weights.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import CodeBasis, DenseStack, NeighborAutoencoder
    >>> stacks = DenseStack([4, 8, 2]), DenseStack([2, 8, 4])
    >>> model = NeighborAutoencoder(
    ...     *stacks,
    ...     CodeBasis(2),
    ...     torch.ones(4),
    ...     torch.ones(2),
    ...     spherical=True,
    ...     linear_kept=torch.zeros(3),
    ... )
    >>> lengths = torch.linalg.vector_norm(model.encode(torch.randn(3, 4)), dim=1)
    >>> torch.allclose(lengths, torch.ones(3))
    True
    """

    offset: Tensor
    size: Tensor
    linear_kept: Tensor

    def __init__(self, *parts, spherical: bool, linear_kept: Tensor, **options) -> None:
        super().__init__(*parts, **options)
        self.spherical = spherical
        self.register_buffer("linear_kept", linear_kept)
        self.register_buffer("offset", torch.zeros_like(self.code_scale))
        self.register_buffer("size", torch.ones_like(self.code_scale[0]))

    def encode_raw(self, inputs: Tensor) -> Tensor:
        """Return codes in the network's own basis."""
        code = super().encode_raw(inputs) + self.offset
        return F.normalize(code, dim=-1) if self.spherical else code * self.size


def turn_codes_(
    basis: CodeBasis,
    mean: Tensor,
    covariance: Tensor,
    cross_covariance: Tensor,
    *,
    unit: float | None,
) -> Tensor:
    """Choose the basis in which codes are uncorrelated, without a change of their distances.

    Parameters
    ----------
    basis : CodeBasis
        The basis to set.
    mean : Tensor of shape (n_components,)
        Mean of the raw codes on the training rows.
    covariance : Tensor of shape (n_components, n_components)
        Their covariance, in double precision.
    cross_covariance : Tensor of shape (n_features, n_components)
        Covariance of the standardised rows with them, in double precision.
    unit : float or None
        Size of a raw unit in the unit in which codes are shown; None where codes keep their length
        and their origin.

    Returns
    -------
    explained_variance : Tensor of shape (n_components,)
        Variance of the rows, in standardised units and summed over the features, that a linear
        regression on each code explains, in descending order.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import CodeBasis, turn_codes_
    >>> basis, axes = CodeBasis(2), torch.eye(3, 2, dtype=torch.float64)
    >>> variances = torch.tensor([1.0, 4.0], dtype=torch.float64)
    >>> turn_codes_(basis, torch.zeros(2), torch.diag(variances), axes * variances, unit=None)
    tensor([4., 1.], dtype=torch.float64)
    """
    variances, rotation = torch.linalg.eigh(covariance)
    loadings = cross_covariance @ rotation
    tiny = torch.finfo(variances.dtype).eps * variances.max().clamp_min(1e-300)
    explained = loadings.square().sum(0) / variances.clamp_min(tiny)
    explained, order = explained.sort(descending=True, stable=True)
    rotation, loadings = rotation[:, order], loadings[:, order]
    largest = loadings.gather(0, loadings.abs().argmax(0, keepdim=True))[0]
    rotation = rotation * torch.where(largest < 0, -1.0, 1.0).to(rotation.dtype)
    dtype, scale = basis.origin.dtype, 1.0 if unit is None else unit
    origin = torch.zeros_like(mean) if unit is None else mean
    basis.set_(origin.to(dtype), (rotation * scale).to(dtype), (rotation.T / scale).to(dtype))
    return explained
