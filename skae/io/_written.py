"""Columns of numbers written as text: their decimal marks and values."""

import re
from dataclasses import replace
from functools import cached_property

import numpy as np

from skae.io._numbers import is_no_value, read_cell, read_logical

# Number of distinct cells that are examined to decide whether a column has numbers.
_N_TRIED = 200
# Largest number of units that one column may have, and the longest text of a number with one.
_FEW, _LONGEST = 4, 100
_UNIT = re.compile(r"(?<=[\d.,])(?P<blank> *)(?P<unit>(?:[^\W\d_]|\u00b0)[^\d.,]*)$")
# Words after hours and days, which are times and dates, though a column may have one word alone.
_NO_UNIT = re.compile(
    r"[ap]\.?m\.?|(jan|feb|mar|apr|may|jun|jul|aug|sept?|oct|nov|dec)\.?|january|february|march|april"
    r"|june|july|august|september|october|november|december",
    re.IGNORECASE,
)
# Internet addresses, of numbers up to 255; their points do not separate thousands.
_ADDRESS = re.compile(r"(25[0-5]|2[0-4]\d|1?\d?\d)(\.(25[0-5]|2[0-4]\d|1?\d?\d)){3}")
_AMBIGUOUS = (
    "points or commas before three digits, which are decimals or thousands: the file has both"
)


class WrittenColumn:
    """Column of text that may be numbers. Cells may be missing.

    `problem` is the reason why the column is not numeric, or an empty string. `is_nearly_numeric`
    tells whether there is a problem but more than half of the cells are numbers.
    """

    def __init__(self, values):
        self._values = values.astype("object").map(_write, na_action="ignore")
        self._counts = self._values.value_counts()
        self._read()
        self.is_nearly_numeric = False
        self.problem = self._find_problem()

    def _read(self):
        texts = list(self._counts.index)
        present = [text for text in texts if not is_no_value(text)]
        tried = present[:_N_TRIED]
        self._logical = {}
        self._cells = {}
        self._suffix = ""
        if present and all(read_logical(text) is not None for text in tried):
            self._logical = {text: read_logical(text) for text in texts}
        elif any(map(read_cell, tried)) and not all(map(_ADDRESS.fullmatch, tried)):
            self._cells = {text: read_cell(text) for text in texts}
        elif suffix := _find_suffix(present):
            self._suffix = suffix
            self._cells = {text: read_cell(text.strip().removesuffix(suffix)) for text in texts}
        self._numbers = [cell for cell in self._cells.values() if cell is not None]

    def _find_problem(self):
        if self._logical:
            none = [text for text, value in self._logical.items() if value is None]
            return self._describe_odd([text for text in none if not is_no_value(text)])
        odd = [t for t, cell in self._cells.items() if cell is None and not is_no_value(t)]
        if (odd or not self._numbers) and (shown := _show_units(self._counts.index)):
            self.is_nearly_numeric = True
            return f"numeric in more than one unit, such as {shown}"
        if not self._numbers:
            examples = [repr(_shorten(text)) for text in self._counts.index[:1]]
            return ", such as ".join(["text", *examples])
        return self._describe_odd(odd) or self._find_mixture()

    def _describe_odd(self, texts):
        if not texts:
            return ""
        n_odd = int(self._counts[texts].sum())
        self.is_nearly_numeric = n_odd < self._counts.sum() / 2
        examples = ", ".join(repr(_shorten(text)) for text in texts[:3])
        if self.is_nearly_numeric:
            cells = "cell" if n_odd == 1 else "cells"
            return f"numeric but for {n_odd} {cells}, such as {examples}"
        return f"not numeric in {n_odd} of {self._counts.sum()} cells, such as {examples}"

    def _find_mixture(self):
        units = {cell.unit for cell in self._numbers}
        self.is_nearly_numeric = True
        # A currency is often left out in some cells, but a percent sign changes the quantity.
        if len(units - {""}) > 1 or (units & {"%", "\u2030"} and "" in units):
            return f"numeric in more than one unit, such as {self._show_mixture()}"
        if not (self._allows(".") or self._allows(",")):
            return "numeric with decimal points in some cells and decimal commas in others"
        self.is_nearly_numeric = False
        return ""

    def _show_mixture(self):
        shown = {cell.unit: text for text, cell in self._cells.items() if cell is not None}
        return " and ".join(map(repr, list(shown.values())[:2]))

    def _allows(self, decimal):
        return all(cell.allows(decimal) for cell in self._numbers)

    @property
    def is_logical(self):
        """Whether the cells are booleans."""
        return bool(self._logical)

    @cached_property
    def decimal(self):
        """Decimal mark that the cells prove, "." or ","; None if either is possible."""
        point, comma = self._allows("."), self._allows(",")
        return None if point == comma else "." if point else ","

    @cached_property
    def is_ambiguous(self):
        """Whether the numbers depend on the decimal mark, which is not proven."""
        return self.decimal is None and any(cell.is_ambiguous() for cell in self._numbers)

    @property
    def has_commas(self):
        """Whether the numbers contain commas."""
        return any("," in cell.body for cell in self._numbers)

    def strip(self):
        """Return the text without surrounding blanks."""
        return self._values.map(str.strip, na_action="ignore")

    def convert(self, decimal):
        """Return the numbers as a Series of float64, for a decimal mark."""
        decimal = self.decimal or decimal
        numbers = self._logical or {
            text: np.nan if cell is None else cell.convert(decimal)
            for text, cell in self._cells.items()
        }
        return self._values.map(numbers).astype(np.float64)

    def list_habits(self, decimal):
        """Yield descriptions of notation other than digits and a decimal point."""
        decimal = self.decimal or decimal
        bodies = [cell.body for cell in self._numbers]
        if decimal == "," and any("," in body for body in bodies):
            yield "Decimal commas"
        marks = ({",", ".", " ", "'"} - {decimal}) & set("".join(bodies))
        if marks:
            yield "Thousands separators"
        units = {cell.unit for cell in self._numbers} - {""}
        if units:
            is_percent = bool(units & {"%", "\u2030"})
            yield "Percent signs, ignored," if is_percent else "Currency"
        if self._suffix:
            yield f"Unit {self._suffix!r}, ignored,"
        if any(cell.has_parentheses for cell in self._numbers):
            yield "Parentheses for minus signs"
        if any(value is None for value in (self._logical or self._cells).values()):
            yield "Marks of missing values"


