"""Rivals, as their users would write them, with the methods fit, encode and reconstruct.

The networks are n_features - hidden - n_components - hidden - n_features with relu. None of the
rivals that do not scale by themselves gets raw columns: one scalar scale is applied inside, so that
what they minimise is the squared error that is measured. encdr and pyod standardise each column
by themselves, which is their default.
"""

import itertools
import logging
import os

import numpy as np
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA, KernelPCA
from sklearn.neural_network import MLPRegressor
from skorch import NeuralNet
from skorch.dataset import ValidSplit
from torch import nn

from skae import AutoencoderTransformer


class Rival:
    """Base class of methods; subclasses have fit_scaled, encode_scaled, ..."""

    takes_sparse = False

    def __init__(self, n_components, hidden_layer_sizes, seed):
        self.n_components = n_components
        is_named = isinstance(hidden_layer_sizes, str)
        self.hidden_layer_sizes = hidden_layer_sizes if is_named else tuple(hidden_layer_sizes)
        self.seed = seed

    def fit(self, X):
        """Centre, divide by the root of the mean variance of the columns, and fit."""
        self.mean_ = X.mean(axis=0)
        self.scale_ = float(np.sqrt(X.var(axis=0).mean()))
        self.fit_scaled(self.scale(X))
        return self

    def scale(self, X):
        """Return X centred and scaled."""
        return ((X - self.mean_) / self.scale_).astype(np.float32)

    def encode(self, X):
        """Return codes."""
        return self.encode_scaled(self.scale(X))

    def reconstruct(self, X):
        """Return reconstructions in the units of X."""
        return self.reconstruct_scaled(self.scale(X)) * self.scale_ + self.mean_


class Transformer(Rival):
    """Transformer with inverse_transform, which receives X unscaled."""

    takes_sparse = True

    def fit(self, X):
        """Fit the transformer."""
        self.model_ = self.make_model(X).fit(X)
        return self

    def encode(self, X):
        """Return codes."""
        return self.model_.transform(X)

    def reconstruct(self, X):
        """Return reconstructions."""
        return self.model_.inverse_transform(self.model_.transform(X))


class PrincipalComponents(Transformer):
    """Exact PCA, the linear method with the lowest error on the training rows."""

    def make_model(self, X):
        """Return a PCA with the fastest exact solver."""
        solver = "full"
        if not isinstance(X, np.ndarray):
            solver = "arpack"
        elif X.shape[1] <= 1000 and X.shape[0] >= X.shape[1]:
            solver = "covariance_eigh"
        return PCA(self.n_components, svd_solver=solver, random_state=self.seed)


class Ours(Transformer):
    """AutoencoderTransformer with defaults, except for the settings on the command line."""

    settings: dict = {}  # noqa: RUF012

    def make_model(self, X):
        """Return the estimator."""
        params = {"hidden_layer_sizes": self.hidden_layer_sizes, "random_state": self.seed}
        return AutoencoderTransformer(self.n_components, **(params | self.settings))


class KernelPrincipalComponents(Rival):
    """KernelPCA with a Gaussian kernel and its learned inverse."""

    def fit_scaled(self, X):
        """Fit the method."""
        self.model_ = KernelPCA(self.n_components, kernel="rbf", fit_inverse_transform=True)
        self.model_.fit(X)

    def encode_scaled(self, X):
        """Return codes."""
        return self.model_.transform(X)

    def reconstruct_scaled(self, X):
        """Return reconstructions."""
        return self.model_.inverse_transform(self.model_.transform(X))


class Perceptron(Rival):
    """MLPRegressor from X to X, with a tenth of the rows held out for early stopping."""

    early_stopping = True

    def fit_scaled(self, X):
        """Fit the method."""
        layers = [*self.hidden_layer_sizes, self.n_components, *self.hidden_layer_sizes[::-1]]
        self.model_ = MLPRegressor(
            hidden_layer_sizes=layers,
            early_stopping=self.early_stopping,
            random_state=self.seed,
        ).fit(X, X)

    def encode_scaled(self, X):
        """Return the output of the middle layer."""
        for i in range(len(self.hidden_layer_sizes) + 1):
            X = np.maximum(X @ self.model_.coefs_[i] + self.model_.intercepts_[i], 0)
        return X

    def reconstruct_scaled(self, X):
        """Return reconstructions."""
        return self.model_.predict(X)


