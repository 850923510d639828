"""
Short codes that keep neighbours
================================

Codes for search should have the same nearest neighbours as the rows. PCA keeps variance instead,
while ``loss="neighbors"`` trains for neighbours directly.
"""

# %%
# The images of digits have 64 pixels. Codes are learned from the first 1,400 images. The nearest
# neighbours of the other images are searched among these 1,400, once by pixels and once by codes;
# the figures are the share of the ten nearest that both searches find.

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from skae import AutoencoderTransformer
from skae.metrics import neighbors_kept
from skae.objectives import NeighborLoss

X = load_digits().data
known, n_new = X[:1400], len(X) - 1400
loss = NeighborLoss(metric="euclidean")
numbers = [2, 4, 8, 16]
methods = {
    "PCA": lambda k: PCA(k, random_state=0),
    "squared error": lambda k: AutoencoderTransformer(k, max_iter=30, random_state=0),
    "neighbours": lambda k: AutoencoderTransformer(k, loss=loss, max_iter=60, random_state=0),
}
models = {name: {k: make(k).fit(known) for k in numbers} for name, make in methods.items()}
kept = {
    name: [
        neighbors_kept(X, own[k].transform(X), metric="euclidean", n_queries=n_new) for k in numbers
    ]
    for name, own in models.items()
}
for name, shares in kept.items():
    print(f"{name:13}", " ".join(f"{share:.2f}" for share in shares))

# %%
# The reconstruction loss also helps, since a curved surface can follow the rows more closely than a
# plane. The neighbour loss helps more.

figure, ax = plt.subplots(figsize=(6, 3.8), layout="constrained")
for name, shares in kept.items():
    ax.plot(numbers, shares, "o-", label=name)
ax.set(
    xlabel="numbers kept of 64",
    ylabel="share of the ten nearest kept",
    xscale="log",
    xticks=numbers,
    xticklabels=numbers,
    ylim=(0, 1),
)
ax.minorticks_off()
ax.legend(frameon=False)

# %%
# The effect on a search: three new images, and the images found for them with eight codes instead
# of 64 pixels. Dimmed images are not among the ten nearest neighbours by pixels.

new = [5, 60, 133]


def find(table):
    """Return the nearest of the known rows for the new ones."""
    search = NearestNeighbors(n_neighbors=10).fit(table[:1400])
    return search.kneighbors(table[1400:][new], return_distance=False)


truth = find(X)
found = {name: find(models[name][8].transform(X)) for name in ("PCA", "neighbours")}
figure, axes = plt.subplots(6, 11, figsize=(8, 5), layout="constrained")
for (row, name), line in zip(
    [(row, name) for row in range(3) for name in found], axes, strict=True
):
    line[0].imshow(X[1400 + new[row]].reshape(8, 8), cmap="gray_r")
    line[0].set_ylabel(name, rotation=0, ha="right", va="center")
    for ax, place in zip(line[1:], found[name][row], strict=True):
        alpha = 1.0 if place in truth[row] else 0.25
        ax.imshow(X[place].reshape(8, 8), cmap="gray_r", alpha=alpha)
for ax in axes.ravel():
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(ax in axes[:, 0])

# %%
# Codes can still be decoded to images.

model = models["neighbours"][8]
print(f"share of the variance reconstructed from 8 numbers: {model.score(X[1400:]):.2f}")
print(f"by PCA: {models['PCA'][8].explained_variance_ratio_.sum():.2f}")
plt.show()
