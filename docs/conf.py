"""Configuration of Sphinx; `make docs` builds the pages. Nothing here reads from the network."""

import os
import re
import shutil
from importlib.util import find_spec
from pathlib import Path

import skae

# Progress bars would be part of the output of slow cells.
os.environ["TQDM_DISABLE"] = "1"

project = "skae"
author = "The skae developers"
copyright = author
version = release = skae.__version__

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.extlinks",
    "sphinx.ext.mathjax",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "auto_examples/**.ipynb", "auto_examples/**.md5"]
templates_path = ["_templates"]
extlinks = {"doi": ("https://doi.org/%s", "doi:%s")}

# Pages. Every Python block of a page is a cell of one notebook, which runs in the build; on other
# hosts the pages read as plain Markdown.
nb_custom_formats = {
    ".md": ["myst_nb.core.read.read_myst_markdown_notebook", {"code_directive": "python"}]
}
# A page runs again when its code has changed; the Makefile empties the cache when skae has.
nb_execution_mode = "cache"
nb_execution_cache_path = str(Path(__file__).parent / "_build" / "executed")
nb_execution_show_tb = True
nb_execution_timeout = 600
nb_execution_in_temp = True
nb_merge_streams = True
# With -W, a page that prints a warning fails the build.
nb_output_stderr = "warn"
nb_ipywidgets_js = {}
myst_enable_extensions = ["amsmath", "deflist", "dollarmath", "colon_fence"]
myst_heading_anchors = 3

# MathJax, from a package instead of the network; `copy_mathjax` puts it there.
mathjax_path = "mathjax/tex-chtml.js"
mathjax3_config = {"options": {"enableMenu": False}}

# The reference, from `__all__` of the public modules.
autosummary_generate = True
autosummary_imported_members = True
autosummary_ignore_module_all = False
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

# Links into other packages would need their inventories, which are on the network.
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(sklearn|skorch|torch|numpy|scipy|pandas|matplotlib)\..*")]

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    # The last expression of a block shows only where it has a representation for pages.
    "capture_repr": ("_repr_html_",),
    "show_memory": False,
    "write_computation_times": False,
    "min_reported_time": 1,
    "parallel": True,
    # Pages of classes show the examples that use them.
    "backreferences_dir": "reference/backreferences",
    "doc_module": ("skae",),
}

html_theme = "pydata_sphinx_theme"
html_title = "skae"
html_static_path = ["_static"]
html_css_files = ["skae.css"]
html_sidebars = {page: [] for page in ("index", "install", "tour", "faq")}
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "show_prev_next": False,
    "show_toc_level": 2,
    "navbar_end": ["theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": {"**": ["page-toc"], "index": []},
    "pygments_light_style": "tango",
    "pygments_dark_style": "monokai",
}


def forget_examples(app):
    """Remove pages of examples that are no more; sphinx-gallery leaves them."""
    docs = Path(app.srcdir)
    for copy in (docs / "auto_examples").glob("plot_*.py"):
        if not (docs / "../examples" / copy.name).exists():
            copy.unlink()
            copy.with_suffix(".rst").unlink(missing_ok=True)


def mend_docstring(app, what, name, obj, options, lines):
    """Join a type that a backslash breaks, and keep the `_` of learned names from being a link."""
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines)).split("\n")
    lines[:] = [
        re.sub(r"(?<=\w)_(?=[,)])", r"\_", line) if "of shape (" in line else line
        for line in joined
    ]


def copy_mathjax(app, exception):
    """Copy what pages load: the package has 24 MB, of which they need 2."""
    # The package is a Sphinx extension, too, but forbids reading in parallel.
    package = Path(find_spec("sphinx-mathjax-offline").origin).parent / "static" / "mathjax"
    target = Path(app.outdir) / "_static" / "mathjax"
    if exception is None and app.builder.format == "html":
        shutil.copytree(package / "output/chtml", target / "output/chtml", dirs_exist_ok=True)
        shutil.copy(package / "tex-chtml.js", target)


def setup(app):
    """Connect the above; before numpydoc, which connects with the usual 500."""
    app.connect("autodoc-process-docstring", mend_docstring, priority=400)
    app.connect("builder-inited", forget_examples)
    app.connect("build-finished", copy_mathjax)
