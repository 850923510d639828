"""Tables from text files: how their columns are separated, and how numbers are written."""

import codecs
import csv
import gzip
from itertools import islice

import numpy as np

# A name's own separator, and in which order others are tried. A semicolon, a tab or a bar in the
# same number in all lines is hardly part of what cells hold; a comma may be one of decimals.
_SEPARATORS = {".csv": ",", ".csv.gz": ",", ".tsv": "\t", ".tsv.gz": "\t"}
_TRIED = (";", "\t", "|", ",")
_SAMPLE_LINES = 50
# What spreadsheets write where they do not write UTF-8; it differs in letters that are not English.
_OLD_ENCODING = "Windows-1252"
# Programs write these where a value is missing; pandas knows others.
_MISSING = (" ", "?")
_DECIMAL_COMMA = r"\s*[+-]?(?:\d+|\d{1,3}(?:\.\d{3})+)(?:,\d+)?(?:[eE][+-]?\d+)?\s*"

TEXT_SUFFIXES = tuple(_SEPARATORS)


def read_text_frame(pandas, path, suffix):
    """Read a text file as a DataFrame.

    Parameters
    ----------
    pandas : module
        pandas.
    path : pathlib.Path
        The file.
    suffix : {".csv", ".csv.gz", ".tsv", ".tsv.gz"}
        How its name ends.

    Returns
    -------
    frame : pandas.DataFrame
        The table, numbers with decimal commas among them read as numbers.
    remarks : list of str
        What was not as the file's name says, in sentences.
    """
    encoding = _find_encoding(path)
    separator = _find_separator(path, _SEPARATORS[suffix], encoding)
    options = {"sep": separator, "na_values": list(_MISSING)}
    remarks = []
    try:
        frame = pandas.read_csv(path, encoding=encoding, **options)
    except UnicodeDecodeError:
        frame = pandas.read_csv(path, encoding=_OLD_ENCODING, **options)
        remarks.append(f"The text is no UTF-8 and was taken for {_OLD_ENCODING}")
    if separator != _SEPARATORS[suffix]:
        shown = "tabs" if separator == "\t" else repr(separator)
        remarks.append(f"Columns are separated by {shown}")
    if separator != "," and (names := _read_decimal_commas(frame)):
        remarks.append(f"Decimal commas in {', '.join(map(str, names))}")
    if _is_number_line(frame.columns):
        first = ", ".join(map(str, frame.columns[:3]))
        remarks.append(
            f"The first line ({first} ...) was taken for names: if it is data, put names above it"
        )
    return frame, [*remarks, *_find_spoilt_numbers(pandas, frame)]


def _open(path, mode, **options):
    opened = gzip.open if path.name.lower().endswith(".gz") else open
    return opened(path, mode, **options)


def _find_encoding(path):
    with _open(path, "rb") as file:
        is_utf16 = file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    return "utf-16" if is_utf16 else "utf-8"


def _find_separator(path, usual, encoding):
    """Return what cuts the first lines into equally many cells, at least two."""
    with _open(path, "rt", encoding=encoding, errors="replace", newline="") as file:
        lines = [line for line in islice(file, _SAMPLE_LINES) if line.strip()]
    for separator in (usual, *_TRIED) if usual != "," else _TRIED:
        n_cells = {len(cells) for cells in csv.reader(lines, delimiter=separator)}
        if len(n_cells) == 1 and n_cells.pop() > 1:
            return separator
    return usual


def _list_text_columns(frame):
    return [name for name in frame.columns if frame[name].dtype.kind == "O"]


def _read_decimal_commas(frame):
    """Make numbers of the text columns that hold such with commas; return their names."""
    names = []
    for name in _list_text_columns(frame):
        column = frame[name]
        texts = column.dropna().astype(str)
        if not texts.str.fullmatch(_DECIMAL_COMMA).all() or not texts.str.contains(",").any():
            continue
        plain = texts.str.replace(".", "", regex=False).str.replace(",", ".", regex=False)
        frame[name] = plain.astype(np.float64).reindex(column.index)
        names.append(name)
    return names


def _find_spoilt_numbers(pandas, frame):
    """Yield what keeps columns of numbers from being such."""
    for name in _list_text_columns(frame):
        column = frame[name].dropna()
        odd = column[pandas.to_numeric(column, errors="coerce").isna()]
        if 0 < len(odd) < len(column) / 2:
            values = ", ".join(map(repr, odd.unique()[:3].tolist()))
            yield f"Column {name} is numeric but for {len(odd)} cells, such as {values}"


def _is_number_line(names):
    try:
        return len([float(name) for name in map(str, names)]) > 1
    except ValueError:
        return False
