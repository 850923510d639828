"""
Generating digits
=================

A variational autoencoder learns the distribution of the rows and can generate new ones, of any
class or of a given class.
"""

# %%
# With ``conditional=True``, ``fit`` uses the labels in y. The network does not receive them; they
# only determine where in the space of codes each class lies.

import matplotlib.pyplot as plt
import numpy as np

from skae import VariationalAutoencoderTransformer
from skae.datasets import load_digit_images

images = load_digit_images()
X, y = images.X_train[:5000], images.y_train[:5000]
model = VariationalAutoencoderTransformer(
    16, likelihood="bernoulli", conditional=True, max_iter=40, random_state=0
).fit(X, y)


def show(rows, n_columns, title):
    """Draw images in rows and columns."""
    height, width = images.image_shape
    table = rows.reshape(-1, n_columns, height, width).swapaxes(1, 2)
    table = table.reshape(-1, n_columns * width)
    figure, ax = plt.subplots(figsize=(6, 6 * len(table) / table.shape[1] + 0.4))
    ax.imshow(table, cmap="gray_r", vmin=0, vmax=1)
    ax.set_title(title, fontsize="medium")
    ax.set_axis_off()
    return figure


# %%
# None of these digits was ever written by hand.

figure = show(model.sample(60, random_state=0), 12, "drawn from the prior")

# %%
# Each row of the plot is one class. Within a class, the model has learned different ways of
# writing.

classes = np.concatenate([model.sample(12, y=digit, random_state=1) for digit in model.classes_])
figure = show(classes, 12, "drawn by class")

# %%
# Does the model only copy training images? The nearest training image of each generated image is
# similar, but different.

from sklearn.neighbors import NearestNeighbors

drawn = model.sample(12, random_state=0)
index = NearestNeighbors(n_neighbors=1).fit(X).kneighbors(drawn, return_distance=False)[:, 0]
figure = show(np.concatenate([drawn, X[index]]), 12, "drawn, and the nearest training images")

# %%
# Interpolation between two digits in the space of codes:

start, end = model.transform(X[y == 3][:5]), model.transform(X[y == 8][:5])
path = start[:, np.newaxis] + np.linspace(0, 1, 12)[:, np.newaxis] * (end - start)[:, np.newaxis]
between = model.inverse_transform(path.reshape(-1, path.shape[-1]))
figure = show(between, 12, "from 3 to 8")
