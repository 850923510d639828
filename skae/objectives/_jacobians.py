"""How codes change with rows, and reconstructions with codes, of any autoencoder.

The autoencoder is known by its attributes: those of `skae.modules.Autoencoder`. Where its encoder
or decoder has `jacobian`, and says in `has_jacobian` that it can be called, derivatives are in
closed form. Everything is differentiable once more, for a penalty's own gradient.

Shapes: b rows in a batch, p features, k codes.
"""

import torch
from torch import Tensor

# `skae.modules.INPUT_LIMIT`, of which this package knows nothing.
_INPUT_LIMIT = 5.0


def has_encoder_jacobian(module) -> bool:
    """Tell whether `find_code_jacobian` knows this autoencoder."""
    plain = getattr(module, "sparsity", None) is None
    return plain and getattr(module.encoder, "has_jacobian", False)


def has_decoder_jacobian(module) -> bool:
    """Tell whether `find_output_jacobian` knows this autoencoder."""
    return getattr(module.decoder, "has_jacobian", False)


def find_code_jacobian(module, inputs: Tensor) -> Tensor:
    """Return the derivatives (b, k, p) of the scaled codes by standardised rows (b, p)."""
    scaled = inputs * module.input_scale
    jacobian = module.encoder.jacobian(scaled.clamp(-_INPUT_LIMIT, _INPUT_LIMIT))
    factors = (module.input_scale * _is_within_limit(scaled))[:, None]
    if module.linear_path is None:
        jacobian = jacobian * factors
    else:
        projection = module.linear_path.projection * module.input_scale
        jacobian = torch.addcmul(projection, jacobian, factors)
    return jacobian * module.code_scale[:, None]


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
