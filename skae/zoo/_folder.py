"""Folders of saved models."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from skae.saving import load, read_about, save

_SUFFIX = ".skae"


class Folder:
    """Folder of models, each in a file written by `skae.save`.

    Parameters
    ----------
    path : str or path-like
        Path of the folder. Its models are the files with the suffix ".skae"; the name of a model is
        the file name without suffix.
    compare_versions : bool, default=True
        Whether loading gives a warning if the model was saved under other versions of skae,
        scikit-learn or PyTorch.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import skae
    >>> from sklearn.datasets import load_iris
    >>> X = load_iris().data
    >>> model = skae.AutoencoderTransformer(2, max_iter=1, random_state=0).fit(X)
    >>> with TemporaryDirectory() as path:
    ...     folder = skae.zoo.Folder(path)
    ...     folder.save(model, "iris", card={"data": "Fisher's irises"})
    ...     folder.list_models(), folder.read_about("iris")["card"], folder.load("iris")
    (['iris'], {'data': "Fisher's irises"}, AutoencoderTransformer(...))
    """

    def __init__(self, path, *, compare_versions: bool = True):
        self.path = Path(path)
        self.compare_versions = compare_versions

    def list_models(self) -> list[str]:
        """Return the names of the models.

        Returns
        -------
        names : list of str
            Names in alphabetical order.

        Raises
        ------
        OSError
            If the folder does not exist or cannot be read.
        """
        return sorted(path.stem for path in self.path.iterdir() if path.suffix == _SUFFIX)

    def load(self, name: str, *, trusted: Sequence[str | type] = ()) -> Any:
        """Load a model.

        Parameters
        ----------
        name : str
            Name of a model in the folder.
        trusted : list of str or type, default=()
            Your own classes, as in `skae.load`.

        Returns
        -------
        model : estimator
            The fitted estimator.

        Raises
        ------
        ValueError
            If no model has this name, or the file cannot be read.
        """
        return load(self._find(name), trusted=trusted, compare_versions=self.compare_versions)

    def read_about(self, name: str) -> dict[str, Any]:
        """Return information about a model, without loading it.

        Parameters
        ----------
        name : str
            Name of a model in the folder.

        Returns
        -------
        about : dict
            Dictionary as returned by `skae.saving.read_about`.

        Raises
        ------
        ValueError
            If no model has this name, or the file cannot be read.
        """
        return read_about(self._find(name))

    def save(
        self, model, name: str, *, half: bool = False, card: dict[str, Any] | None = None
    ) -> None:
        """Save a model to the folder, which is created if it does not exist.

        Parameters
        ----------
        model : estimator
            Fitted estimator.
        name : str
            Name of the model. An existing model of this name is replaced.
        half : bool, default=False
            Whether to store weights in half precision, as in `skae.save`.
        card : dict, default=None
            Information about the model, as in `skae.save`.

        Raises
        ------
        ValueError
            If the name is empty, begins with a dot, or contains a folder.
        OSError
            If the file cannot be written.
        """
        if not name or name.startswith(".") or Path(name).name != name or "\\" in name:
            raise ValueError(
                f"`name` must be the name of a file without its suffix. Got {name!r}. Leave out "
                "folders and leading dots."
            )
        self.path.mkdir(parents=True, exist_ok=True)
        save(model, self.path / f"{name}{_SUFFIX}", half=half, card=card)

    def _find(self, name: str) -> Path:
        names = self.list_models()
        if name not in names:
            close = difflib.get_close_matches(str(name), names, n=3, cutoff=0.4) or names
            raise ValueError(
                f"`name` must be the name of a model in {self.path}. Got {name!r}. There "
                f"{'is' if len(close) == 1 else 'are'} {', '.join(close) or 'none'}."
            )
        return self.path / f"{name}{_SUFFIX}"

    def __repr__(self):
        return f"Folder({str(self.path)!r})"
