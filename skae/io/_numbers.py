"""Numbers written as text: decimal commas, thousands, percent, currencies, parentheses."""

import re
from dataclasses import dataclass

# Variants of the minus sign, of spaces and apostrophes between thousands, and of other marks.
_SIGNS = str.maketrans(
    {"\u2212": "-", "\u2013": "-", "\u2012": "-", "\ufe63": "-", "\uff0d": "-"}
    | dict.fromkeys("\u00a0\u202f\u2009\u2007\t", " ")
    | dict.fromkeys("\u2019\u02bc\u00b4`", "'")
    # Marks without width, and the decimal mark of Arabic.
    | dict.fromkeys("\u200b\u200e\u200f\u202a\u202c\u202d\ufeff", "")
    | {"\u066b": "."}
)
_NO_VALUE = {"", "\u2026", "?", ":", "nan", "null", "(null)", "none", "nil", "\\n", "-nan(ind)"}
_NO_VALUE |= {"na", "n/a", "n.a.", "n.a", "nd", "n.d.", "k.a.", "missing", "unknown"}
# Dashes, which may be a rule below the names, frames, points, .A to .Z of SAS and Stata, and errors
# of spreadsheets in any language. Fortran writes numbers that do not fit as asterisks.
_MARK = re.compile(
    r":?[-\u2013\u2014]+:?|={3,}|\+?([-=]{2,}\+)+[-=]*|\.+|\.[a-z]|\*+|#n/?[abdv]( .*)?"
    r"|#\S{1,15}[!?]"
)
_CODES = (
    "USD|EUR|GBP|CHF|JPY|CNY|INR|AUD|CAD|SEK|NOK|DKK|PLN|CZK|HUF|BRL|ZAR|MXN|Rs\\.?|kr\\.?|z\u0142"
)
_CURRENCY = rf"(?:[A-Z]{{0,3}}[$\u00a2-\u00a5\u20a0-\u20cf]|{_CODES})"
_NUMBER = re.compile(
    rf"(?P<open>\()? *(?P<sign>[+-])? *(?P<before>{_CURRENCY}|%)? *(?P<inner>[+(-])? *"
    r"(?P<body>(?=[.,]?\d)[\d., ']*?[\d.,])"
    # 1.5e3, 1.5D+03 as written by Fortran, or 1.5 x 10^3.
    r"(?P<power>(?:[eE]|[dD](?=[+-])| ?[\u00d7x*] ?10\^)[+-]?\d+)? *"
    rf"(?P<after>{_CURRENCY}|%|\u2030)? *(?P<last>-)? *(?P<close>\))?"
)
# Accounting formats show a zero as a dash beside the currency.
_ZERO = re.compile(rf"(?P<before>{_CURRENCY}) *-|- *(?P<after>{_CURRENCY})")
# Groups of three digits, the first without a leading zero; or of two digits, as in India.
_POINT = re.compile(
    r"(?:\d+|[1-9]\d{0,2}(?P<mark>[, '])\d{3}(?:(?P=mark)\d{3})*|[1-9]\d?(?:,\d{2})+,\d{3})?"
    r"(?:\.\d*)?"
)
_COMMA = re.compile(r"(?:\d+|[1-9]\d{0,2}(?P<mark>[. '])\d{3}(?:(?P=mark)\d{3})*)?(?:,\d*)?")
# Numbers below or above a limit, and with flags of statistical offices.
_FLAGGED = re.compile(
    r"[<>~\u2264\u2265\u2248]=? *[-+]?\d[\d.,]*|[-+]?\d[\d.,]* ?([bepruz]|\*+)", re.IGNORECASE
)
_EXPONENT = re.compile(r"[+-]?\d+$")
_LOGICAL = {"true": 1.0, "false": 0.0}
# As spreadsheet programs write them in other languages; "Vero" is a name as well.
_TRUE = ("WAHR", "VRAI", "VERDADERO", "VERDADEIRO", "VERO", "WAAR", "PRAWDA")
_FALSE = ("FALSCH", "FAUX", "FALSO", "ONWAAR", "FA\u0141SZ")
_LOCAL = dict.fromkeys(_TRUE, 1.0) | dict.fromkeys(_FALSE, 0.0)
# Longer texts are not numbers, and take long to match.
_LONGEST = 60


@dataclass(frozen=True)
class Cell:
    """Number as written in a cell.

    `body` has the digits, with decimal mark and thousands separators, `power` an exponent, such as
    "e-3" or "x10^-3", and `unit` a percent sign or a currency. A number in parentheses is negative.
    """

    body: str
    power: str = ""
    is_negative: bool = False
    unit: str = ""
    has_parentheses: bool = False

    def allows(self, decimal):
        """Return whether the digits are a number with the decimal mark "." or ","."""
        return bool((_POINT if decimal == "." else _COMMA).fullmatch(self.body))

    def is_ambiguous(self):
        """Return whether the decimal marks "." and "," give two different numbers."""
        has_mark = "." in self.body or "," in self.body
        return has_mark and self.allows(".") and self.allows(",")

    def convert(self, decimal):
        """Return the number, given its decimal mark."""
        other = "," if decimal == "." else "."
        digits = re.sub(rf"[{other} ']", "", self.body).replace(",", ".")
        value = float(f"{digits}e{_EXPONENT.findall(self.power)[0]}" if self.power else digits)
        return -value if self.is_negative else value


def read_cell(text):
    """Return the number in a cell as it is written, or None for other text.

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
    text = text.translate(_SIGNS) if len(text) <= _LONGEST else ""
    if zero := _ZERO.fullmatch(text):
        return Cell("0", unit=zero["before"] or zero["after"])
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    part = {name: value or "" for name, value in match.groupdict().items()}
    minuses = [part[name] == "-" for name in ("sign", "inner", "last")]
    is_enclosed = "(" in (part["open"], part["inner"])
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
    """Return 1.0 for "true" or "WAHR", 0.0 for "false" or "FALSCH", and None for other text."""
    text = text.strip()
    return _LOGICAL.get(text.casefold(), _LOCAL.get(text))


def is_no_value(text):
    """Return whether a cell denotes a missing value."""
    text = text.strip().casefold()
    return text in _NO_VALUE or _MARK.fullmatch(text) is not None


def is_flagged(text):
    """Return whether a cell is a number with a mark such as "<", or a flag such as "p"."""
    return _FLAGGED.fullmatch(text.strip()) is not None


def is_value(text):
    """Return whether a cell is a value rather than a name.

    Values are numbers, booleans, dates and other text with digits and without letters, and marks of
    missing values.
    """
    text = text.strip()
    has_digits = any(letter.isdigit() for letter in text)
    has_letters = any(letter.isalpha() for letter in text)
    if has_digits and not has_letters:
        return True
    return read_cell(text) is not None or read_logical(text) is not None or is_no_value(text)
