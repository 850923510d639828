"""Padding of sequences of different lengths."""

from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_array
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from skae._estimators.atomic import atomic_fit, sees_one_fit
from skae._shared.scikit_learn import fit_context
from skae.sequences._reading import find_names, list_sequences, read_sequences

_END = 0.5


class SequencePadder(TransformerMixin, BaseEstimator):
    """Write sequences of different lengths into the rows of a table, padded with NaN.

    Each row contains one sequence, step after step, as ``architecture="recurrent"`` expects it with
    ``missing="mask"``.

    Parameters
    ----------
    max_length : int or None, default=None
        Maximum number of steps, at least 1; longer sequences are cut at the end. None uses the
        length of the longest sequence in `fit`.
    mark_end : bool, default=False
        Whether to add an end mark: a feature that is 0 in every step of the sequence and 1 in one
        additional step after its end, in which all other features are missing. A model then
        reconstructs the end of a sequence, and `inverse_transform` cuts there. Rows are one step
        longer.
    id_column : str or int or None, default=None
        Name of the column that identifies the sequence of each step, if X is a DataFrame with one
        row per step. Sequences are ordered by their first steps, and steps by the order of the
        rows, so sort by time first.

    Attributes
    ----------
    max_length_ : int
        Maximum number of steps.
    n_step_features_ : int
        Number of features per step.
    step_feature_names_ : list of str or None
        Names of the features of a step, if the sequences in `fit` were DataFrames.
    sample_shape_ : tuple of two ints
        Number of steps per row and of features per step, including the end mark and its step.

    See Also
    --------
    skae.architectures.Recurrent : Recurrent network for these rows.
    skae.text.TokenSequencer : Texts as rows of integers.

    Examples
    --------
    >>> from skae.sequences import SequencePadder
    >>> padder = SequencePadder()
    >>> X = padder.fit_transform([[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0]]])
    >>> X
    array([[ 1.,  2.,  3.,  4.],
           [ 5.,  6., nan, nan]])
    >>> padder.sample_shape_
    (2, 2)
    >>> [len(sequence) for sequence in padder.inverse_transform(X)]
    [2, 1]
    """

    _parameter_constraints: ClassVar[dict] = {
        "max_length": [Interval(Integral, 1, None, closed="left"), None],
        "mark_end": ["boolean"],
        "id_column": [str, Integral, None],
    }

    def __init__(self, max_length=None, *, mark_end=False, id_column=None) -> None:
        self.max_length = max_length
        self.mark_end = mark_end
        self.id_column = id_column

    @atomic_fit
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None) -> Self:
        """Determine the maximum length and the number of features per step.

        Parameters
        ----------
        X : iterable of array-likes of shape (length, n_step_features) or (length,)
            Sequences: for example a list of arrays, a Series of arrays (its index is ignored), or a
            list of DataFrames (columns are matched by name). Arrays with one axis have one feature
            per step. A DataFrame with one row per step needs `id_column`, or is passed as its
            groups. NaN stands for missing cells.
        y : object, default=None
            Ignored.

        Returns
        -------
        self : object
            The fitted transformer.

        Raises
        ------
        ValueError
            If there are no sequences, if a sequence is not a table of numbers, or if steps have
            different features. The message names the sequence.
        """
        sequences = list_sequences(X, self.id_column)
        names = find_names(sequences)
        arrays = self._read(sequences, names, None)
        longest = max(map(len, arrays))
        self.max_length_ = longest if self.max_length is None else int(self.max_length)
        self.n_step_features_ = arrays[0].shape[1]
        self.step_feature_names_ = names
        more = int(self.mark_end)
        self.sample_shape_ = self.max_length_ + more, self.n_step_features_ + more
        return self

    def fit_transform(self, X, y=None) -> Any:
        """Fit to sequences, and return them as rows.

        Parameters
        ----------
        X : object
            Sequences in any form that `fit` accepts. A generator is read once.
        y : object, default=None
            Ignored.

        Returns
        -------
        rows : ndarray of shape (n_samples, n_steps * n_features)
            One row per sequence, padded with NaN.
        """
        # Generators, and groups in some versions of polars, can be iterated only once.
        sequences = list_sequences(X, self.id_column)
        return self.fit(sequences, y).transform(sequences)

    @sees_one_fit
    def transform(self, X) -> Any:
        """Return sequences as rows.

        Parameters
        ----------
        X : iterable of array-likes of shape (length, n_step_features) or (length,)
            Sequences in any form that `fit` accepts.

        Returns
        -------
        rows : ndarray of shape (n_samples, n_steps * n_features)
            One row per sequence, padded with NaN. `sample_shape_` is (n_steps, n_features). In
            single precision if all sequences are, and in double precision otherwise.

        Raises
        ------
        ValueError
            If steps have different features than in `fit`.
        """
        check_is_fitted(self)
        given = list_sequences(X, self.id_column)
        names = find_names(given) if self.step_feature_names_ is None else self.step_feature_names_
        sequences = self._read(given, names, self.n_step_features_)
        rows = np.full(
            (len(sequences), *self.sample_shape_), np.nan, np.result_type(*sequences, np.float32)
        )
        for row, sequence in zip(rows, sequences, strict=True):
            kept = sequence[: self.max_length_]
            row[: len(kept), : self.n_step_features_] = kept
            if self.mark_end:
                row[: len(kept), -1] = 0
                row[len(kept), -1] = 1
        return rows.reshape(len(rows), -1)

    @sees_one_fit
    def inverse_transform(self, X) -> Any:
        """Return rows as sequences.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_steps * n_features)
            Rows, such as reconstructions of an autoencoder. Arrays of shape (n_samples, n_steps,
            n_features) are accepted as well.

        Returns
        -------
        sequences : list of ndarrays of shape (length, n_step_features)
            Sequences, cut at the end mark if there is one, and otherwise after the last step that
            is not all NaN.

        Raises
        ------
        ValueError
            If the number of cells differs from that of `transform`.
        """
        check_is_fitted(self)
        rows = check_array(
            X, dtype=(np.float64, np.float32), allow_nd=True, ensure_all_finite="allow-nan"
        )
        n_cells = int(np.prod(self.sample_shape_))
        if rows[0].size != n_cells:
            raise ValueError(
                f"X must have rows of {n_cells} cells, {self.sample_shape_[1]} for each of "
                f"{self.sample_shape_[0]} steps. Got an array of shape {rows.shape}. Pass rows as "
                "returned by `transform`."
            )
        return [self._cut(row) for row in rows.reshape(-1, *self.sample_shape_)]

    def _cut(self, row):
        """Return the steps of one row up to its end."""
        steps = row[: self.max_length_, : self.n_step_features_]
        if self.mark_end:
            ended = row[:, -1] > _END
            if ended.any():
                return steps[: ended.argmax()].copy()
        observed = np.flatnonzero(~np.isnan(steps).all(axis=1))
        return steps[: observed[-1] + 1 if len(observed) else 0].copy()

    def _read(self, sequences, names, n_step_features) -> list[np.ndarray]:
        """Return sequences as arrays of shape (length, n_step_features)."""
        arrays = read_sequences(sequences, names)
        wanted = arrays[0].shape[1] if n_step_features is None else n_step_features
        for i, array in enumerate(arrays):
            if array.shape[1] != wanted:
                raise ValueError(
                    f"X must have {wanted} features in each step. Got {array.shape[1]} in "
                    f"sequence {i}, of shape {array.shape}. Steps are rows, features columns."
                )
        return arrays

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Return a name for each column.

        Parameters
        ----------
        input_features : array-like of str of shape (n_step_features_,), default=None
            Names of the features of a step. None uses the names of the DataFrames in `fit`, or
            "feature0", "feature1", ....

        Returns
        -------
        names : ndarray of str objects
            Names such as "step3_feature0". The end mark is called "end".

        Raises
        ------
        ValueError
            If `input_features` has the wrong length.
        """
        check_is_fitted(self)
        given = self.step_feature_names_ if input_features is None else input_features
        if given is None:
            given = [f"feature{i}" for i in range(self.n_step_features_)]
        names = [str(name) for name in given]
        if len(names) != self.n_step_features_:
            raise ValueError(
                f"`input_features` must have {self.n_step_features_} names, one for each feature "
                f"of a step. Got {len(names)}. Leave it out for names by number."
            )
        names += ["end"] * self.mark_end
        steps = range(self.sample_shape_[0])
        return np.array([f"step{i}_{name}" for i in steps for name in names], dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        tags.no_validation = True
        return tags
