"""Check of the memory that a file needs, before it is read."""

import os

# Compression ratio that numbers rarely exceed, and size in bytes of tables that may exceed it.
_MOST_RATIO = 200
_SMALL = 2**29


def check_size(path, n_bytes, remedy):
    """Raise an error for a file that claims an implausible amount of memory.

    It is more than the memory of the computer, or more than half a gigabyte and 200 times the size
    of the file.
    """
    packed = path.stat().st_size
    if n_bytes > _measure_memory() or n_bytes > max(_SMALL, _MOST_RATIO * packed):
        raise ValueError(
            f"`path` must be a file that fits into memory. Got {str(path)!r} of "
            f"{_show(packed)}, which takes at least {_show(n_bytes)}. {remedy}"
        )


def _measure_memory():
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return float("inf")


def _show(n_bytes):
    return f"{n_bytes / 2**20:,.3f} MB" if n_bytes < 2**20 else f"{n_bytes // 2**20:,} MB"
