import io
import xml.etree.ElementTree as ET

import pytest
from PIL import Image

from tfod_kit.drawing import plots

CHARTS = {
    "bars": lambda: plots.bars({"train": {"cat": 3, "a $ & <b>": 1200}, "val": {"cat": 0}}),
    "bars, logarithmic": lambda: plots.bars({"": {"cat": 1, "dog": 1e5}}, logarithmic=True),
    "histogram": lambda: plots.histogram({"train": [1, 2, 2, 9], "val": [3]}, title="Sizes"),
    "histogram, logarithmic": lambda: plots.histogram({"": [0, 1, 10, 1e4]}, logarithmic=True),
    "histogram of one value": lambda: plots.histogram({"": [5, 5]}, logarithmic=True),
    "histogram of nothing": lambda: plots.histogram({"": []}),
    "density": lambda: plots.density([1, 10, 0], [2, 20, 5], points=[(3, 4)], points_label="x"),
    "density of many": lambda: plots.density(range(1, 3000), range(3000, 1, -1)),
    "density of nothing": lambda: plots.density([], []),
    "scatter": lambda: plots.scatter(
        {"a": ([1], [0.2]), "b": ([9], [0.5])}, steps=[(1, 0.2), (9, 0.5)], logarithmic="x"
    ),
    "scatter of one": lambda: plots.scatter({"a": ([1], [0.2])}),
    "lines": lambda: plots.lines({"loss": ([1, 2, 3], [9, 5, 1]), "one": ([1], [2])}),
}


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_is_the_same_svg_every_time_and_a_png(name: str) -> None:
    text = plots.svg(CHARTS[name]())
    assert text == plots.svg(CHARTS[name]())
    root = ET.fromstring(text)
    assert root.tag.endswith("svg")
    assert "width" not in root.attrib  # it fills its container
    assert "currentColor" in text
    assert plots._INK not in text
    with Image.open(io.BytesIO(plots.png(CHARTS[name]()))) as image:
        assert image.width > 600
        assert image.convert("RGBA").getpixel((2, 2)) == (255, 255, 255, 255)
        assert len(set(image.convert("L").resize((64, 32)).tobytes())) > 3


def test_names_and_numbers_are_text_in_the_chart() -> None:
    text = plots.svg(CHARTS["bars"]())
    for word in ("cat", "1,200", "train", "val", "a $ &amp; &lt;b&gt;"):
        assert word in text, word


def test_letters_that_the_font_lacks_are_no_warning(recwarn: pytest.WarningsRecorder) -> None:
    assert "日本語" in plots.svg(plots.bars({"": {"日本語": 1}}))
    assert [str(warning.message) for warning in recwarn if "Glyph" in str(warning.message)] == []


def test_two_charts_on_one_page_have_ids_of_their_own() -> None:
    ids = [
        {
            item.attrib["id"]
            for item in ET.fromstring(plots.svg(figure)).iter()
            if "clip" in item.tag
        }
        for figure in (
            plots.histogram({"": [1, 2]}, title="One"),
            plots.histogram({"": [1, 2]}, title="Two"),
        )
    ]
    assert ids[0]
    assert not ids[0] & ids[1]


def test_the_mean_on_a_logarithmic_axis_follows_values_that_fall_fast() -> None:
    falling = [10.0**-index for index in range(10)]
    plain = plots._smoothed(falling, 0.7, False)
    geometric = plots._smoothed(falling, 0.7, True)
    assert geometric[-1] < plain[-1] / 100
    assert geometric == sorted(geometric, reverse=True)
    assert plots._smoothed([3.0] * 4, 0.7, True) == pytest.approx([3.0] * 4)


def test_many_names_are_beside_the_curves() -> None:
    few = {f"loss {index}": ([1, 2, 3], [1, 2, 3]) for index in range(5)}
    many = few | {"loss 5": ([1, 2, 3], [3, 2, 1])}
    assert plots.lines(few).legends == []
    (legend,) = plots.lines(many).legends
    assert [text.get_text() for text in legend.get_texts()] == list(many)
