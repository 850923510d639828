"""Results of one method, and their formatting in a table."""

from dataclasses import dataclass

_WIDTHS = (5, 11, 13, 8, 13, 8, 11, 8, 8)


@dataclass(frozen=True)
class MethodResult:
    """Results of one method with one number of codes.

    Attributes
    ----------
    n_components : int
        Number of codes.
    method : {"PCA", "FAMD", "autoencoder"}
        Name of the method.
    squared_error : float
        Mean squared error of the held-out rows per cell, in units of X squared (of standard
        deviations squared, if columns were standardized). For data frames with columns of several
        kinds, the mean loss per cell in units of the baselines of the columns.
    error_ratio : float
        `squared_error` divided by that of PCA with the same number of codes. Below 1 is better than
        PCA.
    explained_variance : float
        Share of the variance of the held-out rows about the training mean that is reconstructed; at
        most 1. For data frames with columns of several kinds, the share of the baselines' loss
        that is saved.
    downstream_score : float or None
        Score on the held-out rows of a model that predicts `y` from the codes. None without `y`.
    fit_seconds : float
        Time to fit, in seconds.
    transform_seconds : float
        Time to compute the codes of all held-out rows, in seconds.
    nats : float or None, default=None
        Mean negative log-likelihood of the held-out cells in nats, for data frames with columns of
        several kinds; None for other tables. Densities of standardised numbers may exceed 1, so it
        may be negative, and differences between methods count.

    Examples
    --------
    >>> from skae.comparison import MethodResult
    >>> MethodResult(2, "PCA", 0.5, 1.0, 0.75, 0.9, 0.01, 0.001).explained_variance
    0.75
    """

    n_components: int
    method: str
    squared_error: float
    error_ratio: float
    explained_variance: float
    downstream_score: float | None
    fit_seconds: float
    transform_seconds: float
    nats: float | None = None


def format_sizes(comparison):
    """Return a text with the numbers of rows and columns."""
    n_missing = comparison.n_missing
    missing = f", {n_missing} missing cell{'s' * (n_missing > 1)}" if n_missing else ""
    return (
        f"{comparison.n_train} rows to fit on, {comparison.n_test} held out, "
        f"{comparison.n_features} columns{missing}"
    )


def describe_dropped(reasons):
    """Return a line of text for each reason why columns are left out, with their names."""
    names: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        names.setdefault(reason, []).append(name)
    return [
        f"{'Columns' if len(group) > 1 else 'Column'} left out ({reason}): {', '.join(group)}"
        for reason, group in names.items()
    ]


def format_header(score_name, reference="PCA"):
    """Return the line of headings of the text table."""
    return align(list_headings(score_name, reference))


def format_place(n_components, method):
    """Return the first cells of a line, which are known before the fit."""
    return align((str(n_components), method))


def format_figures(result):
    """Return the rest of a line, after the cells of `format_place`."""
    place = format_place(result.n_components, result.method)
    return align(list_cells(result)).removeprefix(place)


def align(cells):
    """Return cells as a line of the text table."""
    return " ".join(f"{cell:>{width}}" for cell, width in zip(cells, _WIDTHS, strict=False))


def list_headings(score_name, reference="PCA"):
    """Return the headings of the table, with that of the score if there is one."""
    measures = ["squared error", "variance kept"] if reference == "PCA" else ["loss", "loss saved"]
    start = ["codes", "method", measures[0], f"vs {reference}", measures[1], "fit s"]
    nats = [] if reference == "PCA" else ["nats"]
    return [*start, "transform s", *nats, *([] if score_name is None else [score_name])]


def list_cells(result):
    """Return the cells of a line of the table."""
    score = result.downstream_score
    return [
        str(result.n_components),
        result.method,
        f"{result.squared_error:.4g}",
        f"{format_ratio(result.error_ratio)}x",
        f"{100 * result.explained_variance:.1f} %",
        f"{result.fit_seconds:.3f}",
        f"{result.transform_seconds:.3f}",
        *([] if result.nats is None else [f"{result.nats:.3f}"]),
        *([] if score is None else [f"{score:.3f}"]),
    ]


def format_ratio(ratio):
    """Return an error ratio with two decimals, or with more if it is close to zero."""
    return f"{ratio:.1g}" if 0 < ratio < 0.005 else f"{ratio:.2f}"


def count_codes(number):
    """Return a number of codes as text, such as "2 codes"."""
    return f"{number} code" if number == 1 else f"{number} codes"
