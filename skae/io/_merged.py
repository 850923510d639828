"""Merged cells of worksheets, of which only the first holds the value."""

import re

from skae._shared.names import list_names
from skae.io._extent import count_column

_RANGE = re.compile(rb'<mergeCell\b[^>]*\bref="([A-Z]+)(\d+):([A-Z]+)(\d+)"')


def fill_merged(frame, first, n_empty, content):
    """Fill merged cells down with their values, in place, and return remarks.

    Cells above the first row of data are left alone. `n_empty` is the number of empty columns left
    of the frame, and `content` the XML of the worksheet.
    """
    down, across = [], []
    for match in sorted(_RANGE.finditer(content), key=_find_start):
        left, top, right, bottom = (_count(part) for part in match.groups())
        left, right = left - n_empty, right - n_empty
        if left < 0 or top < first or bottom >= len(frame) or right >= frame.shape[1]:
            continue
        name = b"".join(match.groups()[:2]) + b":" + b"".join(match.groups()[2:])
        if bottom > top:
            frame.iloc[top + 1 : bottom + 1, left] = frame.iloc[top, left]
            down.append(name.decode())
        if right > left:
            across.append(name.decode())
    kinds = {"filled down with their values": down, "read as missing but for the first": across}
    return [f"Merged cells {kind}: {list_names(own, 3)}" for kind, own in kinds.items() if own]


def _find_start(match):
    return _count(match[2]), _count(match[1])


def _count(part):
    """Return the index of a row or column, from 0."""
    return (int(part) if part.isdigit() else count_column(part)) - 1
