"""Helpers of all layers: checks, extras, versions, private names of scikit-learn."""
