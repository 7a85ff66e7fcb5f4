"""Converts an annotated data set to TFRecords with a label map and a report."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tfod_kit import datasets
from tfod_kit.conversion import beam, output, planning, writing
from tfod_kit.conversion.manifest import MANIFEST
from tfod_kit.conversion.options import ConvertOptions, RewriteOptions, load_label_map
from tfod_kit.conversion.output import LABEL_MAP, REPORT
from tfod_kit.conversion.report import ConversionReport, SplitSummary, summarise
from tfod_kit.conversion.writing import Shard, WrittenShard
from tfod_kit.core import collector
from tfod_kit.errors import UsageError
from tfod_kit.formats.common import losses
from tfod_kit.formats.common.findings import Findings
from tfod_kit.io import resumable_output, worker_pool
from tfod_kit.io.progress import Progress, progress

__all__ = [
    "LABEL_MAP",
    "MANIFEST",
    "REPORT",
    "ConversionReport",
    "ConvertOptions",
    "RewriteOptions",
    "SplitSummary",
    "convert",
    "load_label_map",
]

_DEFAULTS = ConvertOptions()


def convert(
    source: Path | Sequence[Path], out: Path, options: ConvertOptions = _DEFAULTS
) -> ConversionReport:
    """Writes the records of a data set into a folder, which appears complete or not at all.

    A run that fails or is killed leaves its finished record files beside `out`, and the same call
    resumes from them; the bytes are those of a run that was not interrupted.

    Args:
      source: the folder of the data set, or its one annotation file; several are merged.
      out: the folder to write; replaced if it contains nothing but an earlier conversion.
      options: how to read, split and write.

    Raises:
      UsageError: a path, name or option is wrong, `out` cannot be written, or another conversion
        is writing to it.
      DataError: there are no annotations, or something in them cannot be used or is ambiguous.
      ConfigError: the label map given is invalid.
    """
    sources = (source,) if isinstance(source, Path) else tuple(source)
    _check(sources, out, options)
    findings = Findings(options.on_error)
    with collector.paused() as resume:
        loaded = datasets.load(sources, options.for_loading(), findings=findings)
        groups, description = planning.assign(loaded, options, findings)
        plan = planning.plan(groups, loaded, out, options)
        resume()
        shared = options.shard_range is not None
        with resumable_output.locked(out, shared=shared, finished=writing.notes):
            written = _write(plan, options)
            report = summarise(
                loaded, plan, written, findings, split=description, seed=options.seed
            )
            if not shared:
                classes = {name: part.classes for name, part in report.splits.items()}
                losses.check_written(groups, classes, findings)
                report = replace(report, findings=findings.as_dict())
                output.finish(out, plan, written, report, options)
            return report


def _check(sources: Sequence[Path], out: Path, options: ConvertOptions) -> None:
    """Raises UsageError if `out` may not be written or the shard range is invalid."""
    output.check_sources(sources, out)
    output.check_folder(out)
    part = options.shard_range
    if part is not None and not 0 <= part[0] < part[1]:
        raise UsageError(
            "The shard range is invalid.",
            where="--shard_range",
            expected="I/N with I from 0 to N-1: 0/4, 1/4, 2/4 and 3/4 for four jobs",
            found=f"{part[0]}/{part[1]}",
            fix="Correct it.",
        )


def _write(plan: Sequence[Shard], options: ConvertOptions) -> list[WrittenShard | None]:
    """Writes the unfinished shards of this job; returns the content of each shard of the plan."""
    folder = plan[0].path.parent
    if options.shard_range is None:
        resumable_output.clean(folder, [p.name for shard in plan for p in (shard.path, shard.note)])
    written = {shard.path: writing.finished(shard) for shard in plan}
    first, step = options.shard_range or (0, 1)
    missing = [shard for shard in plan[first::step] if written[shard.path] is None]
    images = sum(len(shard.annotations) for shard in missing)
    if options.shard_range is None:
        bar = _progress(plan, [shard for shard in plan if written[shard.path] is not None])
    else:
        bar = _progress(missing, ())
    if options.runner is None:
        workers = worker_pool.worthwhile(options.workers, images)
        results = worker_pool.run(writing.write, missing, workers, bar)
    else:
        with bar as shown:
            results = beam.run(writing.write, missing, options.runner, folder)
            shown.advance(images)
    written.update({shard.path: result for shard, result in zip(missing, results, strict=True)})
    return list(written.values())


@contextmanager
def _progress(plan: Sequence[Shard], finished: Sequence[Shard]) -> Iterator[Progress]:
    """The progress of a conversion that may resume after some finished shards."""
    total, start = (sum(len(shard.annotations) for shard in part) for part in (plan, finished))
    with progress("converting", total, "images") as bar:
        if finished:
            bar.print(f"Resuming: {len(finished)} of {len(plan)} record files are already written.")
            bar.start_at(start)
        yield bar
