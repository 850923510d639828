"""Estimators in notebooks: a link to the documentation, and errors next to those of PCA."""

from html import escape
from importlib import metadata

from sklearn.base import BaseEstimator

_PAGE = "{address}/reference/{path}.html"
_ERRORS = {
    "pca_reconstruction_error_": "PCA",
    "lsa_reconstruction_error_": "latent semantic analysis",
}
_STYLE = "font: 0.85em system-ui, sans-serif; margin: 0.3em 0 0.6em"


def find_documentation() -> str | None:
    """Return the address of the documentation from the package metadata, if any."""
    try:
        addresses = metadata.metadata("skae").get_all("Project-URL") or []
    except metadata.PackageNotFoundError:
        return None
    pairs = (own.partition(",") for own in addresses)
    known = {name.strip().lower(): address.strip() for name, _, address in pairs}
    return known["documentation"].rstrip("/") if "documentation" in known else None


class HTMLMixin(BaseEstimator):
    """Add the results of a fit to scikit-learn's diagram of an estimator."""

    _doc_link_module = "skae"

    def _get_doc_link(self) -> str:
        """Return the address of the page of the class, or an empty string."""
        address, own = find_documentation(), type(self)
        package = own.__module__.partition("._")[0]
        if address is None or own.__module__.partition(".")[0] != self._doc_link_module:
            return ""
        return _PAGE.format(address=address, path=f"{package}.{own.__name__}")

    def _repr_html_inner(self) -> str:
        return super()._repr_html_inner() + self._describe_fit()

    def _repr_mimebundle_(self, **kwargs):
        bundle = super()._repr_mimebundle_(**kwargs)
        if "text/html" in bundle:
            bundle["text/html"] = self._repr_html_inner()
        return bundle

    def _describe_fit(self) -> str:
        """Return a line on codes, epochs and errors of a fitted autoencoder."""
        reference = next((name for name in _ERRORS if hasattr(self, name)), None)
        if reference is None or not hasattr(self, "reconstruction_error_"):
            return ""
        rows = "training" if getattr(self, "validation_loss_curve_", None) is None else "held-out"
        name = _ERRORS[reference] if getattr(self, "_frame", None) is None else "FAMD"
        text = (
            f"{self.n_components_} codes, epoch {self.best_iter_} of {self.n_iter_}. "
            f"Reconstruction error on the {rows} rows: {self.reconstruction_error_:.4g}; "
            f"{name}: {getattr(self, reference):.4g}."
        )
        return f'<p style="{_STYLE}">{escape(text)}</p>'
