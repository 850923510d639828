"""Errors and warnings that skae raises beside scikit-learn's own."""

__all__ = [
    "ColumnsLeftOutWarning",
    "DriftWarning",
    "ExportError",
    "ImputationWarning",
    "InconsistentVersionWarning",
    "LostRankError",
    "MixedPrecisionWarning",
    "ModelFileError",
    "NonFiniteLossError",
    "NotBetterThanPCAWarning",
    "OutlyingCellWarning",
    "OvercompleteWarning",
    "PosteriorCollapseWarning",
    "RowLossWarning",
    "SkaeWarning",
]


class NonFiniteLossError(ValueError):
    """The training loss became infinite or not a number.

    The fit is abandoned and the estimator keeps the state that it had before it.

    Examples
    --------
    >>> from skae.exceptions import NonFiniteLossError
    >>> issubclass(NonFiniteLossError, ValueError)
    True
    """


class SkaeWarning(UserWarning):
    """Base class of the warnings of skae, to filter all of them at once.

    Examples
    --------
    >>> import warnings
    >>> from skae.exceptions import SkaeWarning
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", SkaeWarning)
    """


class ColumnsLeftOutWarning(SkaeWarning):
    """Columns of a data frame tell nothing that a model could learn, and are left out.

    Examples
    --------
    >>> from skae.exceptions import ColumnsLeftOutWarning, SkaeWarning
    >>> issubclass(ColumnsLeftOutWarning, SkaeWarning)
    True
    """


class DriftWarning(SkaeWarning):
    """Rows to go on with are not like those that a model was centred and scaled by.

    Examples
    --------
    >>> from skae.exceptions import DriftWarning, SkaeWarning
    >>> issubclass(DriftWarning, SkaeWarning)
    True
    """


class ImputationWarning(SkaeWarning):
    """An imputer drops columns, or leaves values of some missing.

    Examples
    --------
    >>> from skae.exceptions import ImputationWarning, SkaeWarning
    >>> issubclass(ImputationWarning, SkaeWarning)
    True
    """


class NotBetterThanPCAWarning(SkaeWarning):
    """Training could not lower the reconstruction error below that of PCA.

    Examples
    --------
    >>> from skae.exceptions import NotBetterThanPCAWarning, SkaeWarning
    >>> issubclass(NotBetterThanPCAWarning, SkaeWarning)
    True
    """


class OutlyingCellWarning(SkaeWarning):
    """One cell of a column is so large that the network's precision cannot tell the others apart.

    Examples
    --------
    >>> from skae.exceptions import OutlyingCellWarning, SkaeWarning
    >>> issubclass(OutlyingCellWarning, SkaeWarning)
    True
    """


class OvercompleteWarning(SkaeWarning):
    """More codes were asked for than X has features.

    Examples
    --------
    >>> from skae.exceptions import OvercompleteWarning, SkaeWarning
    >>> issubclass(OvercompleteWarning, SkaeWarning)
    True
    """


class PosteriorCollapseWarning(SkaeWarning):
    """The codes of a variational autoencoder say next to nothing about the rows.

    Examples
    --------
    >>> from skae.exceptions import PosteriorCollapseWarning, SkaeWarning
    >>> issubclass(PosteriorCollapseWarning, SkaeWarning)
    True
    """


class RowLossWarning(SkaeWarning):
    """A loss gives one number for all rows, so that rows cannot be weighted or judged one by one.

    Examples
    --------
    >>> from skae.exceptions import RowLossWarning, SkaeWarning
    >>> issubclass(RowLossWarning, SkaeWarning)
    True
    """


class InconsistentVersionWarning(SkaeWarning):
    """A pickled estimator was written by another version of skae, torch or scikit-learn.

    Examples
    --------
    >>> from skae.exceptions import InconsistentVersionWarning, SkaeWarning
    >>> issubclass(InconsistentVersionWarning, SkaeWarning)
    True
    """


class MixedPrecisionWarning(SkaeWarning):
    """Mixed precision was asked for on a device that cannot train in bfloat16.

    The fit is that of ``mixed_precision=False``.

    Examples
    --------
    >>> from skae.exceptions import MixedPrecisionWarning, SkaeWarning
    >>> issubclass(MixedPrecisionWarning, SkaeWarning)
    True
    """


class ModelFileError(ValueError):
    """A file cannot be loaded: it is foreign, damaged, changed, too new, or not trusted.

    Examples
    --------
    >>> from skae.exceptions import ModelFileError
    >>> issubclass(ModelFileError, ValueError)
    True
    """


class ExportError(ValueError):
    """A model cannot be exported to ONNX, or the exported one would give other numbers.

    Examples
    --------
    >>> from skae.exceptions import ExportError
    >>> issubclass(ExportError, ValueError)
    True
    """


class LostRankError(RuntimeError):
    """A process that trains a model together with this one has failed or ended.

    Examples
    --------
    >>> from skae.exceptions import LostRankError
    >>> issubclass(LostRankError, RuntimeError)
    True
    """
