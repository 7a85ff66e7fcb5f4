"""Checks records, label map, config and checkpoint together before any training: `tfod check`.

What makes a training fail after hours, or silently learn nothing, is found at the speed of the
disk and without TensorFlow, and is reported with its location and what to do.

To add a check, write a module with a `Check` and add it to `CHECKS`; another package adds one
through the entry point group `tfod_kit.checks`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tfod_kit import pipeline_config
from tfod_kit.checks import (
    anchor_fit,
    augmentations,
    balance,
    boxes,
    capacity,
    checkpoint,
    classes,
    config,
    duplicates,
    image_shapes,
    inputs,
    label_maps,
    masks_and_keypoints,
    memory,
    records,
    schedule,
    shard_files,
    source_ids,
    splits,
    targets,
    variables,
)
from tfod_kit.checks.base import Check, CheckContext, CheckOptions, Needs
from tfod_kit.checks.findings import CheckFindings, Finding, Level, Location
from tfod_kit.errors import SetupError, TfodKitError
from tfod_kit.io import plugins

# In the order in which they run. `records` fills CheckContext.facts for those after it.
CHECKS = (
    inputs.CHECK,
    shard_files.SHARDS,
    records.CHECK,
    boxes.CHECK,
    classes.CHECK,
    source_ids.CHECK,
    duplicates.CHECK,
    splits.CHECK,
    balance.CHECK,
    config.CHECK,
    capacity.CHECK,
    image_shapes.CHECK,
    augmentations.CHECK,
    masks_and_keypoints.CHECK,
    label_maps.CHECK,
    schedule.CHECK,
    shard_files.FILES,
    anchor_fit.CHECK,
    memory.CHECK,
    checkpoint.CHECK,
    variables.CHECK,
)


_DEFAULTS = CheckOptions()


@dataclass(frozen=True, slots=True)
class SplitSummary:
    """What was read of a split: files, records, objects, bytes; objects by class name."""

    files: int
    records: int
    objects: int
    size: int
    classes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What was found, and in what.

    Attributes:
      findings: errors first.
      splits: what each split holds.
      model: the config's feature extractor; "" for records without a config.
    """

    findings: list[Finding]
    splits: Mapping[str, SplitSummary]
    model: str = ""

    @property
    def ok(self) -> bool:
        """Whether there is no error."""
        return all(finding.level is not Level.ERROR for finding in self.findings)


def check(
    path: str | Path,
    options: CheckOptions = _DEFAULTS,
    advance: Callable[[int], None] = lambda size: None,
) -> CheckReport:
    """Checks a run, a config, or records without a config.

    Args:
      path: a run folder, a config, a folder of records, a record file or a pattern of such.
      options: how to check.
      advance: is called with the size in bytes of each record that was read.

    Raises:
      UsageError: the path names none of these.
      SetupError: a check of another package cannot be loaded, or fails.
    """
    findings = CheckFindings()
    target = targets.find(str(path), options.label_map)
    context = CheckContext(target, options, advance=advance)
    for name, each in _all_checks():
        _run(name, each, context, findings)
    return CheckReport(findings.all(), _summaries(context), _model_name(context))


def quick(config_path: Path) -> list[Finding]:
    """The short check at the start of `tfod train`: the config and the first records.

    What cannot be read is a finding.

    Raises:
      SetupError: a check of another package cannot be loaded, or fails.
    """
    findings = CheckFindings()
    context = CheckContext(targets.of_config(config_path), quick=True)
    for name, each in _all_checks():
        # With errors in the records or the config, the model's settings are not worth checking.
        if each.quick and not (each.needs is Needs.MODEL and findings.has_errors):
            _run(name, each, context, findings)
    return findings.all()


def _all_checks() -> Iterator[tuple[str, Check]]:
    """The table, then what other packages add; with "" or the name of the entry point."""
    yield from (("", each) for each in CHECKS)
    yield from plugins.load(plugins.CHECKS, Check).items()


def _run(added_as: str, each: Check, context: CheckContext, findings: CheckFindings) -> None:
    ready = {
        Needs.RECORDS: True,
        Needs.CONFIG: context.target.config is not None,
        Needs.MODEL: context.has_model,
    }
    if not ready[each.needs]:
        return
    try:
        each.run(context, findings)
    except TfodKitError:
        raise
    except Exception as error:
        if not added_as:
            raise  # ours: the traceback is what a bug report needs
        raise SetupError(
            f"The check {each.name!r}, which another package adds, failed.",
            where=f"entry point {added_as} of {plugins.CHECKS}",
            found=f"{type(error).__name__}: {error}",
            fix="Update or uninstall the package that adds it.",
        ) from error


def _summaries(context: CheckContext) -> dict[str, SplitSummary]:
    return {
        split.name: SplitSummary(
            files=len(facts.files),
            records=facts.records,
            objects=len(facts.owner),
            size=facts.bytes_read,
            classes=dict(classes.objects_by_class(facts, split.label_map)),
        )
        for split, facts in context.scanned()
    }


def _model_name(context: CheckContext) -> str:
    if not context.has_model:
        return ""
    return context.model.feature_extractor.type or pipeline_config.architecture(context.config)


def codes(checks: Iterable[Check] = CHECKS) -> list[str]:
    """The codes of all findings that the checks can give."""
    return [code for each in checks for code in each.codes]


__all__ = [
    "CHECKS",
    "Check",
    "CheckContext",
    "CheckFindings",
    "CheckOptions",
    "CheckReport",
    "Finding",
    "Level",
    "Location",
    "Needs",
    "SplitSummary",
    "check",
    "codes",
    "quick",
]
