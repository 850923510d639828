"""Objects in files: estimators of skae and scikit-learn, and objects of trusted classes."""

import importlib
import inspect
import io
import zipfile
from enum import Enum
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline

from skae._estimators.states import flatten, restore
from skae._shared.array_headers import read_array_header
from skae._shared.extras import import_extra
from skae._shared.names import get_class_path
from skae._shared.plain_state import CLASS_KEY
from skae.saving._tree import Reader, Writer
from skae.saving._usual import fill_in_usual, leave_out_usual
from skae.saving._values import join_value, name_value, split_value

_ESTIMATORS = {
    "AdversarialAutoencoderTransformer": "skae",
    "AutoencoderImputer": "skae",
    "AutoencoderOutlierDetector": "skae",
    "AutoencoderTransformer": "skae",
    "CodeSampler": "skae.generate",
    "Quantizer": "skae.codes",
    "SequencePadder": "skae.sequences",
    "SparseAutoencoderTransformer": "skae",
    "TokenAutoencoderTransformer": "skae",
    "TokenSequencer": "skae.text",
    "VariationalAutoencoderTransformer": "skae",
}

# Packages whose objects are written and audited by skops.
_PACKAGES_OF_SKOPS = ("numpy", "scipy", "sklearn")
# Classes of objects in searches and pipelines that not all versions of skops trust. Creating their
# objects runs no computation.
_TRUSTED_OF_SCIKIT_LEARN = frozenset(
    {
        "sklearn.compose._column_transformer._RemainderColsList",
        "sklearn.metrics._scorer._PassthroughScorer",
        "sklearn.metrics._scorer._Scorer",
        "sklearn.model_selection._split.GroupKFold",
        "sklearn.model_selection._split.GroupShuffleSplit",
        "sklearn.model_selection._split.KFold",
        "sklearn.model_selection._split.LeaveOneOut",
        "sklearn.model_selection._split.RepeatedKFold",
        "sklearn.model_selection._split.RepeatedStratifiedKFold",
        "sklearn.model_selection._split.ShuffleSplit",
        "sklearn.model_selection._split.StratifiedGroupKFold",
        "sklearn.model_selection._split.StratifiedKFold",
        "sklearn.model_selection._split.StratifiedShuffleSplit",
        "sklearn.model_selection._split.TimeSeriesSplit",
        "sklearn.utils._metadata_requests.MetadataRequest",
        "sklearn.utils._metadata_requests.MethodMetadataRequest",
    }
)
_KIND, _VERSIONS = "kind", "_versions"


def get_estimator_class(name: str) -> type:
    """Return the class of an estimator of skae."""
    return getattr(importlib.import_module(_ESTIMATORS[name]), name)


def list_trusted_types() -> list[str]:
    """Return the names of all estimator classes of skae, with their modules."""
    return [get_class_path(get_estimator_class(name)) for name in _ESTIMATORS]


class ObjectWriter(Writer):
    """Writer of nested values with objects."""

    def __init__(self, *, half: bool = False):
        super().__init__(self._write_object, half=half)

    def _write_dict(self, value: dict, path: str) -> dict:
        if CLASS_KEY in value:
            value = leave_out_usual(value[CLASS_KEY], value)
        return super()._write_dict(value, path)

    def _write_object(self, value: Any, path: str) -> dict[str, Any]:
        own = type(value)
        if name := name_value(value):
            return {_KIND: "value", "class": name, "parts": self.write(split_value(name, value))}
        if own.__name__ in _ESTIMATORS and get_estimator_class(own.__name__) is own:
            state = leave_out_usual(own.__name__, value.__getstate__())
            # The header has the versions of the whole file.
            state.pop(_VERSIONS, None)
            return {_KIND: own.__name__, "state": self.write(state, path)}
        if own is Pipeline and vars(value).keys() <= value.get_params(deep=False).keys():
            # A pipeline has no fitted attributes, so skops is not needed.
            return {_KIND: "pipeline", "state": self.write(vars(value), path)}
        package = own.__module__.partition(".")[0]
        if package in _PACKAGES_OF_SKOPS and not isinstance(value, type):
            skops = import_extra("skops.io", "save", "skae.save")
            content = np.frombuffer(skops.dumps(value), dtype=np.uint8)
            return {_KIND: "skops", "content": self._store(content, path or "skops")}
        only_pickles = package in ("builtins", "torch") or "<" in own.__qualname__
        if only_pickles or isinstance(value, type | Enum):
            raise TypeError(
                f"`{path}` must be a value or an object with parameters. Got {value!r}, which "
                "only a pickle can store. Wrap functions and modules in a class of your own that "
                "derives from a class of skae, such as skae.objectives.ReconstructionLoss."
            )
        return {_KIND: "trusted", "class": get_class_path(own), "state": self._write_own(value)}

    def _write_own(self, value: Any) -> Any:
        state = value.__getstate__() if hasattr(value, "__getstate__") else vars(value)
        if not isinstance(state, dict):
            raise TypeError(f"objects of {type(value).__name__} must have a dictionary as state")
        return self.write(flatten(state), f"trusted.{len(self._large)}")


