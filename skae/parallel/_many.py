"""One model for each of many tables."""

from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import joblib
from sklearn.base import clone
from sklearn.utils.parallel import Parallel, delayed


def fit_many(estimator, tables, *, n_jobs: int | None = None) -> dict[Hashable, Any]:
    """Fit one clone of an estimator to each of many tables, side by side.

    Returns what a loop of fits would, to the last bit; small networks of one shape are trained in
    one batch. Tables of equal length and width share most; others are fitted all the same.

    Parameters
    ----------
    estimator : estimator
        An autoencoder of skae, or any estimator with one inside, such as a pipeline. It is cloned
        for each table and stays as it is.
    tables : mapping, or iterable of pairs
        Tables of shape (n_samples, n_features) under their names, as in a dictionary or in the
        result of ``frame.groupby(...)``.
    n_jobs : int, default=None
        Number of tables that are worked on at the same time, which takes memory for each; 64 where
        None.

    Returns
    -------
    fitted : dict
        A fitted estimator under the name of each table, in the order of the tables.

    Raises
    ------
    ValueError
        If two tables have one name.

    Examples
    --------
    >>> import numpy as np
    >>> from skae import AutoencoderTransformer, fit_many
    >>> rng = np.random.default_rng(0)
    >>> tables = {name: rng.normal(size=(40, 5)) for name in ["first", "second"]}
    >>> models = fit_many(AutoencoderTransformer(2, max_iter=2, random_state=0), tables)
    >>> models["first"].transform(tables["first"]).shape
    (40, 2)
    """
    named = _list_tables(tables)
    return _run_all(((name, _fit, clone(estimator), X) for name, X in named), n_jobs)


def transform_many(fitted: Mapping, tables, *, n_jobs: int | None = None) -> dict[Hashable, Any]:
    """Return the codes of many tables, each by the model of its name.

    Parameters
    ----------
    fitted : mapping
        Fitted estimators under their names, as `fit_many` returns them.
    tables : mapping, or iterable of pairs
        Tables under names for which there is a model.
    n_jobs : int, default=None
        Number of tables that are worked on at the same time; 64 where None.

    Returns
    -------
    codes : dict
        Codes under the name of each table, in the order of the tables.

    Raises
    ------
    ValueError
        If two tables have one name, or if there is no model for a table.

    Examples
    --------
    >>> import numpy as np
    >>> from skae import AutoencoderTransformer, fit_many, transform_many
    >>> tables = {"first": np.eye(5), "second": np.tri(6, 5)}
    >>> model = AutoencoderTransformer(2, max_iter=2, random_state=0)
    >>> codes = transform_many(fit_many(model, tables), tables)
    >>> codes["second"].shape
    (6, 2)
    """
    named = _list_tables(tables)
    unknown = [name for name, _ in named if name not in fitted]
    if unknown:
        raise ValueError(
            f"`fitted` must hold a model for each table. Got none for {unknown[0]!r}. "
            "Fit one with fit_many, or leave the table out."
        )
    return _run_all(((name, _transform, fitted[name], X) for name, X in named), n_jobs)


def _list_tables(tables) -> list[tuple[Hashable, Any]]:
    named = list(tables.items() if isinstance(tables, Mapping) else tables)
    seen: set[Hashable] = set()
    for name, _ in named:
        if name in seen:
            raise ValueError(
                f"`tables` must have a name for each table. Got {name!r} twice. "
                "Give every table a name of its own."
            )
        seen.add(name)
    return named


def _run_all(tasks: Iterable[tuple], n_jobs: int | None) -> dict[Hashable, Any]:
    with joblib.parallel_config(backend="skae"):
        parallel = Parallel(n_jobs=n_jobs)
        return dict(parallel(delayed(_keep_name)(*task) for task in tasks))


def _keep_name(name, act, estimator, X) -> tuple[Hashable, Any]:
    return name, act(estimator, X)


def _fit(estimator, X):
    return estimator.fit(X)


def _transform(estimator, X):
    return estimator.transform(X)
