"""The linear start of an autoencoder, for tables that scikit-learn's PCA does not take."""

from dataclasses import replace

from skae._estimators.autoencoder import AutoencoderTransformer


class LinearStart(AutoencoderTransformer):
    """The start of an autoencoder, which is never trained.

    It is a factor analysis of mixed data for columns of several kinds, and a PCA of the cells that
    are there for numbers with missing cells. Parameters are those of `AutoencoderTransformer`.
    """

    def _make_loop(self):
        return replace(super()._make_loop(), max_iter=0)

    def _warn_of_weak_fit(self):
        """Give no warning: the model cannot be better than itself."""
