"""
Speed and quality of different methods
======================================

Several methods of scikit-learn on the same task: reduce images to eight numbers, and reconstruct
them.
"""

# %%
# ``MLPRegressor`` is trained to return its input through a layer of eight units, which makes it a
# plain autoencoder. ``KernelPCA`` learns the way back by ridge regression.

import time

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA, KernelPCA
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPRegressor

from skae import AutoencoderTransformer

X_train, X_test = train_test_split(load_digits().data / 16, random_state=0)


def reconstruct(model, X):
    """Return the reconstructions of rows."""
    if isinstance(model, MLPRegressor):
        return model.predict(X)
    return model.inverse_transform(model.transform(X))


models = {
    "PCA": PCA(n_components=8),
    "KernelPCA": KernelPCA(n_components=8, kernel="rbf", fit_inverse_transform=True, alpha=0.1),
    "MLPRegressor": MLPRegressor(
        hidden_layer_sizes=(128, 128, 8, 128, 128), early_stopping=True, random_state=0
    ),
    "skae": AutoencoderTransformer(n_components=8, random_state=0),
}
AutoencoderTransformer(8, max_iter=3, random_state=0).fit(X_train)  # parts of torch load once
rows = {}
for name, model in models.items():
    start = time.process_time()
    model.fit(X_train, X_train) if name == "MLPRegressor" else model.fit(X_train)
    seconds = time.process_time() - start
    rows[name] = {"error": np.mean((reconstruct(model, X_test) - X_test) ** 2), "seconds": seconds}

table = pd.DataFrame(rows).T
table["error over PCA's"] = table["error"] / table.loc["PCA", "error"]
table.round(4)

# %%
# Lower is better, and further left is faster.

figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
for name, row in table.iterrows():
    ax.plot(row.seconds, row["error over PCA's"], "o")
    ax.annotate(
        name, (row.seconds, row["error over PCA's"]), xytext=(6, 6), textcoords="offset points"
    )
ax.axhline(1, color="0.7", linestyle=":")
ax.set(xscale="log", xlabel="seconds to fit", ylabel="squared error over PCA's", ylim=(0, 1.25))
ax.margins(x=0.3)

# %%
# This is an illustration on small images, with default parameters except for the layers. The
# benchmarks in the repository use more data sets, splits and methods.
