"""Autoencoder: encoder, decoder, and a linear path that starts as PCA."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from skae.modules._odd_cells import Coder
from skae.modules._output import LinearOutput
from skae.modules._products import linear
from skae.modules._reach import Reach, Shown, find_yielding_limits


class LinearPath(nn.Module):
    """Projection to codes and back, which starts as PCA and stores its start.

    Parameters
    ----------
    projection : Tensor of shape (n_components, n_features)
        Initial projection to the codes.
    back_projection : Tensor of shape (n_components, n_features)
        Initial projection back to the rows.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import LinearPath
    >>> path = LinearPath(torch.eye(2, 3), torch.eye(2, 3))
    >>> path.encode(torch.tensor([[1.0, 2.0, 3.0]]))
    tensor([[1., 2.]], grad_fn=<MmBackward0>)
    """

    first_projection: Tensor
    first_back_projection: Tensor

    def __init__(self, projection: Tensor, back_projection: Tensor) -> None:
        super().__init__()
        self.projection = nn.Parameter(projection)
        self.back_projection = nn.Parameter(back_projection)
        self.register_buffer("first_projection", projection.detach().clone())
        self.register_buffer("first_back_projection", back_projection.detach().clone())

    @torch.no_grad()
    def start_(self, projection: Tensor, back_projection: Tensor) -> None:
        """Set the start to axes of shape (n_found, n_features), one per code from the first on."""
        pairs = [
            (projection, self.projection, self.first_projection),
            (back_projection, self.back_projection, self.first_back_projection),
        ]
        for axes, present, first in pairs:
            present[: len(axes)] = axes
            first[: len(axes)] = axes

    @torch.no_grad()
    def turn_start_(self, axes: Tensor, input_scale: Tensor):
        """Set the stored start to other principal axes, rotated to keep codes similar.

        Parameters
        ----------
        axes : Tensor of shape (n_found, n_features)
            Orthonormal axes of standardised rows, as many as at the start.
        input_scale : Tensor of shape (n_features,)
            Factors that turn standardised rows into the inputs of the projection.
        """
        n_found = len(axes)
        own = (self.first_projection[:n_found] * input_scale).double()
        lengths = torch.linalg.vector_norm(own, dim=1, keepdim=True)
        left, _, right = torch.linalg.svd(own / lengths @ axes.T.double())
        turned = left @ right @ axes.double()
        back_lengths = torch.linalg.vector_norm(self.first_back_projection[:n_found], dim=1)
        self.first_projection[:n_found] = turned * lengths / input_scale
        self.first_back_projection[:n_found] = turned * back_lengths[:, None]

    def encode(self, inputs: Tensor) -> Tensor:
        """Project scaled features to codes, in full precision."""
        return _multiply_precisely(inputs, self.projection)

    def decode(self, code: Tensor) -> Tensor:
        """Project scaled codes back to features, in full precision."""
        return _multiply_precisely(code, self.back_projection.T)

    def encode_first(self, inputs: Tensor) -> Tensor:
        """Project scaled features to codes as before training, in full precision."""
        return _multiply_precisely(inputs, self.first_projection)

    def decode_first(self, code: Tensor) -> Tensor:
        """Project scaled codes back to features as before training, in full precision."""
        return _multiply_precisely(code, self.first_back_projection.T)


def _multiply_precisely(inputs: Tensor, weight: Tensor) -> Tensor:
    """Return ``inputs @ weight.T`` in the precision of the inputs."""
    device = inputs.device.type
    # For a single row, the context takes longer than the product.
    if not torch.is_autocast_enabled(device):
        return linear(inputs, weight)
    with torch.autocast(device, enabled=False):
        return linear(inputs, weight)


class CodeBasis(nn.Module):
    """Affine change of basis of the codes, and its inverse.

    Training uses the basis of the network, and users see this basis. Reconstructions are not
    affected.

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

    def __init__(self, n_components: int, *, dtype=torch.float32) -> None:
        super().__init__()
        # Without storage, `torch.eye` imports torch's compiler.
        eye = torch.zeros(n_components, n_components, dtype=dtype, device="cpu").fill_diagonal_(1)
        self.register_buffer("origin", eye.new_zeros(n_components))
        self.register_buffer("forward_map", eye)
        self.register_buffer("inverse_map", eye.clone())

    def set_(self, origin: Tensor, forward_map: Tensor, inverse_map: Tensor):
        """Set the basis.

        Parameters
        ----------
        origin : Tensor of shape (n_components,)
            Raw code that becomes zero.
        forward_map, inverse_map : Tensor of shape (n_components, n_components)
            Matrix by which raw codes minus the origin are multiplied from the right, and inverse.
        """
        for name, value in [
            ("origin", origin),
            ("forward_map", forward_map),
            ("inverse_map", inverse_map),
        ]:
            getattr(self, name).copy_(value)

    def forward(self, raw_code: Tensor) -> Tensor:
        """Convert raw codes to this basis."""
        return (raw_code - self.origin) @ self.forward_map

    def inverse(self, code: Tensor) -> Tensor:
        """Convert codes from this basis to raw codes."""
        return code @ self.inverse_map + self.origin


