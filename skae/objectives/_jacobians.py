"""How codes change with rows, and reconstructions with codes, of any autoencoder.

The autoencoder is known by its attributes: those of `skae.modules.Autoencoder`. Where its encoder
or decoder has `jacobian_factors` and `jacobian`, and says in `has_jacobian` that these can be
called, derivatives are in closed form. Everything is differentiable once more, for a penalty's own
gradient.

Shapes: b rows in a batch, p features, k codes.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

# `skae.modules.INPUT_LIMIT`, of which this package knows nothing.
_INPUT_LIMIT = 5.0


def has_encoder_jacobian(module) -> bool:
    """Tell whether `sum_squared_code_jacobian` knows this autoencoder."""
    plain = getattr(module, "sparsity", None) is None
    return plain and getattr(module.encoder, "has_jacobian", False)


def has_decoder_jacobian(module) -> bool:
    """Tell whether `find_output_jacobian` knows this autoencoder."""
    return getattr(module.decoder, "has_jacobian", False)


def sum_squared_code_jacobian(module, inputs: Tensor) -> Tensor:
    """Return the squared Frobenius norms (b,) of the scaled codes' derivatives by rows (b, p).

    With `h` units in the first layer, the Jacobian is ``U D W + P``, where `D` is diagonal and
    the only matrix that differs from row to row if there is one hidden layer. The squared norm of
    ``U D W`` is then ``d' ((W W') * (U' U)) d``, which costs no more than a layer: the Jacobian
    itself takes k times as long.
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
    # What is cut off does not reach the encoder: its part is taken away again.
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
    within_limit = _is_within_limit(code)[:, None]
    if module.linear_path is None:
        return jacobian * within_limit
    slopes = module.output.link_derivative(module.linear_path.decode(code))
    by_linear_path = slopes[..., None] * module.linear_path.back_projection.T
    return torch.addcmul(by_linear_path, jacobian, within_limit)


def multiply_code_jacobian(module, inputs: Tensor, factors: Tensor) -> Tensor:
    """Return factors (b, k) times the derivatives of scaled codes, (b, p), by autograd.

    Where rows of a batch depend on each other, as under batch normalisation, a row gets what all
    codes of the batch owe to it.
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


def _is_within_limit(scaled: Tensor) -> Tensor:
    """Return 1 where an entry passes the limit as it is and 0 where it is cut off."""
    return (scaled.abs() <= _INPUT_LIMIT).to(scaled.dtype)
