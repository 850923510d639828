"""Plot of the loss during training, in a notebook."""

import sys
from functools import partial
from io import BytesIO
from numbers import Real
from time import monotonic

from skae._shared.extras import import_extra
from skae.inspection._loss_curve import LossCurveDisplay

_SIZE = (5.6, 3.4)
_PIXELS_PER_INCH = 144
# Limits the share of time spent on plotting to about a tenth.
_LEAST_PAUSE_PER_DRAWING = 9


class LiveLossCurve:
    """Callback for scikit-learn that plots the losses during training, in a notebook.

    The plot below the cell is updated repeatedly, and the final curve remains. Outside of notebooks
    the callback does nothing, so scripts can keep it. Set it on the autoencoder, also if this is a
    step of a pipeline. Callbacks need scikit-learn 1.9 or later.

    Parameters
    ----------
    interval : float, default=0.5
        Minimum number of seconds between two updates; at least 0. The interval is longer if
        plotting takes long. Increase it for notebooks on a remote machine.

    See Also
    --------
    skae.inspection.LossCurveDisplay : Plot of the losses after the fit.
    sklearn.callback.ProgressBar : Progress of a fit.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoencoderTransformer
    >>> from skae.inspection import LiveLossCurve
    >>> autoencoder = AutoencoderTransformer(n_components=2, max_iter=5, random_state=0)
    >>> if hasattr(autoencoder, "set_callbacks"):  # since scikit-learn 1.9
    ...     _ = autoencoder.set_callbacks(LiveLossCurve(interval=1))
    >>> autoencoder.fit(load_digits().data[:500]).n_iter_
    5
    """

    def __init__(self, interval=0.5) -> None:
        if not isinstance(interval, Real) or not float(interval) >= 0:
            raise ValueError(
                f"`interval` must be a number of seconds of at least 0. Got {interval!r}. Try 0.5."
            )
        self.interval = interval
        # Several fits may share the callback, so there is a plot for each estimator.
        self._pictures: dict[int, _Picture] = {}

    def setup(self, estimator, context) -> None:
        """Create the plot for a fit that begins, in a notebook."""
        if _is_notebook():
            import_extra("matplotlib", "plot", "LiveLossCurve")
            self._pictures[id(estimator)] = _Picture(self.interval)

    def on_fit_task_begin(self, estimator, context) -> None:
        """Do nothing; part of scikit-learn's protocol for callbacks."""

    def on_fit_task_end(self, estimator, context) -> None:
        """Plot the losses after an epoch and at the end of the fit."""
        picture = self._pictures.get(id(estimator))
        if picture is None:
            return
        if context.task_name != "epoch":
            if hasattr(estimator, "loss_curve_"):
                picture.draw(partial(LossCurveDisplay.from_estimator, estimator))
        elif hasattr(context, "loss_curves") and picture.is_due():
            picture.draw(LossCurveDisplay(*context.loss_curves()).plot)

    def teardown(self, estimator, context) -> None:
        """Release the plot."""
        self._pictures.pop(id(estimator), None)


class _Picture:
    """Image below a cell of a notebook, which can be replaced."""

    def __init__(self, interval) -> None:
        self._interval, self._next, self._handle = interval, -float("inf"), None

    def is_due(self):
        return monotonic() >= self._next

    def draw(self, plot):
        from IPython.display import Image, display
        from matplotlib.figure import Figure

        start = monotonic()
        # pyplot would keep the figure and might show it a second time.
        figure, stream = Figure(figsize=_SIZE, layout="constrained"), BytesIO()
        plot(ax=figure.subplots())
        figure.savefig(stream, format="png", dpi=_PIXELS_PER_INCH)
        image = Image(stream.getvalue(), format="png", width=round(96 * _SIZE[0]))
        if self._handle is None:
            self._handle = display(image, display_id=True)
        else:
            self._handle.update(image)
        end = monotonic()
        self._next = end + max(self._interval, _LEAST_PAUSE_PER_DRAWING * (end - start))


def _is_notebook():
    # A notebook has always imported IPython.
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None
