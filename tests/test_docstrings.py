"""Rules of docstrings that no tool of `make lint` checks."""

import ast
import doctest
import importlib
import inspect
import pkgutil
import re
from functools import cache
from importlib.metadata import version
from pathlib import Path

from numpydoc.docscrape import NumpyDocString

import skae

ROOT = Path(skae.__file__).parent

# Descriptions that begin with these words do not name what they describe.
EMPTY_BEGINNING = re.compile(r"(What|Of|The same|Theirs|These)\b")
SECTIONS = ("Parameters", "Other Parameters", "Returns", "Yields", "Attributes")


def list_public_objects():
    """Return names and values of public classes and functions."""
    names = ["skae", *(module.name for module in pkgutil.walk_packages([str(ROOT)], "skae."))]
    for name in names:
        if any(part.startswith("_") for part in name.split(".")):
            continue
        module = importlib.import_module(name)
        for exported in module.__all__:
            if callable(value := getattr(module, exported)):
                yield f"{name}.{exported}", value


def has_parameters_of_its_own(value):
    """Return whether an object documents parameters of its own, not inherited ones or fields."""
    origin = getattr(getattr(value, "__init__", None), "__module__", None) or ""
    if inspect.isclass(value) and not origin.startswith("skae"):
        return False
    return not hasattr(value, "__dataclass_fields__") and inspect.signature(value).parameters


def test_public_objects_describe_their_parameters():
    # Linters check that the section names every parameter.
    faults = [
        name
        for name, value in list_public_objects()
        if has_parameters_of_its_own(value)
        and "Parameters\n----------" not in inspect.getdoc(value)
    ]
    assert not faults


def list_examples(value):
    """Return the examples in the object's own docstring, without inherited ones."""
    _, _, section = inspect.cleandoc(value.__doc__ or "").partition("Examples\n--------\n")
    return doctest.DocTestParser().get_examples(section)


def test_public_objects_have_an_example_that_runs():
    faults = [
        name
        for name, value in list_public_objects()
        if not (examples := list_examples(value))
        or any(doctest.SKIP in example.options for example in examples)
    ]
    assert not faults


@cache
def list_nodes():
    """Return the file and each node of the syntax trees of the package."""
    paths = sorted(ROOT.rglob("*.py"))
    return [(path.name, node) for path in paths for node in ast.walk(ast.parse(path.read_text()))]


def list_descriptions():
    """Return the descriptions of parameters, return values and attributes."""
    for name, node in list_nodes():
        if not isinstance(node, ast.ClassDef | ast.FunctionDef):
            continue
        docstring = NumpyDocString(ast.get_docstring(node) or "")
        for section in SECTIONS:
            for field in docstring[section]:
                place = f"{name}:{node.lineno} {node.name}, {field.name or field.type}"
                yield place, " ".join(field.desc).strip()


def test_docstrings_begin_with_the_noun_that_they_describe():
    texts = [
        (f"{name}:{node.lineno}", node.value.value.lstrip())
        for name, node in list_nodes()
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    ]
    assert [place for place, text in texts if EMPTY_BEGINNING.match(text)] == []


def test_descriptions_begin_with_the_noun_that_they_describe():
    faults = {place: text for place, text in list_descriptions() if EMPTY_BEGINNING.match(text)}
    assert not faults


def test_version_is_the_same_in_all_places():
    citation = Path(__file__).parents[1] / "CITATION.cff"
    assert skae.__version__ == version("skae")
    assert f"\nversion: {skae.__version__}\n" in citation.read_text()


def test_the_installed_package_is_marked_as_typed():
    assert (ROOT / "py.typed").is_file()
