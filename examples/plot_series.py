"""
Time series of different lengths
================================

Images of digits, read column by column, are series of different lengths: a one is short, a zero is
long. A recurrent network encodes each series in a few codes.
"""

# %%
# Each image becomes a series of its columns, without the blank columns on both sides.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from skae import AutoencoderTransformer
from skae.datasets import load_digit_images
from skae.sequences import SequencePadder

images = load_digit_images()


def read_columns(image):
    """Return the columns of an image from the first with ink to the last."""
    columns = image.reshape(images.image_shape).T
    inked = np.flatnonzero(columns.any(axis=1))
    return columns[inked[0] : inked[-1] + 1]


train = [read_columns(image) for image in images.X_train[:1300]]
test = [read_columns(image) for image in images.X_test[:400]]
lengths = np.array([len(series) for series in train])
for digit in (0, 1, 8):
    share = lengths[images.y_train[:1300] == digit].mean() / images.image_shape[1]
    print(f"a {digit} is {share:.0%} of the image wide, on average")

# %%
# In a table, each series is a row, step after step, padded with NaN. The network reads a row up to
# its end, and the padding has no influence.

padder = SequencePadder()
rows, new_rows = padder.fit_transform(train), padder.transform(test)
autoencoder = AutoencoderTransformer(
    n_components=8,
    architecture="recurrent",
    sample_shape=padder.sample_shape_,
    missing="mask",
    max_iter=30,
    random_state=0,
)
models = {
    "PCA, filled with means": make_pipeline(SimpleImputer(), PCA(n_components=8)),
    "recurrent": autoencoder,
}

# %%
# Errors are computed over observed cells. The classifier uses the nearest neighbour among the
# codes.

there = ~np.isnan(new_rows)
drawn = {}
for name, model in models.items():
    codes, new_codes = model.fit_transform(rows), model.transform(new_rows)
    decoder = model if model is autoencoder else model[-1]
    drawn[name] = decoder.inverse_transform(new_codes)
    error = np.square(drawn[name] - new_rows)[there].mean()
    neighbor = KNeighborsClassifier(1).fit(codes, images.y_train[:1300])
    accuracy = neighbor.score(new_codes, images.y_test[:400])
    print(f"{name:23} mean squared error {error:.4f}, accuracy {accuracy:.3f}")

# %%
# Ten digits, and their reconstructions from eight codes:

n_features = padder.sample_shape_[1]
figure, axes = plt.subplots(3, 10, figsize=(8, 2.8), layout="constrained")
for ax_row, (name, table) in zip(axes, ({"original": new_rows} | drawn).items(), strict=True):
    for ax, row, series in zip(ax_row, table, test, strict=False):
        steps = row.reshape(-1, n_features)[: len(series)]
        ax.imshow(steps.T, cmap="gray_r", vmin=0, vmax=images.X_train.max())
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
    ax_row[0].set_ylabel(name.split(",")[0])
