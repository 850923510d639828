"""How plain values tell what they stand for."""

CLASS_KEY = "class of skae"
"""Key of a dictionary that stands for an object, under which it names the object's class."""
