"""Data folder, and error messages for a missing folder or file."""

import pytest

from skae.datasets import has_data_file
from skae.datasets._folder import locate_data_file


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "there.npz").touch()
    monkeypatch.setenv("SKAE_DATA", str(tmp_path))
    return tmp_path


def test_file_is_found(folder):
    assert has_data_file("there.npz")
    assert locate_data_file("there.npz", remedy="") == folder / "there.npz"


def test_missing_file_names_folder_and_remedy(folder):
    assert not has_data_file("elsewhere.npz")
    with pytest.raises(FileNotFoundError, match="which has no such file. Look there.") as caught:
        locate_data_file("elsewhere.npz", remedy="Look there.")
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("value", [None, ""])
def test_unset_variable_is_named(monkeypatch, value):
    if value is None:
        monkeypatch.delenv("SKAE_DATA", raising=False)
    else:
        monkeypatch.setenv("SKAE_DATA", value)
    assert not has_data_file("there.npz")
    with pytest.raises(FileNotFoundError, match=r"SKAE_DATA must be .* it is not set. Look there."):
        locate_data_file("there.npz", remedy="Look there.")
