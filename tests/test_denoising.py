"""Noise on the input of the network: denoising autoencoders."""

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV

from skae.corruption import CORRUPTIONS, Corruption, GaussianNoise, HidingNoise
from skae.exceptions import OvercompleteWarning

LEVELS = {"gaussian": 0.4, "masking": 0.3, "salt_and_pepper": 0.2, "swap": 0.3}


class Darkness(Corruption):
    """User-defined corruption that halves all cells."""

    def __call__(self, rows, columns, generator):
        return rows * self.level


@pytest.fixture
def digits(all_digits):
    """Return 400 images, as noise is learned from more rows than other tests need."""
    X, y = all_digits
    return X[:400] / 16, y[:400].copy()


def mean_error(X, reconstruction):
    return float(np.square(X - reconstruction).mean())


@pytest.mark.slow
def test_noisy_rows_are_reconstructed_better_than_without_and_than_by_pca(digits, quick):
    X, _ = digits
    rng = np.random.default_rng(0)
    X_test = X[300:] + rng.normal(scale=0.4, size=X[300:].shape)
    errors = {}
    for corruption in (None, "gaussian"):
        model = quick(
            n_components=16,
            hidden_layer_sizes=(64,),
            max_iter=30,
            early_stopping=False,
            corruption=corruption,
            corruption_level=0.4,
        ).fit(X[:300])
        errors[corruption] = mean_error(X[300:], model.inverse_transform(model.transform(X_test)))
    pca = PCA(16).fit(X[:300])
    pca_error = mean_error(X[300:], pca.inverse_transform(pca.transform(X_test)))
    assert errors["gaussian"] < 0.8 * errors[None]
    assert errors["gaussian"] < 0.8 * pca_error


@pytest.mark.mostly_slow(8)
@pytest.mark.parametrize("corruption", sorted(LEVELS))
def test_every_kind_trains_and_is_repeated_by_the_seed(digits, quick, any_autoencoder, corruption):
    X, _ = digits
    params = {"corruption": corruption, "corruption_level": LEVELS[corruption]}
    first, second = (clone(any_autoencoder).set_params(**params).fit(X) for _ in range(2))
    np.testing.assert_array_equal(first.transform(X), second.transform(X))
    plain = clone(any_autoencoder).fit(X)
    assert not np.array_equal(first.loss_curve_, plain.loss_curve_)


def test_judging_draws_the_same_noise_each_time(digits, quick):
    X, _ = digits
    model = quick(
        corruption="masking", early_stopping=True, max_iter=4, learning_rate_init=1e-12
    ).fit(X)
    # A network that does not learn, and PCA, have equal errors after every epoch.
    np.testing.assert_allclose(model.validation_loss_curve_, model.validation_loss_curve_[0])
    # Reconstructions clipped to the range of the pixels are slightly better than PCA's.
    assert model.reconstruction_error_ == pytest.approx(model.pca_reconstruction_error_, rel=0.01)


def test_the_errors_reported_are_those_of_noisy_rows(digits, quick):
    X, _ = digits
    noisy = quick(corruption="gaussian", corruption_level=1.0, early_stopping=False).fit(X)
    pca = PCA(4).fit(X)
    X_noisy = X + np.random.default_rng(0).normal(size=X.shape)
    expected = mean_error(X, pca.inverse_transform(pca.transform(X_noisy)))
    assert noisy.pca_reconstruction_error_ == pytest.approx(expected, rel=0.05)
    assert noisy.pca_reconstruction_error_ > 2 * quick().fit(X).pca_reconstruction_error_


def test_fast_steps_and_autograd_see_the_same_noise(digits, quick):
    X, _ = digits
    params = {"corruption": "swap", "early_stopping": False, "dtype": "float64"}
    adamw = {"optimizer": torch.optim.AdamW, "optimizer__lr": 1e-3}
    fast = quick(**params, init="random", net_params=adamw).fit(X)
    listener = [torch_callback()]
    slow = quick(**params, init="random", net_params={**adamw, "callbacks": listener}).fit(X)
    np.testing.assert_allclose(fast.loss_curve_, slow.loss_curve_, rtol=1e-9)


def torch_callback():
    from skorch.callbacks import Callback

    class Listener(Callback):
        def on_batch_end(self, net, **kwargs):
            pass

    return Listener()


