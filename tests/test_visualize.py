import itertools

import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from tfod_kit import visualize
from tfod_kit.annotations import Keypoint, ObjectAnnotation, Polygons, Rle
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


def square_mask() -> list[Polygons | Rle]:
    """The pixels from (50, 20) to (100, 70), as outline and as run lengths."""
    ring = (50.0, 20.0, 100.0, 20.0, 100.0, 70.0, 50.0, 70.0)
    rle = coco_mask.frPyObjects([list(ring)], 100, 200)[0]
    return [Polygons((ring,)), Rle(rle["counts"], 100, 200)]


@pytest.mark.parametrize("mask", square_mask(), ids=["polygons", "rle"])
def test_a_mask_tints_its_pixels_and_no_others(mask: Polygons | Rle) -> None:
    item = ObjectAnnotation("cat", Box(0.1, 0.2, 0.9, 0.9), mask=mask)
    drawn = visualize.draw(picture(), [item], {"cat": (255, 0, 0)})
    red, green, blue = drawn.getpixel((75, 50))
    assert red > 180
    assert 60 < green == blue < 90, "the picture shows through"
    assert drawn.getpixel((120, 50)) == GREY
    assert drawn.getpixel((50, 45)) == (255, 0, 0), "the edge is drawn in full colour"


def test_a_mask_follows_a_picture_that_was_scaled() -> None:
    item = ObjectAnnotation("cat", Box(0.1, 0.2, 0.9, 0.9), mask=square_mask()[1])
    drawn = visualize.draw(picture(400, 200), [item], {"cat": (255, 0, 0)})
    assert drawn.getpixel((150, 100))[0] > 180
    assert drawn.getpixel((240, 100)) == GREY


def test_keypoints_are_dots_hidden_ones_rings_and_absent_ones_nothing() -> None:
    points = (Keypoint(0.5, 0.3, 2), Keypoint(0.5, 0.5, 1), Keypoint(0.5, 0.7, 0))
    item = ObjectAnnotation("cat", Box(0.1, 0.1, 0.9, 0.9), keypoints=points)
    drawn = visualize.draw(picture(), [item], {"cat": (255, 0, 0)})
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
    drawn = visualize.draw(picture(640, 480), objects)
    grounds = [visualize.colour(item.label) for item in objects]
    corners = [(192, 144, 512, 240 + 5 * place) for place in range(4)]
    places = visualize._name_places([f"class {n} 90%" for n in range(4)], corners, (640, 480), 14)
    assert not any(visualize._overlap(*pair) for pair in itertools.combinations(places, 2))
    colours = {colour for _, colour in drawn.getcolors(640 * 480)}
    assert set(grounds) <= colours
