"""Recipe of the small model of scikit-learn's digits, which needs no data file.

``python zoo/digits.py`` makes it.
"""

from _recipes import compare, fit_pca, halved, reconstruct, run, show_images
from sklearn.datasets import load_digits

from skae import AutoencoderTransformer

_N_TRAINING = 1200


def make_dense():
    X = load_digits().data
    X, X_test = X[:_N_TRAINING], X[_N_TRAINING:]
    model = halved(AutoencoderTransformer(8, max_iter=60, random_state=0).fit(X))
    rows = X_test[:12]
    shown = {
        "held out": rows,
        "autoencoder": reconstruct(model, rows),
        "PCA": reconstruct(fit_pca(model, X), rows),
    }
    card = {
        "title": "small dense autoencoder of scikit-learn's digits of 8 x 8 pixels",
        "kind": "dense",
        "data": f"the first {_N_TRAINING} images of sklearn.datasets.load_digits, from the UCI "
        "repository (E. Alpaydin and C. Kaynak)",
        "licence": "CC BY 4.0 (data)",
        "input": "array of shape (n, 64), pixels in [0, 16]",
        "figures": compare(model, X, X_test),
    }
    images = {name: own.reshape(-1, 8, 8) for name, own in shown.items()}
    return model, card, show_images(images, limits=(0, 16))


if __name__ == "__main__":
    run({"digits-dense-8": make_dense})
