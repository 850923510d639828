"""
Denoising images
================

A denoising autoencoder learns to reconstruct clean rows from noisy ones. It is compared with PCA
and with an autoencoder trained without noise.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer
from skae.datasets import load_digit_images

images = load_digit_images()
X_train, X_test = images.X_train[:5000], images.X_test[:1000]
noise = np.random.default_rng(0).normal(scale=0.4, size=X_test.shape)
X_noisy = X_test + noise

# %%
# All three models are fitted on clean images. ``corruption="gaussian"`` adds new noise in each
# epoch of the training, and the loss compares the output with the clean image.

models = {
    "PCA": PCA(n_components=24),
    "autoencoder": AutoencoderTransformer(n_components=24, max_iter=40, random_state=0),
    "denoising\nautoencoder": AutoencoderTransformer(
        n_components=24, corruption="gaussian", corruption_level=0.4, max_iter=40, random_state=0
    ),
}
pictures = {"original": X_test, "with noise": X_noisy}
for name, model in models.items():
    model.fit(X_train)
    pictures[name] = model.inverse_transform(model.transform(X_noisy))

# %%
# The remaining noise, as the mean squared difference from the clean images:

errors = {name: np.mean((rows - X_test) ** 2) for name, rows in pictures.items()}
figure, axes = plt.subplots(5, 1, figsize=(7, 4), layout="constrained")
for ax, (name, rows) in zip(axes, pictures.items(), strict=True):
    strip = np.hstack(rows[:10].reshape(-1, *images.image_shape))
    ax.imshow(strip, cmap="gray_r", vmin=0, vmax=1)
    ax.set_ylabel(f"{name}\n{errors[name]:.3f}", rotation=0, ha="right", va="center")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)

# %%
# The level of the noise is not always known. A model trained at one level also helps at other
# levels, and on clean images it is only slightly worse than an autoencoder trained without noise.
# On noisy images, an autoencoder trained without noise mistakes noise for strokes and amplifies it.

levels = np.linspace(0, 0.8, 9)
figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
for name, model in models.items():
    left = []
    for level in levels:
        cleaned = model.inverse_transform(model.transform(X_test + noise * level / 0.4))
        left.append(np.mean((cleaned - X_test) ** 2))
    ax.plot(levels, left, marker=".", label=name.replace("\n", " "))
ax.plot(levels, levels**2, color="0.7", linestyle=":", label="the noise itself")
ax.set(xlabel="standard deviation of the noise", ylabel="mean squared error", ylim=(0, 0.15))
ax.legend()
