"""All displays: axes, global state and errors."""

import sys

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer
from skae.comparison import compare_with_pca
from skae.inspection import (
    CodeDisplay,
    LatentTraversalDisplay,
    LossCurveDisplay,
    ReconstructionDisplay,
    ReconstructionErrorDisplay,
    explain_codes,
)

X, Y = load_digits(return_X_y=True)
# The central pixels of the images.
X, Y = X[:120].reshape(-1, 8, 8)[:, 2:6, 2:6].reshape(-1, 16), Y[:120]
SHAPE = (4, 4)


@pytest.fixture(scope="module")
def autoencoder():
    return AutoencoderTransformer(
        3, hidden_layer_sizes=8, max_iter=3, early_stopping=False, random_state=0
    ).fit(X)


def draw_components(estimator, X, ax):
    return compare_with_pca(X, estimator=PCA(), n_components=(1, 2)).plot(ax=ax)


def draw_explanation(kind, **options):
    def draw(estimator, X, ax):
        return explain_codes(estimator, X, n_rows=5, n_repeats=1).plot(kind, ax=ax, **options)

    return draw


def draw_losses(estimator, X, ax):
    return LossCurveDisplay.from_estimator(estimator, ax=ax)


def drawing(cls, *arguments, **options):
    def draw(estimator, X, ax):
        return cls.from_estimator(estimator, X, *arguments, **options, ax=ax)

    return draw


DRAWINGS = {
    "codes": drawing(CodeDisplay, Y),
    "codes_pairs": drawing(CodeDisplay, Y, kind="pairs"),
    "codes_decoded": drawing(CodeDisplay, kind="decoded", image_shape=SHAPE, n_steps=3),
    "components": draw_components,
    "errors_features": drawing(ReconstructionErrorDisplay),
    "errors_image": drawing(ReconstructionErrorDisplay, image_shape=SHAPE),
    "errors_rows": drawing(ReconstructionErrorDisplay, kind="rows"),
    "errors_labels": drawing(ReconstructionErrorDisplay, Y, kind="rows"),
    "explanation_bars": draw_explanation("inputs"),
    "explanation_images": draw_explanation("effects", image_shape=SHAPE),
    "explanation_importance": draw_explanation("importance"),
    "losses": draw_losses,
    "reconstruction_bars": drawing(ReconstructionDisplay, n_rows=2),
    "reconstruction_image": drawing(ReconstructionDisplay, n_rows=2, image_shape=SHAPE),
    "reconstruction_series": drawing(ReconstructionDisplay, n_rows=2, kind="series"),
    "traversal_bars": drawing(LatentTraversalDisplay, n_steps=3),
    "traversal_image": drawing(LatentTraversalDisplay, n_steps=3, image_shape=SHAPE),
    "traversal_series": drawing(LatentTraversalDisplay, n_steps=3, kind="series"),
}
# One of each class.
ONE_OF_EACH = [
    "codes",
    "components",
    "errors_features",
    "explanation_bars",
    "losses",
    "reconstruction_bars",
    "traversal_bars",
]
# Where to draw is decided alike for one of each class and each kind of grid.
SAME_GRID = {
    "codes_pairs",
    "errors_image",
    "explanation_bars",
    "reconstruction_image",
    "reconstruction_series",
    "traversal_bars",
    "traversal_series",
}
draws_all = pytest.mark.parametrize(
    "draw",
    [
        pytest.param(draw, id=name, marks=pytest.mark.slow if name in SAME_GRID else [])
        for name, draw in DRAWINGS.items()
    ],
)
draws_one_of_each = pytest.mark.parametrize(
    "draw", [DRAWINGS[name] for name in ONE_OF_EACH], ids=ONE_OF_EACH
)


def read_streams():
    """Return the states of the global generators."""
    legacy = np.random.mtrand._rand.get_state()
    return legacy[1].tolist(), legacy[2], torch.random.get_rng_state().tolist()


@draws_all
def test_only_the_given_axes_or_a_grid_in_their_place_are_drawn_on(draw, autoencoder):
    figure = Figure((4, 3), dpi=50)
    FigureCanvasAgg(figure)
    other = figure.add_axes((0.1, 0.1, 0.2, 0.2))
    ax = figure.add_axes((0.5, 0.4, 0.3, 0.5))  # of no grid
    before = dict(matplotlib.rcParams), plt.get_fignums()
    streams = read_streams()

    draw(autoencoder, X, ax)
    figure.canvas.draw()

    assert (dict(matplotlib.rcParams), plt.get_fignums()) == before
    assert read_streams() == streams
    assert not other.has_data()
    drawn = [each for each in figure.axes if each.has_data() and not each.get_label()]
    assert drawn
    assert ax.has_data() or not ax.axison
    for each in drawn:
        left, bottom, right, top = each.get_position().extents
        assert left >= 0.5 - 1e-9
        assert right <= 0.8 + 1e-9
        assert bottom >= 0.4 - 1e-9
        assert top <= 0.9 + 1e-9


@pytest.mark.mostly_slow(2)
@draws_one_of_each
def test_without_axes_a_new_figure_is_made(draw, autoencoder):
    plt.switch_backend("agg")
    before = plt.get_fignums()
    draw(autoencoder, X, None)
    (number,) = set(plt.get_fignums()) - set(before)
    plt.figure(number).canvas.draw()
    plt.close(number)


@draws_one_of_each
def test_displays_without_matplotlib_name_the_extra(draw, autoencoder, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"plot` needs matplotlib.*pip install \"skae\[plot\]\""):
        draw(autoencoder, X, None)


@draws_one_of_each
def test_axes_must_be_axes(draw, autoencoder):
    with pytest.raises(TypeError, match="`ax` must be matplotlib Axes. Got ndarray"):
        draw(autoencoder, X, Figure().subplots(2))


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in ONE_OF_EACH else pytest.mark.slow)
        for name in sorted(set(DRAWINGS) - {"components", "losses"})
    ],
)
def test_anything_that_transforms_both_ways_is_drawn(name, recwarn):
    frame = pandas.DataFrame(X, columns=[f"pixel{index}" for index in range(16)])
    model = make_pipeline(StandardScaler(), PCA(n_components=3)).set_output(transform="pandas")
    DRAWINGS[name](model.fit(frame), frame, Figure(layout="constrained").subplots())
    assert not [each for each in recwarn.list if "feature names" in str(each.message)]


def test_predictors_are_refused():
    predictor = make_pipeline(PCA(n_components=3), LogisticRegression(max_iter=5)).fit(X, Y)
    for name in sorted(set(ONE_OF_EACH) - {"components", "losses"}):
        with pytest.raises(TypeError, match="`estimator` must have `transform`"):
            DRAWINGS[name](predictor, X, Figure().subplots())


def test_dark_figures_keep_their_own_text_colours(autoencoder):
    with matplotlib.rc_context({"axes.labelcolor": "yellow", "xtick.color": "yellow"}):
        ax = Figure().subplots()
        CodeDisplay.from_estimator(autoencoder, X, ax=ax)
    assert ax.xaxis.label.get_color() == "yellow"
