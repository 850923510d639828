"""
Sparse codes one can read
=========================

PCA gives every picture a bit of every component. Sparse codes describe a picture by the few parts
that it consists of, out of many: each part has a picture of its own, and the rows on which it is
strongest show what it stands for.
"""

# %%
# Pictures of handwritten digits become sums of 6 out of 144 parts each, on average. PCA with 6
# components is what `fit` reports beside it: as many numbers, but the same ones for every picture.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skae import SparseAutoencoderTransformer
from skae.inspection import top_rows

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
model = SparseAutoencoderTransformer(144, n_active=6, max_iter=10, random_state=0).fit(X_train)
codes = model.transform(X_test)
print(f"{codes.nnz / len(X_test):.1f} active codes of a new picture, on average")
print(f"{model.score(X_test):.1%} of the variance of new pictures")
variance = X_train.var(0).mean()
print(f"{1 - model.reconstruction_error_ / variance:.1%} of that of the pictures held out in fit")
print(f"{1 - model.pca_reconstruction_error_ / variance:.1%} of it by PCA with 6 components")

# %%
# Strokes
# -------
# These are the parts that are used most, with the share of the pictures that have them. What a code
# adds is dark, what it takes away red.

order = np.argsort(-model.activity_)
figure, axes = plt.subplots(3, 10, figsize=(9, 3.4), layout="constrained")
limit = np.abs(model.components_).max()
for axis, code in zip(axes.flat, order, strict=False):
    part = model.components_[code].reshape(8, 8)
    axis.imshow(part, cmap="RdGy", vmin=-limit, vmax=limit)
    axis.set_title(f"{model.activity_[code]:.0%}", fontsize=8)
    axis.set(xticks=[], yticks=[])

# %%
# What a code stands for
# ----------------------
# Every line has a part on the left and, beside it, the new pictures on which its code is strongest.
# The codes shown are those that tell most of the digit.

digits = [y_test[codes[:, [code]].nonzero()[0]] for code in order]
counts = np.array([np.bincount(own, minlength=10) for own in digits])
n_active = counts.sum(axis=1)
purity = np.where(n_active >= 12, counts.max(axis=1) / np.maximum(n_active, 1), 0)
chosen = order[np.argsort(-purity, kind="stable")[:6]]
figure, axes = plt.subplots(len(chosen), 9, figsize=(7, 5), layout="constrained")
for line, code in zip(axes, chosen, strict=True):
    line[0].imshow(model.components_[code].reshape(8, 8), cmap="RdGy", vmin=-limit, vmax=limit)
    line[0].set_ylabel(f"code {code}", fontsize=8)
    rows = top_rows(model, X_test, y_test, code=code, n_rows=8)
    for axis, index, label in zip(line[1:], rows.indices, rows.labels, strict=False):
        axis.imshow(X_test[index].reshape(8, 8), cmap="gray_r")
        axis.set_title(label, fontsize=8)
    for axis in line:
        axis.set(xticks=[], yticks=[])

# %%
# A picture and its parts
# -----------------------
# A reconstruction is the offset plus the parts, each times its code. Nothing else is in it.

row = int(np.argmin(np.abs(np.diff(codes.indptr) - 6)))
active = codes[[row]].indices[np.argsort(-codes[[row]].data)]
parts = [codes[row, code] * model.components_[code] for code in active]
pictures = [X_test[row], model.inverse_transform(codes[[row]])[0], model.intercept_, *parts]
titles = ["picture", "reconstruction", "offset", *(f"code {code}" for code in active)]
figure, axes = plt.subplots(1, len(pictures), figsize=(9, 1.6), layout="constrained")
for axis, picture, title in zip(axes, pictures, titles, strict=True):
    axis.imshow(picture.reshape(8, 8), cmap="RdGy", vmin=-16, vmax=16)
    axis.set_title(title, fontsize=7)
    axis.set(xticks=[], yticks=[])
plt.show()
