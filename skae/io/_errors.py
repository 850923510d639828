"""Errors of libraries that read files, as a ValueError with a remedy."""

from contextlib import contextmanager


@contextmanager
def explain_unreadable(path, kind, remedy):
    """Turn any error of a library on a broken file into a ValueError.

    Parameters
    ----------
    path : pathlib.Path
        Path of the file.
    kind : str
        Expected kind of file, such as "a readable .csv file".
    remedy : str
        Sentence with a remedy.

    Yields
    ------
    None
        Control passes to the code that reads the file.

    Raises
    ------
    ValueError
        Replaces all errors except UnicodeDecodeError.
    """
    try:
        yield
    except UnicodeDecodeError:
        # The caller tries another encoding.
        raise
    # Parsers raise errors of any type on unexpected bytes.
    except Exception as error:
        message = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise ValueError(
            f"`path` must be {kind}. Got {str(path)!r}, which fails with: {message[:300]}. {remedy}"
        ) from error
