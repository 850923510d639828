"""Many models side by side: a joblib backend, and one model for each of many tables."""

from skae.parallel._backend import SideBySideBackend
from skae.parallel._many import fit_many, transform_many

__all__ = ["SideBySideBackend", "fit_many", "transform_many"]
