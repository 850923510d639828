"""Penalties on codes and networks, added to the reconstruction loss."""

import numbers

import torch
from sklearn.base import BaseEstimator
from torch import Tensor

from skae.objectives import _jacobians
from skae.objectives._draws import fresh_generator

# Each `default_alpha` was chosen on two tables, images of digits and measurements of cells, as the
# largest of three or four powers of ten that did not increase the error on new rows.

# Maximum number of rows for which the Jacobian of the decoder is computed. With k codes, it takes
# the memory of k batches.
_N_SAMPLED_ROWS = 32


class Penalty(BaseEstimator):
    """Base class of penalties, which are added to the reconstruction loss.

    As in any scikit-learn estimator, the constructor stores its parameters unchanged, and they are
    checked when used. A search can set them, as in ``penalty__target``. `fit` uses a copy of the
    object.

    A subclass must override `__call__`. Everything else is optional.

    Attributes
    ----------
    default_alpha : float, default=0.1
        Factor of the penalty if `alpha` of the estimator is None. PCA has a reconstruction loss of
        about 1.
    rotates : bool, default=True
        Whether codes may be rotated after training. Set False for penalties on single codes, whose
        effect a rotation would undo.
    needs_complete_rows : bool, default=False
        Whether the penalty is undefined for rows with missing cells. If True, ``missing="mask"``
        raises an error.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoencoderTransformer
    >>> from skae.objectives import Penalty
    >>> class FarCodes(Penalty):
    ...     default_alpha = 0.01
    ...
    ...     def __init__(self, limit=3.0):
    ...         self.limit = limit
    ...
    ...     def __call__(self, module, inputs, code, *, generator=None):
    ...         return (code.abs() - self.limit).clamp(min=0).square().mean()
    >>> X = load_digits().data[:100] / 16
    >>> model = AutoencoderTransformer(2, penalty=FarCodes(1.0), max_iter=3, random_state=0)
    >>> model.fit_transform(X).shape
    (100, 2)
    >>> model.set_params(penalty__limit=2.0).penalty
    FarCodes(limit=2.0)
    """

    default_alpha: float = 0.1
    rotates: bool = True
    needs_complete_rows: bool = False

    def check(self) -> None:
        """Raise an error for invalid parameters, before any training.

        Raises
        ------
        ValueError
            If a parameter is not as described. The base class accepts everything.
        """

    def __call__(
        self, module, inputs: Tensor, code: Tensor, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """Return the penalty of a batch.

        Parameters
        ----------
        module : Module
            Autoencoder with the attributes of `skae.modules.Autoencoder`.
        inputs : Tensor of shape (n_samples, n_features)
            Input of the autoencoder: standardised rows, with or without noise.
        code : Tensor of shape (n_samples, n_components)
            Codes of the inputs in the basis of the network, scaled by `code_scale` to about unit
            size.
        generator : torch.Generator, default=None
            Random number generator on the CPU, for random penalties. If None, the same random
            numbers are used in each call.

        Returns
        -------
        penalty : Tensor of shape ()
            At least 0 for all penalties of this package.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must have a method `__call__` that returns the penalty."
        )


class L1Sparsity(Penalty):
    """Mean absolute value of each code relative to its root mean square, averaged over the codes.

    Without the division by the root mean square, the network could shrink the codes and enlarge the
    decoder, without becoming sparse. A normally distributed code has a value of 0.8, and a code
    that is zero in 96 % of the rows and of equal size in the others a value of 0.2. For a fixed
    number of zeros, use `skae.SparseAutoencoderTransformer`.

    References
    ----------
    Hoyer, P. O. (2004). Non-negative matrix factorization with sparseness constraints. Journal of
    Machine Learning Research 5. https://www.jmlr.org/papers/v5/hoyer04a.html

    Examples
    --------
    >>> import torch
    >>> from skae.objectives import L1Sparsity
    >>> code = torch.tensor([[0.0], [0.0], [0.0], [6.0]])
    >>> L1Sparsity()(None, torch.zeros(4, 3), code)
    tensor(0.5000)
    """

    default_alpha = 1.0
    rotates = False

    def __call__(
        self, module, inputs: Tensor, code: Tensor, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """Return the mean ratio of the codes."""
        return _scale(code).abs().mean()


class KLSparsity(Penalty):
    """Divergence of the mean activity of each code from a small target, averaged over the codes.

    The Kullback-Leibler divergence is in nats. In Ng's notes, activities are outputs of logistic
    units in [0, 1]. Codes here have both signs and no bound, so the activity of a code `z`, divided
    by its root mean square in the batch, is ``z^2 / (1 + z^2)``: 0 for a code of zero, and 1/2 for
    a code of typical size. Ng sums over the units. Here the mean is used, so that `alpha` does not
    depend on the number of codes.

    Parameters
    ----------
    target : float in (0, 1), default=0.05
        Mean activity of a code for which the penalty is zero.

    Raises
    ------
    ValueError
        If `target` is not between 0 and 1. Raised when the penalty is used.

    References
    ----------
    Ng, A. (2011). Sparse autoencoder. CS294A lecture notes, Stanford University.
    https://web.stanford.edu/class/cs294a/sparseAutoencoder.pdf

    Examples
    --------
    >>> import torch
    >>> from skae.objectives import KLSparsity
    >>> KLSparsity(target=0.5)(None, torch.zeros(1, 3), torch.tensor([[1.0, -1.0]]))
    tensor(0.)
    """

    default_alpha = 1.0
    rotates = False

    def __init__(self, target: float = 0.05) -> None:
        self.target = target

    def check(self) -> None:
        """Raise an error if `target` is not a number between 0 and 1."""
        if not (isinstance(self.target, numbers.Real) and 0 < self.target < 1):
            raise ValueError(
                f"`target` must be a mean activity between 0 and 1. Got {self.target!r}. "
                "0.05 lets a code be active in few rows."
            )

    def __call__(
        self, module, inputs: Tensor, code: Tensor, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """Return the mean divergence of the codes."""
        self.check()
        # Keeps logarithms finite for codes that are zero in all rows.
        least = torch.finfo(code.dtype).eps
        squared = _scale(code).square()
        activity = (squared / (1 + squared)).mean(0).clamp(least, 1 - least)
        active = self.target * torch.log(self.target / activity)
        silent = (1 - self.target) * torch.log((1 - self.target) / (1 - activity))
        return (active + silent).mean()


def _scale(code: Tensor) -> Tensor:
    """Return codes divided by their root mean squares. Codes of zeros stay zero."""
    mean_square = code.square().mean(0)
    return code / mean_square.clamp_min(torch.finfo(code.dtype).eps).sqrt()


class Contractive(Penalty):
    """Squared Frobenius norm of the encoder's Jacobian, averaged over rows (Rifai et al., 2011).

    Codes that change little with the row are robust to changes that do not matter for the
    reconstruction. The Jacobian contains the derivatives of the scaled codes with respect to
    standardised rows.

    For dense encoders, the norm is exact. For others, it is estimated without bias by the squared
    length of ``v J`` with random signs `v` (Hutchinson's estimate), in a second pass through the
    encoder.

    References
    ----------
    Rifai, S., Vincent, P., Muller, X., Glorot, X., Bengio, Y. (2011). Contractive auto-encoders:
    explicit invariance during feature extraction. Proceedings of the 28th International Conference
    on Machine Learning, 833-840. https://icml.cc/2011/papers/455_icmlpaper.pdf

    Hutchinson, M. F. (1990). A stochastic estimator of the trace of the influence matrix for
    Laplacian smoothing splines. Communications in Statistics - Simulation and Computation 19(2),
    433-450. https://doi.org/10.1080/03610919008812866

    Examples
    --------
    >>> import torch
    >>> from skae.modules import Autoencoder, CodeBasis, DenseStack, LinearPath
    >>> from skae.objectives import Contractive
    >>> stacks = DenseStack([3, 2], zero_last=True), DenseStack([2, 3], zero_last=True)
    >>> path = LinearPath(torch.eye(2, 3), torch.eye(2, 3))
    >>> model = Autoencoder(
    ...     *stacks, CodeBasis(2), torch.ones(3), torch.tensor([1.0, 2.0]), linear_path=path
    ... )
    >>> rows = torch.zeros(5, 3)
    >>> Contractive()(model, rows, model.encode_raw(rows) * model.code_scale).item()
    5.0
    """

    default_alpha = 0.1
    needs_complete_rows = True

    def __call__(
        self, module, inputs: Tensor, code: Tensor, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """Return the mean squared norm, exact or estimated."""
        if _jacobians.has_encoder_jacobian(module):
            return _jacobians.sum_squared_code_jacobian(module, inputs).mean()
        signs = _draw_signs(code, generator)
        product = _jacobians.multiply_code_jacobian(module, inputs, signs)
        return product.square().sum(1).mean()


class OrthogonalDecoder(Penalty):
    """Squared cosines between the directions in which two codes change a reconstruction.

    The mean over all pairs of codes and all rows, between 0 and 1. It is 0 if all directions are
    orthogonal, as with PCA, so that each code has a separate effect. OroJaR penalises inner
    products of these directions in image generators. Cosines have the advantage that they cannot be
    reduced by making the derivatives small.

    Reconstructions are in standardised units, after the link and before clipping. In batches with
    more than 32 rows, 32 rows are drawn. The directions are computed in closed form for dense
    decoders, and by autograd for others.

    References
    ----------
    Wei, Y., Shi, Y., Liu, X., Ji, Z., Gao, Y., Wu, Z., Zuo, W. (2021). Orthogonal Jacobian
    regularization for unsupervised disentanglement in image generation. IEEE/CVF International
    Conference on Computer Vision, 6701-6710. https://doi.org/10.1109/ICCV48922.2021.00665

    Examples
    --------
    >>> import torch
    >>> from skae.modules import Autoencoder, CodeBasis, DenseStack, LinearPath
    >>> from skae.objectives import OrthogonalDecoder
    >>> stacks = DenseStack([3, 2], zero_last=True), DenseStack([2, 3], zero_last=True)
    >>> path = LinearPath(torch.eye(2, 3), torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]]))
    >>> model = Autoencoder(*stacks, CodeBasis(2), torch.ones(3), torch.ones(2), linear_path=path)
    >>> round(OrthogonalDecoder()(model, torch.zeros(5, 3), torch.zeros(5, 2)).item(), 4)
    0.5
    """

    default_alpha = 10.0

    def __call__(
        self, module, inputs: Tensor, code: Tensor, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """Return the mean squared cosine over all rows, or over 32 of them."""
        if len(code) > _N_SAMPLED_ROWS:
            generator = fresh_generator() if generator is None else generator
            drawn = torch.randperm(len(code), generator=generator, device="cpu")
            code = code[drawn[:_N_SAMPLED_ROWS].to(code.device)]
        if _jacobians.has_decoder_jacobian(module):
            jacobian = _jacobians.find_output_jacobian(module, code)
        else:
            jacobian = _jacobians.compute_output_jacobian(module, code)
        output = module.decode_raw(code / module.code_scale)
        return _mean_squared_cosine(jacobian * module.output.derivative(output)[..., None])


def _draw_signs(like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Return 1 or -1 for each entry."""
    generator = fresh_generator() if generator is None else generator
    bits = torch.randint(2, like.shape, generator=generator, device="cpu")
    return (2 * bits - 1).to(like.device, like.dtype)


def _mean_squared_cosine(jacobian: Tensor) -> Tensor:
    """Return the mean over b rows and pairs of k columns, given (b, p, k). 0 for one column."""
    products = jacobian.mT @ jacobian
    # Limits derivatives for directions of almost zero length.
    least = torch.finfo(jacobian.dtype).eps
    factors = products.diagonal(dim1=1, dim2=2).clamp_min(least).rsqrt()
    cosines = products * factors[:, None] * factors[..., None]
    n_columns = jacobian.shape[-1]
    n_pairs = len(jacobian) * n_columns * (n_columns - 1)
    apart = 1 - torch.eye(n_columns, dtype=jacobian.dtype, device=jacobian.device)
    return (cosines * apart).square().sum() / max(1, n_pairs)


PENALTIES: dict[str, type[Penalty]] = {
    "l1": L1Sparsity,
    "kl_sparsity": KLSparsity,
    "contractive": Contractive,
    "orthogonal": OrthogonalDecoder,
}
