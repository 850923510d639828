"""Check the built pages: links, loads from other hosts, and output that no reader should see.

Usage: python docs/check_pages.py FOLDER. Sphinx checks the links that it resolves itself; this
script also finds links in templates, in raw HTML and in printed output.
"""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class _Page(HTMLParser):
    """The names that a page can be entered by, what it links to, and what it loads."""

    def __init__(self, path):
        super().__init__()
        self.anchors, self.links, self.loads = {""}, set(), set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.anchors.update(given[key] for key in ("id", "name") if given.get(key))
        if tag == "a" and given.get("href"):
            self.links.add(given["href"])
        elif tag in ("img", "script", "source", "iframe") and given.get("src"):
            self.loads.add(given["src"])
        elif tag == "link" and "stylesheet" in (given.get("rel") or ""):
            self.loads.add(given["href"])


# In the reference, signatures may show a default value by its address: those are not output.
_UNWANTED = {
    "shows a bare representation": re.compile(r"&lt;[\w.]+ object at 0x"),
    "shows a warning or another message": re.compile(r'class="output stderr|\w+Warning: '),
    "shows a path of this machine": re.compile(re.escape(str(Path(__file__).parents[1]))),
}


def find_unwanted(text):
    """Yield what the text of a page should not show, with an excerpt."""
    for fault, pattern in _UNWANTED.items():
        if match := pattern.search(text):
            yield f"{fault}: {text[match.start() : match.start() + 120]!r}"


def find_faults(root):
    """Return a line for each dead link, each load from another host, and each unwanted output."""
    # Below _static are parts of the theme, no pages.
    paths = [path for path in sorted(root.rglob("*.html")) if "_static" not in path.parts]
    pages = {path: _Page(path) for path in paths}
    faults = []
    for path, page in pages.items():
        name = path.relative_to(root)
        faults += [f"{name} {fault}" for fault in find_unwanted(path.read_text(encoding="utf-8"))]
        for link in sorted(page.links | page.loads):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                if link in page.loads and parts.scheme != "data":
                    faults.append(f"{name} loads {link}")
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path.resolve()
            if not target.is_file():
                faults.append(f"{name} links to {link}, which is not there")
            elif target in pages and unquote(parts.fragment) not in pages[target].anchors:
                faults.append(f"{name} links to {link}, which is not on that page")
    return faults


if __name__ == "__main__":
    found = find_faults(Path(sys.argv[1]).resolve())
    print(
        "\n".join(found)
        or "All links lead somewhere, and no page shows warnings, bare objects or paths."
    )
    sys.exit(bool(found))
