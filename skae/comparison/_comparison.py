"""Results of a comparison with PCA, as text, HTML and DataFrame."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from html import escape
from typing import Any

from skae._shared.extras import import_extra
from skae._shared.files import write_text
from skae.comparison._components_curve import ComponentsCurveDisplay
from skae.comparison._repeats import describe_splits
from skae.comparison._report._make import check_report, make_report
from skae.comparison._results import (
    MethodResult,
    align,
    describe_dropped,
    format_header,
    format_ratio,
    format_sizes,
    list_cells,
    list_headings,
)
from skae.comparison._task import Task


@dataclass(frozen=True, eq=False)
class Evidence:
    """Data and models behind the results of a comparison.

    Attributes
    ----------
    task : Task
        Training rows and held-out rows.
    models : dict of (int, str) to transformer
        Fitted models by number of codes and method.
    feature_names : list of str
        Names of the columns.
    options : dict
        Options of `compare_with_pca`.
    """

    task: Task
    models: dict
    feature_names: list[str]
    options: dict


@dataclass(frozen=True, repr=False)
class PCAComparison:
    """Results of PCA and an autoencoder on the same held-out rows.

    Printing it shows a text table, and notebooks show an HTML table. `to_html` writes a report
    page.

    Attributes
    ----------
    results : tuple of MethodResult
        Two results for each number of codes, first PCA and then the autoencoder.
    n_train, n_test : int
        Number of training rows and of held-out rows.
    n_features : int
        Number of columns.
    score_name : {"accuracy", "R2"} or None
        Name of `downstream_score`. None without `y`.
    left_out : tuple of int
        Numbers of codes that were left out because PCA does not allow so many.
    evidence : object or None
        Data, fitted models and options of the comparison, for `to_html`. Its attribute `models` is
        a dict of the fitted models by number of codes and method. None if the object was not made
        by `compare_with_pca`.
    reference : {"PCA", "FAMD"}, default="PCA"
        Method beside the autoencoder: "FAMD", a factor analysis of mixed data, for data frames
        with columns of several kinds, whose figures are losses instead of squared errors.
    n_missing : int, default=0
        Number of missing cells in training rows and held-out rows.
    drop_reasons : dict of str to str
        Reasons for columns of a data frame that were left out, by name.
    repeats : tuple of tuple of MethodResult
        Results like `results` on further random splits of the rows.

    See Also
    --------
    compare_with_pca : Run a comparison.

    Examples
    --------
    >>> from skae.comparison import MethodResult, PCAComparison
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
    The autoencoder's error is 0.40 times PCA's.
    """

    results: tuple[MethodResult, ...]
    n_train: int
    n_test: int
    n_features: int
    score_name: str | None
    left_out: tuple[int, ...] = ()
    evidence: Any = field(default=None, repr=False, compare=False)
    reference: str = "PCA"
    n_missing: int = 0
    drop_reasons: Mapping[str, str] = field(default_factory=dict)
    repeats: tuple[tuple[MethodResult, ...], ...] = ()

    def to_frame(self) -> Any:
        """Return the results as a DataFrame.

        Returns
        -------
        pandas.DataFrame of shape (n_results, n_figures)
            One row for each number of codes and method. Columns are the attributes of
            `MethodResult`, without `downstream_score` if there is no `y`, and without `nats` for
            numeric tables.

        Raises
        ------
        ImportError
            If pandas is not installed.

        Examples
        --------
        >>> from skae.comparison import MethodResult, PCAComparison
        >>> result = MethodResult(2, "PCA", 0.5, 1.0, 0.75, None, 0.01, 0.001)
        >>> PCAComparison((result,), 150, 50, 4, None).to_frame()["squared_error"].tolist()
        [0.5]
        """
        pandas = import_extra("pandas", "table", "to_frame")
        frame = pandas.DataFrame([asdict(result) for result in self.results])
        measured = {"downstream_score": self.score_name, "nats": self.reference != "PCA"}
        return frame.drop(columns=[name for name, is_there in measured.items() if not is_there])

    def plot(self, metric="squared_error", *, ax=None) -> ComponentsCurveDisplay:
        """Plot a figure against the number of codes, for PCA and the autoencoder.

        Parameters
        ----------
        metric : {"squared_error", "error_ratio", "explained_variance", "downstream_score"}, \
                default="squared_error"
            Figure to plot. The last one needs a comparison with `y`.
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
            If `metric` is unknown, or is "downstream_score" in a comparison without `y`.

        Examples
        --------
        >>> from skae.comparison import MethodResult, PCAComparison
        >>> results = (
        ...     MethodResult(2, "PCA", 0.5, 1.0, 0.75, None, 0.01, 0.001),
        ...     MethodResult(2, "autoencoder", 0.2, 0.4, 0.9, None, 1.0, 0.002),
        ... )
        >>> display = PCAComparison(results, 150, 50, 4, None).plot("explained_variance")
        >>> display.ax_.get_ylabel()
        'share of variance kept, held-out rows'
        """
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
        drop_reasons=None,
    ) -> str | None:
        """Return or write a self-contained HTML report with plots.

        The report begins with the verdict, at the number of codes with the lowest ratio of the
        autoencoder's error to PCA's. It then shows the figures by number of codes, reconstructions,
        maps of the codes, errors of the columns, the loss curve, and code to reproduce the
        comparison. It needs no other file and no network. For data frames with columns of several
        kinds, categories are shown as text, with the losses of columns next to FAMD's.

        Parameters
        ----------
        path : str or path-like, default=None
            File to write, ending in .html or .htm. An existing file is replaced. None returns the
            page instead.
        title : str, default="A table"
            Name of the data.
        feature_names : array-like of str of shape (n_features,), default=None
            Names of the columns. None uses the column names of X.
        image_shape : tuple of int or "square", default=None
            (height, width) or (channels, height, width) if rows are images.
        remarks : sequence of str, default=()
            Sentences to show below the verdict.
        load_code : str, default=None
            Python code that creates X (and y, X_test, y_test if they were given), for the code on
            the page.
        command : str, default=None
            Command line that creates the page, shown beside the code.
        drop_reasons : dict of str to str, default=None
            Reasons for columns that were left out before the comparison, by name. The page lists
            them with those that the comparison left out.

        Returns
        -------
        page : str or None
            HTML of the page. None if it was written to `path`.

        Raises
        ------
        FileNotFoundError
            If the folder of `path` does not exist.
        ImportError
            If matplotlib is not installed.
        IsADirectoryError
            If `path` is a folder.
        ValueError
            If `path` has another ending, if `image_shape` or `feature_names` do not match the
            columns, or if the comparison has no `evidence`.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skae import AutoencoderTransformer
        >>> from skae.comparison import compare_with_pca
        >>> X, y = load_iris(return_X_y=True, as_frame=True)
        >>> estimator = AutoencoderTransformer(max_iter=5)
        >>> comparison = compare_with_pca(X, y, n_components=2, estimator=estimator)
        >>> page = comparison.to_html(title="iris")
        >>> "of the variance" in page
        True
        """
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
            drop_reasons=drop_reasons,
        )
        if path is None:
            return page
        write_text(path, page)
        return None

    def summarize(self) -> str:
        """Return the result of the comparison in one sentence, or two with several splits.

        Returns
        -------
        str
            Sentence with the number of times that the autoencoder's error is below PCA's, and the
            best ratio; with one number of codes, the ratio alone. With several splits, a second one
            with the range of the ratios.

        Examples
        --------
        >>> from skae.comparison import MethodResult, PCAComparison
        >>> result = MethodResult(2, "autoencoder", 0.5, 1.0, 0.75, None, 0.01, 0.001)
        >>> PCAComparison((result,), 150, 50, 4, None).summarize()
        "The autoencoder's error is 1.00 times PCA's."
        """
        ratios = [result.error_ratio for result in self.results if result.method != self.reference]
        best = f"{format_ratio(min(ratios, default=1.0))} times"
        # The ratios are rounded as in the table, so that sentence and table agree.
        n_better = sum(round(ratio, 2) < 1 for ratio in ratios)
        if len(ratios) == 1:
            sentence = f"The autoencoder's error is {best} {self.reference}'s."
        else:
            end = f", at best {best} it" if n_better else ""
            sentence = (
                f"The autoencoder's error is below {self.reference}'s at {n_better or 'none'} of "
                f"{len(ratios)} numbers of codes{end}."
            )
        return f"{sentence} {describe_splits(self)}".rstrip()

    def __str__(self):
        lines = [*describe_dropped(self.drop_reasons), format_sizes(self)]
        lines.append(format_header(self.score_name, self.reference))
        lines += [align(list_cells(result)) for result in self.results]
        return "\n".join([*lines, self.summarize()])

    __repr__ = __str__

    def _repr_html_(self):
        headings = list_headings(self.score_name, self.reference)
        header = "".join(f"<th>{escape(name)}</th>" for name in headings)
        rows = "\n".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in list_cells(result)) + "</tr>"
            for result in self.results
        )
        return (
            f"<p>{escape(self.summarize())}</p>\n<table>\n"
            f"<caption>{escape(format_sizes(self))}</caption>\n"
            f"<thead><tr>{header}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>"
        )
