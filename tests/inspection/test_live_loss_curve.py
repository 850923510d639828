"""Plot of the loss during a fit: in notebooks after every epoch, elsewhere none."""

import io
import pickle
import struct
import sys
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skae import AutoencoderTransformer
from skae.comparison import _epoch_counter, compare_with_pca
from skae.exceptions import NonFiniteLossError
from skae.inspection import LiveLossCurve, LossCurveDisplay

pytest.importorskip("sklearn.callback", reason="callbacks came with scikit-learn 1.9")
pytestmark = pytest.mark.filterwarnings("ignore::skae.exceptions.NotBetterThanPCAWarning")


@pytest.fixture
def X():
    t = np.linspace(-1, 1, 60)
    return np.column_stack([t, t**2, t**3])


@pytest.fixture
def notebook(monkeypatch):
    """Simulate a notebook, and return the images shown at first and later."""
    shown = []

    def display(image, display_id):
        shown.append(("new", image))
        return SimpleNamespace(update=lambda newer: shown.append(("update", newer)))

    def make_image(data, format, width):
        assert data.startswith(b"\x89PNG")
        assert format == "png"
        # Pixels of the file, and of the page.
        return SimpleNamespace(pixels=struct.unpack(">I", data[16:20])[0], width=width)

    shell = SimpleNamespace(kernel=object())
    # matplotlib reads the version as well.
    module = SimpleNamespace(get_ipython=lambda: shell, version_info=(9, 0))
    monkeypatch.setitem(sys.modules, "IPython", module)
    drawing = SimpleNamespace(display=display, Image=make_image)
    monkeypatch.setitem(sys.modules, "IPython.display", drawing)
    return SimpleNamespace(shown=shown, shell=shell)


@pytest.fixture
def plotted(monkeypatch):
    """Return the list of plotted displays."""
    displays = []

    def plot(self, ax=None):
        displays.append(self)
        return original(self, ax=ax)

    original = LossCurveDisplay.plot
    monkeypatch.setattr(LossCurveDisplay, "plot", plot)
    return displays


def make(**params):
    # By default, few rows are cross-validated before the final training.
    return AutoencoderTransformer(1, **{"max_iter": 4, "random_state": 0, **params})


@pytest.mark.parametrize("early_stopping", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_every_epoch_is_drawn_and_at_last_the_whole_fit(X, notebook, plotted, early_stopping):
    live = LiveLossCurve(interval=0)
    live._pictures = _Eager()
    estimator = make(max_iter=2, early_stopping=early_stopping).set_callbacks(live)
    # Of many rows, some are held out.
    estimator.fit(np.tile(X, (20, 1)) if early_stopping else X)
    assert [kind for kind, _ in notebook.shown] == ["new"] + ["update"] * 2
    assert [display.loss for display in plotted] == [
        *(estimator.loss_curve_[:end] for end in range(1, 3)),
        estimator.loss_curve_,
    ]
    curves = [display.validation_loss for display in plotted]
    if early_stopping:
        whole = estimator.validation_loss_curve_
        assert curves == [*(whole[:end] for end in range(2, 4)), whole]
    else:
        assert curves == [None] * 3
    assert [display.best_epoch for display in plotted] == [None] * 2 + [estimator.best_iter_]
    image = notebook.shown[-1][1]
    assert image.pixels == pytest.approx(1.5 * image.width, abs=1)


class _Eager(dict):
    """Plot that is always due for an update."""

    def __setitem__(self, key, picture):
        picture.is_due = lambda: True
        super().__setitem__(key, picture)


@pytest.mark.slow
def test_drawing_takes_little_of_the_time(X, notebook):
    make(max_iter=30, early_stopping=False).set_callbacks(LiveLossCurve()).fit(X)
    # The first epoch and the end; all other epochs follow within half a second.
    assert len(notebook.shown) <= 4


@pytest.mark.slow
def test_a_step_of_a_pipeline_is_drawn(X, notebook):
    step = make(early_stopping=False).set_callbacks(LiveLossCurve())
    make_pipeline(step, LogisticRegression()).fit(X, X[:, 0] > 0)
    assert len(notebook.shown) >= 2


@pytest.mark.slow
def test_the_live_curve_leaves_no_figure_and_no_picture(X, notebook):
    live = LiveLossCurve()
    open_figures = plt.get_fignums()
    estimator = make(early_stopping=False).set_callbacks(live).fit(X)
    assert live._pictures == {}
    assert plt.get_fignums() == open_figures
    pickle.loads(pickle.dumps(live))
    again = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(again.transform(X), estimator.transform(X))


def test_a_failed_fit_leaves_nothing(X, notebook):
    live = LiveLossCurve()
    estimator = make(early_stopping=False, learning_rate_init=1e30).set_callbacks(live)
    with pytest.raises(NonFiniteLossError):
        estimator.fit(X)
    assert live._pictures == {}


@pytest.mark.slow
def test_the_live_curve_does_not_change_the_fit(X, notebook):
    expected = make(max_iter=2).fit(X).transform(X)
    estimator = clone(make(max_iter=2).set_callbacks(LiveLossCurve(interval=0)))
    np.testing.assert_array_equal(estimator.fit(X).transform(X), expected)


@pytest.mark.parametrize("place", ["script", "IPython's terminal", "another estimator"])
def test_the_live_curve_is_silent_outside_notebooks(X, notebook, monkeypatch, capsys, place):
    if place == "script":
        monkeypatch.delitem(sys.modules, "IPython")
    if place == "IPython's terminal":
        del notebook.shell.kernel
    estimator = LogisticRegression() if place == "another estimator" else make()
    estimator.set_callbacks(LiveLossCurve()).fit(X, X[:, 0] > 0)
    assert notebook.shown == []
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("interval", [-1, float("nan"), "1"])
def test_interval_is_a_number_of_seconds(interval):
    with pytest.raises(ValueError, match="`interval` must be a number of seconds"):
        LiveLossCurve(interval=interval)


class Terminal(io.StringIO):
    """Text stream that interprets backspaces."""

    def isatty(self):
        return True

    def read_screen(self):
        line = []
        place = 0
        for letter in self.getvalue():
            place -= letter == "\b"
            if letter not in "\b":
                line[place : place + 1] = letter
                place += 1
        return "".join(line)


def test_a_terminal_shows_epochs_and_then_the_table(X, monkeypatch):
    monkeypatch.setattr(_epoch_counter, "_INTERVAL", 0)
    monkeypatch.setattr(sys, "stdout", Terminal())
    options = {"n_components": 1, "estimator": make(early_stopping=False)}
    comparison = compare_with_pca(X, **options, verbose=True)
    written, screen = sys.stdout.getvalue(), sys.stdout.read_screen()
    for number in range(1, 5):
        assert f" epoch {number} of 4" in written
    assert [line.rstrip() for line in screen.splitlines()] == str(comparison).splitlines()
    assert comparison.evidence.models[1, "autoencoder"].set_callbacks().n_iter_ == 4


def test_a_file_gets_no_count_of_epochs(X, capsys):
    compare_with_pca(X, n_components=1, estimator=make(), verbose=True)
    assert "epoch" not in capsys.readouterr().out
