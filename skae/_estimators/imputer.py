"""Imputation of missing values with an autoencoder."""

from collections.abc import Iterator
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.impute import MissingIndicator
from sklearn.utils import check_array, check_consistent_length, check_random_state
from sklearn.utils._param_validation import MissingValues, StrOptions
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from skae._estimators.atomic import atomic_fit, sees_one_fit
from skae._estimators.autoencoder import AutoencoderTransformer, shares_constraints
from skae._estimators.column_encoding import ColumnEncoding, Levels
from skae._estimators.dask_blocks import maps_dask
from skae._estimators.drawn_rows import check_can_draw, draw_columns, keep_rows
from skae._estimators.far_cells import find_limits, hide_far_cells
from skae._estimators.filled_columns import append_columns, fill_frame, write_floats
from skae._estimators.filling_model import FillingModel, fill_rows, fit_filling_model
from skae._estimators.frame_columns import check_frame
from skae._estimators.held_out import number_groups
from skae._estimators.html import HTMLMixin
from skae._estimators.mixed_columns import (
    as_table,
    check_categories,
    choose_categorical,
    find_text,
    holds_objects,
    is_frame,
    is_not_a_number,
    name_columns,
    read_cells,
    read_numeric_table,
    read_table,
    take_column,
)
from skae._estimators.neighbor_fills import find_neighbor_changes
from skae._estimators.processes import refuse_parts
from skae._estimators.refusals import advise
from skae._estimators.row_blocks import check_size, reads_blocks
from skae._estimators.samples import check_sample_shape, find_sample_shape, flatten_samples
from skae._estimators.states import PlainStateMixin
from skae._shared.checks import check_count
from skae._shared.names import list_names
from skae._shared.scikit_learn import fit_context, returns_frames, validate_data
from skae._shared.warning import warn_user
from skae.exceptions import ImputationWarning

# Memory for a fit, in units of the training rows in double precision.
_COPIES = 16.0
_SAMPLE = "Fit to a random sample of the rows; `transform` reads all rows a block at a time."


