"""The code of the README runs. The code of other pages runs when they are built."""

import importlib
import pkgutil
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import skae

_ROOT = Path(__file__).parents[1]
_README = _ROOT / "README.md"
_DOCUMENTS = [_README, *sorted((_ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def write_churn(path):
    """Write a typical table: numbers, text, missing values, and row names."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(80, 5)), columns=["age", "calls", "bill", "sms", "data"])
    frame["contract"] = rng.choice(["month", "year"], 80)
    frame["churn"] = np.where(frame["bill"] > 0, "yes", "no")
    frame["customer_id"] = [f"C{number}" for number in range(80)]
    frame.loc[3:6, "bill"] = np.nan
    frame.loc[7:8, "contract"] = None
    frame.to_csv(path, index=False)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::skae.exceptions.NotBetterThanPCAWarning")
def test_code_in_the_readme_runs(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_churn("churn.csv")
    # Blocks continue the blocks before.
    code = "\n".join(_BLOCK.findall(_README.read_text(encoding="utf-8")))
    names = {}
    exec(compile(code, "<README>", "exec"), names)
    assert any(hasattr(value, "net_") for value in names.values()), "no estimator was fitted"


def find_source(link):
    """Return the target of a link. Pages of the gallery are made from the examples."""
    link = re.sub(r"^auto_examples/index.rst$", "../examples/GALLERY_HEADER.rst", link)
    return re.sub(r"^auto_examples/(.*).rst$", r"../examples/\1.py", link)


def test_links_between_documents_have_targets():
    missing = [
        (path.name, link)
        for path in _DOCUMENTS
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
        if not (path.parent / find_source(link)).exists()
    ]
    assert not missing


def test_every_page_is_in_a_table_of_contents():
    listed = set()
    for path in _DOCUMENTS[1:]:
        for block in re.findall(r"```\{toctree\}\n(.*?)```", path.read_text("utf-8"), re.DOTALL):
            listed |= {line.strip() for line in block.splitlines()}
    missing = {path.stem for path in _DOCUMENTS[1:]} - listed - {"index"}
    assert not missing, "add it to docs/guide.md"


def list_public():
    """Yield the public names of all modules except `skae.modules`."""
    yield from skae.__all__
    for _, name, _ in pkgutil.iter_modules(skae.__path__):
        if not name.startswith("_") and name != "modules":
            for own in importlib.import_module(f"skae.{name}").__all__:
                # Classes and functions exported by `skae` have one page.
                yield own if own in skae.__all__ else f"{name}.{own}"


def test_the_reference_lists_every_public_name():
    page = (_ROOT / "docs" / "api.rst").read_text(encoding="utf-8")
    listed = set(re.findall(r"^   ([\w.]+)$", page, re.MULTILINE))
    constants = {own for own in list_public() if own.rpartition(".")[2].isupper()}
    assert set(list_public()) - constants - listed == {"__version__"}
