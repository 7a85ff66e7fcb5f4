"""Tells which format a data set is in, and says so when it could be several."""

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
    """The format's name and the data set's parts; None when no format finds anything.

    Where several do, as in data sets that are published in two formats side by side, it is the one
    whose annotations name every image that the others' name, the table's first of such.

    Raises:
      DataError: several do, and each names images that another does not.
    """
    found: dict[str, tuple[Source, ...]] = {}
    clean: set[str] = set()
    for name, format in formats.items():
        # Whatever a format that is not taken finds fault with is of no interest.
        quiet = replace(context, findings=Findings("skip"))
        sources = format.discover(source, quiet)
        if sources:
            found[name] = sources
            clean.update(() if quiet.findings.counts else (name,))
    if not found:
        return None
    name = next(iter(found)) if len(found) == 1 else _widest(formats, found, context, source)
    return name, found[name] if name in clean else formats[name].discover(source, context)


def because(sources: Sequence[Source], context: Context) -> str:
    """What the format was known by: "364 files, such as Annotations/BloodImage_00000.xml"."""
    files = [path for source in sources for path in source.annotations]
    first = context.name(files[0]) if files else ""
    return first if len(files) == 1 else f"{len(files):,} files, such as {first}"


def _widest(
    formats: Mapping[str, Format],
    found: Mapping[str, tuple[Source, ...]],
    context: Context,
    source: Path,
) -> str:
    images = {name: _images(formats[name], sources, context) for name, sources in found.items()}
    images = {name: paths for name, paths in images.items() if paths} or images
    every = set().union(*images.values())
    for name, paths in images.items():
        if paths == every:
            for other in [other for other in found if other != name]:
                context.findings.add(
                    "other_format_too", formats[other].title, because(found[other], context)
                )
            return name
    raise DataError(
        "Several formats fit, and each annotates images that another does not.",
        where=source,
        expected=f"--format with one of {', '.join(images)}",
        found="; ".join(
            f"{formats[name].title} for {len(paths):,} images: {because(found[name], context)}"
            for name, paths in images.items()
        ),
        fix="Name the format with --format, or give the folder of one of them.",
    )


def _images(format: Format, sources: tuple[Source, ...], context: Context) -> set[ImageRef]:
    """The images that a format's annotations name; none when they cannot be read."""
    quiet = replace(context, findings=Findings("skip"))
    try:
        return {a.image for source in sources for a in format.read(source, quiet).images}
    except TfodKitError:
        return set()
