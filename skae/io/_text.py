"""Columns of CSV and TSV files."""

import codecs
import gzip
import re
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from skae._shared.extras import import_extra
from skae._shared.unreadable import explain_unreadable
from skae.io._assembly import assemble_columns
from skae.io._doubts import describe_codes, describe_swallowed
from skae.io._layout import COMMENT_MARKS, find_layout, find_separator, split_records
from skae.io._numbers import is_value
from skae.io._sizes import check_size

# Usual separators by the ending of the file name.
_SEPARATORS = {".csv": ",", ".csv.gz": ",", ".tsv": "\t", ".tsv.gz": "\t"}
_SAMPLE_LINES = 100
# Maximum number of characters of the sample.
_SAMPLE_LENGTH = 2**21
_CHUNK = 2**20
# Each column takes about a third of a millisecond.
_MOST_COLUMNS = 1_000_000
# Encoding of spreadsheet programs that do not write UTF-8.
_OLD_ENCODING = "Windows-1252"
# Marks of missing values, in addition to those of pandas.
_MISSING = (" ", "?", "#NULL!", "#DIV/0!", "#REF!", "#VALUE!", "#NAME?", "#NUM!")
# Separators that are recognised in order to refuse them. Commas and semicolons are within quotes.
_NO_SEPARATORS = {
    "blanks": re.compile(r'"[^"]*"|[^\s"]+'),
    "several blanks": re.compile(r"\S+(?: \S+)*"),
    **{repr(mark): re.compile(f"[^\\{mark}]+") for mark in ",;:^~\u00a7\u00a6\u00ac\uff0c"},
}
# First cells in tables printed by Stata, and the rules between its lines.
_IN_FRAME = re.compile(r"(\d+\.)?|-+")
# Beginnings of files of other kinds, such as pages with the error message of a failed download.
_OTHER_FILES = {
    "HTML or XML": re.compile(r"\s*<(!doctype|html|\?xml|!--)", re.IGNORECASE),
    "JSON": re.compile(r"""\s*(\{\s*("|\})|\[\s*[{\[])"""),
    "a pointer of Git LFS": re.compile("version https://git-lfs"),
    "a printed table": re.compile("(.*\n)?\\s*[\u250c\u250f\u2554\u256d]"),
    "a file of Matrix Market": re.compile("%%MatrixMarket", re.IGNORECASE),
    "ARFF": re.compile(r"\s*(%.*\n\s*)*@relation\b", re.IGNORECASE),
}
# All but tabs, ends of lines and pages, and the end of files of DOS.
_CONTROL = re.compile("[\x00-\x08\x0e-\x19\x1b-\x1f]")
_REMEDY = "Check that its ending matches its content."

TEXT_SUFFIXES = tuple(_SEPARATORS)


def read_text_columns(path, suffix, has_names):
    """Return the columns of a text file, and remarks on encoding, separator, layout and notation.

    Numbers in any notation are converted. An ambiguous file is refused.
    """
    import_extra("pandas", "table", "read_table")
    if suffix.endswith(".gz"):
        for size in _unpack(path, suffix):
            check_size(path, size, "Unpack it if this is correct.")
    try:
        return _read(path, suffix, has_names, _find_encoding(path))
    except UnicodeDecodeError:
        pass
    try:
        columns, remarks = _read(path, suffix, has_names, _OLD_ENCODING)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"`path` must be a readable {suffix} file. Got {str(path)!r}, which is text neither in "
            f"UTF-8 nor in {_OLD_ENCODING}. {_REMEDY} Save text in another encoding as UTF-8."
        ) from error
    return columns, [f"The text is not UTF-8 and was read as {_OLD_ENCODING}", *remarks]


def _unpack(path, suffix):
    """Unpack a file without keeping its content, and yield the size so far."""
    size = 0
    kind = f"a readable {suffix} file"
    with explain_unreadable(path, kind, _REMEDY), gzip.open(path) as file:
        while chunk := file.read(_CHUNK):
            size += len(chunk)
            yield size


def _read(path, suffix, has_names, encoding):
    usual = _SEPARATORS[suffix]
    text, is_whole = _read_sample(path, suffix, encoding)
    _refuse_other_files(text, path, suffix)
    separator = find_separator(text, usual)
    records = list(split_records(text, separator))
    if not is_whole and len(records) > 1:
        # The sample may end within a cell.
        records.pop()
    cells = [cells for cells, _ in records]
    if not any(map(any, cells)):
        raise ValueError(
            f"`path` must be a readable {suffix} file. Got {str(path)!r}, which is empty: "
            f"No columns to read. {_REMEDY}"
        )
    if (n_columns := max(map(len, cells))) > _MOST_COLUMNS:
        raise ValueError(
            f"`path` must have at most {_MOST_COLUMNS:,} columns. Got {n_columns:,} in "
            f"{str(path)!r}. Write its numbers by numpy.savez, or check the ends of its lines."
        )
    layout = find_layout(cells, has_names)
    _refuse_separators(cells, path)
    ends = [0, *(end for _, end in records)]
    start = ends[layout.first]
    quotes = [text[end] == '"' for end in ends[layout.first : -1]]
    layout = replace(layout, quotes_first=2 * sum(quotes) > len(quotes))
    # One more column detects lines that are longer than those of the sample.
    width = max(layout.width, len(layout.names or ())) + 1
    source = _Source(path, encoding, separator, text.count("\n", 0, start), width)
    remarks = [] if separator == usual else [f"Columns are separated by {_show(separator)}"]
    with explain_unreadable(path, f"a readable {suffix} file", _REMEDY):
        frame = source.read()
    columns, found = assemble_columns(frame, layout, path, separator, source.read)
    doubts = [
        *describe_codes(cells[layout.first :], columns),
        *describe_swallowed(columns, separator),
    ]
    return columns, [*remarks, *layout.remarks, *found, *doubts]


