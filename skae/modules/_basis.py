"""The order of the codes: uncorrelated, by what they explain, with a fixed sign."""

import torch
from torch import Tensor

from skae.modules._autoencoder import CodeBasis

# Directions in which the codes vary less than this share of their greatest variance are noise.
_NEGLIGIBLE = 1e-10


def order_codes_(
    basis: CodeBasis,
    mean: Tensor,
    covariance: Tensor,
    cross_covariance: Tensor,
    *,
    unit: float = 1.0,
    whiten: bool = False,
) -> Tensor:
    """Choose the basis in which codes are uncorrelated and ordered by the variance they explain.

    Codes of unit variance stay uncorrelated under any rotation, so the rotation is free to be the
    one under which the linear regression of the rows on the codes falls apart into orthogonal
    parts, greatest first. Each code then gets as variance what it explains, as PCA's codes have.
    For a linear model the result is PCA itself.

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
    unit : float, default=1.0
        What one standardised unit is in the unit in which codes are to be shown.
    whiten : bool, default=False
        Give every code unit variance instead.

    Returns
    -------
    explained_variance : Tensor of shape (n_components,)
        Variance of the rows, in standardised units and summed over the features, that a linear
        regression on each code explains; in descending order.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import CodeBasis, order_codes_
    >>> basis, axes = CodeBasis(2), torch.eye(3, 2, dtype=torch.float64)
    >>> variances = torch.tensor([1.0, 4.0], dtype=torch.float64)
    >>> order_codes_(basis, torch.zeros(2), torch.diag(variances), axes * variances)
    tensor([4., 1.], dtype=torch.float64)
    """
    variances, directions = torch.linalg.eigh(covariance)
    alive = variances > _NEGLIGIBLE * variances[-1].clamp_min(torch.finfo(variances.dtype).tiny)
    deviations = variances.sqrt().where(alive, 1.0)
    # A dead direction keeps its own axis, so that the change of basis can be undone.
    whitening, colouring = directions / deviations, (directions * deviations).T

    loadings = cross_covariance @ (whitening * alive)
    explained, rotation = torch.linalg.eigh(loadings.T @ loadings)
    explained, rotation = explained.flip(0).clamp_min(0), rotation.flip(1)
    loadings = loadings @ rotation
    rotation = rotation * _sign_of_largest(loadings)

    scales = torch.ones_like(explained) if whiten else unit * _deviations(explained)
    basis.set_(
        mean.to(basis.origin.dtype),
        (whitening @ rotation * scales).to(basis.origin.dtype),
        ((rotation / scales).T @ colouring).to(basis.origin.dtype),
    )
    return explained


def _sign_of_largest(loadings: Tensor) -> Tensor:
    """Return the sign of each column's entry of greatest size, 1 where the column is zero."""
    largest = loadings.gather(0, loadings.abs().argmax(0, keepdim=True))[0]
    return torch.where(largest < 0, -1.0, 1.0).to(loadings.dtype)


def _deviations(explained: Tensor) -> Tensor:
    """Return the standard deviation that each code is to have, in standardised units.

    A code that hardly shows in a linear regression may still carry much for the decoder, so none
    is made smaller than a hundredth of the first.
    """
    if explained[0] == 0:
        return torch.ones_like(explained)
    return explained.sqrt().clamp_min(explained[0].sqrt() / 100)
