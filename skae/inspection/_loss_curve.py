"""Plot of the loss per epoch."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Self

import numpy as np
from sklearn.pipeline import Pipeline

from skae.inspection._plotting import BLUE, COLORS, GREY, take_axes, widen

_SIZE = (5.6, 4.0)


@dataclass(eq=False, repr=False)
class LossCurveDisplay:
    """Training and validation loss per epoch.

    Create a display with `from_estimator`, which also plots it.

    Attributes
    ----------
    loss : array-like of shape (n_epochs,)
        Training loss of each epoch.
    validation_loss : array-like of shape (n_epochs + 1,) or (n_epochs,), default=None
        Loss of the held-out rows before the first epoch, if known, and after each epoch.
    best_epoch : int, default=None
        Epoch whose weights were kept. 0 is the start.
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        The figure.
    lines_ : list of matplotlib Line2D
        Curves of the training loss and, if there is one, of the validation loss.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoencoderTransformer
    >>> from skae.inspection import LossCurveDisplay
    >>> X = load_digits().data[:500]
    >>> autoencoder = AutoencoderTransformer(n_components=2, max_iter=5, random_state=0).fit(X)
    >>> display = LossCurveDisplay.from_estimator(autoencoder)
    >>> [line.get_label() for line in display.lines_]
    ['training', 'held-out rows']
    """

    loss: Sequence[float]
    validation_loss: Sequence[float] | None = None
    _: KW_ONLY
    best_epoch: int | None = None

    @classmethod
    def from_estimator(cls, estimator, *, ax=None) -> Self:
        """Plot the losses of a fitted estimator.

        Parameters
        ----------
        estimator : fitted estimator with ``loss_curve_``, or pipeline that ends in one
            Fitted estimator. Its `validation_loss_curve_` and `best_iter_` are plotted as well, if
            it has them.
        ax : matplotlib Axes, default=None
            Axes to plot on. None creates a new figure.

        Returns
        -------
        display : LossCurveDisplay
            The display, plotted.

        Raises
        ------
        TypeError
            If the estimator has no `loss_curve_`.
        """
        if isinstance(estimator, Pipeline):
            estimator = estimator[-1]
        if not hasattr(estimator, "loss_curve_"):
            raise TypeError(
                "`estimator` must be fitted and have a `loss_curve_`. Got "
                f"{type(estimator).__name__}. Fit an autoencoder first."
            )
        display = cls(
            estimator.loss_curve_,
            getattr(estimator, "validation_loss_curve_", None),
            best_epoch=getattr(estimator, "best_iter_", None),
        )
        return display.plot(ax=ax)

    def plot(self, ax=None, **kwargs) -> Self:
        """Plot the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. None creates a new figure.
        **kwargs : dict
            Passed to `Axes.plot` for both curves.

        Returns
        -------
        display : LossCurveDisplay
            The display, with its axes.
        """
        ax = take_axes(ax, "LossCurveDisplay.plot", _SIZE)
        self.ax_, self.figure_ = ax, ax.figure
        n_epochs = len(self.loss)
        style = {"marker": "o" if n_epochs <= 30 else None, "markersize": 3, **kwargs}
        curves = [(self.loss, "training", BLUE, "-")]
        if self.validation_loss is not None:
            curves.append((self.validation_loss, "held-out rows", COLORS[6], "--"))
        self.lines_ = []
        for values, label, color, dashes in curves:
            # A curve with one more value starts before the first epoch.
            epochs = np.arange(n_epochs - len(values), n_epochs) + 1
            look = {"label": label, "color": color, "linestyle": dashes, **style}
            self.lines_ += ax.plot(epochs, values, **look)
        if self.best_epoch is not None:
            label = f"epoch chosen: {self.best_epoch}"
            ax.axvline(self.best_epoch, color=GREY, linestyle=":", label=label)
        ax.set(xlabel="epoch", ylabel="loss")
        ax.xaxis.get_major_locator().set_params(integer=True)
        widen(ax.set_yscale, np.concatenate([values for values, *_ in curves]))
        ax.legend()
        return self