def choose_decimal(columns, separator):
    """Choose the decimal mark of columns that allow either.

    Return the mark that other columns prove, or None if they prove both. Without a proof, return a
    comma if ambiguous numbers contain commas and the separator is not a comma, else a point.
    """
    proofs = {column.decimal for column in columns} - {None}
    if len(proofs) > 1:
        return None
    if proofs:
        return proofs.pop()
    has_commas = any(column.has_commas for column in columns if column.is_ambiguous)
    return "," if separator != "," and has_commas else "."


def read_written_columns(columns, separator, read_as_text=None):
    """Convert columns of text that are numbers, and return all columns with remarks.

    Text that is not numbers has a reason. `read_as_text` reads columns with given indices as text:
    it is called for those that were read with decimal points while others have decimal commas.
    """
    written = {
        index: WrittenColumn(column.values)
        for index, column in enumerate(columns)
        if is_text(column.values)
    }
    doubtful = _list_doubtful(columns, written, separator)
    if read_as_text is not None and doubtful:
        texts = read_as_text(doubtful)
        # Selects the rows that remain after removing comments and empty lines.
        again = {i: WrittenColumn(texts[i].loc[columns[i].values.index]) for i in doubtful}
        # A column with a word for infinity is numeric for pandas, but a problem here.
        written |= {index: column for index, column in again.items() if not column.problem}
    numeric = {index: column for index, column in written.items() if not column.problem}
    decimal = choose_decimal(list(numeric.values()), separator)
    columns = list(columns)
    for index, column in written.items():
        columns[index] = _convert(columns[index], column, decimal)
    names = [column.name for column in columns]
    return columns, [
        *_describe_habits(numeric, names, decimal),
        *_describe_doubts(numeric, names, decimal, separator),
        *_describe_nearly(written, names),
    ]


