"""LabelMe XML, the annotations of MIT's web tool."""

from pathlib import Path

import pytest
import tool_samples
from rich_samples import pixels, read
from samples import picture

from tfod_kit.core.annotations import Polygons
from tfod_kit.errors import DataError


def test_objects(tmp_path: Path) -> None:
    (annotation,), counts = read(tool_samples.rich_labelme_xml(tmp_path), "auto")
    assert pixels(annotation) == [("cat", (4.0, 3.0, 20.0, 15.0))] * 3
    outlined, boxed, segmented = annotation.objects
    assert outlined.mask == Polygons([(4.0, 3.0, 20.0, 3.0, 20.0, 15.0)])
    assert outlined.occluded
    assert boxed.mask is None
    assert segmented.mask is None
    assert counts == {"object_deleted": 1, "shape_ignored": 1, "mask_ignored": 1}


@pytest.mark.parametrize("number", ["nan", "inf", "1e999", "", "x"])
def test_a_coordinate_that_is_not_a_number(tmp_path: Path, number: str) -> None:
    points = (number, 3), (20, 3), (20, 15)
    folder = tool_samples.labelme_xml(tmp_path, tool_samples.labelme_object(points))
    with pytest.raises(DataError, match="not a number") as caught:
        read(folder, "auto")
    assert caught.value.where == "a.xml:1"


def test_voc_with_outlines_of_its_own_is_still_voc(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    (tmp_path / "a.xml").write_text(
        "<annotation><filename>a.png</filename><source><database>x</database>"
        "<annotation>PASCAL VOC2007</annotation></source><object><name>cat</name><bndbox>"
        "<xmin>4</xmin><ymin>3</ymin><xmax>20</xmax><ymax>15</ymax></bndbox><polygon><x1>4</x1>"
        "<y1>3</y1><x2>20</x2><y2>3</y2><x3>20</x3><y3>15</y3></polygon></object></annotation>"
    )
    (annotation,), _ = read(tmp_path, "auto")
    assert annotation.objects[0].mask == Polygons([(4.0, 3.0, 20.0, 3.0, 20.0, 15.0)])
