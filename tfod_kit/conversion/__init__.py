"""Converts an annotated data set to TFRecords, a label map and a report, together or not at all."""

import gc
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from tfod_kit import datasets
from tfod_kit.conversion import beam, manifest, writing
from tfod_kit.conversion.manifest import MANIFEST
from tfod_kit.conversion.report import Report, SplitSummary, report
from tfod_kit.conversion.writing import Shard, Written
from tfod_kit.core import labels
from tfod_kit.core.annotations import ImageAnnotation
from tfod_kit.core.labels import LabelMap
from tfod_kit.datasets.class_selection import Selection
from tfod_kit.datasets.splits import assignment, shares
from tfod_kit.datasets.splits.assignment import Split
from tfod_kit.errors import DataError, UsageError, did_you_mean
from tfod_kit.formats import AUTO
from tfod_kit.formats.common.findings import Findings
from tfod_kit.io import files, resources, resumable_output, worker_pool
from tfod_kit.io.progress import Progress, progress
from tfod_kit.records import example, image_files, shards

__all__ = [
    "LABEL_MAP",
    "MANIFEST",
    "REPORT",
    "Report",
    "SplitSummary",
    "convert",
    "load_label_map",
]

LABEL_MAP = labels.FILE_NAME
REPORT = "report.json"

_SHARD_BYTES = 100 << 20  # tf.data reads files of this size well; TensorFlow advises 100-200 MB
_SHARD_IMAGES = 250  # small images: enough files for a few readers, few enough to look at
_FEW_SHARDS = 4


def convert(
    source: Path | Sequence[Path],
    out: Path,
    *,
    format: str = AUTO,
    images_folder: Path | None = None,
    label_map: str | Path | None = None,
    selection: Selection | None = None,
    split: Mapping[str, float] | Split | None = None,
    seed: int = 0,
    num_shards: int | None = None,
    workers: int = 1,
    on_error: str = "fix",
    origin: int = 0,
    max_side: int | None = None,
    masks: bool = True,
    shard_range: tuple[int, int] | None = None,
    runner: beam.Runner | None = None,
) -> Report:
    """Writes the records of a data set into a folder, which appears whole or not at all.

    A run that fails or is killed leaves its finished record files beside `out`, and the same call
    goes on from there; the bytes are those of a run that was not interrupted.

    Args:
      source: the data set's folder, or its one annotation file; several are merged.
      out: the folder to write; replaced when it holds nothing but an earlier conversion.
      format: a key of FORMATS, or "auto"; or one for each source, joined by commas.
      images_folder: where the images lie; the data set's folder unless told.
      label_map: a label map's file, or the name of a standard one; made from the data unless told.
      selection: the classes to keep, rename and merge.
      split: ratios by split, or another way; the data set's own, or shares.DEFAULT, unless told.
      seed: shuffles the images; the same seed gives the same bytes for any `workers`.
      num_shards: of each split; by size and number unless told.
      workers: processes.
      on_error: "fix", "skip" or "fail"; see formats.findings.
      origin: the number of the first pixel, 0 or 1, in formats that may count from either.
      masks: False leaves masks out; a detector of boxes has no use for them.
      max_side: px; larger images are scaled down to it, with boxes, masks and keypoints.
      shard_range: (i, n) writes only every n-th record file from the i-th on, i from 0, for one of
        n jobs that share a disk. The same call without it writes what is missing and finishes.
      runner: one of Apache Beam's, whose workers share a disk too, instead of processes.

    Raises:
      UsageError: a path, name or option is wrong, `out` cannot be written, or another run does.
      DataError: there are no annotations, or something in them cannot be used or decided.
      ConfigError: the label map given is none.
    """
    sources, findings = _checked(source, out, shard_range), Findings(on_error)
    with _uncollected() as out_of_sight:
        loaded = _loaded(
            sources, format, images_folder, label_map, selection, findings, origin, workers, masks
        )
        groups, told = _groups(loaded, split, seed, findings)
        plan = _plan(groups, out, loaded.classes, num_shards, seed, on_error, max_side, masks)
        out_of_sight()
        with resumable_output.opened(out, shared=shard_range is not None, finished=writing.notes):
            done = _write(plan, shard_range, workers, runner)
            made = report(loaded, told, seed, plan, done, findings)
            return made if shard_range else _finished(out, plan, done, made, num_shards, origin)


def _loaded(
    sources: tuple[Path, ...],
    format: str,
    images_folder: Path | None,
    label_map: str | Path | None,
    selection: Selection | None,
    findings: Findings,
    origin: int,
    workers: int,
    masks: bool,
) -> datasets.Loaded:
    return datasets.load(
        sources,
        format=format,
        images_folder=images_folder,
        given=None if label_map is None else load_label_map(label_map),
        selection=selection,
        findings=findings,
        origin=origin,
        deferring=True,
        workers=workers,
        masks=masks,
    )


@contextmanager
def _uncollected() -> Iterator[Callable[[], None]]:
    """Turns the collector of circular objects off, until what it yields is called.

    It would look through millions of new objects again and again, and none of them can be in a
    circle: a third of the time that a plan takes. What was made till then is kept out of its sight
    to the block's end: a look at it would copy the memory that worker processes share.
    """
    collecting = gc.isenabled()

    def out_of_sight() -> None:
        gc.freeze()
        if collecting:
            gc.enable()

    gc.disable()
    try:
        yield out_of_sight
    finally:
        gc.unfreeze()
        if collecting:
            gc.enable()


