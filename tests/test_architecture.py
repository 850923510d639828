"""The house rules that can be read from the source: layers, sizes, docstrings."""

import ast
import doctest
import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest
from numpydoc.validate import validate

import skae

ROOT = Path(skae.__file__).parent

# Imports go down this list, never up. `skae` itself holds the names of the estimators, and what
# stands beside them in a private module serves them: layer 3.
LAYERS = {
    "exceptions": 0,
    "_shared": 0,
    "corruption": 1,
    "modules": 1,
    "objectives": 1,
    "_engine": 2,
    "_estimators": 3,
    "": 3,
    "base": 3,
    "architectures": 2,
    "comparison": 5,
    "datasets": 4,
    "generate": 4,
    "inspection": 4,
    "io": 4,
    "metrics": 4,
    "sequences": 4,
    "text": 4,
    "distributed": 5,
    "zoo": 5,
    "__main__": 6,
}
# Packages that layers 1 and 2 must do without; the layers above may import everything.
FOREIGN = {1: {"skorch", "pandas", "scipy"}, 2: {"pandas"}}

# The parts of layer 1 know nothing of each other.
STRANGERS = {"corruption", "modules", "objectives"}

MOST_CODE_LINES = 50

SIGNATURE_ERRORS = {
    "PR01": "a parameter has no description",
    "PR02": "a parameter described is not in the signature",
    "PR03": "the parameters are in another order",
}
PUBLIC_ERRORS = SIGNATURE_ERRORS | {
    "GL08": "there is no docstring",
    "PR04": "a parameter has no type",
    "PR07": "a parameter has no text",
    "SS01": "there is no summary",
}

FILES = sorted(ROOT.rglob("*.py"))


def name_file(path):
    return path.relative_to(ROOT.parent).as_posix()


def find_part(module):
    return (module.split(".") + [""])[1]


def find_layer(module):
    """Return the layer of a module of skae, given its dotted name."""
    part = find_part(module)
    if part.startswith("_") and part not in LAYERS:
        return LAYERS[""]
    assert part in LAYERS, f"{module}: give it a layer in LAYERS of this test"
    return LAYERS[part]


def find_module(path):
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def list_imports(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            if node.module == "skae":
                # `from skae import io` takes a module, `from skae import Name` does not.
                modules = {alias.name for alias in node.names} & set(LAYERS)
                yield from (f"skae.{name}" for name in modules)
            yield node.module


@pytest.mark.parametrize("path", FILES, ids=name_file)
def test_imports_go_down(path):
    module = find_module(path)
    layer = find_layer(module)
    for name in list_imports(ast.parse(path.read_text())):
        top = name.split(".")[0]
        assert top not in FOREIGN.get(layer, ()), f"layer {layer} does without {name}"
        if top == "sklearn" and layer == 1:
            # Losses, penalties and noise are estimators to a search; networks are torch alone.
            assert find_part(module) != "modules"
            assert name == "sklearn.base"
        if top == "skae":
            assert find_layer(name) <= layer, f"layer {layer} knows nothing of {name}"
            parts = {find_part(module), find_part(name)}
            assert not (len(parts) == 2 and parts <= STRANGERS), f"{module} knows nothing of {name}"


@pytest.mark.parametrize(
    ("source", "imported"),
    [
        ("import skae.io._tables", ["skae.io._tables"]),
        ("from skae import io, AutoencoderTransformer", ["skae.io", "skae"]),
        ("def f():\n    from skae.zoo import load", ["skae.zoo"]),
    ],
)
def test_imports_are_found_wherever_they_stand(source, imported):
    assert list(list_imports(ast.parse(source))) == imported


def list_docstring_lines(tree):
    """Return the numbers of the lines that docstrings take."""
    lines = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
            node
        ):
            lines.update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return lines


