"""Adversarial autoencoder: distribution of codes, samples, losses, divergences."""

import copy
import pickle

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback

from skae import AdversarialAutoencoderTransformer, AutoencoderTransformer
from skae.generate import MixturePrior

CENTRES = [[2.5, 0.0], [-2.5, 0.0]]


def quick(**params):
    defaults = {"n_components": 4, "hidden_layer_sizes": (16,), "max_iter": 3, "batch_size": 32}
    return AdversarialAutoencoderTransformer(**{"random_state": 0, **defaults, **params})


def uniform(n_draws, random_state):
    return random_state.uniform(-2, 2, size=(n_draws, 4))


def energy_distance(one, other):
    """Return the energy distance of two tables of draws."""
    one, other = (torch.as_tensor(np.asarray(table, np.float64)) for table in (one, other))
    among = [torch.cdist(t, t).sum() / (len(t) * (len(t) - 1)) for t in (one, other)]
    return float(2 * torch.cdist(one, other).mean() - sum(among))


@pytest.fixture(scope="module")
def curved():
    """Return 1000 rows on a curved surface, whose PCA codes are far from normal."""
    source = np.random.RandomState(0)
    angle, height = source.uniform(0, 5, 1000), source.exponential(size=1000)
    rows = np.column_stack([np.cos(angle), np.sin(angle), height, angle * height, height**2])
    return rows / rows.std(0)


@pytest.mark.parametrize("divergence", ["adversarial", "mmd"])
@pytest.mark.slow
def test_codes_come_to_look_like_the_prior(curved, divergence):
    params = {"n_components": 2, "hidden_layer_sizes": (64,), "max_iter": 20}
    normal = np.random.RandomState(1).normal(size=(1000, 2))
    distances = [
        energy_distance(
            quick(alpha=alpha, divergence=divergence, **params).fit_transform(curved), normal
        )
        for alpha in (0.0, 0.5)
    ]
    assert distances[1] < 0.4 * distances[0]


@pytest.mark.slow
def test_a_mixture_can_be_the_prior(curved):
    prior = MixturePrior(CENTRES, deviation=0.5)
    params = {"n_components": 2, "divergence": "mmd", "max_iter": 20}
    model = quick(prior=prior, hidden_layer_sizes=(64,), **params).fit(curved)
    codes = model.transform(curved)
    assert energy_distance(codes, prior(1000, np.random.RandomState(0))) < 0.1
    # Few codes lie between the two centres, and about half around each.
    assert np.mean(np.abs(codes[:, 0]) < 0.5) < 0.15
    assert 0.4 < np.mean(codes[:, 0] < 0) < 0.6


@pytest.mark.mostly_slow(4)
@pytest.mark.parametrize("divergence", ["adversarial", "mmd"])
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"prior": uniform},
        {"init": "random"},
        {"loss": "binary_cross_entropy"},
        {"dtype": "float64", "learning_rate": "constant"},
        {"normalization": "batch", "dropout": 0.2},
        {"net_params": {"optimizer": torch.optim.Adam}},
    ],
    ids=["default", "prior", "random", "bernoulli", "double", "regularized", "optimizer"],
)
def test_every_kind_of_network_works(images, divergence, params):
    model = quick(divergence=divergence, **params).fit(images)
    codes = model.transform(images)
    assert codes.shape == (150, 4)
    assert codes.dtype == model.dtype
    assert np.isfinite(model.inverse_transform(codes)).all()
    samples = model.sample(5, random_state=0)
    np.testing.assert_array_equal(samples, model.sample(5, random_state=0))
    assert samples.shape == (5, 64)
    assert model.n_iter_ == model.best_iter_ == len(model.loss_curve_) == 3


def test_the_start_is_pca_with_whitened_codes(images):
    model = quick(max_iter=1, learning_rate_init=1e-12, dtype="float64", output_range=None)
    model.fit(images)
    pca = PCA(4, whiten=True).fit(images)
    codes = model.transform(images)
    np.testing.assert_allclose(np.abs(codes.T @ pca.transform(images)) / 150, np.eye(4), atol=0.01)
    np.testing.assert_allclose(
        model.inverse_transform(codes), pca.inverse_transform(pca.transform(images)), atol=1e-6
    )
    assert model.reconstruction_error_ == pytest.approx(model.pca_reconstruction_error_)


def test_both_losses_are_recorded(images):
    model = quick().fit(images)
    history = model.net_.history
    assert model.discriminator_loss_curve_ == history[:, "discriminator_loss"]
    assert model.loss_curve_ == history[:, "train_loss"]
    assert all(0.1 < loss < 1 for loss in model.discriminator_loss_curve_)
    assert quick(divergence="mmd").fit(images).discriminator_loss_curve_ is None


def test_the_two_optimisers_have_their_own_parameters(images):
    class Watch(Callback):
        def on_train_begin(self, net, **kwargs):
            optimizers = net.optimizer_, *net.step_.discriminator_optimizers
            groups = [{id(p) for g in o.param_groups for p in g["params"]} for o in optimizers]
            names = {id(p): name for name, p in net.module_.named_parameters()}
            self.names = [{names[key] for key in group} for group in groups]
            self.all_names = set(names.values())

        def on_batch_end(self, net, **kwargs):
            """Callback for batches, with which both networks use torch's optimisers."""

    watch = Watch()
    quick(net_params={"callbacks": [watch]}).fit(images)
    autoencoder, discriminator = watch.names
    assert all(name.startswith("discriminator.") for name in discriminator)
    assert autoencoder | discriminator == watch.all_names
    assert not autoencoder & discriminator


