"""Converts an annotated data set to TFRecords, a label map and a report, together or not at all."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tfod_kit import files, labels, resources, splits
from tfod_kit.annotations import ImageAnnotation
from tfod_kit.errors import DataError, UsageError, did_you_mean
from tfod_kit.formats import AUTO, FORMATS, find, merge
from tfod_kit.formats.base import Context
from tfod_kit.formats.findings import Findings
from tfod_kit.formats.locate import ImageIndex
from tfod_kit.formats.repair import fitted
from tfod_kit.labels import LabelMap
from tfod_kit.progress import progress
from tfod_kit.records import example, images, pool, shards

LABEL_MAP = "label_map.pbtxt"
REPORT = "report.json"

_SHARD_BYTES = 100 << 20  # tf.data reads files of this size well; TensorFlow advises 100-200 MB
_SHARD_IMAGES = 250  # small images: enough files for a few readers, few enough to look at
_FEW_SHARDS = 4
_POOL_FROM = 5000  # images; below, starting processes costs more than they save


@dataclass(frozen=True, slots=True)
class SplitSummary:
    """What one split holds.

    Attributes:
      images: how many, empty ones included.
      negatives: how many of them show no object.
      objects: how many, all classes together.
      classes: class name -> objects, in the order of the label map.
      files: the shards' names.
      most_objects: in one image; the config must have room for them.
      masks: how many objects have one.
    """

    images: int
    negatives: int
    objects: int
    classes: Mapping[str, int]
    files: tuple[str, ...]
    most_objects: int = 0
    masks: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """What a conversion made, and what it left out or changed; the content of report.json.

    Attributes:
      format: a key of FORMATS.
      split: where the splits came from, in words.
      seed: what shuffled the images.
      label_map: class name -> id.
      splits: by name.
      findings: reason code -> severity, text, count and examples.
    """

    format: str
    split: str
    seed: int
    label_map: Mapping[str, int]
    splits: Mapping[str, SplitSummary]
    findings: Mapping[str, Mapping[str, object]]

    @property
    def images(self) -> int:
        return sum(part.images for part in self.splits.values())

    @property
    def objects(self) -> int:
        return sum(part.objects for part in self.splits.values())


@dataclass(frozen=True, slots=True)
class _Shard:
    """A shard to write; travels to the worker processes."""

    path: Path
    split: str
    annotations: tuple[ImageAnnotation, ...]
    label_map: LabelMap
    on_error: str


@dataclass(frozen=True, slots=True)
class _Written:
    images: int
    negatives: int
    classes: Counter[str]
    findings: Findings
    most_objects: int = 0
    masks: int = 0


def convert(
    source: Path,
    out: Path,
    *,
    format: str = AUTO,
    images_folder: Path | None = None,
    label_map: str | Path | None = None,
    split: Mapping[str, float] | None = None,
    seed: int = 0,
    num_shards: int | None = None,
    workers: int = 1,
    on_error: str = "fix",
    origin: int = 0,
) -> Report:
    """Writes the records of a data set into a folder, which appears whole or not at all.

    Args:
      source: the data set's folder, or its one annotation file.
      out: the folder to write; replaced when it holds nothing but an earlier conversion.
      format: a key of FORMATS, or "auto".
      images_folder: where the images lie; the data set's folder unless told.
      label_map: a label map's file, or the name of a standard one; made from the data unless told.
      split: ratios by split; the data set's own splits, or else splits.DEFAULT, unless told.
      seed: shuffles the images; the same seed gives the same bytes for any `workers`.
      num_shards: of each split; by size and number unless told.
      workers: processes.
      on_error: "fix", "skip" or "fail"; see formats.findings.
      origin: the number of the first pixel, 0 or 1, in formats that may count from either.

    Raises:
      UsageError: a path, name or option is wrong, or `out` cannot be written.
      DataError: there are no annotations, or something in them cannot be used or decided.
      ConfigError: the label map given is none.
    """
    _check_out(out, source)
    given = None if label_map is None else load_label_map(label_map)
    findings = Findings(on_error)
    if images_folder is not None and not images_folder.is_dir():
        raise UsageError("The image folder is not there.", where=images_folder, fix="Correct it.")
    root = _root(source)
    context = Context(root, ImageIndex(images_folder or root), findings, origin)
    name, read, classes = _read(source, format, context, given)
    groups, told = _split(read, split, seed, findings)
    if not any(groups.values()):
        raise DataError("No image is left to convert.", where=source, fix=_fix_all(findings))
    with files.atomic_folder(out) as folder:
        plan = _plan(groups, folder, classes, num_shards, seed, on_error)
        written = _write(plan, workers)
        report = _report(name, told, seed, classes, plan, written, findings)
        labels.save(classes, folder / LABEL_MAP)
        files.write_text(folder / REPORT, json.dumps(asdict(report), indent=2, ensure_ascii=False))
    return report


def _read(
    source: Path, format: str, context: Context, given: LabelMap | None
) -> tuple[str, merge.Read, LabelMap]:
    """The format's name, the annotations of each part, and the label map."""
    name, sources = find(format, context, source)
    parts = [FORMATS[name].read(part, context) for part in sources]
    read = merge.unique(
        [(s, list(part.images)) for s, part in zip(sources, parts, strict=True)], context
    )
    merge.note_unannotated(read, context)
    classes = given or merge.label_map(parts, read, context.findings)
    return name, [(s, merge.known(part, classes, context.findings)) for s, part in read], classes