def is_text(values):
    """Return whether a column has cells of text."""
    return values.dtype.kind == "O" and any(isinstance(value, str) for value in values.dropna())


def is_written_numbers(values):
    """Return whether all cells of a column of text are numbers or booleans."""
    return not WrittenColumn(values).problem


def _list_doubtful(columns, written, separator):
    """Return the indices of columns whose decimal points may be thousands separators."""
    floats = [index for index, column in enumerate(columns) if column.values.dtype.kind == "f"]
    if any(column.has_commas for column in written.values()):
        return floats
    may_be = [_may_be_thousands(columns[index].values.to_numpy()) for index in floats]
    # One column without groups of three decimals proves that points are decimal.
    return floats if separator != "," and all(may_be) else []


def _may_be_thousands(values):
    values = values[np.isfinite(values)]
    thousandths = values * 1000
    is_whole = np.isclose(thousandths, np.round(thousandths), rtol=1e-12, atol=1e-6).all()
    return bool(is_whole and (np.abs(values) >= 1).all())


def _convert(column, written, decimal):
    if written.problem:
        values = written.strip()
        return replace(column, values=values, reason=written.problem, words=values)
    if decimal is None and written.is_ambiguous:
        return column.leave_out(_AMBIGUOUS)
    values = written.convert(decimal)
    words = values.astype("boolean") if written.is_logical else None
    return replace(column, values=values, words=words)


def _describe_habits(numeric, names, decimal):
    habits: dict[str, list[str]] = {}
    for index, column in sorted(numeric.items()):
        is_read = decimal is not None or not column.is_ambiguous
        for habit in column.list_habits(decimal) if is_read else ():
            habits.setdefault(habit, []).append(names[index])
    for habit, found in habits.items():
        yield f"{habit} in {', '.join(found)}"


def _describe_doubts(numeric, names, decimal, separator):
    """Yield a remark if the decimal mark is a guess."""
    doubtful = [names[index] for index, c in sorted(numeric.items()) if c.is_ambiguous]
    is_proven = any(column.decimal is not None for column in numeric.values())
    if doubtful and decimal is not None and not is_proven and separator != ",":
        mark = "Commas" if decimal == "," else "Points"
        yield f"{mark} were read as decimal marks, not thousands, in {', '.join(doubtful)}"


def _describe_nearly(written, names):
    for index, column in sorted(written.items()):
        if column.is_nearly_numeric:
            yield f"Column {names[index]} is {column.problem}"


def _find_suffix(texts):
    """Return a unit that follows the number in all of several texts, or an empty string."""
    units = {_find_unit(text) for text in texts[:2]}
    unit = units.pop() if len(texts) > 1 and len(units) == 1 else None
    return unit if unit and all(_find_unit(text) == unit for text in texts) else ""


def _show_units(texts):
    """Return two texts if all are numbers in a few different units, else an empty string."""
    shown: dict[str, str] = {}
    for text in [text for text in texts if not is_no_value(text)][:_N_TRIED]:
        unit = _find_unit(text)
        # "12 Main St" is an address.
        if unit is None or " " in unit:
            return ""
        shown.setdefault(unit, text)
    return " and ".join(map(repr, list(shown.values())[:2])) if 1 < len(shown) <= _FEW else ""


def _find_unit(text):
    """Return the unit behind a number, an empty string without one, or None for other text."""
    text = text.strip()
    if (cell := read_cell(text)) is not None:
        return cell.unit
    found = _UNIT.search(text) if len(text) <= _LONGEST else None
    if found is None or _NO_UNIT.fullmatch(found["unit"]):
        return None
    # "12A" is no number of amperes.
    is_unit = bool(found["blank"]) or re.fullmatch("[A-Z]+", found["unit"]) is None
    is_number = read_cell(text.removesuffix(found["unit"])) is not None
    return found["unit"] if is_unit and is_number else None


def _write(value):
    """Return a cell as text. A sheet may have numbers beside text."""
    text = str(value)
    # A further digit keeps three decimals from looking like thousands.
    return f"{text}0" if isinstance(value, float) and "e" not in text else text


def _shorten(text):
    return text if len(text) <= 40 else f"{text[:37]}..."
