"""Data sets for examples, benchmarks and tests, without downloads."""

from skae.datasets._folder import has_data_file
from skae.datasets._loaders import (
    load_digit_images,
    load_film_reviews,
    load_mnist,
    load_spoken_digits,
)
from skae.datasets._shapes import make_shapes

__all__ = [
    "has_data_file",
    "load_digit_images",
    "load_film_reviews",
    "load_mnist",
    "load_spoken_digits",
    "make_shapes",
]
