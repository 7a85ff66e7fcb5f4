"""Converts a data set to another annotation format: `tfod convert --to`."""

from collections.abc import Sequence
from pathlib import Path

from tfod_kit import datasets, formats
from tfod_kit.conversion import output, planning
from tfod_kit.conversion.options import RewriteOptions
from tfod_kit.conversion.report import ConversionReport, SplitSummary
from tfod_kit.core import collector
from tfod_kit.core.labels import LabelMap
from tfod_kit.formats.common.findings import Findings
from tfod_kit.formats.common.writing import WrittenDataSet

_DEFAULTS = RewriteOptions()


def rewrite(
    source: Path | Sequence[Path], out: Path, to: str, options: RewriteOptions = _DEFAULTS
) -> ConversionReport:
    """Writes the images and annotations of a data set in another format, completely or not at all.

    Args:
      source: the folder of the data set, or its one annotation file; several are merged.
      out: the folder to write; replaced if it contains nothing but an earlier conversion.
      to: the format to write; a key of FORMATS that has a writer.
      options: how to read, split and write.

    Raises: as `conversion.convert`.
    """
    sources = (source,) if isinstance(source, Path) else tuple(source)
    output.check_sources(sources, out)
    findings = Findings(options.on_error)
    with collector.paused() as resume:
        loaded = datasets.load(sources, options.for_loading(), findings=findings)
        groups, description = planning.assign(loaded, options, findings)
        resume()
        written = formats.write(
            to,
            groups,
            out,
            classes=loaded.classes,
            findings=findings,
            options=formats.WriteOptions(
                link=options.link,
                max_side=options.max_side,
                masks=options.masks,
                workers=options.workers,
                scores=options.scores,
            ),
        )
    return ConversionReport(
        format=loaded.format,
        split=description,
        seed=options.seed,
        label_map=dict(loaded.classes.ids),
        splits=_summaries(written, loaded.classes),
        findings=written.findings,
        known_by=loaded.known_by,
    )


def _summaries(written: WrittenDataSet, classes: LabelMap) -> dict[str, SplitSummary]:
    return {
        split: SplitSummary(
            images=images,
            negatives=written.negatives[split],
            objects=written.objects[split],
            classes={name: written.classes[split].get(name, 0) for name in classes},
            files=written.files,
            most_objects=written.most_objects[split],
            masks=written.masks[split],
        )
        for split, images in written.images.items()
    }
