"""The check `inputs`: whether the config and the label map can be read at all."""

from tfod_kit.checks.base import Check, CheckContext
from tfod_kit.checks.findings import CheckFindings
from tfod_kit.configuration.dataset import LABEL_MAP


def check_inputs(context: CheckContext, findings: CheckFindings) -> None:
    """Reports what could not be opened when the target was put together."""
    target = context.target
    for code, error in target.unreadable:
        findings.from_error(code, error, target.folder)
    without_label_map = all(split.label_map is None for split in target.splits)
    if target.config_path is None and without_label_map and not target.unreadable:
        findings.note(
            "label_map_absent",
            f"There is no {LABEL_MAP} beside the records, so classes are not compared.",
            fix="Name one with --label_map.",
        )


CHECK = Check(
    name="inputs",
    covers="the config and the label map as files",
    codes=("config_unreadable", "label_map_absent", "label_map_unusable"),
    run=check_inputs,
    quick=True,
)
