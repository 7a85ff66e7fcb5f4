from PIL import Image

from tfod_kit import visualize
from tfod_kit.annotations import ObjectAnnotation
from tfod_kit.boxes import Box

GREY = (128, 128, 128)


def picture(width: int = 200, height: int = 100) -> Image.Image:
    return Image.new("RGB", (width, height), GREY)


def test_the_box_is_drawn_where_it_is_and_the_picture_is_left_alone() -> None:
    before = picture()
    colours = visualize.palette(["cat"])
    drawn = visualize.draw(before, [ObjectAnnotation("cat", Box(0.5, 0.25, 0.9, 0.75))], colours)
    assert drawn.getpixel((50, 70)) == colours["cat"]
    assert drawn.getpixel((150, 70)) == colours["cat"]
    assert drawn.getpixel((100, 70)) == GREY, "the inside stays visible"
    assert before.getcolors() == [(200 * 100, GREY)]


def test_a_name_has_room_at_every_edge() -> None:
    """A box at the top has its name inside, one at the right edge has it moved left."""
    corner = ObjectAnnotation("a long class name", Box(0.0, 0.9, 0.3, 1.0), score=0.5)
    drawn = visualize.draw(picture(), [corner])
    ground = visualize.colour("a long class name")
    columns = [x for x in range(200) for y in range(30) if drawn.getpixel((x, y)) == ground]
    assert min(columns) < 150, "the name is wider than the box, so it must begin left of it"


def test_a_box_turned_inside_out_is_drawn_all_the_same() -> None:
    wrong = ObjectAnnotation("cat", Box(0.9, 0.8, 0.5, 0.2))
    assert visualize.draw(picture(), [wrong]).getpixel((40, 70)) == visualize.colour("cat")


def test_palette_colours_differ_clearly_whatever_the_names() -> None:
    names = [f"class {number}" for number in range(12)]
    colours = list(visualize.palette(names).values())
    distances = [
        sum(abs(a - b) for a, b in zip(one, other, strict=True))
        for place, one in enumerate(colours)
        for other in colours[:place]
    ]
    assert min(distances) > 60


def test_the_palette_does_not_change_between_runs() -> None:
    assert visualize.palette(["a", "b"]) == visualize.palette(["a", "b"])
    assert visualize.palette(["a", "b"])["a"] == visualize.palette(["a"])["a"]


def test_side_by_side_keeps_both_pictures() -> None:
    both = visualize.side_by_side(picture(), Image.new("RGB", (50, 100), "red"))
    assert both.height == 100
    assert both.getpixel((0, 0)) == GREY
    assert both.getpixel((both.width - 1, 0)) == (255, 0, 0)


def test_names_beyond_ascii_are_drawn() -> None:
    plain = visualize.draw(picture(), [ObjectAnnotation("??????", Box(0.5, 0.1, 0.9, 0.9))])
    greek = visualize.draw(picture(), [ObjectAnnotation("πλάκες", Box(0.5, 0.1, 0.9, 0.9))])
    assert plain.tobytes() != greek.tobytes()