class ObjectReader(Reader):
    """Reader of values written by `ObjectWriter`.

    `trusted` has trusted classes by name with module, in addition to skae's; a class of None is
    imported when needed. `versions` are those of the packages that the file was written with.
    """

    def __init__(self, file, trusted: dict[str, type | None], versions: dict[str, str]):
        super().__init__(list(file.keys()), file.get_tensor, self._read_object)
        self.trusted, self.versions = trusted, versions

    def read(self, written: Any) -> Any:
        """Return the value that was written."""
        value = super().read(written)
        if isinstance(value, dict) and CLASS_KEY in value:
            return fill_in_usual(value[CLASS_KEY], value)
        return value

    def _read_object(self, written: dict[str, Any]) -> Any:
        kind = written[_KIND]
        if kind == "value":
            return join_value(written["class"], self.read(written["parts"]))
        if kind == "skops":
            return self._read_skops(self.get_array(written["content"]))
        if kind == "pipeline":
            return Pipeline(**self.read(written["state"]))
        is_trusted = kind == "trusted"
        own = self._find_trusted(written["class"]) if is_trusted else get_estimator_class(kind)
        value: Any = object.__new__(own)
        state = _fill_in_new(own, fill_in_usual(kind, self.read(written["state"])))
        if is_trusted:
            state = restore(state)
        if "net_" in state:
            state = {_VERSIONS: self.versions, **state}
        if hasattr(value, "__setstate__"):
            value.__setstate__(state)
        else:
            value.__dict__.update(state)
        return value

    def _find_trusted(self, path: str) -> type:
        if path not in self.trusted:
            raise UntrustedClassError([path])
        own = self.trusted[path]
        if own is not None:
            return own
        module, _, name = path.rpartition(".")
        return getattr(importlib.import_module(module), name)

    def _read_skops(self, content: np.ndarray) -> Any:
        skops, data = import_extra("skops.io", "save", "skae.load"), content.tobytes()
        check_zip(data)
        trusted = {*list_trusted_types(), *_TRUSTED_OF_SCIKIT_LEARN, *self.trusted}
        unknown = [name for name in skops.get_untrusted_types(data=data) if name not in trusted]
        if unknown:
            raise UntrustedClassError(unknown)
        return skops.loads(data, trusted=sorted(trusted))


def _fill_in_new(own: type, state: dict[str, Any]) -> dict[str, Any]:
    """Return a state with defaults for parameters that are newer than the file.

    The default of a new parameter keeps the earlier behaviour.
    """
    if not issubclass(own, BaseEstimator):
        return state
    parameters = inspect.signature(own).parameters.values()
    defaults = {one.name: one.default for one in parameters if one.default is not one.empty}
    return {**defaults, **state}


class UntrustedClassError(ValueError):
    """Error for files with objects of classes that are not trusted."""

    def __init__(self, paths: list[str]):
        super().__init__(f"it contains objects of {', '.join(paths)}")
        self.paths = paths


def check_zip(data: bytes) -> None:
    """Raise an error if members or arrays of an archive claim to be larger than the archive.

    Arrays of Python objects are refused as well.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        if sum(member.file_size for member in members) > len(data):
            raise ValueError("an archive in it claims more bytes than it has")
        arrays = [member for member in members if member.filename.endswith(".npy")]
        if any(read_array_header(archive, member).dtype.hasobject for member in arrays):
            raise ValueError("an array in it has Python objects")
