"""Many models side by side, and one model that several processes train."""

from skae.parallel._backend import SideBySideBackend
from skae.parallel._many import fit_many, transform_many
from skae.parallel._processes import across_processes

__all__ = ["SideBySideBackend", "across_processes", "fit_many", "transform_many"]
