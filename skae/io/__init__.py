"""Reading tables from files."""

from skae.io._table import Table
from skae.io._tables import read_table

__all__ = ["Table", "read_table"]
