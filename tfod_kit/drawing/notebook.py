"""HTML for results in a notebook: what `_repr_html_` methods are made of."""

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape

# JupyterLab shows <pre> in the font of prose, in which columns do not line up.
_TEXT = "font-family: monospace; line-height: 1.3"
_CAPTION = "white-space: nowrap; text-align: left"  # else it is as narrow as the table


def text(content: str) -> str:
    """Text as it is printed, with its line breaks."""
    return f'<pre style="{_TEXT}">{escape(content)}</pre>'


def table(rows: Sequence[Sequence[str]], caption: str = "") -> str:
    """A table whose first row is its header; cells after a row's first are right-aligned."""
    header, *body = rows
    title = f'<caption style="{_CAPTION}">{escape(caption)}</caption>' if caption else ""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    lines = "".join(f"<tr>{_cells(row)}</tr>" for row in body)
    return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"


def image(data: bytes, alternative: str, kind: str = "png") -> str:
    """An image inside the page, with a text for those who cannot see it."""
    encoded = base64.b64encode(data).decode("ascii")
    return (
        f'<img src="data:image/{kind};base64,{encoded}" alt="{escape(alternative, quote=True)}" '
        'style="max-width: 100%">'
    )


def photo(data: bytes, alternative: str, longest: int = 800) -> str:
    """An image as a JPEG of at most `longest` pixels a side.

    A notebook is saved with its outputs, and photographs as PNG make it megabytes larger.
    """
    from PIL import Image

    with Image.open(io.BytesIO(data)) as opened:
        shown = opened.convert("RGB")
    shown.thumbnail((longest, longest))
    stream = io.BytesIO()
    shown.save(stream, "JPEG", quality=75)
    return image(stream.getvalue(), alternative, "jpeg")


def embedded(document: str, title: str) -> str:
    """A whole HTML document in a frame of its own, so that its styles stay inside."""
    return (
        f'<iframe srcdoc="{escape(document, quote=True)}" title="{escape(title, quote=True)}" '
        'style="width: 100%; height: 600px; border: 0"></iframe>'
    )


def page(parts: Iterable[str]) -> str:
    """Several parts below each other."""
    return "<div>" + "\n".join(part for part in parts if part) + "</div>"


def _cells(row: Sequence[str]) -> str:
    first, *others = row
    aligned = "".join(f'<td style="text-align: right">{escape(cell)}</td>' for cell in others)
    return f'<th style="text-align: left">{escape(first)}</th>{aligned}'
