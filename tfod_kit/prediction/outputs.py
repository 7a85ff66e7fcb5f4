"""What was found, as documents: JSON for programs, a report of counts, and whole data sets."""

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
from tfod_kit.prediction.inputs import named, path_of

RESULTS = "detections.json"
REPORT = "report.json"


@dataclass(frozen=True, slots=True)
class Prediction:
    """What was found in one picture: its file, its size in px, and the objects, best first.

    Attributes:
      url: where the file came from; "" for one that was there.
      tracks: the number of each object that was followed through a video, None for one that was
        not (yet); empty for a picture.
    """

    path: Path
    width: int
    height: int
    objects: tuple[ObjectAnnotation, ...]
    url: str = ""
    tracks: tuple[int | None, ...] = ()


@dataclass(slots=True)
class Report:
    """Counts of a whole run; the content of report.json, and what is printed at the end."""

    model: str
    options: Mapping[str, str]
    pictures: int = 0
    without_objects: int = 0
    objects: Counter[str] = field(default_factory=Counter)
    videos: int = 0
    frames: int = 0
    tracks: Counter[str] = field(default_factory=Counter)
    unreadable: list[dict[str, str]] = field(default_factory=list)

    def add(self, entry: Mapping[str, Any]) -> None:
        """Counts the entry of a picture, of a video, or of what could not be read."""
        if "unreadable" in entry:
            self.unreadable.append({"file": entry["file"], "reason": entry["unreadable"]})
            return
        if "frames" in entry:
            self.videos += 1
            self.frames += entry["frames"]
            self.objects.update(entry["objects"])
            self.tracks.update(entry["tracks"])
            return
        self.pictures += 1
        self.without_objects += not entry["detections"]
        self.objects.update(row["label"] for row in entry["detections"])

    def as_json(self) -> str:
        document = {
            "model": self.model,
            "options": self.options,
            "pictures": self.pictures,
            "pictures_without_objects": self.without_objects,
            "videos": self.videos,
            "frames": self.frames,
            "objects": dict(self.objects.most_common()),
            "tracks": dict(self.tracks.most_common()),
            "unreadable": self.unreadable,
        }
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def as_entry(row: Prediction) -> dict[str, Any]:
    """A picture's part of detections.json.

    A box is given both in [0, 1] (ymin, xmin, ymax, xmax) and in whole pixels (xmin, ymin, xmax,
    ymax), since half of all readers want the one and half the other. A mask is COCO's compressed
    run lengths; keypoints are (x, y, visibility) in pixels.
    """
    start = {**named(row.path), **({"url": row.url} if row.url else {})}
    tracks = row.tracks or (None,) * len(row.objects)
    return start | {
        "width": row.width,
        "height": row.height,
        "detections": [
            _as_dict(item, row, track) for item, track in zip(row.objects, tracks, strict=True)
        ],
    }


def as_json(source: str, predictions: Sequence[Prediction], unread: Sequence[DataError]) -> str:
    """The whole of detections.json, of few pictures."""
    unreadable = [{"file": str(error.where), "reason": str(error.found)} for error in unread]
    return "".join(_document(source, map(as_entry, predictions), unreadable))


def save_json(
    path: Path, source: str, entries: Iterable[dict[str, Any]], unread: Sequence[dict[str, str]]
) -> None:
    """Writes detections.json, picture by picture."""
    with files.atomic_file(path) as stream:
        for text in _document(source, entries, unread):
            stream.write(files.readable(text).encode())


def _document(
    source: str, entries: Iterable[dict[str, Any]], unread: Sequence[dict[str, str]]
) -> Iterator[str]:
    yield f'{{\n"model": {json.dumps(source, ensure_ascii=False)},\n"images": ['
    videos = []
    comma = ""
    for entry in entries:
        plain = {name: value for name, value in entry.items() if name != "stamp"}
        if "frames" in entry:
            videos.append(plain)
            continue
        yield f"{comma}\n{msgspec.json.encode(plain).decode()}"
        comma = ","
    yield "\n],\n"
    if videos:
        yield f'"videos": {msgspec.json.encode(videos).decode()},\n'
    yield f'"unreadable": {json.dumps(list(unread), ensure_ascii=False)}\n}}\n'


def save_data_set(
    name: str, entries: Iterable[Mapping[str, Any]], out: Path, classes: LabelMap | None, link: bool
) -> WrittenDataSet:
    """Writes pictures and detections as a data set, for labelling tools and `tfod convert`.

    Raises:
      UsageError: `out` holds other things.
    """
    annotations = [as_annotation(entry, number) for number, entry in enumerate(entries, start=1)]
    named = classes if classes is not None and _covers(classes, annotations) else None
    return formats.write(name, annotations, out, classes=named, link=link)


def as_annotation(entry: Mapping[str, Any], number: int) -> ImageAnnotation:
    """An entry of detections.json in the project's own type.

    Args:
      entry: a picture's.
      number: what to call it in the data set.
    """
    width, height = entry["width"], entry["height"]
    objects = tuple(_as_object(row, width, height) for row in entry["detections"])
    return ImageAnnotation(path_of(entry), width, height, str(number), objects)


def _covers(classes: LabelMap, annotations: Iterable[ImageAnnotation]) -> bool:
    """Whether the label map has every class; a model without one names classes by their ids."""
    return all(item.label in classes for row in annotations for item in row.objects)


def _as_dict(item: ObjectAnnotation, row: Prediction, track: int | None) -> dict[str, Any]:
    corners = boxes.to_pixels(boxes.clip(item.box), width=row.width, height=row.height)
    found: dict[str, Any] = {
        "label": item.label,
        "score": round(item.score or 0.0, 6),
        "box": [item.box.ymin, item.box.xmin, item.box.ymax, item.box.xmax],
        "pixels": [round(edge) for edge in corners],
    }
    if track is not None:
        found["track"] = track
    if isinstance(item.mask, Rle):
        found["mask"] = {
            "size": [item.mask.height, item.mask.width],
            "counts": item.mask.counts.decode("ascii"),
        }
    elif isinstance(item.mask, Polygons):
        found["mask"] = [list(ring) for ring in item.mask.rings]
    if item.keypoints:
        found["keypoints"] = [
            [round(point.x * row.width, 2), round(point.y * row.height, 2), point.visibility]
            for point in item.keypoints
        ]
        if any(point.name for point in item.keypoints):
            found["keypoint_names"] = [point.name for point in item.keypoints]
    return found


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
