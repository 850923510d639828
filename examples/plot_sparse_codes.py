"""
Sparse codes of a photograph
============================

In PCA, every component contributes to every patch of a photograph. Sparse codes describe a patch by
a few parts out of many, such as edges, corners and spots, similar to the responses of cells in the
visual cortex.
"""

# %%
# Patches of 8 x 8 grey pixels, without their mean brightness, are taken from the left half of a
# photograph that comes with scikit-learn. Each becomes a sum of 4 out of 256 parts on average: flat
# patches need none, and patches with much detail need many. PCA with 4 components uses 4 numbers
# for every patch.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image
from sklearn.decomposition import PCA
from sklearn.feature_extraction.image import extract_patches_2d, reconstruct_from_patches_2d

from skae import SparseAutoencoderTransformer
from skae.inspection import top_rows

photo = load_sample_image("china.jpg").mean(axis=2) / 255
left, right = photo[:, :320], photo[160:320, 330:490]
patches = extract_patches_2d(left, (8, 8), max_patches=10_000, random_state=0).reshape(-1, 64)
new = extract_patches_2d(right, (8, 8)).reshape(-1, 64)
brightness = new.mean(axis=1, keepdims=True)
patches, new = patches - patches.mean(axis=1, keepdims=True), new - brightness

model = SparseAutoencoderTransformer(256, n_active=4, max_iter=8, random_state=0).fit(patches)
codes = model.transform(new)
pca = PCA(4).fit(patches)
print(f"{codes.nnz / len(new):.1f} active codes of a new patch, on average")
print(f"{model.score(new):.1%} of the variance of new patches")
error = np.square(pca.inverse_transform(pca.transform(new)) - new).mean()
print(f"{1 - error / new.var():.1%} of it by PCA with 4 components")

# %%
# The parts
# ---------
# These are the most frequent parts, with the share of patches in which they are active. Light
# pixels are increased by the code, dark ones decreased.

order = np.argsort(-model.activity_)
figure, axes = plt.subplots(4, 12, figsize=(9, 3.7), layout="constrained")
for axis, code in zip(axes.flat, order, strict=False):
    part = model.components_[code].reshape(8, 8)
    limit = np.abs(part).max()
    axis.imshow(part, cmap="gray", vmin=-limit, vmax=limit)
    axis.set_title(f"{model.activity_[code]:.0%}", fontsize=8)
    axis.set(xticks=[], yticks=[])

# %%
# New patches from their parts
# ----------------------------
# A part of the photograph that was not in the fit, reconstructed from its codes: each pixel is the
# mean over the patches that cover it. Sparse codes keep edges that the same number of principal
# components blurs.

pictures = {
    "photograph": right,
    "sparse codes": brightness + model.inverse_transform(codes),
    "4 components of PCA": brightness + pca.inverse_transform(pca.transform(new)),
}
figure, axes = plt.subplots(1, 3, figsize=(9, 3.3), layout="constrained")
for axis, (title, picture) in zip(axes, pictures.items(), strict=True):
    if picture is not right:
        picture = reconstruct_from_patches_2d(picture.reshape(-1, 8, 8), right.shape)
    axis.imshow(picture, cmap="gray", vmin=0, vmax=1)
    axis.set_title(title, fontsize=10)
    axis.set(xticks=[], yticks=[])

# %%
# Interpreting a code
# -------------------
# Each row of the plot has a part on the left and, beside it, the patches with the largest values of
# its code.

figure, axes = plt.subplots(5, 9, figsize=(7, 4.4), layout="constrained")
for line, code in zip(axes, order[2:12:2], strict=True):
    part = model.components_[code].reshape(8, 8)
    strongest = top_rows(model, patches[:3000], code=code, n_rows=8).indices
    for axis, picture in zip(line, [part, *patches[strongest]], strict=True):
        limit = np.abs(picture).max()
        axis.imshow(picture.reshape(8, 8), cmap="gray", vmin=-limit, vmax=limit)
        axis.set(xticks=[], yticks=[])
    line[0].set_ylabel(f"code {code}", fontsize=8)
plt.show()
