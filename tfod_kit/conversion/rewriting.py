"""Converts a data set to another annotation format: `tfod convert --to`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tfod_kit import datasets, formats
from tfod_kit.conversion.report import Report, SplitSummary
from tfod_kit.core.labels import LabelMap
from tfod_kit.datasets.class_selection import Selection
from tfod_kit.datasets.splits import assignment
from tfod_kit.datasets.splits.assignment import Split
from tfod_kit.errors import DataError, UsageError
from tfod_kit.formats import AUTO
from tfod_kit.formats.common.findings import Findings
from tfod_kit.formats.common.writing import Written


def rewrite(
    source: Path | Sequence[Path],
    out: Path,
    to: str,
    *,
    format: str = AUTO,
    images_folder: Path | None = None,
    label_map: LabelMap | None = None,
    selection: Selection | None = None,
    split: Mapping[str, float] | Split | None = None,
    seed: int = 0,
    on_error: str = "fix",
    origin: int = 0,
    max_side: int | None = None,
    masks: bool = True,
    link: bool = False,
    workers: int = 1,
) -> Report:
    """Writes pictures and annotations in one of FORMATS.writable, whole or not at all.

    The arguments are those of `convert`, but for:
      to: the format to write.
      label_map: a label map itself.
      masks: False leaves them out.
      link: links to pictures that need no change, instead of copying them.

    Raises: as `convert`.
    """
    sources = _checked(source, out)
    findings = Findings(on_error)
    loaded = datasets.load(
        sources,
        format=format,
        images_folder=images_folder,
        given=label_map,
        selection=selection,
        findings=findings,
        origin=origin,
        deferring=True,
        masks=masks,
        workers=workers,
    )
    how = split if isinstance(split, Split) else Split(split)
    groups, told = assignment.apply(how, loaded, seed, findings)
    if not any(groups.values()):
        raise DataError("No image is left to write.", where=", ".join(map(str, sources)))
    done = formats.write(
        to,
        groups,
        out,
        classes=loaded.classes,
        findings=findings,
        link=link,
        max_side=max_side,
        masks=masks,
        workers=workers,
    )
    ids = dict(loaded.classes.ids)
    summaries = _summaries(done, loaded.classes)
    return Report(loaded.format, told, seed, ids, summaries, done.findings, loaded.known_by)


def _checked(source: Path | Sequence[Path], out: Path) -> tuple[Path, ...]:
    """The sources, if `out` holds none of them."""
    sources = (source,) if isinstance(source, Path) else tuple(source)
    if any(each.resolve().is_relative_to(out.resolve()) for each in sources):
        raise UsageError(
            "The output folder holds the data set itself.", where=out, fix="Name another --out."
        )
    return sources


def _summaries(done: Written, classes: LabelMap) -> dict[str, SplitSummary]:
    return {
        split: SplitSummary(
            images=images,
            negatives=done.negatives[split],
            objects=done.objects[split],
            classes={name: done.classes[split].get(name, 0) for name in classes},
            files=done.files,
            most_objects=done.most_objects[split],
            masks=done.masks[split],
        )
        for split, images in done.images.items()
    }
