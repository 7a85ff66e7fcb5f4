"""The drawing of the layers in the docs shows those that the architecture test checks."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_drawing_is_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("draw_layers", ROOT / "tools" / "draw_layers.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    packages = {name for row in module.layers() for name in row}
    assert {*module.IMAGE, *module.CONFIG, *module.TENSORFLOW} <= packages
    assert module.SVG.read_text("utf-8") == module.svg(), "run: python tools/draw_layers.py"
