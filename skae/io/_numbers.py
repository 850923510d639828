"""Numbers written as text: decimal commas, thousands, percent, currencies, parentheses."""

import re
from dataclasses import dataclass

# What people write for a minus sign, and for the space between thousands.
_SIGNS = str.maketrans(
    {"\u2212": "-", "\u2013": "-", "\u2012": "-", "\ufe63": "-", "\uff0d": "-"}
    | dict.fromkeys("\u00a0\u202f\u2009\u2007\t", " ")
    | dict.fromkeys("\u2019\u02bc\u00b4`", "'")
)
_NO_VALUE = {"-", "--", "---", ".", "..", "...", "\u2026", "?", "*", "nan", "null", "none", "nil"}
_NO_VALUE |= {"na", "n/a", "n.a.", "n.a", "nd", "n.d.", "missing", "unknown"}
_NO_VALUE |= {"#n/a", "#div/0!", "#value!", "#ref!", "#num!", "#name?", "#null!"}
_CODES = (
    "USD|EUR|GBP|CHF|JPY|CNY|INR|AUD|CAD|SEK|NOK|DKK|PLN|CZK|HUF|BRL|ZAR|MXN|Rs\\.?|kr\\.?|z\u0142"
)
_CURRENCY = rf"(?:[A-Z]{{0,3}}[$\u00a2-\u00a5\u20a0-\u20cf]|{_CODES})"
_NUMBER = re.compile(
    rf"(?P<open>\()? *(?P<sign>[+-])? *(?P<before>{_CURRENCY})? *(?P<inner>[+-])?"
    r"(?P<body>(?=[.,]?\d)[\d., ']*?[\d.,])(?P<power>[eE][+-]?\d+)? *"
    rf"(?P<after>{_CURRENCY}|%|\u2030)? *(?P<last>-)? *(?P<close>\))?"
)
# Groups of three, the first of which does not begin with zero; in India, groups of two as well.
_POINT = re.compile(
    r"(?:\d+|[1-9]\d{0,2}(?P<mark>[, '])\d{3}(?:(?P=mark)\d{3})*|[1-9]\d?(?:,\d{2})+,\d{3})?"
    r"(?:\.\d*)?"
)
_COMMA = re.compile(r"(?:\d+|[1-9]\d{0,2}(?P<mark>[. '])\d{3}(?:(?P=mark)\d{3})*)?(?:,\d*)?")
_LOGICAL = {"true": 1.0, "false": 0.0}
# No number is written longer, and the pattern takes long to refuse long texts.
_LONGEST = 60


@dataclass(frozen=True)
class Cell:
    """A number as it is written.

    Attributes
    ----------
    body : str
        Digits, with the marks of decimals and thousands.
    power : str
        The exponent, such as "e-3", or nothing.
    is_negative : bool
        Whether a minus or parentheses stand around the digits.
    unit : str
        Percent or currency, or nothing.
    has_parentheses : bool
        Whether the minus is written as parentheses.
    """

    body: str
    power: str = ""
    is_negative: bool = False
    unit: str = ""
    has_parentheses: bool = False

    def allows(self, decimal):
        """Return whether the digits are a number with this decimal mark, "." or ","."""
        return bool((_POINT if decimal == "." else _COMMA).fullmatch(self.body))

    def is_ambiguous(self):
        """Return whether both decimal marks give a number, and different ones."""
        has_mark = "." in self.body or "," in self.body
        return has_mark and self.allows(".") and self.allows(",")

    def convert(self, decimal):
        """Return the number, given its decimal mark."""
        other = "," if decimal == "." else "."
        digits = re.sub(rf"[{other} ']", "", self.body).replace(",", ".")
        value = float(digits + self.power)
        return -value if self.is_negative else value


def read_cell(text):
    """Read a cell as a number.

    Parameters
    ----------
    text : str
        The cell.

    Returns
    -------
    cell : Cell or None
        The number as it is written, None where the text is none.

    Examples
    --------
    >>> from skae.io._numbers import read_cell
    >>> read_cell("($1,234.50)").convert(".")
    -1234.5
    >>> read_cell("1.234,5 %").convert(",")
    1234.5
    >>> read_cell("12 monkeys") is None
    True
    """
    text = text.strip()
    match = _NUMBER.fullmatch(text.translate(_SIGNS)) if len(text) <= _LONGEST else None
    if match is None:
        return None
    part = {name: value or "" for name, value in match.groupdict().items()}
    minuses = [part[name] == "-" for name in ("sign", "inner", "last")]
    is_enclosed = bool(part["open"])
    has_two_units = bool(part["before"] and part["after"])
    if is_enclosed != bool(part["close"]) or sum(minuses) + is_enclosed > 1 or has_two_units:
        return None
    cell = Cell(
        part["body"],
        part["power"],
        any(minuses) or is_enclosed,
        part["before"] or part["after"],
        is_enclosed,
    )
    return cell if cell.allows(".") or cell.allows(",") else None


def read_logical(text):
    """Return 1.0 for "True" and 0.0 for "False", in any letters, and None for other text."""
    return _LOGICAL.get(text.strip().casefold())


def is_no_value(text):
    """Return whether a cell denotes a missing value."""
    return text.strip().casefold() in _NO_VALUE


def is_value(text):
    """Return whether a cell holds a value rather than a name.

    Parameters
    ----------
    text : str
        The cell.

    Returns
    -------
    bool
        Whether it is a number, true or false, a date or another cell of digits without letters, or
        a mark of a missing value.
    """
    text = text.strip()
    has_digits = any(letter.isdigit() for letter in text)
    has_letters = any(letter.isalpha() for letter in text)
    if has_digits and not has_letters:
        return True
    return read_cell(text) is not None or read_logical(text) is not None or is_no_value(text)
