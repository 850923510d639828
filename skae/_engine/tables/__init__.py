"""Rows of tables as tensors, and their columns."""
