"""The check `variables`: a checkpoint's variables against the model's. It loads TensorFlow."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tfod_kit.checks.base import Check, CheckContext, Needs
from tfod_kit.checks.findings import EXAMPLES, CheckFindings, Location
from tfod_kit.errors import TfodKitError
from tfod_kit.pipeline_config import anchors
from tfod_kit.runs import checkpoints

if TYPE_CHECKING:
    from tfod_kit.engine.restore import Restored

_FIX = "Use a checkpoint of exactly this model, or configure the model that the checkpoint is of."


def check_variables(context: CheckContext, findings: CheckFindings) -> None:
    """Builds the model, and compares its variables with those that training will restore.

    Runs only with the option `variables`, and only if nothing else is an error.
    """
    if not context.options.variables or findings.has_errors:
        return
    folder = context.target.folder
    own = checkpoints.latest(folder) if folder is not None else None
    settings = context.config.train_config
    prefix = own or Path(settings.fine_tune_checkpoint)
    if not prefix.with_name(f"{prefix.name}.index").is_file():
        return
    try:
        restored = _restored(context, prefix, "full" if own else settings.fine_tune_checkpoint_type)
    except TfodKitError as error:
        findings.from_error("variables_unknown", error, prefix)
        return
    _report(restored, str(prefix), findings)


def _report(restored: "Restored", prefix: str, findings: CheckFindings) -> None:
    if restored.missing:
        findings.error(
            "variables_missing",
            "Variables of the model are not in the checkpoint: they would start from random "
            "values.",
            *(Location(prefix, found=name) for name in list(restored.missing)[:EXAMPLES]),
            fix=_FIX,
            count=len(restored.missing),
        )
    if restored.other_shape:
        findings.error(
            "variables_of_other_shape",
            "Variables have another shape in the checkpoint.",
            *(
                Location(prefix, found=f"{name}: {theirs} there, {ours} in the model")
                for name, (ours, theirs) in list(restored.other_shape.items())[:EXAMPLES]
            ),
            fix=_FIX,
            count=len(restored.other_shape),
        )
    if restored.complete:
        count = len(restored.initialised)
        fresh = f", {count} start from random values" if count else ""
        findings.note(
            "variables_fit",
            "The checkpoint fits the model.",
            Location(prefix, found=f"{len(restored.matched)} variables are restored{fresh}"),
        )


def _restored(context: CheckContext, prefix: Path, checkpoint_type: str) -> "Restored":
    from tfod_kit.engine import fine_tuning, restore
    from tfod_kit.engine import model as models

    model = models.build(context.config, is_training=False, where=context.target.config_path)
    models.create_variables(model, *(anchors.canvas(context.config) or (256, 256)))
    report = restore.restored(model, prefix, checkpoint_type)
    if checkpoint_type != "detection" or not report.complete:
        return report
    plan = fine_tuning.plan(model, context.config, prefix, fine_tuning.RestoreOptions())
    return replace(
        report,
        matched={name: plan.shapes[name] for name in (*plan.copied, *plan.by_class)},
        initialised={name: plan.shapes[name] for name in plan.new},
    )


CHECK = Check(
    name="variables",
    covers="the checkpoint's variables, with `--variables`",
    codes=(
        "variables_fit",
        "variables_missing",
        "variables_of_other_shape",
        "variables_unknown",
    ),
    run=check_variables,
    needs=Needs.MODEL,
)
