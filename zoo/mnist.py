"""Recipes of the models of handwritten digits, from MNIST; needs ``mnist.npz`` in `SKAE_DATA`.

``python zoo/mnist.py mnist-dense-64`` makes one model, ``python zoo/mnist.py`` all.
"""

import numpy as np
from _recipes import (
    MNIST,
    MNIST_LICENCE,
    compare,
    find_error,
    fit_pca,
    halved,
    reconstruct,
    round_figure,
    run,
    show_images,
)
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

from skae import (
    AdversarialAutoencoderTransformer,
    AutoencoderTransformer,
    SparseAutoencoderTransformer,
    VariationalAutoencoderTransformer,
)
from skae.datasets import load_mnist

_SEED = 0
_NOISE, _LITTLE_NOISE = 0.4, 0.1
_MOST = 20_000


def make_card(kind, title, figures, *, n_rows=_MOST, shape="(n, 784)", **more):
    return {
        "title": title,
        "kind": kind,
        "data": f"{n_rows} training images of {MNIST}",
        "licence": MNIST_LICENCE,
        "input": f"array of shape {shape}, pixels in [0, 1]",
        **more,
        "figures": figures,
    }


def load(n_rows=_MOST):
    mnist = load_mnist(random_state=_SEED)
    return mnist.X_train[:n_rows], mnist.y_train[:n_rows], mnist.X_test, mnist.y_test


def as_images(rows):
    return np.asarray(rows).reshape(-1, 28, 28)


def show_reconstructions(model, X, X_test):
    flat, rows = X.reshape(len(X), -1), X_test[:12]
    pca = fit_pca(model, flat)
    return show_images(
        {
            "held out": as_images(rows),
            "autoencoder": as_images(reconstruct(model, rows)),
            "PCA": as_images(reconstruct(pca, rows.reshape(12, -1))),
        }
    )


def make_plain(kind, title, *, n_rows=_MOST, **params):
    X, _, X_test, _ = load(n_rows)
    model = AutoencoderTransformer(random_state=_SEED, **params)
    model = halved(model.fit(X))
    figures = compare(model, X, X_test)
    return (
        model,
        make_card(kind, title, figures, n_rows=n_rows),
        show_reconstructions(model, X, X_test),
    )


def make_dense():
    return make_plain(
        "dense",
        "classic 784-128-64 autoencoder of handwritten digits",
        n_components=64,
        hidden_layer_sizes=(128,),
        max_iter=20,
    )


def make_deep():
    return make_plain(
        "deep",
        "deep 784-1000-500-250-30 autoencoder of handwritten digits, with tied weights",
        n_components=30,
        hidden_layer_sizes=(1000, 500, 250),
        tied_weights=True,
        learning_rate_init=0.002,
        max_iter=10,
        n_rows=10_000,
    )


def make_conv():
    X, _, X_test, _ = load(8000)
    X, X_test = X.reshape(-1, 1, 28, 28), X_test.reshape(-1, 1, 28, 28)
    model = AutoencoderTransformer(32, architecture="conv", max_iter=8, random_state=_SEED)
    model = halved(model.fit(X))
    card = make_card(
        "convolutional",
        "convolutional autoencoder of handwritten digits",
        compare(model, X, X_test),
        n_rows=8000,
        shape="(n, 1, 28, 28)",
    )
    return model, card, show_reconstructions(model, X, X_test)


def make_denoising():
    X, _, X_test, _ = load()
    model = AutoencoderTransformer(
        32,
        hidden_layer_sizes=(128,),
        corruption="gaussian",
        corruption_level=_NOISE,
        max_iter=15,
        random_state=_SEED,
    )
    model = halved(model.fit(X))
    noise = np.random.default_rng(_SEED).normal(scale=_NOISE, size=X_test.shape)
    noisy = (X_test + noise).astype(np.float32)
    pca = fit_pca(model, X)
    figures = {
        "held-out rows": len(X_test),
        f"squared error of noisy rows (deviation {_NOISE}), cleaned": find_error(
            X_test, reconstruct(model, noisy)
        ),
        "cleaned by PCA of as many codes": find_error(X_test, reconstruct(pca, noisy)),
        "left as they are": find_error(X_test, noisy),
    }
    picture = show_images(
        {
            "noisy": as_images(noisy[:12]),
            "cleaned": as_images(reconstruct(model, noisy[:12])),
            "held out": as_images(X_test[:12]),
        }
    )
    title = "denoising autoencoder of handwritten digits"
    return model, make_card("denoising", title, figures), picture


