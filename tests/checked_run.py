"""What `tfod check` finds in a run, and how tests change the run's config."""

from pathlib import Path

from tfod_kit import checks, pipeline_config
from tfod_kit.checks import CheckOptions


def find(run: Path, code: str, options: CheckOptions | None = None) -> checks.Finding:
    """The finding with a code; a run without it fails the test."""
    findings = checks.check(run, options or CheckOptions()).findings
    matching = [finding for finding in findings if finding.code == code]
    assert matching, f"{code} is not among {[finding.code for finding in findings]}"
    return matching[0]


def edit(run: Path, **fields: str) -> None:
    """Sets fields of the run's config; __ stands for the dots of their paths."""
    path = run / "pipeline.config"
    config = pipeline_config.load(path)
    for name, text in fields.items():
        pipeline_config.set_field(config, name.replace("__", "."), text)
    pipeline_config.save(config, path)