def _fix_all(findings: Findings) -> str:
    reasons = ", ".join(f"{count} {code}" for code, count in findings.counts.items())
    return f"Mend what was left out: {reasons}." if reasons else "Add images to the data set."


def load_label_map(wanted: str | Path) -> LabelMap:
    """A label map by its file's path, or by the name of a standard one such as "coco_2017".

    Raises:
      UsageError: there is neither such a file nor such a name.
      ConfigError: the file is no label map.
    """
    path = Path(wanted)
    standard = {found.stem: found for found in sorted(resources.label_maps().glob("*.pbtxt"))}
    if not path.exists() and str(wanted) in standard:
        path = standard[str(wanted)]
    if not path.exists():
        raise UsageError(
            "There is no such label map.",
            where=wanted,
            expected=f"a file, or one of {', '.join(standard)}",
            fix=did_you_mean(str(wanted), standard),
        )
    return labels.load(path)


def _root(source: Path) -> Path:
    """The folder that a data set's paths are relative to."""
    if source.is_dir():
        return source
    return source.parent.parent if source.parent.name == "annotations" else source.parent


def _check_out(out: Path, source: Path) -> None:
    """Refuses to replace a folder that holds anything a conversion did not write."""
    if not out.is_dir():
        return
    if out.resolve() == source.resolve() or source.resolve().is_relative_to(out.resolve()):
        raise UsageError(
            "The output folder holds the data set itself.", where=out, fix="Name another --out."
        )
    foreign = sorted(
        path.name
        for path in out.iterdir()
        if path.name not in (LABEL_MAP, REPORT) and path.suffix != shards.SUFFIX
    )
    if foreign:
        raise UsageError(
            "The output folder holds other things, which would be lost.",
            where=out,
            found=", ".join(foreign[:5]),
            fix="Name another --out, or empty the folder.",
        )


def _split(
    read: merge.Read, ratios: Mapping[str, float] | None, seed: int, findings: Findings
) -> tuple[dict[str, list[ImageAnnotation]], str]:
    """The annotations by split, and where the splits came from."""
    groups: dict[str, list[ImageAnnotation]] = {name: [] for name in splits.NAMES}
    if ratios is None and any(source.split for source, _ in read):
        for source, part in read:
            if source.split is None and part:
                findings.add("split_assumed", source.name, "train", count=len(part))
            groups[source.split or "train"].extend(part)
        return groups, "the data set's own"
    every = list({a.source_id: a for _, part in read for a in part}.values())
    chosen = ratios or splits.DEFAULT
    for annotation, name in zip(
        every, splits.by_ratio([a.source_id for a in every], chosen, seed), strict=True
    ):
        groups[name].append(annotation)
    return groups, ", ".join(f"{name} {ratio:g}" for name, ratio in chosen.items())


