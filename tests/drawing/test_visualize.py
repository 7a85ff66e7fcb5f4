import itertools

import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from tfod_kit.core.annotations import Keypoint, ObjectAnnotation, Polygons, Rle
from tfod_kit.core.boxes import Box
from tfod_kit.drawing import visualize

GREY = (128, 128, 128)


def sample(width: int = 200, height: int = 100) -> Image.Image:
    return Image.new("RGB", (width, height), GREY)


def test_the_box_is_drawn_where_it_is_and_the_picture_is_left_alone() -> None:
    before = sample()
    colours = visualize.palette(["cat"])
    drawn = visualize.draw(before, [ObjectAnnotation("cat", Box(0.5, 0.25, 0.9, 0.75))], colours)
    assert drawn.getpixel((50, 70)) == colours["cat"]
    assert drawn.getpixel((150, 70)) == colours["cat"]
    assert drawn.getpixel((100, 70)) == GREY, "the inside stays visible"
    assert before.getcolors() == [(200 * 100, GREY)]


def test_a_name_has_room_at_every_edge() -> None:
    """A box at the top has its name below or inside, one at the right edge has it moved left."""
    corner = ObjectAnnotation("a long class name", Box(0.0, 0.9, 0.3, 1.0), score=0.5)
    drawn = visualize.draw(sample(), [corner])
    ground = visualize.colour("a long class name")
    columns = [x for x in range(200) for y in range(60) if drawn.getpixel((x, y)) == ground]
    assert min(columns) < 150, "the name is wider than the box, so it must begin left of it"


def test_a_box_turned_inside_out_is_drawn_all_the_same() -> None:
    wrong = ObjectAnnotation("cat", Box(0.9, 0.8, 0.5, 0.2))
    assert visualize.draw(sample(), [wrong]).getpixel((40, 70)) == visualize.colour("cat")


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
    both = visualize.side_by_side(sample(), Image.new("RGB", (50, 100), "red"))
    assert both.height == 100
    assert both.getpixel((0, 0)) == GREY
    assert both.getpixel((both.width - 1, 0)) == (255, 0, 0)


def test_names_beyond_ascii_are_drawn() -> None:
    plain = visualize.draw(sample(), [ObjectAnnotation("??????", Box(0.5, 0.1, 0.9, 0.9))])
    greek = visualize.draw(sample(), [ObjectAnnotation("πλάκες", Box(0.5, 0.1, 0.9, 0.9))])
    assert plain.tobytes() != greek.tobytes()


def square_mask() -> list[Polygons | Rle]:
    """The pixels from (50, 20) to (100, 70), as outline and as run lengths."""
    ring = (50.0, 20.0, 100.0, 20.0, 100.0, 70.0, 50.0, 70.0)
    rle = coco_mask.frPyObjects([list(ring)], 100, 200)[0]
    return [Polygons((ring,)), Rle(rle["counts"], 100, 200)]


@pytest.mark.parametrize("mask", square_mask(), ids=["polygons", "rle"])
def test_a_mask_tints_its_pixels_and_no_others(mask: Polygons | Rle) -> None:
    item = ObjectAnnotation("cat", Box(0.1, 0.2, 0.9, 0.9), mask=mask)
    drawn = visualize.draw(sample(), [item], {"cat": (255, 0, 0)})
    red, green, blue = drawn.getpixel((75, 50))
    assert red > 180
    assert 60 < green == blue < 90, "the image shows through"
    assert drawn.getpixel((120, 50)) == GREY
    assert drawn.getpixel((50, 45)) == (255, 0, 0), "the edge is drawn in full colour"


def test_a_mask_follows_a_picture_that_was_scaled() -> None:
    item = ObjectAnnotation("cat", Box(0.1, 0.2, 0.9, 0.9), mask=square_mask()[1])
    drawn = visualize.draw(sample(400, 200), [item], {"cat": (255, 0, 0)})
    assert drawn.getpixel((150, 100))[0] > 180
    assert drawn.getpixel((240, 100)) == GREY


