"""
As many codes as are wanted
===========================

One nested fit gives models of one code, of two, and so on. What each code adds shows in pictures.
"""

# %%
# Digits of 8 x 8 pixels, and one fit with 32 codes.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skae import AutoencoderTransformer

X, y = load_digits(return_X_y=True)
X_train, X_test, _, y_test = train_test_split(X, y, random_state=0)
nested = AutoencoderTransformer(32, nested=True, random_state=0).fit(X_train)
codes = nested.transform(X_test)

# %%
# One image of each digit, drawn again from its first codes. The codes are the same throughout; only
# their number grows.

one_of_each = [np.flatnonzero(y_test == digit)[0] for digit in range(10)]
numbers = [1, 2, 4, 8, 16, 32]
figure, axes = plt.subplots(len(numbers) + 1, 1, figsize=(7, 5.2), layout="constrained")
rows = [nested.inverse_transform(codes[one_of_each, :n_codes]) for n_codes in numbers]
labels = ["1 code", *(f"{n_codes} codes" for n_codes in numbers[1:]), "original"]
for ax, images, label in zip(axes, [*rows, X_test[one_of_each]], labels, strict=True):
    ax.imshow(np.hstack(images.reshape(-1, 8, 8)), cmap="gray_r", vmin=0, vmax=16)
    ax.set_ylabel(label, rotation=0, ha="right", va="center")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)

# %%
# The share of variance that is kept on images that the fit has not seen, beside that of PCA and of
# models made for one number of codes each. They are a little better, each at its number alone.

variance = np.square(X_test - X_train.mean(axis=0)).mean()
every = np.arange(1, 33)
kept = [
    1 - np.square(nested.inverse_transform(codes[:, :n_codes]) - X_test).mean() / variance
    for n_codes in every
]
own = [
    AutoencoderTransformer(n_codes, random_state=0).fit(X_train).score(X_test)
    for n_codes in numbers[1:]
]
figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
ax.plot(every, nested.pca_score_curve_, "--", color="0.6", label="PCA, rows held out in fit")
ax.plot(every, kept, color="#3f90da", label="one nested fit")
ax.plot(numbers[1:], own, "o", color="#e76300", label="a fit for each number")
ax.set_xscale("log", base=2)
ax.set_xticks(numbers, numbers)
ax.set(xlabel="number of codes", ylabel="share of variance kept")
ax.legend()
