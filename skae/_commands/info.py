"""``skae info``: describe a file of `skae.save`."""

from skae._commands.console import make_plain
from skae.saving import read_about

# Entries of lists in cards.
_MOST_SHOWN = 8


def run(options):
    """Print the description of a file."""
    print_about(read_about(options.path))


def print_about(about):
    """Print the result of `read_about`."""
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    fitted = f"fitted {about['fitted']}, " if "fitted" in about else ""
    lines = [about["class"], f"{fitted}saved {about['saved']} with {versions}"]
    lines += _describe_fit(about)
    if "names" in about:
        lines.append(f"columns: {', '.join(about['names'])}")
    for part in about.get("parts", []):
        fitted = f", fitted {part['fitted']}" if "fitted" in part else ""
        lines += [f"holds {part['class']}{fitted}", *(f"  {own}" for own in _describe_fit(part))]
    lines += [f"{name}: {show(value)}" for name, value in about.get("card", {}).items()]
    for line in lines:
        print(make_plain(line))


def _describe_fit(about):
    """Return lines on the rows and columns of a fit, the codes and the errors."""
    lines = []
    if "columns" in about:
        rows = f"{about['rows']} rows, " if "rows" in about else ""
        lines.append(f"fitted on {rows}{about['columns']} columns")
    if "codes" in about:
        lines.append(f"{about['codes']} code{'' if about['codes'] == 1 else 's'}")
    references = {"PCA": about.get("pca_error"), "latent semantic analysis": about.get("lsa_error")}
    lines += [
        f"error {about['error']:.6g} ({name}: {error:.6g})"
        for name, error in references.items()
        if error is not None
    ]
    return lines


def show(value):
    """Return a value of a card as a line."""
    if isinstance(value, dict):
        return "; ".join(f"{name} {show(own)}" for name, own in value.items())
    if isinstance(value, list):
        shown = ", ".join(map(show, value[:_MOST_SHOWN]))
        return shown if len(value) <= _MOST_SHOWN else f"{shown}, ... ({len(value)} in all)"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
