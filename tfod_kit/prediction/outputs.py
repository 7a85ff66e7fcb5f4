"""Detections as documents: JSON for programs, a report of counts, and whole data sets."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from tfod_kit import formats
from tfod_kit.core import boxes
from tfod_kit.core.annotations import ImageAnnotation, Keypoint, ObjectAnnotation, Polygons, Rle
from tfod_kit.core.boxes import Box
from tfod_kit.core.labels import LabelMap
from tfod_kit.errors import DataError
from tfod_kit.formats.common.writing import WrittenDataSet
from tfod_kit.io import files
from tfod_kit.prediction.inputs import file_fields, path_of

RESULTS = "detections.json"
REPORT = "report.json"

_WITH_PREDICTIONS = "label_studio"


@dataclass(frozen=True, slots=True)
class Prediction:
    """The objects in one image.

    Attributes:
      path: the file.
      width, height: px.
      objects: by descending score.
      url: where the file was downloaded from; "" for a local file.
      tracks: the track number of each object in a frame, None for one without a track; empty for
        an image.
    """

    path: Path
    width: int
    height: int
    objects: tuple[ObjectAnnotation, ...]
    url: str = ""
    tracks: tuple[int | None, ...] = ()


@dataclass(slots=True)
class PredictionReport:
    """The counts of a whole run, which report.json holds.

    Attributes:
      model: the model's source.
      options: the options that affect detections.
      images, videos, frames: how many were read.
      without_objects: images without objects.
      objects: by class.
      tracks: tracked objects by class.
      unreadable: `file` and `reason` of each input that could not be read.
    """

    model: str
    options: Mapping[str, str]
    images: int = 0
    without_objects: int = 0
    objects: Counter[str] = field(default_factory=Counter)
    videos: int = 0
    frames: int = 0
    tracks: Counter[str] = field(default_factory=Counter)
    unreadable: list[dict[str, str]] = field(default_factory=list)

    def add(self, entry: Mapping[str, Any]) -> None:
        """Counts the entry of an image, of a video, or of an unreadable file."""
        if "unreadable" in entry:
            self.unreadable.append({"file": entry["file"], "reason": entry["unreadable"]})
            return
        if "frames" in entry:
            self.videos += 1
            self.frames += entry["frames"]
            self.objects.update(entry["objects"])
            self.tracks.update(entry["tracks"])
            return
        self.images += 1
        self.without_objects += not entry["detections"]
        self.objects.update(row["label"] for row in entry["detections"])

    def as_json(self) -> str:
        document = {
            "model": self.model,
            "options": self.options,
            "pictures": self.images,
            "pictures_without_objects": self.without_objects,
            "videos": self.videos,
            "frames": self.frames,
            "objects": dict(self.objects.most_common()),
            "tracks": dict(self.tracks.most_common()),
            "unreadable": self.unreadable,
        }
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def as_entry(row: Prediction) -> dict[str, Any]:
    """The entry of an image in detections.json.

    A box is given both in [0, 1] (ymin, xmin, ymax, xmax) and in whole pixels (xmin, ymin, xmax,
    ymax), since both are widely used. A mask is COCO's compressed run lengths; keypoints are (x, y,
    visibility) in pixels.
    """
    start = {**file_fields(row.path), **({"url": row.url} if row.url else {})}
    tracks = row.tracks or (None,) * len(row.objects)
    return start | {
        "width": row.width,
        "height": row.height,
        "detections": [
            _as_dict(item, row, track) for item, track in zip(row.objects, tracks, strict=True)
        ],
    }


def as_json(source: str, predictions: Sequence[Prediction], unreadable: Sequence[DataError]) -> str:
    """The content of detections.json, for a few images."""
    rows = [{"file": str(error.where), "reason": str(error.found)} for error in unreadable]
    return "".join(_document(source, map(as_entry, predictions), rows))


def save_json(
    path: Path, source: str, entries: Iterable[dict[str, Any]], unreadable: Sequence[dict[str, str]]
) -> None:
    """Writes detections.json, image by image."""
    with files.atomic_file(path) as stream:
        for text in _document(source, entries, unreadable):
            stream.write(files.readable(text).encode())


def _document(
    source: str, entries: Iterable[dict[str, Any]], unreadable: Sequence[dict[str, str]]
) -> Iterator[str]:
    yield f'{{\n"model": {json.dumps(source, ensure_ascii=False)},\n"images": ['
    videos = []
    comma = ""
    for entry in entries:
        fields = {name: value for name, value in entry.items() if name != "stamp"}
        if "frames" in entry:
            videos.append(fields)
            continue
        yield f"{comma}\n{msgspec.json.encode(fields).decode()}"
        comma = ","
    yield "\n],\n"
    if videos:
        yield f'"videos": {msgspec.json.encode(videos).decode()},\n'
    yield f'"unreadable": {json.dumps(list(unreadable), ensure_ascii=False)}\n}}\n'


def save_data_set(
    name: str, entries: Iterable[Mapping[str, Any]], out: Path, classes: LabelMap | None, link: bool
) -> WrittenDataSet:
    """Writes images and detections as a data set, for labelling tools and `tfod convert`.

    Raises:
      UsageError: `out` holds other files.
    """
    annotations = [as_annotation(entry, number) for number, entry in enumerate(entries, start=1)]
    label_map = classes if classes is not None and _covers(classes, annotations) else None
    # Label Studio shows predictions to the annotator; other tools have no place for them.
    options = formats.WriteOptions(link=link, scores=name == _WITH_PREDICTIONS)
    return formats.write(name, annotations, out, classes=label_map, options=options)


def as_annotation(entry: Mapping[str, Any], number: int) -> ImageAnnotation:
    """Converts an entry of detections.json to an annotation.

    Args:
      entry: of an image.
      number: its source id in the data set.
    """
    width, height = entry["width"], entry["height"]
    objects = tuple(_as_object(row, width, height) for row in entry["detections"])
    return ImageAnnotation(path_of(entry), width, height, str(number), objects)


def _covers(classes: LabelMap, annotations: Iterable[ImageAnnotation]) -> bool:
    """Whether the label map has every class; a model without one names classes by id."""
    return all(item.label in classes for row in annotations for item in row.objects)


def _as_dict(item: ObjectAnnotation, row: Prediction, track: int | None) -> dict[str, Any]:
    corners = boxes.to_pixels(boxes.clip(item.box), width=row.width, height=row.height)
    entry: dict[str, Any] = {
        "label": item.label,
        "score": round(item.score or 0.0, 6),
        "box": [item.box.ymin, item.box.xmin, item.box.ymax, item.box.xmax],
        "pixels": [round(edge) for edge in corners],
    }
    if track is not None:
        entry["track"] = track
    if isinstance(item.mask, Rle):
        entry["mask"] = {
            "size": [item.mask.height, item.mask.width],
            "counts": item.mask.counts.decode("ascii"),
        }
    elif isinstance(item.mask, Polygons):
        entry["mask"] = [list(ring) for ring in item.mask.rings]
    if item.keypoints:
        entry["keypoints"] = [
            [round(point.x * row.width, 2), round(point.y * row.height, 2), point.visibility]
            for point in item.keypoints
        ]
        if any(point.name for point in item.keypoints):
            entry["keypoint_names"] = [point.name for point in item.keypoints]
    return entry


def _as_object(row: Mapping[str, Any], width: int, height: int) -> ObjectAnnotation:
    mask = row.get("mask")
    points = row.get("keypoints", [])
    names = row.get("keypoint_names", [""] * len(points))
    return ObjectAnnotation(
        row["label"],
        Box(*row["box"]),
        score=row["score"],
        mask=Rle(mask["counts"].encode(), *mask["size"])
        if isinstance(mask, dict)
        else Polygons(mask)
        if mask
        else None,
        keypoints=tuple(
            Keypoint(y / height, x / width, seen, name)
            for (x, y, seen), name in zip(points, names, strict=True)
        ),
    )
