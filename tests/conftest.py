"""What all tests share."""

import pytest

from skae.datasets import has_data_file


def pytest_runtest_setup(item):
    for marker in item.iter_markers("needs_data"):
        (name,) = marker.args
        if not has_data_file(name):
            pytest.skip(f"SKAE_DATA does not name a folder that holds {name}")
