"""Checkpoints of fits, from which an interrupted fit resumes."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from skae._engine import ALONE, RANKS
from skae._estimators.checkpoints import FOLDER
from skae._shared.files import write_bytes
from skae.exceptions import ModelFileError
from skae.saving._container import open_packed, pack
from skae.saving._tree import Reader, Writer

_FORMAT = 1
_N_KEPT = 2
# Parts of the description of a fit whose entries are not compared one by one in messages.
_SHOWN_WHOLE = ("estimator", "table", "processes")
_NAME = re.compile(r"epoch-(\d+)\.checkpoint")


@contextmanager
def checkpoints(folder, *, every: int = 1) -> Iterator[None]:
    """Write checkpoints during fits, and resume from the latest one.

    A context manager. If a fit was interrupted or killed, run it again with the same table and
    parameters: it resumes from its latest checkpoint and, on the same machine, gives the same model
    to the last bit. A checkpoint contains the weights, those of the best epoch, the state of the
    optimizer and of all random generators, and the losses, as safetensors and JSON; nothing is
    pickled. The last two checkpoints of each fit are kept.

    Parameters
    ----------
    folder : str or path-like
        Folder for the checkpoints. It is created if needed and contains one folder per fit of the
        `with` block, in their order: "fit-1", "fit-2" and so on. The folders remain after the fits,
        so that running them again is fast. Delete them once the models are saved. Several processes
        that fit one model have a folder each.
    every : int, default=1
        Number of epochs between checkpoints. The size of a checkpoint is about four times that of
        the network.

    Raises
    ------
    ValueError
        If `every` is not a positive integer. Also raised by `fit` if the folder contains
        checkpoints of another fit: with another estimator, table, sample weights or parameters, or
        under other versions of skae, scikit-learn, PyTorch or NumPy; and by `partial_fit` and fits
        with `warm_start` or with callbacks of skorch, which cannot write checkpoints.
    skae.exceptions.ModelFileError
        Raised by `fit` if no checkpoint in the folder can be read.

    See Also
    --------
    save : Save the fitted model.

    Notes
    -----
    No checkpoints are written for small tables whose number of epochs is chosen by
    cross-validation; such fits take seconds. If a network is trained a second time on all rows,
    because there are few rows per column, an interrupted second training starts from its beginning.
    Fits in other threads and processes, such as those of joblib, write no checkpoints either. With
    ``random_state=None``, each fit draws a seed and stores it in the checkpoint, so a resumed fit
    uses the same seed.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import skae
    >>> from sklearn.datasets import load_digits
    >>> X = load_digits().data[:500]
    >>> model = skae.AutoencoderTransformer(8, max_iter=6, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with skae.checkpoints(folder, every=2):
    ...         codes = model.fit_transform(X)
    ...     with skae.checkpoints(folder, every=2):  # resumes from the last epoch
    ...         again = model.fit_transform(X)
    >>> bool((codes == again).all())
    True
    """
    if isinstance(every, bool) or not isinstance(every, int) or every < 1:
        raise ValueError(
            f"`every` must be a positive whole number of epochs. Got {every!r}. "
            "Use 1 for a checkpoint after each epoch."
        )
    token = FOLDER.set(_Folder(Path(folder), every))
    try:
        yield
    finally:
        FOLDER.reset(token)


class _Folder:
    """Folder of checkpoints, with a subfolder for each fit."""

    def __init__(self, path: Path, every: int):
        self.path, self.every, self.n_fits = path, every, 0

    def open(self, fit: dict[str, Any]) -> "_Store":
        """Return the store of the next fit."""
        self.n_fits += 1
        name, ranks = f"fit-{self.n_fits}", RANKS.get()
        if ranks is not ALONE:
            name = f"{name}-rank-{ranks.rank}"
        return _Store(self.path / name, self.every, fit)


class _Store:
    """Checkpoints of one fit; implements `skae._engine.Checkpoints`."""

    def __init__(self, path: Path, every: int, fit: dict[str, Any]):
        # JSON turns tuples into lists, so convert before comparing with a file.
        self.path, self.every, self.fit = path, every, json.loads(json.dumps(fit))

    def read(self) -> dict[str, Any] | None:
        """Return the state of the latest readable checkpoint, or None if there is none.

        With several processes, it is the latest checkpoint that all of them have.
        """
        whole, problem = self._find_whole()
        if problem is not None and not whole:
            raise ModelFileError(
                f"{self.path} must contain checkpoints written by skae. The latest cannot be read: "
                f"{problem or type(problem).__name__}. Delete the folder to start the fit again."
            ) from problem
        common = set.intersection(*map(set, RANKS.get().list_all(list(whole))))
        if not common:
            return None
        fit, state = _read(whole[max(common)])
        self._check_fit(fit)
        return state

    def _find_whole(self) -> tuple[dict[int, Path], Exception | None]:
        """Return the readable checkpoints by epoch, and the error of the last unreadable one."""
        whole, problem = {}, None
        for epoch, path in self._list_files():
            try:
                with open_packed(path):
                    whole[epoch] = path
            # A damaged file may raise any error.
            except Exception as error:
                problem = error
        return whole, problem

    def write(self, state: dict[str, Any], epoch: int) -> None:
        """Write a checkpoint, and remove all but the last two."""
        writer = Writer(_refuse_object)
        header = {"format": _FORMAT, "fit": self.fit, "state": writer.write(state)}
        self.path.mkdir(parents=True, exist_ok=True)
        content = pack(json.dumps(header, separators=(",", ":")), writer.arrays)
        write_bytes(self.path / f"epoch-{epoch}.checkpoint", content)
        for _, path in self._list_files()[:-_N_KEPT]:
            path.unlink(missing_ok=True)

    def _list_files(self) -> list[tuple[int, Path]]:
        """Return epochs and paths of the checkpoints, in ascending order."""
        names = os.listdir(self.path) if self.path.is_dir() else []
        matches = map(_NAME.fullmatch, names)
        return sorted((int(found[1]), self.path / found[0]) for found in matches if found)

    def _check_fit(self, fit: dict[str, Any]) -> None:
        """Raise an error for checkpoints of another fit."""
        differences = _list_differences(fit, self.fit)
        if differences:
            raise ValueError(
                f"{self.path} must contain checkpoints of this fit. Got those of a fit with "
                f"another {', '.join(differences)}. Repeat that fit, or choose another folder."
            )


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the description of the fit and the state from a checkpoint."""
    with open_packed(path) as (text, file):
        header = json.loads(text)
        if header["format"] != _FORMAT:
            raise ValueError(f"its format is {header['format']!r}, not {_FORMAT}")
        reader = Reader(list(file.keys()), file.get_tensor, _refuse_object)
        return header["fit"], reader.read(header["state"])


def _refuse_object(value: Any, path: str = "") -> Any:
    raise TypeError(f"{type(value).__name__} at {path!r} cannot be stored in a checkpoint")


def _list_differences(then: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Return the names of entries that differ, with both values if they are short."""
    found = []
    for part in {**then, **now}:
        before: Any = then.get(part)
        after: Any = now.get(part)
        if before == after:
            continue
        is_listed = isinstance(before, dict) and isinstance(after, dict)
        if part in _SHOWN_WHOLE or not is_listed:
            found.append(_show(part, before, after))
            continue
        names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
        found += [_show(f"`{name}`", before.get(name), after.get(name)) for name in names]
    return found


def _show(name: str, then: Any, now: Any) -> str:
    texts = [json.dumps(value) for value in (then, now)]
    return f"{name} ({texts[0]} then, {texts[1]} now)" if max(map(len, texts)) < 40 else name
