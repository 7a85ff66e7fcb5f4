"""Pictures out of records: in order, prepared ahead in threads, and named when they are damaged."""

import dataclasses
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import small_records

from tfod_kit import evaluation
from tfod_kit.core import labels
from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation, Polygons
from tfod_kit.core.boxes import Box, to_pixels
from tfod_kit.errors import DataError
from tfod_kit.evaluation.tables import Collector


class Preparing:
    """A detector that prepares images ahead, and finds in each what its first pixel says."""

    def __init__(self) -> None:
        self.threads: set[int] = set()
        self.batches: list[int] = []

    def prepare(self, image: Any) -> Any:
        self.threads.add(threading.get_ident())
        return image.shape

    def detect_prepared(self, images: Sequence[Any]) -> list[tuple[ObjectAnnotation, ...]]:
        self.batches.append(len(images))
        assert all(shape == (128, 128, 3) for shape in images)
        return [() for _ in images]


@pytest.fixture
def records(tmp_path: Path) -> Path:
    return small_records.write_records(tmp_path / "records", train=7, val=1)


def test_images_are_prepared_in_threads_and_come_in_order(records: Path) -> None:
    label_map = labels.load(records / "label_map.pbtxt")
    detector = Preparing()
    tables = evaluation.collect(
        detector,  # type: ignore[arg-type]
        evaluation.read_examples(sorted(records.glob("train*")), label_map),
        label_map,
        batch_size=3,
    )
    assert [image["source_id"] for image in tables.images] == [f"train{n}" for n in range(7)]
    assert detector.batches == [3, 3, 1]
    assert threading.get_ident() not in detector.threads
    assert {"segmentation", "keypoints", "difficult"} <= set(tables.truth[0])


def test_only_the_wanted_are_read(records: Path) -> None:
    paths = [*sorted(records.glob("train*")), *records.glob("val*")]
    found = evaluation.read_examples(paths, None, only={1, 7})
    assert [each.truth.source_id for each in found] == ["train1", "val0"]


def test_a_damaged_image_is_named() -> None:
    truth = ImageAnnotation(Path("a.jpg"), 10, 10, "a")
    broken = evaluation.Example(truth, b"<html>", "val-0, record 3")
    with pytest.raises(DataError, match="val-0, record 3"):
        evaluation.evaluate(Preparing(), [broken], ["cat"])  # type: ignore[arg-type]


def test_masks_and_keypoints_of_records_are_measured(records: Path) -> None:
    """What is found is the ground truth itself, and then itself moved by half its side."""
    label_map = labels.load(records / "label_map.pbtxt")
    paths = sorted(records.glob("train*"))
    truth = [each.truth for each in evaluation.read_examples(paths, label_map)]
    names = ("DetectionBoxes", "DetectionMasks", "Keypoints")
    for share, wanted in ((0.0, 1.0), (0.5, 0.0)):
        collector = Collector(label_map)
        for image in truth:
            collector.add(image, [_moved(item, share) for item in image.objects])
        metrics = evaluation.measure(collector.tables).metrics
        averages = [metrics[f"{name}_Precision/mAP@.75IOU"] for name in names]
        assert averages == pytest.approx([wanted] * 3, abs=0.05)


def _moved(item: ObjectAnnotation, share: float) -> ObjectAnnotation:
    """A detection beside the object, by a share of its side; its mask is of the whole box then."""
    by = share * item.box.width
    box = Box(item.box.ymin, item.box.xmin + by, item.box.ymax, item.box.xmax + by)
    left, top, right, bottom = to_pixels(box, width=128, height=128)
    mask = Polygons([(left, top, right, top, right, bottom, left, bottom)])
    points = tuple(dataclasses.replace(point, x=point.x + by) for point in item.keypoints)
    return dataclasses.replace(item, box=box, mask=mask, keypoints=points, score=0.9)
