"""Helpers for all layers: checks, extras, versions, private names of scikit-learn."""