def shrink(X):
    """Return images of 14 by 14 pixels, means of four."""
    return X.reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4)).reshape(-1, 196)


def make_inpainting():
    X, _, X_test, _ = load(10_000)
    X, X_test = shrink(X), shrink(X_test)
    model = AutoencoderTransformer(
        32,
        hidden_layer_sizes=(128,),
        missing="mask",
        corruption="hiding",
        corruption_level=0.4,
        max_iter=15,
        random_state=_SEED,
    )
    model = halved(model.fit(X))
    rng = np.random.default_rng(_SEED)
    hidden = rng.uniform(size=X_test.shape) < 0.5
    holes = np.where(hidden, np.nan, X_test)
    filled, linear = reconstruct(model, holes), fill_by_pca(X, holes, 32)
    mean = np.broadcast_to(X.mean(axis=0), X_test.shape)
    figures = {
        "held-out rows": len(X_test),
        "squared error per hidden cell, half of them hidden": find_error(
            X_test[hidden], filled[hidden]
        ),
        "filled by PCA of as many codes": find_error(X_test[hidden], linear[hidden]),
        "filled by means": find_error(X_test[hidden], mean[hidden]),
    }
    shown = {
        "half hidden": np.where(hidden, 0.5, X_test),
        "filled": np.where(hidden, filled, X_test),
        "held out": X_test,
    }
    picture = show_images({name: own[:12].reshape(-1, 14, 14) for name, own in shown.items()})
    title = "inpainting: fills the missing pixels of handwritten digits of 14 x 14 pixels"
    card = make_card("inpainting", title, figures, n_rows=10_000, shape="(n, 196)")
    card["input"] += ", means of 2 x 2 pixels; missing ones are NaN"
    return model, card, picture


def fill_by_pca(X, holes, n_components):
    """Return rows with holes imputed by iterated PCA."""
    mean = X.mean(axis=0)
    _, _, axes = np.linalg.svd(X - mean, full_matrices=False)
    axes = axes[:n_components]
    hidden = np.isnan(holes)
    filled = np.where(hidden, mean, holes)
    for _ in range(30):
        filled = np.where(hidden, (filled - mean) @ axes.T @ axes + mean, filled)
    return filled


def make_sparse():
    X, _, X_test, _ = load(10_000)
    model = SparseAutoencoderTransformer(256, n_active=16, random_state=_SEED)
    model = halved(model.fit(X))
    pca = PCA(16, random_state=0).fit(X)
    figures = {
        "held-out rows": len(X_test),
        "squared error per cell": find_error(X_test, reconstruct(model, X_test)),
        "PCA of 16 codes": find_error(X_test, reconstruct(pca, X_test)),
        "active codes per image": round_figure(model.transform(X_test).getnnz(axis=1).mean()),
        "codes that are never active": len(model.dead_codes_),
    }
    rows = X_test[:12]
    picture = show_images(
        {
            "held out": as_images(rows),
            "autoencoder": as_images(reconstruct(model, rows)),
            "PCA, 16 codes": as_images(reconstruct(pca, rows)),
        }
    )
    title = "sparse autoencoder of handwritten digits: about 16 of 256 codes for each image"
    return model, make_card("sparse", title, figures, n_rows=10_000), picture


def make_contractive():
    X, _, X_test, _ = load(10_000)
    plain = AutoencoderTransformer(32, hidden_layer_sizes=(128,), max_iter=15, random_state=_SEED)
    model = halved(clone(plain).set_params(penalty="contractive").fit(X))
    figures = compare(model, X, X_test)
    figures["codes moved by noise, in their variance"] = measure_move(model, X_test)
    figures["those of PCA"] = measure_move(fit_pca(model, X), X_test)
    figures["those without the penalty"] = measure_move(plain.fit(X), X_test)
    title = "contractive autoencoder of handwritten digits: codes that noise moves less"
    card = make_card("contractive", title, figures, n_rows=10_000)
    return model, card, show_reconstructions(model, X, X_test)


