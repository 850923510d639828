"""Draw the picture of the README: two codes of digits beside two components of PCA."""

from pathlib import Path

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from skae import AutoencoderTransformer

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
models = {
    "PCA": PCA(n_components=2),
    "AutoencoderTransformer": AutoencoderTransformer(n_components=2, random_state=0),
}
figure, axes = plt.subplots(1, 2, figsize=(10, 4.6), layout="constrained")
for ax, (name, model) in zip(axes, models.items(), strict=True):
    codes = model.fit(X_train).transform(X_test)
    error = ((X_test - model.inverse_transform(codes)) ** 2).mean()
    points = ax.scatter(*codes.T, c=y_test, cmap="tab10", vmin=-0.5, vmax=9.5, s=12)
    ax.set_title(f"{name}: squared error {error:.1f}")
    ax.set(xticks=[], yticks=[])
figure.colorbar(points, ax=axes, ticks=range(10), label="digit", pad=0.01)
figure.savefig(Path(__file__).parent / "_static" / "two_codes.png", dpi=110)
