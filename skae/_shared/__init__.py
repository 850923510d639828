"""Small things that packages of every layer share; private."""
