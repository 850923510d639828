"""Rows of tables as tensors, and statistics of columns."""
