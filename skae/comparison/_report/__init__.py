"""HTML report of a comparison; private."""
