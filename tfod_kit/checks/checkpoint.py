"""Where a training starts from: the checkpoint to fine-tune, and what the run folder holds."""

import math
from pathlib import Path
from typing import Any

from tfod_kit import pipeline_config
from tfod_kit.checks.findings import CheckFindings, Location
from tfod_kit.checks.inputs import CheckTarget
from tfod_kit.compat import protos
from tfod_kit.configuration import CONFIG
from tfod_kit.configuration.start import checkpoint_type
from tfod_kit.errors import TfodKitError
from tfod_kit.runs import checkpoint_index, checkpoints

# What upstream can restore from each content (meta architectures' restore_from_objects).
_BYTES = {"float32": 4, "float64": 8, "int32": 4, "int64": 8, "bool": 1, "float16": 2}
_FITTING = {"detection": ("detection", "full", "fine_tune"), "classification": ("classification",)}


def check(target: CheckTarget, findings: CheckFindings) -> None:
    """Looks at fine_tune_checkpoint and at the run's own checkpoints."""
    settings = target.config.train_config
    own = checkpoints.latest(target.folder) if target.folder is not None else None
    if own is not None:
        _check_resume(target, own, settings, findings)
    prefix = settings.fine_tune_checkpoint
    if prefix and "://" not in prefix and Path(f"{prefix}.index").is_file():
        _check_prefix(Path(prefix), target, settings, findings)


def _check_resume(target: CheckTarget, own: Path, settings: Any, findings: CheckFindings) -> None:
    if fault := _fault(own):
        # Training passes over it for the one before (engine/train.py), so it is no error.
        findings.warning(
            "checkpoint_damaged",
            "The run folder's newest checkpoint is damaged; training resumes from the one before.",
            fault,
            fix="Remove it, if it will not be copied again.",
        )
        return
    step = checkpoints.number(own)
    if settings.num_steps and step >= settings.num_steps:
        findings.warning(
            "already_trained",
            "The run folder's checkpoint is at the last step: `tfod train` has nothing to do.",
            Location(str(own), found=f"step {step:,} of {settings.num_steps:,}"),
            fix="Raise the steps, or configure a new run folder.",
        )
    else:
        ignored = ", and fine_tune_checkpoint is not used" if settings.fine_tune_checkpoint else ""
        findings.note(
            "resumes",
            f"The run folder holds a checkpoint: training goes on from it{ignored}.",
            Location(str(own), found=f"step {step:,}"),
            fix="To start anew, configure a new run folder.",
        )


def _check_whole(prefix: Path, findings: CheckFindings) -> None:
    """Whether a checkpoint to start from can be read to its end."""
    if fault := _fault(prefix):
        findings.error(
            "checkpoint_damaged",
            "The checkpoint is damaged: restoring from it fails.",
            fault,
            fix="Copy it again, or take an earlier one.",
        )


def _fault(prefix: Path) -> Location | None:
    """Where an index is none, or the data files are smaller than the variables that it lists."""
    try:
        variables = checkpoint_index.read(prefix)
    except TfodKitError as error:
        return Location(str(error.where), found=str(error.found))
    needed = sum(math.prod(each.shape) * _BYTES.get(each.dtype, 0) for each in variables.values())
    there = sum(path.stat().st_size for path in prefix.parent.glob(f"{prefix.name}.data-*"))
    if there >= needed:
        return None
    return Location(str(prefix), found=f"{there:,} bytes, at least {needed:,} belong there")


def _check_prefix(
    prefix: Path, target: CheckTarget, settings: Any, findings: CheckFindings
) -> None:
    where = Location("train_config.fine_tune_checkpoint", found=str(prefix))
    try:
        checkpoints.resolve(prefix)
        holds = checkpoint_type(prefix)
    except TfodKitError as error:
        findings.refused("checkpoint_unusable", error, prefix)
        return
    _check_whole(prefix, findings)
    if settings.fine_tune_checkpoint_version != protos.load("train").CheckpointVersion.Value("V2"):
        findings.error(
            "checkpoint_version",
            "fine_tune_checkpoint_version is not V2: training stops with 'Checkpoint version "
            "should be V2'.",
            where,
            fix="Set fine_tune_checkpoint_version: V2 (`tfod configure` does).",
        )
    kind = settings.fine_tune_checkpoint_type
    if kind and kind not in _FITTING[holds]:
        findings.error(
            "checkpoint_type",
            f"fine_tune_checkpoint_type is {kind!r}, and the checkpoint holds "
            f"{'a whole detector' if holds == 'detection' else 'a backbone'}: too little is "
            "restored, and little is learned.",
            where,
            fix=f"Set it to {holds!r} (`tfod configure --checkpoint` does).",
        )
    _check_same_model(prefix, target, where, findings)


def _check_same_model(
    prefix: Path, target: CheckTarget, where: Location, findings: CheckFindings
) -> None:
    """A zoo archive and a run folder hold the config that the checkpoint was trained with."""
    beside = next((each / CONFIG for each in prefix.parents[:2] if (each / CONFIG).is_file()), None)
    if beside is None or beside == target.config_path:
        return
    try:
        theirs, _ = pipeline_config.load_foreign(beside)
        ours = pipeline_config.model_of(target.config).feature_extractor.type
        other = pipeline_config.model_of(theirs).feature_extractor.type
    except TfodKitError:
        return  # a config that cannot be read says nothing about the checkpoint
    if ours != other:
        findings.error(
            "checkpoint_of_other_model",
            f"The checkpoint is of {other!r}, and the config's model is {ours!r}: nearly nothing "
            "is restored.",
            where,
            fix="Take a checkpoint of the same model, or configure that model.",
        )
