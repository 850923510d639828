"""Remedies added to errors of inner estimators and of scikit-learn."""

import contextlib


@contextlib.contextmanager
def advise(about: str, remedy: str):
    """Context that adds a remedy to the first line of certain errors.

    Parameters
    ----------
    about : str
        Text that identifies the errors by their message.
    remedy : str
        Sentences to add.

    Raises
    ------
    ValueError
        The error of the block, with the remedy if its message matches.
    """
    try:
        yield
    except ValueError as error:
        if about not in str(error):
            raise
        # Further lines of scikit-learn recommend other estimators.
        message = str(error).partition("\n")[0]
        raise ValueError(f"{message}\n{remedy}") from None
