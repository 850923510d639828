"""Data frames of several kinds of columns, and models of them, as tables of numbers."""

import numpy as np

from skae._engine import decode_table, encode_table, ordinary_torch_state
from skae._estimators.autoencoder import AutoencoderTransformer
from skae._estimators.frame_columns import summarize_columns
from skae._estimators.frames import FrameForm


class NumberView:
    """A fitted model of a data frame, as a model of the encoded rows that its network sees."""

    def __init__(self, model):
        self.model, self.frame = model, model._frame
        self.feature_names_in_ = np.array(self.frame.name_encoded(), dtype=object)
        self.sample_shape_ = self.frame.seen

    def read(self, X, *, complete: bool) -> np.ndarray:
        """Return the encoded rows of a data frame, with NaN for missing cells.

        With `complete`, reconstructions replace missing cells.
        """
        rows = self.frame.read(self.model, X)
        if not complete or not np.isnan(rows).any():
            return rows
        return np.where(np.isnan(rows), self.inverse_transform(self.transform(rows)), rows)

    def transform(self, X) -> np.ndarray:
        """Return the codes of encoded rows."""
        rows = self.frame.complete(np.asarray(X, dtype=np.float64), self.model.mean_)
        with ordinary_torch_state():
            return encode_table(self.model.net_.module_, rows, self.model._standardization)

    def inverse_transform(self, X) -> np.ndarray:
        """Return the encoded rows that codes stand for."""
        codes = np.asarray(X, dtype=self.model._network_dtype)
        with ordinary_torch_state():
            return decode_table(self.model.net_.module_, codes, self.model._standardization)


def place_frames(X, *others) -> tuple:
    """Return the form of the columns of X, and all data frames as points.

    Distances between the points, of standardised numbers and scaled indicators, count all columns
    of X alike. Missing cells are NaN. The other frames may have further columns.
    """
    names = [own.name for own in summarize_columns(X) if own.reason is None]
    template = AutoencoderTransformer(missing="mask")
    form = FrameForm.fit(template, X[names], None)
    return form, *(form.read(template, own[names]) for own in (X, *others))


def fill_with_means(points: np.ndarray) -> np.ndarray:
    """Return points with the means of their columns in place of missing cells."""
    return np.where(np.isnan(points), np.nanmean(points, axis=0), points)
