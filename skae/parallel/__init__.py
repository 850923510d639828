"""Many models at the price of few: searches and fits side by side."""

from skae.parallel._backend import SideBySideBackend, register_backend
from skae.parallel._many import fit_many, transform_many

__all__ = ["SideBySideBackend", "fit_many", "transform_many"]

register_backend()
