"""Estimators through skops, with few types to trust."""

import joblib
import numpy as np
import pytest

import skae
from skae.generate import CodeSampler
from skae.saving import TRUSTED_TYPES
from skae.sequences import SequencePadder
from skae.text import TokenSequencer

pytestmark = [
    pytest.mark.usefixtures("few_draws"),
    pytest.mark.filterwarnings("ignore::skae.exceptions.NotBetterThanPCAWarning"),
]

X = np.random.RandomState(0).normal(size=(60, 5)).cumsum(axis=1)
OWN = {"hidden_layer_sizes": (8,), "max_iter": 2, "random_state": 0}
PLAIN = skae.AutoencoderTransformer(2, early_stopping=False, **OWN)
KINDS = {
    "plain": (PLAIN, X),
    "objects": (skae.AutoencoderTransformer(2, penalty="l1", corruption="swap", **OWN), X),
    "variational": (skae.VariationalAutoencoderTransformer(2, **OWN), X),
    "adversarial": (skae.AdversarialAutoencoderTransformer(2, **OWN), X),
    "sparse codes": (
        skae.SparseAutoencoderTransformer(8, n_active=2, max_iter=2, random_state=0),
        X,
    ),
    "texts": (
        skae.TokenAutoencoderTransformer(2, max_iter=2, random_state=0),
        np.random.RandomState(0).randint(0, 9, (40, 6)),
    ),
    "imputer": (skae.AutoencoderImputer(2, autoencoder=PLAIN, random_state=0), X),
    "detector": (skae.AutoencoderOutlierDetector(2, autoencoder=PLAIN, random_state=0), X),
    "sampler": (CodeSampler(PLAIN), X),
    "sequencer": (TokenSequencer(), ["a good film", "bad"]),
    "padder": (SequencePadder(), [X[:3], X[:9]]),
}


@pytest.mark.mostly_slow(3)
@pytest.mark.parametrize("kind", KINDS)
def test_skops_takes_estimators(kind):
    # Importing skops imports all of scikit-learn, for which not every process need wait.
    from skops import io

    estimator, rows = KINDS[kind]
    model = estimator.fit(rows)
    content = io.dumps(model)
    types = io.get_untrusted_types(data=content)
    assert len(types) <= 3
    assert set(types) <= set(TRUSTED_TYPES)
    again = io.loads(content, trusted=TRUSTED_TYPES)
    if kind == "sampler":
        again, model = (own.sample(3, random_state=0) for own in (again, model))
    assert joblib.hash(again) == joblib.hash(model)
