"""Trained models that come with skae, and folders for your own models."""

from skae.zoo._folder import Folder
from skae.zoo._models import list_models, load, read_about

__all__ = ["Folder", "list_models", "load", "read_about"]
