"""The check `config`: what in the config cannot work on this machine."""

from tfod_kit import pipeline_config
from tfod_kit.checks.base import Check, CheckContext, Needs
from tfod_kit.checks.findings import CheckFindings


def check_config(context: CheckContext, findings: CheckFindings) -> None:
    """Reports each of the config's errors."""
    for error in pipeline_config.validate(context.config):
        # Files in a bucket are missing only from this machine's point of view.
        if not (context.options.tpu and "do not exist" in error.problem):
            findings.from_error("config", error, context.target.config_path)


CHECK = Check(
    name="config",
    covers="the config's fields, files and label map",
    codes=("config",),
    run=check_config,
    needs=Needs.CONFIG,
    quick=True,
)