@shares_constraints
class AutoencoderImputer(TransformerMixin, PlainStateMixin, HTMLMixin, BaseEstimator):
    """Imputation by an autoencoder that starts as a normal distribution.

    First, a normal distribution is fitted to the observed values by expectation maximisation. Its
    conditional expectation of a missing value, given the observed values of the row, is a good
    linear imputation. From there, a denoising autoencoder is trained to predict values that are
    hidden from it, in the pattern of missing values and at random. Hidden values of held-out rows
    determine how much of its correction is used. If it is not clearly better, the linear imputation
    is kept. In the same way, they determine how far values are moved towards those of the nearest
    training rows.

    Categories are one-hot encoded, and imputed by the most likely category.

    Parameters
    ----------
    n_components : int, float in (0, 1), "auto" or None, default=0.95
        Number of codes of the autoencoder, or the share of the variance that the same number of
        principal components explains. "auto" chooses the number by parallel analysis, and None uses
        the smaller of the numbers of rows and columns.
    missing_values : int, float, str, numpy.nan, None or pandas.NA, default=numpy.nan
        Placeholder of missing values. In data frames and arrays of objects, NaN, None and null
        values are always missing.
    categorical_features : "from_dtype", array-like or None, default="from_dtype"
        Columns with categories, as a boolean mask, indices or names. "from_dtype" selects the text,
        boolean and categorical columns of data frames and arrays of objects. Text columns are
        always categories, even if the text consists of numbers. Columns of objects that are all
        numbers are numeric.
    standardize : bool, default=True
        Whether to divide each column by its standard deviation, so that all columns have the same
        weight. False divides all columns by the same number, for columns that share a unit, such as
        pixels, in which columns that hardly vary should have little weight.
    add_indicator : bool, default=False
        Whether to append an indicator column for each feature with missing values in `fit`, as in
        `sklearn.impute.MissingIndicator`.
    keep_empty_features : bool, default=False
        Whether to keep features without any value in `fit`: numbers are filled with 0, and
        categories stay missing. By default they are dropped, with a warning.
    min_value, max_value : float or array-like of shape (n_features,), default=None
        Bounds of imputed numbers, in units of X: one number for all features, or one per feature,
        infinite for no bound; a Series may have the names of the columns in any order. For shares,
        use 0 and 1. Observed values may lie outside.
    autoencoder : AutoencoderTransformer or None, default=None
        An unfitted autoencoder with the parameters to use, as in
        ``AutoencoderTransformer(hidden_layer_sizes=(512, 256), corruption="hiding")``. Its
        `n_components`, `missing` and `random_state` are replaced by those of the imputer, and
        values are hidden from it even if it has no `corruption`. Its input are standardised
        columns, and its `output_range` refers to their units. None is an autoencoder with
        ``corruption="hiding"``, ``corruption_level=0.2``, ``learning_rate_init=0.003`` and
        ``early_stopping=False``: the imputer holds out rows itself.
    random_state : int, RandomState instance or None, default=None
        Seed of the autoencoder and of its evaluation. Pass an int for reproducible results.

    Attributes
    ----------
    autoencoder_ : AutoencoderTransformer
        Autoencoder fitted to standardised columns. It has had little training if `learned_share_`
        is 0.
    learned_share_ : float
        Share of the network's correction to the normal distribution that is used: from 0, none, to
        1, all of it.
    neighbor_share_ : float
        Share by which imputed values are moved from there towards the mean of the 5 nearest
        training rows, from 0 to 1.
    error_ : float
        Mean squared error of hidden values of held-out rows, relative to the variance of their
        column (without `standardize`, to the mean variance), before `min_value` and `max_value`
        apply. NaN if there are too few rows.
    linear_error_ : float
        Mean squared error of the normal distribution alone, for the same values.
    categories_ : list
        For each feature with values, an array of the categories that can be imputed. None for
        numbers, and for categorical features whose values are mostly rare.
    indicator_ : sklearn.impute.MissingIndicator or None
        Transformer for the columns of `add_indicator`.
    n_features_in_ : int
        Number of features seen in fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where X had any.

    See Also
    --------
    sklearn.impute.IterativeImputer : Imputation by regressions of each feature on the others.
    sklearn.impute.KNNImputer : Imputation by the mean of the nearest rows.

    Notes
    -----
    `transform` imputes expected values, which vary less than real values. `sample` draws values.
    Up to 5000 training rows are kept for this and as neighbours, in files and pickles, too.

    Neighbours of a missing value are the first 5 rows in which it is observed, among the 50 nearest
    filled rows, with weights that are inverse to squared distances.

    A category is rare if it has fewer rows than a hundredth of the observed rows; this limit is at
    least 2 and at most 10. Columns with fewer than 20 values have no rare categories. Of more than
    100 categories, the least frequent are rare. All rare categories of a column are treated as one,
    which is never imputed. Columns in which most values are rare, such as names and other
    identifiers, carry no information about the other columns: they are not imputed, with a warning
    that names them.

    To inpaint images, fit the imputer to images with holes of the same kind.

    References
    ----------
    Little, R. J. A. and Rubin, D. B. (2002). Statistical analysis with missing data.
    https://doi.org/10.1002/9781119013563

    Vincent, P. et al. (2010). Stacked denoising autoencoders. Journal of Machine Learning
    Research 11. https://www.jmlr.org/papers/v11/vincent10a.html

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_wine
    >>> from skae import AutoencoderImputer
    >>> X = load_wine().data[:59]  # wines of one cultivar
    >>> X[np.random.default_rng(0).random(X.shape) < 0.2] = np.nan
    >>> X_filled = AutoencoderImputer(random_state=0).fit_transform(X)
    >>> bool(np.isfinite(X_filled).all())
    True
    """

    _parameter_constraints: ClassVar[dict] = {
        "missing_values": [MissingValues()],
        "categorical_features": [StrOptions({"from_dtype"}), "array-like", None],
        "standardize": ["boolean"],
        "add_indicator": ["boolean"],
        "keep_empty_features": ["boolean"],
        "min_value": [Real, "array-like", None],
        "max_value": [Real, "array-like", None],
        "autoencoder": [AutoencoderTransformer, None],
    }

    def __init__(
        self,
        n_components=0.95,
        *,
        missing_values=np.nan,
        categorical_features="from_dtype",
        standardize=True,
        add_indicator=False,
        keep_empty_features=False,
        min_value=None,
        max_value=None,
        autoencoder=None,
        random_state=None,
    ) -> None:
        self.n_components = n_components
        self.missing_values = missing_values
        self.categorical_features = categorical_features
        self.standardize = standardize
        self.add_indicator = add_indicator
        self.keep_empty_features = keep_empty_features
        self.min_value = min_value
        self.max_value = max_value
        self.autoencoder = autoencoder
        self.random_state = random_state

    @atomic_fit
    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None, groups=None) -> Self:
        """Fit the autoencoder to the observed values.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            At least two rows, whose observed values are finite. Data frames of pandas and polars,
            lists, and arrays of objects may contain categories. Images and sequences may have more
            axes. Files and tables of other libraries are read whole, as described in the
            :doc:`user guide </scale>`.
        y : object, default=None
            Ignored; here because scikit-learn's pipelines pass it.
        groups : array-like of shape (n_samples,), default=None
            Group labels of rows that belong together, such as the rows of one patient. All rows of
            a group are held out, or none, so that the evaluation applies to new groups.

        Returns
        -------
        self : object
            The fitted imputer. If the fit fails, it is left unchanged.

        Raises
        ------
        ValueError
            If X or a parameter is not as described. The message names a remedy.
        TypeError
            If a column of X contains lists or other containers.
        skae.exceptions.NonFiniteLossError
            If the loss of the autoencoder becomes infinite or NaN.

        Warns
        -----
        skae.exceptions.ImputationWarning
            If columns have no values, or have so many categories that they are not imputed.
        """
        refuse_parts(type(self).__name__)
        check_size(X, _COPIES, _SAMPLE)
        X, self._form = self._validate(X, reset=True)
        if groups is not None:
            check_consistent_length(X, groups)
            groups = number_groups(groups, np.ones(X.shape[0], dtype=bool))
        is_text = find_text(X, self.missing_values)
        self._holds_text, self._gives_frame = bool(is_text.any()), is_frame(X)
        X = self._to_kind_of_fit(X)
        names = getattr(self, "feature_names_in_", None)
        self._is_categorical = choose_categorical(is_text, self.categorical_features, names)
        low, high = (_order_bounds(own, names) for own in (self.min_value, self.max_value))
        self._bounds = _read_bounds(low, high, X.shape[1])
        columns, missing = read_table(X, self.missing_values, self._is_categorical)
        self._is_empty: np.ndarray = np.asarray(missing.all(axis=0))
        self.indicator_ = None
        if self.add_indicator:
            indicator = MissingIndicator(error_on_new=False).set_output(transform="default")
            self.indicator_ = indicator.fit(_mark(missing))
        self._fit_columns(columns, missing, groups)
        self._warn_of_columns(name_columns(X) if names is None else names)
        return self

    @sees_one_fit
    @maps_dask
    @reads_blocks
    def transform(self, X) -> Any:
        """Impute the missing values of X.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Rows with the features of `fit`. Columns may have other types than in `fit`, such as
            columns without any value. Large files and tables of other libraries are read block by
            block. Arrays and data frames of Dask give lazy ones.

        Returns
        -------
        X_filled : ndarray or data frame of shape (n_samples, n_features_out)
            X with missing values imputed and observed values unchanged, in the shape of X if no
            feature is dropped or added. After a fit to a data frame with categories, data frames
            give data frames of the same library, with the same types if these can hold the imputed
            values. After a fit to an array with categories, the result is an array of objects.
            Otherwise, it is an array in the precision of X. `set_output` selects another container,
            with one column per pixel of an image.
        """
        check_is_fitted(self)
        X, form, columns, missing = self._read(X)
        return self._write(X, form, columns, self._fill(columns, missing), missing)

    @sees_one_fit
    def sample(self, X, n_draws=20, random_state=None):
        """Return several tables in which the missing values of X are drawn at random.

        This is multiple imputation. In each table, imputed values vary like the observed values of
        their column, and together with other columns. The differences between the tables reflect
        the uncertainty about the missing values. Analyse each table, and pool the results with
        `skae.impute.pool`.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Rows with the features of `fit`. To analyse the training table, pass this table.
        n_draws : int, default=20
            Number of tables.
        random_state : int, RandomState instance or None, default=None
            Seed or generator of the draws. The same int gives the same tables, and a larger
            `n_draws` adds tables at the end.

        Returns
        -------
        draws : iterator of ndarray or data frame of shape (n_samples, n_features_out)
            Tables as returned by `transform`, one at a time, so that only one is in memory.

        Raises
        ------
        ValueError
            If X or a parameter is not as described, or if numbers and one-hot encoded categories
            have more than 2000 columns.

        Notes
        -----
        Before each draw, a normal distribution is fitted to a bootstrap sample of the training
        rows. The residual of a drawn value is the residual of a hidden value in a training row with
        a similar expectation. Categories are drawn by their frequency among such rows. Columns of
        integers, columns with repeated values, and columns with a finite `min_value` or `max_value`
        receive observed values of similar rows (predictive mean matching).

        The imputer keeps up to 5000 training rows for this.

        References
        ----------
        van Buuren, S. (2018). Flexible imputation of missing data. https://stefvanbuuren.name/fimd/

        Honaker, J. and King, G. (2010). What to do about missing values in time-series
        cross-section data. American Journal of Political Science 54.
        https://doi.org/10.1111/j.1540-5907.2010.00447.x

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.datasets import load_wine
        >>> from skae import AutoencoderImputer
        >>> X = load_wine().data[:59, :5]
        >>> X[np.random.default_rng(0).random(X.shape) < 0.2] = np.nan
        >>> imputer = AutoencoderImputer(random_state=0).fit(X)
        >>> means = [X_drawn.mean() for X_drawn in imputer.sample(X, 5, random_state=0)]
        >>> len(means), bool(np.std(means) > 0)
        (5, True)
        """
        check_is_fitted(self)
        n_draws = check_count("n_draws", n_draws, "Ask for at least one draw.")
        if self._encoding is not None:
            check_can_draw(self._encoding, getattr(self, "_kept_rows", None))
        X, form, columns, missing = self._read(X)
        seed = check_random_state(random_state).randint(2**31 - 1)
        return (
            self._write(X, form, columns, filled, missing)
            for filled in self._draw(columns, missing, n_draws, seed)
        )

    def _read(self, X):
        """Return X, the form of its samples, its columns, and a mask of missing values."""
        X, form = self._validate(X, reset=False)
        check_sample_shape(form, self._form)
        X = self._to_kind_of_fit(X)
        columns, missing = read_table(X, self.missing_values, self._is_categorical)
        names = name_columns(X)
        for index, known in zip(self._find_used(), self._levels, strict=True):
            if known is not None:
                observed = columns[index][~missing[:, index]]
                check_categories(observed, known.categories, names[index])
        return X, form, columns, missing

    def _write(self, X, form, columns, filled, missing):
        """Return X with its missing values filled in, in the format of the output."""
        # Identifiers, and categories without a value, cannot be predicted.
        gaps = missing & ~(self._is_left | (self._is_empty & self._is_categorical))
        if self._holds_text and self._gives_frame and is_frame(X):
            return self._write_frame(X, columns, filled, gaps, missing)
        result = self._write_array(X, filled, gaps, missing)
        if result.shape[1] < X.shape[1] or self.indicator_ is not None or returns_frames(self):
            return result
        return result.reshape(-1, *form)

    @sees_one_fit
    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Return the names of the columns that `transform` returns.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the features. None uses the names in `fit`, or "x0", "x1" and so on.

        Returns
        -------
        names : ndarray of str
            Names of the features that are kept, followed by those of the indicators. An indicator
            gets a number as suffix if a feature has the same name.
        """
        check_is_fitted(self)
        names = _check_feature_names_in(self, input_features)
        kept = names[self._find_kept()]
        if self.indicator_ is None:
            return kept
        taken, indicators = set(kept), []
        for name in self.indicator_.get_feature_names_out(names):
            indicators.append(_find_free_name(name, taken))
            taken.add(indicators[-1])
        return np.concatenate([kept, np.array(indicators, dtype=object)])

    def _find_kept(self) -> np.ndarray:
        """Return the indices of the features that `transform` returns."""
        return np.flatnonzero(self.keep_empty_features | ~self._is_empty)

    def _validate(self, X, *, reset):
        """Return X as an array of floats or of objects, or as a frame, and the form of samples."""
        X = as_table(X)
        least = 2 if reset else 1
        if is_frame(X):
            check_frame(self, X, reset=reset)
            return X, X.shape[1:]
        options = {"reset": reset, "ensure_min_samples": least}
        if holds_objects(X):
            X = validate_data(self, X, dtype=object, ensure_all_finite=False, **options)
            return X, X.shape[1:]
        options["ensure_all_finite"] = "allow-nan" if is_not_a_number(self.missing_values) else True
        with advise(
            "could not convert string",
            "Pass categories in a data frame or in an array of objects.",
        ):
            rows = validate_data(
                self, flatten_samples(X), dtype=(np.float64, np.float32), **options
            )
        return rows, find_sample_shape(X, rows.shape[1])

    def _to_kind_of_fit(self, X):
        """Return X as an array of floats, unless there was text in fit."""
        if self._holds_text:
            return X if holds_objects(X) else X.astype(object)
        if not holds_objects(X):
            return X
        X = read_numeric_table(X, self.missing_values)
        return check_array(
            X, dtype=(np.float64, np.float32), ensure_all_finite=False, estimator=self
        )

    def _fit_columns(self, columns, missing, row_groups):
        """Fit the encoding and the autoencoder to the columns that can be predicted."""
        levels = {
            index: Levels.find(columns[index], missing[:, index])
            for index in np.flatnonzero(self._is_categorical & ~self._is_empty)
        }
        self._is_left = np.zeros(len(columns), dtype=bool)
        self._is_left[[index for index, found in levels.items() if found is None]] = True
        self._levels = [levels.get(index) for index in self._find_used()]
        self.categories_ = [
            None if (known := levels.get(index)) is None else known.categories
            for index in np.flatnonzero(~self._is_empty)
        ]
        self._encoding: ColumnEncoding | None = None
        if self._levels:
            numbers = self._number(columns, missing)
            self._bound_constants(numbers)
            self._encoding = encoding = ColumnEncoding.fit(
                numbers, self._levels, standardize=self.standardize
            )
            model = fit_filling_model(
                encoding.encode(numbers),
                encoding.groups,
                self.autoencoder,
                self.n_components,
                self.random_state,
                self._form,
                row_groups,
            )
            self._kept_rows, self._n_rows = keep_rows(numbers), len(missing)
            self._take_model(model, encoding)
            self._limits = find_limits(numbers, encoding, self.autoencoder_)

    def _bound_constants(self, numbers: list[np.ndarray]):
        """Bound the fills of columns with a single value by that value."""
        for index, own, known in zip(self._find_used(), numbers, self._levels, strict=True):
            if known is None and np.nanmin(own) == np.nanmax(own):
                self._bounds[:, index] = np.clip(np.nanmax(own), *self._bounds[:, index])

    def _take_model(self, model: FillingModel, encoding: ColumnEncoding):
        """Store the autoencoder, its errors, and filled rows if neighbours improve the fills."""
        judgement = model.judgement
        self.autoencoder_, self._spread = model.autoencoder, model.spread
        self.learned_share_, self.neighbor_share_ = judgement.share, model.neighbor_share
        self.error_, self.linear_error_ = judgement.error, judgement.linear_error
        if self.neighbor_share_:
            Z = encoding.encode(list(self._kept_rows.T))
            self._neighbors = fill_rows(self.autoencoder_, Z, self.learned_share_)
            self._neighbors_have = ~np.isnan(Z)

    def _find_used(self) -> np.ndarray:
        """Return the indices of the features used by the autoencoder."""
        return np.flatnonzero(~self._is_empty & ~self._is_left)

    def _number(self, columns, missing) -> list[np.ndarray]:
        """Return the columns used by the autoencoder, with indices in place of categories."""
        return [
            columns[index].astype(np.float64)
            if known is None
            else known.number(columns[index], missing[:, index])
            for index, known in zip(self._find_used(), self._levels, strict=True)
        ]

    def _read_evidence(self, columns, missing, encoding: ColumnEncoding) -> list[np.ndarray]:
        """Return the columns used by the autoencoder, without values too far to predict from."""
        numbers = self._number(columns, missing)
        # Imputers in files of earlier versions have no limits.
        limits = getattr(self, "_limits", None)
        if limits is None:
            return numbers
        return hide_far_cells(
            numbers,
            limits,
            lambda rows: encoding.decode(fill_rows(self.autoencoder_, encoding.encode(rows), 0.0)),
        )

    def _fill(self, columns, missing) -> list:
        """Return all columns with fills; only the values that were missing are meaningful."""
        if self._encoding is None:
            return self._place([], missing)
        Z = self._encoding.encode(self._read_evidence(columns, missing, self._encoding))
        filled = fill_rows(self.autoencoder_, Z, self.learned_share_)
        # Imputers in files of earlier versions have no neighbours.
        share = getattr(self, "neighbor_share_", 0.0)
        if share:
            known = self._neighbors, self._neighbors_have
            filled += share * find_neighbor_changes(filled, np.isnan(Z), *known)
        return self._place(self._encoding.decode(filled), missing)

    def _draw(self, columns, missing, n_draws: int, seed: int) -> Iterator[list]:
        """Yield all columns with draws of their missing values."""
        if self._encoding is None:
            yield from (self._place([], missing) for _ in range(n_draws))
            return
        used = self._find_used()
        draws = draw_columns(
            self._encoding,
            self.autoencoder_,
            self.learned_share_,
            (self._kept_rows, self._n_rows, self._spread),
            self._read_evidence(columns, missing, self._encoding),
            np.isfinite(self._bounds[:, used]).any(axis=0),
            n_draws,
            seed,
        )
        for drawn in draws:
            yield self._place(drawn, missing)

    def _place(self, used: list, missing) -> list:
        """Return all columns, given those of the autoencoder, within their bounds."""
        filled = [np.zeros(len(missing)) for _ in range(missing.shape[1])]
        for index, values in zip(self._find_used(), used, strict=bool(used)):
            filled[index] = values
        for index in np.flatnonzero(~self._is_categorical):
            filled[index] = write_floats(filled[index].clip(*self._bounds[:, index]), np.float64)
        return filled

    def _write_array(self, X, filled, gaps, missing):
        """Return a filled array of X with the columns that are kept."""
        kept = self._find_kept()
        if is_frame(X):
            cells = [read_cells(take_column(X, i), np.nan)[0] for i in range(X.shape[1])]
            X = np.column_stack(cells)
        result = np.array(X)
        for index in kept:
            fills = filled[index][gaps[:, index]]
            if result.dtype == np.float32:
                fills = write_floats(fills.astype(np.float64), np.float32)
            result[gaps[:, index], index] = fills
        result = result[:, kept]
        if self.indicator_ is None:
            return result
        return np.hstack([result, self.indicator_.transform(_mark(missing))])

    def _write_frame(self, X, columns, filled, gaps, missing):
        """Return a filled frame of X with the columns that are kept."""
        kept, names = self._find_kept(), self.get_feature_names_out()
        given = [X.columns[int(index)] for index in kept]
        # Integer names cannot be combined with names of indicators.
        own = given if self.indicator_ is None else list(names[: len(kept)])
        parts = [(columns[i], filled[i], gaps[:, i], bool(self._is_categorical[i])) for i in kept]
        result = fill_frame(X, kept, own, parts)
        if self.indicator_ is None:
            return result
        marks = self.indicator_.transform(_mark(missing))
        return append_columns(result, names[len(kept) :], marks)

    def _warn_of_columns(self, names):
        """Warn about columns that are dropped and columns that are left unchanged."""
        empty = [repr(str(names[index])) for index in np.flatnonzero(self._is_empty)]
        if empty and not self.keep_empty_features:
            warn_user(
                f"Columns without a single value are dropped: {list_names(empty)}. Set "
                "keep_empty_features=True to keep them.",
                ImputationWarning,
            )
        left = [repr(str(names[index])) for index in np.flatnonzero(self._is_left)]
        if left:
            warn_user(
                "Columns in which most values are rare, such as identifiers, stay as they are, "
                f"including missing values: {list_names(left)}. Leave them out, or group their "
                "categories. Convert text that contains numbers to numbers.",
                ImputationWarning,
            )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = is_not_a_number(self.missing_values)
        return tags


def _order_bounds(bounds, names):
    """Return bounds in the order of the columns, if they are labelled by names of these."""
    if names is None or not hasattr(bounds, "reindex") or set(bounds.index) != set(names):
        return bounds
    return bounds.reindex(names)


def _read_bounds(min_value, max_value, n_features: int) -> np.ndarray:
    """Return the lower and upper bounds of fills of each feature, infinite if unbounded."""
    bounds = np.empty((2, n_features))
    for name, value, none, row in (
        ("min_value", min_value, -np.inf, bounds[0]),
        ("max_value", max_value, np.inf, bounds[1]),
    ):
        try:
            given = np.asarray(none if value is None else value, dtype=np.float64)
        except (TypeError, ValueError):  # text, or a dict
            given = np.array(np.nan)
        if given.shape not in ((), (n_features,)) or np.isnan(given).any():
            raise ValueError(
                f"`{name}` must be None, a number, or one for each of the {n_features} columns of "
                f"X. Got {value!r}. Use infinity where a column has no bound."
            )
        row[:] = given
    if not (bounds[0] < bounds[1]).all():
        raise ValueError(
            "`min_value` must be below `max_value` in every column. "
            f"Got {min_value!r} and {max_value!r}. Both are in units of X."
        )
    return bounds


def _find_free_name(name: str, taken: set) -> str:
    """Return a name, with a numeric suffix if it is taken."""
    free, number = name, 1
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    return free


def _mark(missing: np.ndarray) -> np.ndarray:
    """Return a table with the same missing values and 0 elsewhere."""
    return np.where(missing, np.nan, 0.0)
