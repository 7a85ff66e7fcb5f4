"""HTML for results in a notebook: what `_repr_html_` methods are made of."""

import base64
from collections.abc import Iterable, Sequence
from html import escape


def text(content: str) -> str:
    """Text as it is printed, with its line breaks."""
    return f"<pre>{escape(content)}</pre>"


def table(rows: Sequence[Sequence[str]], caption: str = "") -> str:
    """A table whose first row is its header; cells after a row's first are right-aligned."""
    header, *body = rows
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
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
