"""
Inpainting images
=================

A square is missing from every image. An imputer that has learned the structure of the images fills
it in.
"""

# %%
# The imputer is fitted to images with holes, so no complete image is needed.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.impute import KNNImputer, SimpleImputer

from skae import AutoencoderImputer, AutoencoderTransformer
from skae.datasets import load_digit_images

images = load_digit_images()
size = images.image_shape[0]


def cut_holes(rows, rng):
    """Return images that lack a square of two fifths of their height."""
    holes = rows.reshape(-1, size, size).copy()
    side = round(0.4 * size)
    for image, (top, left) in zip(
        holes, rng.integers(size - side + 1, size=(len(rows), 2)), strict=True
    ):
        image[top : top + side, left : left + side] = np.nan
    return holes.reshape(rows.shape)


rng = np.random.default_rng(0)
X_train = cut_holes(images.X_train[:1000], rng)
X_test, truth = cut_holes(images.X_test[:200], rng), images.X_test[:200]

# %%
# Pixels share a unit, so they are not standardised. During training, ``corruption="hiding"`` cuts
# further holes of this kind.

autoencoder = AutoencoderTransformer(
    hidden_layer_sizes=(128, 128),
    corruption="hiding",
    corruption_level=0,
    learning_rate_init=0.003,
    early_stopping=False,
    max_iter=100 if size == 8 else 30,
)
imputers = {
    "column means": SimpleImputer(keep_empty_features=True),
    "nearest images": KNNImputer(keep_empty_features=True),
    "skae": AutoencoderImputer(standardize=False, autoencoder=autoencoder, random_state=0),
}
filled = {"original": truth, "with a hole": X_test}
missing = np.isnan(X_test)
for name, imputer in imputers.items():
    filled[name] = imputer.fit(X_train).transform(X_test)
    error = np.square(filled[name] - truth)[missing].mean()
    print(f"{name:15} mean squared error in the holes {error:.4f}")

# %%
# Ten test images. Missing pixels are orange.

figure, axes = plt.subplots(len(filled), 1, figsize=(7, 4), layout="constrained")
for ax, (name, rows) in zip(axes, filled.items(), strict=True):
    strip = np.hstack(rows[:10].reshape(-1, size, size))
    cells = ax.imshow(strip, cmap="gray_r", vmin=0, vmax=1)
    cells.cmap.set_bad("tab:orange")
    ax.set_ylabel(name, rotation=0, ha="right", va="center")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
