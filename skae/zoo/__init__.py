"""Trained models: those that come with skae, and those in folders of your own."""

from skae.zoo._folder import Folder
from skae.zoo._models import list_models, load, read_about

__all__ = ["Folder", "list_models", "load", "read_about"]
