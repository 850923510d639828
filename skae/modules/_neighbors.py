"""Autoencoders whose codes are compared by distances."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skae.modules._autoencoder import Autoencoder, CodeBasis
from skae.modules._basis import sign_of_largest

# The scale is a single number, and has to change more in a step than weights do.
_LOGIT_SCALE_UNIT = 20.0


class NeighborAutoencoder(Autoencoder):
    """Autoencoder that keeps neighbours, with codes that may have unit length.

    Parameters
    ----------
    *parts
        Positional arguments of `Autoencoder`.
    spherical : bool
        Whether codes have unit length.
    linear_kept : Tensor of shape (n_maps,)
        Share of the neighbours that each linear map keeps. The network starts as the best of them.
    **options
        Keyword arguments of `Autoencoder`.

    Attributes
    ----------
    offset : Tensor of shape (n_components,)
        Code of the mean row with the linear map from which the network starts.
    size : Tensor of shape ()
        Factor of codes without unit length. Encoders return codes of about unit size, as optimisers
        take steps of about equal size for all weights.
    logit_scale : Parameter of shape (), or None
        Logarithm of the factor of the cosines of codes in the loss, divided by 20. It is learned,
        because the cosines of short vectors spread more widely than those of long ones. None for
        codes without unit length, which may change their size.

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
    logit_scale: nn.Parameter | None

    def __init__(self, *parts, spherical: bool, linear_kept: Tensor, **options) -> None:
        super().__init__(*parts, **options)
        self.spherical = spherical
        self.register_buffer("linear_kept", linear_kept)
        self.register_buffer("offset", torch.zeros_like(self.code_scale))
        self.register_buffer("size", torch.ones_like(self.code_scale[0]))
        scale = nn.Parameter(torch.zeros_like(self.size)) if spherical else None
        self.register_parameter("logit_scale", scale)

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:
        if self.logit_scale is not None:
            # Files of version 0.2.0 have none. The module may have no memory yet.
            usual = torch.zeros_like(self.logit_scale, device="cpu")
            state_dict.setdefault(f"{prefix}logit_scale", usual)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def encode_raw(self, inputs: Tensor) -> Tensor:
        code = super().encode_raw(inputs) + self.offset
        return F.normalize(code, dim=-1) if self.spherical else code * self.size

    def scale_logits(self, similarities: Tensor) -> Tensor:
        """Return similarities of codes times the learned factor."""
        if self.logit_scale is None:
            return similarities
        return similarities * (_LOGIT_SCALE_UNIT * self.logit_scale).exp()


def turn_codes_(
    basis: CodeBasis,
    mean: Tensor,
    covariance: Tensor,
    cross_covariance: Tensor,
    *,
    unit: float | None,
) -> Tensor:
    """Choose the basis in which codes are uncorrelated, without changing their distances.

    Parameters
    ----------
    basis : CodeBasis
        Basis to set.
    mean, covariance, cross_covariance : Tensor
        Moments of the codes, as for `order_codes_`.
    unit : float or None
        Size of a raw unit in the units in which codes are returned. None if codes keep their length
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
    rotation = rotation * sign_of_largest(loadings)
    dtype, scale = basis.origin.dtype, 1.0 if unit is None else unit
    origin = torch.zeros_like(mean) if unit is None else mean
    basis.set_(origin.to(dtype), (rotation * scale).to(dtype), (rotation.T / scale).to(dtype))
    return explained
