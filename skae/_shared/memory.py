"""Memory that is free."""

from pathlib import Path

_FILE = Path("/proc/meminfo")
# Elsewhere than on Linux nothing but another package would tell.
_USUAL = 2**32


def find_free_memory() -> int:
    """Return the number of bytes that programs may still take; four gigabytes if not known."""
    try:
        lines = dict(line.split(":") for line in _FILE.read_text().splitlines())
        return 1024 * int(lines["MemAvailable"].split()[0])
    except (OSError, KeyError, ValueError):
        return _USUAL
