"""Errors of libraries that read files, as a ValueError with a remedy."""

from contextlib import contextmanager


@contextmanager
def explain_unreadable(path, kind, remedy, name="`path`"):
    """Turn any error of a library on a broken file, into a ValueError.

    It says that the parameter `name` is not of this `kind`, such as "a readable .csv file".
    """
    try:
        yield
    except (UnicodeDecodeError, ImportError):
        # The caller tries another encoding, or the user installs what is missing.
        raise
    # Parsers raise errors of any type on unexpected bytes.
    except Exception as error:
        message = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise ValueError(
            f"{name} must be {kind}. Got {str(path)!r}, which fails with: {message[:300]}. {remedy}"
        ) from error
