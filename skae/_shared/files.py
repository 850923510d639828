"""Files that are written whole or not at all."""

import os
import secrets
import shutil
from pathlib import Path


def write_text(path, text):
    """Write a text file as UTF-8; all else is as for `write_bytes`."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path, content):
    """Write a file, and leave the one that was there as it is if that fails.

    Parameters
    ----------
    path : str or path-like
        File to write; one that exists is replaced, a link stays one.
    content : bytes
        Its content.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    path = Path(os.path.realpath(path))
    written = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(written, "xb") as file:
            file.write(content)
            file.flush()
            # Some file systems tell of a full disk only now.
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, written)
        os.replace(written, path)
    except BaseException:
        written.unlink(missing_ok=True)
        raise
