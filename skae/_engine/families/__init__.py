"""Kinds of autoencoders: networks, starts, losses and codes."""
