"""Fitted estimators to files and back."""

import json
from collections.abc import Sequence
from contextlib import contextmanager
from typing import Any

from skae._shared.files import write_bytes
from skae.exceptions import ModelFileError
from skae.saving._about import describe
from skae.saving._container import open_packed, pack
from skae.saving._hub import find_file
from skae.saving._objects import (
    ObjectReader,
    ObjectWriter,
    UntrustedClassError,
    get_class_path,
)

# Format 2 leaves out usual values of parameters, and shortens names of arrays; format 3 puts small
# arrays together.
_FORMAT = 3
_FORMATS = (1, 2, 3)


def save(model, path, *, half: bool = False, card: dict[str, Any] | None = None) -> None:
    """Write a fitted estimator to one file that is safe to load.

    The numbers are stored as safetensors; class, parameters, fitted attributes and the plan of the
    network stand as JSON in the header of the same file. Nothing is pickled. Objects of
    scikit-learn, such as pipelines, are written by skops (``pip install "skae[save]"``).

    Parameters
    ----------
    model : estimator
        An estimator of skae, or one of scikit-learn that holds such estimators: a `Pipeline`, a
        `ColumnTransformer`, a search. Architectures, losses and penalties may be objects of your
        own classes, which `load` must then be told to trust.
    path : str or path-like
        File to write, usually with the suffix ".skae". One that exists is replaced in one step; it
        stays as it is where writing fails.
    half : bool, default=False
        Whether to store the weights of networks in half precision, in about half the space. Loading
        gives single precision again, with weights that are off by up to 0.05 % each. Applies to
        estimators of skae, also in a `Pipeline`, but not to those that skops writes.
    card : dict, default=None
        Texts, numbers, and lists and dictionaries of these, under names of your choice, that tell
        readers of the file what else they should know, such as data, licence and figures.

    Raises
    ------
    TypeError
        If the estimator holds what only a pickle can hold, such as a function or a torch module, or
        `card` is not as described.
    OSError
        If the file cannot be written.

    See Also
    --------
    load : Read the file.

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
    """Read an estimator from a file that `save` has written.

    No code of the file is run, and no more memory taken than twice its size, or four times where it
    holds weights in half precision. The estimator gives the same results to the bit, but for those
    weights, and training goes on as it would have.

    Parameters
    ----------
    path : str or path-like
        The file, or the address of one on the Hugging Face hub (``pip install "skae[hub]"``):
        "hf://owner/name" for the file "model.skae" of that repository, and
        "hf://owner/name/file.skae@revision" for another file, of a revision. It is fetched into
        the hub's cache.
    trusted : list of str or type, default=()
        Classes of your own that the file may hold objects of, themselves or by their names, as in
        "package.module.Class". These classes are imported and their objects made, so name only
        what you would import.
    compare_versions : bool, default=True
        Whether to warn where the file was written under other versions of skae, scikit-learn or
        PyTorch, by an `InconsistentVersionWarning`.

    Returns
    -------
    model : estimator
        The fitted estimator.

    Raises
    ------
    skae.exceptions.ModelFileError
        If the file is not one of skae, is damaged, has been changed, was written by a later version
        of skae, or holds objects of classes that are not trusted.
    OSError
        If the file cannot be read.

    See Also
    --------
    save : Write the file.

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
            # States of estimators do not hold it.
            vars(model)["_fitted_at"] = str(about["fitted"])
        return model


def read_about(path) -> dict[str, Any]:
    """Return what a file says of its model, without loading the model.

    Parameters
    ----------
    path : str or path-like
        The file, or its address on the Hugging Face hub as in `load`.

    Returns
    -------
    about : dict
        Class ("class"), times of fitting ("fitted"; left out where it is not known) and writing
        ("saved"), "versions", number of "rows", "columns" and "codes", "names" of the columns,
        "error" and "pca_error" per cell, or "lsa_error" per word, the same of autoencoders that
        the model holds ("parts"), and the "card"; as far as the model has these.

    Raises
    ------
    skae.exceptions.ModelFileError
        If the file is not one of skae, or is not as it was written.

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
    """Open a file; let everything that is wrong with it be one kind of error."""
    path = find_file(path)
    # Files that cannot be read raise errors of their own.
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
            f"{path} must hold objects of trusted classes alone, but {error}. If you trust their "
            f"code, pass their names: trusted={error.paths!r}."
        ) from error
    except ImportError:
        raise
    # Whatever a hostile file makes fail.
    except Exception as error:
        raise ModelFileError(
            f"{path} must be a file that skae.save has written, with this or an earlier version of "
            f"skae. It cannot be read: {error or type(error).__name__}. Write the file again, or "
            "install the latest version."
        ) from error
