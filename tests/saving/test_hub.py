"""Models from the Hugging Face Hub, which a folder replaces."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

import skae
from skae.__main__ import main
from skae.saving import read_about

pytestmark = pytest.mark.filterwarnings("ignore::skae.exceptions.NotBetterThanPCAWarning")

X = np.random.RandomState(0).normal(size=(60, 5)).cumsum(axis=1)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Replace the hub by a folder: owner/name/revision/file."""
    calls = []

    def download(repo_id, filename, *, revision=None):
        calls.append((repo_id, filename, revision))
        path = tmp_path / repo_id / (revision or "main") / filename
        if not path.is_file():
            raise FileNotFoundError(f"404: {path}")
        return str(path)

    monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(hf_hub_download=download))
    return SimpleNamespace(path=tmp_path, calls=calls)


@pytest.mark.mostly_slow(2, first=1)
@pytest.mark.parametrize(
    ("address", "file"),
    [
        ("hf://someone/digits", "main/model.skae"),
        ("hf://someone/digits/small.skae", "main/small.skae"),
        ("hf://someone/digits/models/small.skae@v1.0", "v1.0/models/small.skae"),
        ("hf://someone/digits@v2", "v2/model.skae"),
    ],
)
def test_addresses_name_repository_file_and_revision(address, file, hub):
    model = skae.AutoencoderTransformer(2, max_iter=1, random_state=0).fit(X)
    path = hub.path / "someone" / "digits" / file
    path.parent.mkdir(parents=True)
    skae.save(model, path)
    np.testing.assert_array_equal(skae.load(address).transform(X), model.transform(X))
    assert read_about(address)["columns"] == 5
    assert main(["info", address]) == 0
    assert len(hub.calls) == 3


def test_other_addresses_are_refused(hub):
    for address in [
        "hf://",
        "hf://someone",
        "hf://someone/",
        "hf://a/b@",
        "hf://a b/c",
        "hf://a/b/c@d@e",
    ]:
        with pytest.raises(ValueError, match="`path` must have the form"):
            skae.load(address)
        assert hub.calls == []


def test_files_missing_on_the_hub_raise_the_error_of_the_hub(hub, capsys):
    with pytest.raises(FileNotFoundError, match="404"):
        skae.load("hf://someone/nothing")
    assert main(["info", "hf://someone/nothing"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_files_of_the_hub_are_not_trusted(hub):
    path = hub.path / "someone" / "bad" / "main" / "model.skae"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(skae.exceptions.ModelFileError):
        skae.load("hf://someone/bad")


def test_a_missing_package_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match=r'pip install "skae\[hub\]"'):
        skae.load("hf://someone/digits")


def test_paths_that_look_like_addresses_are_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError):
        skae.load("hf:/someone/digits")