@pytest.mark.slow
def test_more_alpha_increases_the_reconstruction_error(images):
    errors = [quick(alpha=alpha, max_iter=8).fit(images).reconstruction_error_ for alpha in (0, 3)]
    assert errors[0] < errors[1]


@pytest.mark.slow
def test_without_alpha_the_model_is_an_ordinary_autoencoder(images):
    model = quick(n_components=8, alpha=0.0, max_iter=15).fit(images)
    plain = AutoencoderTransformer(
        8,
        hidden_layer_sizes=(16,),
        max_iter=15,
        batch_size=32,
        early_stopping=False,
        random_state=0,
    ).fit(images)
    assert model.reconstruction_error_ == pytest.approx(plain.reconstruction_error_, rel=0.2)


def test_other_priors_keep_their_axes(images):
    model = quick(prior=uniform).fit(images)
    np.testing.assert_array_equal(model.net_.module_.basis.forward_map, np.eye(4))
    ordered = quick().fit(images)
    assert (np.diff(ordered.explained_variance_ratio_) <= 0).all()


def test_samples_are_decoded_draws_of_the_prior(images):
    model = quick(prior=uniform).fit(images)
    draws = uniform(6, np.random.RandomState(3))
    np.testing.assert_array_equal(model.sample(6, random_state=3), model.inverse_transform(draws))
    model.set_params(prior="gaussian")  # for a fit to come
    np.testing.assert_array_equal(model.sample(6, random_state=3), model.inverse_transform(draws))


@pytest.mark.parametrize(
    "prior",
    [
        lambda n, random_state: random_state.normal(size=(n, 3)),
        lambda n, random_state: np.full((n, 4), np.nan),
        lambda n, random_state: random_state.normal(size=(1, 4)),
    ],
    ids=["codes", "nan", "rows"],
)
def test_priors_that_draw_something_else_are_refused(images, prior):
    with pytest.raises(ValueError, match=r"`prior` must return finite numbers of shape \(\d+, 4\)"):
        quick(prior=prior).fit(images)


def test_weights_of_zero_leave_rows_out(images):
    weights = np.repeat([1.0, 0.0], 75)
    weighted = quick().fit(images, sample_weight=weights)
    alone = quick().fit(images[:75])
    np.testing.assert_array_equal(weighted.transform(images), alone.transform(images))


def test_heavy_rows_pull_codes_and_reconstructions(images):
    heavy = np.where(np.arange(150) < 20, 30.0, 1.0)
    errors = [
        quick(max_iter=8).fit(images, sample_weight=w).reconstruction_errors(images[:20]).mean()
        for w in (None, heavy)
    ]
    assert errors[1] < errors[0]


@pytest.mark.parametrize("copy_of", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_give_the_same_results(images, copy_of):
    model = quick(prior=MixturePrior(np.eye(4))).fit(images)
    other = copy_of(model)
    np.testing.assert_array_equal(model.transform(images), other.transform(images))
    np.testing.assert_array_equal(model.sample(3, 0), other.sample(3, 0))
    assert repr(other.prior) == repr(model.prior)


def test_fits_repeat_themselves(images):
    one, two = quick().fit(images), quick().fit(images)
    np.testing.assert_array_equal(one.transform(images), two.transform(images))
    assert one.discriminator_loss_curve_ == two.discriminator_loss_curve_
    other = clone(one).set_params(random_state=1).fit(images)
    assert not np.array_equal(one.transform(images), other.transform(images))


def test_training_continues_with_both_networks(images):
    model = quick(warm_start=True, learning_rate="constant", alpha=0.5).fit(images)
    before = {k: v.clone() for k, v in model.net_.module_.discriminator.state_dict().items()}
    first = model.loss_curve_[-1]
    model.fit(images)
    assert model.loss_curve_[0] < first * 1.1
    after = model.net_.module_.discriminator.state_dict()
    assert all(not torch.equal(before[name], after[name]) for name in before)
    chunks = quick().partial_fit(images[:75]).partial_fit(images[75:])
    assert chunks.sample(2, 0).shape == (2, 64)


def test_sparse_tables_are_taken(images):
    dense = quick().fit(images)
    from_sparse = quick().fit(sparse.csr_matrix(images))
    np.testing.assert_allclose(
        from_sparse.transform(sparse.csr_matrix(images)), dense.transform(images), atol=0.02
    )


def test_a_search_goes_over_alpha(images):
    search = GridSearchCV(quick(), {"alpha": [0.0, 10.0]}, cv=2).fit(images)
    assert search.best_params_ == {"alpha": 0.0}


def test_samples_are_counted(images):
    with pytest.raises(ValueError, match=r"`n_samples` must be a positive integer. Got -1"):
        quick().fit(images).sample(-1)
