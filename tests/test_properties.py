"""Any input gives finite numbers of the right shape, or a clear error."""

import copy
import pickle
import traceback
import warnings
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
import torch
from hypothesis import strategies as st
from pandas.api.types import is_numeric_dtype
from scipy import sparse

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
from skae.architectures import Recurrent
from skae.generate import CodeSampler
from skae.sequences import SequencePadder
from skae.text import TokenSequencer

pytestmark = pytest.mark.usefixtures("few_draws")

# Factor of the number of examples in `make test-slow`.
MANY = 17

# Tables with columns of several kinds, in several containers.
COLUMNS = {
    "normal": lambda n, rng: rng.normal(size=n),
    "whole": lambda n, rng: rng.integers(-3, 4, n),
    "counts": lambda n, rng: rng.poisson(2, n),
    "share": lambda n, rng: rng.uniform(size=n),
    "flag": lambda n, rng: rng.integers(0, 2, n),
    "constant": lambda n, rng: np.full(n, 7.3),
    "zero": lambda n, rng: np.zeros(n),
    "resting": lambda n, rng: 20 + 1e-6 * rng.normal(size=n),
    "skewed": lambda n, rng: np.exp(5 * rng.normal(size=n)),
    "tiny": lambda n, rng: 1e-30 * rng.normal(size=n),
    "subnormal": lambda n, rng: 5e-324 * rng.integers(0, 3, n),
    "time": lambda n, rng: 1.7e9 + rng.integers(0, 100, n),
    "large": lambda n, rng: 1e20 * rng.normal(size=n),
    "huge": lambda n, rng: 1e300 * rng.normal(size=n),
    "giant cell": lambda n, rng: np.where(np.arange(n) == n // 2, 1e12, rng.normal(size=n)),
    "largest cell": lambda n, rng: np.where(np.arange(n) == n // 2, 3.4e38, rng.normal(size=n)),
    "infinite": lambda n, rng: np.where(np.arange(n) == n // 2, np.inf, rng.normal(size=n)),
    "gaps": lambda n, rng: np.where(rng.random(n) < 0.4, np.nan, rng.normal(size=n)),
    "empty": lambda n, rng: np.full(n, np.nan),
}
ORDINARY = ["normal", "whole", "counts", "share", "flag", "constant", "zero"]


def whole(X, dtype):
    """Return a table of integers in the range of the type."""
    return np.clip(np.nan_to_num(X), 0, 100).astype(dtype)


def freeze(X):
    X.flags.writeable = False
    return X


def name_columns(X):
    return pd.DataFrame(X, columns=[f"c{i}" for i in range(X.shape[1])])


def add_texts(X):
    return name_columns(X).assign(kind=np.resize(np.array(["a", "b", None]), len(X)))


CONTAINERS = {
    "array": lambda X: X,
    "read only": freeze,
    "Fortran": np.asfortranarray,
    "float32": lambda X: X.astype(np.float32),
    "float16": lambda X: X.astype(np.float16),
    "long double": lambda X: X.astype(np.longdouble),
    "big endian": lambda X: X.astype(">f8"),
    "int64": lambda X: whole(X, np.int64),
    "uint8": lambda X: whole(X, np.uint8),
    "bool": lambda X: whole(X, np.bool_),
    "objects": lambda X: X.astype(object),
    "lists": lambda X: X.tolist(),
    "frame": name_columns,
    "frame of objects": lambda X: name_columns(X).astype(object),
    "frame of integers": lambda X: name_columns(whole(X, np.int32)),
    "frame of nullable": lambda X: name_columns(X).convert_dtypes(),
    "frame of sparse": lambda X: name_columns(X).astype(pd.SparseDtype(float, 0.0)),
    "frame with texts": add_texts,
    "polars": lambda X: pl.from_numpy(X, [f"c{i}" for i in range(X.shape[1])]),
    "csr": sparse.csr_matrix,
    "csc": sparse.csc_array,
    "coo": sparse.coo_array,
    "tensor": torch.from_numpy,
    "images": lambda X: X[:, None, None],
    "three axes": lambda X: X[:, :, None],
}
ODD_CONTAINERS = {
    "row": lambda X: X.ravel(),
    "number": lambda X: 3.0,
    "nothing": lambda X: None,
    "text": lambda X: "rows",
    "texts": lambda X: np.resize(["a", "b"], X.shape),
    "complex": lambda X: X + 1j,
    "dates": lambda X: whole(X, "datetime64[s]"),
    "dictionary": lambda X: {"a": X},
    "ragged": lambda X: [[1.0] * (i % 3) for i in range(len(X))],
    "generator": lambda X: (row for row in X),
}


@dataclass(frozen=True)
class Table:
    """Table described by its recipe, which is readable when an example fails."""

    kinds: tuple
    n_rows: int
    container: str
    seed: int

    def make(self):
        rng = np.random.default_rng(self.seed)
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            columns = [COLUMNS[kind](self.n_rows, rng) for kind in self.kinds]
            X = np.array(columns, dtype=float).reshape(len(columns), self.n_rows).T.copy()
            return (CONTAINERS | ODD_CONTAINERS)[self.container](X)


def tables(containers=tuple(CONTAINERS), n_columns=None):
    """Return a strategy of tables, most of them with ordinary columns only."""
    sizes = {"min_size": n_columns or 0, "max_size": n_columns or 6}
    kinds = st.lists(st.sampled_from(ORDINARY), **sizes)
    kinds |= st.lists(st.sampled_from([*ORDINARY, *COLUMNS]), **sizes)
    return st.builds(
        Table,
        kinds.map(tuple),
        st.sampled_from([1, 2, 3, 5, 12, 30, 0]),
        st.sampled_from(containers),
        st.integers(0, 9),
    )


# Parameters with other values than their defaults, some of them invalid.
LOOP = {
    "n_components": [1, 2, 5, 0.5, 0.999, 1e-9, 0, 1.5, None],
    "batch_size": ["auto", 1, 3, 10**12, 0],
    "learning_rate": ["constant", "one_cycle"],
    "learning_rate_init": [1e-30, 1.0, 1e30],
    "max_iter": [2, 0],
    "weight_decay": [0.0, 1.0, 1e30],
    "early_stopping": [True, False],
    "validation_fraction": [1e-9, 0.5, 0.999, 1.0],
    "n_iter_no_change": [1],
    "tol": [0.0, 1e300],
    "dtype": ["float64", "float16"],
    "device": ["cpu", "auto", "cpu:x"],
    "random_state": [np.random.RandomState(0), -1],
    "verbose": [False],
}
NETWORK = LOOP | {
    "architecture": ["conv", "recurrent", Recurrent(n_units=3), "wide"],
    "sample_shape": [(1, -1), (-1, 1), (2, -1), (1, 2, -1), (0,), (), [3], (2, 2)],
    "hidden_layer_sizes": [(), (3, 2), 5, [0], np.array([3])],
    "activation": ["gelu", "identity", "logistic", "relu", "tanh"],
    "normalization": ["batch", "layer"],
    "dropout": [0.5, 1.0],
    "init": ["random"],
    "missing": ["mask"],
    "output_range": [None, (0, 1), (-np.inf, np.inf), (0, np.inf), (1, 0), (np.nan, 1)],
    "warm_start": [True],
    "net_params": [{}, {"optimizer": torch.optim.SGD}, {"lr": 1.0}],
}
LOSSES = ["absolute_error", "huber", "binary_cross_entropy", "poisson", torch.nn.MSELoss]
SPACES = {
    AutoencoderTransformer: NETWORK
    | {
        "learning_rate": ["constant", "one_cycle", "adaptive"],
        "tied_weights": [True],
        "loss": LOSSES,
        "penalty": ["l1", "kl_sparsity", "contractive", "orthogonal"],
        "alpha": [0.0, 1e-3, 1.0, 1e30],
        "corruption": ["gaussian", "masking", "swap", "salt_and_pepper", "hiding"],
        "corruption_level": [0.0, 1.0, 1e30],
        "whiten": [True],
        "rotation": ["varimax", "ica"],
        "nested": [True],
    },
    VariationalAutoencoderTransformer: NETWORK
    | {
        "likelihood": ["laplace", "bernoulli"],
        "beta": [0.0, 1e-3, 1e30],
        "beta_warm_up": [0.5, 1.0],
        "conditional": [True],
    },
    AdversarialAutoencoderTransformer: {
        name: values
        for name, values in NETWORK.items()
        if name not in ("early_stopping", "validation_fraction", "n_iter_no_change", "tol")
    }
    | {"loss": LOSSES, "divergence": ["mmd"], "alpha": [0.0, 1.0, 1e30]},
    SparseAutoencoderTransformer: {
        name: values
        for name, values in LOOP.items()
        if name not in ("learning_rate", "weight_decay")
    }
    | {
        "n_active": [1, 3, 0],
        "n_rounds": [1, 0],
        "nested": [(1,), (2, 1)],
        "sparse_output": [False],
    },
    TokenAutoencoderTransformer: LOOP
    | {"embedding_size": [1, 0], "architecture": [Recurrent(n_units=2, cell="lstm")]},
    AutoencoderImputer: {
        "n_components": LOOP["n_components"],
        "missing_values": [0, None, "?", 1e300, -1],
        "categorical_features": [None, [0], [True, False], ["kind"], [99], []],
        "standardize": [False],
        "add_indicator": [True],
        "keep_empty_features": [True],
        "min_value": [0, [0, 0], -np.inf, np.nan, 5],
        "max_value": [1, [1, 1], np.inf, -5],
    },
    AutoencoderOutlierDetector: {
        "n_components": LOOP["n_components"],
        "contamination": [0.1, 0.5, 1e-9, 0.6],
        "n_neighbors": [1, 3, 10**9, 0],
        "trim": [0, 0.4, 0.5],
        "cv": [None, 3, 1],
    },
    CodeSampler: {"n_mixture_components": [1, 2, 10**6, 0]},
    SequencePadder: {"max_length": [1, 2, 0], "mark_end": [True], "id_column": ["id", "c0", 0]},
    TokenSequencer: {
        "max_length": [1, 2, 0],
        "lowercase": [False],
        "strip_accents": ["ascii", "unicode", "all"],
        "token_pattern": [r"\w+", "", "(", "(a)|(b)"],
        "tokenizer": [str.split, list],
        "analyzer": ["char", "line"],
        "stop_words": ["english", ["a"], []],
        "min_df": [2, 0.5, 0],
        "max_df": [0.5, 1],
        "max_features": [1, 0],
        "vocabulary": [["a", "b"], {"a": 5}, {"a", "b"}, [], ["a", "a"], {"a": 0, "b": 0}, [1]],
        "unknown": ["drop"],
    },
}
SMALL = {"n_components": 1, "max_iter": 1, "random_state": 0}
INNER = [
    AutoencoderTransformer(hidden_layer_sizes=(4,), max_iter=1, random_state=0, **params)
    for params in ({}, {"early_stopping": False}, {"missing": "mask"}, {"dtype": "float64"})
]


def some_of(space):
    """Return a strategy of up to three parameters with values."""
    names = st.lists(st.sampled_from(sorted(space)), unique=True, max_size=3)
    return names.flatmap(
        lambda chosen: st.fixed_dictionaries({n: st.sampled_from(space[n]) for n in chosen})
    )


def estimators(kind):
    """Return a strategy of estimators with short fits."""
    usual = {}
    if kind in (AutoencoderImputer, AutoencoderOutlierDetector):
        usual = {"random_state": st.just(0), "autoencoder": st.sampled_from(INNER)}
    elif kind is CodeSampler:
        usual = {"random_state": st.just(0), "transformer": st.sampled_from(INNER)}
    elif kind is SparseAutoencoderTransformer:
        usual = {name: st.just(value) for name, value in SMALL.items()}
        usual |= {"n_active": st.just(2)}
    elif kind is TokenAutoencoderTransformer:
        usual = {name: st.just(value) for name, value in SMALL.items()}
        usual |= {"embedding_size": st.just(2), "architecture": st.just(Recurrent(n_units=2))}
    elif kind not in (SequencePadder, TokenSequencer):
        usual = {name: st.just(value) for name, value in SMALL.items()}
        usual |= {"hidden_layer_sizes": st.just((4,))}
    return st.builds(
        lambda usual, chosen: kind(**copy.deepcopy(usual | chosen)),
        st.fixed_dictionaries(usual),
        some_of(SPACES[kind]),
    )


# Allowed errors: those that skae or scikit-learn raise deliberately.
FOLDERS = tuple(str(Path(module.__file__).parent) for module in (skae, sklearn))


def check_words(error):
    """Fail for an error that was not raised deliberately for invalid input."""
    frames = traceback.extract_tb(error.__traceback__)
    frame = [frame for frame in frames if frame.filename.startswith(FOLDERS)][-1]
    is_ours = frame.filename.startswith(FOLDERS[0])
    if isinstance(error, RuntimeWarning) and not is_ours:
        return
    is_meant = not is_ours or (frame == frames[-1] and frame.line.startswith("raise"))
    if not isinstance(error, ValueError | TypeError) or not is_meant or len(str(error)) < 20:
        raise AssertionError(f"{frame.filename}:{frame.lineno}: {error!r}") from error


def attempt(function, *arguments, **options):
    """Return the result of a function, or check its error and return None."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", RuntimeWarning)
        try:
            return function(*arguments, **options)
        except AssertionError:
            raise
        except Exception as error:
            check_words(error)
            return None


def find_state():
    """Return the global state that no estimator may change."""
    return (
        pickle.dumps(np.random.get_state()),  # noqa: NPY002
        torch.get_rng_state().tolist(),
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
        torch.get_num_threads(),
        pickle.dumps(sklearn.get_config()),
    )


def to_numbers(result):
    """Return a result as an array of floats."""
    if sparse.issparse(result):
        result = result.toarray()
    if hasattr(result, "to_numpy"):
        result = result.to_numpy()
    return np.asarray(result, dtype=float)


def check_rows(result, n_rows, X):
    """Check rows in the form of a table, which may be a frame with text."""
    if not isinstance(result, pd.DataFrame) or result.dtypes.map(is_numeric_dtype).all():
        check_finite(result, (n_rows, *find_shape(X)[1:]))
        return
    assert len(result) == n_rows
    assert set(result.columns) <= set(X.columns)
    assert np.isfinite(result.select_dtypes("number").to_numpy(float)).all()


def check_finite(result, shape):
    numbers = to_numbers(result)
    assert numbers.shape == shape
    assert np.isfinite(numbers).all()


def count_rows(X):
    return X.shape[0] if hasattr(X, "shape") else len(X)


def find_shape(X):
    return tuple(X.shape) if hasattr(X, "shape") else np.shape(X)


def apply_transformer(model, X):
    codes = model.transform(X)
    n_rows = count_rows(X)
    check_finite(codes, (n_rows, model.n_components_))
    check_rows(model.inverse_transform(codes), n_rows, X)
    check_finite(model.score_samples(X), (n_rows,))
    errors = model.reconstruction_errors(X)
    # Frames with text may have missing values, and uninformative columns are left out.
    mixed, errors = isinstance(errors, pd.DataFrame), to_numbers(errors)
    assert mixed or errors.shape == find_shape(X)
    assert not np.isinf(errors).any()
    assert mixed or getattr(model, "missing", None) == "mask" or not np.isnan(errors).any()
    check_finite(model.score(X), ())
    return to_numbers(codes)


def apply_tokens(model, X):
    codes = model.transform(X)
    check_finite(codes, (len(X), model.n_components_))
    assert model.inverse_transform(codes).shape == (len(X), model.n_features_in_)
    check_finite(model.score_samples(X), (len(X),))
    check_finite(model.score(X), ())
    return codes


def apply_imputer(model, X):
    filled = model.transform(X)
    filled = filled.to_pandas() if isinstance(filled, pl.DataFrame) else filled
    n_rows, *form = filled.shape
    assert (n_rows, np.prod(form)) == (count_rows(X), len(model.get_feature_names_out()))
    table = pd.DataFrame(np.reshape(filled, (n_rows, -1)) if len(form) > 1 else filled)
    assert model.keep_empty_features or not table.isna().to_numpy().any()
    numbers = table.select_dtypes("number").to_numpy(float)
    assert not np.isinf(numbers).any()
    return table.to_numpy()


def apply_detector(model, X):
    n_rows = count_rows(X)
    scores = model.score_samples(X)
    check_finite(scores, (n_rows,))
    assert (scores < 0).all()
    check_finite(model.predict(X), (n_rows,))
    assert not np.isinf(np.asarray(model.reconstruction_errors(X), dtype=float)).any()
    return scores


def apply_sampler(model, X):
    rows = model.sample(3, random_state=0)
    check_rows(rows, 3, X)
    return rows if isinstance(rows, pd.DataFrame) else to_numbers(rows)


def apply_padder(model, X):
    rows = model.transform(X)
    assert rows.shape[1] == len(model.get_feature_names_out()) == np.prod(model.sample_shape_)
    sequences = model.inverse_transform(rows)
    assert len(sequences) == len(rows)
    return rows


def apply_sequencer(model, X):
    rows = model.transform(X)
    assert rows.shape == (len(rows), model.max_length_)
    assert ((rows >= 0) & (rows < model.n_tokens_)).all()
    assert all(isinstance(text, str) for text in model.inverse_transform(rows))
    return rows


def check_fits(estimator, apply, first, second, **options):
    """Fit to a first input, apply to both inputs, and fit to the second."""
    state = find_state()
    if attempt(estimator.fit, first, **options) is None:
        with pytest.raises(sklearn.exceptions.NotFittedError):
            sklearn.utils.validation.check_is_fitted(estimator)
    else:
        before = attempt(apply, estimator, first)
        attempt(apply, estimator, second)
        if attempt(estimator.fit, second) is None:
            np.testing.assert_array_equal(attempt(apply, estimator, first), before)
    assert find_state() == state


WEIGHTS = {
    "ones": np.ones,
    "some": lambda n: np.arange(n) % 2,
    "zeros": np.zeros,
    "negative": lambda n: np.full(n, -1.0),
    "unknown": lambda n: np.full(n, np.nan),
    "too many": lambda n: np.ones(n + 1),
    "huge": lambda n: np.full(n, 1e300),
    "tiny": lambda n: np.full(n, 1e-300),
}


def explore(n_examples, strategies):
    """Decorate a check to run with examples, which are equal in each run."""

    def run(check):
        hypothesis.settings(
            max_examples=n_examples,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(hypothesis.HealthCheck),
            # Recipes are short, and shrinking them takes minutes.
            phases=[hypothesis.Phase.generate],
            print_blob=False,
        )(hypothesis.given(**strategies)(check))()

    return run


often = pytest.mark.parametrize("times", [1, pytest.param(MANY, marks=pytest.mark.slow)])

TABLES = [
    (AutoencoderTransformer, apply_transformer, 90),
    (VariationalAutoencoderTransformer, apply_transformer, 45),
    (AdversarialAutoencoderTransformer, apply_transformer, 35),
    (SparseAutoencoderTransformer, apply_transformer, 20),
    (AutoencoderImputer, apply_imputer, 40),
    (AutoencoderOutlierDetector, apply_detector, 30),
    (CodeSampler, apply_sampler, 10),
]


def pair_tables():
    """Return a strategy of two tables, nearly always with equally many columns."""
    kept = tables() | tables() | tables() | tables((*CONTAINERS, *ODD_CONTAINERS))
    return kept.flatmap(
        lambda one: st.tuples(st.just(one), tables((one.container,), len(one.kinds) or 1))
    )


@often
@pytest.mark.parametrize(("kind", "apply", "n_examples"), TABLES)
def test_any_table(kind, apply, n_examples, times):
    weights = st.none() | st.none() | st.none() | st.sampled_from(sorted(WEIGHTS))

    @explore(
        n_examples * times,
        {"estimator": estimators(kind), "pair": pair_tables(), "weights": weights},
    )
    def check(estimator, pair, weights):
        first, second = (table.make() for table in pair)
        options = {}
        if weights is not None and kind is not CodeSampler:
            options["sample_weight"] = WEIGHTS[weights](pair[0].n_rows)
        if getattr(estimator, "conditional", False):
            options["y"] = np.resize([0, 1], pair[0].n_rows)
        check_fits(estimator, apply, first, second, **options)


TOKENS = [0, 1, 2, 5, 50, -1, 2**31, 2**62, 0.5, np.nan, np.inf]


@often
def test_any_tokens(times):
    rows = st.integers(1, 4).flatmap(
        lambda width: st.lists(
            st.lists(st.sampled_from(TOKENS[:5]), min_size=width, max_size=width)
            | st.lists(st.sampled_from(TOKENS), min_size=width, max_size=width)
        )
    )

    @explore(
        25 * times,
        {"estimator": estimators(TokenAutoencoderTransformer), "first": rows, "second": rows},
    )
    def check(estimator, first, second):
        check_fits(estimator, apply_tokens, np.array(first), np.array(second))


def sequences():
    """Return a strategy of lists of sequences, most with two features."""
    step = st.lists(st.sampled_from([0.0, 1.5, np.nan]), min_size=2, max_size=2)
    form = st.sampled_from([list, np.array, pd.DataFrame, tuple])
    sequence = st.builds(lambda form, steps: form(steps), form, st.lists(step, min_size=1))
    number = st.sampled_from([0.0, -3, np.nan, np.inf, 1e300, "a", None])
    odd_sequence = st.lists(number) | st.lists(st.lists(number, min_size=1, max_size=2))
    frame = pd.DataFrame({"id": [1, 1, 2], "a": [1.0, 2, 3]})
    odd = st.sampled_from([None, 3, frame, frame.groupby("id")]) | st.lists(odd_sequence)
    return st.lists(sequence) | st.lists(sequence) | odd


@often
def test_any_sequences(times):
    examples = {"first": sequences(), "second": sequences()}

    @explore(15 * times, {"estimator": estimators(SequencePadder)} | examples)
    def check(estimator, first, second):
        check_fits(estimator, apply_padder, first, second)


# Of several scripts, combining, written from right to left, without a width, and of control.
LETTERS = "aAzZ09 _.,'-\n\t\0ßİ\u0131éΣς日本ﬁ½\u0301\u200b\u202e\ufeffא😀\U0001d7d8"


def texts(letters):
    """Return a strategy of texts in several containers, or of invalid input."""
    text = st.text(letters, max_size=12) | st.sampled_from(["a b", "b a a", "A", "", "the a"])
    container = st.sampled_from([list, tuple, pd.Series, pl.Series, pd.DataFrame, np.array])
    usual = st.builds(lambda make, found: make(found), container, st.lists(text, max_size=5))
    odd = st.lists(st.none() | st.integers() | st.just(np.nan) | st.binary()) | st.text(letters)
    return usual | usual | usual | odd


@often
def test_any_texts(times):
    # Tables of all letters take a second to make.
    letters = st.sampled_from(LETTERS) if times == 1 else st.characters()
    examples = {"first": texts(letters), "second": texts(letters)}

    @explore(15 * times, {"estimator": estimators(TokenSequencer)} | examples)
    def check(estimator, first, second):
        check_fits(estimator, apply_sequencer, first, second)
