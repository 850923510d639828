"""Reported errors equal those of PCA if the model is PCA."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer

ignore_no_gain = pytest.mark.filterwarnings("ignore::skae.exceptions.NotBetterThanPCAWarning")


@pytest.mark.slow
@ignore_no_gain
def test_an_error_that_is_pcas_but_for_rounding_is_reported_as_pcas():
    for early_stopping in [True, False]:
        for params in [
            {},
            {"loss": "huber"},
            {"missing": "mask"},
            {"corruption": "gaussian", "corruption_level": 0.5},
            {"dtype": "float64"},
        ]:
            params = {**params, "early_stopping": early_stopping, "max_iter": 1, "random_state": 0}
            for seed in range(4):
                rng = np.random.default_rng(seed)
                X = rng.integers(-3, 4, size=rng.integers([3, 1], [9, 5])).astype(float)
                if not X.std():
                    continue
                model = AutoencoderTransformer(1, **params).fit(X)
                if model.best_iter_ == 0:
                    assert model.reconstruction_error_ == model.pca_reconstruction_error_


@ignore_no_gain
def test_a_model_that_stays_pca_is_the_pca_of_all_rows():
    both = np.asarray, sparse.csr_array
    for shape, kinds in [((1000, 5), both), ((1100, 120), both[:1]), ((260, 1000), both[1:])]:
        X = np.random.default_rng(0).normal(size=shape)
        new = np.random.default_rng(1).normal(size=(50, shape[1]))
        pca = PCA(3, svd_solver="full").fit(X)
        expected = pca.inverse_transform(pca.transform(new))
        for kind in kinds:
            model = AutoencoderTransformer(3, max_iter=1, random_state=0).fit(kind(X))
            assert model.best_iter_ == 0
            np.testing.assert_allclose(
                model.inverse_transform(model.transform(new)), expected, atol=1e-3
            )
            # The errors are those of held-out rows.
            assert model.reconstruction_error_ == model.pca_reconstruction_error_
            held_in = np.square(X - pca.inverse_transform(pca.transform(X))).mean()
            assert model.reconstruction_error_ != pytest.approx(held_in, rel=1e-4)


def test_wide_tables_are_trained_on_whole_once_held_out_rows_have_chosen(monkeypatch):
    X = load_digits().data[:450].astype(np.float32)
    params = {"max_iter": 5, "random_state": 0}
    models = []
    for limit in (10, 0):
        monkeypatch.setattr("skae._engine.fitting.fit._MAX_CROSS_VALIDATED_CELLS", 0)
        monkeypatch.setattr("skae._engine.fitting.fit._MIN_ROWS_PER_COLUMN", limit)
        models.append(AutoencoderTransformer(8, **params).fit(X))
    whole, part = models
    assert whole.best_iter_ == part.best_iter_ > 0
    assert whole.validation_loss_curve_ == part.validation_loss_curve_
    assert whole.reconstruction_error_ == pytest.approx(part.reconstruction_error_)
    assert whole.score(X) > part.score(X)
