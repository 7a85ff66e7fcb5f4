"""Detects the format of a data set, and reports when it could be several."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tfod_kit.core.annotations import ImageRef
from tfod_kit.errors import DataError, TfodKitError
from tfod_kit.formats.base import Context, Format, Source
from tfod_kit.formats.common.findings import Findings


def detect(
    formats: Mapping[str, Format], context: Context, source: Path
) -> tuple[str, tuple[Source, ...]] | None:
    """The name of the format and the parts of the data set; None if no format recognises it.

    If several do, as in data sets published in two formats, it is the first in the table whose
    annotations include every image of the others.

    Raises:
      DataError: several do, and none includes all images of the others.
    """
    candidates: dict[str, tuple[Source, ...]] = {}
    clean: set[str] = set()
    for name, format in formats.items():
        # Discard the findings of formats that are not chosen.
        trial = replace(context, findings=Findings("skip"))
        sources = format.discover(source, trial)
        if sources:
            candidates[name] = sources
            clean.update(() if trial.findings.counts else (name,))
    if not candidates:
        return None
    if len(candidates) == 1:
        name = next(iter(candidates))
    else:
        name = _most_complete(formats, candidates, context, source)
    return name, candidates[name] if name in clean else formats[name].discover(source, context)


def because(sources: Sequence[Source], context: Context) -> str:
    """What a format was recognised by: "364 files, such as Annotations/BloodImage_00000.xml"."""
    files = [path for source in sources for path in source.annotations]
    first = context.name(files[0]) if files else ""
    return first if len(files) == 1 else f"{len(files):,} files, such as {first}"


def _most_complete(
    formats: Mapping[str, Format],
    candidates: Mapping[str, tuple[Source, ...]],
    context: Context,
    source: Path,
) -> str:
    images = {
        name: _images(formats[name], sources, context) for name, sources in candidates.items()
    }
    images = {name: paths for name, paths in images.items() if paths} or images
    every = set().union(*images.values())
    for name, paths in images.items():
        if paths == every:
            for other in [other for other in candidates if other != name]:
                context.findings.add(
                    "other_format_too", formats[other].title, because(candidates[other], context)
                )
            return name
    raise DataError(
        "Several formats match, and each annotates images that another does not.",
        where=source,
        expected=f"--format with one of {', '.join(images)}",
        found="; ".join(
            f"{formats[name].title} for {len(paths):,} images: {because(candidates[name], context)}"
            for name, paths in images.items()
        ),
        fix="Name the format with --format, or give the folder of one of them.",
    )


def _images(format: Format, sources: tuple[Source, ...], context: Context) -> set[ImageRef]:
    """The images that the annotations of a format name; empty if they cannot be read."""
    trial = replace(context, findings=Findings("skip"))
    try:
        return {a.image for source in sources for a in format.read(source, trial).images}
    except TfodKitError:
        return set()
