"""Configuration of the process: progress bars."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_DEFAULTS = {"progress": True}
# Cells of a notebook may run in separate contexts, so `set_config` changes the defaults.
_CHANGES: ContextVar[dict[str, bool]] = ContextVar("skae_config")


def get_config() -> dict[str, bool]:
    """Return the current configuration.

    Returns
    -------
    config : dict
        Values of the parameters of `set_config`, by name.

    Examples
    --------
    >>> import skae
    >>> skae.get_config()
    {'progress': True}
    """
    return {**_DEFAULTS, **_CHANGES.get({})}


def set_config(*, progress: bool | None = None) -> None:
    """Change the configuration of this process.

    Parameters
    ----------
    progress : bool, default=None
        Whether work that takes longer than two seconds shows a progress bar at a terminal and in
        notebooks. None changes nothing.

    Raises
    ------
    ValueError
        If `progress` is not as described.

    See Also
    --------
    config_context : Changes the configuration inside a `with` block.

    Notes
    -----
    Bars are made by tqdm. The environment variable ``TQDM_DISABLE=1`` hides the bars of all
    libraries that use tqdm. Work in threads other than the main thread and in worker processes
    shows no bars.

    Examples
    --------
    >>> import skae
    >>> skae.set_config(progress=False)
    >>> skae.get_config()
    {'progress': False}
    >>> skae.set_config(progress=True)
    """
    _DEFAULTS.update(_check(progress))


@contextmanager
def config_context(*, progress: bool | None = None) -> Iterator[None]:
    """Change the configuration inside a `with` block.

    Parameters
    ----------
    progress : bool, default=None
        As in `set_config`. None changes nothing.

    Raises
    ------
    ValueError
        If `progress` is not as described.

    See Also
    --------
    set_config : Changes the configuration of the process.

    Examples
    --------
    >>> import skae
    >>> with skae.config_context(progress=False):
    ...     skae.get_config()
    {'progress': False}
    """
    token = _CHANGES.set({**_CHANGES.get({}), **_check(progress)})
    try:
        yield
    finally:
        _CHANGES.reset(token)


def _check(progress) -> dict[str, bool]:
    if progress is None:
        return {}
    if not isinstance(progress, bool):
        raise ValueError(
            f"`progress` must be True, False or None. Got {progress!r}. Use False to hide bars."
        )
    return {"progress": progress}
