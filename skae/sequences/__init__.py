"""Sequences of different lengths, as rows of a table."""

from skae.sequences._padder import SequencePadder

__all__ = ["SequencePadder"]
