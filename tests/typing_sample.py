"""Typical calls of users, which `make types` checks strictly."""

from pathlib import Path
from typing import Any, assert_type

import numpy as np

import skae
from skae import (
    AdversarialAutoencoderTransformer,
    AutoencoderImputer,
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    SparseAutoencoderTransformer,
    TokenAutoencoderTransformer,
    VariationalAutoencoderTransformer,
)
from skae.codes import Quantizer
from skae.comparison import PCAComparison, compare_with_pca
from skae.corruption import MaskingNoise
from skae.datasets import load_digit_images
from skae.generate import CodeSampler
from skae.inspection import CodeDisplay, ReconstructionDisplay, explain_codes
from skae.io import Table, read_table
from skae.metrics import code_stability, explained_variance, neighbors_kept
from skae.objectives import HuberLoss
from skae.sequences import SequencePadder
from skae.text import TokenSequencer


def encode(X: np.ndarray) -> Any:
    model = AutoencoderTransformer(8, loss=HuberLoss(), corruption=MaskingNoise(0.2))
    assert_type(model.fit(X), AutoencoderTransformer)
    assert_type(model.partial_fit(X), AutoencoderTransformer)
    assert_type(model.score(X), float)
    assert_type(model.score_samples(X), np.ndarray)
    model.reconstruction_errors(X)
    model.inverse_transform(model.transform(X))
    return AutoencoderTransformer(8, random_state=0).fit(X, groups=[1, 1, 2]).transform(X)


def use_other_estimators(X: np.ndarray, documents: list[str]) -> None:
    variational = VariationalAutoencoderTransformer(2).fit(X)
    assert_type(variational, VariationalAutoencoderTransformer)
    variational.sample(10, random_state=0)
    AdversarialAutoencoderTransformer(2).fit(X).sample(10)
    SparseAutoencoderTransformer(64, n_active=4).fit(X).transform(X)
    detector = AutoencoderOutlierDetector(contamination=0.01).fit(X)
    assert_type(detector.predict(X), np.ndarray)
    assert_type(detector.decision_function(X), np.ndarray)
    AutoencoderImputer(min_value=0.0, random_state=0).fit(X).transform(X)
    tokens = TokenSequencer(max_length=20).fit_transform(documents)
    TokenAutoencoderTransformer(8).fit(tokens).inverse_transform(np.zeros((2, 8)))
    SequencePadder().fit_transform([X, X])
    Quantizer(bits=4).fit(X).transform(X)
    CodeSampler(AutoencoderTransformer(2), random_state=0).fit(X).sample(10)


def keep(model: AutoencoderTransformer, tables: dict[str, np.ndarray], folder: Path) -> None:
    skae.save(model, folder / "model.skae", half=True, card={"data": "churn"})
    skae.load(folder / "model.skae").transform(tables["first"])
    skae.transform_many(skae.fit_many(model, tables), tables)
    with skae.config_context(progress=False), skae.checkpoints(folder, every=5):
        model.fit(tables["first"])


def look(model: AutoencoderTransformer, X: np.ndarray) -> None:
    comparison = compare_with_pca(X, n_components=[2, 8])
    assert_type(comparison, PCAComparison)
    comparison.to_html("report.html")
    print(comparison.to_frame(), comparison.plot("explained_variance").ax_)
    assert_type(read_table("churn.csv", target="churn"), Table)
    assert_type(explained_variance(model, X) + neighbors_kept(X, model.transform(X)), float)
    assert_type(CodeDisplay.from_estimator(model, X), CodeDisplay)
    ReconstructionDisplay.from_estimator(model, load_digit_images().X_test)
    explain_codes(model, X).to_frame()
    code_stability(model, X, 3)
