"""Missing values, filled by what an autoencoder knows of the other values of their row."""

from typing import ClassVar

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.impute import MissingIndicator
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import MissingValues, StrOptions
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted, validate_data

from skae._atomic import atomic_fit, sees_one_fit
from skae._autoencoder import AutoencoderTransformer
from skae._mixed_columns import (
    ColumnEncoding,
    find_categorical,
    find_categories,
    holds_categories,
    is_not_a_number,
    number_categories,
    read_table,
    take_column,
    write_column,
)
from skae._sklearn import fit_context
from skae._training import FillJudgement, fill_table, judge_fills, ordinary_torch_state
from skae.corruption import HidingNoise

# Rows that judge are a fifth of all, and no more than these. The model is fitted again, to all
# rows, where that is worth its time.
_MOST_JUDGING_ROWS = 1000
_LEAST_SHARE_FOR_REFIT = 0.05
# From this share on the table shows by itself in what pattern cells are missing.
_LEAST_SHARE_FOR_PATTERN = 0.02
_FEWEST_JUDGING_ROWS = 5
_SHARE_TO_HIDE = 0.2


class AutoencoderImputer(TransformerMixin, BaseEstimator):
    """Imputation by an autoencoder that starts as a normal distribution.

    A normal distribution of the rows is fitted to the values that are there, by expectation
    maximisation; what it expects of a missing value, given the others of the row, is a linear
    imputation, and already a good one. A denoising autoencoder starts from there: values are hidden
    from it, in the pattern in which they are missing and at random, and it learns to tell them. How
    much of what it has learnt is used is decided on rows that it has not seen, by values hidden
    there; where it is not clearly better the linear imputation stays.

    Categories become columns of zeros and ones, and come back as the likeliest category.

    Parameters
    ----------
    n_components : int or float in (0, 1), default=0.95
        Number of codes of the autoencoder, or the share of variance that as many codes of a PCA
        explain.
    missing_values : int, float, str, numpy.nan, None or pandas.NA, default=numpy.nan
        What stands for a missing value. In data frames with categories null values are missing in
        any case.
    categorical_features : "from_dtype", array-like or None, default="from_dtype"
        Columns that hold categories: a boolean for each column, or indices, or names. With
        "from_dtype" those of a data frame that are text, boolean or categorical. Columns of text
        are categories whatever this says.
    standardize : bool, default=True
        Divide each column by its standard deviation, so that all count alike. False divides all by
        one number: for columns of one unit, such as pixels, of which those that hardly vary should
        hardly count.
    add_indicator : bool, default=False
        Append a column of zeros and ones for each feature that had missing values in fit, as
        `sklearn.impute.MissingIndicator` makes it.
    keep_empty_features : bool, default=False
        Keep features without a single value in fit, filled with 0, and leave empty categories
        missing. By default they are dropped.
    autoencoder : AutoencoderTransformer or None, default=None
        An unfitted autoencoder with the parameters to use, as in
        ``AutoencoderTransformer(hidden_layer_sizes=(512, 256), corruption="hiding")``. Its
        `n_components`, `missing` and `random_state` give way to those of the imputer, and where it
        has no `corruption`, values are hidden from it all the same. None is one
        with ``corruption="hiding"``, ``corruption_level=0.2``, ``learning_rate_init=0.003`` and
        ``early_stopping=False``: the imputer holds out rows itself.
    random_state : int, RandomState instance or None, default=None
        Seeds the autoencoder and what judges it. The same int gives the same values.

    Attributes
    ----------
    autoencoder_ : AutoencoderTransformer
        The fitted autoencoder, of standardised columns; hardly trained where `learned_share_` is 0.
    learned_share_ : float
        How much of what the network has learnt beyond the normal distribution is used, from 0, none
        of it, to 1.
    error_ : float
        Mean squared error of values that were hidden in rows set aside, in units of the variance of
        their column, or without `standardize` of the mean variance; NaN where there were too few
        rows to judge.
    linear_error_ : float
        The same for the normal distribution alone.
    categories_ : list
        For each feature kept an array of its categories, None for numbers.
    indicator_ : sklearn.impute.MissingIndicator or None
        What makes the columns that `add_indicator` asks for.
    n_features_in_ : int
        Number of features seen in fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where X had any.

    See Also
    --------
    sklearn.impute.IterativeImputer : Regresses each feature on the others, in turn.
    sklearn.impute.KNNImputer : Averages the nearest rows.

    Notes
    -----
    Expected values are filled in, which vary less than real ones do.
    An image with a hole is inpainted by an imputer that was fitted to images with such holes.

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
    >>> X = load_wine().data
    >>> X[np.random.default_rng(0).random(X.shape) < 0.2] = np.nan
    >>> X_filled = AutoencoderImputer(random_state=0).fit_transform(X)
    >>> bool(np.isfinite(X_filled).all())
    True
    """

    _parameter_constraints: ClassVar[dict] = {
        "n_components": AutoencoderTransformer._parameter_constraints["n_components"],
        "missing_values": [MissingValues()],
        "categorical_features": [StrOptions({"from_dtype"}), "array-like", None],
        "standardize": ["boolean"],
        "add_indicator": ["boolean"],
        "keep_empty_features": ["boolean"],
        "autoencoder": [AutoencoderTransformer, None],
        "random_state": ["random_state"],
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
        autoencoder=None,
        random_state=None,
    ):
        self.n_components = n_components
        self.missing_values = missing_values
        self.categorical_features = categorical_features
        self.standardize = standardize
        self.add_indicator = add_indicator
        self.keep_empty_features = keep_empty_features
        self.autoencoder = autoencoder
        self.random_state = random_state

    @atomic_fit
    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None):
        """Fit the autoencoder to the values that are there.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Rows, at least two, finite where they are not missing. Frames of pandas and polars may
            hold categories.
        y : object, default=None
            Ignored; here because scikit-learn's pipelines pass it.

        Returns
        -------
        self : object
            The fitted imputer.

        Raises
        ------
        ValueError
            If X or a parameter is not as described; the message says what to do.
        skae.exceptions.NonFiniteLossError
            If the loss of the autoencoder is no longer finite.
        """
        X = self._validate(X, reset=True)
        names = getattr(self, "feature_names_in_", None)
        is_categorical = find_categorical(X, self.categorical_features, names)
        columns, missing = read_table(X, self.missing_values, is_categorical)
        self._is_categorical = is_categorical
        self._is_empty: np.ndarray = np.asarray(missing.all(axis=0))
        self.indicator_ = None
        if self.add_indicator:
            self.indicator_ = MissingIndicator(error_on_new=False).fit(_mark(missing))
        kept = np.flatnonzero(~self._is_empty)
        self.categories_ = [
            find_categories(columns[index], missing[:, index]) if is_categorical[index] else None
            for index in kept
        ]
        self._encoding: ColumnEncoding | None = None
        if len(kept):
            numbers = self._number(columns, missing)
            self._encoding = encoding = ColumnEncoding.fit(
                numbers, self.categories_, standardize=self.standardize
            )
            self._fit_model(encoding.encode(numbers), encoding.groups)
        return self

    @sees_one_fit
    def transform(self, X):
        """Fill in the missing values of X.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Rows with the features seen in fit.

        Returns
        -------
        X_filled : ndarray or data frame of shape (n_samples, n_features_out)
            X, the values that are there as they are. A frame with categories gives a frame of the
            same library and types; anything else gives an array in the precision of X, or what
            `set_output` asks for.
        """
        check_is_fitted(self)
        X = self._validate(X, reset=False)
        columns, missing = read_table(X, self.missing_values, self._is_categorical)
        filled = self._fill(columns, missing)
        kept = np.flatnonzero(self.keep_empty_features | ~self._is_empty)
        if holds_categories(X):
            return self._write_frame(X, filled, missing, kept)
        result = np.array(X)
        for index in kept:
            result[missing[:, index], index] = filled[index][missing[:, index]]
        result = result[:, kept]
        if self.indicator_ is None:
            return result
        return np.hstack([result, self.indicator_.transform(_mark(missing))])

    @sees_one_fit
    def get_feature_names_out(self, input_features=None):
        """Return the names of the columns that `transform` returns.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the features, those of fit or "x0", "x1", ... where None.

        Returns
        -------
        names : ndarray of str
            Those of the features kept, then those of the indicators.
        """
        check_is_fitted(self)
        names = _check_feature_names_in(self, input_features)
        kept = names[self.keep_empty_features | ~self._is_empty]
        if self.indicator_ is None:
            return kept
        return np.concatenate([kept, self.indicator_.get_feature_names_out(names)])

    def _validate(self, X, *, reset):
        """Return X as an array, or as it is if it is a frame with categories."""
        least = 2 if reset else 1
        if holds_categories(X):
            validate_data(self, X, reset=reset, skip_check_array=True)
            if X.shape[0] < least:
                raise ValueError(
                    f"X must have {least} rows. Got n_samples={X.shape[0]}. Pass more."
                )
            return X
        allow_nan = is_not_a_number(self.missing_values)
        return validate_data(
            self,
            X,
            reset=reset,
            dtype=(np.float64, np.float32),
            ensure_all_finite="allow-nan" if allow_nan else True,
            ensure_min_samples=least,
        )

    def _number(self, columns, missing) -> list[np.ndarray]:
        """Return the columns that are kept, with numbers in place of categories."""
        return [
            columns[index].astype(np.float64)
            if known is None
            else number_categories(columns[index], missing[:, index], known)
            for index, known in zip(np.flatnonzero(~self._is_empty), self.categories_, strict=True)
        ]

    def _fit_model(self, Z, groups):
        """Fit an autoencoder to encoded rows, and judge on some of them what it has learnt."""
        source = check_random_state(self.random_state)
        seeds = source.randint(2**31 - 1, size=2)
        corruption = self._make_corruption(groups)
        order = source.permutation(len(Z))
        n_judging = min(len(Z) // 5, _MOST_JUDGING_ROWS)
        judgement = FillJudgement(0.0, float("nan"), float("nan"))
        judges = n_judging >= _FEWEST_JUDGING_ROWS
        if judges:
            rest = np.sort(order[n_judging:])
            self.autoencoder_ = self._fit_autoencoder(Z[rest], corruption, seeds[0])
            judgement = self._judge(Z[np.sort(order[:n_judging])], corruption, groups, seeds[1])
        if not judges or n_judging > _LEAST_SHARE_FOR_REFIT * len(Z):
            # A network that is not used need not be trained.
            params = {} if judgement.share else {"max_iter": 1}
            self.autoencoder_ = self._fit_autoencoder(Z, corruption, seeds[0], **params)
        self.learned_share_ = judgement.share
        self.error_, self.linear_error_ = judgement.error, judgement.linear_error

    def _make_corruption(self, groups):
        """Return what hides values in training."""
        template = _make_template() if self.autoencoder is None else self.autoencoder
        if template.corruption is None:
            return HidingNoise(_SHARE_TO_HIDE, groups)
        if template.corruption == "hiding":
            return HidingNoise(template.corruption_level, groups)
        return template.corruption

    def _fit_autoencoder(self, Z, corruption, seed, **others) -> AutoencoderTransformer:
        template = _make_template() if self.autoencoder is None else self.autoencoder
        params = template.get_params(deep=False) | {
            "n_components": self.n_components,
            "missing": "mask",
            "corruption": corruption,
            "random_state": int(seed),
        }
        # A column that lacks all values in these rows has its mean in the first of them.
        first = np.where(np.isnan(Z).all(axis=0), 0, Z[:1])
        return _FillingAutoencoder(**params | others).fit(np.vstack([first, Z[1:]]))

    def _judge(self, Z, corruption, groups, seed) -> FillJudgement:
        """Hide values of rows that the autoencoder has not seen, and judge how they are filled."""
        shows_pattern = np.isnan(Z).mean() >= _LEAST_SHARE_FOR_PATTERN
        if type(corruption) is HidingNoise or not isinstance(corruption, HidingNoise):
            level = 0.0 if shows_pattern else _SHARE_TO_HIDE
            corruption = HidingNoise(level, groups)
        model = self.autoencoder_
        with ordinary_torch_state():
            return judge_fills(model.net_.module_, Z, model._standardization, corruption, int(seed))

    def _fill(self, columns, missing) -> list:
        """Return all columns without missing values; only what was missing is of use."""
        filled = [np.zeros(len(missing)) for _ in columns]
        if self._encoding is None:
            return filled
        Z = self._encoding.encode(self._number(columns, missing))
        model = self.autoencoder_
        with ordinary_torch_state():
            Z = fill_table(model.net_.module_, Z, model._standardization, self.learned_share_)
        decoded = self._encoding.decode(Z)
        for index, values in zip(np.flatnonzero(~self._is_empty), decoded, strict=True):
            filled[index] = values
        return filled

    def _write_frame(self, X, filled, missing, kept):
        """Return the frame with what was missing filled in, without what is not kept."""
        columns = {}
        for index in kept:
            is_category, gaps = bool(self._is_categorical[index]), missing[:, index]
            if is_category and self._is_empty[index]:
                gaps = np.zeros_like(gaps)
            column = take_column(X, index)
            column = write_column(column, filled[index], gaps, categorical=is_category)
            columns[X.columns[int(index)]] = column
        if self.indicator_ is not None:
            names = self.get_feature_names_out()[len(kept) :]
            columns |= dict(zip(names, self.indicator_.transform(_mark(missing)).T, strict=True))
        # Columns of pandas bring their index.
        return type(X)(columns)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = is_not_a_number(self.missing_values)
        return tags


class _FillingAutoencoder(AutoencoderTransformer):
    """An autoencoder that may well stay what it starts as."""

    def _warn_of_weak_fit(self):
        """Say nothing: the imputer tells the errors of both."""


def _make_template() -> AutoencoderTransformer:
    return AutoencoderTransformer(
        corruption="hiding",
        corruption_level=_SHARE_TO_HIDE,
        learning_rate_init=0.003,
        early_stopping=False,
    )


def _mark(missing: np.ndarray) -> np.ndarray:
    """Return a table that lacks the same cells and is 0 elsewhere."""
    return np.where(missing, np.nan, 0.0)