def test_user_defined_noise_has_its_own_level(digits, quick):
    X, _ = digits
    own = quick(corruption=Darkness(0.5), corruption_level=0.9, early_stopping=False).fit(X)
    named = quick(corruption=Darkness(0.5), corruption_level=0.1, early_stopping=False).fit(X)
    np.testing.assert_array_equal(own.transform(X), named.transform(X))


def test_a_name_is_a_short_form_of_an_object(digits, quick):
    X, _ = digits
    by_name = quick(corruption="gaussian", corruption_level=0.2).fit(X)
    by_object = quick(corruption=GaussianNoise(0.2)).fit(X)
    np.testing.assert_array_equal(by_name.transform(X), by_object.transform(X))


@pytest.mark.slow
def test_kinds_and_levels_are_searched_by_name(digits, quick):
    X, _ = digits
    grid = {"corruption": [None, "swap"], "corruption_level": [0.1, 0.3]}
    search = GridSearchCV(quick(max_iter=1), grid, cv=2).fit(X[:200])
    assert set(search.best_params_) == set(grid)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_sparse_rows_get_noise_too(digits, quick, early_stopping):
    X, _ = digits
    params = {"corruption": "masking", "early_stopping": early_stopping}
    model = quick(**params).fit(sparse.csr_array(X))
    assert model.transform(X).shape == (len(X), 4)
    assert not np.array_equal(model.loss_curve_, quick().fit(sparse.csr_array(X)).loss_curve_)


def test_partial_fit_has_noise_as_well(digits, quick):
    X, _ = digits
    model = quick(corruption="gaussian", corruption_level=0.5)
    model.partial_fit(X[:200]).partial_fit(X[200:])
    plain = quick().partial_fit(X[:200]).partial_fit(X[200:])
    assert model.loss_curve_[0] > 1.2 * plain.loss_curve_[0]


def test_more_codes_than_features_are_no_mistake_under_noise(wine, quick, recwarn):
    quick(n_components=20, corruption="masking").fit(wine[0])
    assert not [w for w in recwarn if issubclass(w.category, OvercompleteWarning)]


def test_cells_are_hidden_only_from_networks_that_take_missing_ones(wine, quick):
    assert CORRUPTIONS.keys() - LEVELS.keys() == {"hiding"}
    for corruption in ("hiding", HidingNoise(0.1)):
        with pytest.raises(ValueError, match="`corruption` must be noise that hides no cells"):
            quick(corruption=corruption).fit(wine[0])


@pytest.mark.parametrize("corruption", ["hiding", "masking", "salt_and_pepper", "swap"])
def test_a_share_is_at_most_one(wine, quick, corruption):
    with pytest.raises(ValueError, match="`corruption_level` must be a share .* Got 1.5"):
        quick(corruption=corruption, corruption_level=1.5).fit(wine[0])


@pytest.mark.slow
def test_levels_of_objects_are_searched(digits, quick):
    noise = Darkness(0.5)
    grid = {"corruption__level": [0.1, 0.5, 0.9]}
    search = GridSearchCV(quick(corruption=noise), grid, cv=2, error_score="raise")
    assert len(set(search.fit(digits[0][:200]).cv_results_["mean_test_score"])) == 3
    assert vars(noise) == {"level": 0.5}


class Shortening(Corruption):
    def __call__(self, rows, columns, generator):
        return rows[..., 1:]


class HidingAll(Corruption):
    """User-defined corruption that hides cells."""

    hides = True

    def __call__(self, rows, columns, generator):
        return torch.full_like(rows, torch.nan)


@pytest.mark.parametrize(
    ("corruption", "message"),
    [
        (Shortening(0.1), "`corruption` must return rows of shape"),
        (HidingAll(0.1), "`corruption` must be noise that hides no cells"),
        (GaussianNoise(-1), "`level` must be a standard deviation"),
    ],
)
def test_invalid_noise_has_a_clear_error(digits, quick, corruption, message):
    with pytest.raises(ValueError, match=message):
        quick(corruption=corruption).fit(digits[0])


def test_rows_with_noise_are_within_reach(quick, images):
    model = quick(corruption="gaussian", corruption_level=1.0, max_iter=1).fit(images)
    module = model.net_.module_
    rows = module.scale_rows(model._standardization.apply(images))
    assert (module.reach.row_bounds[1] > rows.amax(0) + 1).float().mean() > 0.5
