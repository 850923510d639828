"""Log-density of binary digits under a variational autoencoder, 784-200-200-50."""

import time

import numpy as np
import torch
from _common import print_table
from _generation_data import load_images, standard_error
from skorch.callbacks import Callback

from skae import VariationalAutoencoderTransformer

# Y. Burda, R. Grosse and R. Salakhutdinov, "Importance weighted autoencoders", 2016: the VAE with
# two hidden layers of 200 units and 50 codes, one draw, 5000 draws for the bound.
_PUBLISHED = 86.76
_EPOCHS = 100
_CURVE_ROWS, _CURVE_DRAWS = 1000, 100


def report_nats(options):
    """Print the bound on test digits, and the curve if asked for."""
    images = load_images(options)
    # A fixed draw of the binary images.
    source = np.random.default_rng(0)
    X_test = (source.random(images.X_test.shape) < images.X_test).astype(np.float32)
    curve = Curve(X_test[:_CURVE_ROWS], options.every)
    model = make_model(options).set_params(net_params={"callbacks": [curve]})
    curve.begin()
    model.fit(images.X_train)
    seconds = curve.seconds()
    bounds = -model.score_samples(X_test, n_draws=options.draws).astype(np.float64)
    name = f"skae, {options.draws} draws"
    found = [float(bounds.mean()), float(standard_error(bounds)), int(model.active_units_.sum())]
    print_table(
        f"Binary {images.name}, nats per test digit; {len(images.X_train)} rows, {model.n_iter_} "
        "epochs; aim: 93 within 1200 seconds of processors",
        ["", "nats", "standard error", "active codes", "processor seconds"],
        [
            [name, *found, seconds],
            ["published, MNIST, after long training", _PUBLISHED, None, None, None],
        ],
    )


def make_model(options):
    """Return the estimator."""
    params = {
        "hidden_layer_sizes": (200, 200),
        "likelihood": "bernoulli",
        "batch_size": 200,
        "max_iter": options.epochs or _EPOCHS,
        "early_stopping": False,
        "random_state": options.seed,
    }
    return VariationalAutoencoderTransformer(50, **(params | options.set))


class Curve(Callback):
    """Print the bound on some test digits after epochs, with the clock stopped.

    Parameters
    ----------
    rows : ndarray of shape (n_samples, n_features)
        The digits.
    every : int
        How many epochs lie between two points; 0 for no curve.
    """

    def __init__(self, rows, every):
        self.rows, self.every = rows, every

    def begin(self):
        """Start the clock."""
        self.start, self.stopped = time.process_time(), 0.0
        if self.every:
            print(f"\n{'epoch':>6}  {'processor seconds':>17}  {'nats':>7}")

    def seconds(self):
        """Return the processor time since the start in seconds, without evaluation."""
        return time.process_time() - self.start - self.stopped

    def on_epoch_end(self, net, **kwargs):
        """Print a point of the curve."""
        epoch = len(net.history)
        if not self.every or epoch % self.every:
            return
        seconds, began = self.seconds(), time.process_time()
        print(f"{epoch:6d}  {seconds:17.1f}  {self.judge(net.module_):7.2f}", flush=True)
        self.stopped += time.process_time() - began

    @torch.no_grad()
    def judge(self, module):
        """Return the bound in nats."""
        units = module.likelihood.loss.units
        rows = (torch.from_numpy(self.rows) - units.mean) / units.scale
        noise = torch.randn(
            _CURVE_DRAWS, module.log_variance.shape[0], generator=torch.Generator().manual_seed(0)
        )
        ratios = torch.cat([module.find_log_ratios(some, noise) for some in rows.split(20)])
        return -float((ratios.logsumexp(1) - np.log(_CURVE_DRAWS)).mean())
