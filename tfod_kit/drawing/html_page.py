"""A self-contained HTML page: no network, no scripts; styles, charts and images are inside it.

    page = Page("What is in cats", "364 images")
    page.tiles({"images": "364"})
    page.heading("Sizes")
    page.table(["class", "boxes"], [["cat", "12"]])
    page.svg(plots.svg(figure))
    files.write_text(path, page.html())

It follows the reader's light or dark setting, and fits windows down to the width of a phone.
"""

import base64
import html
from collections.abc import Mapping, Sequence

_STYLE = """
:root { color-scheme: light dark; --ground: #fff; --ink: #1f2328; --faint: #59636e;
  --line: #d1d9e0; --card: #f6f8fa; --warn: #9a6700; --accent: #0969da; }
@media (prefers-color-scheme: dark) { :root { --ground: #0d1117; --ink: #e6edf3; --faint: #9198a1;
  --line: #3d444d; --card: #151b23; --warn: #d29922; --accent: #4493f8; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .75rem; padding-top: .75rem;
  border-top: 1px solid var(--line); }
p { margin: .5rem 0; max-width: 75ch; }
.faint, figcaption { color: var(--faint); overflow-wrap: anywhere; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(120px, 1fr));
  gap: .75rem; margin: 1.25rem 0; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: .7rem .9rem; }
.tile b { display: block; font-size: 1.45rem; line-height: 1.2;
  font-variant-numeric: tabular-nums; }
.tile span { color: var(--faint); font-size: .85rem; }
.tile.warn b { color: var(--warn); }
.scroll { overflow-x: auto; margin: .75rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem; }
th, td { padding: .3rem .65rem; text-align: right; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
th { color: var(--faint); font-weight: 600; white-space: normal; vertical-align: bottom; }
th:first-child, td:first-child, .text td, .text th { text-align: left; }
td:first-child { white-space: normal; }
.text td { white-space: normal; overflow-wrap: anywhere; vertical-align: top; }
.text td:first-child { overflow-wrap: break-word; }
.text td:last-child { min-width: 10rem; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(440px, 100%), 1fr));
  gap: 1rem; align-items: start; }
.chart { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: .75rem; }
.chart { overflow-x: auto; }
.chart svg { display: block; width: 100%; min-width: 430px; height: auto; color: var(--ink); }
.images { display: grid; grid-template-columns: repeat(auto-fill, minmax(220px, 1fr));
  gap: .75rem; }
.images.wide { grid-template-columns: repeat(auto-fill, minmax(min(380px, 100%), 1fr)); }
figure { margin: 0; }
figure img { display: block; width: 100%; height: auto; border-radius: 6px;
  border: 1px solid var(--line); background: var(--card); }
figcaption { font-size: .82rem; padding-top: .25rem; }
pre { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .8rem;
  overflow-x: auto; font-size: .85rem; }
details { margin: .5rem 0; }
summary { cursor: pointer; color: var(--accent); }
footer { margin-top: 3rem; color: var(--faint); font-size: .85rem; }
"""


class Page:
    """Collects the parts of a page from top to bottom; all text is escaped.

    Args:
      title: the title and first heading.
      under: a line below the heading.
    """

    def __init__(self, title: str, under: str = "") -> None:
        self.title = title
        self._parts = [f"<h1>{_text(title)}</h1>"]
        if under:
            self.text(under, faint=True)

    def heading(self, text: str) -> None:
        """Starts a section."""
        self._parts.append(f"<h2>{_text(text)}</h2>")

    def text(self, text: str, *, faint: bool = False) -> None:
        """Adds a paragraph."""
        attribute = ' class="faint"' if faint else ""
        self._parts.append(f"<p{attribute}>{_text(text)}</p>")

    def tiles(self, tiles: Mapping[str, str], *, warn: Sequence[str] = ()) -> None:
        """Adds key figures, name -> value; those named in `warn` have a warning colour."""
        inner = "".join(
            f'<div class="tile{" warn" if name in warn else ""}"><b>{_text(value)}</b>'
            f"<span>{_text(name)}</span></div>"
            for name, value in tiles.items()
        )
        self._parts.append(f'<div class="tiles">{inner}</div>')

    def table(
        self, head: Sequence[str], rows: Sequence[Sequence[str]], *, text: bool = False
    ) -> None:
        """Adds a table; cells after the first are right-aligned, or left-aligned with `text`."""
        top = "".join(f"<th>{_text(cell)}</th>" for cell in head)
        body = "".join(
            f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in row)}</tr>" for row in rows
        )
        attribute = ' class="text"' if text else ""
        self._parts.append(
            f'<div class="scroll"><table{attribute}><thead><tr>{top}</tr></thead>'
            f"<tbody>{body}</tbody></table></div>"
        )

    def charts(self, svgs: Sequence[str]) -> None:
        """Adds charts side by side: SVG from `plots.svg`, not escaped."""
        inner = "".join(f'<div class="chart">{svg}</div>' for svg in svgs)
        self._parts.append(f'<div class="charts">{inner}</div>')

    def images(self, images: Sequence[tuple[bytes, str]], *, wide: bool = False) -> None:
        """Adds JPEGs or PNGs in a grid, each with its caption; `wide` makes them larger."""
        inner = "".join(_figure(data, caption) for data, caption in images)
        self._parts.append(f'<div class="images{" wide" if wide else ""}">{inner}</div>')

    def image(self, data: bytes, caption: str = "") -> None:
        """Adds one JPEG or PNG at full width."""
        self._parts.append(_figure(data, caption))

    def code(self, text: str) -> None:
        """Adds preformatted text, such as a config."""
        self._parts.append(f"<pre>{_text(text)}</pre>")

    def details(self, summary: str, text: str) -> None:
        """Adds preformatted text, hidden until the reader opens its summary line."""
        self._parts.append(
            f"<details><summary>{_text(summary)}</summary><pre>{_text(text)}</pre></details>"
        )

    def html(self, footer: str = "") -> str:
        """Returns the whole page."""
        below = f"<footer>{_text(footer)}</footer>" if footer else ""
        parts = "\n".join(self._parts)
        return (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{_text(self.title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
            f"<body>\n<main>\n{parts}\n{below}\n</main>\n</body>\n</html>\n"
        )


def _figure(data: bytes, caption: str) -> str:
    subtype = "png" if data.startswith(b"\x89PNG") else "jpeg"
    source = f"data:image/{subtype};base64,{base64.b64encode(data).decode()}"
    below = f"<figcaption>{_text(caption)}</figcaption>" if caption else ""
    return f'<figure><img src="{source}" alt="{_text(caption)}" loading="lazy">{below}</figure>'


def _text(text: str) -> str:
    return html.escape(text, quote=True)
