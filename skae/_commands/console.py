"""Text that is safe to print at a terminal."""

import sys
import unicodedata


def make_plain(text):
    """Return text without terminal control characters, which files may contain."""
    # Without a standard output, as in services, it is None.
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    shown = "".join(letter if letter.isprintable() else _escape(letter) for letter in text)
    return shown.encode(encoding, "backslashreplace").decode(encoding)


def _escape(letter):
    is_space = unicodedata.category(letter) == "Zs"
    return " " if is_space else letter.encode("unicode_escape").decode("ascii")
