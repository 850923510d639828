"""The models that come with skae."""

from pathlib import Path
from typing import Any

from skae.zoo._folder import Folder

BUILT_IN = Folder(Path(__file__).parent / "models", compare_versions=False)
"""The folder of the models that come with skae."""


def list_models() -> list[str]:
    """Return the names of the models that come with skae.

    Returns
    -------
    names : list of str
        Names for `load`, in alphabetical order.

    See Also
    --------
    Folder : Models in a folder of your own.

    Examples
    --------
    >>> import skae
    >>> "digits-dense-8" in skae.zoo.list_models()
    True
    """
    return BUILT_IN.list_models()


def load(name: str) -> Any:
    """Return one of the models that come with skae; nothing is downloaded.

    Parameters
    ----------
    name : str
        Name of a model, see `list_models`.

    Returns
    -------
    model : estimator
        The fitted estimator, in single precision. Each call reads it anew, so that it can be
        changed, for instance by ``model.set_params(warm_start=True).fit(X)``.

    Raises
    ------
    ValueError
        If there is no model of that name.

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
    """Return what is known of one of the models that come with skae.

    Parameters
    ----------
    name : str
        Name of a model, see `list_models`.

    Returns
    -------
    about : dict
        As `skae.saving.read_about` returns it. The "card" tells of data and licence, input,
        recipe, and figures on held-out data.

    Raises
    ------
    ValueError
        If there is no model of that name.

    Examples
    --------
    >>> import skae
    >>> skae.zoo.read_about("digits-dense-8")["card"]["kind"]
    'dense'
    """
    return BUILT_IN.read_about(name)
