"""Runs the agent of a peer in the peer's environment, and compares data sets."""

import json
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from peers import environments
from pycocotools import mask as coco_mask

from tfod_kit.core import boxes
from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation, Polygons
from tfod_kit.records.rasters import masks as rasters

AGENTS = Path(__file__).parent / "agents"
_BACKGROUND = "background"  # the first class of VOC's label maps
_TIMEOUT = 600  # seconds

Content = dict[str, Any]  # as agents/exchange.py describes
Edges = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far a peer agrees.

    Attributes:
      pixels: by how much each edge of a box may differ.
      shift: px that the peer adds to (xmin, ymin, xmax, ymax): a documented difference.
      splits: whether the peer has splits.
      masks: the smallest IoU of two masks; None if they are not compared.
      negatives: whether the peer keeps images without objects.
      labels: our class -> the peer's, if its format has other names.
    """

    pixels: float = 0.01
    shift: Edges = (0, 0, 0, 0)
    splits: bool = True
    masks: float | None = None
    negatives: bool = True


def run(peer: str, action: str, name: str, source: Path, target: Path) -> None:
    """Runs an agent; skips the test without the peer's environment."""
    if not environments.is_ready(peer):
        pytest.skip(f"{peer} is not installed: make test-peers")
    script = AGENTS / f"with_{peer}.py"
    command = [environments.python(peer), script, action, name, source, target]
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=_TIMEOUT, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]


def read(peer: str, name: str, folder: Path, temporary: Path) -> Content:
    """What a peer reads from a folder."""
    result = temporary / "read.json"
    run(peer, "read", name, folder, result)
    content: Content = json.loads(result.read_text())
    return content


def write(peer: str, name: str, content: Content, folder: Path, temporary: Path) -> None:
    """Writes a data set with a peer."""
    source = temporary / "content.json"
    source.write_text(json.dumps(content))
    run(peer, "write", name, source, folder)


def content(data: Mapping[str, Sequence[ImageAnnotation]], classes: Sequence[str]) -> Content:
    """Our annotations as exchanged."""
    images = [_image(each, split) for split, part in data.items() for each in part]
    return {"classes": list(classes), "images": images}


def _image(annotation: ImageAnnotation, split: str) -> Content:
    return {
        "name": annotation.image.name,
        "path": str(annotation.image),
        "split": split,
        "width": annotation.width,
        "height": annotation.height,
        "objects": [_object(item, annotation) for item in annotation.objects],
    }


def _object(item: ObjectAnnotation, annotation: ImageAnnotation) -> Content:
    width, height = annotation.width, annotation.height
    rings, runs = None, None
    if item.mask is not None:
        rle = rasters.to_rle(item.mask, height, width)
        bitmap = coco_mask.decode({"counts": rle.counts, "size": [height, width]})
        runs = _runs(bitmap)
    if isinstance(item.mask, Polygons):
        rings = [list(ring) for ring in item.mask.rings]
    edges = boxes.to_pixels(item.box, width=width, height=height)
    return {"label": item.label, "box": list(edges), "rings": rings, "runs": runs}


def _runs(bitmap: Any) -> list[int]:
    flat = np.asarray(bitmap, dtype=bool).ravel(order="F")
    ends = np.flatnonzero(np.diff(flat)) + 1
    lengths: list[int] = np.diff(np.concatenate(([0], ends, [flat.size]))).tolist()
    return [0, *lengths] if flat[0] else lengths


def assert_same(expected: Content, found: Content, agreement: Agreement) -> None:
    """Asserts that two data sets agree: classes, images, sizes, splits, boxes and masks."""
    used = {item["label"] for image in expected["images"] for item in image["objects"]}
    assert used <= set(found["classes"]) <= {*expected["classes"], _BACKGROUND}
    theirs = {Path(image["name"]).stem: image for image in found["images"]}
    assert len(theirs) == len(found["images"])
    kept = [i for i in expected["images"] if i["objects"] or agreement.negatives]
    others = {name for name in theirs if not theirs[name]["objects"]}
    ours = {Path(image["name"]).stem: image for image in kept}
    assert ours.keys() == theirs.keys() - (set() if agreement.negatives else others)
    for name, image in ours.items():
        _assert_same_image(image, theirs[name], agreement)


def _assert_same_image(expected: Content, found: Content, agreement: Agreement) -> None:
    if found["objects"]:
        sizes = [(image["width"], image["height"]) for image in (expected, found)]
        assert sizes[0] == sizes[1]
    if agreement.splits:
        assert found["split"] == expected["split"]
    assert _labels(found) == _labels(expected)
    remaining = list(found["objects"])
    for item in expected["objects"]:
        edges = np.add(item["box"], agreement.shift)
        same = [other for other in remaining if other["label"] == item["label"]]
        nearest = min(same, key=lambda other: _distance(edges, other["box"]))
        assert _distance(edges, nearest["box"]) <= agreement.pixels, (edges, nearest["box"])
        remaining.remove(nearest)
        if agreement.masks is not None:
            size = expected["height"], expected["width"]
            assert _iou(_bitmap(item, size), _bitmap(nearest, size)) >= agreement.masks


def _labels(image: Content) -> Counter[str]:
    return Counter(item["label"] for item in image["objects"])


def _distance(edges: Sequence[float], others: Sequence[float]) -> float:
    return float(np.abs(np.subtract(edges, others)).max())


def _bitmap(item: Content, size: tuple[int, int]) -> Any:
    if item["runs"]:
        flat = np.repeat(np.arange(len(item["runs"])) % 2, item["runs"])
        return flat.reshape(size, order="F").astype(bool)
    assert item["rings"], "an object without a mask"
    rle = rasters.to_rle(Polygons(item["rings"]), *size)
    return coco_mask.decode({"counts": rle.counts, "size": list(size)}).astype(bool)


def _iou(one: Any, other: Any) -> float:
    return float((one & other).sum() / (one | other).sum())
