"""Rows and columns with the largest values of a code."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skae import SparseAutoencoderTransformer
from skae.inspection import top_columns, top_rows

CODES = np.array([[0.0, 1.0], [3.0, 0.0], [2.0, 5.0], [0.0, 4.0], [3.0, 0.0]])


@pytest.mark.parametrize("make", [np.array, sparse.csr_matrix, pd.DataFrame])
def test_the_strongest_rows_come_first_and_zeros_not_at_all(make):
    model = FunctionTransformer(make, accept_sparse=True)
    rows = top_rows(model, CODES, list("abcde"), code=0)
    assert_array_equal(rows.indices, [1, 4, 2])
    assert_array_equal(rows.values, [3, 3, 2])
    assert rows.labels == ["b", "e", "c"]
    assert top_rows(model, CODES, code=1, n_rows=2).labels == [2, 3]


def test_labels_may_be_a_series_with_another_index():
    labels = pd.Series(list("abcde"), index=[9, 8, 7, 6, 5])
    assert top_rows(FunctionTransformer(), CODES, labels, code=1).labels == ["c", "d", "a"]


def test_top_rows_of_a_pipeline_with_sparse_codes_are_found():
    X = np.random.RandomState(0).normal(size=(200, 4)) ** 3
    model = SparseAutoencoderTransformer(8, n_active=1, max_iter=2, random_state=0)
    pipeline = make_pipeline(FunctionTransformer(), model).fit(X)
    codes = pipeline.transform(X).toarray()
    code = int(codes.sum(0).argmax())
    rows = top_rows(pipeline, X, code=code, n_rows=3)
    assert rows.indices[0] == codes[:, code].argmax()
    frame = rows.to_frame()
    assert_array_equal(frame.index, rows.indices)
    assert len(str(rows).splitlines()) == 3
    columns = top_columns(model, list("abcd"), code=code, n_columns=1)
    assert columns.labels == ["abcd"[model.components_[code].argmax()]]


def test_columns_have_the_names_of_the_fit():
    X = pd.DataFrame(np.random.RandomState(0).normal(size=(30, 3)), columns=["u", "v", "w"])
    model = PCA(2).fit(X)
    columns = top_columns(model, code=1)
    assert columns.labels == [["u", "v", "w"][i] for i in np.argsort(-model.components_[1])]


def test_numbers_and_labels_that_do_not_fit_are_refused():
    for params, message in [
        ({"code": 2}, "`code` must be a whole number from 0 to 1. Got 2"),
        ({"code": -1}, "`code` must be"),
        ({"code": 0.5}, "`code` must be"),
        ({"code": 0, "n_rows": 0}, "`n_rows` must be a positive integer"),
        ({"code": 0, "labels": ["a"]}, "`labels` must have an entry for each of the 5 rows"),
    ]:
        with pytest.raises(ValueError, match=message):
            top_rows(FunctionTransformer(), CODES, **params)


def test_columns_of_codes_without_components_are_refused(quick, images):
    with pytest.raises(ValueError, match="row of `components_`.*AutoencoderTransformer.*explain"):
        top_columns(quick().fit(images), code=0)
