"""Samples, codes and reconstructions of any transformer, as arrays of numbers."""

import numpy as np
from scipy import sparse
from sklearn.utils import _safe_indexing, check_array

from skae._estimators.containers import count_axes, read_container
from skae._estimators.frame_columns import is_mixed_frame
from skae._estimators.frame_numbers import NumberView, fill_with_means, place_frames
from skae._estimators.samples import flatten_samples, stack_samples
from skae._estimators.sparse_tables import find_dtypes, tidy_numbers, tidy_table
from skae._estimators.stored_tables import is_arrow_table
from skae.sequences import SequencePadder

# Numbers of channels of images that can be drawn: grey or coloured.
_DRAWN_CHANNELS = (1, 3)


def encode(estimator, X):
    """Return the codes of samples as an array, and check that the estimator can decode them."""
    _check_both_ways(estimator)
    return to_array(estimator.transform(X))


def decode(estimator, codes, n_features=None):
    """Return the reconstructions of codes as an array, with images and sequences flattened.

    Sequences of different lengths end in NaN. They are padded or cut to `n_features` if it is
    given.
    """
    _check_both_ways(estimator)
    reconstructions = estimator.inverse_transform(codes)
    rows = to_array(reconstructions)
    if n_features is None or not isinstance(reconstructions, list):
        return rows
    return _set_width(rows, n_features)


def reconstruct(estimator, X):
    """Return samples and their reconstructions as two arrays of one shape.

    Missing cells of samples are NaN, as are those beyond the end of a reconstructed sequence.
    """
    values = to_array(X)
    reconstructions = decode(estimator, encode(estimator, X), values.shape[1])
    if is_ragged(read_container(X)):
        values = np.where(np.isnan(reconstructions), np.nan, values)
    return values, reconstructions


def _set_width(rows, n_columns):
    """Return rows cut to a number of columns, or padded to it with NaN."""
    missing = n_columns - rows.shape[1]
    if missing <= 0:
        return rows[:, :n_columns]
    return np.pad(rows, ((0, 0), (0, missing)), constant_values=np.nan)


def to_array(table):
    """Return samples of any form as a dense array of floats.

    Arrays with more axes and lists of samples are flattened. Missing values, and those beyond the
    end of a sequence, are NaN.
    """
    table = index_samples(table)
    if is_ragged(table):
        return SequencePadder().fit_transform(table)
    table = tidy_numbers(flatten_samples(table), dense=True)
    if sparse.issparse(table):
        table = table.toarray()
    return check_array(
        table, dtype=find_dtypes(table), ensure_all_finite="allow-nan", input_name="X"
    )


def check_complete(table):
    """Raise an error for missing cells in an array or CSR matrix."""
    if np.isnan(table.data if sparse.issparse(table) else table).any():
        raise ValueError(
            "X must have no missing cells, as distances and PCA require. Got NaN. Fill them in, as "
            "with skae.AutoencoderImputer."
        )


def place(table, *, centred: bool = True):
    """Return points in a unit in which distances neither overflow nor lose digits.

    All distances change by the same factor. With `centred`, the median of each column is
    subtracted, unless the table is sparse.
    """
    if sparse.issparse(table):
        points = table.copy()
        points.data = _scale(points.data)
        return points
    points = _scale(table)
    if centred:
        # An element of the column, so that whole numbers stay whole and equal distances equal.
        points = _scale(points - np.quantile(points, 0.5, axis=0, method="lower"))
    return points


def _scale(values: np.ndarray) -> np.ndarray:
    """Divide values by a power of two, which is exact, such that the largest is about 1."""
    return np.ldexp(values, -np.frexp(np.abs(values).max(initial=0))[1])


def find_frame_model(estimator, X):
    """Return the model of a data frame with columns of several kinds, and the model's input.

    The model is the last step of the estimator. If it was not fitted to such a frame, return None
    and the given samples.
    """
    steps = getattr(estimator, "steps", None)
    model = steps[-1][1] if steps else estimator
    if getattr(model, "_frame", None) is None:
        return None, X
    return model, estimator[:-1].transform(X) if steps and len(steps) > 1 else X


def view_numbers(estimator, X, *, complete: bool = False):
    """Return a model and its samples as numbers.

    If the estimator was fitted to a data frame with columns of several kinds, these are a view of
    the estimator and the encoded rows, in which reconstructions replace missing cells with
    `complete`. Others are returned unchanged.
    """
    model, frame = find_frame_model(estimator, X)
    if model is None:
        return estimator, X
    view = NumberView(model)
    return view, view.read(frame, complete=complete)


def find_points(X):
    """Return samples as points whose distances can be computed.

    Data frames with columns of several kinds become an array of standardised numbers and scaled
    indicators of categories, with means for missing cells. Other samples are unchanged.
    """
    samples = index_samples(X)
    return fill_with_means(place_frames(samples)[1]) if is_mixed_frame(samples) else X


def read_pair(X, reconstructions):
    """Return samples and their given reconstructions as two arrays of numbers, and their form.

    Data frames with columns of several kinds are encoded by `place_frames`, which returns the form;
    for other samples it is None.
    """
    samples = index_samples(X)
    if not is_mixed_frame(samples):
        return to_array(X), to_array(reconstructions), None
    form, *tables = place_frames(samples, index_samples(reconstructions))
    return *tables, form


def index_samples(X):
    """Return samples in a form whose rows can be selected by position.

    Data frames are kept because of their names; tables in lists and sequences of different lengths
    remain lists.
    """
    samples = tidy_table(read_container(X))
    return samples if is_ragged(samples) else stack_samples(samples)


def select_samples(samples, indices):
    """Return the samples at these indices, in the same form, as given by `index_samples`."""
    if is_arrow_table(samples):
        # Earlier versions of scikit-learn select no rows of Arrow tables.
        return samples.take(indices)
    return _safe_indexing(samples, indices)


def is_ragged(X) -> bool:
    """Return whether X is a list of sequences of different lengths."""
    if not isinstance(X, list | tuple) or not len(X) or count_axes(X) not in (2, 3):
        return False
    return len({len(sequence) for sequence in X if hasattr(sequence, "__len__")}) > 1


def find_image_shape(X, estimator=None):
    """Return (channels, height, width) if samples are images that can be drawn, otherwise None.

    If X is a table, the shape is that of the samples of the estimator.
    """
    shape = tuple(getattr(index_samples(X), "shape", ()))[1:]
    if len(shape) < 2:
        last = estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator
        shape = tuple(getattr(last, "sample_shape_", ()))
    return shape if is_image_shape(shape) else None


def is_image_shape(shape) -> bool:
    """Return whether samples of this shape can be drawn as images."""
    return len(shape) == 3 and shape[0] in _DRAWN_CHANNELS


def _check_both_ways(estimator):
    if not (hasattr(estimator, "transform") and hasattr(estimator, "inverse_transform")):
        raise TypeError(
            "`estimator` must have `transform` and `inverse_transform`. Got "
            f"{type(estimator).__name__}. If a pipeline ends in a predictor, pass the steps before "
            "it: `pipeline[:-1]`."
        )
