"""Draws docs/_static/layers.svg: the layers of the package, and the two paths through them.

The layers are those that tests/test_architecture.py checks. `python tools/draw_layers.py` writes
the file; a test compares it.
"""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SVG = ROOT / "docs" / "_static" / "layers.svg"

# What an image and a config go through, in order; docs/architecture.md explains each number.
IMAGE = ("formats", "conversion", "records", "training", "detectors", "evaluation", "prediction")
CONFIG = ("zoo", "configuration", "pipeline_config", "checks", "training", "runs", "exports")
TENSORFLOW = ("training", "detectors", "engine", "exports")

_WIDTH, _ROW, _BOX, _GAP = 980, 44, 30, 8
_GREEN, _ORANGE = "#0b6e5f", "#b3541e"


def layers() -> list[tuple[str, ...]]:
    """The LAYERS of the architecture test, from the top down."""
    tree = ast.parse((ROOT / "tests" / "test_architecture.py").read_text("utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "LAYERS":
            rows: list[tuple[str, ...]] = ast.literal_eval(node.value)
            return rows
    raise LookupError("tests/test_architecture.py has no LAYERS")


def svg() -> str:
    """The drawing: a row for each layer, a box for each package."""
    rows = [tuple(name for name in row if not name.startswith("_")) for row in layers()]
    height = _ROW * len(rows) + 64
    shapes = [shape for index, row in enumerate(rows) for shape in _row(row, 12 + _ROW * index)]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
            'font-family="system-ui, sans-serif" font-size="14">',
            "<title>The layers of tfod_kit</title>",
            f'<rect width="{_WIDTH}" height="{height}" rx="8" fill="#fff"/>',
            *shapes,
            *_legend(height - 30),
            "</svg>\n",
        ]
    )


def _row(names: tuple[str, ...], top: int) -> list[str]:
    shapes = [
        f'<rect x="12" y="{top}" width="{_WIDTH - 24}" height="{_ROW - 6}" rx="5" fill="#f1f3f4"/>'
    ]
    widths = [22 + 8 * len(name) + 22 * len(_badges(name)) for name in names]
    left = (_WIDTH - sum(widths) - _GAP * (len(names) - 1)) / 2
    for name, width in zip(names, widths, strict=True):
        shapes += _box(name, left, top + 4, width)
        left += width + _GAP
    return shapes


def _box(name: str, left: float, top: int, width: int) -> list[str]:
    fill = "#fde9c9" if name in TENSORFLOW else "#fff"
    shapes = [
        f'<rect x="{left:g}" y="{top}" width="{width}" height="{_BOX}" rx="4" fill="{fill}" '
        'stroke="#9aa0a6"/>',
        f'<text x="{left + 8:g}" y="{top + 20}" fill="#202124">{name}</text>',
    ]
    for index, (number, colour) in enumerate(_badges(name)):
        centre = left + width - 14 - 22 * index
        shapes += _badge(number, colour, centre, top + 15)
    return shapes


def _badges(name: str) -> list[tuple[int, str]]:
    paths = ((CONFIG, _ORANGE), (IMAGE, _GREEN))
    return [(path.index(name) + 1, colour) for path, colour in paths if name in path]


def _badge(number: int, colour: str, x: float, y: int) -> list[str]:
    return [
        f'<circle cx="{x:g}" cy="{y}" r="9" fill="{colour}"/>',
        f'<text x="{x:g}" y="{y + 4}" text-anchor="middle" font-size="12" fill="#fff">'
        f"{number}</text>",
    ]


def _legend(y: int) -> list[str]:
    return [
        *_badge(1, _GREEN, 30, y),
        f'<text x="46" y="{y + 5}" fill="#202124">the path of an image</text>',
        *_badge(1, _ORANGE, 230, y),
        f'<text x="246" y="{y + 5}" fill="#202124">the path of a config</text>',
        f'<rect x="420" y="{y - 9}" width="18" height="18" rx="4" fill="#fde9c9" '
        'stroke="#9aa0a6"/>',
        f'<text x="446" y="{y + 5}" fill="#202124">runs TensorFlow</text>',
        f'<text x="600" y="{y + 5}" fill="#202124">imports point down only</text>',
    ]


if __name__ == "__main__":
    SVG.write_text(svg(), "utf-8")
