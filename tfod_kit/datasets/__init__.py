"""Reads a data set of one or several sources as one: unique ids, chosen classes, one label map."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tfod_kit.core.annotations import EmbeddedImage, ImageAnnotation
from tfod_kit.core.labels import LabelMap
from tfod_kit.datasets import class_selection, joining
from tfod_kit.datasets.class_selection import Selection
from tfod_kit.errors import UsageError
from tfod_kit.formats import (
    AUTO,
    FORMATS,
    ReadOptions,
    check_format_of_columns,
    context_of,
    find,
)
from tfod_kit.formats.base import Context, Part
from tfod_kit.formats.common import losses, merging
from tfod_kit.formats.common.detection import because
from tfod_kit.formats.common.findings import Findings
from tfod_kit.formats.common.image_index import root_of
from tfod_kit.formats.common.overlaps import Read
from tfod_kit.io.files import readable


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions(ReadOptions):
    """How to read a data set.

    Attributes:
      format: a key of FORMATS, "auto", or one of them for each source, separated by commas.
      selection: the classes to keep, rename and merge.
      defer_objects: whether objects may be annotations.Deferred.

    The other attributes are those of `ReadOptions`; without a label map, one is built from the data
    set.
    """

    format: str = AUTO
    selection: Selection = field(default_factory=Selection)
    defer_objects: bool = False


@dataclass(frozen=True, slots=True)
class Loaded:
    """A data set after reading.

    Attributes:
      formats: the key of FORMATS of each source.
      parts: the parts of the sources with their images; ids are unique over all of them.
      classes: the label map.
      roots: folder of images -> the prefix of the names of the images below it: the source's folder
        if there are several sources, so that it distinguishes them; else empty.
      known_by: a description of what the formats were recognised by.
    """

    formats: tuple[str, ...]
    parts: Read
    classes: LabelMap
    roots: Mapping[Path, str]
    known_by: str = ""

    @property
    def format(self) -> str:
        """The formats as one word; "voc+coco" for two sources."""
        return "+".join(dict.fromkeys(self.formats))

    def name(self, annotation: ImageAnnotation) -> str:
        """The path of an image below its source's folder, with "/" on every system.

        An embedded image has none: its source id. Of an image elsewhere, its file name.
        """
        image = annotation.image
        if isinstance(image, EmbeddedImage):
            return annotation.source_id
        for root, prefix in self.roots.items():
            if image.is_relative_to(root):
                return readable(f"{prefix}{image.relative_to(root).as_posix()}")
        return readable(image.name)


_DEFAULTS = LoadOptions()


def load(
    sources: Path | Sequence[Path], options: LoadOptions = _DEFAULTS, *, findings: Findings
) -> Loaded:
    """Reads all annotations.

    Ids that occur in several sources get their source's folder as a prefix. An image that several
    sources annotate becomes one annotation with the objects of all.

    Args:
      sources: the folders of the data sets, or their annotation files.
      options: how to read them.
      findings: takes whatever is skipped or repaired.

    Raises:
      UsageError: a path, name or option is wrong.
      DataError: there are no annotations, or `findings` stops at something in them.
    """
    paths = _paths(sources, options.images_folder)
    names = _formats(options.format, len(paths))
    check_format_of_columns(names, options.columns)
    reads = [
        _read(path, format, _context(path, options, findings, several=len(paths) > 1))
        for path, format in zip(paths, names, strict=True)
    ]
    joined = joining.join(paths, [read.annotations for read in reads], findings)
    if not any(annotation.objects for _, part in joined for annotation in part):
        images = sum(len(part) for _, part in joined)
        findings.add("no_objects", ", ".join(map(str, paths)), f"{images:,} images")
    ids = [part for read in reads for part in read.parts]
    joined, ids = _select(options.selection, joined, ids, findings)
    classes = options.label_map
    if classes is None:
        classes = merging.label_map(ids, joined, findings)
    else:
        known = (merging.known(part, classes, findings) for _, part in joined)
        joined = [(source, part) for (source, _), part in zip(joined, known, strict=True)]
    return Loaded(
        formats=tuple(read.format for read in reads),
        parts=joined,
        classes=classes,
        roots=_roots(paths, options.images_folder),
        known_by="; ".join(read.known_by for read in reads),
    )


@dataclass(frozen=True, slots=True)
class _ReadSource:
    """One source after reading."""

    format: str
    annotations: Read
    parts: list[Part]
    known_by: str


def _read(source: Path, format: str, context: Context) -> _ReadSource:
    before = Counter(context.findings.counts)
    name, sources = find(format, context, source)
    parts = [FORMATS[name].read(part, context) for part in sources]
    annotations = merging.unique(
        [(s, list(part.images)) for s, part in zip(sources, parts, strict=True)], context
    )
    every = (annotation for _, part in annotations for annotation in part)
    losses.check_read(every, source, context.findings, before)
    merging.note_unannotated(annotations, context)
    return _ReadSource(name, annotations, parts, because(sources, context))


def _context(path: Path, options: LoadOptions, findings: Findings, *, several: bool) -> Context:
    # Joining sources and selecting classes look at every object, and each of its problems must be
    # reported once: so objects are deferred only when neither happens.
    deferring = options.defer_objects and not options.selection and not several
    return context_of(path, options, findings, deferring=deferring)


def _paths(sources: Path | Sequence[Path], images_folder: Path | None) -> tuple[Path, ...]:
    """The sources. Raises UsageError if the image folder does not exist."""
    if images_folder is not None and not images_folder.is_dir():
        raise UsageError(
            "The image folder does not exist.", where=images_folder, fix="Correct --images."
        )
    return (sources,) if isinstance(sources, Path) else tuple(sources)


def _roots(paths: Sequence[Path], images_folder: Path | None) -> dict[Path, str]:
    several = len(paths) > 1
    prefixes = [f"{end}/" for end in joining.distinct_ends(paths)] if several else [""]
    roots = {root_of(path): prefix for path, prefix in zip(paths, prefixes, strict=True)}
    return roots if images_folder is None else {images_folder: "", **roots}


def _formats(text: str, sources: int) -> list[str]:
    """The format of each source."""
    names = [name.strip() for name in text.split(",")]
    if len(names) not in (1, sources):
        raise UsageError(
            "The number of formats is not the number of sources.",
            where="--format",
            expected=f"one, or {sources} separated by commas",
            found=text,
            fix=f"Give {AUTO}, or the format of each source.",
        )
    return names * sources if len(names) == 1 else names


def _select(
    selection: Selection, read: Read, parts: list[Part], findings: Findings
) -> tuple[Read, list[Part]]:
    images, ids = class_selection.apply(
        selection, [part for _, part in read], [part.ids for part in parts], findings
    )
    return (
        [(source, part) for (source, _), part in zip(read, images, strict=True)],
        [Part((), part) for part in ids],
    )