def test_keypoints_are_dots_hidden_ones_rings_and_absent_ones_nothing() -> None:
    points = (Keypoint(0.5, 0.3, 2), Keypoint(0.5, 0.5, 1), Keypoint(0.5, 0.7, 0))
    item = ObjectAnnotation("cat", Box(0.1, 0.1, 0.9, 0.9), keypoints=points)
    drawn = visualize.draw(sample(), [item], {"cat": (255, 0, 0)})
    assert drawn.getpixel((60, 50)) == (255, 0, 0)
    assert drawn.getpixel((100, 50)) == GREY, "the middle of a ring stays open"
    assert drawn.getpixel((104, 50)) == (255, 0, 0), "the ring"
    assert drawn.crop((130, 40, 150, 60)).getcolors() == [(400, GREY)]


def test_names_do_not_cover_each_other_while_there_is_room() -> None:
    """Four boxes in one another, as a detector gives them: four names that can be read."""
    objects = [
        ObjectAnnotation(f"class {place}", Box(0.3, 0.3, 0.5 + place / 100, 0.8), score=0.9)
        for place in range(4)
    ]
    drawn = visualize.draw(sample(640, 480), objects)
    grounds = [visualize.colour(item.label) for item in objects]
    corners = [(192, 144, 512, 240 + 5 * place) for place in range(4)]
    texts = [(f"class {n} 90%",) for n in range(4)]
    places = [
        named[1] for named in visualize._name_positions(texts, corners, (640, 480), 14) if named
    ]
    assert len(places) == 4
    assert not any(visualize._shared(*pair) for pair in itertools.combinations(places, 2))
    colours = {colour for _, colour in drawn.getcolors(640 * 480)}
    assert set(grounds) <= colours


def crowd(columns: int, rows: int, side: float, pitch: float) -> list[ObjectAnnotation]:
    """A grid of squares on an image of 1000 x 1000 px, `pitch` px apart."""
    return [
        ObjectAnnotation(
            "cat",
            Box(y / 1000, x / 1000, (y + side) / 1000, (x + side) / 1000),
            score=0.9 - place / 1000,
        )
        for place, (x, y) in enumerate(
            (20 + column * pitch, 20 + row * pitch)
            for row in range(rows)
            for column in range(columns)
        )
    ]


def names_on(objects: list[ObjectAnnotation]) -> list[tuple[str, visualize.Corners]]:
    corners = [
        tuple(1000 * value for value in (o.box.xmin, o.box.ymin, o.box.xmax, o.box.ymax))
        for o in objects
    ]
    _, letters = visualize._sizes((1000, 1000), corners)
    texts = [visualize._texts(item, len(objects)) for item in objects]
    named = visualize._name_positions(texts, corners, (1000, 1000), letters)
    return [each for each in named if each is not None]


@pytest.mark.parametrize(
    ("objects", "named", "scored"),
    [
        pytest.param(crowd(5, 5, 80, 180), 25, True, id="room for all"),
        pytest.param(crowd(9, 9, 40, 105), 81, False, id="many: no scores"),
        pytest.param(crowd(16, 16, 30, 60), 0, False, id="very many: boxes alone"),
    ],
)
def test_names_give_way_in_a_crowd(
    objects: list[ObjectAnnotation], named: int, scored: bool
) -> None:
    texts = [text for text, _ in names_on(objects)]
    assert len(texts) == named
    assert sum("%" in text for text in texts) == named * scored


def test_tiny_objects_side_by_side_are_not_covered_by_names() -> None:
    """Where there is no room the score goes, then the name: no name covers another or a box."""
    objects = crowd(7, 7, 14, 16)
    places = names_on(objects)
    assert len(places) < len(objects)
    rectangles = [place for _, place in places]
    assert not any(visualize._shared(*pair) for pair in itertools.combinations(rectangles, 2))
    for item in objects:
        box = tuple(1000 * v for v in (item.box.xmin, item.box.ymin, item.box.xmax, item.box.ymax))
        assert all(visualize._shared(place, box) <= 0.4 * 14 * 14 for place in rectangles)


def test_letters_follow_the_objects_and_stay_legible() -> None:
    def letters(side: float, width: int = 1536) -> int:
        return visualize._sizes((width, 1152), [(0.0, 0.0, side, side)] * 3)[1]

    assert letters(500) > 2 * letters(60)
    assert letters(5) >= 11
    assert letters(5, 320) >= 11
    assert visualize._sizes((1536, 1152), [])[1] == round(1536 / 45)
