"""Ground truth from a COCO JSON and detections from any tool's JSON, as tables; no images needed.

Detections are COCO results (a list of image_id, category_id, bbox, score, and optionally
segmentation or keypoints) or what `tfod predict` writes.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from tfod_kit.core import boxes
from tfod_kit.core.annotations import Polygons, Rle
from tfod_kit.core.boxes import Box
from tfod_kit.errors import DataError, did_you_mean
from tfod_kit.evaluation.tables import Row, Tables
from tfod_kit.io import json_files
from tfod_kit.records.images import MAX_PIXELS
from tfod_kit.records.rasters import masks, run_lengths

# Beyond these, the arithmetic of an evaluation overflows.
_Whole = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]
_Size = Annotated[int, msgspec.Meta(ge=0, le=10**6)]
_Number = Annotated[float, msgspec.Meta(ge=-1e9, le=1e9)]
_Area = Annotated[float, msgspec.Meta(ge=-1e18, le=1e18)]
_Id = _Whole | str


class _Image(msgspec.Struct):
    id: _Id
    width: _Size = 0  # needed only for masks
    height: _Size = 0
    file_name: str = ""
    neg_category_ids: list[int] | None = None
    not_exhaustive_category_ids: list[int] | None = None


class _Category(msgspec.Struct):
    id: _Whole
    name: str
    frequency: Literal["r", "c", "f"] | None = None  # LVIS's


class _RunLengths(msgspec.Struct):
    size: tuple[_Size, _Size]
    counts: str | list[int]


class _Object(msgspec.Struct):
    image_id: _Id
    category_id: _Whole
    bbox: list[_Number] | None = None
    area: _Area | None = None
    iscrowd: _Whole | bool = 0
    segmentation: _RunLengths | list[list[_Number]] | None = None
    keypoints: list[_Number] | None = None
    num_keypoints: _Whole | None = None
    difficult: _Whole | bool = 0
    group_of: _Whole | bool = 0
    score: _Number | None = None


class _Truth(msgspec.Struct):
    images: list[_Image]
    categories: list[_Category]
    annotations: list[_Object]


class _PredictedObject(msgspec.Struct):
    """A detection as `tfod predict` writes it."""

    label: str
    score: _Number
    box: tuple[_Number, _Number, _Number, _Number]
    mask: _RunLengths | list[list[_Number]] | None = None
    keypoints: list[tuple[_Number, _Number, _Number]] = []


class _PredictedImage(msgspec.Struct):
    file: str
    width: _Size
    height: _Size
    detections: list[_PredictedObject]


class _Predictions(msgspec.Struct):
    images: list[_PredictedImage]


def read(ground_truth: Path, detections: Path) -> Tables:
    """The tables of a COCO JSON and of the detections in its images.

    Raises:
      DataError: a file is invalid; a detection is of an image or a category that the ground truth
        does not have; a mask is damaged.
    """
    truth = _decoded(ground_truth, _Truth, "COCO JSON with images, categories and annotations")
    tables = Tables({each.name: each.id for each in truth.categories})
    tables.frequencies = {each.id: each.frequency for each in truth.categories if each.frequency}
    _unique([each.id for each in truth.categories], "category", ground_truth)
    _unique([each.name for each in truth.categories], "category name", ground_truth)
    _unique([each.id for each in truth.images], "image", ground_truth)
    # pycocotools orders by ascending image id, which decides between equal scores.
    ordered = sorted(truth.images, key=lambda each: (isinstance(each.id, str), each.id))
    tables.images = [_image_row(each, number) for number, each in enumerate(ordered, start=1)]
    reader = _Reader(tables, {each.id: index for index, each in enumerate(ordered)})
    for index, item in enumerate(truth.annotations):
        row = reader.row(item, f"{ground_truth}, annotation {index}")
        flags = {"difficult": bool(item.difficult), "group_of": bool(item.group_of)}
        tables.truth.append(row | flags | {"id": index + 1})
    for index, (item, where) in enumerate(_detections(detections, tables, ordered)):
        row = reader.row(item, where) | {"id": index + 1, "score": item.score}
        tables.detections.append(row | {"iscrowd": 0})
    return tables


class _Reader:
    """Converts objects to rows and checks that their images and categories are known."""

    def __init__(self, tables: Tables, indices: Mapping[_Id, int]) -> None:
        self._images = tables.images
        self._indices = indices
        counts = Counter(map(str, indices))
        # Some tools write ids as text, others as numbers; "7" and 7 are one id unless both occur.
        self._by_text = {str(id_): at for id_, at in indices.items() if counts[str(id_)] == 1}
        self._categories = set(tables.classes.values())

    def row(self, item: _Object, where: str) -> Row:
        index = self._indices.get(item.image_id, self._by_text.get(str(item.image_id)))
        if index is None:
            raise _unknown("an image", f"image_id {item.image_id!r}", self._indices, where)
        if item.category_id not in self._categories:
            found = f"category_id {item.category_id}"
            raise _unknown("a category", found, sorted(self._categories), where)
        image = self._images[index]
        row: Row = {
            "image_id": image["id"],
            "category_id": item.category_id,
            "iscrowd": int(item.iscrowd),
        }
        if item.segmentation:
            row["segmentation"] = _mask(item.segmentation, image, where)
        if item.keypoints:
            row |= _points(item, where)
        row["bbox"] = _bbox(item, row, where)
        row["area"] = item.area if item.area is not None else _area(item, row)
        return row


def _detections(
    file: Path, tables: Tables, images: Sequence[_Image]
) -> Iterator[tuple[_Object, str]]:
    expected = (
        "COCO results (a list of image_id, category_id, bbox, score), or what `tfod predict` writes"
    )
    content = _decoded(file, list[_Object] | _Predictions, expected)
    if isinstance(content, _Predictions):
        yield from _predicted(content, file, tables, images)
        return
    for index, item in enumerate(content):
        if item.score is None:
            raise DataError(
                "A detection has no score.",
                where=f"{file}, detection {index}",
                expected="a score in each detection, to rank them by",
                fix="Name the file of the detections with --detections, not the ground truth.",
            )
        if not 0 <= item.score <= 1:
            raise DataError(
                "The score of a detection is not between 0 and 1.",
                where=f"{file}, detection {index}",
                expected="a score in [0, 1]",
                found=item.score,
                fix="Divide percentages by 100; put logits through a sigmoid.",
            )
        item.area = None  # the area of a detection is that of its box or mask, as in pycocotools
        yield item, f"{file}, detection {index}"


def _predicted(
    content: _Predictions, file: Path, tables: Tables, images: Sequence[_Image]
) -> Iterator[tuple[_Object, str]]:
    """What `tfod predict` wrote: images are identified by file name, classes by name."""
    by_name = {Path(each.file_name.replace("\\", "/")).name: each for each in images}
    for predicted in content.images:
        where = f"{file}, {predicted.file}"
        image = by_name.get(Path(predicted.file).name)
        if image is None:
            raise _unknown("an image", predicted.file, by_name, where)
        for item in predicted.detections:
            if item.label not in tables.classes:
                raise _unknown("a category", repr(item.label), tables.classes, where)
            bbox = boxes.to_xywh(Box(*item.box), width=predicted.width, height=predicted.height)
            number = tables.classes[item.label]
            converted = _Object(image.id, number, bbox=list(bbox), score=item.score)
            converted.segmentation = item.mask
            converted.keypoints = [value for point in item.keypoints for value in point] or None
            yield converted, where


def _decoded(file: Path, type_: Any, expected: str) -> Any:
    try:
        return json_files.read(file, type_)
    except ValueError as error:
        raise DataError(
            "The file cannot be used for an evaluation.",
            where=file,
            expected=expected,
            found=str(error),
            fix="Check that it is the right file and complete.",
        ) from error


def _unique(values: Sequence[_Id], what: str, file: Path) -> None:
    seen: set[_Id] = set()
    for value in values:
        if value in seen:
            raise DataError(
                f"Two entries have the same {what}.",
                where=file,
                found=value,
                fix=f"Make each {what} unique.",
            )
        seen.add(value)


def _unknown(what: str, found: str, known: Any, where: str) -> DataError:
    shown = did_you_mean(found.removeprefix("image_id ").strip("'"), map(str, known))
    return DataError(
        f"A detection or annotation is of {what} that the ground truth does not have.",
        where=where,
        expected=shown,
        found=found,
        fix="Evaluate with the ground truth of the images that were detected on.",
    )


def _image_row(image: _Image, number: int) -> Row:
    row = {
        "id": number,
        "width": image.width,
        "height": image.height,
        "source_id": str(image.id),
        "file_name": image.file_name,
    }
    for name in ("neg_category_ids", "not_exhaustive_category_ids"):  # LVIS's
        if getattr(image, name) is not None:
            row[name] = getattr(image, name)
    return row


def _mask(stored: _RunLengths | list[list[float]], image: Row, where: str) -> Row:
    """The mask as run lengths, checked so that a decoder in C can rely on them."""
    height, width = image["height"], image["width"]
    try:
        if not 0 < width * height <= MAX_PIXELS:
            raise ValueError("an image whose size is not stated or not plausible")
        if isinstance(stored, list):
            rle: Rle = masks.to_rle(Polygons(stored), height, width)
        elif isinstance(stored.counts, str):
            rle = run_lengths.from_compressed(stored.counts.encode(), *stored.size)
        else:
            rle = run_lengths.from_runs(stored.counts, *stored.size)
        if (rle.height, rle.width) != (height, width):
            raise ValueError(f"a mask of {rle.width}x{rle.height} px")
    except (ValueError, IndexError) as error:
        raise DataError(
            "A mask cannot be read.",
            where=where,
            expected=f"outlines, or COCO's run lengths of {width}x{height} px",
            found=str(error),
            fix="Write the file again.",
        ) from error
    return {"size": [height, width], "counts": rle.counts}


def _points(item: _Object, where: str) -> Row:
    flat = item.keypoints or []
    if len(flat) % 3:
        raise DataError(
            "Keypoints are not triples.",
            where=where,
            expected="x, y, visibility of each",
            found=f"{len(flat)} numbers",
            fix="Write the file again.",
        )
    visible = sum(value > 0 for value in flat[2::3])
    number = visible if item.num_keypoints is None else item.num_keypoints
    return {"keypoints": flat, "num_keypoints": number}


def _bbox(item: _Object, row: Row, where: str) -> list[float]:
    """The box; without one, that of the mask or of the keypoints (pycocotools, loadRes)."""
    if item.bbox:
        if len(item.bbox) != 4:
            raise DataError(
                "A bbox is invalid.",
                where=where,
                expected="x, y, width, height in pixels",
                found=item.bbox,
                fix="Write the file again.",
            )
        return item.bbox
    if "segmentation" in row:
        from pycocotools import mask as coco_mask

        return [float(edge) for edge in coco_mask.toBbox(row["segmentation"])]
    if "keypoints" in row:
        xs, ys = row["keypoints"][::3], row["keypoints"][1::3]
        return [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]
    raise DataError(
        "An object has no location.",
        where=where,
        expected="a bbox, a segmentation or keypoints",
        fix="Write the file again.",
    )


def _area(item: _Object, row: Row) -> float:
    """px² of the box if there is one, else of the mask, as in pycocotools."""
    if not item.bbox and "segmentation" in row:
        from pycocotools import mask as coco_mask

        return float(coco_mask.area(row["segmentation"]))
    return float(row["bbox"][2] * row["bbox"][3])
