"""Layout of a text file: separator of the columns, lines with names, and lines with data."""

import re
from collections import Counter
from dataclasses import dataclass
from itertools import chain, pairwise, zip_longest
from typing import cast

from skae.io._numbers import is_flagged, is_no_value, is_value

# Separators in the order of trial. If all lines have equally many semicolons, tabs or bars, these
# separate columns; commas may be decimal commas.
_SEPARATORS = (";", "\t", "|", ",")
# First line by which Excel declares the separator.
_HINT = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
_SECTION = re.compile(r"\[[\w ]+\]")
# The last two begin the frames of printed tables.
COMMENT_MARKS = ("#", "//", "!", "+-", "+=")


@dataclass(frozen=True)
class Layout:
    """Positions of names and data in a table of cells.

    `names` is None if no line contains names. `first` is the index of the first record of data, and
    `width` the number of cells of the widest one. `names_rows` is true if each record has one cell
    more than there are names, as in files written by R, and `quotes_first` if its first cell is in
    quotes. `remarks` are on lines left out and doubtful decisions.
    """

    names: tuple[str, ...] | None
    first: int
    width: int
    remarks: tuple[str, ...]
    names_rows: bool = False
    quotes_first: bool = False


def split_records(text, separator):
    r"""Split CSV text into records of cells, each with the position of its end in the text.

    Lines end in "\n". Cells are without surrounding quotes and blanks. The reader of Python's
    standard library rejects long cells unless a global setting is changed.

    Examples
    --------
    >>> from skae.io._layout import split_records
    >>> [cells for cells, _ in split_records('a,"b,c"\n1, 2\n', ",")]
    [['a', 'b,c'], ['1', '2']]
    """
    mark = re.escape(separator)
    cell = re.compile(rf' *"((?:[^"]|"")*+)" *(?=[{mark}\n]|\Z)|([^{mark}\n]*)')
    position, cells = 0, []
    while position < len(text):
        # The second alternative of the pattern always matches, even the empty string.
        match = cast(re.Match, cell.match(text, position))
        quoted = match[1]
        cells.append((match[2] if quoted is None else quoted.replace('""', '"')).strip())
        position = match.end() + 1
        if text[match.end() : position] in ("\n", ""):
            yield cells, min(position, len(text))
            cells = []
    if cells:
        yield [*cells, ""], len(text)


def find_separator(text, usual):
    """Return the separator that most lines agree on, or the usual one if no separator occurs.

    A first line such as "sep=;" takes precedence.
    """
    if (hint := _HINT.fullmatch(text.partition("\n")[0])) is not None:
        return hint[1]
    tried = _SEPARATORS if usual == "," else dict.fromkeys((usual, *_SEPARATORS))
    agreeing = {separator: _count_agreeing(text, separator) for separator in tried}
    best = max(agreeing, key=agreeing.__getitem__)
    return best if agreeing[best] else usual


def _count_agreeing(text, separator):
    """Return the number of lines with equally many cells, with or without empty ones at the end."""
    records = [cells for cells, _ in split_records(text, separator) if not _is_comment(cells)]
    filled = [_strip_end(cells) for cells in records]
    counts = [Counter(len(cells) for cells in own if len(cells) > 1) for own in (records, filled)]
    return max(max(own.values(), default=0) for own in counts)


def find_layout(records, has_names=True):
    """Find the names, if there are any, and the first row of data in the first records."""
    start = _find_start(records)
    width = _find_width(records[start:])
    if not has_names:
        return Layout(None, start, width, _describe_above(records[:start]))
    comment = _find_names_in_comment(records, start)
    if comment is not None:
        remark = f"Names were taken from line {comment + 1}, a comment"
        remarks = (*_describe_above(records[:comment]), remark)
        return Layout(_strip_comment(records[comment]), start, width, remarks)
    return _find_layout_by_names(records, _find_title(records, start))


def _find_layout_by_names(records, start):
    first = _skip_units(records, start + 1)
    names, upper = _read_names(records, start, first)
    above, below = (start, start + 1) if upper is None else (upper, upper + 2)
    remarks = [*_describe_above(records[:above]), *_describe_units(records, below, first)]
    if upper is not None:
        remarks.append(f"Lines {above + 1} and {below} were joined to names, such as {names[-1]!r}")
    if _are_values(names):
        remarks.append(
            f"The first line ({', '.join(names[:3])} ...) was read as column names: if it is data, "
            "pass header=False (on the command line: --no-header)"
        )
    remarks += [
        *_describe_end(records[first:], len(names)),
        *_describe_short(records[first:], len(names)),
    ]
    width = _find_width(records[first:])
    return Layout(names, first, width, tuple(remarks), _name_rows(records[first:], len(names)))


