"""Explanation of codes: their inputs, effects and importance."""

import numpy as np
from sklearn.utils import check_random_state

from skae._shared.checks import check_count
from skae.inspection._explanation import CodeExplanation
from skae.inspection._jacobian import (
    differentiate_codes,
    differentiate_reconstructions,
    read_finite,
)
from skae.inspection._plotting import name_features
from skae.metrics._transformer import (
    decode,
    encode,
    find_image_shape,
    index_samples,
    select_samples,
    view_numbers,
)

# Half of the difference by which a feature or a code is moved, in its standard deviations.
_STEP = 0.01


def explain_codes(
    estimator, X, *, n_rows=200, n_repeats=5, feature_names=None, random_state=0
) -> CodeExplanation:
    """Explain codes by the features that change them, their effects and their importance.

    - *Inputs*: the change of a code, in its standard deviations, if a feature of the row changes by
      one standard deviation (a derivative).
    - *Effects*: the change of a feature of the reconstruction, in its standard deviations, if a
      code changes by one standard deviation (a derivative).
    - *Importance*: the share of the variance of X that is lost if the values of a code are permuted
      among the rows.

    Parameters
    ----------
    estimator : fitted transformer with ``inverse_transform``
        An autoencoder, PCA, or a pipeline that ends in one.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        At least two rows, or images or sequences, all finite. Standard deviations are computed on
        these rows. Pass a sample of a large table, because all rows are decoded `n_repeats` times
        for each code. Data frames with columns of several kinds have a feature for each category,
        such as "colour=red", and reconstructions in place of missing cells.
    n_rows : int, default=200
        Number of randomly chosen rows at which inputs and effects are computed. The time is
        proportional to it and to the number of features.
    n_repeats : int, default=5
        Number of permutations of each code. More permutations give a more precise importance.
    feature_names : array-like of str of shape (n_features,), default=None
        Names of the features. None uses the names of X or of the estimator.
    random_state : int, RandomState instance or None, default=0
        Seed of the choice of rows and of the permutations.

    Returns
    -------
    CodeExplanation
        Explanation, as a DataFrame by `to_frame` and as a plot by `plot`.

    Raises
    ------
    ValueError
        If X has missing values or fewer than two rows, or `n_rows` or `n_repeats` is less than 1.

    Notes
    -----
    Derivatives describe small changes. `LatentTraversalDisplay` shows larger ones. If codes are
    correlated, or if their effects depend on each other, importances may sum to more or less than
    the share of the variance that is reconstructed.

    References
    ----------
    Breiman, L. (2001). Random forests. Machine Learning 45. https://doi.org/10.1023/A:1010933404324

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from skae.inspection import explain_codes
    >>> X = load_iris(as_frame=True).data
    >>> explanation = explain_codes(PCA(n_components=2).fit(X), X)
    >>> explanation.feature_names[explanation.effects[0].mean(axis=0).argmax()]
    'petal length (cm)'
    >>> bool(explanation.importances[0].mean() > explanation.importances[1].mean())
    True
    """
    n_rows = check_count("n_rows", n_rows, "Leave it out.")
    n_repeats = check_count("n_repeats", n_repeats, "Leave it out.")
    estimator, X = view_numbers(estimator, X, complete=True)
    samples = index_samples(X)
    values = read_finite(samples)
    if len(values) < 2:
        raise ValueError(
            f"`X` must have at least two rows to explain codes. Got {len(values)}. Give more rows, "
            "from which standard deviations are computed."
        )
    rng = check_random_state(random_state)
    codes = encode(estimator, samples)
    chosen = rng.permutation(len(values))[:n_rows]
    code_scales, feature_scales = (each.std(axis=0, dtype=np.float64) for each in (codes, values))
    rows = select_samples(samples, chosen)
    forth = differentiate_codes(estimator, rows, _STEP * feature_scales)
    inputs = forth * feature_scales / _without_zero(code_scales)[:, None]
    back = differentiate_reconstructions(estimator, codes[chosen], _STEP * code_scales)
    effects = back.transpose(0, 2, 1) * code_scales[:, None] / _without_zero(feature_scales)
    return CodeExplanation(
        inputs.swapaxes(0, 1),
        effects.swapaxes(0, 1),
        _permute_codes(estimator, values, codes, n_repeats, rng),
        tuple(name_features(feature_names, values.shape[1], X, estimator)),
        find_image_shape(X, estimator),
    )


def _without_zero(scales):
    """Return divisors in which infinity replaces 0, so that quotients of constants are zero."""
    return np.where(scales > 0, scales, np.inf)


def _permute_codes(estimator, values, codes, n_repeats, rng):
    """Return the share of variance lost, of shape (n_codes, n_repeats)."""
    deviation = np.sum(np.var(values, axis=0, dtype=np.float64)) * len(values)

    def measure(codes):
        return np.sum(np.square(values - decode(estimator, codes), dtype=np.float64))

    error = measure(codes)
    losses = np.zeros((codes.shape[1], n_repeats))
    for code in range(codes.shape[1]):
        for repeat in range(n_repeats):
            permuted = codes.copy()
            permuted[:, code] = rng.permutation(permuted[:, code])
            losses[code, repeat] = measure(permuted) - error
    return losses / deviation if deviation > 0 else losses
