"""Fixtures of the tests of displays."""

import pytest
from matplotlib.figure import Figure


@pytest.fixture
def ax():
    """Return axes of a figure that pyplot does not know."""
    return Figure().subplots()
