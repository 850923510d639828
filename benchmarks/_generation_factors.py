"""Effect of beta on the agreement of codes with the true factors of images."""

import numpy as np
from _common import count_seconds, print_table
from sklearn.metrics import mutual_info_score

from skae import VariationalAutoencoderTransformer
from skae.datasets import make_shapes

_BETAS, _BETAS_QUICK = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0), (1.0, 8.0)
_N_ROWS, _N_TEST_ROWS, _N_ROWS_QUICK = 20_000, 5_000, 500
_N_CODES = 10
_EPOCHS = 60
_BINS = 20


def report_factors(options):
    """Print reconstruction and mutual information gap for each beta."""
    n_rows = options.rows or (_N_ROWS_QUICK if options.quick else _N_ROWS)
    shapes = make_shapes(n_rows, random_state=0)
    test = make_shapes(options.test_rows or min(n_rows, _N_TEST_ROWS), random_state=1)
    rows = []
    for beta in _BETAS_QUICK if options.quick else _BETAS:
        model = make_model(beta, options)
        seconds = count_seconds(model.fit, shapes.X)
        gaps = mutual_information_gaps(model.transform(test.X), test.factors)
        error = float(np.mean(model.reconstruction_errors(test.X)) / np.var(test.X))
        information, n_active = float(model.kl_divergence_.sum()), int(model.active_units_.sum())
        found = [beta, error, information, n_active, *map(float, gaps), float(np.mean(gaps))]
        rows.append([*found, seconds])
    print_table(
        f"Shapes, {_N_CODES} codes: the share of the variance that is lost, what the codes say in "
        "nats, and mutual information gaps",
        ["beta", "lost", "nats", "active", *test.factor_names, "mean gap", "processor seconds"],
        rows,
    )


def make_model(beta, options):
    """Return the estimator."""
    params = {
        "beta": beta,
        "likelihood": "bernoulli",
        "hidden_layer_sizes": (256, 256),
        "max_iter": options.epochs or _EPOCHS,
        "early_stopping": False,
        "random_state": options.seed,
    }
    return VariationalAutoencoderTransformer(_N_CODES, **(params | options.set))


def mutual_information_gaps(codes, factors):
    """Return the mutual information gap of each factor: best minus second best code, over entropy.

    R. T. Q. Chen et al., "Isolating sources of disentanglement in variational autoencoders", 2018;
    here of the posterior's means, and with values in bins of as many rows each.
    """
    codes = np.column_stack([discretise(code) for code in codes.T])
    gaps = []
    for factor in map(discretise, factors.T):
        shared = sorted(mutual_info_score(code, factor) for code in codes.T)
        gaps.append((shared[-1] - shared[-2]) / mutual_info_score(factor, factor))
    return np.array(gaps)


def discretise(values):
    """Return quantile bins of values, and classes unchanged."""
    if len(np.unique(values)) <= _BINS:
        return values.astype(int)
    edges = np.quantile(values, np.linspace(0, 1, _BINS + 1)[1:-1])
    return np.searchsorted(edges, values)
