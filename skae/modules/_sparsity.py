"""Codes of which only a few are active."""

import torch
from torch import Tensor, nn


class TopK(nn.Module):
    """Keeps the codes of greatest size in each row and sets the others to zero.

    Makhzani and Frey keep the greatest; codes here have both signs, so their size decides. The
    gradient passes through what is kept.

    Parameters
    ----------
    n_active : int
        Number of codes of each row that are kept, at least 1; all where there are no more.

    Raises
    ------
    ValueError
        If `n_active` is below 1.

    References
    ----------
    Makhzani, A., Frey, B. (2014). k-sparse autoencoders. International Conference on Learning
    Representations. https://doi.org/10.48550/arXiv.1312.5663

    Examples
    --------
    >>> import torch
    >>> from skae.modules import TopK
    >>> TopK(2)(torch.tensor([[1.0, -3.0, 0.0, 2.0]]))
    tensor([[ 0., -3.,  0.,  2.]])
    """

    def __init__(self, n_active: int) -> None:
        super().__init__()
        if n_active < 1:
            raise ValueError(
                f"`n_active` must be a number of codes, 1 or more. Got {n_active}. "
                "At least one code must be left to reconstruct from."
            )
        self.n_active = n_active

    def forward(self, code: Tensor) -> Tensor:
        """Set all but the greatest codes to zero.

        Parameters
        ----------
        code : Tensor of shape (n_samples, n_components)
            Codes of about one size.

        Returns
        -------
        sparse : Tensor of shape (n_samples, n_components)
            Codes with zeros.
        """
        if self.n_active >= code.shape[-1]:
            return code
        kept = code.abs().topk(self.n_active, dim=-1, sorted=False).indices
        return torch.zeros_like(code).scatter(-1, kept, code.gather(-1, kept))
