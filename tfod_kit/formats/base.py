"""What an annotation format is: a way to find a data set's parts, to read one, and to write one."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from tfod_kit.core.annotations import EmbeddedImage, ImageAnnotation, ImageRef, ObjectAnnotation
from tfod_kit.core.labels import LabelMap
from tfod_kit.formats.common.findings import Findings
from tfod_kit.formats.common.image_index import ImageIndex
from tfod_kit.io.files import readable
from tfod_kit.records.image_files import containing_file

RotatedBoxes = Literal["box", "mask"]
ROTATED_BOXES: tuple[RotatedBoxes, ...] = ("box", "mask")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """How to read a data set, whatever its format.

    Attributes:
      images_folder: the folder to look for images in; None for the data set's folder.
      label_map: names the classes if annotations hold numbers alone.
      origin: the index of the first pixel, 0 or 1, in formats that leave it open.
      workers: the maximum number of processes that read in parallel, in formats with a file per
        image.
      masks: False allows readers to skip masks; some read them anyway.
      follow_links: whether to follow symbolic links that lead out of the data set's folder.
      columns: what is in the columns of a CSV table: a key of formats.csv.ROLES -> the column.
      obb: what rotated boxes become: "box", the box around each, or "mask", that box and the
        rotated one as a mask.
    """

    images_folder: Path | None = None
    label_map: LabelMap | None = None
    origin: int = 0
    workers: int = 1
    masks: bool = True
    follow_links: bool = False
    columns: Mapping[str, str] = field(default_factory=dict)
    obb: RotatedBoxes = "box"


@dataclass(frozen=True, slots=True)
class Source:
    """A part of a data set, such as its training split.

    Attributes:
      name: the part's path below the data set's folder; makes ids unique across parts.
      split: "train", "val" or "test"; None if the data set is not split.
      annotations: the files to read, in the order in which to read them.
    """

    name: str
    split: str | None
    annotations: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Context:
    """What a reader needs in addition to the source.

    Attributes:
      root: the data set's folder; messages and ids are relative to it.
      images: finds image files.
      findings: takes whatever is skipped or repaired.
      origin: the index of the first pixel, 0 or 1, for formats that leave it open.
      label_map: names the classes if annotations hold numbers alone.
      deferring: whether objects may be annotations.Deferred.
      workers: the maximum number of processes that read in parallel.
      masks: whether masks are needed; if not, a reader may skip decoding them.
      columns: what is in the columns of a CSV table, as in ReadOptions.
      obb: what rotated boxes become, as in ReadOptions.
    """

    root: Path
    images: ImageIndex
    findings: Findings
    origin: int = 0
    label_map: LabelMap | None = None
    deferring: bool = False
    workers: int = 1
    masks: bool = True
    columns: Mapping[str, str] = field(default_factory=dict)
    obb: RotatedBoxes = "box"

    def name(self, path: ImageRef) -> str:
        """The path as messages show it: relative to the root if it is below the root."""
        if isinstance(path, EmbeddedImage):
            return readable(str(replace(path, file=Path(self.name(path.file)))))
        # Compared as text: every object asks for it, and pathlib takes ten times as long.
        root, text = self.root.as_posix(), path.as_posix()
        if root in (".", text):
            return readable(text) if root == "." else "."
        return readable(text.removeprefix(root.rstrip("/") + "/"))


@dataclass(frozen=True, slots=True)
class Part:
    """The content of a source.

    Attributes:
      images: with boxes that are not clipped yet, as fractions of `width` and `height`. These are
        the declared size, or the measured one if the annotations declare none.
      ids: the data set's own class ids by class name; empty if it has none.
    """

    images: Iterable[ImageAnnotation]
    ids: Mapping[str, int]


# What a format may be able to hold in addition to an object's class and box, which all can.
DETAILS = (
    "mask",
    "keypoints",
    "is_crowd",
    "difficult",
    "truncated",
    "occluded",
    "group_of",
    "area",
    "score",
    "view",
    "weight",
)


@dataclass(frozen=True, slots=True)
class Output:
    """Where a data set is written, and with which classes.

    Attributes:
      folder: the data set's folder; the images are below it already.
      classes: every class, in the order of the ids.
      findings: takes what the format cannot hold.
      scores: whether to write scores where the usual readers of the format do not expect them.
    """

    folder: Path
    classes: LabelMap
    findings: Findings
    scores: bool = False

    def name(self, image: ImageRef) -> str:
        """An image's path relative to the folder, as annotations refer to it."""
        return containing_file(image).relative_to(self.folder).as_posix()

    def word(self, annotation: ImageAnnotation, item: ObjectAnnotation, joint: str) -> str:
        """The class as one word, for a format that a space ends; a change is a finding."""
        word = joint.join(item.label.split())
        if word != item.label:
            self.findings.add("class_joined", f"{annotation.source_id} ({item.label})", word)
        return word

    def lose(self, detail: str, annotation: ImageAnnotation, item: ObjectAnnotation) -> None:
        """Counts a detail of an object that the format cannot hold; `detail` is in DETAILS."""
        self.findings.add(f"lost_{detail}", f"{annotation.source_id} ({item.label})")


Splits = Mapping[str, Sequence[ImageAnnotation]]
"""The images of each split: "train", "val" or "test"."""


@dataclass(frozen=True, slots=True)
class Format:
    """An annotation format: a row of FORMATS, and the object that an extension registers.

    Attributes:
      title: the format's name in messages.
      discover: finds the parts of a data set in a folder, or in one file; empty if the data set has
        another format.
      read: reads one part.
      expects: what `discover` looks for, for the message if it finds nothing.
      keeps: which of DETAILS the format can hold.
      write: writes the annotations of images that are in their folders already; returns the files
        and folders written. The caller counts the details that `keeps` lacks, the writer whatever
        else it leaves out. None for a format that is only read.
      image_folder: the folder of a split's images below the output folder; {split} stands for the
        split's name.
      advice: what the user can do about a data set that `discover` did not recognise, if a file in
        it may be of this format; None if none may be.
      keeps_searched: whether the format can hold ImageAnnotation.searched.
    """

    title: str
    discover: Callable[[Path, Context], tuple[Source, ...]]
    read: Callable[[Source, Context], Part]
    expects: str
    keeps: frozenset[str] = frozenset()
    write: Callable[[Splits, Output], Sequence[Path]] | None = None
    image_folder: str = "images/{split}"
    advice: Callable[[Path, Context], str | None] | None = None
    keeps_searched: bool = False
