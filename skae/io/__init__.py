"""Reading tables from files."""

from skae.io._tables import Table, read_table

__all__ = ["Table", "read_table"]
