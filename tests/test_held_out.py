"""Groups of rows, and held-out rows chosen by the user."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_wine
from sklearn.decomposition import PCA
from sklearn.model_selection import GroupShuffleSplit, PredefinedSplit, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import (
    AdversarialAutoencoderTransformer,
    AutoencoderImputer,
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    TokenAutoencoderTransformer,
    VariationalAutoencoderTransformer,
)
from skae._engine.judgement import find_clearest_improvement, is_clear_improvement
from skae._estimators.copied_rows import find_copies

pytestmark = pytest.mark.filterwarnings("ignore::skae.exceptions.NotBetterThanPCAWarning")


@pytest.fixture(params=[15, 55], ids=["cross_validated", "held_out"])
def patients(request):
    """Return rows of 20 unrelated patients, and the names of the patients."""
    rng = np.random.default_rng(0)
    n_rows = request.param
    centres = rng.normal(size=(20, 10)).repeat(n_rows, axis=0)
    groups = np.array([f"patient {i}" for i in range(20)]).repeat(n_rows)
    return centres + 0.1 * rng.normal(size=centres.shape), groups


def fit(X, groups=None, **params):
    params = {"n_components": 3, "max_iter": 15, "random_state": 0} | params
    return AutoencoderTransformer(**params).fit(X, groups=groups)


@pytest.mark.mostly_slow(4, first=2)
@pytest.mark.parametrize("hold", [np.asarray, sparse.csr_array])
def test_a_fit_with_groups_judges_itself_on_groups_that_it_has_not_seen(patients, hold):
    X, groups = patients
    seen, apart = fit(hold(X)), fit(hold(X), groups)
    # Memorised patients only help on their other rows.
    assert seen.reconstruction_error_ < 0.7 * seen.pca_reconstruction_error_
    assert apart.reconstruction_error_ > 2 * seen.reconstruction_error_
    assert apart.reconstruction_error_ > 0.85 * apart.pca_reconstruction_error_


@pytest.mark.parametrize("hold", [np.asarray, sparse.csr_array, pd.DataFrame])
def test_copies_in_a_bootstrap_sample_are_not_on_both_sides_of_a_split(hold):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4))
    sample = X[rng.integers(0, 60, 60)]
    _, groups = np.unique(sample, axis=0, return_inverse=True)
    _, first = np.unique(groups, return_index=True)
    # Groups are numbered as they appear.
    groups = np.argsort(np.argsort(first))[groups]
    if hold is pd.DataFrame:
        kinds = np.where(groups % 2, "a", "b")
        sample = pd.DataFrame(sample).rename(columns=str).assign(kind=kinds)
    one, other = fit(hold(sample), max_iter=2), fit(hold(sample), groups, max_iter=2)
    np.testing.assert_array_equal(one.transform(sample), other.transform(sample))
    assert one.reconstruction_error_ == other.reconstruction_error_


def test_rows_are_copies_only_if_they_are_not_equal_by_chance():
    rng = np.random.default_rng(0)
    few = rng.integers(0, 3, (200, 6)).astype(float)
    numbers = rng.normal(size=(200, 6))
    for X in (numbers, few, np.repeat(numbers[:5], 40, axis=0), np.ones((20, 3)), numbers[:, :1]):
        assert find_copies(X) is None
    copies = find_copies(np.tile(numbers, (3, 1)))
    np.testing.assert_array_equal(copies, np.tile(range(200), 3))
    # Rows of zeros are expected among new rows, so each stands for itself.
    zeros = np.zeros((400, 6))
    assert find_copies(np.concatenate([numbers, zeros])) is None
    some = find_copies(np.concatenate([numbers, zeros, numbers]))
    np.testing.assert_array_equal(some[:200], some[600:])
    assert len(np.unique(some)) == 600


@pytest.mark.parametrize(
    ("patients", "module"), [(10, "cross_validation"), (55, "callbacks")], indirect=["patients"]
)
def test_epochs_are_judged_by_groups(patients, module, monkeypatch):
    judged = []

    def judge(before, after, weights, groups=None):
        judged.append(groups)
        return is_clear_improvement(before, after, weights, groups)

    monkeypatch.setattr(f"skae._engine.fitting.{module}.is_clear_improvement", judge)
    X, groups = patients
    fit(X, groups, max_iter=1)
    assert len(judged[0].unique()) == {"cross_validation": 20, "callbacks": 2}[module]


@pytest.mark.mostly_slow(2, first=1)
def test_groups_reach_a_fit_in_a_pipeline_by_metadata_routing(patients):
    X, groups = patients
    with config_context(enable_metadata_routing=True):
        model = AutoencoderTransformer(3, max_iter=2, random_state=0).set_fit_request(groups=True)
        routed = make_pipeline(StandardScaler(), model).fit(X, groups=groups)[-1]
    expected = fit(StandardScaler().fit_transform(X), groups, max_iter=2)
    assert routed.validation_loss_curve_ == expected.validation_loss_curve_


@pytest.mark.mostly_slow(2, first=1)
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


@pytest.mark.parametrize("labels", [[None, "a"], [1, None], [None, None], [pd.NA, "a"]])
def test_groups_without_comparable_labels_are_refused(labels):
    X, groups = np.random.default_rng(0).normal(size=(20, 3)), labels * 10
    for estimator in [AutoencoderTransformer(), AutoencoderOutlierDetector(), AutoencoderImputer()]:
        with pytest.raises(ValueError, match="`groups` must have labels that can be compared"):
            estimator.fit(X, groups=groups)


@pytest.mark.parametrize(
    "groups",
    [
        np.array([1.0, np.nan] * 10),
        np.array([1.0, np.nan] * 10, dtype=object),
        np.array(["2024", "NaT"] * 10, dtype="M8[Y]"),
        np.ma.array([1, 2] * 10, mask=[False, True] * 10),
        pd.Series([1, None] * 10, dtype="Int64"),
    ],
    ids=lambda groups: str(groups.dtype),
)
def test_missing_labels_of_groups_are_refused(groups):
    X = np.random.default_rng(0).normal(size=(20, 3))
    for estimator in [AutoencoderTransformer(), AutoencoderOutlierDetector(), AutoencoderImputer()]:
        with pytest.raises(ValueError, match="`groups` must have a label for each row"):
            estimator.fit(X, groups=groups)


def test_groups_of_unequal_size_leave_rows_on_both_sides():
    X = np.random.default_rng(0).normal(size=(1100, 4))
    for groups in (np.arange(1100) > 1000, np.arange(1100) // 400, np.arange(1100) == 0):
        model = fit(X, groups, max_iter=1)
        assert len(model.validation_loss_curve_) == 2


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize("kind", [AutoencoderTransformer, VariationalAutoencoderTransformer])
@pytest.mark.parametrize("n_samples", [100, 1100])
def test_given_held_out_rows_judge_and_are_not_trained_on(kind, n_samples):
    X = np.random.default_rng(0).normal(size=(n_samples, 4))
    X[:20] += 10
    fold = np.where(np.arange(n_samples) < 20, 0, -1)
    model = kind(2, max_iter=2, random_state=0, validation_fraction=PredefinedSplit(fold)).fit(X)
    np.testing.assert_allclose(model.mean_, X[20:].mean(axis=0))
    assert model.pca_reconstruction_error_ > 10


def test_a_splitter_gets_groups_and_weights(patients):
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

    for splitter in (Everything(), PredefinedSplit(np.full(50, -1))):
        with pytest.raises(ValueError, match="`validation_fraction` must be a splitter whose"):
            fit(X, validation_fraction=splitter)


@pytest.mark.slow
@pytest.mark.parametrize("patients", [15], indirect=True)
def test_a_detector_takes_new_groups_for_no_outliers(patients):
    X, groups = patients
    template = AutoencoderTransformer(max_iter=15, early_stopping=False)
    known, new = X[groups < "patient 5"], X[groups >= "patient 5"]
    groups = groups[groups < "patient 5"]
    shares = []
    for own in (None, groups):
        detector = AutoencoderOutlierDetector(3, autoencoder=template, random_state=0)
        shares.append(np.mean(detector.fit(known, groups=own).predict(new) < 0))
    assert shares[1] < shares[0]


@pytest.mark.slow
@pytest.mark.parametrize("patients", [15], indirect=True)
def test_an_imputer_judges_by_groups_that_it_has_not_seen(patients):
    X, groups = patients
    X = np.where(np.random.default_rng(1).random(X.shape) < 0.2, np.nan, X)
    template = AutoencoderTransformer(
        corruption="hiding", max_iter=8, learning_rate_init=0.006, early_stopping=False
    )
    errors = []
    for own in (None, groups):
        imputer = AutoencoderImputer(3, autoencoder=template, random_state=0).fit(X, groups=own)
        errors.append(imputer.error_)
    assert errors[1] > 1.3 * errors[0]


@pytest.mark.slow
def test_texts_of_a_group_are_held_out_together():
    words = np.random.default_rng(0).integers(2, 40, (8, 4)).repeat(12, axis=0)
    groups = np.arange(8).repeat(12)
    # Equal texts would be copies, which are held out together in any case.
    words = np.column_stack([words, 2 + np.arange(96) % 12])
    params = {"max_iter": 15, "random_state": 0}
    seen, apart = (
        TokenAutoencoderTransformer(3, **params).fit(words, groups=own) for own in (None, groups)
    )
    assert apart.reconstruction_error_ > 1.5 * seen.reconstruction_error_


@pytest.mark.mostly_slow(3, first=1)
@pytest.mark.parametrize(
    "estimator",
    [
        AutoencoderOutlierDetector(autoencoder=AutoencoderTransformer(max_iter=1)),
        AutoencoderImputer(autoencoder=AutoencoderTransformer(max_iter=1)),
        VariationalAutoencoderTransformer(max_iter=1),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_every_estimator_with_held_out_rows_takes_groups(estimator):
    X = np.random.default_rng(0).normal(size=(60, 3))
    groups = np.arange(60) // 6
    weights = np.r_[np.zeros(6), np.ones(54)]
    with config_context(enable_metadata_routing=True):
        model = make_pipeline(StandardScaler(), clone(estimator).set_fit_request(groups=True))
        model.fit(X, groups=groups)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        clone(estimator).fit(X, groups=groups[1:])
    with pytest.raises(ValueError, match="two labels"):
        clone(estimator).fit(X, groups=np.zeros(60))
    if not isinstance(estimator, AutoencoderImputer):
        clone(estimator).fit(X, sample_weight=weights, groups=groups)


def test_groups_are_refused_where_no_rows_are_held_out():
    X, groups = np.random.default_rng(0).normal(size=(60, 3)), np.arange(60) // 6
    adversarial = AdversarialAutoencoderTransformer(2, max_iter=1)
    with pytest.raises(TypeError, match="groups"):
        adversarial.fit(X, groups=groups)
    with pytest.raises(ValueError, match="`groups` must be None.*Adversarial"):
        AutoencoderOutlierDetector(autoencoder=adversarial).fit(X, groups=groups)


@pytest.mark.parametrize("weighted", [False, True])
def test_an_improvement_must_be_clear_by_groups_rather_than_rows(weighted):
    """A patient with many rows counts as one patient."""
    rng = np.random.default_rng(0)
    groups = torch.arange(8).repeat_interleave(100)
    gains = torch.tensor([3.0, 0.1, -0.4, 0.2, -0.1, 0.3, -0.2, 0.1])[groups]
    before = 5 + torch.from_numpy(rng.normal(size=800))
    after = before - gains - 0.1 * torch.from_numpy(rng.normal(size=800))
    weights = torch.ones(800) if weighted else None
    assert is_clear_improvement(before, after, weights)
    assert not is_clear_improvement(before, after, weights, groups)
    assert is_clear_improvement(before, before - 1 - 0.1 * gains, weights, groups)


def test_groups_of_one_row_are_counted_as_rows():
    before, after, weights = torch.rand(3, 40, generator=torch.Generator().manual_seed(0))
    alone = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    for shift in np.linspace(-0.5, 0.5, 21):
        losses = before + shift, after
        expected = is_clear_improvement(*losses, weights)
        assert is_clear_improvement(*losses, weights, alone) == expected


def test_a_few_rows_that_improve_most_do_not_hide_that_all_improve():
    before = torch.from_numpy(np.random.default_rng(0).pareto(0.8, 200))
    before[7] = 100 * before.sum()
    after = 0.5 * before
    weights = torch.ones(200)
    weights[7] = 3.0
    repeated = torch.cat([torch.arange(200), torch.tensor([7, 7])])
    for own in (None, weights):
        assert is_clear_improvement(before, after, own)
    assert is_clear_improvement(before[repeated], after[repeated])
    assert not is_clear_improvement(after, before)
    # A row that got worse counts in full, and a single improved row is no evidence.
    after[8] += 0.9 * (before - after).sum()
    assert not is_clear_improvement(before, after)
    alone = before.clone()
    alone[7] = 0
    assert not is_clear_improvement(before, alone)


def test_the_clearest_of_several_epochs_has_the_greatest_lower_bound():
    noise = torch.from_numpy(np.random.default_rng(0).normal(size=100))
    noise = (noise - noise.mean()) / noise.std()
    before = torch.full((100,), 9.0, dtype=torch.float64)
    # With 100 rows, standard errors are a tenth of the standard deviation.
    clear, wide, small, worse = (
        before - mean + deviation * noise
        for mean, deviation in [(0.5, 1.0), (0.9, 4.0), (0.1, 0.2), (-0.5, 1.0)]
    )
    assert find_clearest_improvement(before, [worse, small, clear, wide]) == 2
    assert find_clearest_improvement(before, [wide, worse]) is None
    assert find_clearest_improvement(before, []) is None
    groups = (noise > 0).long()
    assert find_clearest_improvement(before, [clear], None, groups) is None
    # 2.7 standard errors are clear for one epoch, but not for one of many.
    hardly = before - 0.27 + noise
    assert is_clear_improvement(before, hardly)
    assert find_clearest_improvement(before, [hardly, worse]) is None


def test_an_earlier_epoch_is_chosen_where_the_best_one_is_not_clearly_better(patients, monkeypatch):
    module = "skae._engine.fitting.cross_validation"
    monkeypatch.setattr(f"{module}.is_clear_improvement", lambda *losses: False)
    X, _ = patients
    model = fit(X[:: len(X) // 300])
    assert 0 < model.best_iter_ <= np.argmin(model.validation_loss_curve_)
    assert model.reconstruction_error_ < model.pca_reconstruction_error_


@pytest.mark.slow
def test_wine_does_not_stay_pca_where_an_earlier_epoch_is_clearly_better():
    X, X_test = train_test_split(load_wine().data, test_size=0.25, random_state=0)
    scaler = StandardScaler().fit(X)
    X, X_test = scaler.transform(X), scaler.transform(X_test)
    model = AutoencoderTransformer(6, random_state=0).fit(X)
    assert 0 < model.best_iter_ < np.argmin(model.validation_loss_curve_)
    errors = [
        np.square(X_test - own.inverse_transform(own.transform(X_test))).mean()
        for own in (model, PCA(6).fit(X))
    ]
    assert errors[0] < 0.9 * errors[1]
