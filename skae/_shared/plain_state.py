"""Markers of objects among plain values."""

CLASS_KEY = "class of skae"
"""Key under which a dictionary that represents an object names the object's class."""
