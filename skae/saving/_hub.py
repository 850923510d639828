"""Addresses of files on the Hugging Face Hub."""

import re
from pathlib import Path

from skae._shared.extras import import_extra

_SCHEME = "hf://"
_NAME = "model.skae"
_ADDRESS = re.compile(
    r"hf://(?P<repo_id>[\w.-]+/[\w.-]+)(?:/(?P<filename>[^@]+))?(?:@(?P<revision>[^@]+))?"
)


def find_file(path) -> Path:
    """Return the path of a file, after downloading it if the address is on the Hugging Face Hub.

    Such an address is "hf://owner/name", optionally followed by "/" and the path of a file in the
    repository (default "model.skae"), and by "@" and a revision. The path is then in the cache of
    the hub.
    """
    if not isinstance(path, str) or not path.startswith(_SCHEME):
        return Path(path)
    found = _ADDRESS.fullmatch(path)
    if found is None:
        raise ValueError(
            '`path` must have the form "hf://owner/name" or "hf://owner/name/file.skae@revision". '
            f"Got {path!r}. Copy owner and name from the address of the repository."
        )
    hub = import_extra("huggingface_hub", "hub", 'skae.load("hf://...")')
    name, revision = found["filename"] or _NAME, found["revision"]
    return Path(hub.hf_hub_download(found["repo_id"], name, revision=revision))
