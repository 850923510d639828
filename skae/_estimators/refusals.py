"""Remedies added to errors of inner estimators and of scikit-learn."""

import contextlib


@contextlib.contextmanager
def advise(about: str, remedy: str):
    """Add a remedy to the first line of each ValueError of the block whose message has `about`."""
    try:
        yield
    except ValueError as error:
        if about not in str(error):
            raise
        # Further lines of scikit-learn recommend other estimators.
        message = str(error).partition("\n")[0]
        raise ValueError(f"{message}\n{remedy}") from None
