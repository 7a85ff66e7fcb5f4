"""Describes a data set: counts, sizes, balance, duplicates, leaks, suspicious boxes, anchor fit.

`inspect()` computes all figures; `sheet` and `page` draw them.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from tfod_kit import datasets
from tfod_kit.core.annotations import ImageAnnotation, ImageRef
from tfod_kit.datasets import Loaded, duplicates
from tfod_kit.errors import DataError
from tfod_kit.formats.common import losses
from tfod_kit.formats.common.findings import Findings
from tfod_kit.inspection import figures, suspicious
from tfod_kit.inspection.figures import BoxFigures, SizeFigures, SplitFigures
from tfod_kit.inspection.fit import Fit, fit
from tfod_kit.inspection.measure import Measured, measure
from tfod_kit.inspection.suspicious import Suspicion
from tfod_kit.io.progress import progress
from tfod_kit.pipeline_config import PipelineConfig

NEAR_UP_TO = 20_000  # images; each is decoded once for comparison, some hundreds per second

_DEFAULTS = datasets.LoadOptions()


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """Images that are the same.

    Attributes:
      images: their source ids.
      files: the names of their files.
      splits: the split of each.
      leak: whether they are in several splits.
    """

    images: tuple[str, ...]
    files: tuple[str, ...]
    splits: tuple[str, ...]
    leak: bool


@dataclass(frozen=True, slots=True)
class Inspection:
    """All figures of a data set.

    Attributes:
      sources: what was read.
      format: the format it was read as, keys of FORMATS joined by "+".
      known_by: what the format was recognised by, in words.
      label_map: class name -> id.
      splits: by name; "all" if the data set has no splits.
      sizes: the sizes of the images.
      boxes: the sizes of all boxes under "", and of each class under its name.
      details: how many objects have a mask, keypoints or a flag.
      suspicious: suspicious boxes by code.
      same_bytes: images with identical bytes.
      look_alike: pairs of images that look the same and have different bytes; None if images were
        not compared.
      anchors: how the config's anchors fit; None without a config.
      findings: what convert would repair or leave out, by reason code.
      measured: the arrays that all figures are computed from; not part of `as_dict`.
    """

    sources: tuple[str, ...]
    format: str
    known_by: str
    label_map: Mapping[str, int]
    splits: Mapping[str, SplitFigures]
    sizes: SizeFigures
    boxes: Mapping[str, BoxFigures]
    details: Mapping[str, int]
    suspicious: Mapping[str, Suspicion]
    same_bytes: tuple[DuplicateGroup, ...]
    look_alike: tuple[DuplicateGroup, ...] | None
    anchors: Fit | None
    findings: Mapping[str, Mapping[str, Any]]
    measured: Measured

    @property
    def images(self) -> int:
        """The number of images in all splits."""
        return sum(split.images for split in self.splits.values())

    @property
    def objects(self) -> int:
        """The number of objects in all splits."""
        return sum(split.objects for split in self.splits.values())

    @property
    def leaks(self) -> tuple[DuplicateGroup, ...]:
        """The duplicates that are in several splits."""
        return tuple(d for d in (*self.same_bytes, *(self.look_alike or ())) if d.leak)

    def as_dict(self) -> dict[str, Any]:
        """Every figure as plain values, for JSON."""
        names = [each.name for each in fields(self) if each.name != "measured"]
        return {name: _plain(getattr(self, name)) for name in names}


def inspect(
    sources: Path | Sequence[Path],
    options: datasets.LoadOptions = _DEFAULTS,
    *,
    on_error: str = "skip",
    config: PipelineConfig | None = None,
    near: bool | None = None,
) -> Inspection:
    """Reads a data set and computes its figures; images are measured by their headers.

    Args:
      sources: the folder of the data set, or its one annotation file; several are merged.
      options: how to read it.
      on_error: "skip" counts what convert would stop at; "fix" and "fail" stop as convert does.
      config: a model whose anchors are compared with the boxes.
      near: whether to look for images that look the same, which decodes every image; by default
        only in data sets of up to NEAR_UP_TO images.

    Raises:
      UsageError: a path, name or option is wrong.
      DataError: there are no annotations, or none of a usable image.
    """
    findings = Findings(on_error)
    paths = (sources,) if isinstance(sources, Path) else tuple(sources)
    loaded = datasets.load(paths, options, findings=findings)
    measured = _measured(loaded, findings)
    exact = _same_bytes(measured)
    compare = len(measured.images) <= NEAR_UP_TO if near is None else near
    pairs = _pairs(measured, exact) if compare else None
    return Inspection(
        sources=tuple(map(str, paths)),
        format=loaded.format,
        known_by=loaded.known_by,
        label_map=dict(loaded.classes.ids),
        splits=figures.splits(measured),
        sizes=figures.sizes(measured),
        boxes=figures.boxes(measured),
        details=figures.details(measured),
        suspicious=suspicious.find(measured),
        same_bytes=_duplicates(measured, exact),
        look_alike=None if pairs is None else _duplicates(measured, pairs),
        anchors=None if config is None else fit(config, measured),
        findings=findings.as_dict(),
        measured=measured,
    )


def _measured(loaded: Loaded, findings: Findings) -> Measured:
    total = sum(len(part) for _, part in loaded.parts)
    with progress("measuring", total, "images") as bar:
        measured = measure(loaded, findings, bar.advance)
    if not measured.images:
        raise DataError(
            "No image can be used.",
            where=", ".join(map(str, loaded.roots)),
            found="; ".join(f"{count} {code}" for code, count in findings.counts.items()),
            fix="Repair what was left out; --on_error fix stops at the first and explains it.",
        )
    planned: dict[str, list[ImageAnnotation]] = defaultdict(list)
    for source, part in loaded.parts:
        planned[source.split or measured.splits[-1]] += part  # the last: images without a split
    counted = {
        name: {**dict.fromkeys(loaded.classes, 0), **split.classes}
        for name, split in figures.splits(measured).items()
    }
    losses.check_written(planned, counted, findings)
    return measured


def _same_bytes(measured: Measured) -> list[list[ImageRef]]:
    """The groups with identical bytes; one file that is in two splits is a group too."""
    groups = duplicates.same_bytes(a.image for a in measured.images)
    grouped = {path for group in groups for path in group}
    times = Counter(a.image for a in measured.images)
    return groups + [[path] for path, n in times.items() if n > 1 and path not in grouped]


def _pairs(
    measured: Measured, exact: Sequence[Sequence[ImageRef]]
) -> list[tuple[ImageRef, ImageRef]]:
    """The pairs that look the same, without those with identical bytes."""
    paths = list(dict.fromkeys(a.image for a in measured.images))
    group = {path: number for number, members in enumerate(exact) for path in members}
    with progress("comparing", len(paths), "images") as bar:
        return [
            (first, second)
            for first, second in duplicates.alike(paths, bar.advance)
            if first not in group or group[first] != group.get(second)
        ]


def _duplicates(
    measured: Measured, groups: Sequence[Sequence[ImageRef]]
) -> tuple[DuplicateGroup, ...]:
    """The groups, with all splits that each image is in; leaks come first."""
    indices: dict[ImageRef, list[int]] = {}
    for index, annotation in enumerate(measured.images):
        indices.setdefault(annotation.image, []).append(index)
    members = [[index for path in group for index in indices[path]] for group in groups]
    found = [_duplicate(measured, images) for images in members]
    return tuple(sorted(found, key=lambda each: not each.leak))


def _duplicate(measured: Measured, members: Sequence[int]) -> DuplicateGroup:
    splits = tuple(measured.split_of(index) for index in members)
    images = [measured.images[index] for index in members]
    ids, files = tuple(a.source_id for a in images), tuple(a.image.name for a in images)
    return DuplicateGroup(ids, files, splits, len(set(splits)) > 1)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return asdict(value) if hasattr(value, "__dataclass_fields__") else value
