"""The autoencoder: PCA as a linear path, beside an encoder and a decoder."""

import torch
from torch import Tensor, nn

from skae.modules._output import LinearOutput


class LinearPath(nn.Module):
    """A projection to the codes and back, which is PCA and stays it.

    Parameters
    ----------
    components : Tensor of shape (n_found, n_features)
        Orthonormal principal axes.
    n_components : int
        Number of codes, at least `n_found`; nothing is projected to those beyond.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import LinearPath
    >>> path = LinearPath(torch.eye(2, 3), 2)
    >>> path.encode(torch.tensor([[1.0, 2.0, 3.0]]))
    tensor([[1., 2.]])
    """

    axes: Tensor

    def __init__(self, components: Tensor, n_components: int):
        super().__init__()
        missing = components.new_zeros(n_components - len(components), components.shape[1])
        self.register_buffer("axes", torch.cat([components, missing]))

    def encode(self, inputs: Tensor) -> Tensor:
        """Project features to codes."""
        return inputs @ self.axes.T

    def decode(self, code: Tensor) -> Tensor:
        """Project codes back to features."""
        return code @ self.axes


class CodeBasis(nn.Module):
    """An affine change of basis of the codes, and its inverse.

    Training works in the basis that it finds; users see this one. Reconstructions are the same.

    Parameters
    ----------
    n_components : int
        Number of codes.
    dtype : torch.dtype, default=torch.float32
        Type of the matrices.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import CodeBasis
    >>> basis = CodeBasis(2)
    >>> basis.set_(torch.zeros(2), torch.eye(2) * 2, torch.eye(2) / 2)
    >>> basis(torch.ones(1, 2))
    tensor([[2., 2.]])
    """

    origin: Tensor
    forward_map: Tensor
    inverse_map: Tensor

    def __init__(self, n_components: int, *, dtype=torch.float32):
        super().__init__()
        eye = torch.eye(n_components, dtype=dtype, device="cpu")
        self.register_buffer("origin", eye.new_zeros(n_components))
        self.register_buffer("forward_map", eye)
        self.register_buffer("inverse_map", eye.clone())

    def set_(self, origin: Tensor, forward_map: Tensor, inverse_map: Tensor):
        """Take over a basis.

        Parameters
        ----------
        origin : Tensor of shape (n_components,)
            The raw code that becomes zero.
        forward_map, inverse_map : Tensor of shape (n_components, n_components)
            What raw codes, less the origin, are multiplied with from the right, and the inverse.
        """
        for name, value in [
            ("origin", origin),
            ("forward_map", forward_map),
            ("inverse_map", inverse_map),
        ]:
            getattr(self, name).copy_(value)

    def forward(self, raw_code: Tensor) -> Tensor:
        """Express raw codes in this basis."""
        return (raw_code - self.origin) @ self.forward_map

    def inverse(self, code: Tensor) -> Tensor:
        """Express codes of this basis in the network's own."""
        return code @ self.inverse_map + self.origin


class Autoencoder(nn.Module):
    """An encoder and a decoder with a linear path beside them.

    With `s` the standardised row, the code is ``z = P s + e(s)`` and the reconstruction
    ``s' = link(P' z) + d(z)``, `P` being the principal axes. Where the last layers of `e` and `d`
    are zero, this is PCA.

    Parameters
    ----------
    encoder : Module
        `e`, from (n_samples, n_features) to (n_samples, n_components).
    decoder : Module
        `d`, from (n_samples, n_components) to (n_samples, n_features).
    basis : CodeBasis
        The basis in which codes are shown.
    linear_path : LinearPath, default=None
        `P` and its transpose; a plain autoencoder where None.
    output : Module, default=None
        The link and the reconstruction, a `LinearOutput` where None.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import Autoencoder, CodeBasis, DenseStack
    >>> model = Autoencoder(DenseStack([4, 8, 2]), DenseStack([2, 8, 4]), CodeBasis(2))
    >>> code = model.encode(torch.zeros(5, 4))
    >>> code.shape, model.decode(code).shape
    (torch.Size([5, 2]), torch.Size([5, 4]))
    """

    def __init__(self, encoder, decoder, basis, *, linear_path=None, output=None):
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.linear_path = linear_path
        self.output = LinearOutput() if output is None else output
        self.basis = basis

    def encode_raw(self, inputs: Tensor) -> Tensor:
        """Return codes in the network's own basis."""
        code = self.encoder(inputs)
        return code if self.linear_path is None else code + self.linear_path.encode(inputs)

    def decode_raw(self, raw_code: Tensor) -> Tensor:
        """Return the output for codes in the network's own basis."""
        output = self.decoder(raw_code)
        if self.linear_path is None:
            return output
        return output + self.output.link(self.linear_path.decode(raw_code))

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the output, as the loss takes it.

        Parameters
        ----------
        inputs : Tensor of shape (n_samples, n_features)
            Standardised rows.

        Returns
        -------
        output : Tensor of shape (n_samples, n_features)
            Reconstructions before `output` was applied: logits where that is logistic.
        """
        return self.decode_raw(self.encode_raw(inputs))

    def encode(self, inputs: Tensor) -> Tensor:
        """Return the codes of standardised rows.

        Parameters
        ----------
        inputs : Tensor of shape (n_samples, n_features)
            Standardised rows.

        Returns
        -------
        code : Tensor of shape (n_samples, n_components)
            Codes in the basis that users see.
        """
        return self.basis(self.encode_raw(inputs))

    def decode(self, code: Tensor) -> Tensor:
        """Return the reconstruction of codes.

        Parameters
        ----------
        code : Tensor of shape (n_samples, n_components)
            Codes in the basis that users see.

        Returns
        -------
        reconstruction : Tensor of shape (n_samples, n_features)
            Standardised rows.
        """
        return self.output(self.decode_raw(self.basis.inverse(code)))

    def reconstruct(self, inputs: Tensor) -> Tensor:
        """Return the reconstruction of standardised rows, without a detour through the basis."""
        return self.output(self.forward(inputs))
