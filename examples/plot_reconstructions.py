"""
Reconstructing digits from four codes
=====================================

PCA and an autoencoder each describe an image by four numbers, and reconstruct it from them.
"""

# %%
# The images are those of MNIST if available, and otherwise the smaller digits of scikit-learn.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer
from skae.datasets import load_digit_images

images = load_digit_images()
X_train, X_test, y_test = images.X_train[:5000], images.X_test[:2000], images.y_test[:2000]
print(X_train.shape, X_test.shape)

# %%
# PCA and the autoencoder have the same interface, so one loop fits both and evaluates them on
# held-out images.

models = {
    "PCA": PCA(n_components=4),
    "autoencoder": AutoencoderTransformer(n_components=4, max_iter=40, random_state=0),
}
reconstructions = {"original": X_test}
for name, model in models.items():
    model.fit(X_train)
    reconstructions[name] = model.inverse_transform(model.transform(X_test))
    error = np.mean((X_test - reconstructions[name]) ** 2)
    print(f"{name:12} squared error of a pixel {error:.4f}")

# %%
# One image of each digit, and its reconstructions from four numbers:

one_of_each = [np.flatnonzero(y_test == digit)[0] for digit in range(10)]
figure, axes = plt.subplots(3, 1, figsize=(7, 2.8), layout="constrained")
for ax, (name, rows) in zip(axes, reconstructions.items(), strict=True):
    strip = np.hstack(rows[one_of_each].reshape(-1, *images.image_shape))
    ax.imshow(strip, cmap="gray_r", vmin=0, vmax=1)
    ax.set_ylabel(name, rotation=0, ha="right", va="center")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)

# %%
# Two codes per image give a map. The colours are the digits, which neither method has used. The
# neighbourhood hit is the share of nearest neighbours on the map with the same digit.

from skae.inspection import CodeDisplay
from skae.metrics import neighborhood_hit

figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
maps = [PCA(n_components=2), AutoencoderTransformer(n_components=2, max_iter=40, random_state=0)]
for ax, (name, model) in zip(axes, zip(models, maps, strict=True), strict=True):
    model.fit(X_train)
    CodeDisplay.from_estimator(model, X_test, y_test, ax=ax)
    hit = neighborhood_hit(model.transform(X_test), y_test)
    ax.set_title(f"{name}: neighbourhood hit {hit:.0%}")

# %%
# Points of the map can be decoded to images:

display = CodeDisplay.from_estimator(
    maps[1], X_train[:1000], kind="decoded", image_shape=images.image_shape
)
