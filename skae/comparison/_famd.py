"""Factor analysis of mixed data, which stands beside autoencoders of such data as PCA does."""

from dataclasses import replace

from skae._estimators.autoencoder import AutoencoderTransformer


class FAMD(AutoencoderTransformer):
    """The start of an autoencoder of columns of several kinds, which is never trained.

    Parameters are those of `AutoencoderTransformer`.
    """

    def _make_loop(self):
        return replace(super()._make_loop(), max_iter=0, early_stopping=False)

    def _warn_of_weak_fit(self):
        """Say nothing: it cannot be better than itself."""
