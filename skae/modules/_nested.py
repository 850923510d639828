"""Nested autoencoders, which decode any number of first codes."""

from bisect import bisect_left
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from skae.modules._autoencoder import Autoencoder


def list_levels(n_components: int) -> tuple[int, ...]:
    """Return the powers of two below a number of codes, and that number.

    Parameters
    ----------
    n_components : int
        Number of codes, at least 1.

    Returns
    -------
    levels : tuple of int
        Largest number of codes of each decoder of a nested autoencoder, in ascending order.

    Examples
    --------
    >>> from skae.modules import list_levels
    >>> list_levels(1), list_levels(6), list_levels(8)
    ((1,), (1, 2, 4, 6), (1, 2, 4, 8))
    """
    powers = [1 << level for level in range(n_components.bit_length())]
    return *(power for power in powers if power < n_components), n_components


class NestedDecoder(nn.Module):
    """Decoders for different numbers of codes.

    Parameters
    ----------
    stages : list of Module
        Decoders of n_components codes, one for each of `list_levels`. Omitted codes are zero in
        their inputs.
    n_components : int
        Number of codes.

    Attributes
    ----------
    levels : tuple of int
        Largest number of codes of each stage.

    Examples
    --------
    >>> from skae.modules import DenseStack, NestedDecoder
    >>> decoder = NestedDecoder([DenseStack([3, 5]) for _ in range(3)], 3)
    >>> decoder.levels
    (1, 2, 3)
    """

    def __init__(self, stages: Sequence[nn.Module], n_components: int) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.levels = list_levels(n_components)

    def find_stage(self, n_codes: int) -> nn.Module:
        """Return the decoder of the first `n_codes` codes."""
        return self.stages[bisect_left(self.levels, n_codes)]

    def forward(self, code: Tensor) -> Tensor:
        """Return the output for all codes, of shape (n_samples, n_components)."""
        return self.stages[-1](code)


class NestedAutoencoder(Autoencoder):
    """Autoencoder that can decode any number of first codes.

    Omitted codes are zero in the basis of the network. The basis that users see must not mix later
    codes into earlier ones, as is ensured by `order_nested_codes_`.

    Parameters
    ----------
    *args, **kwargs
        Arguments of `Autoencoder`. The decoder is a `NestedDecoder`.

    Attributes
    ----------
    prefix_weights : Tensor of shape (n_components,)
        Weight of the loss with one code, with two codes, and so on.
    n_decoded : Tensor of int of shape (n_components,)
        Number of codes that are decoded if one code is given, if two are given, and so on. Fewer
        than are given if the last of them, which were trained together with later codes, do harm.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import CodeBasis, DenseStack, NestedAutoencoder, NestedDecoder
    >>> decoder = NestedDecoder([DenseStack([3, 5]) for _ in range(3)], 3)
    >>> model = NestedAutoencoder(
    ...     DenseStack([5, 3]), decoder, CodeBasis(3), torch.ones(5), torch.ones(3)
    ... )
    >>> code = model.encode(torch.zeros(4, 5))
    >>> model.decode(code[:, :2]).shape
    torch.Size([4, 5])
    """

    prefix_weights: Tensor
    n_decoded: Tensor

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.register_buffer("prefix_weights", torch.ones_like(self.code_scale))
        self.register_buffer("n_decoded", torch.arange(1, len(self.code_scale) + 1))

    def decode(self, code: Tensor) -> Tensor:
        """Return the reconstruction of all codes, or of the first codes only.

        Parameters
        ----------
        code : Tensor of shape (n_samples, n_codes)
            First codes in the basis that users see, at least one.

        Returns
        -------
        reconstruction : Tensor of shape (n_samples, n_features)
            Standardised rows.
        """
        n_codes, n_components = code.shape[-1], len(self.code_scale)
        if n_codes == n_components:
            return super().decode(code)
        n_codes = int(self.n_decoded[n_codes - 1])
        kept = code[..., :n_codes]
        raw = self.basis.inverse(nn.functional.pad(kept, (0, n_components - n_codes)))
        return self.output(self.decode_first(raw, n_codes))

    def decode_first(self, raw_code: Tensor, n_codes: int) -> Tensor:
        """Return the output for the first codes.

        Parameters
        ----------
        raw_code : Tensor of shape (n_samples, n_components)
            Raw codes.
        n_codes : int
            Number of codes to decode, at least one.

        Returns
        -------
        output : Tensor of shape (n_samples, n_features)
            Output, as the loss accepts it.
        """
        is_kept = torch.arange(raw_code.shape[-1], device=raw_code.device) < n_codes
        return self._decode_by(self.decoder.find_stage(n_codes), raw_code * is_kept)

    def decode_groups(self, raw_code: Tensor, is_kept: Tensor) -> Tensor:
        """Return the output of each stage for its own codes.

        Parameters
        ----------
        raw_code : Tensor of shape (n_levels, n_samples, n_components)
            Raw codes.
        is_kept : Tensor of the same shape
            1 for codes that are decoded, 0 for omitted codes.

        Returns
        -------
        output : Tensor of shape (n_levels, n_samples, n_features)
            Output, as the loss accepts it.
        """
        pairs = zip(self.decoder.stages, raw_code * is_kept, strict=True)
        return torch.stack([self._decode_by(stage, code) for stage, code in pairs])
