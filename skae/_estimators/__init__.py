"""The estimators and their shared code; private, because `skae` exports their names."""
