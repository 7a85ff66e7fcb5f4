"""tfod_kit beside other tools' own code, on the same files. Run by `make test-peers`.

A row of the tables is one file format and one tool. Where a tool differs, the row states how, and
docs/formats.md why; such a difference is asserted too, so that it is noticed when it changes.
"""

import math
from dataclasses import replace
from pathlib import Path

import pytest
from peers import peer, scenes
from peers.peer import Agreement

from tfod_kit import formats
from tfod_kit.core import labels
from tfod_kit.core.annotations import ImageAnnotation
from tfod_kit.formats.common.findings import Findings

pytestmark = pytest.mark.peers

EXACT = Agreement()
MASKS = Agreement(masks=0.99)
ROUNDED = Agreement(pixels=0.5)
CLASSES = scenes.CLASSES

# (tool, our format, what the tool calls it, with masks, how it agrees)
THEY_READ = [
    ("coco", "coco", "coco", True, MASKS),
    ("coco", "lvis", "lvis", True, MASKS),
    ("datumaro", "coco", "coco", True, MASKS),
    ("datumaro", "voc", "voc", False, EXACT),
    ("datumaro", "yolo", "yolo", False, EXACT),
    ("datumaro", "kitti", "kitti", False, EXACT),
    ("datumaro", "cvat", "cvat", True, MASKS),
    ("datumaro", "open_images", "open_images", False, replace(EXACT, negatives=False)),
    # It paints outlines with their edges, on whole pixels.
    ("supervision", "coco", "coco", True, replace(MASKS, masks=0.9)),
    ("supervision", "yolo", "yolo", False, EXACT),
    # It takes VOC's first pixel for 1, as the development kit does; we write 0.
    ("supervision", "voc", "voc", False, replace(EXACT, splits=False, shift=(-1, -1, 0, 0))),
    ("supervision", "labelme", "labelme", False, EXACT),
    ("supervision", "createml", "createml", False, EXACT),
    ("globox", "coco", "coco", False, EXACT),
    ("globox", "yolo", "yolo", False, EXACT),
    ("globox", "voc", "voc", False, replace(EXACT, splits=False)),
    ("globox", "labelme", "labelme", False, EXACT),
    ("globox", "cvat", "cvat", False, replace(EXACT, splits=False)),
    ("globox", "open_images", "open_images", False, replace(EXACT, negatives=False)),
    ("globox", "via", "via", False, EXACT),
    ("pylabel", "coco", "coco", False, EXACT),
    # It leaves out images without objects in VOC.
    ("pylabel", "voc", "voc", False, replace(EXACT, splits=False, negatives=False)),
    ("pylabel", "yolo", "yolo", False, EXACT),
    ("labelme", "labelme", "labelme", True, MASKS),
    ("label_studio", "label_studio", "coco", True, MASKS),
    # It writes no VOC file for a task without objects; cuts the decimals of corner and size off.
    ("label_studio", "label_studio", "voc", False, Agreement(pixels=2, negatives=False)),
    ("ultralytics", "yolo", "yolo", False, EXACT),
    ("ultralytics", "yolo", "yolo", True, MASKS),
]

