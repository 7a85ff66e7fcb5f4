"""Reads Label Studio JSON."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import msgspec

from tfod_kit.core import boxes
from tfod_kit.core.annotations import (
    ImageAnnotation,
    ImageRef,
    Keypoint,
    ObjectAnnotation,
    Polygons,
    Rle,
)
from tfod_kit.core.boxes import Box
from tfod_kit.formats.base import Context, Part, Source
from tfod_kit.formats.common import label_studio_rle, points, reading, rotated_boxes, shapes
from tfod_kit.formats.common.image_index import EXTENSIONS, split_of_path, which

_LABELS = (
    "labels", "rectanglelabels", "polygonlabels", "ellipselabels", "brushlabels", "keypointlabels",
    "hypertextlabels",
)  # fmt: skip
_GEOMETRY = ("x", "points", "rle")
HIDDEN = "hidden"
_UPLOAD_PREFIX = 9  # characters: eight and a dash, put before the name of an uploaded file

# A result, a shape or a task: their keys depend on the project's settings, so that each value is
# checked where it is used.
_Json = Mapping[str, object]


class _Annotation(msgspec.Struct):
    result: list[dict[str, object]] = []
    was_cancelled: bool | None = False
    ground_truth: bool | None = False


class _Task(msgspec.Struct):
    id: int | str | None = None
    data: dict[str, object] | None = None
    annotations: list[_Annotation] | None = None
    completions: list[_Annotation] | None = None


def discover(root: Path, context: Context) -> tuple[Source, ...]:
    """The files below a folder, or the one file; empty if it is not Label Studio's."""
    files = [root] if root.is_file() else context.images.of_kind(root, ".json")
    return tuple(
        Source(context.name(path.with_suffix("")), split_of_path(path, root), (path,))
        for path in which(files, _is_label_studio)
    )


def read(source: Source, context: Context) -> Part:
    """The images of one file; Label Studio has no class ids."""
    return Part(points.aligned(_images(source, context)), {})


