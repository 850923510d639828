"""Rows that belong together, and held-out rows of one's own."""

import numpy as np
import pytest
from scipy import sparse
from sklearn import config_context
from sklearn.model_selection import GroupShuffleSplit, PredefinedSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer, VariationalAutoencoderTransformer

pytestmark = pytest.mark.filterwarnings("ignore::skae.exceptions.NotBetterThanPCAWarning")


@pytest.fixture(params=[30, 55], ids=["cross_validated", "held_out"])
def patients(request):
    """Return rows of 20 patients who have nothing in common, and the patients' names."""
    rng = np.random.default_rng(0)
    n_rows = request.param
    centres = rng.normal(size=(20, 10)).repeat(n_rows, axis=0)
    groups = np.array([f"patient {i}" for i in range(20)]).repeat(n_rows)
    return centres + 0.1 * rng.normal(size=centres.shape), groups


def fit(X, groups=None, **params):
    params = {"n_components": 3, "max_iter": 15, "random_state": 0} | params
    return AutoencoderTransformer(**params).fit(X, groups=groups)


@pytest.mark.parametrize("hold", [np.asarray, sparse.csr_array])
def test_a_fit_with_groups_judges_itself_on_groups_that_it_has_not_seen(patients, hold):
    X, groups = patients
    seen, apart = fit(hold(X)), fit(hold(X), groups)
    # Patients are learned by heart, which helps on their other rows alone.
    assert seen.reconstruction_error_ < 0.7 * seen.pca_reconstruction_error_
    assert apart.reconstruction_error_ > 2 * seen.reconstruction_error_
    assert apart.reconstruction_error_ > 0.85 * apart.pca_reconstruction_error_


def test_groups_reach_a_fit_in_a_pipeline_by_metadata_routing(patients):
    X, groups = patients
    with config_context(enable_metadata_routing=True):
        model = AutoencoderTransformer(3, max_iter=2, random_state=0).set_fit_request(groups=True)
        routed = make_pipeline(StandardScaler(), model).fit(X, groups=groups)[-1]
    expected = fit(StandardScaler().fit_transform(X), groups, max_iter=2)
    assert routed.validation_loss_curve_ == expected.validation_loss_curve_


def test_groups_of_rows_without_weight_do_not_count(patients):
    X, groups = patients
    weights = np.ones(len(X))
    weights[:100] = 0
    params = {"n_components": 3, "max_iter": 2, "random_state": 0}
    found = AutoencoderTransformer(**params).fit(X, sample_weight=weights, groups=groups)
    expected = AutoencoderTransformer(**params).fit(X[100:], groups=groups[100:])
    assert found.validation_loss_curve_ == expected.validation_loss_curve_


@pytest.mark.parametrize("groups", [np.zeros(50), np.arange(49), ["a"] * 50], ids=str)
def test_groups_that_cannot_be_kept_apart_are_refused(groups):
    X = np.random.default_rng(0).normal(size=(50, 4))
    with pytest.raises(ValueError, match=r"`groups` must|inconsistent numbers"):
        fit(X, groups)
    if len(groups) == 50:
        fit(X, groups, early_stopping=False, max_iter=1)


def test_groups_of_unequal_size_leave_rows_on_both_sides():
    X = np.random.default_rng(0).normal(size=(1100, 4))
    for groups in (np.arange(1100) > 1000, np.arange(1100) // 400, np.arange(1100) == 0):
        model = fit(X, groups, max_iter=1)
        assert len(model.validation_loss_curve_) == 2


@pytest.mark.parametrize("kind", [AutoencoderTransformer, VariationalAutoencoderTransformer])
@pytest.mark.parametrize("n_samples", [100, 1100])
def test_held_out_rows_of_ones_own_judge_and_are_not_trained_on(kind, n_samples):
    X = np.random.default_rng(0).normal(size=(n_samples, 4))
    X[:20] += 10
    fold = np.where(np.arange(n_samples) < 20, 0, -1)
    model = kind(2, max_iter=2, random_state=0, validation_fraction=PredefinedSplit(fold)).fit(X)
    np.testing.assert_allclose(model.mean_, X[20:].mean(axis=0))
    assert model.pca_reconstruction_error_ > 10


def test_a_splitter_sees_groups_and_weights(patients):
    X, groups = patients
    splitter = GroupShuffleSplit(test_size=0.2, random_state=0)
    train, _ = next(splitter.split(X, groups=groups))
    weights = np.ones(len(X))
    weights[:45] = 0
    model = AutoencoderTransformer(3, max_iter=1, random_state=0, validation_fraction=splitter)
    model.fit(X, sample_weight=weights, groups=groups)
    np.testing.assert_allclose(model.mean_, X[train[train >= 45]].mean(axis=0))


def test_a_splitter_without_rows_to_hold_out_is_refused():
    X = np.random.default_rng(0).normal(size=(50, 4))

    class Everything:
        def split(self, X, y=None, groups=None):
            yield np.arange(50), np.arange(0)

    with pytest.raises(ValueError, match="`validation_fraction` must be a splitter whose first"):
        fit(X, validation_fraction=Everything())
