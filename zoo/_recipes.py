"""Shared code of the recipes: publishing of models with card and plot, and errors beside PCA."""

import argparse
import time
import warnings
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from sklearn.decomposition import PCA

from skae.exceptions import SkaeWarning
from skae.zoo._models import BUILT_IN

PICTURES = Path(__file__).parent.parent / "docs" / "_static" / "zoo"
MNIST = "MNIST by Y. LeCun, C. Cortes and C. Burges"
MNIST_LICENCE = "CC BY-SA 3.0 (data)"
_INCHES_PER_IMAGE, _DPI, _N_COLORS = 0.42, 100, 32


def run(recipes):
    """Make the models named on the command line, or all.

    Parameters
    ----------
    recipes : dict of str to callable
        Functions that return arguments of `publish`, under the names of models.
    """
    parser = argparse.ArgumentParser(description="Make models of the zoo, with card and picture.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(recipes)}")
    names = parser.parse_args().names or list(recipes)
    script = Path(parser.prog).name
    for name in names:
        start = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SkaeWarning)
            model, card, figure = recipes[name]()
        seconds = time.process_time() - start
        publish(model, name, {**card, "recipe": f"zoo/{script} {name}"}, figure)
        size = (BUILT_IN.path / f"{name}.skae").stat().st_size
        print(f"{name}: {seconds:.0f} s, {size / 1000:.0f} kB, {card['figures']}", flush=True)


def publish(model, name, card, figure):
    """Write a model in half precision, and its plot."""
    BUILT_IN.save(model, name, half=True, card=card)
    PICTURES.mkdir(parents=True, exist_ok=True)
    figure.savefig(PICTURES / f"{name}.png", dpi=_DPI)
    _reduce_colors(PICTURES / f"{name}.png")


def _reduce_colors(path):
    """Rewrite a picture with few colours, in a fraction of the space."""
    from PIL import Image

    with Image.open(path) as image:
        reduced = image.convert("RGB").quantize(_N_COLORS)
    reduced.save(path, optimize=True)


def halved(model, folder=BUILT_IN.path):
    """Return a model as loaded from its file, so that its figures are those of half precision."""
    import tempfile

    import skae

    with tempfile.TemporaryDirectory() as path:
        skae.save(model, Path(path) / "model.skae", half=True)
        return skae.load(Path(path) / "model.skae")


def reconstruct(model, X):
    """Return the reconstructions of rows."""
    return model.inverse_transform(model.transform(X))


def find_error(X, other):
    """Return the mean squared error per cell, to four digits."""
    return round_figure(np.square(np.asarray(X, np.float64) - other).mean())


def round_figure(number):
    """Return a number with four digits."""
    return float(f"{number:.4g}")


def fit_pca(model, X):
    """Return a PCA with as many components as the model has codes."""
    return PCA(model.n_components_, random_state=0).fit(X)


def compare(model, X, X_test):
    """Return the errors of a model and of PCA on held-out rows, as figures of a card."""
    flat, flat_test = X.reshape(len(X), -1), X_test.reshape(len(X_test), -1)
    pca = fit_pca(model, flat)
    return {
        "held-out rows": len(X_test),
        "squared error per cell": find_error(X_test, reconstruct(model, X_test)),
        "PCA of as many codes": find_error(flat_test, reconstruct(pca, flat_test)),
    }


def show_images(rows, n_images=12, *, limits=(0, 1)):
    """Return a figure with a row of pictures for each of the named arrays.

    Parameters
    ----------
    rows : dict of str to ndarray of shape (n, height, width)
        Images, under the words on their left.
    n_images : int, default=12
        Images of each row.
    limits : tuple of float, default=(0, 1)
        Values shown as white and black.
    """
    side = _INCHES_PER_IMAGE
    height, width = next(iter(rows.values())).shape[1:]
    figure = Figure(figsize=(1.3 + side * n_images, side * len(rows) * height / width))
    axes = figure.subplots(len(rows), n_images, squeeze=False)
    for (name, images), own in zip(rows.items(), axes, strict=True):
        own[0].text(-0.15, 0.5, name, ha="right", va="center", transform=own[0].transAxes, size=8)
        for image, ax in zip(images, own, strict=False):
            ax.imshow(image, cmap=matplotlib.colormaps["gray_r"], vmin=limits[0], vmax=limits[1])
        for ax in own:
            ax.set_axis_off()
    share = 1.25 / (1.3 + side * n_images)
    figure.subplots_adjust(left=share, right=0.99, top=0.98, bottom=0.02, wspace=0.08, hspace=0.08)
    return figure


def show_bars(figures, title):
    """Return a figure with a bar for each number."""
    figure = Figure(figsize=(5, 0.35 * len(figures) + 0.7), layout="constrained")
    ax = figure.subplots()
    ax.barh(list(figures), list(figures.values()), color="C0")
    ax.bar_label(ax.containers[0], fmt="%.4g", padding=3, size=8)
    ax.invert_yaxis()
    ax.margins(x=0.2)
    figure.suptitle(title, size=9)
    ax.tick_params(labelsize=8)
    return figure
