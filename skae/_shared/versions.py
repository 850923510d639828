"""Package versions in pickles."""

from importlib.metadata import version

from skae._shared.warning import warn_user
from skae.exceptions import InconsistentVersionWarning


def current_versions() -> dict[str, str]:
    """Return the versions of the packages that a fitted estimator depends on."""
    # The part after the plus sign is torch's kind of build.
    return {name: version(name).partition("+")[0] for name in ("skae", "torch", "scikit-learn")}


def check_versions(versions: dict[str, str], name: str):
    """Warn if an estimator was pickled with other versions than those installed."""
    now = current_versions()
    different = [
        f"{package} {then} (now {now[package]})"
        for package, then in versions.items()
        if now.get(package) != then
    ]
    if different:
        warn_user(
            f"This {name} was pickled under {', '.join(different)}. Its results may differ, or it "
            "may fail. Fit it again, or install the versions under which it was pickled.",
            InconsistentVersionWarning,
        )
