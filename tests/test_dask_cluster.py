"""Searches and `transform` on the workers of a Dask cluster."""

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV

from skae import AutoencoderTransformer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::skae.exceptions.NotBetterThanPCAWarning"),
]


def test_a_cluster_searches_and_transforms_as_one_process_does():
    distributed = pytest.importorskip("distributed", reason="it comes with the extra bench")
    array = pytest.importorskip("dask.array", reason="it comes with the extra large")
    X = load_iris().data
    model = AutoencoderTransformer(2, max_iter=1, random_state=0)
    search = GridSearchCV(model, {"learning_rate_init": [0.001, 0.01]}, cv=2)
    expected = search.fit(X).cv_results_["mean_test_score"]
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
    )
    with cluster, distributed.Client(cluster):
        with joblib.parallel_config(backend="dask"):
            found = search.fit(X).cv_results_["mean_test_score"]
        codes = search.best_estimator_.transform(array.from_array(X, chunks=(50, 4))).compute()
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(codes, search.best_estimator_.transform(X), atol=1e-6)
