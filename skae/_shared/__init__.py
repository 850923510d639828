"""What packages of every layer share: checks, extras, versions, scikit-learn's private names."""
