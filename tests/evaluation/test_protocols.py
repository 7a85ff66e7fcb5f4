"""PASCAL VOC, Open Images and LVIS by upstream's evaluators, on cases worked out by hand."""

from typing import Any

import pytest

from tfod_kit import evaluation
from tfod_kit.evaluation.protocols import PROTOCOLS
from tfod_kit.evaluation.tables import Tables

pytestmark = pytest.mark.slow  # importing upstream imports TensorFlow

CLASSES = {"cat": 3, "dog": 7}
IMAGES = [
    {"id": n, "width": 200, "height": 200, "source_id": str(n), "file_name": ""} for n in (1, 2)
]
PLACE, APART = (10.0, 10.0, 60.0, 60.0), (100.0, 100.0, 60.0, 60.0)
PASCAL07 = "Pascal2007Boxes_Precision/mAP@0.5IOU"
PASCAL10 = "PascalBoxes_Precision/mAP@0.5IOU"
OPEN_IMAGES = "OpenImagesV2_Precision/mAP@0.5IOU"


def row(label: str, box: tuple[float, ...], image: int = 1, **more: Any) -> dict[str, Any]:
    base = {"id": 1, "image_id": image, "category_id": CLASSES[label], "bbox": list(box)}
    return base | {"area": box[2] * box[3], "iscrowd": 0} | more


def measure(
    protocol: str, truth: list[dict[str, Any]], found: list[dict[str, Any]], **image: Any
) -> dict[str, float]:
    for rows in (truth, found):
        for number, item in enumerate(rows, start=1):
            item["id"] = number
    images = [each | image for each in IMAGES]
    return PROTOCOLS[protocol].measure(Tables(CLASSES, images, truth, found))


def test_one_of_two_found_by_11_points_and_by_the_area() -> None:
    truth, found = [row("cat", PLACE), row("cat", APART)], [row("cat", PLACE, score=0.9)]
    old, new = measure("voc2007", truth, found), measure("voc2010", truth, found)
    assert old[PASCAL07] == pytest.approx(6 / 11), "precision 1 at the recalls 0, 0.1 ... 0.5"
    assert new[PASCAL10] == pytest.approx(0.5)
    assert new["PascalBoxes_PerformanceByCategory/AP@0.5IOU/cat"] == pytest.approx(0.5)


def test_nothing_found_is_zero_and_nothing_to_find_is_no_number() -> None:
    figures = measure("voc2007", [row("cat", PLACE)], [])
    assert figures[PASCAL07] == 0.0
    dog = figures["Pascal2007Boxes_PerformanceByCategory/AP@0.5IOU/dog"]
    assert dog != dog


def test_a_difficult_object_is_not_asked_for() -> None:
    truth = [row("cat", PLACE), row("cat", APART, difficult=True)]
    for found in ([], [row("cat", APART, score=0.95)]):
        figures = measure("voc2010", truth, [row("cat", PLACE, score=0.9), *found])
        assert figures[PASCAL10] == pytest.approx(1.0)


def test_a_box_round_a_group_swallows_what_lies_in_it() -> None:
    inside = [row("cat", (105.0 + n, 105.0, 50.0, 50.0), score=0.95) for n in range(3)]
    found = [*inside, row("cat", PLACE, score=0.9)]
    for is_group in (True, False):
        truth = [row("cat", PLACE), row("cat", APART, group_of=is_group)]
        figures = measure("open_images", truth, [dict(item) for item in found])
        assert (figures[OPEN_IMAGES] == pytest.approx(1.0)) == is_group


def test_lvis_asks_only_for_classes_that_an_image_was_searched_for() -> None:
    """A dog where nobody looked for dogs is not false; where they are known to be absent it is."""
    truth = [row("cat", PLACE), row("dog", PLACE, 2)]
    found = [
        row("cat", PLACE, score=0.9),
        row("dog", APART, score=0.8),
        row("dog", PLACE, 2, score=0.5),
    ]
    open_world = measure("lvis", truth, found, neg_category_ids=[], not_exhaustive_category_ids=[])
    known = measure("lvis", truth, found, neg_category_ids=[7], not_exhaustive_category_ids=[])
    assert open_world["LVISBoxes_AP"] == pytest.approx(1.0)
    assert known["LVISBoxes_AP"] == pytest.approx(0.75)
    assert known["LVISBoxes_APr"] == pytest.approx(0.75), "both classes are in 10 images or fewer"
    rows = [dict(item, id=n) for n, item in enumerate(truth, start=1)]
    stated = PROTOCOLS["lvis"].measure(Tables(CLASSES, IMAGES, rows, found, {3: "f", 7: "c"}))
    groups = [stated[f"LVISBoxes_AP{group}"] for group in "rcf"]
    assert groups == pytest.approx([-1.0, 0.5, 1.0]), "as the file says, not as it is counted"
    unsaid = measure("lvis", truth, found)
    assert unsaid["LVISBoxes_AP"] == pytest.approx(0.75), "other data sets mark every object"


def test_the_results_hold_them_beside_cocos() -> None:
    tables = Tables(dict(CLASSES), [dict(image) for image in IMAGES])
    tables.truth = [row("cat", PLACE)]
    tables.detections = [row("cat", PLACE, score=0.9)]
    metrics = evaluation.measure(tables, PROTOCOLS).metrics
    for name in (PASCAL07, PASCAL10, OPEN_IMAGES, "LVISBoxes_AP", "DetectionBoxes_Precision/mAP"):
        assert metrics[name] == pytest.approx(1.0)
    dog = "PascalBoxes_PerformanceByCategory/AP@0.5IOU/dog"
    assert metrics[dog] == evaluation.NOT_MEASURED