def _plan(
    groups: Mapping[str, list[ImageAnnotation]],
    folder: Path,
    classes: LabelMap,
    num_shards: int | None,
    seed: int,
    on_error: str,
) -> list[_Shard]:
    """The shards to write. Images are dealt out in shuffled order, for training and pictures."""
    plan = []
    for name, members in groups.items():
        if not members:
            continue
        shuffled = [members[place] for place in splits.order([a.source_id for a in members], seed)]
        total = min(num_shards or _auto_shards(members), len(members))
        for index in range(total):
            path = folder / shards.name(name, index, total)
            part = tuple(shuffled[index::total])
            plan.append(_Shard(path, name, part, classes, on_error))
    return plan


def _auto_shards(members: Sequence[ImageAnnotation]) -> int:
    total = sum(a.path.stat().st_size for a in members if a.path.exists())
    by_number = min(_FEW_SHARDS, -(-len(members) // _SHARD_IMAGES))
    return max(by_number, -(-total // _SHARD_BYTES))


def _write(plan: Sequence[_Shard], workers: int) -> list[_Written]:
    total = sum(len(shard.annotations) for shard in plan)
    with progress("converting", total, "images") as bar:
        return pool.run(_write_shard, plan, workers if total >= _POOL_FROM else 1, bar)


def _write_shard(shard: _Shard, advance: Callable[[], None]) -> _Written:
    findings = Findings(shard.on_error)
    classes: Counter[str] = Counter()
    negatives = most_objects = masks = 0

    def records() -> Iterable[bytes]:
        nonlocal negatives, most_objects, masks
        for annotation in shard.annotations:
            made = _record(annotation, shard.label_map, findings)
            advance()
            if made is not None:
                classes.update(item.label for item in made[0].objects)
                negatives += not made[0].objects
                most_objects = max(most_objects, len(made[0].objects))
                masks += sum(item.mask is not None for item in made[0].objects)
                yield made[1]

    images_written = shards.write(shard.path, records())
    if not images_written:
        raise DataError(
            "Every image of a record file would be left out, and training waits for ever on an "
            "empty one.",
            where=f"{shard.path.name}, {len(shard.annotations)} images",
            found="; ".join(f"{count} {code}" for code, count in findings.counts.items()),
            fix="Mend the images, or change --split or --shards.",
        )
    return _Written(images_written, negatives, classes, findings, most_objects, masks)


def _record(
    annotation: ImageAnnotation, label_map: LabelMap, findings: Findings
) -> tuple[ImageAnnotation, bytes] | None:
    try:
        image = images.load(annotation.path, declared=(annotation.width, annotation.height))
    except DataError as error:
        findings.add("image_unusable", annotation.path, error.found, fix=error.fix or "")
        return None
    kept = fitted(annotation, image, findings)
    return None if kept is None else (kept, example.encode(kept, image, label_map))


def _report(
    name: str,
    told: str,
    seed: int,
    classes: LabelMap,
    plan: Sequence[_Shard],
    written: Sequence[_Written],
    findings: Findings,
) -> Report:
    summaries = {}
    for split in dict.fromkeys(shard.split for shard in plan):
        members = [
            (shard, done) for shard, done in zip(plan, written, strict=True) if shard.split == split
        ]
        objects = sum((done.classes for _, done in members), Counter())
        summaries[split] = SplitSummary(
            images=sum(done.images for _, done in members),
            negatives=sum(done.negatives for _, done in members),
            objects=objects.total(),
            classes={label: objects[label] for label in classes},
            files=tuple(shard.path.name for shard, _ in members),
            most_objects=max((done.most_objects for _, done in members), default=0),
            masks=sum(done.masks for _, done in members),
        )
    for done in written:
        findings.merge(done.findings)
    return Report(name, told, seed, dict(classes.ids), summaries, findings.as_dict())
