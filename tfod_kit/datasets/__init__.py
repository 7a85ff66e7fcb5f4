"""Reads a data set of one or several sources as one: unique ids, chosen classes, one label map."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tfod_kit.core.annotations import EmbeddedImage, ImageAnnotation, ImageRef
from tfod_kit.core.labels import LabelMap
from tfod_kit.datasets import class_selection as choosing
from tfod_kit.datasets.class_selection import Selection
from tfod_kit.errors import UsageError
from tfod_kit.formats import AUTO, FORMATS, find
from tfod_kit.formats.base import Context, Part, Source
from tfod_kit.formats.common import merging
from tfod_kit.formats.common.detection import because
from tfod_kit.formats.common.findings import Findings
from tfod_kit.formats.common.image_index import ImageIndex, root_of
from tfod_kit.io.files import readable


@dataclass(frozen=True, slots=True)
class Loaded:
    """A data set as it was read.

    Attributes:
      formats: the key of FORMATS of each source.
      parts: the sources' parts with their images; ids are unique over all of them.
      classes: the label map.
      roots: the folders that images lie in -> what stands before the names of images below: the
        source's folder where there are several, so that names tell them apart; else nothing.
      known_by: what the formats were recognised by, in words.
    """

    formats: tuple[str, ...]
    parts: merging.Read
    classes: LabelMap
    roots: Mapping[Path, str]
    known_by: str = ""

    @property
    def format(self) -> str:
        """The formats as one word; "voc+coco" for two sources."""
        return "+".join(dict.fromkeys(self.formats))

    def name(self, annotation: ImageAnnotation) -> str:
        """An image's path below its source's folder, with "/" on every system; its source id where
        it lies in a record, and its file name where it lies elsewhere."""
        path = annotation.image
        if isinstance(path, EmbeddedImage):
            return annotation.source_id
        for root, prefix in self.roots.items():
            if path.is_relative_to(root):
                return readable(f"{prefix}{path.relative_to(root).as_posix()}")
        return readable(path.name)


def load(
    sources: Path | Sequence[Path],
    *,
    format: str = AUTO,
    images_folder: Path | None = None,
    given: LabelMap | None = None,
    selection: Selection | None = None,
    findings: Findings,
    origin: int = 0,
    deferring: bool = False,
    workers: int = 1,
    masks: bool = True,
) -> Loaded:
    """Reads all annotations.

    Ids that clash between sources get their source's folder before them. A picture that several
    sources annotate is one image with the objects of all.

    Args:
      sources: the data sets' folders, or their annotation files.
      format: a key of FORMATS, "auto", or one of them for each source, joined by commas.
      images_folder: where the images lie; each source's folder unless told.
      given: the label map; made from the data unless told.
      selection: the classes to keep, rename and merge.
      findings: takes whatever is skipped or repaired.
      origin: the number of the first pixel in formats that may count from 0 or from 1.
      deferring: whether objects may be annotations.Deferred.
      workers: processes that may read at once.
      masks: whether they are wanted; some are read all the same.

    Raises:
      UsageError: a path, name or option is wrong.
      DataError: there are no annotations, or `findings` stops at something in them.
    """
    paths = _paths(sources, images_folder)
    # Others look at each object, and what they find wrong with one is to be said once.
    alone = deferring and not selection and len(paths) == 1
    names: list[str] = []
    reads: list[merging.Read] = []
    ids: list[Part] = []
    known_by: list[str] = []
    for path, wanted in zip(paths, _formats(format, len(paths)), strict=True):
        root = root_of(path)
        index = ImageIndex(images_folder or root)
        context = Context(
            root, index, findings, origin, given, deferring=alone, workers=workers, masks=masks
        )
        name, read, parts = _read(path, wanted, context)
        names.append(name)
        reads.append(read)
        ids.extend(parts)
        known_by.append(because([part for part, _ in read], context))
    joined = reads[0] if len(reads) == 1 else _joined(paths, reads, findings)
    joined, ids = _selected(selection or Selection(), joined, ids, findings)
    classes = given or merging.label_map(ids, joined, findings)
    known = joined
    if given is not None:  # one that was made of the data knows all
        known = [(source, merging.known(part, classes, findings)) for source, part in joined]
    roots = _roots(paths, images_folder)
    return Loaded(tuple(names), known, classes, roots, "; ".join(known_by))


def _paths(sources: Path | Sequence[Path], images_folder: Path | None) -> tuple[Path, ...]:
    """The sources, if there is such an image folder."""
    if images_folder is not None and not images_folder.is_dir():
        raise UsageError("The image folder is not there.", where=images_folder, fix="Correct it.")
    return (sources,) if isinstance(sources, Path) else tuple(sources)


def _roots(paths: Sequence[Path], images_folder: Path | None) -> dict[Path, str]:
    prefixes = [f"{end}/" for end in _prefixes(paths)] if len(paths) > 1 else [""]
    roots = {root_of(path): prefix for path, prefix in zip(paths, prefixes, strict=True)}
    return roots if images_folder is None else {images_folder: "", **roots}


def _formats(wanted: str, number: int) -> list[str]:
    names = [name.strip() for name in wanted.split(",")]
    if len(names) not in (1, number):
        raise UsageError(
            "There are not as many formats as sources.",
            where="--format",
            expected=f"one, or {number} joined by commas",
            found=wanted,
            fix=f"Say {AUTO}, or name each.",
        )
    return names * number if len(names) == 1 else names


def _read(source: Path, format: str, context: Context) -> tuple[str, merging.Read, list[Part]]:
    name, sources = find(format, context, source)
    parts = [FORMATS[name].read(part, context) for part in sources]
    read = merging.unique(
        [(s, list(part.images)) for s, part in zip(sources, parts, strict=True)], context
    )
    merging.note_unannotated(read, context)
    return name, read, parts


def _selected(
    selection: Selection, read: merging.Read, parts: list[Part], findings: Findings
) -> tuple[merging.Read, list[Part]]:
    images, ids = choosing.apply(
        selection, [part for _, part in read], [part.ids for part in parts], findings
    )
    return (
        [(source, part) for (source, _), part in zip(read, images, strict=True)],
        [Part((), part) for part in ids],
    )


def _joined(
    paths: Sequence[Path], reads: Sequence[merging.Read], findings: Findings
) -> merging.Read:
    """The parts of all sources, less pictures that stood in an earlier one; ids made unique."""
    owners: dict[str, set[int]] = {}
    for place, read in enumerate(reads):
        for _, part in read:
            for annotation in part:
                owners.setdefault(annotation.source_id, set()).add(place)
    prefixes = _prefixes(paths)
    joined: list[tuple[Source, list[ImageAnnotation]]] = []
    seen: dict[ImageRef, tuple[int, list[ImageAnnotation], int]] = {}
    for place, read in enumerate(reads):
        for source, part in read:
            kept: list[ImageAnnotation] = []
            for annotation in part:
                first = seen.get(annotation.image)
                if first is not None and first[0] != place:
                    _join_objects(first[1], first[2], annotation, findings)
                    continue
                if len(owners[annotation.source_id]) > 1:
                    new = f"{prefixes[place]}/{annotation.source_id}"
                    annotation = replace(annotation, source_id=new)
                seen[annotation.image] = (place, kept, len(kept))
                kept.append(annotation)
            joined.append((replace(source, name=f"{prefixes[place]}/{source.name}"), kept))
    return joined


def _join_objects(
    part: list[ImageAnnotation], index: int, other: ImageAnnotation, findings: Findings
) -> None:
    """Adds another source's objects to an image; what both say stands once."""
    image = part[index]
    if (image.width, image.height) != (other.width, other.height):
        found = f"{image.width}x{image.height} and {other.width}x{other.height} declared"
        findings.add("image_twice", other.image.name, found)
        return
    new = tuple(item for item in other.objects if item not in image.objects)
    findings.add("image_in_several_sources", other.image.name, f"{len(new)} objects added")
    part[index] = replace(image, objects=(*image.objects, *new))


def _prefixes(paths: Sequence[Path]) -> list[str]:
    """The shortest ends of the paths that tell them apart, so that ids name no machine."""
    parts = [path.resolve().parts[1:] for path in paths]
    for length in range(1, max(map(len, parts)) + 1):
        ends = ["/".join(part[-length:]) for part in parts]
        if len(set(ends)) == len(ends):
            return ends
    raise UsageError(
        "A source is named twice.",
        found=", ".join(os.fspath(path) for path in paths),
        fix="Name each source once.",
    )