# (tool, what the tool calls it, our format, with masks, how it agrees)
WE_READ = [
    ("datumaro", "coco", "coco", False, EXACT),
    ("datumaro", "coco_masks", "coco", True, MASKS),
    # It writes no file for an image without objects in VOC and KITTI.
    ("datumaro", "voc", "voc", False, replace(EXACT, negatives=False)),
    ("datumaro", "yolo", "yolo", False, EXACT),
    ("datumaro", "kitti", "kitti", False, replace(EXACT, negatives=False)),
    ("datumaro", "cvat", "cvat", False, EXACT),
    ("datumaro", "cvat_masks", "cvat", True, MASKS),
    ("datumaro", "open_images", "open_images", False, replace(EXACT, negatives=False)),
    ("datumaro", "labelme_xml", "labelme_xml", False, EXACT),
    ("supervision", "coco", "coco", False, EXACT),
    # It writes the outline through the centres of the outermost pixels.
    ("supervision", "coco_masks", "coco", True, replace(MASKS, masks=0.9)),
    ("supervision", "yolo", "yolo", False, EXACT),
    ("supervision", "voc", "voc", False, ROUNDED),
    ("supervision", "labelme", "labelme", False, EXACT),
    ("supervision", "createml", "createml", False, EXACT),
    ("globox", "coco", "coco", False, EXACT),
    ("globox", "yolo", "yolo", False, EXACT),
    ("globox", "voc", "voc", False, EXACT),
    ("globox", "labelme", "labelme", False, EXACT),
    ("globox", "cvat", "cvat", False, EXACT),
    ("globox", "open_images", "open_images", False, replace(EXACT, negatives=False)),
    ("globox", "via", "via", False, EXACT),
    ("labelme", "labelme", "labelme", False, EXACT),
    ("labelme", "labelme_masks", "labelme", True, MASKS),
    ("cvat", "cvat_masks", "cvat", True, replace(MASKS, pixels=1.0)),
]


def _written(name: str, folder: Path, *, masks: bool) -> tuple[scenes.Data, Path]:
    data = scenes.draw(folder / "drawn", masks=masks)
    out = folder / "written"
    formats.write(name, data, out, classes=labels.from_names(list(CLASSES)))
    return data, out


@pytest.mark.parametrize(("tool", "name", "theirs", "masks", "agreement"), THEY_READ)
def test_they_read_what_we_write(
    tool: str, name: str, theirs: str, masks: bool, agreement: Agreement, tmp_path: Path
) -> None:
    data, out = _written(name, tmp_path, masks=masks)
    found = peer.read(tool, theirs, out, tmp_path)
    peer.assert_same(peer.content(data, CLASSES), found, agreement)


@pytest.mark.parametrize(("tool", "theirs", "name", "masks", "agreement"), WE_READ)
def test_we_read_what_they_write(
    tool: str, theirs: str, name: str, masks: bool, agreement: Agreement, tmp_path: Path
) -> None:
    data = scenes.draw(tmp_path / "drawn", masks=masks)
    content = peer.content(data, CLASSES)
    out = tmp_path / "written"
    peer.write(tool, theirs, content, out, tmp_path)
    findings = Findings("skip")
    origin = 1 if (tool, name) == ("supervision", "voc") else 0  # as VOC's own development kit
    options = formats.ReadOptions(follow_links=True, origin=origin)
    read = {
        split: formats.read(out, format=name, split=split, findings=findings, options=options)
        for split in scenes.SPLITS
    }
    peer.assert_same(content, peer.content(read, CLASSES), agreement)


def test_lvis_knows_what_images_were_searched_for(tmp_path: Path) -> None:
    data, out = _written("lvis", tmp_path, masks=False)
    absent = peer.read("coco", "lvis", out, tmp_path)["absent"]
    for annotation in (a for part in data.values() for a in part):
        assert absent[annotation.image.name] == sorted(set(CLASSES) - set(annotation.labels))


@pytest.mark.parametrize("masks", [False, True])
def test_ultralytics_trains(masks: bool, tmp_path: Path) -> None:
    """From another working folder: five steps of the tiny model, each with a finite loss."""
    data = scenes.draw(tmp_path / "drawn", masks=masks)
    more = [_renamed(a, number) for number in range(2) for a in data["train"]]
    classes = labels.from_names(list(CLASSES))
    formats.write("yolo", {**data, "train": more}, tmp_path / "yolo", classes=classes)
    content = {"folder": str(tmp_path / "yolo")}
    peer.write("ultralytics", "train", content, tmp_path / "run", tmp_path)
    losses = [float(line) for line in (tmp_path / "run" / "losses.txt").read_text().split()]
    assert len(losses) >= 5
    assert all(map(math.isfinite, losses))


def _renamed(annotation: ImageAnnotation, number: int) -> ImageAnnotation:
    return replace(annotation, source_id=f"{number}/{annotation.source_id}")