def _find_start(records):
    """Return the index of the record with names or, if there are none, of the first data."""
    first = max(_find_end_of_comment(records), _find_end_of_sections(records))
    filled = [index for index, cells in enumerate(records) if any(cells) and index >= first]
    candidates = [index for index in filled if not _is_comment(records[index])]
    lengths = Counter(len(_strip_end(records[index])) for index in candidates)
    usual = max(lengths, key=lambda length: (lengths[length], length), default=0)
    # An empty line separates a title from the names.
    titles = {index for index in candidates if usual > 1 and len(records[index]) == 1}
    titles = {index for index in titles if not any(records[min(index + 1, len(records) - 1)])}
    fitting = [i for i in candidates if i not in titles and _fits(records[i], usual)]
    # Above numbers, a line that begins with text may describe the table.
    firsts = [is_value(records[i][0]) for i in fitting if len(records[i]) >= usual]
    are_numbers = 2 * sum(firsts) > len(firsts)
    best, *following = fitting or candidates or filled or [0]
    for index in following:
        cells = records[index]
        if _are_names(cells):
            # A line above the names with fewer cells is a title or a description of the file.
            is_title = _is_title(records[best], cells) or _begins_table(records, index)
            if is_title or _is_description(records[best], cells, usual):
                best = index
        elif len(_strip_end(cells)) >= usual and (is_value(cells[0]) or not are_numbers):
            break
    return best


def _is_title(above, cells):
    """Return whether the line above a line of text is a title, and not names above units."""
    n_above, n_cells = _count_filled(above), _count_filled(cells)
    if n_above != n_cells:
        return n_above < n_cells
    # Titles may contain single numbers, such as a year; names may be years as well.
    n_values = sum(map(is_value, above))
    are_names = len(set(cells)) == len(cells) and not any(map(is_no_value, cells))
    return 0 < 2 * n_values <= n_above and are_names


def _begins_table(records, index):
    """Return whether names are between an empty line, below others, and a line of values alone.

    Among rows of data that begin with text, an empty line may separate groups.
    """
    above, below = records[:index], [*filter(None, chain(*records[index + 1 : index + 2]))]
    is_apart = sum(map(any, above)) > 1 and not any(above[-1])
    return is_apart and bool(below) and all(map(is_value, below))


def _is_description(above, cells, usual):
    """Return whether the line above names as many as the data is longer, and has values."""
    return len(above) > len(cells) == usual and any(is_value(cell) for cell in above if cell)


def _find_end_of_comment(records):
    """Return the index of the first record below a comment of several lines, or 0."""
    is_open = bool(records) and records[0][0].startswith("/*")
    ends = (index for index, cells in enumerate(records) if any(c.endswith("*/") for c in cells))
    return next(ends, -1) + 1 if is_open else 0


def _find_end_of_sections(records):
    """Return the index of the names below the last line such as "[Data]", or 0.

    The file must begin with such a line. Below names, they may separate groups of rows.
    """
    starts = [
        index
        for index, (cells, below) in enumerate(pairwise(records), start=1)
        if _is_section(cells) and len(below) > 1 and _are_names(below)
    ]
    begins = _is_section(next(filter(any, records), [""]))
    return starts[-1] if begins and starts else 0


def _is_section(cells):
    return _SECTION.fullmatch(cells[0]) is not None and not any(cells[1:])


def _find_title(records, start):
    """Return the index of the line above if `start` is data, so that data do not become names."""
    above = [index for index in range(start) if any(records[index])]
    above = [index for index in above if not _is_comment(records[index])]
    is_data = start < len(records) and all(is_value(cell) for cell in records[start] if cell)
    return above[-1] if is_data and above else start


def _fits(cells, usual):
    # Files written by R have one name fewer than cells; a title leaves most cells empty.
    length = len(_strip_end(cells))
    return length >= usual - 1 and 2 * _count_filled(cells) >= length


def _find_names_in_comment(records, start):
    """Return the index of the comment with column names, or None if there is none."""
    if start >= len(records) or _are_names(records[start]):
        return None
    above = [index for index in range(start) if any(records[index])]
    if not above or not _is_comment(records[above[-1]]):
        return None
    names = _strip_comment(records[above[-1]])
    return above[-1] if len(names) == len(_strip_end(records[start])) and all(names) else None


def _skip_units(records, first):
    above = first
    while first < len(records) and _are_units(records[first], records[first + 1 :]):
        first += 1
    if first > above and first < len(records) and _is_index_name(records[first], records[above]):
        first += 1
    return first


def _is_index_name(cells, above):
    """Return whether a line only names the index, as pandas writes below names of two lines."""
    return bool(cells[0]) and not above[0] and _count_filled(cells) == 1 and len(cells) > 1


