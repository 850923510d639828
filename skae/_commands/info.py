"""``skae info``: tell what a file of `skae.save` holds."""

from skae._commands.console import make_plain
from skae.saving import read_about


def run(options):
    """Print what a file holds."""
    about = read_about(options.path)
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    lines = [about["class"], f"saved {about['saved']} with {versions}"]
    if "columns" in about:
        rows = f"{about['rows']} rows, " if "rows" in about else ""
        lines.append(f"fitted on {rows}{about['columns']} columns")
    if "names" in about:
        lines.append(f"columns: {', '.join(about['names'])}")
    if "codes" in about:
        lines.append(f"{about['codes']} codes")
    references = {"PCA": about.get("pca_error"), "latent semantic analysis": about.get("lsa_error")}
    for name, error in references.items():
        if error is not None:
            lines.append(f"error {about['error']:.6g} ({name}: {error:.6g})")
    for line in lines:
        print(make_plain(line))
