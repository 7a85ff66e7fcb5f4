"""Vertex AI and AutoML: JSON lines with an image and its bounding boxes as fractions.

The layout is the ImageBoundingBox schema of cloud.google.com/vertex-ai/docs/image-data/
object-detection/prepare-data: "imageGcsUri", "boundingBoxAnnotations" with "displayName", "xMin",
"xMax", "yMin", "yMax", and the split under "dataItemResourceLabels". AI Platform Data Labeling
(cloud.google.com/ai-platform/data-labeling/docs/export) exports "imagePayload" and "annotations"
with normalised vertices; those of a polygon are its outline. Numbers that are 0 may be missing.
The format has neither image sizes nor class ids.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation
from tfod_kit.formats.base import Context, Format, Part, Source
from tfod_kit.formats.common import json_items, shapes
from tfod_kit.formats.common.image_index import split_of, split_of_path
from tfod_kit.formats.common.json_items import Entry, KeyPath, LeftOutError, Size

_ML_USE = "aiplatform.googleapis.com/ml_use"
_USES = re.compile(rb'ml_use"\s*:\s*"([^"]{0,100})"')


class _Payload(msgspec.Struct):
    imageUri: str = ""


class _Line(msgspec.Struct):
    imageGcsUri: str = ""
    imagePayload: _Payload | None = None
    boundingBoxAnnotations: list[msgspec.Raw] = []
    annotations: list[msgspec.Raw] = []
    # Any JSON: an unexpected value costs the split, not the image.
    dataItemResourceLabels: object = None


class _Spec(msgspec.Struct):
    displayName: str | None = None


class _Vertex(msgspec.Struct):
    x: float = 0.0
    y: float = 0.0


class _Poly(msgspec.Struct):
    normalizedVertices: list[_Vertex] = []


class _PolyAnnotation(msgspec.Struct):
    annotationSpec: _Spec
    normalizedBoundingPoly: _Poly | None = None


class _Value(msgspec.Struct):
    imageBoundingPolyAnnotation: _PolyAnnotation | None = None


class _Annotation(msgspec.Struct):
    """An annotation of Vertex AI, or of Data Labeling if it has `annotationValue`."""

    displayName: str | None = None
    xMin: float = 0.0
    yMin: float = 0.0
    xMax: float = 0.0
    yMax: float = 0.0
    annotationValue: _Value | None = None


def discover(root: Path, context: Context) -> tuple[Source, ...]:
    """The files below a folder by the splits that they name; empty if there is none."""
    files = json_items.sources(root, context, (".jsonl", ".ndjson", ".json"), _is_vertex)
    return tuple(
        Source(source.name, split, source.annotations)
        for source in files
        for split in _splits(source.annotations[0], root)
    )


def read(source: Source, context: Context) -> Part:
    """The images of one split; Vertex AI has no class ids."""
    return Part(_images(source, context), {})


FORMAT = Format(
    title="Vertex AI JSONL",
    discover=discover,
    read=read,
    expects='JSON lines with "imageGcsUri" and "boundingBoxAnnotations"',
    keeps=frozenset(("mask",)),
)


def _is_vertex(keys: frozenset[KeyPath]) -> bool:
    is_classification = any("lassificationAnnotation" in key[0] for key in keys)
    current = ("imageGcsUri",) in keys and not is_classification
    return current or {("imagePayload", "imageUri"), ("annotations",)} <= keys


def _splits(path: Path, root: Path) -> list[str | None]:
    """The splits that the lines name; if they name none, that of the path."""
    data = path.read_bytes()
    uses = [split_of(use.decode("utf-8", "replace")) for use in _USES.findall(data)]
    if not any(uses):
        return [split_of_path(path, root)]
    # Lines without a use are a part without a split.
    lines = sum(1 for line in data.split(b"\n") if line.strip())
    without: list[str | None] = [None] if sum(use is not None for use in uses) < lines else []
    return [*sorted({use for use in uses if use}), *without]


def _images(source: Source, context: Context) -> Iterator[ImageAnnotation]:
    path = source.annotations[0]
    by_use = bool(_USES.search(path.read_bytes()))
    for where, item in json_items.items(path, context):
        # A line that cannot be read would be a finding of every split.
        if by_use and _split(item) != source.split:
            continue
        line = json_items.decode(item, _Line, where, context)
        if line is None:
            continue
        payload = line.imagePayload or _Payload()
        stored = line.boundingBoxAnnotations or line.annotations
        entry = Entry(line.imageGcsUri or payload.imageUri, where, stored, has_size=False)
        yield from json_items.annotation(entry, _Annotation, _objects, path, source.split, context)


def _split(item: msgspec.Raw) -> str | None:
    """The split of a line; None if it names none or cannot be read."""
    try:
        labels = json_items.value(item, _Line).dataItemResourceLabels
    except ValueError:
        return None
    use = labels.get(_ML_USE) if isinstance(labels, dict) else None
    return split_of(use) if isinstance(use, str) else None


def _objects(item: _Annotation, /, size: Size) -> Iterator[ObjectAnnotation]:
    if item.annotationValue is None:
        edges = item.xMin, item.yMin, item.xMax, item.yMax
        yield ObjectAnnotation(json_items.label(item.displayName), *shapes.corners(edges, (1, 1)))
        return
    poly = item.annotationValue.imageBoundingPolyAnnotation
    if poly is None:
        raise LeftOutError("shape_ignored", "no bounding polygon")
    label = json_items.label(poly.annotationSpec.displayName)
    vertices = poly.normalizedBoundingPoly.normalizedVertices if poly.normalizedBoundingPoly else []
    points = [(vertex.x * size[0], vertex.y * size[1]) for vertex in vertices]
    if len(points) == 2 or _is_box(points):
        yield ObjectAnnotation(label, *shapes.between(points, size))
    else:
        yield ObjectAnnotation(label, *shapes.outline([points], size))


def _is_box(points: Sequence[tuple[float, float]]) -> bool:
    xs, ys = {x for x, _ in points}, {y for _, y in points}
    return len(points) == 4 and len(xs) == len(ys) == 2
