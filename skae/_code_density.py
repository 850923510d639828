"""Densities of codes, to draw new ones from."""

import numpy as np
from sklearn.mixture import GaussianMixture

# Fewer rows than this for each component, and their covariances would follow the rows.
_ROWS_PER_COMPONENT = 50
# Added to the variances, as a share of the codes' mean variance.
_LEAST_SHARE_OF_VARIANCE = 1e-4


def fit_mixture(codes: np.ndarray, n_components: int, random_state) -> GaussianMixture:
    """Fit a mixture of normal distributions with full covariances to codes.

    Parameters
    ----------
    codes : ndarray of shape (n_samples, n_codes)
        The codes.
    n_components : int
        How many normal distributions, at most: fewer where there are not fifty rows for each.
    random_state : int or RandomState instance
        Seeds the start of the mixture.

    Returns
    -------
    mixture : GaussianMixture
        The fitted mixture.
    """
    codes = codes.astype(np.float64)
    n_components = max(1, min(n_components, len(codes) // _ROWS_PER_COMPONENT))
    floor = max(_LEAST_SHARE_OF_VARIANCE * codes.var(axis=0).mean(), np.finfo(np.float64).tiny)
    mixture = GaussianMixture(n_components, reg_covar=floor, random_state=random_state)
    return mixture.fit(codes)


def draw_from_mixture(mixture: GaussianMixture, n_samples: int, random_state) -> np.ndarray:
    """Return draws from a fitted mixture, in random order.

    Parameters
    ----------
    mixture : GaussianMixture
        The fitted mixture.
    n_samples : int
        How many draws.
    random_state : RandomState instance
        Source of the draws.

    Returns
    -------
    codes : ndarray of shape (n_samples, n_codes)
        The draws.
    """
    components = random_state.choice(len(mixture.weights_), size=n_samples, p=mixture.weights_)
    draws = random_state.standard_normal((n_samples, mixture.means_.shape[1]))
    for component in range(len(mixture.weights_)):
        chosen = components == component
        factor = np.linalg.cholesky(mixture.covariances_[component])
        draws[chosen] = mixture.means_[component] + draws[chosen] @ factor.T
    return draws
