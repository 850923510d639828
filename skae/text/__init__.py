"""Texts as sequences of words."""

from skae.text._sequencer import TokenSequencer

__all__ = ["TokenSequencer"]