@dataclass(frozen=True)
class _Source:
    """Data of a text file, below the names."""

    path: Path
    encoding: str
    separator: str
    first_line: int
    width: int

    def read(self, texts=()):
        """Return the cells as a DataFrame with columns numbered from 0, of text if in `texts`."""
        pandas = import_extra("pandas", "table", "read_table")
        with _open(self.path, "rt", self.encoding) as file:
            for _ in range(self.first_line):
                next(file)
            try:
                return pandas.read_csv(
                    file,
                    sep=self.separator,
                    header=None,
                    names=range(self.width),
                    index_col=False,
                    skipinitialspace=True,
                    na_values=list(_MISSING),
                    low_memory=False,
                    dtype=dict.fromkeys(texts, str),
                )
            except pandas.errors.EmptyDataError:
                if not self.first_line:
                    raise
                return pandas.DataFrame(columns=range(self.width))
            except pandas.errors.ParserError as error:
                raise ValueError(self._count_cells(str(error))) from error

    def _count_cells(self, message):
        """Return the error message of pandas with the number of the line in the file."""
        if found := re.search(r"EOF inside string starting at row (\d+)", message):
            return f"the quotation mark in row {int(found[1]) + 1} of the data is never closed"
        found = re.search(r"Expected \d+ fields in line (\d+), saw (\d+)", message)
        if found is None:
            return message
        line = self.first_line + int(found[1])
        return (
            f"line {line} has {found[2]} cells, more than the lines above. Put cells that contain "
            "the separator in quotes"
        )


def _open(path, mode, encoding=None):
    opened = gzip.open if path.name.lower().endswith(".gz") else open
    return opened(path, mode, encoding=encoding)


def _find_encoding(path):
    with _open(path, "rb") as file:
        head = file.read(1000)
    if head[:4] in (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE):
        return "utf-32"
    if head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "utf-16"
    # UTF-16 without a byte order mark is recognised by the zero bytes of ASCII letters.
    for start, encoding in enumerate(("utf-16-be", "utf-16-le")):
        if 2 * head[start::2].count(0) > len(head[start::2]):
            return encoding
    return "utf-8-sig"


def _read_sample(path, suffix, encoding):
    """Return the first lines, and whether they are the whole file."""
    lines: list[str] = []
    length = 0
    with (
        explain_unreadable(path, f"a readable {suffix} file", _REMEDY),
        _open(path, "rt", encoding) as file,
    ):
        for line in file:
            if len(lines) >= _SAMPLE_LINES or length > _SAMPLE_LENGTH:
                return "".join(lines), False
            lines.append(line)
            length += len(line)
    return "".join(lines), True


def _refuse_separators(records, path):
    """Raise an error for lines of one cell that another separator splits into equally many.

    Cells may be in a frame, beside row numbers such as "1.".
    """
    records = [cells for cells in records if any(cells) and not cells[0].startswith(COMMENT_MARKS)]
    if all(len(cells) == 3 and _IN_FRAME.fullmatch(cells[0]) and not cells[2] for cells in records):
        records = [cells[1:2] for cells in records if not _IN_FRAME.fullmatch(cells[1])]
    lines = [cells[0] for cells in records]
    if len(lines) < 2 or any(len(cells) > 1 for cells in records):
        return
    for name, cell in _NO_SEPARATORS.items():
        if _are_tables([cell.findall(line) for line in lines]):
            raise ValueError(
                f"`path` must have columns separated by commas, semicolons, tabs or vertical bars. "
                f"Got {str(path)!r} with the names {lines[0][:60]}, which seem to be separated by "
                f"{name}. Save it with commas between cells, and without quotes around lines."
            )


def _are_tables(records):
    """Return whether all records have equally many cells, or most of those with numbers do.

    The first may have one fewer, as in files written by R.
    """
    first, *others = records
    counts = Counter(map(len, others))
    length, n_usual = counts.most_common(1)[0]
    if length < 2:
        return False
    usual = [cells for cells in others if len(cells) == length]
    has_quotes = all(cells[0].startswith('"') for cells in usual)
    shortest = length - 1 if length > 2 or has_quotes else length
    if not shortest <= len(first) <= length:
        return False
    columns = list(zip(*usual, strict=True))[1:]
    n_values = [sum(is_value(cell.strip('"')) for cell in column) for column in columns]
    has_numbers = 3 * max(n_values, default=0) >= 2 * len(usual)
    is_equal = n_usual == len(others) and len(first) == length
    return is_equal or (has_numbers and 3 * n_usual >= 2 * len(others))


def _refuse_other_files(text, path, suffix):
    """Raise an error for a file that begins like one of another kind."""
    control = _CONTROL.search(text.partition("\n")[0])
    found = [f"seems to be {kind}" for kind, own in _OTHER_FILES.items() if own.match(text)]
    if control is not None:
        found = [f"starts with the control character {control[0]!r} and is not text"]
    if found:
        raise ValueError(
            f"`path` must be a readable {suffix} file. Got {str(path)!r}, which {found[0]}. "
            f"{_REMEDY}"
        )


def _show(separator):
    return "tabs" if separator == "\t" else repr(separator)
