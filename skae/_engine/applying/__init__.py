"""Applying trained networks to many rows."""
