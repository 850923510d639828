"""Estimators, and what they have in common; private, as `skae` has their names."""