def _is_label_studio(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            head = stream.read(1 << 20).lstrip(b"\xef\xbb\xbf \r\n\t")
    except OSError:
        return False
    is_task = b'"data"' in head and any(key in head for key in (b'"annotations"', b'"completions"'))
    return head[:1] == b"[" and (is_task or b'"original_width"' in head)


def _images(source: Source, context: Context) -> Iterator[ImageAnnotation]:
    path = source.annotations[0]
    tasks = reading.json(path, list[dict[str, object]], context)
    for number, raw in enumerate(tasks or ()):
        where = f"{context.name(path)}, task {raw.get('id', number)!r}"
        try:
            named, results = _task(raw, where, context)
        except (msgspec.ValidationError, ValueError) as error:
            context.findings.add("row_unreadable", where, error)
            continue
        if results is None:
            context.findings.add("not_annotated_yet", where, named)
            continue
        image = _image_file(named, path, source.split, where, context)
        if image is None:
            continue
        declared = next((r for r in results if r.get("original_width")), {})
        size = reading.size(
            _size(declared, "width"), _size(declared, "height"), image, where, context
        ) if declared else reading.measured_size(image, context)  # fmt: skip
        if size is not None:
            objects = tuple(_objects(results, size, where, context))
            yield ImageAnnotation(image, *size, image.name, objects)


def _size(result: _Json, side: str) -> float | None:
    try:
        return reading.number(result.get(f"original_{side}"))
    except ValueError:
        return None


def _task(raw: _Json, where: str, context: Context) -> tuple[str, Sequence[_Json] | None]:
    """The image's path or address, and the results; None instead of them without an annotation.

    Raises:
      ValueError or msgspec.ValidationError: it is not a task.
    """
    task = msgspec.convert(raw, _Task)
    if task.data is None:
        return _image_name(raw), _results_of_row(raw)
    done = [a for a in task.annotations or task.completions or () if not a.was_cancelled]
    if len(done) > 1:
        context.findings.add("annotated_by_several", where, f"{len(done)} annotations")
    truth = [a for a in done if a.ground_truth]
    return _image_name(task.data), (truth or done)[-1].result if done else None


def _results_of_row(raw: _Json) -> list[_Json]:
    """The results of a JSON_MIN row, whose shapes hold size and labels side by side."""
    return [
        {**shape, "value": shape}
        for value in raw.values()
        if isinstance(value, list)
        for shape in value
        if isinstance(shape, dict)
    ]


def _image_name(data: _Json) -> str:
    """The image's path or address: the value under "image", or the first that looks like one."""
    texts = [text for key in ("image", "img", *data) if isinstance(text := data.get(key), str)]
    plain = [unquote(text.split("?d=")[-1].split("?")[0]) for text in texts]
    images = [text for text in plain if text.lower().endswith(EXTENSIONS)]
    if not plain:
        raise ValueError("a task without an image")
    return (images or plain)[0]


def _image_file(
    named: str, path: Path, split: str | None, where: str, context: Context
) -> ImageRef | None:
    """The image of that name, or of the name that it had before the upload."""
    last = named.replace("\\", "/").rsplit("/", 1)[-1]
    is_upload = last[_UPLOAD_PREFIX - 1 : _UPLOAD_PREFIX] == "-" and not context.images.by_name(
        named, path, split
    )
    return reading.image_file(
        last[_UPLOAD_PREFIX:] if is_upload else named, path, split, where, context
    )


def _objects(
    results: Sequence[_Json], size: tuple[int, int], where: str, context: Context
) -> Iterator[ObjectAnnotation]:
    groups = _grouped(results)
    group_ids = [group[0].get("id") for group in groups if not _is_point(group)]
    shape_ids = {group_id for group_id in group_ids if isinstance(group_id, str)}
    keypoints: dict[object, list[Keypoint]] = {}
    objects: list[tuple[object, ObjectAnnotation]] = []
    for number, group in enumerate(groups, start=1):
        result_where = f"{where}, result {number}"
        values = [value for result in group if isinstance(value := result.get("value"), dict)]
        label = next((name for value in values if (name := _label(value))), "")
        shape = next((v for v in values if any(key in v for key in _GEOMETRY)), None)
        parent = next((result["parentID"] for result in group if result.get("parentID")), None)
        if group[0].get("type") == "relation":
            context.findings.add("relation_ignored", result_where)
            continue
        if shape is None:
            context.findings.add("image_level_label", result_where, label or None)
            continue
        try:
            if _is_point(group) and isinstance(parent, str) and parent in shape_ids:
                y, x = _fraction(shape.get("y")), _fraction(shape.get("x"))
                point = Keypoint(y, x, _visibility(group), label)
                keypoints.setdefault(parent, []).append(point)
                continue
            extent = _extent(shape, size)
        except (ValueError, TypeError, OverflowError) as error:
            context.findings.add("number_unreadable", result_where, error)
            continue
        if extent is None:
            context.findings.add("shape_ignored", result_where, group[0].get("type"))
        elif not label:
            context.findings.add("class_missing", result_where)
        else:
            item = rotated_boxes.settled(ObjectAnnotation(label, *extent), result_where, context)
            objects.append((group[0].get("id"), item))
    for shape_id, item in objects:
        own = keypoints.get(shape_id, ()) if isinstance(shape_id, str) else ()
        yield replace(item, keypoints=points.unique(own)) if own else item


def _is_point(group: Sequence[_Json]) -> bool:
    return any(result.get("type") in ("keypointlabels", "keypoint") for result in group)


def _visibility(group: Sequence[_Json]) -> int:
    """1 for a point with the text that our writer gives hidden ones, else 2."""
    metas = (meta for result in group if isinstance(meta := result.get("meta"), dict))
    return 1 if any(meta.get("text") == [HIDDEN] for meta in metas) else 2


def _fraction(percent: object) -> float:
    return reading.number(percent) / 100


def _grouped(results: Sequence[_Json]) -> list[list[_Json]]:
    """The results, grouped by id."""
    groups: dict[object, list[_Json]] = {}
    for number, result in enumerate(results):
        result_id = result.get("id")
        groups.setdefault(result_id if isinstance(result_id, str) else number, []).append(result)
    return list(groups.values())


def _label(value: _Json) -> str:
    for key in _LABELS:
        names = value.get(key)
        if isinstance(names, list) and names and isinstance(names[0], str):
            return reading.name(names[0])
    return ""


def _extent(value: _Json, size: tuple[int, int]) -> tuple[Box, Polygons | Rle | None] | None:
    """The shape's box, and its mask unless the box says it all; None for a point or a line.

    Raises:
      ValueError or TypeError: a coordinate is not a number.
    """
    width, height = size
    if "rle" in value:
        return label_studio_rle.read(value["rle"], width, height)
    if "points" in value:
        corners = [(_px(x, width), _px(y, height)) for x, y in _pairs(value["points"])]
        if len(corners) < 3:
            return None
    elif "radiusX" in value:
        center = _px(value.get("x"), width), _px(value.get("y"), height)
        radii = _px(value.get("radiusX"), width), _px(value.get("radiusY"), height)
        corners = list(reading.ellipse(*center, *radii, _rotation(value)))
    elif {"width", "height"} <= value.keys():
        x, y = _px(value.get("x"), width), _px(value.get("y"), height)
        w, h = _px(value["width"], width), _px(value.get("height"), height)
        if not _rotation(value):
            return boxes.from_xywh(x, y, w, h, width=width, height=height), None
        upright = ((x, y), (x + w, y), (x + w, y + h), (x, y + h))
        return shapes.four_corners(reading.rotated(upright, _rotation(value), x, y), size)
    else:
        return None
    mask = Polygons((reading.ring(corners),))
    return reading.around(mask, width, height), mask


def _pairs(stored: object) -> list[tuple[object, object]]:
    """The points of a polygon. Raises TypeError or ValueError if they are not pairs."""
    if not isinstance(stored, list):
        raise TypeError("points are not a list")
    return [(x, y) for x, y in stored]


def _px(percent: object, side: int) -> float:
    return reading.number(percent) * side / 100


def _rotation(value: _Json) -> float:
    return reading.number(value.get("rotation") or 0)
