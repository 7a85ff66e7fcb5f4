"""The check `checkpoint`: the checkpoint to fine-tune, and those that the run folder holds."""

import math
from pathlib import Path

from tfod_kit import pipeline_config
from tfod_kit.checks.base import Check, CheckContext, Needs
from tfod_kit.checks.findings import CheckFindings, Location
from tfod_kit.compat import protos
from tfod_kit.configuration import CONFIG
from tfod_kit.configuration.start import checkpoint_type
from tfod_kit.errors import TfodKitError
from tfod_kit.pipeline_config import PipelineConfig, is_remote
from tfod_kit.runs import checkpoint_index, checkpoints, run_lock

_BYTES = {"float32": 4, "float64": 8, "int32": 4, "int64": 8, "bool": 1, "float16": 2}
# The types that restore each content (restore_from_objects of upstream's meta architectures).
_FITTING = {"detection": ("detection", "full", "fine_tune"), "classification": ("classification",)}


def check_checkpoint(context: CheckContext, findings: CheckFindings) -> None:
    """Looks at the run's own checkpoints, and at fine_tune_checkpoint."""
    settings = context.config.train_config
    folder = context.target.folder
    own = checkpoints.latest(folder) if folder is not None else None
    if own is not None:
        _check_resume(own, context, findings)
    prefix = settings.fine_tune_checkpoint
    if prefix and not is_remote(prefix) and Path(f"{prefix}.index").is_file():
        _check_fine_tune(Path(prefix), context, findings)


def _check_resume(own: Path, context: CheckContext, findings: CheckFindings) -> None:
    settings = context.config.train_config
    if damage := _confirmed_damage(own, context.quick):
        # Training falls back to the checkpoint before it, so this is not an error.
        findings.warning(
            "checkpoint_damaged",
            "The run folder's newest checkpoint is damaged; training resumes from the one before.",
            damage,
            fix="Nothing needs to be done; copy it again if there is a copy.",
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
        return
    ignored = ", and fine_tune_checkpoint is not used" if settings.fine_tune_checkpoint else ""
    findings.note(
        "resumes",
        f"The run folder holds a checkpoint: training resumes from it{ignored}.",
        Location(str(own), found=f"step {step:,}"),
        fix="To start from the beginning, configure a new run folder.",
    )


def _check_fine_tune(prefix: Path, context: CheckContext, findings: CheckFindings) -> None:
    settings = context.config.train_config
    where = Location("train_config.fine_tune_checkpoint", found=str(prefix))
    try:
        checkpoints.resolve(prefix)
        content = checkpoint_type(prefix)
    except TfodKitError as error:
        findings.from_error("checkpoint_unusable", error, prefix)
        return
    if damage := _damage(prefix, context.quick):
        findings.error(
            "checkpoint_damaged",
            "The checkpoint is damaged: restoring from it fails.",
            damage,
            fix="Copy it again, or use an earlier one.",
        )
    if settings.fine_tune_checkpoint_version != protos.load("train").CheckpointVersion.Value("V2"):
        findings.error(
            "checkpoint_version",
            "fine_tune_checkpoint_version is not V2: training stops with 'Checkpoint version "
            "should be V2'.",
            where,
            fix="Set fine_tune_checkpoint_version: V2 (`tfod configure` does).",
        )
    given = settings.fine_tune_checkpoint_type
    if given and given not in _FITTING[content]:
        findings.error(
            "checkpoint_type",
            f"fine_tune_checkpoint_type is {given!r}, and the checkpoint holds "
            f"{'a whole detector' if content == 'detection' else 'a backbone'}: too little is "
            "restored, and little is learned.",
            where,
            fix=f"Set it to {content!r} (`tfod configure --checkpoint` does).",
        )
    _check_same_model(prefix, context, where, findings)


def _confirmed_damage(prefix: Path, quick: bool) -> Location | None:
    """The damage of a run's own checkpoint, unless a training in progress is writing to the run."""
    if _damage(prefix, quick) is None or run_lock.other_writer(prefix.parent) is not None:
        return None
    return _damage(prefix, quick)


def _damage(prefix: Path, quick: bool) -> Location | None:
    """What is wrong if the index is invalid, or the data files do not hold its variables.

    Args:
      prefix: the checkpoint.
      quick: whether to compare sizes alone; restoring compares the checksums too.
    """
    try:
        variables = checkpoint_index.read(prefix)
    except TfodKitError as error:
        return Location(str(error.where), found=str(error.found))
    needed = sum(math.prod(each.shape) * _BYTES.get(each.dtype, 0) for each in variables.values())
    present = sum(path.stat().st_size for path in prefix.parent.glob(f"{prefix.name}.data-*"))
    if present < needed:
        return Location(str(prefix), found=f"{present:,} bytes, at least {needed:,} are needed")
    if quick:
        return None
    try:
        tensor = checkpoint_index.damaged(prefix)
    except OSError as error:
        return Location(str(prefix), found=str(error))
    if tensor is None:
        return None
    return Location(str(prefix), found=f"{tensor}: its data do not match their checksum")


def _check_same_model(
    prefix: Path, context: CheckContext, where: Location, findings: CheckFindings
) -> None:
    """Compares with the config that a zoo archive or a run folder holds beside the checkpoint."""
    beside = next((each / CONFIG for each in prefix.parents[:2] if (each / CONFIG).is_file()), None)
    if beside is None or beside == context.target.config_path:
        return
    try:
        theirs = _extractor(pipeline_config.load_foreign(beside)[0])
    except TfodKitError:
        return  # an unreadable config gives no information about the checkpoint
    ours = _extractor(context.config)
    if ours != theirs:
        findings.error(
            "checkpoint_of_other_model",
            f"The checkpoint is of {theirs!r}, and the config's model is {ours!r}: nearly nothing "
            "is restored.",
            where,
            fix="Use a checkpoint of the same model, or configure that model.",
        )


def _extractor(config: PipelineConfig) -> str:
    return pipeline_config.model_of(config).feature_extractor.type


CHECK = Check(
    name="checkpoint",
    covers="the checkpoint that training starts from",
    codes=(
        "checkpoint_unusable",
        "checkpoint_damaged",
        "checkpoint_type",
        "checkpoint_version",
        "checkpoint_of_other_model",
        "resumes",
        "already_trained",
    ),
    run=check_checkpoint,
    needs=Needs.MODEL,
    quick=True,
)
