"""Outlier detection with an autoencoder."""

from numbers import Integral, Real
from typing import ClassVar, Self

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, OutlierMixin, clone
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import _safe_indexing, check_consistent_length, gen_batches
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from skae._engine import decode_table
from skae._estimators.atomic import atomic_fit, sees_one_fit
from skae._estimators.autoencoder import AutoencoderTransformer, shares_constraints
from skae._estimators.base import BaseAutoencoder
from skae._estimators.dask_blocks import maps_dask
from skae._estimators.frame_columns import (
    check_frame,
    is_mixed_frame,
    summarize_columns,
    warn_of_left_out,
)
from skae._estimators.frames import FrameForm
from skae._estimators.held_out import read_groups
from skae._estimators.html import HTMLMixin
from skae._estimators.mixed_columns import is_frame
from skae._estimators.processes import refuse_parts
from skae._estimators.range_units import find_ranges, scale_by_ranges
from skae._estimators.refusals import advise
from skae._estimators.row_blocks import check_size, reads_blocks
from skae._estimators.row_space import (
    find_axes,
    find_squares,
    find_squares_to_other_groups,
    place_rows,
)
from skae._estimators.samples import find_sample_shape, flatten_samples, stack_samples
from skae._estimators.sparse_tables import tidy_numbers
from skae._estimators.states import PlainStateMixin
from skae._estimators.validation import is_masked
from skae._shared.scikit_learn import check_weights, fit_context, keep_weighted_rows, validate_data

# Rows that differ by less than this share of the ranges of the features are identical: single
# precision, and the order of its sums, cannot tell them apart.
_SAME = 10 * np.finfo(np.float32).eps
# Lower bound of a column's residuals in a z-score, in units of its range: single precision has
# no smaller residuals.
_LEAST_RESIDUAL = 10 * _SAME
_CELLS_AT_ONCE = 2**22
# Number of neighbours, and maximum number of rows, before the most remote training rows are
# trimmed: a group of fewer outliers than neighbours does not hide its own members.
_WIDE, _MOST_COMPARED = 100, 3000
# Weight of the error in the score, and lower bound of each part relative to its usual value.
_WEIGHT, _LEAST_SHARE = 0.2, 1e-3
# Upper and lower bound of the error relative to the distance, both in units of their usual
# values: far from the training rows, a network is not reliable.
_MOST_RATIO = 3
_UNITS = (
    "AutoencoderOutlierDetector gives its `autoencoder` features divided by their range in the "
    "training rows, after their minimum is subtracted unless X is sparse; the values above are in "
    "these units."
)
# Memory for a fit, in units of the training rows in double precision.
_COPIES = 5.0
_SAMPLE = (
    "Fit to a random sample of the rows; `score_samples`, `predict` and the like read all rows a "
    "block at a time."
)
_MISSING = (
    "AutoencoderOutlierDetector takes missing values with "
    "`autoencoder=AutoencoderTransformer(missing='mask')`. Otherwise fill them in beforehand, as "
    "in make_pipeline(AutoencoderImputer(), AutoencoderOutlierDetector())."
)


