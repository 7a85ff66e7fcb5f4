"""Ground truth and detections as COCO's rows, from which every metric is computed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tfod_kit.core import boxes
from tfod_kit.core.annotations import ImageAnnotation, Keypoint, ObjectAnnotation, Polygons, Rle
from tfod_kit.errors import DataError

Row = dict[str, Any]


@dataclass(slots=True)
class Tables:
    """A data set and the detections in it.

    Attributes:
      classes: name -> category id, in the order of reporting.
      images: rows of id, width, height (px), source_id and file_name, by ascending id.
      truth, detections: COCO's rows: id (from 1), image_id, category_id, bbox (x, y, width, height
        in px), area (px²), iscrowd; segmentation and keypoints if there are any; detections
        have a score, ground truth has difficult and group_of. `mask_area` is the area by which
        masks are sorted into sizes, if it differs from `area`.
      frequencies: category id -> "r", "c" or "f" (rare, common, frequent), if LVIS states it.
    """

    classes: dict[str, int]
    images: list[Row] = field(default_factory=list)
    truth: list[Row] = field(default_factory=list)
    detections: list[Row] = field(default_factory=list)
    frequencies: dict[int, str] = field(default_factory=dict)

    @property
    def names(self) -> dict[int, str]:
        """The class names by category id."""
        return {number: name for name, number in self.classes.items()}

    def require_images(self) -> None:
        """Raises DataError if there are no images."""
        if not self.images:
            raise DataError(
                "There is nothing to evaluate on: the records hold no image.",
                fix="Convert a data set with a val split, or name another with --records or "
                "--split.",
            )


class Collector:
    """Fills tables from annotations, one image at a time."""

    def __init__(self, classes: Iterable[str]) -> None:
        self.tables = Tables({name: number for number, name in enumerate(classes, start=1)})
        self._seen: set[str] = set()

    def add(self, truth: ImageAnnotation, detections: Iterable[ObjectAnnotation]) -> None:
        """Adds an image, its ground truth and its detections.

        Raises:
          DataError: its source_id is not unique, or a class is not among the tables' classes.
        """
        if truth.source_id in self._seen:
            raise DataError(
                f"Two images have the source_id {truth.source_id!r}.",
                expected="a unique image/source_id in each record",
                fix="Convert the data set with `tfod convert`, which makes them unique.",
            )
        self._seen.add(truth.source_id)
        tables = self.tables
        image: Row = {
            "id": len(tables.images) + 1,
            "width": truth.width,
            "height": truth.height,
            "source_id": truth.source_id,
            "file_name": truth.image.name,
        }
        if truth.searched is not None:  # LVIS's lists
            ids, searched = tables.classes, truth.searched
            image["neg_category_ids"] = [ids[name] for name in searched.absent if name in ids]
            image["not_exhaustive_category_ids"] = [ids[n] for n in searched.partly if n in ids]
        tables.images.append(image)
        for item in truth.objects:
            flags = {"difficult": item.difficult, "group_of": item.group_of}
            row = self._row(item, image) | flags | _points(item, image)
            tables.truth.append(row | {"id": len(tables.truth) + 1})
        for item in detections:
            row = self._row(item, image) | {"score": item.score} | _points(item, image)
            if "segmentation" in row:
                row["mask_area"] = _mask_area(row["segmentation"])
            tables.detections.append(row | {"id": len(tables.detections) + 1})

    def _row(self, item: ObjectAnnotation, image: Row) -> Row:
        number = self.tables.classes.get(item.label)
        if number is None:
            raise DataError(
                f"The class {item.label!r} is not in the label map.",
                where=f"image {image['source_id']}",
                fix="Evaluate with the label map that the records were converted with.",
            )
        bbox = boxes.to_xywh(item.box, width=image["width"], height=image["height"])
        row: Row = {
            "image_id": image["id"],
            "category_id": number,
            "bbox": list(bbox),
            "area": item.area if item.area is not None else bbox[2] * bbox[3],
            "iscrowd": int(item.is_crowd),
        }
        if item.mask is not None:
            row["segmentation"] = _segmentation(item.mask, image)
        return row


def to_objects(rows: Sequence[Row], names: Mapping[int, str], image: Row) -> list[ObjectAnnotation]:
    """Converts rows of one image back to annotations, for drawing."""
    size = {"width": image["width"], "height": image["height"]}
    return [
        ObjectAnnotation(
            names[row["category_id"]],
            boxes.from_xywh(*row["bbox"], **size),
            mask=_mask(row.get("segmentation")),
            keypoints=tuple(_keypoints(row.get("keypoints", ()), **size)),
            is_crowd=bool(row.get("iscrowd", 0)),
            score=row.get("score"),
        )
        for row in rows
    ]


def _segmentation(mask: Polygons | Rle, image: Row) -> Row:
    from tfod_kit.records.rasters import masks

    rle = masks.to_rle(mask, image["height"], image["width"])
    return {"size": [rle.height, rle.width], "counts": rle.counts}


def _mask(segmentation: Any) -> Polygons | Rle | None:
    if not segmentation:
        return None
    if isinstance(segmentation, list):
        return Polygons(segmentation)
    counts = segmentation["counts"]
    packed = counts.encode() if isinstance(counts, str) else counts
    return Rle(packed, *segmentation["size"])


def _mask_area(segmentation: Row) -> float:
    from pycocotools import mask as coco_mask

    return float(coco_mask.area(segmentation))


def _points(item: ObjectAnnotation, image: Row) -> Row:
    """COCO's flat keypoints (x, y, visibility, ...) in px; empty without keypoints."""
    if not item.keypoints:
        return {}
    flat: list[float] = []
    for point in item.keypoints:
        flat += [point.x * image["width"], point.y * image["height"], point.visibility]
    return {"keypoints": flat, "num_keypoints": sum(p.visibility > 0 for p in item.keypoints)}


def _keypoints(flat: Sequence[float], *, width: int, height: int) -> Iterable[Keypoint]:
    for x, y, visibility in zip(flat[::3], flat[1::3], flat[2::3], strict=True):
        yield Keypoint(y / height, x / width, min(max(int(visibility), 0), 2))
