"""Free memory."""

from pathlib import Path

_FILE = Path("/proc/meminfo")
# On other systems than Linux, this would require another package.
_USUAL = 2**32


def find_free_memory() -> int:
    """Return the available memory in bytes, or four gigabytes if unknown."""
    try:
        lines = dict(line.split(":") for line in _FILE.read_text().splitlines())
        return 1024 * int(lines["MemAvailable"].split()[0])
    except (OSError, KeyError, ValueError):
        return _USUAL
