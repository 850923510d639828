"""Recurrent architecture, for sequences."""

from torch import nn

from skae._shared.checks import check_choice, check_count
from skae.architectures._base import Architecture, list_layer_options, refuse_settings
from skae.modules import RecurrentDecoder, RecurrentEncoder, StackPlan

_CELLS = ("gru", "lstm")


class Recurrent(Architecture):
    """Recurrent layers for sequences, as in ``architecture="recurrent"``.

    The encoder reads a sequence step by step, and the decoder returns one. `sample_shape` of the
    estimator is (steps, features per step). With ``missing="mask"``, sequences may have different
    lengths, padded with NaN as by `skae.sequences.SequencePadder`. `hidden_layer_sizes` of the
    estimator are dense layers between the recurrent layers and the codes; by default there are
    none.

    Parameters
    ----------
    cell : {"gru", "lstm"}, default="gru"
        Gated recurrent units, or long short-term memory. On a CPU, the latter trains in about three
        quarters of the time, but in more time where folds choose the number of epochs.
    n_units : int, default=64
        Number of units per recurrent layer; at least 1.
    n_layers : int, default=1
        Number of recurrent layers in the encoder, and in the decoder; at least 1. More than two
        rarely help.
    bidirectional : bool, default=False
        Whether a second network reads the sequence in the other direction, for sequences whose
        beginning and end are equally informative. Doubles the time of the encoder.
    reverse : bool, default=True
        Whether the encoder reads sequences from end to beginning, so that it has just read the
        steps that the decoder returns first (Sutskever et al.).

    References
    ----------
    Sutskever, I., Vinyals, O. and Le, Q. V. (2014). Sequence to sequence learning with neural
    networks. https://doi.org/10.48550/arXiv.1409.3215

    Srivastava, N., Mansimov, E. and Salakhutdinov, R. (2015). Unsupervised learning of video
    representations using LSTMs. https://doi.org/10.48550/arXiv.1502.04681

    Examples
    --------
    >>> import numpy as np
    >>> from skae import AutoencoderTransformer
    >>> from skae.architectures import Recurrent
    >>> from skae.sequences import SequencePadder
    >>> source = np.random.default_rng(0)
    >>> lengths = source.integers(3, 9, size=30)
    >>> waves = [np.sin(np.arange(n) + source.uniform(0, 6)) for n in lengths]
    >>> padder = SequencePadder()
    >>> X = padder.fit_transform(waves)
    >>> autoencoder = AutoencoderTransformer(
    ...     2,
    ...     architecture=Recurrent(n_units=8),
    ...     sample_shape=padder.sample_shape_,
    ...     missing="mask",
    ...     max_iter=5,
    ...     random_state=0,
    ... )
    >>> autoencoder.fit_transform(X).shape
    (30, 2)
    """

    takes_padding = True

    def __init__(
        self, cell="gru", *, n_units=64, n_layers=1, bidirectional=False, reverse=True
    ) -> None:
        self.cell = cell
        self.n_units = n_units
        self.n_layers = n_layers
        self.bidirectional = bidirectional
        self.reverse = reverse

    def check(self) -> dict:
        """Return the parameters as those of `skae.modules.RecurrentEncoder`.

        Returns
        -------
        options : dict
            Options of the encoder. The decoder has no `bidirectional` and `backwards`.

        Raises
        ------
        ValueError
            If a parameter is not as described.
        """
        check_choice("cell", self.cell, _CELLS, "Use the first if in doubt.")
        for name in ("n_units", "n_layers"):
            default = 64 if name == "n_units" else 1
            check_count(name, getattr(self, name), f"The default is {default}.")
        return {
            "cell": self.cell,
            "n_units": int(self.n_units),
            "n_layers": int(self.n_layers),
            "bidirectional": bool(self.bidirectional),
            "backwards": bool(self.reverse),
        }

    def make_stacks(self, plan: StackPlan) -> tuple[nn.Module, nn.Module]:
        """Return a new `RecurrentEncoder` and a new `RecurrentDecoder`.

        Samples without two axes and wrong parameters are refused.
        """
        own = self.check()
        self._check_plan(plan)
        hidden = () if isinstance(plan.hidden_layer_sizes, str) else plan.hidden_layer_sizes
        params = {name: own[name] for name in ("n_units", "cell", "n_layers")}
        params |= list_layer_options(plan)
        encoder = RecurrentEncoder(
            plan.sample_shape,
            plan.n_encoder_outputs,
            hidden,
            bidirectional=own["bidirectional"],
            backwards=own["backwards"],
            masked=plan.masked,
            **params,
        )
        return encoder, RecurrentDecoder(
            plan.n_components, plan.sample_shape, hidden[::-1], **params
        )

    def _check_plan(self, plan: StackPlan):
        refuse_settings("a recurrent `architecture`", plan, tied_weights=False)
        if not plan.hidden_layer_sizes or isinstance(plan.hidden_layer_sizes, str):
            # Only dense hidden layers are normalised.
            refuse_settings("recurrent layers only", plan, normalization=None)
        if len(plan.sample_shape) != 2:
            raise ValueError(
                "`sample_shape` must be (steps, features of a step) with a recurrent "
                f"`architecture`. Got {plan.sample_shape}. For a table whose columns are steps of "
                "one feature, set it to (-1, 1)."
            )
