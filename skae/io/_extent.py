"""Extent of worksheets, whose few cells may lie far apart."""

import re
from xml.parsers import expat

_PLACE = re.compile(r"\$?([A-Za-z]{1,9})\$?\d+")


def count_cells(content: bytes) -> int:
    """Return the number of cells, most of them empty perhaps, of the XML of a worksheet."""
    last_row = last_column = 0

    def look(tag, attributes):
        nonlocal last_row, last_column
        kind, place = tag.rpartition(":")[2], attributes.get("r", "")
        if kind == "row" and place:
            last_row = max(last_row, int(float(place)))
        elif kind == "c" and (found := _PLACE.fullmatch(place)):
            last_column = max(last_column, count_column(found[1].upper().encode()))

    parser = expat.ParserCreate()
    parser.StartElementHandler = look
    parser.Parse(content, True)
    return last_row * last_column


def count_column(letters: bytes) -> int:
    """Return the number of a column, from 1, such as 28 for AB."""
    number = 0
    for letter in letters:
        number = 26 * number + letter - ord("A") + 1
    return number
