"""One model per table, for many tables."""

from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import joblib
from sklearn.base import clone
from sklearn.utils.parallel import Parallel, delayed


def fit_many(
    estimator, tables, *, n_jobs: int | None = None, n_processes: int = 1
) -> dict[Hashable, Any]:
    """Fit a clone of an estimator to each of many tables, side by side.

    The results are identical to those of a loop of fits, to the last bit. Small networks of the
    same shape are trained together in one batch, which is fastest for tables of equal length and
    width. Other tables are fitted as well.

    Parameters
    ----------
    estimator : estimator
        An autoencoder of skae, or an estimator that contains one, such as a pipeline. It is cloned
        for each table and not changed.
    tables : mapping, or iterable of pairs
        Names and tables of shape (n_samples, n_features), such as a dictionary or the result of
        ``frame.groupby(...)``.
    n_jobs : int, default=None
        Number of tables that are processed, and held in memory, at the same time. None is 64.
    n_processes : int, default=1
        Number of processes over which the tables are distributed, as in `SideBySideBackend`; -1 is
        one process per core.

    Returns
    -------
    fitted : dict
        Fitted estimators by the names of their tables, in the order of the tables.

    Raises
    ------
    ValueError
        If a table has no name, two tables have the same name, or `n_processes` is 0. An error of
        one fit ends all of them, with a note of the name of its table.

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
    return _run_all(((name, "fit", clone(estimator), X) for name, X in named), n_jobs, n_processes)


def transform_many(fitted: Mapping, tables, *, n_jobs: int | None = None) -> dict[Hashable, Any]:
    """Return the codes of many tables, each from the model with the same name.

    Parameters
    ----------
    fitted : mapping
        Fitted estimators by name, as returned by `fit_many`.
    tables : mapping, or iterable of pairs
        Names and tables; there must be a model for each name.
    n_jobs : int, default=None
        Number of tables that are processed at the same time. None is 64.

    Returns
    -------
    codes : dict
        Codes by the names of their tables, in the order of the tables.

    Raises
    ------
    ValueError
        If a table has no name, two tables have the same name, or a table has no model.

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
            f"`fitted` must contain a model for each table. Got none for {unknown[0]!r}. "
            "Fit one with fit_many, or leave the table out."
        )
    return _run_all(((name, "transform", fitted[name], X) for name, X in named), n_jobs)


def _list_tables(tables) -> list[tuple[Hashable, Any]]:
    named = list(tables.items() if isinstance(tables, Mapping) else tables)
    for item in named:
        if not (
            isinstance(item, tuple | list) and len(item) == 2 and isinstance(item[0], Hashable)
        ):
            raise ValueError(
                "`tables` must be a mapping, or pairs of names and tables. Got "
                f"{type(item).__name__} in place of a pair. Number them: dict(enumerate(tables))."
            )
    seen: set[Hashable] = set()
    for name, _ in named:
        if name in seen:
            raise ValueError(
                f"`tables` must have a name for each table. Got {name!r} twice. "
                "Give each table its own name."
            )
        seen.add(name)
    return named


def _run_all(
    tasks: Iterable[tuple], n_jobs: int | None, n_processes: int = 1
) -> dict[Hashable, Any]:
    with joblib.parallel_config(backend="skae", n_processes=n_processes):
        parallel = Parallel(n_jobs=n_jobs)
        return dict(parallel(delayed(_call)(*task) for task in tasks))


def _call(name: Hashable, method: str, estimator, X) -> tuple[Hashable, Any]:
    """Return the result of a method, with the name of the table."""
    try:
        return name, getattr(estimator, method)(X)
    except Exception as error:
        error.add_note(f"This is the table with the name {name!r}.")
        raise
