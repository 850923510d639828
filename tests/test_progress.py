"""Progress bars, shown only in long work in a terminal or notebook."""

import functools
import io
import re
import sys
import threading
from types import SimpleNamespace

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from tqdm import tqdm

import skae
from skae import AutoencoderTransformer
from skae._shared import progress

pytestmark = pytest.mark.filterwarnings("ignore::skae.exceptions.NotBetterThanPCAWarning")

X = load_digits().data
SMALL = X[:200, 20:30]


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def impatient(monkeypatch):
    """Show bars without delay."""
    monkeypatch.setattr(progress, "_PATIENCE", 0)
    monkeypatch.setattr(progress, "_INTERVAL", 0)


@pytest.fixture(scope="module")
def model():
    return AutoencoderTransformer(2, hidden_layer_sizes=(8,), max_iter=2, random_state=0).fit(X)


def look(monkeypatch, work, stream=Terminal):
    """Return the output of a call on standard error."""
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", stream())
        work()
        return sys.stderr.getvalue()


def search():
    estimator = AutoencoderTransformer(2, max_iter=1, random_state=0)
    with joblib.parallel_config(backend="skae"):
        GridSearchCV(estimator, {"learning_rate_init": [0.001, 0.01]}, cv=2).fit(SMALL)


WORKS = {
    "fit": (lambda model, path: clone(model).fit(X), r"Epoch 2: .*rows/s"),
    "folds": (lambda model, path: clone(model).fit(SMALL), r"Folds: .*rows/s"),
    "file": (lambda model, path: clone(model).fit(path), r"Statistics and PCA: .*rows/s"),
    "partial_fit": (lambda model, path: clone(model).partial_fit(X), r"Epoch 1: .*rows/s"),
    "transform": (lambda model, path: model.transform(X), "rows/s"),
    "inverse_transform": (lambda model, path: model.inverse_transform(np.eye(9999, 2)), "rows/s"),
    "score": (lambda model, path: model.score(X), "rows/s"),
    "search": (lambda model, path: search(), "/4 .*tasks/s"),
}


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize("name", WORKS)
def test_a_terminal_shows_speed_and_removes_the_bar(impatient, monkeypatch, model, tmp_path, name):
    monkeypatch.setattr("skae._engine.tables.stored._LARGE_BYTES", 1000)
    monkeypatch.setattr("skae._engine.fitting.fit._MAX_CROSS_VALIDATED_CELLS", 10_000)
    monkeypatch.setattr("skae._engine.tables.rows.chunk_slices.__defaults__", (2**12,))
    np.save(tmp_path / "rows.npy", X)
    work, shown = WORKS[name]
    text = look(monkeypatch, lambda: work(model, tmp_path / "rows.npy"))
    assert re.search(shown, text)
    assert text.endswith("\r")
    assert text.rpartition("\r")[0].rpartition("\r")[2].strip() == ""


def test_the_time_left_counts_from_the_beginning(monkeypatch):
    now = iter([0.0, 1.0, 4.0])
    monkeypatch.setattr(progress, "monotonic", lambda: next(now))

    def work():
        with progress.show_progress(1000, "Reading") as bar:
            bar.add(100)
            assert sys.stderr.getvalue() == ""
            bar.add(300)

    # 400 rows in four seconds.
    shown = r"Reading:  40%\|.*\| 400/1.00k \[00:04<00:06, 100 rows/s\]"
    assert re.search(shown, look(monkeypatch, work))


@pytest.fixture
def notebook(monkeypatch):
    """Simulate a notebook, and return outputs of the cell with their texts."""
    texts, outputs = [], []

    def display(data, **options):
        assert options == {"raw": True, "display_id": True}
        outputs.append(data)
        return SimpleNamespace(update=lambda data, raw: texts.append(data["text/html"]))

    shell = SimpleNamespace(config={"IPKernelApp": {}}, execution_count=-1)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=display))
    progress._find_bar_class.cache_clear()
    yield outputs, texts
    progress._find_bar_class.cache_clear()
    progress._open_output.cache_clear()


def test_a_notebook_keeps_a_single_output_without_text(impatient, monkeypatch, model, notebook):
    outputs, texts = notebook
    assert look(monkeypatch, lambda: clone(model).fit(X).transform(X), io.StringIO) == ""
    assert outputs == [{"text/plain": "", "text/html": ""}]
    assert any(re.fullmatch("<pre>Epoch 2: .*rows/s.*</pre>", text) for text in texts)
    assert texts[-1] == ""


def fit():
    AutoencoderTransformer(2, hidden_layer_sizes=(8,), max_iter=1, random_state=0).fit(X)


def fit_with(**config):
    with skae.config_context(**config):
        fit()


def fit_in_thread():
    thread = threading.Thread(target=fit)
    thread.start()
    thread.join()


def test_no_bar_is_shown_elsewhere(impatient, monkeypatch, model):
    assert look(monkeypatch, fit, io.StringIO) == ""
    assert look(monkeypatch, lambda: fit_with(progress=False)) == ""
    assert look(monkeypatch, fit_in_thread) == ""
    skae.set_config(progress=False)
    try:
        assert look(monkeypatch, fit) == ""
        assert look(monkeypatch, lambda: fit_with(progress=True)) != ""
    finally:
        skae.set_config(progress=True)
    with monkeypatch.context() as patch:
        # tqdm reads TQDM_DISABLE=1 on import.
        patch.setattr(progress, "_find_bar_class", lambda: functools.partial(tqdm, disable=True))
        assert look(monkeypatch, fit) == ""
    monkeypatch.setenv("RANK", "1")
    assert look(monkeypatch, fit) == ""
    monkeypatch.delenv("RANK")
    monkeypatch.setattr(progress, "parent_process", lambda: "a process that waits for this one")
    assert look(monkeypatch, fit) == ""


def test_short_work_and_epochs_that_are_printed_have_no_bar(monkeypatch, model, capsys):
    assert look(monkeypatch, lambda: model.transform(X)) == ""
    monkeypatch.setattr(progress, "_PATIENCE", 0)
    verbose = AutoencoderTransformer(2, max_iter=1, verbose=True, random_state=0)
    assert "Epoch" not in look(monkeypatch, lambda: verbose.fit(X))


def test_invalid_configurations_are_refused():
    with pytest.raises(ValueError, match=r"`progress` must be .* Got 'no'"):
        skae.set_config(progress="no")
    with pytest.raises(ValueError, match="Got 1"), skae.config_context(progress=1):
        pass
    assert skae.get_config() == {"progress": True}
