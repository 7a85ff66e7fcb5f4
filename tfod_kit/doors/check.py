"""`tfod check` and `tfod_kit.check`: what would fail or mislead, found before any training."""

import dataclasses
import json
import textwrap
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tfod_kit import checks
from tfod_kit.checks.findings import Finding, Level, counts
from tfod_kit.core.wording import counted
from tfod_kit.doors import arguments, values
from tfod_kit.doors.arguments import StrPath, local_name, local_path, option, positional
from tfod_kit.drawing import notebook
from tfod_kit.io.progress import Progress, progress

_WIDTH = 100
_INDENT = " " * 9
_MIB = 2**20
_SILENT = 64 * _MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckArguments:
    """The arguments of `tfod check`; each is explained by its help."""

    target: str = positional(
        "a run folder, a pipeline.config, a folder of records, or a pattern of files",
        parse=local_name,
    )
    sample: int | None = option(
        None, "look at about N records of each split", parse=values.count, metavar="N"
    )
    pixels: bool = option(False, "decode every image to the end")
    label_map: Path | None = option(
        None, "for records: another than beside them", parse=local_path, metavar="FILE"
    )
    workers: int = option(1, "machines that train together", parse=values.count, metavar="N")
    tpu: bool = option(False, "a TPU will train")
    variables: bool = option(
        False, "build the model and compare it with its checkpoint (loads TensorFlow)"
    )
    json: bool = option(False, "print the findings as JSON")


@dataclass(frozen=True, slots=True)
class Checked:
    """The result of a check.

    Attributes:
      report: what was checked, and the findings.
      sampled: whether only some of the records were read.
    """

    report: checks.CheckReport
    sampled: bool = False

    @property
    def ok(self) -> bool:
        """Whether no finding is an error."""
        return self.report.ok

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was found, errors first."""
        return tuple(self.report.findings)

    @property
    def records(self) -> list[str]:
        """One line per split that was read."""
        what = "records (a sample)" if self.sampled else "records"
        return [
            f"{name:<8} {held.records:,} {what} in {counted(held.files, 'file')}, "
            f"{held.objects:,} objects, {len(held.classes)} classes, {held.size / _MIB:,.1f} MiB"
            for name, held in self.report.splits.items()
            if held.files
        ]

    def __str__(self) -> str:
        read = [*self.records, ""] if self.records else []
        return "\n".join([*read, *map(text, self.findings), verdict(self.findings)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = [["", "finding", "where", "what to do"]]
        rows += [
            [str(each.level), each.reason, "\n".join(map(str, each.examples)), each.fix or ""]
            for each in self.findings
        ]
        found = notebook.table(rows) if self.findings else ""
        read = notebook.text("\n".join(self.records)) if self.records else ""
        return notebook.page([read, found, notebook.text(verdict(self.findings))])

    def as_json(self) -> str:
        """The findings and the figures of the records as JSON."""
        document = {
            "ok": self.ok,
            "model": self.report.model,
            "splits": {name: dataclasses.asdict(held) for name, held in self.report.splits.items()},
            "findings": [dataclasses.asdict(finding) for finding in self.findings],
        }
        return json.dumps(document, indent=2, ensure_ascii=False)


def check(target: StrPath, **options: object) -> Checked:
    """Finds what would fail or silently mislead a training, before it starts.

    Args:
      target: a run folder, a pipeline.config, a folder of records, or a pattern of files.
      options: those of `tfod check`, such as pixels=True.

    Raises:
      UsageError: an option is unknown or invalid, or the target does not exist.
    """
    return run(arguments.build("check", CheckArguments, {"target": target, **options}))


def run(arguments: CheckArguments) -> Checked:
    """Checks as `tfod check` with these arguments does."""
    options = checks.CheckOptions(
        sample=arguments.sample,
        pixels=arguments.pixels,
        label_map=arguments.label_map,
        workers=arguments.workers,
        tpu=arguments.tpu,
        variables=arguments.variables,
    )
    with _Progress() as advance:
        report = checks.check(arguments.target, options, advance)
    return Checked(report, sampled=arguments.sample is not None)


def text(finding: Finding) -> str:
    """A finding as lines: its level, its reason, its examples and what to do."""
    return f"{finding.level:<8} " + "\n".join(lines(finding))


def lines(finding: Finding) -> list[str]:
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


def verdict(findings: Iterable[Finding]) -> str:
    """One line that sums the findings up."""
    number = counts(findings)
    parts = [counted(number[level], level.value) for level in Level if number[level]]
    if number[Level.ERROR]:
        return f"Not ready to train: {', '.join(parts)}."
    return f"Ready to train: {', '.join(parts)}." if parts else "Ready to train: nothing found."


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