class Autoencoder(nn.Module):
    """Autoencoder with an encoder, a decoder and a linear path.

    With `s` the standardised row, and `u` and `w` the row and the code with every entry scaled to
    about unit size, the code is ``z = P u + e(u)``, the reconstruction ``s' = link(Q w) + d(w)``.
    With principal axes in `P` and `Q` and zeros in the last layers of `e` and `d`, this is PCA.

    Parameters
    ----------
    encoder : Module
        `e`, from (n_samples, n_features) to (n_samples, n_components).
    decoder : Module
        `d`, from (n_samples, n_components) to (n_samples, n_features).
    basis : CodeBasis
        Basis of the codes that users see.
    input_scale : Tensor of shape (n_features,)
        Factors that turn the entries of a row into `u`. Optimisers take steps of about equal size
        for all weights, so all inputs should have about the same size.
    code_scale : Tensor of shape (n_components,)
        Factors that turn the entries of a code into `w`.
    linear_path : LinearPath, default=None
        `P` and `Q`. None makes a plain autoencoder.
    output : Module, default=None
        Link and reconstruction. None means `LinearOutput`.
    sparsity : Module, default=None
        Module that makes codes sparse, such as ``torch.nn.Hardshrink``. It takes `w` and returns it
        with zeros.
    filling : Module, default=None
        Module that fills the missing cells of `u`, such as `GaussianFilling`. The encoder then has
        2 n_features inputs: the filled `u`, and a mask that is 1 in missing cells and 0 otherwise.

    Notes
    -----
    The inputs of the encoder and the decoder are clipped at five, so that outliers do not lead them
    far from their training data. The linear path receives them unclipped.

    If a `reach` is set, everything that the network has learned fades for rows beyond the known
    rows. With `x` the distance of each entry of `s` from the range of the known rows, widened as in
    `Reach`, divided by the square root of the number of features, and `v` the rows moved towards
    these ranges,

    ::

        d = sum(h x**2),  m = max(h x**2)
        f = 1 / (1 + d - m + y d / (1 + d))         share of the network
        r = u - f (v + (u - v) m / d)               rest for PCA
        z = f (P v + e(v)) + P0 r

    where `P0` is the linear path before training (PCA), `h` the leverage of each feature (the share
    of a change in the feature that PCA's reconstruction follows), and `y` the squared distance of
    PCA's code from the known codes. Known rows have ``v = u`` and ``f = 1``, so nothing changes.

    A single odd entry is ignored: PCA would spread it to all other features, through a code that
    the decoder may take for that of a known row. If the code is far from all known codes, or if
    several entries are odd, the model becomes PCA in the limit. Codes are decoded in the same way
    with `Q0`, and the share of the network is ``1 / (1 + y)``. As the unit of `s` is PCA's error,
    this share is one half where the part beyond the ranges moves PCA's reconstruction by its usual
    error. Codes of rows beyond the ranges whose error is above PCA's are improved.

    Attributes
    ----------
    reach : Reach or None
        Ranges of `u` and `w` among the known rows, set by `set_reach_`.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import Autoencoder, CodeBasis, DenseStack
    >>> model = Autoencoder(
    ...     DenseStack([4, 8, 2]), DenseStack([2, 8, 4]), CodeBasis(2), torch.ones(4), torch.ones(2)
    ... )
    >>> code = model.encode(torch.zeros(5, 4))
    >>> code.shape, model.decode(code).shape
    (torch.Size([5, 2]), torch.Size([5, 4]))
    """

    input_scale: Tensor
    code_scale: Tensor

    def __init__(
        self,
        encoder,
        decoder,
        basis,
        input_scale,
        code_scale,
        *,
        linear_path=None,
        output=None,
        sparsity=None,
        filling=None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.linear_path = linear_path
        self.output = LinearOutput() if output is None else output
        self.sparsity = sparsity
        self.filling: nn.Module | None = filling
        self.reach: Reach | None = None
        self.basis = basis
        self.register_buffer("input_scale", input_scale)
        self.register_buffer("code_scale", code_scale)

    def set_reach_(
        self,
        row_bounds: Tensor,
        code_bounds: Tensor,
        *,
        learned: bool = True,
        yields: bool = False,
        usual: Tensor | None = None,
        improves: bool = False,
    ):
        """Make the share of the network fade for rows and codes far from the known ones.

        Parameters
        ----------
        row_bounds : Tensor of shape (2, n_features)
            Minima and maxima of the known rows, as returned by `scale_rows`.
        code_bounds : Tensor of shape (2, n_components)
            Minima and maxima of the raw codes of these rows, times `code_scale`.
        learned : bool, default=True
            Whether the network has learned anything. If False, it is PCA, and its share for rows
            does not fade.
        yields : bool, default=False
            Whether the range of reconstructions widens for codes far from the known ones.
        usual : Tensor of shape (2, n_features), default=None
            Range of usual values of `scale_rows`, which replace few odd cells that harm
            the reconstruction of the others. None keeps odd cells.
        improves : bool, default=False
            Whether codes of far rows are improved where the errors would be above PCA's.
        """
        root = len(self.input_scale) ** 0.5
        axes = self.linear_path.first_back_projection
        lengths = torch.linalg.vector_norm(axes, dim=1)
        tiny = torch.finfo(axes.dtype).tiny
        leverage = (axes / lengths.clamp_min(tiny)[:, None]).square().sum(0) * learned
        row_unit, code_unit = 1 / (self.input_scale * root), lengths / root
        limits = find_yielding_limits(code_bounds) if yields else None
        own = (row_bounds, code_bounds, row_unit, leverage, code_unit)
        improving = torch.ones_like(code_unit[0]) if improves else None
        self.reach = Reach(*own, yielding_limits=limits, usual=usual, improving=improving)

    @property
    def row_bounds(self) -> Tensor | None:
        """Range of known standardised rows, of shape (2, n_features), if any."""
        return None if self.reach is None else self.reach.row_bounds / self.input_scale

    def encode_raw(self, inputs: Tensor) -> Tensor:
        """Return raw codes, in the basis of the network."""
        scaled = self.scale_rows(inputs)
        shown = self._limit_rows(scaled)
        code = self._encode_shown(shown, inputs)
        if self.reach is None or shown.is_usual:
            return code
        coder = Coder(
            partial(self._encode_scaled, inputs),
            partial(self._find_squares, inputs),
            partial(self._find_errors, inputs),
            partial(self._find_first_errors, inputs),
            self._project_raw,
        )
        code = self.reach.settle_codes(code, scaled, coder, shown.odd)
        return self.reach.improve_codes(code, scaled, coder, shown)

    def _encode_scaled(self, inputs: Tensor, scaled: Tensor, rows: Tensor | None = None) -> Tensor:
        """Return raw codes for scaled rows, which are those of the inputs with these indices."""
        inputs = inputs if rows is None else inputs[rows]
        return self._encode_shown(self._limit_rows(scaled), inputs)

    def _encode_shown(self, shown: Shown, inputs: Tensor) -> Tensor:
        """Return raw codes for rows as input of the network."""
        code = self._add_linear_path(self.encoder(self._show(shown, inputs)), shown)
        if self.sparsity is None:
            return code
        return self.sparsity(code * self.code_scale) / self.code_scale

    def scale_rows(self, inputs: Tensor) -> Tensor:
        """Return scaled rows with filled missing cells."""
        scaled = inputs * self.input_scale
        return scaled if self.filling is None else self.filling(scaled)

    def _show(self, shown: Shown, inputs: Tensor) -> Tensor:
        """Return the inputs of the encoder."""
        clipped = shown.clip()
        if self.filling is None:
            return clipped
        return torch.cat([clipped, inputs.isnan().to(clipped.dtype)], -1)

    def _limit_rows(self, scaled: Tensor) -> Shown:
        """Return scaled rows as input of the network."""
        return Shown(scaled) if self.reach is None else self.reach.limit_rows(scaled, self.project)

    def project(self, scaled: Tensor) -> Tensor:
        """Return the scaled codes of PCA for scaled rows."""
        return self.linear_path.encode_first(scaled) * self.code_scale

    def _find_squares(
        self, inputs: Tensor, scaled: Tensor, codes: Sequence[Tensor | None], rows: Tensor | None
    ) -> list[Tensor]:
        """Return squared errors of the network for raw codes, or of PCA; see `Coder`."""
        given = scaled / self.input_scale
        found = [
            self._restore_first(scaled) if code is None else self.restore(code) for code in codes
        ]
        squares = [(own - given).square_() for own in found]
        if self.filling is None:
            return squares
        # The cells that are missing were filled.
        missing = (inputs if rows is None else inputs[rows]).isnan()
        return [own.masked_fill(missing, 0) for own in squares]

    def _restore_first(self, scaled: Tensor) -> Tensor:
        """Return the reconstruction of scaled rows by PCA."""
        first = self.project(scaled)
        return self._bound(self.output.link(self.linear_path.decode_first(first)), first)

    def _project_raw(self, rows: Tensor) -> Tensor:
        """Return the raw codes of PCA for standardised rows; see `Coder`."""
        return self.project(rows * self.input_scale) / self.code_scale

    def _find_errors(
        self, inputs: Tensor, scaled: Tensor, code: Tensor, rows: Tensor | None
    ) -> Tensor:
        """Return errors of the network for raw codes; see `Coder`."""
        return self._compare(inputs, scaled, self.restore(code), rows)

    def _find_first_errors(self, inputs: Tensor, scaled: Tensor, rows: Tensor | None) -> Tensor:
        """Return errors of PCA without bounds; see `Coder`."""
        found = self.linear_path.decode_first(self.project(scaled))
        return self._compare(inputs, scaled, found, rows)

    def _compare(self, inputs, scaled: Tensor, found: Tensor, rows: Tensor | None) -> Tensor:
        """Return reconstructions minus rows, zero in missing cells, which were filled."""
        errors = found - scaled / self.input_scale
        if self.filling is None:
            return errors
        return errors.masked_fill((inputs if rows is None else inputs[rows]).isnan(), 0)

    def _add_linear_path(self, code: Tensor, shown: Shown) -> Tensor:
        """Return codes, given the outputs of the encoder."""
        if self.linear_path is None:
            return code
        code = code + self.linear_path.encode(shown.values)
        return shown.fade(code, self.linear_path.encode_first)

    def fill(self, inputs: Tensor) -> Tensor:
        """Return standardised rows with filled missing cells, without applying the network."""
        if self.filling is None:
            return inputs
        filled = self.filling(inputs * self.input_scale) / self.input_scale
        return torch.where(inputs.isnan(), filled, inputs)

    def decode_raw(self, raw_code: Tensor) -> Tensor:
        """Return the output for raw codes."""
        return self._decode_by(self.decoder, raw_code)

    def _decode_by(self, decoder: nn.Module, raw_code: Tensor) -> Tensor:
        scaled = raw_code * self.code_scale
        shown = Shown(scaled) if self.reach is None else self.reach.limit_codes(scaled)
        output = decoder(shown.clip())
        if self.linear_path is None:
            return output
        line = shown.fade(self.linear_path.decode(shown.values), self.linear_path.decode_first)
        return shown.fade(output) + self.output.link(line)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the output, as the loss accepts it.

        Parameters
        ----------
        inputs : Tensor of shape (n_samples, n_features)
            Standardised rows.

        Returns
        -------
        output : Tensor of shape (n_samples, n_features)
            Reconstructions before `output` is applied, such as logits.
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
        return self.restore(self.basis.inverse(code))

    def reconstruct(self, inputs: Tensor) -> Tensor:
        """Return the reconstruction of standardised rows, without the change of basis."""
        return self.restore(self.encode_raw(inputs))

    def restore(self, raw_code: Tensor) -> Tensor:
        """Return the reconstruction of raw codes, of shape (n_samples, n_features)."""
        return self._bound(self.decode_raw(raw_code), raw_code * self.code_scale)

    def _bound(self, output: Tensor, scaled: Tensor) -> Tensor:
        """Return reconstructions, within bounds unless these yield, given scaled codes."""
        release = None if self.reach is None else self.reach.find_release(scaled)
        if release is None:
            return self.output(output)
        excess = self.output.find_excess(self.linear_path.decode_first(scaled))
        return self.output(output, release * excess)
