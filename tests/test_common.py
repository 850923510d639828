"""Estimator checks of scikit-learn, including those that `check_estimator` leaves out."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from unittest import SkipTest

import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.utils import estimator_checks, get_tags
from sklearn.utils.estimator_checks import estimator_checks_generator

from skae import (
    AdversarialAutoencoderTransformer,
    AutoencoderImputer,
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    SparseAutoencoderTransformer,
    TokenAutoencoderTransformer,
    VariationalAutoencoderTransformer,
)
from skae.architectures import Convolutional, Recurrent
from skae.codes import Quantizer
from skae.generate import CodeSampler
from skae.sequences import SequencePadder
from skae.text import TokenSequencer

pytestmark = [
    pytest.mark.usefixtures("few_draws"),
    pytest.mark.filterwarnings("ignore::skae.exceptions.SkaeWarning"),
]

HELD_OUT = "rows are held out, so a row repeated is not a row of twice the weight"
MINIBATCHES = "rows meet in small batches, where weights equal repeats in expectation alone"
DRAWS = "the code of each row is drawn, and a repeated row has two draws"
DRAWN_PRIOR = "there are as many draws of the prior as rows"
NOISE = "the noise falls on other rows where rows are repeated"
NEIGHBOURS = "every row counts as one among neighbours"
ROUNDING = "sums over rows in another order differ beyond 1e-7 in single precision"

# Checks of scikit-learn's own transformers that are not part of `check_estimator`.
FURTHER_CHECKS = [
    "check_dataframe_column_names_consistency",
    "check_estimators_partial_fit_n_features",
    "check_get_feature_names_out_error",
    "check_global_output_transform_pandas",
    "check_global_set_output_transform_polars",
    "check_inplace_ensure_writeable",
    "check_param_validation",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_set_output_transform_polars",
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
]

# Runs in a new process, because torch warns about read-only arrays once per process.
RUN_ALL_CHECKS = """
import json, sys, time, warnings
warnings.simplefilter("error")
import torch, sklearn, skorch
warnings.simplefilter("error")
from skae import AutoencoderTransformer, exceptions
for expected in (exceptions.NotBetterThanPCAWarning, exceptions.OvercompleteWarning):
    warnings.simplefilter("ignore", expected)
from sklearn.utils.estimator_checks import check_estimator
from sklearn.exceptions import EstimatorCheckFailedWarning
warnings.simplefilter("ignore", EstimatorCheckFailedWarning)

