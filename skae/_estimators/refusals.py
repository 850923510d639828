"""Errors of inner estimators and of scikit-learn, with a remedy that the outer one knows."""

import contextlib


@contextlib.contextmanager
def advise(about: str, remedy: str):
    """Add a remedy to the first line of errors about something.

    Parameters
    ----------
    about : str
        Part of the message of the errors to add to.
    remedy : str
        Sentences to add.

    Raises
    ------
    ValueError
        The error of the block, with the remedy if the message is about that.
    """
    try:
        yield
    except ValueError as error:
        if about not in str(error):
            raise
        # Further lines of scikit-learn recommend other estimators.
        message = str(error).partition("\n")[0]
        raise ValueError(f"{message}\n{remedy}") from None
