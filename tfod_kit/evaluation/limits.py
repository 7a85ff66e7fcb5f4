"""Reports images with more objects than COCO's metrics count detections of."""

from collections import Counter
from collections.abc import Iterable, Iterator

from tfod_kit.evaluation import coco
from tfod_kit.evaluation.metrics import BOXES, KEYPOINTS
from tfod_kit.evaluation.tables import Row, Tables


def notes(tables: Tables, limit: int | None = None) -> Iterator[str]:
    """Sentences for boxes and masks, and for keypoints, if the limit lowers their figures.

    Args:
      tables: ground truth and detections.
      limit: the detections of a class in an image that are counted; None = COCO's limits.
    """
    yield from _note("objects", tables, tables.truth, tables.detections, limit or BOXES.limit)
    if coco.both_have(tables, "keypoints"):
        truth, detections = (
            [row for row in rows if "keypoints" in row]
            for rows in (tables.truth, tables.detections)
        )
        yield from _note(
            "objects with keypoints", tables, truth, detections, limit or KEYPOINTS.limit
        )


def _note(
    what: str, tables: Tables, truth: Iterable[Row], detections: Iterable[Row], limit: int
) -> Iterator[str]:
    objects = _groups(row for row in truth if not row["iscrowd"])
    crowded = {group: count for group, count in objects.items() if count > limit}
    if not crowded:
        return
    (image, category), most = max(crowded.items(), key=lambda item: item[1])
    source = next(row["source_id"] for row in tables.images if row["id"] == image)
    images = len({group[0] for group in crowded})
    text = (
        f"{images:,} image{' has' if images == 1 else 's have'} more than {limit} {what} of a "
        f"class (most: {most:,} of {tables.names[category]!r} in image {source}), but COCO's "
        f"metrics count the {limit} detections of a class with the highest scores, so that not all "
        "objects can be found."
    )
    found = max(_groups(detections).values(), default=0)
    if found > limit:
        yield f"{text} --max_detections {most} counts more; F1 and the error types count all."
    else:
        yield (
            f"{text} There are at most {found} detections of a class in an image, so raise the "
            f"model's own limit first (`tfod configure --detections {most}` sets it)."
        )


def _groups(rows: Iterable[Row]) -> Counter[tuple[int, int]]:
    """The number of rows of each image and class."""
    return Counter((row["image_id"], row["category_id"]) for row in rows)
