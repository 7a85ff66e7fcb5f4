"""The check `records`: each record on its own; it also collects what the other checks need."""

import math
import time
from collections.abc import Sequence
from pathlib import Path

from tfod_kit.checks.base import Check, CheckContext
from tfod_kit.checks.findings import CheckFindings
from tfod_kit.checks.scanning.pixels import PixelCheck
from tfod_kit.checks.scanning.scan import RECORD_CODES, scan
from tfod_kit.errors import DataError
from tfod_kit.records import shards

_QUICK_FILES, _QUICK_RECORDS = 16, 4  # read by the quick check: files of a split, records of each
_COUNTING_S = 0.3  # time that the quick check spends on the lengths of all records


def check_records(context: CheckContext, findings: CheckFindings) -> None:
    """Reads the records of all splits once."""
    if context.quick:
        _read_quickly(context, findings)
        return
    with PixelCheck(findings) as pixels:
        for split in context.target.splits:
            context.facts[split.name] = scan(
                split.paths,
                findings,
                every=_every(split.paths, context.options.sample),
                on_image=pixels.submit if context.options.pixels else None,
                advance=context.advance,
            )


def _read_quickly(context: CheckContext, findings: CheckFindings) -> None:
    deadline = time.monotonic() + _COUNTING_S
    for split in context.target.splits:
        intact = _intact(split.paths, deadline, findings)
        context.facts[split.name] = scan(intact[:_QUICK_FILES], findings, at_most=_QUICK_RECORDS)


def _intact(paths: Sequence[Path], deadline: float, findings: CheckFindings) -> list[Path]:
    """The files that are neither empty nor cut short, judging by the lengths of their records.

    On a large data set this takes longer than anyone wants to wait: files that have not been
    looked at by `deadline`, in s of the monotonic clock, count as intact.
    """
    intact = []
    for path in paths:
        try:
            if time.monotonic() < deadline:
                shards.count(path)
            intact.append(path)
        except DataError as error:
            findings.from_error("file_damaged", error, path)
    return intact


def _every(paths: Sequence[Path], sample: int | None) -> int:
    """The step through the records that reads about `sample` of them."""
    if sample is None:
        return 1
    try:
        total = sum(map(shards.count, paths))
    except DataError:
        return 1  # the scan reports what is wrong with the file
    return max(math.ceil(total / sample), 1)


CHECK = Check(
    name="records",
    covers="checksums, features and images of each record (pixels with `--pixels`)",
    codes=RECORD_CODES,
    run=check_records,
    quick=True,
)
