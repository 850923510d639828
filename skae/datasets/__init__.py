"""Data sets for examples, benchmarks and tests, read from a folder; nothing is downloaded."""

from skae.datasets._folder import has_data_file
from skae.datasets._loaders import load_film_reviews, load_mnist, load_spoken_digits

__all__ = ["has_data_file", "load_film_reviews", "load_mnist", "load_spoken_digits"]
