"""Files are written completely or not at all."""

import os
import tempfile
from pathlib import Path

import pytest

from skae._shared.files import write_text

_NOBODY = 65534


def test_files_are_replaced(tmp_path):
    path = tmp_path / "page.html"
    for text in ("old", "größer"):
        write_text(path, text)
        assert path.read_text(encoding="utf-8") == text
    assert os.listdir(tmp_path) == ["page.html"]


def test_a_failure_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "page.html"
    path.write_text("old")

    def fail(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["page.html"]


def test_permissions_and_links_are_kept(tmp_path):
    path, link = tmp_path / "page.html", tmp_path / "link.html"
    path.write_text("old")
    path.chmod(0o640)
    link.symlink_to(path)
    write_text(link, "new")
    assert link.is_symlink()
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.fixture
def own_folder():
    """Return a folder of a user to whom write protection applies, as whom the test runs."""
    is_root = os.geteuid() == 0
    with tempfile.TemporaryDirectory() as name:
        if is_root:
            os.chown(name, _NOBODY, -1)
            os.seteuid(_NOBODY)
        try:
            yield Path(name)
        finally:
            if is_root:
                os.seteuid(0)


def test_protected_files_are_not_replaced(own_folder):
    path = own_folder / "page.html"
    write_text(path, "old")
    path.chmod(0o444)
    with pytest.raises(PermissionError, match="page.html"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(own_folder) == ["page.html"]


def test_files_that_may_only_be_written_are_replaced(own_folder):
    path = own_folder / "page.html"
    path.write_text("old")
    path.chmod(0o200)
    write_text(path, "new")
    path.chmod(0o600)
    assert path.read_text() == "new"


def test_errors_name_the_file(tmp_path):
    path = tmp_path / "missing" / "page.html"
    with pytest.raises(FileNotFoundError, match="missing.page.html"):
        write_text(path, "new")


def test_names_may_be_of_the_greatest_length(tmp_path):
    path = tmp_path / ("x" * 255)
    write_text(path, "text")
    assert path.read_text() == "text"


def test_pipes_are_written_to_and_folders_refused(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_text(pipe, "new")
        assert os.read(reader, 10) == b"new"
    finally:
        os.close(reader)
    assert pipe.is_fifo()
    with pytest.raises(IsADirectoryError, match=str(tmp_path)):
        write_text(tmp_path, "new")
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]
