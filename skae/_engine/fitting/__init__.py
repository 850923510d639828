"""From a table to a trained network."""