class LongPerceptron(Perceptron):
    """MLPRegressor from X to X on all rows, until the training loss converges or for 200 epochs."""

    early_stopping = False


class PlainNetwork(nn.Module):
    """Plain autoencoder as in tutorials."""

    def __init__(self, n_features, hidden_layer_sizes, n_components):
        super().__init__()
        sizes = [n_features, *hidden_layer_sizes, n_components]
        self.encoder = stack_layers(sizes)
        self.decoder = stack_layers(sizes[::-1])

    def forward(self, rows):
        """Return reconstructions."""
        return self.decoder(self.encoder(rows))


def stack_layers(sizes):
    """Return linear layers with relu between them."""
    layers = []
    for n_inputs, n_outputs in itertools.pairwise(sizes):
        layers += [nn.Linear(n_inputs, n_outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def train_plainly(network, rows, *, n_epochs=100, batch_size=32):
    """Train a network to reproduce rows on their device, by a plain torch loop."""
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
    loss_function = nn.MSELoss()
    for _ in range(n_epochs):
        for indices in torch.randperm(len(rows), device=rows.device).split(batch_size):
            batch = rows[indices]
            optimizer.zero_grad()
            loss_function(network(batch), batch).backward()
            optimizer.step()
    return network


class TorchRival(Rival):
    """Methods that encode and reconstruct with a `PlainNetwork` in `network_`."""

    @torch.no_grad()
    def encode_scaled(self, X):
        """Return codes."""
        return self.network_.encoder(torch.from_numpy(X)).numpy()

    @torch.no_grad()
    def reconstruct_scaled(self, X):
        """Return reconstructions."""
        return self.network_(torch.from_numpy(X)).numpy()


class PlainTorch(TorchRival):
    """Plain torch loop: Adam at 1e-3, 100 epochs, batches of 32."""

    def fit_scaled(self, X):
        """Fit the method."""
        torch.manual_seed(self.seed)
        self.network_ = PlainNetwork(X.shape[1], self.hidden_layer_sizes, self.n_components)
        train_plainly(self.network_, torch.from_numpy(X))


def make_skorch_net(n_features, hidden_layer_sizes, n_components, **params):
    """Return skorch's net around a `PlainNetwork`."""
    return NeuralNet(
        PlainNetwork,
        module__n_features=n_features,
        module__hidden_layer_sizes=hidden_layer_sizes,
        module__n_components=n_components,
        criterion=nn.MSELoss,
        optimizer=torch.optim.Adam,
        lr=1e-3,
        verbose=0,
        **params,
    )


class PlainSkorch(TorchRival):
    """skorch's NeuralNet: batches of 128, a fifth of the rows held out; Adam, 100 epochs."""

    def fit_scaled(self, X):
        """Fit the method."""
        torch.manual_seed(self.seed)
        net = make_skorch_net(
            X.shape[1],
            self.hidden_layer_sizes,
            self.n_components,
            max_epochs=100,
            train_split=ValidSplit(5),
            iterator_train__shuffle=True,
        )
        self.network_ = net.fit(X, X).module_


class SkorchTransformer(TransformerMixin, BaseEstimator):
    """Plain transformer around skorch, for searches."""

    def __init__(
        self, n_components=16, hidden_layer_sizes=(128,), batch_size=64, max_epochs=20, lr=1e-3
    ):
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.lr = lr

    def fit(self, X, y=None):
        """Fit the net."""
        self.net_ = make_skorch_net(
            X.shape[1],
            self.hidden_layer_sizes,
            self.n_components,
            batch_size=self.batch_size,
            max_epochs=self.max_epochs,
            train_split=None,
            iterator_train__shuffle=True,
        ).set_params(lr=self.lr)
        self.net_.fit(X, X)
        return self

    @torch.no_grad()
    def transform(self, X):
        """Return codes."""
        return self.net_.module_.encoder(torch.from_numpy(X)).numpy()

    def score(self, X, y=None):
        """Return the negative mean squared error."""
        return -float(np.mean(np.square(X - self.net_.predict(X))))


class Encdr(Transformer):
    """encdr at its defaults: columns standardised, 100 epochs, a fifth of the rows held out."""

    takes_sparse = False

    def make_model(self, X):
        """Return the estimator."""
        from encdr import ENCDR

        for name in ("lightning.pytorch", "lightning.fabric"):
            logging.getLogger(name).setLevel(logging.ERROR)
        return ENCDR(
            hidden_dims=list(self.hidden_layer_sizes),
            latent_dim=self.n_components,
            random_state=self.seed,
            trainer_kwargs={
                "enable_progress_bar": False,
                "enable_model_summary": False,
                "accelerator": "cpu",
            },
        )


class Pyod(Rival):
    """pyod's AutoEncoder: columns standardised, dropout, batch norm; 100 epochs, not its 10."""

    def fit(self, X):
        """Fit the method."""
        from pyod.models.auto_encoder import AutoEncoder

        self.model_ = AutoEncoder(
            hidden_neuron_list=[*self.hidden_layer_sizes, self.n_components],
            epoch_num=100,
            random_state=self.seed,
            verbose=0,
        ).fit(np.asarray(X, dtype=np.float64))
        self.model_.model.eval()
        return self

    def scale(self, X):
        """Return X as pyod standardises it."""
        X = (X - self.model_.X_mean) / (self.model_.X_std + 1e-8)
        return torch.as_tensor(X, dtype=torch.float32)

    @torch.no_grad()
    def encode(self, X):
        """Return codes."""
        return self.model_.model.encoder(self.scale(X)).numpy()

    @torch.no_grad()
    def reconstruct(self, X):
        """Return reconstructions."""
        output = self.model_.model(self.scale(X)).numpy()
        return output * (self.model_.X_std + 1e-8) + self.model_.X_mean


def import_keras():
    """Return Keras, with the torch backend unless another is selected."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    return keras


def make_keras_model(sizes, *, output="linear", loss="mse"):
    """Return a compiled Keras model with relu between layers of these sizes."""
    keras = import_keras()
    layers = [keras.layers.Dense(size, activation="relu") for size in sizes[1:-1]]
    layers.append(keras.layers.Dense(sizes[-1], activation=output))
    model = keras.Sequential([keras.Input((sizes[0],)), *layers])
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss=loss)
    return model


class Keras(Rival):
    """Keras with relu on the codes, as in its tutorial; Adam at 1e-3, 100 epochs, batches of 32."""

    def fit_scaled(self, X):
        """Fit the method."""
        import_keras().utils.set_random_seed(self.seed)
        hidden = self.hidden_layer_sizes
        sizes = [X.shape[1], *hidden, self.n_components, *hidden[::-1], X.shape[1]]
        self.model_ = make_keras_model(sizes)
        self.model_.fit(X, X, epochs=100, batch_size=32, verbose=0)

    def encode_scaled(self, X):
        """Return the output of the middle layer."""
        for layer in self.model_.layers[: len(self.hidden_layer_sizes) + 1]:
            X = layer(X)
        return import_keras().ops.convert_to_numpy(X)

    def reconstruct_scaled(self, X):
        """Return reconstructions."""
        return self.model_.predict(X, verbose=0)


# Names, classes and required packages.
RIVALS = {
    "kernel_pca": (KernelPrincipalComponents, None),
    "mlp": (Perceptron, None),
    "mlp_long": (LongPerceptron, None),
    "torch": (PlainTorch, None),
    "skorch": (PlainSkorch, None),
    "encdr": (Encdr, "encdr"),
    "pyod": (Pyod, "pyod"),
    "keras": (Keras, "keras"),
}
