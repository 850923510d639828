"""Jacobians of codes by rows, and of reconstructions by codes, for any autoencoder.

The autoencoder must have the attributes of `skae.modules.Autoencoder`. If its encoder or decoder
has `jacobian_factors` and `jacobian`, and `has_jacobian` is true, derivatives are in closed form.
All results are differentiable, for the gradients of penalties.

Shapes: b rows in a batch, p features, k codes.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

# Equal to `skae.modules.INPUT_LIMIT`, which this package does not import.
_INPUT_LIMIT = 5.0


def has_encoder_jacobian(module) -> bool:
    """Return whether `sum_squared_code_jacobian` supports an autoencoder."""
    plain = getattr(module, "sparsity", None) is None
    return plain and getattr(module.encoder, "has_jacobian", False)


def has_decoder_jacobian(module) -> bool:
    """Return whether `find_output_jacobian` supports an autoencoder."""
    return getattr(module.decoder, "has_jacobian", False)


def sum_squared_code_jacobian(module, inputs: Tensor) -> Tensor:
    """Return the squared Frobenius norms (b,) of the derivatives of scaled codes by rows (b, p).

    The Jacobian is ``U D W + P``, where `D` is diagonal. With one hidden layer, it is the only
    matrix that differs between rows. The squared norm of ``U D W`` is then ``d' ((W W') * (U' U))
    d``, which costs no more than a layer. The Jacobian itself would take k times as long.
    """
    scaled = inputs * module.input_scale
    limited = scaled.clamp(-_INPUT_LIMIT, _INPUT_LIMIT)
    upper, slopes, weight = module.encoder.jacobian_factors(limited)
    upper, weight = upper * module.code_scale[:, None], weight * module.input_scale
    norms = _sum_squares(upper, slopes, weight @ weight.T)
    projection = None
    if module.linear_path is not None:
        projection = module.code_scale[:, None] * module.linear_path.projection * module.input_scale
        cross = (upper * (projection @ weight.T)).sum(-2)
        norms = norms + 2 * (slopes * cross).sum(1) + projection.square().sum()
    cut_off = scaled.abs() > _INPUT_LIMIT
    most = int(cut_off.sum(1).max())
    if most == 0:
        return norms
    cut_off, features = cut_off.to(scaled.dtype).topk(most, dim=1)
    # Clipped entries do not reach the encoder, so their part is subtracted again.
    by_encoder = (F.embedding(features, weight.T) * slopes[:, None]) @ upper.mT
    squares = by_encoder.square()
    if projection is not None:
        squares = squares + 2 * by_encoder * F.embedding(features, projection.T)
    return norms - (squares.sum(2) * cut_off).sum(1)


def _sum_squares(upper: Tensor, slopes: Tensor, gram: Tensor) -> Tensor:
    """Return the squared norms (b,) of ``upper @ diag(slopes) @ W``, given ``W @ W.T``."""
    if upper.ndim == 2:
        return (slopes @ (gram * (upper.T @ upper)) * slopes).sum(1)
    product = upper * slopes[:, None]
    return (product @ gram * product).sum((1, 2))


def find_output_jacobian(module, code: Tensor) -> Tensor:
    """Return the derivatives (b, p, k) of the outputs by scaled codes (b, k)."""
    jacobian = module.decoder.jacobian(code.clamp(-_INPUT_LIMIT, _INPUT_LIMIT))
    within_limit = (code.abs() <= _INPUT_LIMIT).to(code.dtype)[:, None]
    if module.linear_path is None:
        return jacobian * within_limit
    slopes = module.output.link_derivative(module.linear_path.decode(code))
    by_linear_path = slopes[..., None] * module.linear_path.back_projection.T
    return torch.addcmul(by_linear_path, jacobian, within_limit)


def multiply_code_jacobian(module, inputs: Tensor, factors: Tensor) -> Tensor:
    """Return factors (b, k) times the derivatives of scaled codes, (b, p), by autograd.

    If rows of a batch depend on each other, as with batch normalisation, the result for a row sums
    the derivatives of the codes of all rows of the batch by that row.
    """
    differentiable = torch.is_grad_enabled()
    with torch.enable_grad():
        inputs = inputs.detach().requires_grad_()
        code = module.encode_raw(inputs) * module.code_scale
        (product,) = torch.autograd.grad(code, inputs, factors, create_graph=differentiable)
    return product


def compute_output_jacobian(module, code: Tensor) -> Tensor:
    """Return the derivatives (b, p, k) of the outputs by scaled codes (b, k), by autograd.

    The derivative of ``factors @ jacobian`` by the factors is the Jacobian, a column at a time.
    """
    differentiable = torch.is_grad_enabled()
    with torch.enable_grad():
        code = code if code.requires_grad else code.detach().requires_grad_()
        output = module.decode_raw(code / module.code_scale)
        factors = torch.zeros_like(output, requires_grad=True)
        (product,) = torch.autograd.grad(output, code, factors, create_graph=True)
        columns = [
            torch.autograd.grad(
                column.sum(), factors, create_graph=differentiable, retain_graph=True
            )[0]
            for column in product.unbind(-1)
        ]
    return torch.stack(columns, -1)
