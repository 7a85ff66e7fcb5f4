"""A run to break and check, and what `tfod check` finds in it."""

from pathlib import Path

from tfod_kit import checks, pipeline_config
from tfod_kit.checks import CheckOptions


def find(folder: Path, code: str, options: CheckOptions | None = None) -> checks.Finding:
    """The finding with a code in the folder's run."""
    report = checks.check(folder / "run", options or CheckOptions())
    return next(finding for finding in report.findings if finding.code == code)


def edit(folder: Path, **fields: str) -> None:
    """Sets fields of the run's config; __ stands for the dots of their paths."""
    path = folder / "run" / "pipeline.config"
    config = pipeline_config.load(path)
    for name, text in fields.items():
        pipeline_config.set_field(config, name.replace("__", "."), text)
    pipeline_config.save(config, path)
