"""MOT Challenge: SEQUENCE/gt/gt.txt, with the boxes of all frames of a video in img1/.

A row is frame,object,x,y,width,height,considered,class,visibility; that of 2D MOT 2015 has three
coordinates in place of the last two, and its class is "pedestrian". Frames count from 1 and are the
images SEQUENCE/img1/000001.jpg; seqinfo.ini may name another folder. Rows that are not considered
(0) are left out and counted. gt/labels.txt, as CVAT writes it, names the classes, else they are
those of MOT16. An object is occluded if less than half of it is visible. (motchallenge.net,
arXiv:1603.00831)

The benchmark's own files count pixels from 1 (`--origin 1`), those of CVAT from 0. Detections
(det/det.txt) are not read.
"""

import configparser
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tfod_kit.core import boxes
from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation
from tfod_kit.formats.base import Context, Format, Part, Source
from tfod_kit.formats.common import frames, reading, tables
from tfod_kit.formats.common.image_index import split_of_path

_FILE = "gt.txt"
_NAMES = (
    "pedestrian", "person on vehicle", "car", "bicycle", "motorbike", "non motorized vehicle",
    "static person", "distractor", "occluder", "occluder on the ground", "occluder full",
    "reflection", "crowd",
)  # fmt: skip
_FEWEST_FIELDS = 7
_2015_FIELDS = 10
_HIDDEN = 0.5  # below this visibility, an object counts as occluded


def discover(root: Path, context: Context) -> tuple[Source, ...]:
    """The sequences below a folder, or that of the one file; empty if there is none."""
    paths = [root] if root.is_file() else context.images.of_kind(root, ".txt")
    return tuple(
        Source(context.name(_home(path)), split_of_path(path, root), (path,))
        for path in paths
        if (root.is_file() or path.name == _FILE) and _is_mot(path)
    )


def read(source: Source, context: Context) -> Part:
    """The images of one sequence, and the ids of its classes, which count from 1."""
    names = _names(source.annotations[0], context)
    ids = {name: number for number, name in names.items()}
    return Part(_images(source, names, context), ids)


FORMAT = Format(
    title="MOT Challenge",
    discover=discover,
    read=read,
    expects="SEQUENCE/gt/gt.txt with rows frame,object,x,y,width,height,considered,class,"
    "visibility, beside SEQUENCE/img1/",
    keeps=frozenset(("occluded",)),
)


def _home(path: Path) -> Path:
    """The folder of the sequence."""
    return path.parent.parent if path.parent.name == "gt" else path.parent


def _is_mot(path: Path) -> bool:
    fields = tables.first_line(path).strip().rstrip(",").split(",")
    try:
        numbers = [reading.number(field) for field in fields]
    except ValueError:
        return False
    return _FEWEST_FIELDS <= len(numbers) <= _2015_FIELDS and numbers[0].is_integer()


def _names(path: Path, context: Context) -> Mapping[int, str]:
    """Number -> class name."""
    listed = path.with_name("labels.txt")
    if listed.is_file():
        lines = (reading.text(listed, context) or "").splitlines()
        return dict(enumerate((reading.name(line) for line in lines if line.strip()), start=1))
    return dict(enumerate(_NAMES, start=1))


def _image_folder(home: Path) -> Path:
    """The folder of the frames: that of seqinfo.ini below the sequence, or img1."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(home / "seqinfo.ini", encoding="utf-8-sig")
        named = parser.get("Sequence", "imDir", fallback="img1")
    except (configparser.Error, UnicodeDecodeError, OSError):
        named = "img1"
    return home / (Path(named).name or "img1")


def _images(
    source: Source, names: Mapping[int, str], context: Context
) -> Iterator[ImageAnnotation]:
    path = source.annotations[0]
    rows = list(tables.lines(path, ",", context))
    by_frame = frames.by_frame(rows, _FEWEST_FIELDS, path, context)
    reader = _Rows(names, context.name(path), context)
    sequence = frames.Sequence(_image_folder(_home(path)), source.split)
    for image, size, members in sequence.images(by_frame, path, context):
        yield ImageAnnotation(image, *size, image.name, tuple(reader.objects(members, size)))


@dataclass(frozen=True, slots=True)
class _Rows:
    """Reads the rows of a frame.

    Attributes:
      names: number -> class name.
      file: for messages.
      context: takes the findings.
    """

    names: Mapping[int, str]
    file: str
    context: Context

    def objects(self, rows: frames.Rows, size: tuple[int, int]) -> Iterator[ObjectAnnotation]:
        """The objects of a frame; `size` is (width, height) in px."""
        findings = self.context.findings
        for line, fields in rows:
            where = f"{self.file}:{line}"
            try:
                numbers = [reading.number(field) for field in fields if field]
            except ValueError as error:
                findings.add("number_unreadable", where, error)
                continue
            if len(numbers) < _FEWEST_FIELDS:
                findings.add("row_unreadable", where, f"{len(numbers)} numbers")
                continue
            has_class = _FEWEST_FIELDS < len(numbers) < _2015_FIELDS
            label = self.names.get(int(numbers[7]) if has_class else 1)
            if not numbers[6]:
                findings.add("dont_care", where)
            elif label is None:
                fix = f"Known: 1 to {max(self.names, default=0)}. Name it in gt/labels.txt."
                findings.add("class_missing", where, f"class {fields[7]}", fix=fix)
            else:
                yield self._object(label, numbers, has_class, size)

    def _object(
        self, label: str, numbers: list[float], has_class: bool, size: tuple[int, int]
    ) -> ObjectAnnotation:
        origin = self.context.origin
        _, _, x, y, w, h, *_ = numbers
        box = boxes.from_xywh(x - origin, y - origin, w, h, width=size[0], height=size[1])
        occluded = has_class and len(numbers) > 8 and numbers[8] < _HIDDEN
        return ObjectAnnotation(label, box, occluded=occluded)
