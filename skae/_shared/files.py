"""Atomic writing of files."""

import os
import secrets
import shutil
from pathlib import Path


def write_text(path, text):
    """Write a text file as UTF-8, like `write_bytes`."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path, content):
    """Write a file; if that fails, an existing file is unchanged.

    An existing file is replaced unless it is write-protected, and a link remains a link. A device
    or a pipe, such as ``/dev/stdout``, is written to.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():
        path.write_bytes(content)
        return
    if path.exists():
        # A write-protected file would be replaced as well.
        with open(path, "ab"):
            pass
    # The name of the file may be of the greatest length.
    written = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with open(written, "xb") as file:
            file.write(content)
            file.flush()
            # Some file systems report a full disk only now.
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, written)
        os.replace(written, path)
    except BaseException as error:
        written.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = str(path)
        raise
