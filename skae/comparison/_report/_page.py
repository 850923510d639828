"""HTML of the report: the template of the page, and its sections, pictures and tables."""

from html import escape
from string import Template

_PAGE = Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title: $reference and an autoencoder</title>
<style>
:root {
  color-scheme: light dark;
  --text: #1c2126; --muted: #59636e; --page: #fff; --card: #f4f6f8; --line: #d5dae0;
}
@media (prefers-color-scheme: dark) {
  :root { --text: #e3e7eb; --muted: #a2acb7; --page: #14181c; --card: #1f252b; --line: #3a434c; }
  img { filter: brightness(.87); }
  /* Black lines on white become white lines on black; blue stays blue. */
  img.chart { filter: invert(.9) hue-rotate(180deg) brightness(1.4); background: none; }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 62rem; padding: 1.5rem 1rem 3rem;
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  color: var(--text); background: var(--page); overflow-wrap: break-word;
  -webkit-text-size-adjust: 100%;
}
h1 { font-size: clamp(1.5rem, 1.1rem + 2vw, 2.3rem); line-height: 1.25; margin: 0 0 .75rem; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .5rem; }
p { max-width: 44rem; margin: .5rem 0; }
.muted, figcaption, footer { color: var(--muted); font-size: .9rem; }
.pictures {
  display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr));
}
figure { margin: 0; padding: .75rem; background: var(--card); border-radius: .5rem; }
img {
  display: block; width: 100%; max-width: 37.5rem; height: auto; margin: 0 auto;
  background: #fff; border-radius: .25rem;
}
figcaption { margin-top: .5rem; }
.plot { position: relative; max-width: 37.5rem; margin: 0 auto; }
.plot svg { position: absolute; inset: 0; width: 100%; height: 100%; }
circle { fill: transparent; pointer-events: all; }
circle:hover { stroke: #d1495b; stroke-width: 2; }
@media print { .plot svg { display: none; } }
.scroll { overflow-x: auto; margin-top: .75rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid var(--line); }
th { vertical-align: bottom; line-height: 1.25; }
td { white-space: nowrap; }
.name { text-align: left; }
td.name { white-space: normal; overflow-wrap: anywhere; }
@media (max-width: 30rem) {
  th, td { padding: .3rem .35rem; font-size: .875rem; }
  /* Narrower cells would break names within words. */
  .words td.name { min-width: 6.5rem; }
}
tr.chosen { background: var(--card); font-weight: 600; }
pre {
  overflow-x: auto; padding: .9rem; background: var(--card); border-radius: .5rem;
  font-size: .875rem; line-height: 1.45;
}
footer { margin-top: 3rem; padding-top: .75rem; border-top: 1px solid var(--line); }
</style>
</head>
<body>
<header>
<h1>$verdict</h1>
<p class="muted">$title</p>
</header>
<main>
$main
</main>
<footer>$footer</footer>
</body>
</html>
""")


_WORDS = ' class="words"'
_TEXT = ' class="name"'


def fill_page(title, verdict, sections, footer, reference):
    """Return a page (HTML) from texts and the sections in HTML.

    `reference` is "PCA" or "FAMD", the method compared with the autoencoder.
    """
    return _PAGE.substitute(
        title=escape(title),
        verdict=escape(verdict),
        main="\n".join(sections),
        footer=escape(footer),
        reference=reference,
    )


def make_section(heading, *parts):
    """Return HTML parts below a heading, which is text, as a section."""
    return "\n".join(["<section>", f"<h2>{escape(heading)}</h2>", *parts, "</section>"])


def make_paragraph(text):
    """Return a paragraph of text as HTML."""
    return f"<p>{escape(text)}</p>"


def make_code(text):
    """Return lines of code as HTML."""
    return f"<pre><code>{escape(text)}</code></pre>"


def make_pictures(pictures):
    """Return pictures side by side as HTML."""
    figures = [
        f"<figure>\n{_make_plot(picture)}\n"
        f"<figcaption>{escape(picture.caption)}</figcaption>\n</figure>"
        for picture in pictures
    ]
    return "\n".join(['<div class="pictures">', *figures, "</div>"])


def _make_plot(picture):
    """Return an image with invisible circles on its points, whose titles show on hovering."""
    style = ' class="chart"' if picture.chart else ""
    image = (
        f'<img{style} width="{picture.width}" height="{picture.height}" '
        f'alt="{escape(picture.alt)}" src="data:image/png;base64,{picture.data}">'
    )
    if not picture.points:
        return image
    circles = "".join(
        f'<circle cx="{point.x:.1f}" cy="{point.y:.1f}" r="5"><title>{escape(point.text)}'
        "</title></circle>"
        for point in picture.points
    )
    size = f"0 0 {picture.width} {picture.height}"
    return (
        f'<div class="plot">\n{image}\n<svg viewBox="{size}" aria-hidden="true">{circles}</svg>'
        "</div>"
    )


def make_table(caption, headings, rows, chosen=(), words=0):
    """Return a table (HTML) of texts that scrolls if it is too wide.

    The rows in `chosen` are highlighted. Column `words` is aligned to the left, others to the
    right.
    """
    has_words = any(not cells[words][:1].isdigit() for cells in rows)
    lines = [
        # A caption within the table would scroll out of view with it.
        f'<p class="muted">{escape(caption)}</p>\n'
        f'<div class="scroll"><table{_WORDS if has_words else ""}>',
        f"<thead>{_make_row(headings, 'th', words)}</thead>\n<tbody>",
        *(
            _make_row(cells, "td", words, ' class="chosen"' if number in chosen else "")
            for number, cells in enumerate(rows)
        ),
        "</tbody>\n</table></div>",
    ]
    return "\n".join(lines)


def _make_row(cells, tag, words, style=""):
    scope = ' scope="col"' if tag == "th" else ""
    inside = "".join(
        f"<{tag}{scope}{_TEXT if number == words else ''}>{escape(cell)}</{tag}>"
        for number, cell in enumerate(cells)
    )
    return f"<tr{style}>{inside}</tr>"
