"""Errors of libraries that read files, in words of our own."""

from contextlib import contextmanager


@contextmanager
def explain_unreadable(path, kind, remedy):
    """Turn whatever a library raises on a broken file into a ValueError of one sentence.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    kind : str
        Kind of file that is expected, such as "a readable .csv file".
    remedy : str
        Sentence that says what to do.

    Yields
    ------
    None
        To the lines that read.

    Raises
    ------
    ValueError
        In place of any other error but UnicodeDecodeError.
    """
    try:
        yield
    except UnicodeDecodeError:
        # Another encoding is tried.
        raise
    # Parsers meet bytes that nobody thought of, and then raise errors of any type.
    except Exception as error:
        said = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise ValueError(
            f"`path` must be {kind}. Got {str(path)!r}, where reading ends with: "
            f"{said[:300]}. {remedy}"
        ) from error
