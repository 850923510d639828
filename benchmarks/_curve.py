"""Error on test images against the seconds of training."""

import time

import numpy as np
import torch
from sklearn.base import clone
from skorch.callbacks import Callback

_CHUNK = 2000


class Curve(Callback):
    """Evaluate test images after epochs, with the clock stopped.

    Parameters
    ----------
    rows : Tensor of shape (n_samples, n_features)
        The test images in the units of the network.
    scale : float
        One such unit, in units of the pixels.
    every : int
        How many epochs lie between two points of the curve.
    clock : callable
        Tells the seconds.
    """

    def __init__(self, rows, scale, every=1, *, clock=time.perf_counter):
        self.rows, self.scale, self.every, self.clock = rows, scale, every, clock
        self.points, self.stopped = [], 0.0
        self.start = clock()

    def on_epoch_end(self, net, **kwargs):
        """Add a point to the curve, and print it."""
        now = self.clock()
        epoch = len(net.history)
        if epoch % self.every == 0 or epoch == net.max_epochs:
            error = self.judge(net.module_)
            self.points.append((epoch, now - self.start - self.stopped, error))
            print("{:6d}  {:8.1f}  {:8.3f}".format(*self.points[-1]), flush=True)
        self.stopped += self.clock() - now

    @torch.no_grad()
    def judge(self, module):
        """Return the squared error per image, summed over pixels."""
        was_training = module.training
        module.eval()
        error = sum(
            float((module.reconstruct(rows) - rows).square().sum())
            for rows in self.rows.split(_CHUNK)
        )
        module.train(was_training)
        return error / len(self.rows) * self.scale**2


def fit_with_curve(model, X, X_test, every=1, **options):
    """Fit a model, print its errors on test images during the fit, and return the curve."""
    # A fit of one epoch gives mean and scale, which are equal in any fit with these rows and seed.
    probe = clone(model).set_params(max_iter=1).fit(X)
    rows = torch.from_numpy((X_test - probe.mean_) / X_test.dtype.type(probe.scale_))
    print(f"\n{'epoch':>6}  {'seconds':>8}  {'error':>8}")
    curve = Curve(rows, probe.scale_, every, **options)
    model.set_params(net_params={**(model.net_params or {}), "callbacks": [curve]}).fit(X)
    return curve


def judge(model, X):
    """Return the squared error of an estimator per image, summed over pixels."""
    errors = np.square(X - model.inverse_transform(model.transform(X)), dtype=np.float64)
    return float(errors.sum(axis=1).mean())
