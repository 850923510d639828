"""What a comparison with PCA found, as objects, text, HTML and DataFrame."""

from dataclasses import asdict, dataclass, field
from html import escape
from typing import Any

from skae._shared.extras import import_extra
from skae._shared.files import write_text

_WIDTHS = (5, 11, 13, 8, 13, 8, 11, 8)


@dataclass(frozen=True)
class MethodResult:
    """How one method did with one number of codes.

    Attributes
    ----------
    n_components : int
        Number of codes.
    method : {"PCA", "autoencoder"}
        What computed them.
    squared_error : float
        Mean squared difference between a held-out row and its reconstruction, per cell, in squared
        units of X (of its standard deviations, where columns were standardized).
    error_ratio : float
        `squared_error` over that of PCA with as many codes; below 1 is better than PCA.
    explained_variance : float
        Share of the held-out rows' variance about the training mean that is reconstructed, at
        most 1.
    downstream_score : float or None
        Score on the held-out rows of a model of `y` fitted on the codes; None without `y`.
    fit_seconds : float
        Time to fit, in seconds.
    transform_seconds : float
        Time to compute the codes of all held-out rows, in seconds.

    Examples
    --------
    >>> from skae.inspection import MethodResult
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


@dataclass(frozen=True)
class PCAComparison:
    """PCA and an autoencoder side by side, on the same held-out rows.

    Printed, it is a table of plain text; in a notebook, one of HTML. `to_html` makes a page of it.

    Attributes
    ----------
    results : tuple of MethodResult
        Two for each number of codes, PCA's first.
    n_train, n_test : int
        Number of rows fitted on, and held out.
    n_features : int
        Number of columns.
    score_name : {"accuracy", "R2"} or None
        What `downstream_score` measures; None without `y`.
    left_out : tuple of int
        Numbers of codes left out, being more than PCA can give.
    evidence : object or None
        Data, fitted models and options that the figures come from, for `to_html`: its `models`
        holds the models by number of codes and method. None where `compare_with_pca` did not make
        the comparison.

    See Also
    --------
    skae.inspection.compare_with_pca : Make one.

    Examples
    --------
    >>> from skae.inspection import MethodResult, PCAComparison
    >>> results = (
    ...     MethodResult(2, "PCA", 0.5, 1.0, 0.75, None, 0.01, 0.001),
    ...     MethodResult(2, "autoencoder", 0.2, 0.4, 0.9, None, 1.0, 0.002),
    ... )
    >>> comparison = PCAComparison(results, 150, 50, 4, None)
    >>> print(comparison)
    150 rows to fit on, 50 held out, 4 columns
    codes      method squared error   vs PCA variance kept    fit s transform s
        2         PCA           0.5    1.00x        75.0 %    0.010       0.001
        2 autoencoder           0.2    0.40x        90.0 %    1.000       0.002
    The autoencoder's error is below PCA's at 1 of 1 numbers of codes, at best 0.40 times it.
    """

    results: tuple[MethodResult, ...]
    n_train: int
    n_test: int
    n_features: int
    score_name: str | None
    left_out: tuple[int, ...] = ()
    evidence: Any = field(default=None, repr=False, compare=False)

    def to_frame(self):
        """Return the results as a DataFrame.

        Returns
        -------
        pandas.DataFrame of shape (n_results, 8)
            One row per number of codes and method, the attributes of `MethodResult` as columns.

        Raises
        ------
        ImportError
            If pandas is not installed.

        Examples
        --------
        >>> from skae.inspection import MethodResult, PCAComparison
        >>> result = MethodResult(2, "PCA", 0.5, 1.0, 0.75, None, 0.01, 0.001)
        >>> PCAComparison((result,), 150, 50, 4, None).to_frame()["squared_error"].tolist()
        [0.5]
        """
        pandas = import_extra("pandas", "table", "to_frame")
        frame = pandas.DataFrame([asdict(result) for result in self.results])
        return frame if self.score_name else frame.drop(columns="downstream_score")

    def plot(self, metric="squared_error", *, ax=None):
        """Plot a figure against the number of codes, PCA's beside the autoencoder's.

        Parameters
        ----------
        metric : {"squared_error", "error_ratio", "explained_variance", "downstream_score"}, \
                default="squared_error"
            What to draw; the last one is there if the comparison had a `y`.
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a figure.

        Returns
        -------
        display : ComponentsCurveDisplay
            The display, plotted.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If there is no such metric.

        Examples
        --------
        >>> from skae.inspection import MethodResult, PCAComparison
        >>> results = (
        ...     MethodResult(2, "PCA", 0.5, 1.0, 0.75, None, 0.01, 0.001),
        ...     MethodResult(2, "autoencoder", 0.2, 0.4, 0.9, None, 1.0, 0.002),
        ... )
        >>> display = PCAComparison(results, 150, 50, 4, None).plot("explained_variance")
        >>> display.ax_.get_ylabel()
        'share of variance kept, held-out rows'
        """
        # The display makes comparisons, too, so this one cannot know it from the start.
        from skae.inspection._curves import ComponentsCurveDisplay

        return ComponentsCurveDisplay(self, metric=metric).plot(ax=ax)

    def to_html(
        self,
        path=None,
        *,
        title="A table",
        feature_names=None,
        image_shape=None,
        remarks=(),
        load_code=None,
        command=None,
    ):
        """Make one page of HTML with pictures, which needs no other file and no network.

        It begins with the verdict, taken at the number of codes where the autoencoder's error is
        least beside PCA's. Then come the figures by number of codes, reconstructions, maps of the
        codes, errors of the columns, the course of the training, and the code to do it again.

        Parameters
        ----------
        path : str or path-like, default=None
            File to write, ending in .html or .htm; one that exists is replaced. None returns the
            page instead.
        title : str, default="A table"
            Name of the data.
        feature_names : array-like of str of shape (n_features,), default=None
            Names of the columns. None takes those of the table that was compared on.
        image_shape : tuple of int or "square", default=None
            (height, width), or (channels, height, width), where rows are images.
        remarks : sequence of str, default=()
            Sentences to put under the verdict.
        load_code : str, default=None
            Python that makes X (and y, X_test, y_test where they were given), for the code of the
            page.
        command : str, default=None
            Command line that makes the page, to stand beside the code.

        Returns
        -------
        page : str or None
            The HTML, where `path` is None.

        Raises
        ------
        FileNotFoundError
            If there is no folder to write the file to.
        ImportError
            If matplotlib is not installed.
        IsADirectoryError
            If `path` is a folder.
        ValueError
            If `path` has another ending, `image_shape` or `feature_names` do not fit to the
            columns, or the comparison has no `evidence`.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skae.inspection import compare_with_pca
        >>> X, y = load_iris(return_X_y=True, as_frame=True)
        >>> page = compare_with_pca(X, y, n_components=2).to_html(title="iris")
        >>> "of the variance" in page
        True
        """
        # Most comparisons are printed, and need none of what draws.
        from skae.inspection._report import check_report, make_report

        if path is not None:
            path = check_report(path)
        page = make_report(
            self,
            title=title,
            feature_names=feature_names,
            image_shape=image_shape,
            remarks=remarks,
            load_code=load_code,
            command=command,
        )
        if path is None:
            return page
        write_text(path, page)
        return None

    def summarize(self):
        """Say in one sentence how the autoencoder did.

        Returns
        -------
        str
            At how many numbers of codes its error was below PCA's, and its best ratio.

        Examples
        --------
        >>> from skae.inspection import MethodResult, PCAComparison
        >>> result = MethodResult(2, "autoencoder", 0.5, 1.0, 0.75, None, 0.01, 0.001)
        >>> PCAComparison((result,), 150, 50, 4, None).summarize()
        "The autoencoder's error is below PCA's at none of 1 numbers of codes."
        """
        ratios = [result.error_ratio for result in self.results if result.method != "PCA"]
        # As rounded in the table, so that the two do not seem to differ.
        n_better = sum(round(ratio, 2) < 1 for ratio in ratios)
        start = "The autoencoder's error is below PCA's at"
        if not n_better:
            return f"{start} none of {len(ratios)} numbers of codes."
        return (
            f"{start} {n_better} of {len(ratios)} numbers of codes, "
            f"at best {min(ratios):.2f} times it."
        )

    def __str__(self):
        lines = [format_sizes(self), format_header(self.score_name)]
        lines += [_align(list_cells(result)) for result in self.results]
        return "\n".join([*lines, self.summarize()])

    def _repr_html_(self):
        header = "".join(f"<th>{escape(name)}</th>" for name in list_headings(self.score_name))
        rows = "\n".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in list_cells(result)) + "</tr>"
            for result in self.results
        )
        return (
            f"<p>{escape(self.summarize())}</p>\n<table>\n"
            f"<caption>{escape(format_sizes(self))}</caption>\n"
            f"<thead><tr>{header}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>"
        )


def format_sizes(comparison):
    """Say how many rows and columns were compared on."""
    return (
        f"{comparison.n_train} rows to fit on, {comparison.n_test} held out, "
        f"{comparison.n_features} columns"
    )


def format_header(score_name):
    """Return the line of headings of the text table."""
    return _align(list_headings(score_name))


def format_place(n_components, method):
    """Return the first cells of a line: what is known before the work is done."""
    return _align((str(n_components), method))


def format_figures(result):
    """Return the other cells of a line, to follow those of `format_place`."""
    place = format_place(result.n_components, result.method)
    return _align(list_cells(result)).removeprefix(place)


def _align(cells):
    return " ".join(f"{cell:>{width}}" for cell, width in zip(cells, _WIDTHS, strict=False))


def list_headings(score_name):
    """Return the headings of the table; the last one is there if something is predicted."""
    start = ["codes", "method", "squared error", "vs PCA", "variance kept", "fit s"]
    return [*start, "transform s", *([] if score_name is None else [score_name])]


def list_cells(result):
    """Return the cells of a line of the table."""
    score = result.downstream_score
    return [
        str(result.n_components),
        result.method,
        f"{result.squared_error:.4g}",
        f"{result.error_ratio:.2f}x",
        f"{100 * result.explained_variance:.1f} %",
        f"{result.fit_seconds:.3f}",
        f"{result.transform_seconds:.3f}",
        *([] if score is None else [f"{score:.3f}"]),
    ]
