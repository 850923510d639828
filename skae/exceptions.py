"""Errors and warnings of skae."""

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
    """The training loss became infinite or NaN.

    The fit is stopped, and the estimator is left unchanged.

    Examples
    --------
    >>> from skae.exceptions import NonFiniteLossError
    >>> issubclass(NonFiniteLossError, ValueError)
    True
    """


class SkaeWarning(UserWarning):
    """Base class of skae's warnings, to filter all of them at once.

    Examples
    --------
    >>> import warnings
    >>> from skae.exceptions import SkaeWarning
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", SkaeWarning)
    """


class ColumnsLeftOutWarning(SkaeWarning):
    """Columns of a data frame without information for a model are left out.

    Examples
    --------
    >>> from skae.exceptions import ColumnsLeftOutWarning, SkaeWarning
    >>> issubclass(ColumnsLeftOutWarning, SkaeWarning)
    True
    """


class DriftWarning(SkaeWarning):
    """Rows for further training differ from the rows that determined the mean and scale.

    Examples
    --------
    >>> from skae.exceptions import DriftWarning, SkaeWarning
    >>> issubclass(DriftWarning, SkaeWarning)
    True
    """


class ImputationWarning(SkaeWarning):
    """An imputer drops columns, or leaves values of some columns missing.

    Examples
    --------
    >>> from skae.exceptions import ImputationWarning, SkaeWarning
    >>> issubclass(ImputationWarning, SkaeWarning)
    True
    """


class NotBetterThanPCAWarning(SkaeWarning):
    """The reconstruction error is not lower than PCA's.

    Examples
    --------
    >>> from skae.exceptions import NotBetterThanPCAWarning, SkaeWarning
    >>> issubclass(NotBetterThanPCAWarning, SkaeWarning)
    True
    """


class OutlyingCellWarning(SkaeWarning):
    """Cells are so large that a fit would be about them alone.

    A fit leaves out rows with such cells if they are few: at most five, or one in a thousand of
    large tables, and at most one in twenty of small ones.

    Examples
    --------
    >>> from skae.exceptions import OutlyingCellWarning, SkaeWarning
    >>> issubclass(OutlyingCellWarning, SkaeWarning)
    True
    """


class OvercompleteWarning(SkaeWarning):
    """There are more codes than features.

    Examples
    --------
    >>> from skae.exceptions import OvercompleteWarning, SkaeWarning
    >>> issubclass(OvercompleteWarning, SkaeWarning)
    True
    """


class PosteriorCollapseWarning(SkaeWarning):
    """Codes of a variational autoencoder carry almost no information about the rows.

    Examples
    --------
    >>> from skae.exceptions import PosteriorCollapseWarning, SkaeWarning
    >>> issubclass(PosteriorCollapseWarning, SkaeWarning)
    True
    """


class RowLossWarning(SkaeWarning):
    """A loss returns one number for all rows, so rows cannot be weighted or compared one by one.

    Examples
    --------
    >>> from skae.exceptions import RowLossWarning, SkaeWarning
    >>> issubclass(RowLossWarning, SkaeWarning)
    True
    """


class InconsistentVersionWarning(SkaeWarning):
    """A pickled estimator was written under another version of skae, PyTorch or scikit-learn.

    Examples
    --------
    >>> from skae.exceptions import InconsistentVersionWarning, SkaeWarning
    >>> issubclass(InconsistentVersionWarning, SkaeWarning)
    True
    """


class MixedPrecisionWarning(SkaeWarning):
    """Mixed precision is not available on a device that cannot train in bfloat16.

    The fit uses ``mixed_precision=False``.

    Examples
    --------
    >>> from skae.exceptions import MixedPrecisionWarning, SkaeWarning
    >>> issubclass(MixedPrecisionWarning, SkaeWarning)
    True
    """


class ModelFileError(ValueError):
    """A file cannot be loaded: it is invalid, damaged, modified, too new, or not trusted.

    Examples
    --------
    >>> from skae.exceptions import ModelFileError
    >>> issubclass(ModelFileError, ValueError)
    True
    """


class ExportError(ValueError):
    """A model cannot be exported to ONNX, or the exported model gives different results.

    Examples
    --------
    >>> from skae.exceptions import ExportError
    >>> issubclass(ExportError, ValueError)
    True
    """


class LostRankError(RuntimeError):
    """Another process that trains the same model has failed or ended.

    Examples
    --------
    >>> from skae.exceptions import LostRankError
    >>> issubclass(LostRankError, RuntimeError)
    True
    """
