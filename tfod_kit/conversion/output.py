"""The output folder of a conversion: the records, and the three files beside them."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tfod_kit.conversion.manifest import MANIFEST, manifest
from tfod_kit.conversion.options import ConvertOptions
from tfod_kit.conversion.report import ConversionReport
from tfod_kit.conversion.writing import Shard, WrittenShard
from tfod_kit.core import labels
from tfod_kit.core.labels import LabelMap
from tfod_kit.errors import UsageError
from tfod_kit.formats import AUTO
from tfod_kit.io import files, resumable_output
from tfod_kit.records import shards

LABEL_MAP = labels.FILE_NAME
REPORT = "report.json"


def check_sources(sources: Sequence[Path], out: Path) -> None:
    """Refuses an output folder that is, or contains, one of the sources.

    Raises:
      UsageError: it does.
    """
    if any(source.resolve().is_relative_to(out.resolve()) for source in sources):
        raise UsageError(
            "The output folder contains the data set itself.",
            where=out,
            fix="Name another --out.",
        )


def check_folder(out: Path) -> None:
    """Refuses to replace a folder that contains anything a conversion did not write.

    Raises:
      UsageError: it does.
    """
    if not out.is_dir():
        return
    foreign = sorted(
        path.name
        for path in out.iterdir()
        if path.name not in (LABEL_MAP, REPORT, MANIFEST) and path.suffix != shards.SUFFIX
    )
    if foreign:
        raise UsageError(
            "The output folder contains other files, which would be lost.",
            where=out,
            found=", ".join(foreign[:5]),
            fix="Name another --out, or empty the folder.",
        )


def finish(
    out: Path,
    plan: Sequence[Shard],
    written: Sequence[WrittenShard | None],
    report: ConversionReport,
    options: ConvertOptions,
) -> None:
    """Writes the label map, the report and the manifest, and moves the folder to `out`."""
    folder = resumable_output.partial_folder(out)
    chosen = {
        "format": report.format,
        "split": report.split,
        "seed": report.seed,
        "shards": options.shards or AUTO,
        "on_error": options.on_error,
        "origin": options.origin,
        "max_side": options.max_side,
        "masks": options.masks,
    }
    content = manifest(chosen, plan, [shard for shard in written if shard is not None])
    stored = {key: value for key, value in asdict(report).items() if key != "unfinished"}
    labels.save(LabelMap(report.label_map), folder / LABEL_MAP)
    files.write_text(folder / REPORT, json.dumps(stored, indent=2, ensure_ascii=False))
    files.write_text(folder / MANIFEST, json.dumps(content, indent=2, ensure_ascii=False))
    resumable_output.finish(folder, out, [shard.note for shard in plan])