def _groups(
    loaded: datasets.Loaded,
    split: Mapping[str, float] | Split | None,
    seed: int,
    findings: Findings,
) -> tuple[assignment.Groups, str]:
    """The images by split, and where the splits came from."""
    how = split if isinstance(split, Split) else Split(split)
    groups, told = assignment.apply(how, loaded, seed, findings)
    assignment.note_leaks(groups, findings)
    if not any(groups.values()):
        raise DataError(
            "No image is left to convert.",
            where=", ".join(map(str, loaded.roots)),
            fix=_fix_all(findings),
        )
    return groups, told


def _finished(
    out: Path,
    plan: Sequence[Shard],
    done: Sequence[Written | None],
    made: Report,
    num_shards: int | None,
    origin: int,
) -> Report:
    """Writes what lies beside the records, and makes the folder the output."""
    folder = resumable_output.folder_of(out)
    written = [part for part in done if part is not None]
    said = {key: value for key, value in asdict(made).items() if key != "unfinished"}
    options = {
        "format": made.format,
        "split": made.split,
        "seed": made.seed,
        "shards": num_shards or AUTO,
        "on_error": plan[0].on_error,
        "origin": origin,
        "max_side": plan[0].max_side,
        "masks": plan[0].masks,
    }
    content = manifest.manifest(options, plan, written)
    labels.save(LabelMap(made.label_map), folder / LABEL_MAP)
    files.write_text(folder / REPORT, json.dumps(said, indent=2, ensure_ascii=False))
    files.write_text(folder / MANIFEST, json.dumps(content, indent=2, ensure_ascii=False))
    resumable_output.finish(folder, out, [shard.note for shard in plan])
    return made


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
        if path.name not in (LABEL_MAP, REPORT, MANIFEST) and path.suffix != shards.SUFFIX
    )
    if foreign:
        raise UsageError(
            "The output folder holds other things, which would be lost.",
            where=out,
            found=", ".join(foreign[:5]),
            fix="Name another --out, or empty the folder.",
        )


def _checked(
    source: Path | Sequence[Path], out: Path, part: tuple[int, int] | None
) -> tuple[Path, ...]:
    """The sources, if `out` may be written and there is such a part."""
    sources = (source,) if isinstance(source, Path) else tuple(source)
    for each in sources:
        _check_out(out, each)
    if part is not None and not 0 <= part[0] < part[1]:
        raise UsageError(
            "There is no such part.",
            where="--shard_range",
            expected="I/N with I from 0 to N-1: 0/4, 1/4, 2/4 and 3/4 for four jobs",
            found=f"{part[0]}/{part[1]}",
            fix="Correct it.",
        )
    return sources


def _plan(
    groups: Mapping[str, list[ImageAnnotation]],
    out: Path,
    classes: LabelMap,
    num_shards: int | None,
    seed: int,
    on_error: str,
    max_side: int | None,
    with_masks: bool,
) -> list[Shard]:
    """The shards to write. Images are dealt out in shuffled order, for training and pictures."""
    plan = []
    keypoints = example.keypoint_names(a for members in groups.values() for a in members)
    for name, members in groups.items():
        if not members:
            continue
        shuffled = [members[place] for place in shares.order([a.source_id for a in members], seed)]
        total = min(num_shards or _auto_shards(members), len(members))
        for index in range(total):
            path = resumable_output.folder_of(out) / shards.name(name, index, total)
            part = tuple(shuffled[index::total])
            plan.append(Shard(path, name, part, classes, on_error, max_side, keypoints, with_masks))
    return plan


def _auto_shards(members: Sequence[ImageAnnotation]) -> int:
    total = sum(image_files.size_on_disk(a.image) for a in members)
    by_number = min(_FEW_SHARDS, -(-len(members) // _SHARD_IMAGES))
    return max(by_number, -(-total // _SHARD_BYTES))


def _write(
    plan: Sequence[Shard],
    shard_range: tuple[int, int] | None,
    workers: int,
    runner: beam.Runner | None,
) -> list[Written | None]:
    """Writes every n-th shard that is not finished; returns what each shard of the plan holds."""
    part = shard_range or (0, 1)
    if shard_range is None:
        wanted = [path.name for shard in plan for path in (shard.path, shard.note)]
        resumable_output.clean(plan[0].path.parent, wanted)
    written = {shard.path: writing.finished(shard) for shard in plan}
    missing = [shard for shard in plan[part[0] :: part[1]] if written[shard.path] is None]
    todo = sum(len(shard.annotations) for shard in missing)
    before = [shard for shard in plan if written[shard.path] is not None]
    shown = _shown(plan if shard_range is None else missing, before if shard_range is None else ())
    if runner is None:
        made = worker_pool.run(writing.write, missing, worker_pool.useful(workers, todo), shown)
    else:
        with shown as bar:
            made = beam.run(writing.write, missing, runner, plan[0].path.parent)
            bar.advance(todo)
    written.update({shard.path: done for shard, done in zip(missing, made, strict=True)})
    return list(written.values())


@contextmanager
def _shown(plan: Sequence[Shard], before: Sequence[Shard]) -> Iterator[Progress]:
    """The progress of writing a plan of which some was written before."""
    total, start = (sum(len(shard.annotations) for shard in part) for part in (plan, before))
    with progress("converting", total, "images") as bar:
        if before:
            bar.say(f"Going on: {len(before)} of {len(plan)} record files were finished before.")
            bar.start_at(start)
        yield bar