@shares_constraints
class AutoencoderOutlierDetector(OutlierMixin, PlainStateMixin, HTMLMixin, BaseEstimator):
    r"""Outlier detection by the distance from other rows and by the reconstruction error.

    A row is unusual if it lies far from the nearest training rows, and also if the autoencoder
    cannot reconstruct it. With `x` the row, `x'` its reconstruction and :math:`x_i`
    the nearest training rows,

    .. math:: a(x) = \frac1k \sum_{i=1}^k \|A(x - x_i)\|^2, \qquad b(x) = \|x - x'\|^2 .

    `A` makes :math:`a` the sum of the squared distance between standardised rows and of that
    between whitened rows, so a row counts as far if it leaves a relation between columns, too.
    The score is :math:`-a^{0.8} b^{0.2}` with `a` and `b` in units of their usual values, divided
    by the median over the training rows, so an ordinary row scores about -1. In these units `b`
    counts as at least a third of `a` and at most three times `a`, since far from the training rows
    an autoencoder reconstructs some rows by chance and others not at all.

    The training rows may contain outliers: the most remote ones are left out beforehand, see
    `trim`. Features are divided by the range of the rows that remain, so units do not matter.

    Data frames may have columns of several kinds, such as categories and dates, and missing values.
    Distances are then those of standardised numbers and scaled indicators, and errors are losses
    relative to the baselines of the columns. Read more in the :doc:`user guide </mixed>`.

    Parameters
    ----------
    n_components : int, float in (0, 1), "auto" or None, default=0.8
        Number of codes of the autoencoder, or the share of the variance that the same number of
        principal components explains. "auto" chooses the number by parallel analysis, and None uses
        the smaller of the numbers of rows and columns. Fewer codes make the reconstruction
        error larger for rows that leave the main directions of variance.
    contamination : "auto" or float in (0, 0.5], default="auto"
        Share of outliers among the training rows. It only determines the threshold of `predict`.
        "auto" applies the rule of box plots to the logarithm of the negative scores: outliers lie
        more than 1.5 times the interquartile range above the third quartile.
    n_neighbors : int, default=5
        Number of neighbours with which a row is compared, less than the number of training rows.
        Fewer are better if the training rows contain no outliers, more if outliers occur in groups.
    trim : float in [0, 0.5), default=0.1
        Share of the training rows that are not used to train the autoencoder and are no neighbours:
        the rows with the largest distance from their 100 nearest among 3,000 training rows. Use 0
        if the training rows are known to be ordinary, more if there may be more outliers.
    autoencoder : AutoencoderTransformer or None, default=None
        An unfitted autoencoder with the parameters to use, as in
        ``AutoencoderTransformer(max_iter=50)``; a grid search sets them as
        ``autoencoder__max_iter``. Its `n_components` and `random_state` are replaced by those of
        the detector, and its input are features divided by their range. With ``missing="mask"``,
        rows may have missing values. None uses the defaults.
    cv : int or None, default=2
        Number of folds for the p-values. The rows of each fold are scored by a detector fitted to
        the rows of the other folds, so `p_values` compares new rows with scores of rows that were
        new, too. More folds take longer and give somewhat smaller p-values to outliers. None saves
        these fits, and `p_values` and ``predict(X, fdr=0.05)`` raise an error.
    random_state : int, RandomState instance or None, default=None
        Seed of the autoencoder. Pass an int for reproducible results.

    Attributes
    ----------
    autoencoder_ : AutoencoderTransformer
        The fitted autoencoder, of rows that went through `data_min_` and `data_range_`.
    offset_ : float
        Threshold of the scores: `decision_function` is `score_samples` minus this.
    n_neighbors_ : int
        Number of neighbours that are used.
    calibration_scores_ : ndarray of shape (n_calibration,)
        Scores of the training rows, in ascending order, each by a detector that has not seen the
        row. Empty with fewer than four rows or two groups. Only where `cv` is not None.
    residual_scale_ : ndarray of shape (n_features_in_,)
        Root mean square of the difference between an ordinary row and its reconstruction in each
        feature, in units of `data_range_`. `cell_z_scores` divides by it.
    data_min_ : ndarray of shape (n_features_in_,)
        Minimum of each feature among the rows that `trim` left, which is subtracted first; 0 where
        X was sparse in fit.
    data_range_ : ndarray of shape (n_features_in_,)
        Range of each feature among these rows, by which it is then divided: maximum less minimum,
        and for constant features the median of the others.
    n_features_in_ : int
        Number of features seen in fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where X had any.

    See Also
    --------
    sklearn.ensemble.IsolationForest : Outliers are rows that few random splits isolate.
    sklearn.neighbors.LocalOutlierFactor : Outliers by neighbourhood only, in the space of the rows.

    Notes
    -----
    A row is never its own neighbour: for training rows, and rows equal to them, the nearest row is
    skipped. The score of a row does not depend on the other rows.

    The detector keeps the training rows that `trim` left, as any method of nearest neighbours does;
    with more than 128 columns their 128 principal coordinates.

    With missing values, the squared error of a row is the mean over its observed cells times the
    number of features, and distances use the reconstruction of missing cells.

    P-values are conformal [1]_: the share of calibration rows with a score at most that of the row.

    References
    ----------
    .. [1] Bates, S., Candès, E., Lei, L., Romano, Y. and Sesia, M. (2023). Testing for outliers
       with conformal p-values. Annals of Statistics 51. https://doi.org/10.1214/22-AOS2244

    Hawkins, S., He, H., Williams, G. and Baxter, R. (2002). Outlier detection using replicator
    neural networks. DaWaK 2002. https://doi.org/10.1007/3-540-46145-0_17

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoencoderOutlierDetector
    >>> X, y = load_digits(return_X_y=True)
    >>> detector = AutoencoderOutlierDetector(random_state=0).fit(X[y == 0][:60])
    >>> detector.predict(X[:10])  # 0, 1, ..., 9
    array([ 1, -1, -1, -1, -1, -1, -1, -1, -1, -1])
    """

    _parameter_constraints: ClassVar[dict] = {
        "contamination": [StrOptions({"auto"}), Interval(Real, 0, 0.5, closed="right")],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "trim": [Interval(Real, 0, 0.5, closed="left")],
        "autoencoder": [BaseAutoencoder, None],
        "cv": [Interval(Integral, 2, None, closed="left"), None],
    }

    def __init__(
        self,
        n_components=0.8,
        *,
        contamination="auto",
        n_neighbors=5,
        trim=0.1,
        autoencoder=None,
        cv=2,
        random_state=None,
    ) -> None:
        self.n_components = n_components
        self.contamination = contamination
        self.n_neighbors = n_neighbors
        self.trim = trim
        self.autoencoder = autoencoder
        self.cv = cv
        self.random_state = random_state

    @atomic_fit
    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None, sample_weight=None, groups=None) -> Self:
        """Fit the autoencoder, store the rows of X, and determine the threshold.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows, at least two, all finite except for missing cells, or a data frame with
            columns of several kinds. Most of them should be inliers. Images and sequences may have
            more axes, as in the autoencoder. Files and tables of other libraries are read whole in
            `fit`, and block by block in all other methods, as described in the
            :doc:`user guide </scale>`.
        y : object, default=None
            Ignored; here because scikit-learn's pipelines pass it.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows in training and for the threshold. Rows with weight
            zero have no influence. As neighbours, all other rows count equally.
        groups : array-like of shape (n_samples,), default=None
            Group labels of rows that belong together, such as the rows of one patient. The
            autoencoder holds out all rows of a group or none, as in `AutoencoderTransformer.fit`.
            For the threshold, training rows are compared with rows of other groups.

        Returns
        -------
        self : object
            The fitted detector. If the fit fails, it is left unchanged.

        Raises
        ------
        ValueError
            If X or a parameter is not as described. The message names a remedy.
        skae.exceptions.NonFiniteLossError
            If the loss of the autoencoder is no longer finite.
        """
        refuse_parts(type(self).__name__)
        check_size(X, _COPIES, _SAMPLE)
        template = AutoencoderTransformer() if self.autoencoder is None else self.autoencoder
        self.autoencoder_ = clone(template).set_output(transform="default")
        self.autoencoder_.set_params(n_components=self.n_components, random_state=self.random_state)
        X, form = self._validate_rows(X, reset=True, ensure_min_samples=2)
        weights = check_weights(sample_weight, X)
        options = self._read_groups(groups, X, weights)
        X, weights = keep_weighted_rows(X, weights, 2)
        if self.cv is not None:
            self.calibration_scores_ = self._score_unseen(X, form, weights, **options)
        kept = self._choose_core(X, weights, **options)
        if not is_frame(X):
            self.data_min_, self.data_range_ = find_ranges(X[kept])
        X, _ = self._scale(X, form)
        self._fit_autoencoder(X, kept, weights, options)
        self._remember(X, kept, weights, **options)
        return self

    @sees_one_fit
    @maps_dask
    @reads_blocks
    def score_samples(self, X) -> np.ndarray:
        """Return the score of each row; the lower, the more unusual.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, all finite except for missing cells.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Negative; about -1 for ordinary rows. The more unusual the row, the lower its score.
        """
        check_is_fitted(self)
        X, _ = self._scale(*self._validate_rows(X))
        return self._combine(self._find_squares(self._place(X)), self._measure_errors(X))

    @sees_one_fit
    def decision_function(self, X) -> np.ndarray:
        """Return the scores minus the threshold.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, all finite except for missing cells.

        Returns
        -------
        decisions : ndarray of shape (n_samples,)
            `score_samples` minus `offset_`: negative for outliers.
        """
        return self.score_samples(X) - self.offset_

    @sees_one_fit
    def predict(self, X, fdr=None) -> np.ndarray:
        """Return labels of outliers and inliers.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, all finite except for missing cells.
        fdr : float in (0, 1), default=None
            False discovery rate: the share of ordinary rows that is accepted among the rows
            flagged, on average over sets of rows. The procedure of Benjamini and Hochberg chooses
            from the p-values of all rows of X, so a label depends on the other rows. None
            flags each row whose score is below the threshold `offset_`.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            -1 for outliers, 1 for inliers.

        Raises
        ------
        ValueError
            If `fdr` is not between 0 and 1, or the detector was fitted with ``cv=None``.
        """
        if fdr is None:
            return np.where(np.asarray(self.decision_function(X)) < 0, -1, 1)
        if not (isinstance(fdr, Real) and 0 < float(fdr) < 1):
            raise ValueError(f"`fdr` must be a share between 0 and 1. Got {fdr!r}. Try fdr=0.05.")
        return np.where(_discover(self.p_values(X), float(fdr)), -1, 1)

    @sees_one_fit
    def p_values(self, X) -> np.ndarray:
        """Return the probability of such a low score for an ordinary row.

        About a share `alpha` of rows drawn from the distribution of the training rows has a p-value
        of at most `alpha`, for every `alpha`. Outliers among the training rows increase the
        p-values.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows that are not training rows, all finite except for missing cells.

        Returns
        -------
        p_values : ndarray of shape (n_samples,)
            P-values from ``1 / (1 + n_calibration)`` to 1: one plus the number of
            `calibration_scores_` that are at most the score, divided by one plus ``n_calibration``.

        Raises
        ------
        ValueError
            If the detector was fitted with ``cv=None``.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from skae import AutoencoderOutlierDetector
        >>> X, y = load_digits(return_X_y=True)
        >>> detector = AutoencoderOutlierDetector(random_state=0).fit(X[y == 0][:60])
        >>> bool((detector.p_values(X[y == 7]) < 0.02).mean() > 0.9)
        True
        >>> found = detector.predict(X[:100], fdr=0.1) == -1  # some of each digit
        >>> bool(found.any()), bool((y[:100][found] == 0).mean() < 0.2)
        (True, True)
        """
        check_is_fitted(self)
        usual = self._read("calibration_scores_", "Fit it with `cv=2` or more folds")
        n_as_low = np.searchsorted(usual, np.asarray(self.score_samples(X)), side="right")
        return (1 + n_as_low) / (1 + len(usual))

    @sees_one_fit
    @maps_dask
    @reads_blocks
    def reconstruction_errors(self, X) -> np.ndarray:
        """Return the squared error of every cell, to see which features make a row unusual.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, all finite except for missing cells.

        Returns
        -------
        errors : ndarray or data frame of shape (n_samples, n_features)
            Squared differences between X and its reconstruction, in units of the square of each
            feature's range in the training rows and in the shape of X; NaN where a cell is missing.
            For data frames with columns of several kinds, losses in units of the baselines of the
            columns, as in `AutoencoderTransformer.reconstruction_errors`.
        """
        check_is_fitted(self)
        X, beyond = self._scale(*self._validate_rows(X))
        if is_frame(X):
            return self.autoencoder_.reconstruction_errors(X)
        errors = self.autoencoder_.reconstruction_errors(X).astype(np.float64)
        # A view, also for samples with more axes.
        errors.reshape(len(errors), -1)[beyond.row, beyond.col] += beyond.data
        return errors

    @sees_one_fit
    @reads_blocks
    def cell_z_scores(self, X):
        """Return how unusual each cell is, given the other cells of its row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, all finite except for missing cells.

        Returns
        -------
        z_scores : ndarray or data frame of shape (n_samples, n_features)
            Cell minus its reconstruction, divided by the root mean square of that difference in
            ordinary rows: positive if the value is higher than expected. In the shape of X; NaN in
            missing cells. For data frames with columns of several kinds, a data frame, in which
            categories have the root of twice their negative log-likelihood, which is 3 for a
            probability of one percent and never negative. A category that did not occur in `fit`
            counts as rare, or as having a probability of one in ``1 + n_samples`` if the column had
            no rare categories.

        Examples
        --------
        >>> from sklearn.datasets import load_wine
        >>> from skae import AutoencoderOutlierDetector
        >>> X = load_wine(as_frame=True).data[:59]  # wines of one cultivar
        >>> detector = AutoencoderOutlierDetector(random_state=0).fit(X)
        >>> strange = X.iloc[[0]].assign(ash=5.0)
        >>> z_scores = detector.cell_z_scores(strange)[0]
        >>> X.columns[abs(z_scores).argmax()], bool(z_scores.max() > 4)
        ('ash', True)
        """
        errors = self.reconstruction_errors(X)
        scale = self._read("residual_scale_", "Fit it again").reshape(errors.shape[1:])
        rows, _ = self._scale(*self._validate_rows(X))
        if (form := self._frame) is not None:
            losses, own = np.asarray(errors, dtype=np.float64), self.autoencoder_
            encoded, decoded = self._encode(rows)
            z_scores = form.measure_deviations(encoded, decoded, losses, scale, own.mean_)
            # A category that did not occur in n rows has about a probability of 1 / (n + 1).
            unlikely = np.sqrt(2 * np.log1p(own.n_samples_seen_))
            unknown = form.find_unknown(rows, encoded)
            return form.gather_numbers(np.where(unknown, unlikely, z_scores))
        rows = rows.toarray() if sparse.issparse(rows) else rows
        own = self.autoencoder_
        return (
            np.copysign(np.sqrt(errors), rows - own.inverse_transform(own.transform(rows))) / scale
        )

    def _read(self, name, remedy):
        """Return an attribute that depends on the parameters of fit."""
        if not hasattr(self, name):
            raise ValueError(
                f"The detector must have `{name}`, which was not set when it was fitted. {remedy}."
            )
        return getattr(self, name)

    def _score_unseen(self, X, form, weights, groups=None):
        """Return the sorted scores of rows under detectors fitted to the other folds."""
        _, units = np.unique(
            np.arange(X.shape[0]) if groups is None else groups, return_inverse=True
        )
        n_units = units.max() + 1
        if n_units < 4:
            # At least two rows or groups must remain for the fit.
            return np.empty(0)
        folds = np.random.default_rng(0).permutation(n_units) % min(self.cv, n_units // 2)
        X = X if sparse.issparse(X) or is_frame(X) else X.reshape(-1, *form)
        scores = []
        for fold in range(folds.max() + 1):
            unseen = _spare_columns(X, folds[units] == fold)
            known = {"sample_weight": weights, "groups": groups}
            known = {name: x[~unseen] for name, x in known.items() if x is not None}
            part = self._clone_for_fold().fit(_take(X, ~unseen), **known)
            scores.append(part.score_samples(_take(X, unseen)))
        return np.sort(np.concatenate(scores))

    def _clone_for_fold(self):
        """Return an unfitted detector for a part of the rows."""
        # The autoencoder takes missing values in all rows.
        part = clone(self).set_params(cv=None, autoencoder=clone(self.autoencoder_))
        fraction = getattr(part.autoencoder, "validation_fraction", None)
        if fraction is not None and not isinstance(fraction, Real):
            # A splitter may refer to the rows of the whole table.
            part.set_params(autoencoder__validation_fraction=0.1)
        return part

    def _read_groups(self, groups, X, weights) -> dict:
        """Return the groups of the rows of positive weight in the form for the autoencoder."""
        if groups is None:
            return {}
        if not has_fit_parameter(self.autoencoder_, "groups"):
            raise ValueError(
                "`groups` must be None if the autoencoder holds out no rows. Got groups for "
                f"{type(self.autoencoder_).__name__}. Leave them out."
            )
        check_consistent_length(X, groups)
        groups = read_groups(groups)
        return {"groups": groups if weights is None else groups[weights > 0]}

    def _validate_rows(self, X, *, reset=False, **options):
        """Return X as an array or CSR matrix of rows, and the shape of its samples."""
        samples = stack_samples(X)
        if is_mixed_frame(samples) if reset else self._frame is not None:
            return self._validate_frame(samples, reset), ()
        masked = is_masked(self.autoencoder_)
        options |= {"accept_sparse": not masked and "csr", "dtype": (np.float64, np.float32)}
        with advise("contains NaN", _MISSING):
            rows = validate_data(
                self,
                tidy_numbers(flatten_samples(samples), dense=masked),
                reset=reset,
                ensure_all_finite="allow-nan" if masked else True,
                **options,
            )
        return rows, find_sample_shape(samples, rows.shape[1])

    def _validate_frame(self, X, reset):
        """Return a frame with the columns that the autoencoder has."""
        if reset:
            check_frame(self, X, reset=True)
            columns = summarize_columns(X)
            self._positions = [i for i, own in enumerate(columns) if own.reason is None]
            if any(columns[i].n_missing for i in self._positions):
                self.autoencoder_.set_params(missing="mask")
            rows = _take_columns(X, self._positions)
            if not is_mixed_frame(rows):
                # Without its only mixed column, the table would be numeric. The autoencoder takes
                # all columns, and leaves that one out.
                self._positions = list(range(len(columns)))
                return X
            warn_of_left_out(columns)
            return rows
        check_frame(self, X, reset=False)
        return _take_columns(X, self._list_positions())

    def _list_positions(self) -> list[int]:
        """Return the places in X of the columns that the autoencoder has."""
        if hasattr(self, "_positions"):
            return self._positions
        # Detectors in files of earlier versions.
        names = list(self.feature_names_in_)
        return [names.index(name) for name in self.autoencoder_.feature_names_in_]

    @property
    def _frame(self) -> FrameForm | None:
        return self.autoencoder_._frame

    def _encode(self, X) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows of a frame and their reconstructions as numbers."""
        own = self.autoencoder_
        rows = own._frame.read(own, X)
        return rows, decode_table(own.net_.module_, own.transform(X), own._standardization)

    def _scale(self, X, form):
        """Return rows in units of the ranges of the features, and the excess of distant values.

        Dense rows become samples of shape `form`. Frames are returned unchanged, without an excess.
        """
        if is_frame(X):
            # Its columns are in their own units.
            return X, None
        scaled, beyond = scale_by_ranges(X, self.data_min_, self.data_range_)
        return scaled if sparse.issparse(scaled) else scaled.reshape(-1, *form), beyond

    def _choose_core(self, X, weights, groups=None) -> np.ndarray:
        """Return the mask of the rows that `trim` keeps."""
        if is_frame(X):
            scaled = FrameForm.fit(self.autoencoder_, X, None).read(self.autoencoder_, X)
        else:
            self.data_min_, self.data_range_ = find_ranges(X)
            scaled, _ = self._scale(X, (X.shape[1],))
        self._center, self._axes = find_axes(scaled, is_scaled=is_frame(X))
        places = place_rows(scaled, self._center, self._axes)
        some = np.random.default_rng(0).permutation(len(places))[:_MOST_COMPARED]
        nearest = NearestNeighbors().fit(places[some])
        squares = find_squares(nearest, places, min(_WIDE, len(some) - 1), self._least)
        kept = squares <= -_find_quantile(-squares, self.trim, weights)
        if groups is not None and len(np.unique(groups[kept])) < 2:
            return np.ones(len(kept), dtype=bool)
        return ~_spare_columns(X, ~kept)

    def _fit_autoencoder(self, X, kept, weights, options):
        """Fit the autoencoder to the kept rows."""
        if not kept.all():
            # A splitter may refer to all rows, so the others stay, with weight zero, as copies of a
            # kept row, because the autoencoder may reject values outside the range.
            weights = kept * (1.0 if weights is None else weights)
            X = _take(X, np.where(kept, np.arange(len(kept)), kept.argmax()))
        with advise("X must lie in", _UNITS):
            self.autoencoder_.fit(X, sample_weight=weights, **options)

    def _place(self, X) -> np.ndarray:
        """Return the coordinates of scaled rows, between which distances are computed."""
        return place_rows(self._fill(X), self._center, self._axes)

    def _fill(self, X):
        """Return scaled rows as a table, with missing values replaced by reconstructions."""
        if sparse.issparse(X):
            return X
        if is_frame(X):
            rows, decoded = self._encode(X)
            # An unknown category differs from all known ones.
            form = self.autoencoder_._frame
            decoded[form.find_unknown(X, rows)[:, form.encoding.groups]] = 0
            return np.where(np.isnan(rows), decoded, rows)
        missing = np.isnan(X)
        if missing.any():
            codes = self.autoencoder_.transform(X)
            X = np.where(missing, self.autoencoder_.inverse_transform(codes), X)
        return X.reshape(len(X), -1)

    def _measure_errors(self, X) -> np.ndarray:
        """Return the squared errors of scaled rows, summed over the features."""
        # Some autoencoders have other scores, such as densities.
        scores = BaseAutoencoder.score_samples(self.autoencoder_, X).astype(np.float64)
        return -scores * self.n_features_in_

    def _find_inflation(self, errors, weights) -> float:
        """Return the ratio of errors of held-out rows to those of training rows."""
        seen = np.average(errors, weights=weights) / self.n_features_in_
        return max(1, self.autoencoder_.reconstruction_error_ / seen) if seen > 0 else 1

    def _remember(self, X, kept, weights, groups=None):
        """Store the reference rows and the threshold."""
        errors = self._measure_errors(X)
        inflation = self._find_inflation(errors[kept], None if weights is None else weights[kept])
        core = _take(X, kept)
        self.residual_scale_ = self._measure_residuals(core) * np.sqrt(inflation)
        self._center, self._axes = find_axes(self._fill(core), is_scaled=is_frame(X))
        places = self._place(X)
        self.n_neighbors_ = min(self.n_neighbors, int(kept.sum()) - 1)
        self._neighbors = NearestNeighbors(n_neighbors=self.n_neighbors_).fit(places[kept])
        if groups is None:
            squares = self._find_squares(places)
        else:
            known = self._neighbors, places, self.n_neighbors_
            squares = find_squares_to_other_groups(*known, groups, kept)
        usual = (_find_usual(squares[kept]), float(errors[kept].mean() * inflation))
        self._units = tuple(max(unit, self._least) for unit in usual)
        self._unit = 1.0
        self._unit = float(np.median(-self._combine(squares, errors * inflation)[kept]))
        # A given share refers to the training rows, a fence to future rows.
        errors = errors * (inflation if self.contamination == "auto" else 1)
        self.offset_ = self._find_threshold(self._combine(squares, errors), weights)

    def _measure_residuals(self, X) -> np.ndarray:
        """Return the root mean squared residual of each feature in scaled rows, above zero."""
        sums, counts = 0, 0
        for part in gen_batches(X.shape[0], max(1, _CELLS_AT_ONCE // self.n_features_in_)):
            errors = np.asarray(self.autoencoder_.reconstruction_errors(_take(X, part)), np.float64)
            errors = errors.reshape(len(errors), -1)
            sums = sums + np.nansum(errors, axis=0)
            counts = counts + (~np.isnan(errors)).sum(axis=0)
        return np.sqrt(sums / np.maximum(counts, 1)).clip(_LEAST_RESIDUAL)

    def _find_squares(self, places) -> np.ndarray:
        """Return mean squared distances to the neighbours."""
        return find_squares(self._neighbors, places, self.n_neighbors_, self._least)

    def _combine(self, squares, errors) -> np.ndarray:
        """Return scores of rows from their squared distances and errors."""
        (far, bad), floor = self._units, _LEAST_SHARE
        remoteness = squares / far + floor
        limits = remoteness / _MOST_RATIO, remoteness * _MOST_RATIO
        misfit = np.clip(errors / bad + floor, *limits)
        return -(remoteness ** (1 - _WEIGHT) * misfit**_WEIGHT) / self._unit

    @property
    def _least(self) -> float:
        """Squared distance below which two rows are identical."""
        return float(self.n_features_in_ * _SAME**2 * max(1, np.square(self._axes).max()))

    def _find_threshold(self, scores, weights) -> float:
        """Return the score below which rows are outliers."""
        if self.contamination != "auto":
            return _find_quantile(scores, self.contamination, weights)
        first, third = (_find_quantile(np.log(-scores), share, weights) for share in (0.25, 0.75))
        return float(-np.exp(third + 1.5 * (third - first)))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = is_masked(self.autoencoder)
        tags.input_tags.sparse = not tags.input_tags.allow_nan
        return tags

    def __getstate__(self):
        state = dict(super().__getstate__())
        if "_neighbors" in state:
            # Trees of scikit-learn are not plain values, and are rebuilt identically.
            state["_neighbors"] = self._neighbors._fit_X
        return state

    def __setstate__(self, state):
        super().__setstate__(state)
        if hasattr(self, "_neighbors"):
            nearest = NearestNeighbors(n_neighbors=self.n_neighbors_)
            self._neighbors = nearest.fit(self._neighbors)


def _discover(p_values, fdr: float) -> np.ndarray:
    """Return the mask of the rows rejected by the Benjamini-Hochberg procedure."""
    ordered = np.sort(p_values)
    # Thresholds are rounded like p-values, so that a p-value equal to its threshold counts.
    passes = ordered <= fdr * np.arange(1, len(ordered) + 1) / len(ordered) * (1 + 1e-9)
    return p_values <= ordered[passes].max(initial=-1)


def _take(X, rows):
    return _safe_indexing(X, rows) if is_frame(X) else X[rows]


def _take_columns(X, positions: list[int]):
    """Return columns of a frame, which may have been renamed since fit."""
    return X.iloc[:, positions] if hasattr(X, "iloc") else X[:, positions]


def _spare_columns(X, unseen) -> np.ndarray:
    """Return the held-out rows without one row for each column missing in all others."""
    if sparse.issparse(X) or is_frame(X) or not unseen.any():
        return unseen
    missing = np.isnan(X.reshape(len(X), -1))
    lost = missing[~unseen].all(axis=0)
    needed = np.flatnonzero(unseen)[missing[unseen][:, lost].argmin(axis=0)]
    return unseen & ~np.isin(np.arange(len(X)), needed)


def _find_usual(values) -> float:
    """Return the mean of the lower nine tenths: with equal rows, a median may be zero."""
    return float(np.sort(values)[: max(1, int(0.9 * len(values)))].mean())


def _find_quantile(values, share: float, weights) -> float:
    """Return the weighted quantile, halfway to the next value."""
    order = np.argsort(values)
    values = values[order]
    weights = np.ones(len(values)) if weights is None else weights[order]
    below = np.cumsum(weights)
    # Slightly more than the share, because sums of weights are rounded.
    n_below = np.searchsorted(below, share * below[-1] * (1 + 1e-9), side="right")
    ends = values[max(n_below - 1, 0)], values[min(n_below, len(values) - 1)]
    return float(np.mean(ends))
