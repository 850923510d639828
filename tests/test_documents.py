"""Code in the README and in the guide runs as it stands."""

import re
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]
_DOCUMENTS = [_ROOT / "README.md", *sorted((_ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def pages_of_code():
    """Return the Python code of each document: one block goes on where the last one ended."""
    return [
        pytest.param("\n".join(blocks), id=path.name)
        for path in _DOCUMENTS
        if (blocks := _BLOCK.findall(path.read_text(encoding="utf-8")))
    ]


def test_the_readme_has_code():
    assert _BLOCK.search(_DOCUMENTS[0].read_text(encoding="utf-8"))


@pytest.mark.filterwarnings("ignore::skae.exceptions.NotBetterThanPCAWarning")
@pytest.mark.parametrize("page", pages_of_code())
def test_code_in_documents_runs(page, capsys, tmp_path, monkeypatch):
    # Some pages write files.
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(page, "<document>", "exec"), names)
    assert any(
        hasattr(value, "net_") or hasattr(value, "autoencoder_") for value in names.values()
    ), "no estimator was fitted"


@pytest.mark.parametrize("path", _DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(path):
    links = re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8"))
    missing = [link for link in links if not (path.parent / link).exists()]
    assert not missing
