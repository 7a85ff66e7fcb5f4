"""Looks at records, label map, config and checkpoint together, before any training: `tfod check`.

What makes a training fail after hours, or learn nothing without a word, is found at the speed of
the disk and without TensorFlow, and said with its place and its cure.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfod_kit import pipeline_config
from tfod_kit.checks import checkpoint, inputs, memory, objects, settings, splits, variables
from tfod_kit.checks.findings import CheckFindings, Finding, Level, Location, counts
from tfod_kit.checks.inputs import TRAIN, CheckTarget
from tfod_kit.checks.pixels import PixelCheck
from tfod_kit.checks.scan import SplitFacts, scan
from tfod_kit.errors import DataError
from tfod_kit.io import hardware
from tfod_kit.pipeline_config import anchors
from tfod_kit.records import shards

_QUICK_FILES, _QUICK = 16, 4  # what the quick part reads: files of a split, records of each
_PATIENCE_S = 0.3  # for the lengths of all records


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """How to check.

    Attributes:
      sample: about how many records of each split to look at, evenly spread; None for all.
      pixels: whether to decode each picture, and not only its header.
      label_map: for records checked alone: another than the one beside them.
      workers: how many machines train together.
      tpu: whether a TPU trains.
      variables: whether to build the model (TensorFlow) and compare the checkpoint's variables.
    """

    sample: int | None = None
    pixels: bool = False
    label_map: Path | None = None
    workers: int = 1
    tpu: bool = False
    variables: bool = False


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What was found, and in what.

    Attributes:
      findings: errors first.
      splits: what each split holds.
      model: the config's model; "" when records were checked alone.
    """

    findings: list[Finding]
    splits: Mapping[str, "SplitSummary"]
    model: str = ""

    @property
    def ok(self) -> bool:
        """Whether there is no error."""
        return not counts(self.findings)[Level.ERROR]


@dataclass(frozen=True, slots=True)
class SplitSummary:
    """What was looked at in a split: files, records, objects, bytes; objects by class name."""

    files: int
    records: int
    objects: int
    size: int
    classes: Mapping[str, int] = field(default_factory=dict)


def check(
    path: str | Path,
    options: CheckOptions = CheckOptions(),
    advance: Callable[[int], None] = lambda size: None,
) -> CheckReport:
    """Checks a run, a config, or records alone.

    Args:
      path: a run folder, a config, a folder of records, a record file or a pattern of such.
      options: how.
      advance: is given the bytes of each record that was read.

    Raises:
      UsageError: there is nothing of the kind.
    """
    findings = CheckFindings()
    found = inputs.find(str(path), findings, options.label_map)
    facts = {}
    with PixelCheck(findings) as pixels:
        for split in found.splits:
            splits.check_files(split, findings)
            facts[split.name] = scan(
                split.paths,
                findings,
                every=_every(split, options.sample),
                seen=pixels.see if options.pixels else None,
                advance=advance,
            )
    classes = _judge_records(found, facts, findings, whole=options.sample is None)
    if found.config is not None:
        _judge_config(found, facts, options, findings)
    return CheckReport(findings.all(), _held(facts, classes), _model(found))


def quick(config_path: Path) -> list[Finding]:
    """What `tfod train` looks at first: the config, the records' lengths, and the first records.

    Raises nothing; what cannot be read is a finding.
    """
    findings = CheckFindings()
    found = inputs.of_config(config_path, findings)
    if found.config is None:
        return findings.all()
    until = time.monotonic() + _PATIENCE_S
    for split in found.splits:
        splits.check_files(split, findings)
        facts = scan(_whole(split, until, findings)[:_QUICK_FILES], findings, at_most=_QUICK)
        num_classes = _num_classes(found)
        objects.check_boxes(facts, None, findings)
        if split.label_map is not None:
            objects.check_classes(facts, split.label_map, num_classes, findings)
    for error in pipeline_config.validate(found.config):
        findings.refused("config", error, config_path)
    if not counts(findings.all())[Level.ERROR]:
        checkpoint.check(found, findings)
        settings.check_classes(found, findings)
        settings.check_course(found, findings)
    return findings.all()