start = time.process_time()
results = check_estimator(AutoencoderTransformer(**json.loads(sys.argv[1])), on_fail=None)
print(json.dumps({
    "seconds": time.process_time() - start,
    "n_passed": sum(result["status"] == "passed" for result in results),
    "others": {r["check_name"]: r["status"] for r in results if r["status"] != "passed"},
}))
"""


def exact(**params):
    """Return an estimator for which a weight of two equals a repeated row to the last digits."""
    return AutoencoderTransformer(dtype="float64", early_stopping=False, **params)


SHORT = {"max_iter": 2, "hidden_layer_sizes": (8,)}


def small(**params):
    return AutoencoderTransformer(**SHORT, **params)


class Signals(Convolutional):
    """Convolutional autoencoder of tables of any width, as signals of one channel."""

    def make_stacks(self, plan):
        return super().make_stacks(replace(plan, sample_shape=(1, plan.n_features)))


# Variants with the reason why weights do not equal repeats at 1e-7, or None if they do.
ESTIMATORS = [
    (AutoencoderTransformer(), f"{HELD_OUT}; {ROUNDING}"),
    (exact(max_iter=2, init="random", hidden_layer_sizes=(16, 8), activation="tanh"), None),
    (exact(max_iter=2, batch_size=8), MINIBATCHES),
    (small(early_stopping=False), ROUNDING),
    (small(learning_rate="adaptive"), f"{HELD_OUT}; {ROUNDING}"),
    (small(loss="huber", corruption="swap", penalty="contractive"), f"{HELD_OUT}; {NOISE}"),
    (small(missing="mask", corruption="hiding"), f"{HELD_OUT}; {NOISE}"),
    (small(penalty="l1", tied_weights=True, normalization="layer"), f"{HELD_OUT}; {ROUNDING}"),
    (small(normalization="batch", dropout=0.2, early_stopping=False), f"{MINIBATCHES}; {NOISE}"),
]
ESTIMATORS += [
    (VariationalAutoencoderTransformer(**SHORT, early_stopping=False, **params), DRAWS)
    for params in ({}, {"conditional": True, "likelihood": "laplace", "dtype": "float64"})
]
ESTIMATORS.append((AdversarialAutoencoderTransformer(**SHORT), DRAWN_PRIOR))
ESTIMATORS.append((CodeSampler(PCA(1)), None))
SPARSE = {"n_components": 16, "n_active": 4, "n_rounds": 2, "max_iter": 2, "early_stopping": False}
ESTIMATORS.append((SparseAutoencoderTransformer(**SPARSE), MINIBATCHES))
ESTIMATORS.append((small(architecture=Signals((2, 4)), early_stopping=False), ROUNDING))
# Variants with all checks hold out no rows, which would take several fits for each fit.
ALL_ROWS = small(early_stopping=False)
GAPS = {"missing_values": -99, "add_indicator": True, "keep_empty_features": True}
ESTIMATORS += [
    (AutoencoderImputer(autoencoder=clone(ALL_ROWS).set_params(corruption="hiding")), None),
    (AutoencoderImputer(autoencoder=small(corruption="hiding"), **GAPS), None),
]
ESTIMATORS += [
    (AutoencoderOutlierDetector(0.8, cv=None, autoencoder=ALL_ROWS), NEIGHBOURS),
    (AutoencoderOutlierDetector(0.8, cv=2, autoencoder=ALL_ROWS, contamination=0.1), NEIGHBOURS),
    (AutoencoderOutlierDetector(0.8, autoencoder=small(), random_state=0), NEIGHBOURS),
]
ESTIMATORS += [(Quantizer(), None), (SequencePadder(), None), (TokenSequencer(), None)]
ESTIMATORS.append(
    (
        TokenAutoencoderTransformer(
            4,
            architecture=Recurrent(n_units=16),
            embedding_size=8,
            max_iter=2,
            early_stopping=False,
            random_state=0,
        ),
        None,
    )
)
KINDS = {type(estimator): estimator for estimator, _ in reversed(ESTIMATORS[1:])}
# One variant of each class, and the transformer in single precision.
FAST = [*KINDS.values(), ESTIMATORS[3][0]]

# The other checks are on tags, names, errors and signatures, which variants share.
CHECKS_OF_TRAINING = {
    "check_estimators_dtypes",
    "check_estimators_pickle",
    "check_fit2d_1feature",
    "check_fit_idempotent",
    "check_methods_sample_order_invariance",
    "check_methods_subset_invariance",
    "check_sample_weight_equivalence_on_dense_data",
    "check_sample_weight_equivalence_on_sparse_data",
    "check_transformer_general",
    "check_transformer_preserve_dtypes",
}


def name_in_one_word(estimator):
    return "".join(str(estimator).split())


# Classes whose methods are those of the transformer, apart from training and samples.
# All checks of these are slow: they derive from the transformer, or fit it several times.
MOSTLY_SLOW = (
    VariationalAutoencoderTransformer,
    AdversarialAutoencoderTransformer,
    SparseAutoencoderTransformer,
    AutoencoderImputer,
    AutoencoderOutlierDetector,
)


def choose_checks(estimator, *, every):
    """Return all checks, or those of training."""
    for _, check in estimator_checks_generator(estimator):
        name = check.func.__name__
        if every or name in CHECKS_OF_TRAINING or "outlier" in name:
            yield check


def name_expected_failures(estimator, reason):
    kinds = ("dense", "sparse") if get_tags(estimator).input_tags.sparse else ("dense",)
    return {f"check_sample_weight_equivalence_on_{kind}_data" for kind in kinds if reason}


def list_cases():
    """Yield all checks for one variant of each class, and checks of training for the others."""
    for estimator, reason in ESTIMATORS:
        first, name = estimator is KINDS[type(estimator)], name_in_one_word(estimator)
        marks = [] if estimator in FAST else pytest.mark.slow
        if first and isinstance(estimator, MOSTLY_SLOW):
            yield pytest.param(estimator, reason, True, id=f"{name}-all", marks=pytest.mark.slow)
            first = False
        yield pytest.param(estimator, reason, first, id=name, marks=marks)


@pytest.mark.parametrize(("estimator", "reason", "every"), list(list_cases()))
def test_checks_of_check_estimator(estimator, reason, every):
    expected = name_expected_failures(estimator, reason)
    for check in choose_checks(estimator, every=every):
        fails = check.func.__name__ in expected
        if fails and reason == NEIGHBOURS:
            continue  # On some of scikit-learn's tables the results are equal by chance.
        with pytest.raises(AssertionError) if fails else suppress(SkipTest):
            check(estimator)


@pytest.mark.parametrize(
    "estimator",
    [
        small(early_stopping=False),
        *(
            pytest.param(estimator, marks=pytest.mark.slow)
            for estimator in (
                VariationalAutoencoderTransformer(**SHORT, early_stopping=False),
                AdversarialAutoencoderTransformer(**SHORT),
                SparseAutoencoderTransformer(**SPARSE, sparse_output=False),
                AutoencoderImputer(autoencoder=ALL_ROWS),
            )
        ),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_checks_that_check_estimator_leaves_out(estimator):
    for name in FURTHER_CHECKS:
        getattr(estimator_checks, name)(type(estimator).__name__, estimator)


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize("n_hidden", [16, 512])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_do_not_depend_on_their_neighbours_at_any_width(n_hidden, dtype):
    # Kernels of matrix products, and so the last digits, depend on the shape.
    estimator = small(dtype=dtype, early_stopping=False).set_params(hidden_layer_sizes=n_hidden)
    for check in (
        estimator_checks.check_fit_idempotent,
        estimator_checks.check_methods_sample_order_invariance,
        estimator_checks.check_methods_subset_invariance,
    ):
        check("AutoencoderTransformer", estimator)


def run_all_checks(**params):
    run = subprocess.run(
        [sys.executable, "-c", RUN_ALL_CHECKS, json.dumps(params)],
        env=os.environ | {"SCIPY_ARRAY_API": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


@pytest.mark.slow
def test_no_check_fails_warns_or_is_skipped_in_a_fresh_process():
    result = run_all_checks(max_iter=2, dtype="float64", early_stopping=False)
    assert result["others"] == {}
    assert result["n_passed"] > 50


@pytest.mark.slow
@pytest.mark.parametrize(
    ("params", "failing"),
    [
        ({}, name_expected_failures(*ESTIMATORS[0])),
        ({"dtype": "float64", "early_stopping": False}, set()),
    ],
    ids=["defaults", "exact"],
)
def test_checks_at_full_length_take_less_than_thirty_seconds_of_a_processor(params, failing):
    result = run_all_checks(**params)
    assert set(result["others"]) == failing
    assert result["seconds"] < 30