def _read_names(records, start, first):
    """Return the names, and the index of the upper of two lines if they are joined, or None."""
    names = tuple(records[start]) if start < len(records) else ()
    if first > start + 1:
        spread = _spread(names, records[start + 1])
        is_group = tuple(spread) != names or _are_equal(names)
        if is_group and (joined := _join_names(spread, records[start + 1])):
            return joined, start
    above = records[start - 1] if start else ["#"]
    if not _is_comment(above) and (_are_equal(names) or _completes(above, names)):
        joined = _join_names(_spread(above, names), names)
        return (joined, start - 1) if joined else (names, None)
    return names, None


def _completes(above, names):
    """Return whether a line of names above has some where the names are empty."""
    has_more = any(own and not name for own, name in zip(above, names, strict=False))
    return has_more and _are_names(above) and _count_filled(above) > 1


def _spread(cells, below):
    """Return the cells, with those left empty by a group of columns filled from the left."""
    spread: list[str] = []
    for cell, own in zip_longest(cells, below, fillvalue=""):
        spread.append(cell or (spread[-1] if own and spread else ""))
    return spread


def _join_names(above, below):
    """Return names of two lines as one, or None if they are equal or do not fit."""
    if len(above) != len(below):
        return None
    joined = tuple(" ".join(filter(None, pair)) for pair in zip(above, below, strict=True))
    return None if _are_equal(joined) else joined


def _are_equal(names):
    """Return whether some names are equal."""
    named = [name for name in names if name]
    return len(set(named)) < len(named)


def _are_units(cells, below):
    """Return whether a record has text above numeric columns, and no values."""
    cells = ["" if is_no_value(cell) else cell for cell in cells]
    if not _are_names(cells) or any(map(is_flagged, cells)):
        return False
    records = [record for record in below if not _is_comment(record)]
    columns = list(zip_longest(*records, fillvalue=""))[: len(cells)]
    pairs = [
        (cell, [other for other in column if other])
        for cell, column in zip_longest(cells, columns, fillvalue="")
    ]
    if any(cell in column for cell, column in pairs):
        return False
    return any(cell and 2 * sum(map(is_value, column)) > len(column) for cell, column in pairs)


def _describe_above(records):
    lines = [_show(cells) for cells in records if any(cells)]
    lines = [line for line in lines if not line.casefold().startswith("sep=")]
    return (f"Lines above the table left out: {len(lines)}, such as {lines[0]!r}",) if lines else ()


def _describe_units(records, start, first):
    for index in range(start, first):
        yield f"Line {index + 1} ({_show(records[index])}) was read as units and left out"


def _name_rows(records, n_names):
    lengths = {len(cells) for cells in records if any(cells) and not _is_comment(cells)}
    # Lines of one cell are notes below the table.
    return lengths - ({1} if n_names > 1 else set()) == {n_names + 1}


def _describe_end(records, n_names):
    surplus = [cells[n_names:] for cells in records if len(cells) > n_names]
    if surplus and not any(map(any, surplus)):
        yield f"Empty cells after the {n_names} named columns left out: lines end with a separator"


def _describe_short(records, n_names):
    # Lines of one cell are notes below the table, and those without values are left out.
    short = [
        cells
        for cells in records
        if 1 < len(cells) < n_names and not (_is_comment(cells) or _lacks_values(cells))
    ]
    if short:
        example = _show(short[0])
        yield f"Lines with fewer cells than names end with missing values, such as {example!r}"


def _show(cells):
    shown = ", ".join([cell for cell in cells if cell][:3])
    return f"{shown[:60]} ..." if len(cells) > 3 or len(shown) > 60 else shown


def _is_comment(cells):
    # A column may be called "#".
    return cells[0].startswith(COMMENT_MARKS) and not (cells[0] == "#" and len(cells) > 1)


def _lacks_values(cells):
    return all(is_no_value(cell) for cell in cells if cell)


def _strip_comment(cells):
    return tuple(_strip_end([cells[0].lstrip("#/! "), *cells[1:]]))


def _strip_end(cells):
    cells = list(cells)
    while len(cells) > 1 and not cells[-1]:
        cells.pop()
    return cells


def _count_filled(cells):
    return sum(map(bool, cells))


def _are_names(cells):
    return any(cells) and not any(is_value(cell) for cell in cells if cell)


def _are_values(cells):
    filled = [cell for cell in cells if cell]
    # Marks such as "-" may stand for columns without a name.
    n_values = sum(map(is_value, filled))
    return 2 * n_values >= max(len(filled), 1) and not all(map(is_no_value, filled))


def _find_width(records):
    return max(map(len, records), default=0)
