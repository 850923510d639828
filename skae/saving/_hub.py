"""Addresses of files on the Hugging Face hub."""

import re
from pathlib import Path

from skae._shared.extras import import_extra

_SCHEME = "hf://"
_NAME = "model.skae"
_ADDRESS = re.compile(
    r"hf://(?P<repo_id>[\w.-]+/[\w.-]+)(?:/(?P<filename>[^@]+))?(?:@(?P<revision>[^@]+))?"
)


def find_file(path) -> Path:
    """Return the path of a file, which is fetched first where its address is one of the hub.

    Parameters
    ----------
    path : str or path-like
        Path, or "hf://owner/name", which may be followed by "/" with the path of a file in that
        repository, "model.skae" by default, and by "@" with a revision.

    Returns
    -------
    path : Path
        Path of the file, in the hub's cache where it has been fetched.

    Raises
    ------
    ValueError
        If the address is not of this form.
    ImportError
        If huggingface_hub is needed and not installed.
    """
    if not isinstance(path, str) or not path.startswith(_SCHEME):
        return Path(path)
    found = _ADDRESS.fullmatch(path)
    if found is None:
        raise ValueError(
            '`path` must be like "hf://owner/name" or "hf://owner/name/file.skae@revision". '
            f"Got {path!r}. Copy owner and name from the address of the repository."
        )
    hub = import_extra("huggingface_hub", "hub", 'skae.load("hf://...")')
    name, revision = found["filename"] or _NAME, found["revision"]
    return Path(hub.hf_hub_download(found["repo_id"], name, revision=revision))