def _whole(split: inputs.RecordSplit, until: float, findings: CheckFindings) -> list[Path]:
    """The split's files less those that are empty or cut short, as their lengths alone tell.

    On a large set that takes longer than one wants to wait; from the time `until`, on the
    monotonic clock, files pass unseen.
    """
    whole = []
    for path in split.paths:
        try:
            if time.monotonic() < until:
                shards.count(path)
            whole.append(path)
        except DataError as error:
            findings.refused("file_damaged", error, path)
    return whole


def _every(split: inputs.RecordSplit, sample: int | None) -> int:
    if sample is None:
        return 1
    total = 0
    for path in split.paths:
        try:
            total += shards.count(path)
        except DataError:
            return 1  # the scan says what is wrong with it
    return max(math.ceil(total / sample), 1)


def _judge_records(
    found: CheckTarget, facts: Mapping[str, SplitFacts], findings: CheckFindings, *, whole: bool
) -> dict[str, Mapping[str, int]]:
    tallies = {}
    scale = _scale(found)
    for split in found.splits:
        held = facts[split.name]
        objects.check_boxes(held, scale, findings)
        tallies[split.name] = objects.check_classes(
            held, split.label_map, _num_classes(found), findings
        )
        splits.check_sources(split, held, findings)
    if found.splits:
        splits.check_pictures(facts, findings)
        splits.check_contents(found.splits, facts, findings)
    if whole:
        for split in found.splits:
            if split.label_map is not None and facts[split.name].owner:
                splits.check_balance(split, tallies[split.name], split.label_map, findings)
    return {name: dict(tally) for name, tally in tallies.items()}


def _judge_config(
    found: CheckTarget,
    facts: Mapping[str, SplitFacts],
    options: CheckOptions,
    findings: CheckFindings,
) -> None:
    errors = pipeline_config.validate(found.config)
    for error in errors:
        if not (options.tpu and "do not exist" in error.problem):
            findings.refused("config", error, found.config_path)
    if _model(found) == "":
        return
    settings.check_room(found, facts, findings)
    if options.sample is None:
        settings.check_batch(found, facts, findings)
    settings.check_contents(found, facts, findings)
    settings.check_classes(found, findings)
    settings.check_course(found, findings)
    settings.check_files(found, options.workers, options.tpu, findings)
    train = facts.get(TRAIN)
    if train is not None:
        settings.check_anchors(found, train, findings)
    memory.check(found, train, hardware.memory(), hardware.gpu_memory(), findings)
    checkpoint.check(found, findings)
    if options.variables and not counts(findings.all())[Level.ERROR]:
        variables.check(found, findings)


def _scale(found: CheckTarget) -> Callable[[Any], Any] | None:
    if _model(found) == "":
        return None
    return lambda sizes: anchors.input_sizes(found.config, sizes)


def _num_classes(found: CheckTarget) -> int | None:
    if _model(found) == "":
        return None
    return int(pipeline_config.model_of(found.config).num_classes)


def _model(found: CheckTarget) -> str:
    """The config's feature extractor; "" where there is no model to speak of."""
    chosen = found.config.model.WhichOneof("model") if found.config is not None else None
    if chosen not in ("ssd", "faster_rcnn", "center_net"):
        return ""
    return str(pipeline_config.model_of(found.config).feature_extractor.type) or chosen


def _held(
    facts: Mapping[str, SplitFacts], classes: Mapping[str, Mapping[str, int]]
) -> dict[str, SplitSummary]:
    return {
        name: SplitSummary(
            files=len(held.files),
            records=held.records,
            objects=len(held.owner),
            size=held.bytes_read,
            classes=classes.get(name, {}),
        )
        for name, held in facts.items()
    }


__all__ = ["CheckOptions", "CheckReport", "Finding", "Level", "Location", "check", "quick"]
