"""Models that come with skae."""

from pathlib import Path
from typing import Any

from skae.zoo._folder import Folder

BUILT_IN = Folder(Path(__file__).parent / "models", compare_versions=False)
"""Folder of the models that come with skae."""


def list_models() -> list[str]:
    """Return the names of the models that come with skae.

    Returns
    -------
    names : list of str
        Names of the models, in alphabetical order.

    See Also
    --------
    Folder : Folder for your own models.

    Examples
    --------
    >>> import skae
    >>> "digits-dense-8" in skae.zoo.list_models()
    True
    """
    return BUILT_IN.list_models()


def load(name: str) -> Any:
    """Load a model that comes with skae; nothing is downloaded.

    Parameters
    ----------
    name : str
        Name of a model, see `list_models`.

    Returns
    -------
    model : estimator
        Fitted estimator in single precision. Each call returns a new copy, which can be changed,
        for example by ``model.set_params(warm_start=True).fit(X)``.

    Raises
    ------
    ValueError
        If no model has this name.

    Examples
    --------
    >>> import skae
    >>> from sklearn.datasets import load_digits
    >>> model = skae.zoo.load("digits-dense-8")
    >>> model.transform(load_digits().data).shape
    (1797, 8)
    """
    return BUILT_IN.load(name)


def read_about(name: str) -> dict[str, Any]:
    """Return information about a model that comes with skae.

    Parameters
    ----------
    name : str
        Name of a model, see `list_models`.

    Returns
    -------
    about : dict
        Dictionary as returned by `skae.saving.read_about`. The "card" describes the data and their
        licence, the input, the recipe, and figures on held-out data.

    Raises
    ------
    ValueError
        If no model has this name.

    Examples
    --------
    >>> import skae
    >>> skae.zoo.read_about("digits-dense-8")["card"]["kind"]
    'dense'
    """
    return BUILT_IN.read_about(name)