def count_code_lines(function, source):
    skipped = list_docstring_lines(function)
    lines = source.splitlines()
    return sum(
        bool(text := lines[number - 1].strip()) and not text.startswith("#")
        for number in range(function.lineno, function.end_lineno + 1)
        if number not in skipped
    )


def stores_parameters(function):
    """Tell whether all that a function does is ``self.name = name``, as scikit-learn wants it."""
    return function.name == "__init__" and all(
        isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Name)
        and ast.unparse(node.targets[0]) == f"self.{node.value.id}"
        for node in function.body
    )


@pytest.mark.parametrize("path", FILES, ids=name_file)
def test_functions_are_short(path):
    source = path.read_text()
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    long = {
        node.name: count
        for node in functions
        if not stores_parameters(node)
        if (count := count_code_lines(node, source)) > MOST_CODE_LINES
    }
    assert not long, f"no more than {MOST_CODE_LINES} lines of code"


def test_lines_of_code_are_counted():
    source = 'def f(a):\n    """Say.\n\n    More.\n    """\n    # why\n\n    return a\n'
    assert count_code_lines(ast.parse(source).body[0], source) == 2


def list_modules():
    # Importing __main__ is harmless: it runs only as a program.
    found = pkgutil.walk_packages([str(ROOT)], prefix="skae.")
    return ["skae", *sorted(module.name for module in found)]


def is_public(dotted):
    return not any(part.startswith("_") for part in dotted.split("."))


def list_public_objects():
    """Return the dotted names of what the public modules export."""
    for name in filter(is_public, list_modules()):
        module = importlib.import_module(name)
        assert hasattr(module, "__all__"), f"{name} must say in __all__ what it exports"
        for exported in module.__all__:
            if callable(getattr(module, exported)):
                yield f"{name}.{exported}"


def list_described_callables():
    """Return the dotted names of all functions and methods whose docstring names parameters."""
    for name in list_modules():
        module = importlib.import_module(name)
        for owner, members in [(name, module), *list_classes(module)]:
            for member, value in vars(members).items():
                function = inspect.unwrap(value) if callable(value) else None
                if not inspect.isfunction(function) or function.__module__ != name:
                    continue
                if "Parameters\n" in (function.__doc__ or ""):
                    yield f"{owner}.{member}"


def list_classes(module):
    for name, value in vars(module).items():
        if inspect.isclass(value) and value.__module__ == module.__name__:
            yield f"{module.__name__}.{name}", value


def find_errors(name, codes):
    return {code: text for code, text in validate(name)["errors"] if code in codes}


def inherits_constructor(value):
    origin = getattr(getattr(value, "__init__", None), "__module__", None) or ""
    return inspect.isclass(value) and not origin.startswith("skae")


def list_examples(value):
    """Return the examples under that heading of an object's own docstring, inherited ones not."""
    _, _, section = inspect.cleandoc(value.__doc__ or "").partition("Examples\n--------\n")
    return doctest.DocTestParser().get_examples(section)


@pytest.mark.parametrize("name", sorted(list_public_objects()))
def test_public_objects_are_documented(name):
    codes = PUBLIC_ERRORS
    value = importlib.import_module(name.rpartition(".")[0]).__dict__[name.rpartition(".")[2]]
    if hasattr(value, "__dataclass_fields__"):
        # The fields are documented once, as attributes.
        codes = {"GL08", "SS01"}
    elif inherits_constructor(value):
        codes = PUBLIC_ERRORS.keys() - SIGNATURE_ERRORS.keys()
    assert not find_errors(name, codes)
    examples = list_examples(value)
    assert examples, "there is no example"
    assert not any(doctest.SKIP in example.options for example in examples), "an example must run"


@pytest.mark.parametrize("name", sorted(list_described_callables()))
def test_docstrings_match_signatures(name):
    assert not find_errors(name, SIGNATURE_ERRORS)


def test_version_is_the_one_installed():
    from importlib.metadata import version

    assert skae.__version__ == version("skae")
