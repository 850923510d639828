"""Saving and loading of fitted estimators."""

import json
from collections.abc import Sequence
from contextlib import contextmanager
from typing import Any

from skae._shared.files import write_bytes
from skae._shared.names import get_class_path
from skae.exceptions import ModelFileError
from skae.saving._about import describe
from skae.saving._container import open_packed, pack
from skae.saving._hub import find_file
from skae.saving._objects import (
    ObjectReader,
    ObjectWriter,
    UntrustedClassError,
)

# Format 2 omits default values and shortens names of arrays; format 3 joins small arrays.
_FORMAT = 3
_FORMATS = (1, 2, 3)


def save(model, path, *, half: bool = False, card: dict[str, Any] | None = None) -> None:
    """Save a fitted estimator to a file that is safe to load.

    Arrays are stored as safetensors. The class, the parameters, the fitted attributes and the
    structure of the network are JSON in the header of the file. Nothing is pickled. Objects of
    scikit-learn, such as pipelines, are written by skops (``pip install "skae[save]"``).

    Parameters
    ----------
    model : estimator
        Fitted estimator of skae, or of scikit-learn with such estimators inside: a `Pipeline`, a
        `ColumnTransformer`, a search. Architectures, losses and penalties may be objects of your
        own classes, which must then be named as `trusted` in `load`.
    path : str or path-like
        File to write, usually with the suffix ".skae". An existing file is replaced only once the
        new one is complete.
    half : bool, default=False
        Whether to store the weights of networks in half precision, which takes about half the
        space. They are converted to single precision when loaded, with relative errors of up to
        0.05 %. Applies to estimators of skae, also in a `Pipeline`, but not to objects that skops
        writes.
    card : dict, default=None
        Information for users of the file, such as data, licence and figures: strings, numbers, and
        lists and dictionaries of these, under keys of your choice.

    Raises
    ------
    TypeError
        If the estimator contains an object that only a pickle can store, such as a function or a
        PyTorch module, or if `card` is not as described.
    OSError
        If the file cannot be written.

    See Also
    --------
    load : Load the file.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import skae
    >>> from sklearn.datasets import load_iris
    >>> X = load_iris().data
    >>> model = skae.AutoencoderTransformer(2, max_iter=20, random_state=0).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "iris.skae"
    ...     skae.save(model, path)
    ...     again = skae.load(path)
    >>> bool((again.transform(X) == model.transform(X)).all())
    True
    """
    about, writer = describe(model, card), ObjectWriter(half=half)
    try:
        content = writer.write(model)
    except TypeError as error:
        raise TypeError(f"{type(model).__name__} cannot be saved: {error}") from error
    header = {"format": _FORMAT, "about": about, "model": content}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False)
    write_bytes(path, pack(text, writer.arrays))


def load(path, *, trusted: Sequence[str | type] = (), compare_versions: bool = True) -> Any:
    """Load an estimator from a file written by `save`.

    No code from the file is run, and loading takes at most twice the size of the file in memory, or
    four times with weights in half precision. Except with half precision, the loaded estimator
    gives identical results, and training can continue exactly as without saving.

    Parameters
    ----------
    path : str or path-like
        File, or address of a file on the Hugging Face hub (``pip install "skae[hub]"``):
        "hf://owner/name" is the file "model.skae" of a repository, and
        "hf://owner/name/file.skae@revision" another file and revision. It is downloaded to the
        cache of the hub.
    trusted : list of str or type, default=()
        Your own classes whose objects the file may contain, as classes or by name, as in
        "package.module.Class". These classes are imported and instantiated, so only name classes
        that you would import.
    compare_versions : bool, default=True
        Whether to give an `InconsistentVersionWarning` if the file was written under other versions
        of skae, scikit-learn or PyTorch.

    Returns
    -------
    model : estimator
        The fitted estimator.

    Raises
    ------
    skae.exceptions.ModelFileError
        If the file was not written by skae, is damaged, has been modified, was written by a later
        version of skae, or contains objects of classes that are not trusted.
    OSError
        If the file cannot be read.

    See Also
    --------
    save : Save an estimator.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn.datasets import load_iris
    >>> import skae
    >>> X = load_iris().data
    >>> autoencoder = skae.AutoencoderTransformer(2, max_iter=1, random_state=0).fit(X)
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "iris.skae"
    ...     skae.save(autoencoder, path)
    ...     loaded = skae.load(path)
    >>> bool((loaded.transform(X) == autoencoder.transform(X)).all())
    True
    """
    if isinstance(trusted, str | type):
        raise TypeError(f"`trusted` must be a list of classes. Got {trusted!r}. Put it in a list.")
    known = {own if isinstance(own, str) else get_class_path(own): own for own in trusted}
    classes = {name: None if isinstance(own, str) else own for name, own in known.items()}
    with _open(path) as (header, file):
        about = header["about"]
        versions = about["versions"] if compare_versions else {}
        model = ObjectReader(file, classes, versions).read(header["model"])
        if "fitted" in about:
            # The time of fitting is not part of the state of an estimator.
            vars(model)["_fitted_at"] = str(about["fitted"])
        return model


def read_about(path) -> dict[str, Any]:
    """Return information about the model in a file, without loading the model.

    Parameters
    ----------
    path : str or path-like
        File, or its address on the Hugging Face hub as in `load`.

    Returns
    -------
    about : dict
        Dictionary with the following keys, as far as they apply to the model: "class", time of
        fitting ("fitted") and saving ("saved"), "versions" of packages, numbers of "rows",
        "columns" and "codes", "names" of the columns, "error" and "pca_error" per cell or
        "lsa_error" per word, this information for autoencoders inside the model ("parts"), and the
        "card".

    Raises
    ------
    skae.exceptions.ModelFileError
        If the file was not written by skae, or has been modified.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import skae
    >>> from skae.saving import read_about
    >>> from skae.text import TokenSequencer
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "words.skae"
    ...     skae.save(TokenSequencer().fit(["a good film", "a bad film"]), path)
    ...     read_about(path)["class"]
    'TokenSequencer'
    """
    with _open(path) as (header, _):
        return dict(header["about"])


@contextmanager
def _open(path):
    """Open a file, and turn all errors in its content into a `ModelFileError`."""
    path = find_file(path)
    if path.exists() and not path.is_file() and not path.is_dir():
        raise ModelFileError(
            f"{path} must be a file written by skae.save. Got a pipe or a device. Write its "
            "content to a file first."
        )
    # A file that is missing or not readable raises an OSError.
    with open(path, "rb"):
        pass
    try:
        with open_packed(path) as (text, file):
            header = json.loads(text)
            if header["format"] not in _FORMATS:
                raise ValueError(f"its format is {header['format']!r}, not one of {_FORMATS}")
            yield header, file
    except UntrustedClassError as error:
        raise ModelFileError(
            f"{path} must only contain objects of trusted classes, but {error}. If you trust their "
            f"code, pass their names: trusted={error.paths!r}."
        ) from error
    except ImportError:
        raise
    # A malicious file may raise any error.
    except Exception as error:
        raise ModelFileError(
            f"{path} must be a file written by skae.save, with this or an earlier version of skae. "
            f"It cannot be read: {error or type(error).__name__}. Write the file again, or "
            "install the latest version."
        ) from error
