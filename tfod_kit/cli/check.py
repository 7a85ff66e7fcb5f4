"""`tfod check TARGET`: what would fail or mislead, found before any training."""

import argparse
import dataclasses
import json
import textwrap
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path

from tfod_kit import checks
from tfod_kit.checks.findings import Finding, Level, counts
from tfod_kit.cli.shared import count
from tfod_kit.io.progress import Progress, progress

_STYLES = {Level.ERROR: "bold red", Level.WARNING: "yellow", Level.NOTE: "cyan"}
_WIDTH = 100
_INDENT = " " * 9
_MIB = 2**20
_SILENT = 64 * _MIB


def register(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "target", help="a run folder, a pipeline.config, a folder of records, or a pattern of files"
    )
    parser.add_argument(
        "--sample", type=count, metavar="N", help="look at about N records of each split"
    )
    parser.add_argument("--pixels", action="store_true", help="decode every picture to the end")
    parser.add_argument(
        "--label_map", type=Path, metavar="FILE", help="for records: another than beside them"
    )
    parser.add_argument(
        "--workers", type=count, default=1, metavar="N", help="machines that train together"
    )
    parser.add_argument("--tpu", action="store_true", help="a TPU will train")
    parser.add_argument(
        "--variables",
        action="store_true",
        help="build the model and compare it with its checkpoint (loads TensorFlow)",
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(args: argparse.Namespace) -> int:
    """Returns 0 where nothing is an error, and 1 otherwise."""
    options = checks.CheckOptions(
        sample=args.sample,
        pixels=args.pixels,
        label_map=args.label_map,
        workers=args.workers,
        tpu=args.tpu,
        variables=args.variables,
    )
    with _Progress() as advance:
        report = checks.check(args.target, options, advance)
    if args.json:
        print(json.dumps(_document(report), indent=2, ensure_ascii=False))
    else:
        _print(report, sampled=args.sample is not None)
    return 0 if report.ok else 1


class _Progress:
    """Shows how many MiB were read, from the point on where it may take a while."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._bar: Progress | None = None
        self._read = 0

    def __enter__(self) -> Callable[[int], None]:
        return self._advance

    def __exit__(self, *raised: object) -> None:
        self._stack.close()

    def _advance(self, size: int) -> None:
        self._read += size
        if self._bar is None and self._read > _SILENT:
            self._bar = self._stack.enter_context(progress("checking", None, "MiB"))
        if self._bar is not None and self._read // _MIB > self._bar.done:
            self._bar.advance(self._read // _MIB - self._bar.done)


def _document(report: checks.CheckReport) -> dict[str, object]:
    return {
        "ok": report.ok,
        "model": report.model,
        "splits": {name: dataclasses.asdict(held) for name, held in report.splits.items()},
        "findings": [dataclasses.asdict(finding) for finding in report.findings],
    }


def _print(report: checks.CheckReport, *, sampled: bool) -> None:
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    read = {name: held for name, held in report.splits.items() if held.files}
    what = "records (a sample)" if sampled else "records"
    for name, held in read.items():
        console.print(
            f"{name:<8} {held.records:,} {what} in {_counted(held.files, 'file')}, "
            f"{held.objects:,} objects, {len(held.classes)} classes, {held.size / _MIB:,.1f} MiB",
            markup=False,
        )
    if read:
        console.print()
    show(report.findings)
    console.print(verdict(report.findings), markup=False)


def show(findings: Iterable[Finding]) -> None:
    """Prints each finding with its level in colour, its places and its cure."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    for finding in findings:
        head = Text(f"{finding.level:<8} ", style=_STYLES[finding.level])
        head.append("\n".join(_lines(finding)), style="none")
        console.print(head)


def _lines(finding: Finding) -> list[str]:
    """The finding's reason, its places and its cure."""
    total = f" ({finding.count:,} times)" if finding.count > 1 else ""
    lines = textwrap.wrap(f"{finding.reason}{total}", _WIDTH - len(_INDENT))
    lines += [f"{_INDENT}  {place}" for place in finding.examples]
    more = finding.count - len(finding.examples)
    if finding.examples and more > 0:
        lines.append(f"{_INDENT}  ... and {more:,} more")
    if finding.fix:
        lines += textwrap.wrap(
            f"-> {finding.fix}",
            _WIDTH,
            initial_indent=_INDENT,
            subsequent_indent=_INDENT + "   ",
            break_on_hyphens=False,
        )
    first, *rest = lines
    return [first, *(line if line.startswith(_INDENT) else _INDENT + line for line in rest)]


def verdict(findings: list[Finding]) -> str:
    """One line that sums the findings up."""
    number = counts(findings)
    parts = [_counted(number[level], level.value) for level in Level if number[level]]
    if number[Level.ERROR]:
        return f"Not ready to train: {', '.join(parts)}."
    return f"Ready to train: {', '.join(parts)}." if parts else "Ready to train: nothing found."


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