def measure_move(model, X):
    """Return the mean squared change of codes under noise over their variance."""
    noise = np.random.default_rng(_SEED).normal(scale=_LITTLE_NOISE, size=X.shape)
    codes = model.transform(X)
    moved = model.transform((X + noise).astype(np.float32))
    return round_figure(np.square(moved - codes).mean() / codes.var(axis=0).mean())


def make_variational():
    return make_generative("variational", "variational autoencoder of handwritten digits", 16)


def make_beta():
    title = "beta-VAE (beta = 4) of handwritten digits: few codes, each with a meaning of its own"
    return make_generative("beta", title, 10, beta=4.0)


def make_generative(kind, title, n_components, **params):
    X, _, X_test, _ = load()
    model = VariationalAutoencoderTransformer(
        n_components, hidden_layer_sizes=(128,), max_iter=20, random_state=_SEED, **params
    )
    model = halved(model.fit(X))
    figures = compare(model, X, X_test)
    figures["active codes"] = int(model.active_units_.sum())
    figures["bound on the log-density, nats"] = round_figure(model.score(X_test))
    drawn = as_images(model.sample(24, random_state=_SEED))
    picture = show_images(
        {
            "held out": as_images(X_test[:12]),
            "reconstructed": as_images(reconstruct(model, X_test[:12])),
            "drawn": drawn[:12],
            "": drawn[12:],
        }
    )
    return model, make_card(kind, title, figures), picture


def make_conditional():
    X, y, X_test, y_test = load()
    model = VariationalAutoencoderTransformer(
        8, hidden_layer_sizes=(128,), conditional=True, max_iter=20, random_state=_SEED
    )
    model = halved(model.fit(X, y))
    judge = LogisticRegression(max_iter=50).fit(X[:5000], y[:5000])
    drawn = {label: model.sample(100, _SEED, y=label) for label in range(10)}
    right = np.mean([np.mean(judge.predict(rows) == label) for label, rows in drawn.items()])
    figures = compare(model, X, X_test)
    figures["drawn images that logistic regression reads as asked for"] = round_figure(right)
    figures["held-out images that it reads rightly"] = round_figure(judge.score(X_test, y_test))
    rows = {f"drawn, {label}": as_images(drawn[label][:12]) for label in (0, 3, 5, 8)}
    title = "conditional variational autoencoder: draws the digit that is asked for"
    return model, make_card("conditional", title, figures), show_images(rows)


def make_adversarial():
    X, _, X_test, _ = load(10_000)
    model = AdversarialAutoencoderTransformer(
        8, hidden_layer_sizes=(128,), max_iter=20, random_state=_SEED
    )
    model = halved(model.fit(X))
    drawn = as_images(model.sample(12, random_state=_SEED))
    picture = show_images(
        {
            "held out": as_images(X_test[:12]),
            "reconstructed": as_images(reconstruct(model, X_test[:12])),
            "drawn": drawn,
        }
    )
    figures = compare(model, X, X_test)
    title = "adversarial autoencoder of handwritten digits, with codes of a normal distribution"
    return model, make_card("adversarial", title, figures, n_rows=10_000), picture


RECIPES = {
    "mnist-dense-64": make_dense,
    "mnist-deep-30": make_deep,
    "mnist-conv-32": make_conv,
    "mnist-denoising-32": make_denoising,
    "mnist-inpainting-32": make_inpainting,
    "mnist-sparse-256": make_sparse,
    "mnist-contractive-32": make_contractive,
    "mnist-variational-16": make_variational,
    "mnist-beta-10": make_beta,
    "mnist-conditional-8": make_conditional,
    "mnist-adversarial-8": make_adversarial,
}

if __name__ == "__main__":
    run(RECIPES)
