"""Bases in which codes are uncorrelated, ordered by explained variance, and have fixed signs."""

from collections.abc import Callable

import torch
from torch import Tensor

from skae.modules._autoencoder import CodeBasis

# Directions with less than this share of the largest variance of the codes are noise.
_NEGLIGIBLE = 1e-10


def order_codes_(
    basis: CodeBasis,
    mean: Tensor,
    covariance: Tensor,
    cross_covariance: Tensor,
    *,
    unit: float = 1.0,
    whiten: bool = False,
    rotate: bool = True,
    keep_scale: bool = False,
    keep_order: bool = False,
    find_rotation: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> Tensor:
    """Choose the basis in which codes are uncorrelated and ordered by the variance they explain.

    Codes of unit variance stay uncorrelated under any rotation. The rotation is chosen such that
    the linear regression of the rows on the codes is a sum of orthogonal parts in descending order.
    The variance of each code is the variance that it explains, as in PCA. For a linear model, the
    result is PCA.

    Parameters
    ----------
    basis : CodeBasis
        Basis to set.
    mean : Tensor of shape (n_components,)
        Mean of the raw codes on the training rows.
    covariance : Tensor of shape (n_components, n_components)
        Covariance of the raw codes, in double precision.
    cross_covariance : Tensor of shape (n_features, n_components)
        Covariance of the standardised rows with the raw codes, in double precision.
    unit : float, default=1.0
        Size of one standardised unit in the units in which codes are returned.
    whiten : bool, default=False
        Whether to give every code unit variance instead.
    rotate : bool, default=True
        Whether to rotate codes. If False, each code keeps its axis and its zero, so that sparse
        codes stay sparse. Codes are only ordered, scaled and given a sign, and may be correlated.
    keep_scale : bool, default=False
        Whether each code also keeps its scale, so that its distribution does not change.
    keep_order : bool, default=False
        Whether codes also keep their order and signs, and thus do not change at all.
    find_rotation : callable, default=None
        Function that returns an orthogonal matrix by which codes of unit variance are multiplied
        from the right. Its arguments are the loadings of these codes, of shape (n_features,
        n_codes), and the matrix by which centred raw codes are multiplied from the right to get
        them, of shape (n_components, n_codes). Not called if codes are not rotated.

    Returns
    -------
    explained_variance : Tensor of shape (n_components,)
        Variance of the rows, in standardised units and summed over the features, that a linear
        regression on each code explains. In descending order unless the order is kept.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import CodeBasis, order_codes_
    >>> basis, axes = CodeBasis(2), torch.eye(3, 2, dtype=torch.float64)
    >>> variances = torch.tensor([1.0, 4.0], dtype=torch.float64)
    >>> order_codes_(basis, torch.zeros(2), torch.diag(variances), axes * variances)
    tensor([4., 1.], dtype=torch.float64)
    """
    keep_scale = keep_scale or keep_order
    rotate = rotate and not keep_scale
    whitening, colouring, alive = _whiten(covariance) if rotate else _scale(covariance)
    loadings = cross_covariance @ (whitening * alive)
    explained, rotation = _rotate(loadings) if rotate else _sort(loadings)
    if rotate and find_rotation is not None:
        explained, rotation = _turn(loadings, whitening, alive, find_rotation)
    if keep_order:
        explained, rotation = rotation @ explained, torch.eye(len(explained), dtype=rotation.dtype)
    else:
        rotation = rotation * sign_of_largest(loadings @ rotation)

    if keep_scale:
        whitening = colouring = torch.eye(len(explained), dtype=rotation.dtype)
    scales = torch.ones_like(explained) if whiten or keep_scale else unit * _deviations(explained)
    basis.set_(
        (mean if rotate else torch.zeros_like(mean)).to(basis.origin.dtype),
        (whitening @ rotation * scales).to(basis.origin.dtype),
        ((rotation / scales).T @ colouring).to(basis.origin.dtype),
    )
    return explained


def order_nested_codes_(
    basis: CodeBasis,
    mean: Tensor,
    covariance: Tensor,
    cross_covariance: Tensor,
    *,
    unit: float = 1.0,
    whiten: bool = False,
) -> Tensor:
    """Choose the basis in which codes are uncorrelated and each depends on no later raw code.

    The linear regression on all earlier codes is subtracted from each code. The first codes of both
    bases, whatever their number, thus carry the same information. For a linear model that starts as
    PCA, the result is PCA.

    Parameters
    ----------
    basis : CodeBasis
        Basis to set.
    mean, covariance, cross_covariance : Tensor
        Moments of the codes, as for `order_codes_`.
    unit : float, default=1.0
        Size of one standardised unit in the units in which codes are returned.
    whiten : bool, default=False
        Whether to give every code unit variance instead of the variance that it explains.

    Returns
    -------
    explained_variance : Tensor of shape (n_components,)
        Variance of the rows, in standardised units and summed over the features, that a linear
        regression on each code explains.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import CodeBasis, order_nested_codes_
    >>> basis, covariance = CodeBasis(2), torch.tensor([[4.0, 2.0], [2.0, 2.0]]).double()
    >>> order_nested_codes_(basis, torch.zeros(2), covariance, covariance, whiten=True)
    tensor([5., 1.], dtype=torch.float64)
    >>> basis.forward_map
    tensor([[ 0.5000, -0.5000],
            [ 0.0000,  1.0000]])
    """
    whitening, alive = _whiten_in_turn(covariance)
    loadings = cross_covariance @ (whitening * alive)
    explained = loadings.square().sum(0)
    scales = sign_of_largest(loadings)
    if not whiten:
        spread = explained.sqrt()
        scales = scales * unit * spread.clamp_min(spread.max() / 100).where(spread.max() > 0, 1.0)
    forward_map = whitening * scales
    eye = torch.eye(len(mean), dtype=forward_map.dtype)
    inverse_map = torch.linalg.solve_triangular(forward_map, eye, upper=True)
    basis.set_(*(own.to(basis.origin.dtype) for own in (mean, forward_map, inverse_map)))
    return explained


def _whiten_in_turn(covariance: Tensor) -> tuple[Tensor, Tensor]:
    """Return the upper triangular whitening map, and the mask of codes that vary.

    A code without variance of its own keeps its axis.
    """
    least = _NEGLIGIBLE * covariance.diagonal().max().clamp_min(torch.finfo(torch.float64).tiny)
    whitening = torch.eye(len(covariance), dtype=covariance.dtype)
    alive = torch.zeros(len(covariance), dtype=torch.bool)
    for code, own in enumerate(whitening.clone()):
        before = whitening[:, :code] * alive[:code]
        rest = own - before @ (before.T @ covariance[:, code])
        variance = rest @ covariance @ rest
        alive[code] = variance > least
        if alive[code]:
            whitening[:, code] = rest / variance.sqrt()
    return whitening, alive


def _whiten(covariance: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the whitening map, its inverse, and the mask of directions that vary.

    Other directions are not scaled, so that the change of basis is invertible.
    """
    variances, directions = torch.linalg.eigh(covariance)
    alive, deviations = _find_deviations(variances)
    return directions / deviations, (directions * deviations).T, alive


def _scale(covariance: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the map that scales codes to unit variance, its inverse, and the mask of codes."""
    alive, deviations = _find_deviations(covariance.diagonal())
    return torch.diag(1 / deviations), torch.diag(deviations), alive


def _find_deviations(variances: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mask of variances above noise, and standard deviations, 1 for the others."""
    alive = variances > _NEGLIGIBLE * variances.max().clamp_min(torch.finfo(variances.dtype).tiny)
    return alive, variances.sqrt().where(alive, 1.0)


def _rotate(loadings: Tensor) -> tuple[Tensor, Tensor]:
    """Return the variances of orthogonal parts in descending order, and the rotation to them."""
    explained, rotation = torch.linalg.eigh(loadings.T @ loadings)
    return explained.flip(0).clamp_min(0), rotation.flip(1)


def _turn(loadings, whitening, alive, find_rotation) -> tuple[Tensor, Tensor]:
    """Return explained variances after a further rotation, and the product of both rotations.

    Codes are in descending order. Directions that do not vary keep their axes, and come last.
    """
    own, to_codes = loadings[:, alive], whitening[:, alive]
    first = _rotate(own)[1]
    turned = first @ find_rotation(own @ first, to_codes @ first)
    explained, order = (own @ turned).square().sum(0).sort(descending=True, stable=True)
    n_alive = len(explained)
    rotation = torch.zeros(len(alive), len(alive), dtype=loadings.dtype)
    rotation[alive, :n_alive] = turned[:, order]
    rotation[~alive, n_alive:] = torch.eye(len(alive) - n_alive, dtype=loadings.dtype)
    return torch.cat([explained, explained.new_zeros(len(alive) - n_alive)]), rotation


def _sort(loadings: Tensor) -> tuple[Tensor, Tensor]:
    """Return the variances that codes explain, in descending order, and the permutation."""
    explained, order = loadings.square().sum(0).sort(descending=True, stable=True)
    return explained, torch.eye(len(order), dtype=loadings.dtype)[:, order]


def sign_of_largest(loadings: Tensor) -> Tensor:
    """Return the sign of the largest absolute entry of each column, 1 if the column is zero."""
    largest = loadings.gather(0, loadings.abs().argmax(0, keepdim=True))[0]
    return torch.where(largest < 0, -1.0, 1.0).to(loadings.dtype)


def _deviations(explained: Tensor) -> Tensor:
    """Return the standard deviation to give each code, in standardised units.

    A code that explains little in a linear regression may still matter for the decoder, so no
    standard deviation is below a hundredth of the first.
    """
    if explained[0] == 0:
        return torch.ones_like(explained)
    return explained.sqrt().clamp_min(explained[0].sqrt() / 100)
