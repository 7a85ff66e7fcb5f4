"""What a format is: a name, a way to find its parts in a folder, and a way to read one."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tfod_kit.core.annotations import EmbeddedImage, ImageAnnotation, ImageRef, ObjectAnnotation
from tfod_kit.core.labels import LabelMap
from tfod_kit.formats.common.findings import Findings
from tfod_kit.formats.common.image_index import ImageIndex
from tfod_kit.io.files import readable
from tfod_kit.records.image_files import containing_file


@dataclass(frozen=True, slots=True)
class Source:
    """A part of a data set, such as its training split.

    Attributes:
      name: where it lies under the data set's folder; makes ids unique across parts.
      split: "train", "val" or "test"; None when the data set is not split.
      annotations: the files to read, in the order to read them.
    """

    name: str
    split: str | None
    annotations: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Context:
    """What reading needs beside the source.

    Attributes:
      root: the data set's folder; messages and ids are relative to it.
      images: finds image files.
      findings: takes whatever is skipped or repaired.
      origin: the number of the first pixel in formats that may count from 0 or from 1.
      label_map: names the classes where annotations hold numbers alone.
      deferring: whether objects may be annotations.Deferred.
      workers: processes that may read at once.
      masks: whether they are wanted; where not, a reader may save itself the trouble.
    """

    root: Path
    images: ImageIndex
    findings: Findings
    origin: int = 0
    label_map: LabelMap | None = None
    deferring: bool = False
    workers: int = 1
    masks: bool = True

    def name(self, path: ImageRef) -> str:
        """The path as messages show it: relative to the root if it is below it."""
        if isinstance(path, EmbeddedImage):
            return readable(str(replace(path, file=Path(self.name(path.file)))))
        # By its text: pathlib takes ten times as long, and every object of a data set asks.
        root, text = self.root.as_posix(), path.as_posix()
        if root in (".", text):
            return readable(text) if root == "." else "."
        return readable(text.removeprefix(root.rstrip("/") + "/"))


@dataclass(frozen=True, slots=True)
class Part:
    """What a source holds.

    Attributes:
      images: boxes not clipped yet, as fractions of `width` and `height`, which are what the
        annotations declare, or measured where they declare nothing.
      ids: the data set's own class ids by class name; empty when it has none.
    """

    images: Iterable[ImageAnnotation]
    ids: Mapping[str, int]


# What an object or image may say beyond its class and its box, which every format holds.
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
    """Where a format is written, and what with.

    Attributes:
      folder: it lies here; the annotations' paths lead to images below.
      classes: every class, in the order of its id.
      findings: takes what the format cannot hold.
    """

    folder: Path
    classes: LabelMap
    findings: Findings

    def name(self, image: ImageRef) -> str:
        """The path by which annotations refer to an image: relative to the folder."""
        return containing_file(image).relative_to(self.folder).as_posix()

    def lose(self, detail: str, annotation: ImageAnnotation, item: ObjectAnnotation) -> None:
        """Counts a detail of an object that this format cannot hold."""
        self.findings.add(f"lost_{detail}", f"{annotation.source_id} ({item.label})")


Splits = Mapping[str, Sequence[ImageAnnotation]]


@dataclass(frozen=True, slots=True)
class Format:
    """A row of FORMATS.

    Attributes:
      title: what to call it in messages.
      discover: finds the parts under a folder, or in a file; none when it is not this format.
      read: reads one part.
      expects: what it looks for, for the message when nothing is found.
      keeps: which of DETAILS it can hold.
      write: writes splits of images that lie in their folders already; returns the files written.
        The caller counts what `keeps` lacks; the writer counts what else it has to leave out. None
        for a format that is only read.
      image_folder: where below its folder a writer's images lie; {split} stands for the split.
    """

    title: str
    discover: Callable[[Path, Context], tuple[Source, ...]]
    read: Callable[[Source, Context], Part]
    expects: str
    keeps: frozenset[str] = frozenset()
    write: Callable[[Splits, Output], Sequence[Path]] | None = None
    image_folder: str = "images/{split}"
