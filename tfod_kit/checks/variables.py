"""Whether a checkpoint's variables fit the config's model: the one check that loads TensorFlow."""

from pathlib import Path
from typing import TYPE_CHECKING

from tfod_kit.checks.findings import CheckFindings, Location
from tfod_kit.checks.inputs import CheckTarget
from tfod_kit.errors import TfodKitError
from tfod_kit.pipeline_config import anchors
from tfod_kit.runs import checkpoints

if TYPE_CHECKING:
    from tfod_kit.engine.restore import Restored

_FIX = "Take a checkpoint of this very model, or configure the model that the checkpoint is of."
_SHOWN = 5


def check(target: CheckTarget, findings: CheckFindings) -> None:
    """Builds the model, and compares each of its variables with what training will start from."""
    own = checkpoints.latest(target.folder) if target.folder is not None else None
    settings = target.config.train_config
    prefix = own or Path(settings.fine_tune_checkpoint)
    kind = "full" if own else settings.fine_tune_checkpoint_type
    if not prefix.with_name(f"{prefix.name}.index").is_file():
        return
    try:
        restored = _restored(target, prefix, kind)
    except TfodKitError as error:
        findings.refused("variables_unknown", error, prefix)
        return
    where = str(prefix)
    if restored.missing:
        findings.error(
            "variables_missing",
            "Variables of the model are not in the checkpoint: they would start from random "
            "values.",
            *(Location(where, found=name) for name in list(restored.missing)[:_SHOWN]),
            fix=_FIX,
            count=len(restored.missing),
        )
    if restored.other_shape:
        findings.error(
            "variables_of_other_shape",
            "Variables have another shape in the checkpoint.",
            *(
                Location(where, found=f"{name}: {theirs} there, {mine} in the model")
                for name, (mine, theirs) in list(restored.other_shape.items())[:_SHOWN]
            ),
            fix=_FIX,
            count=len(restored.other_shape),
        )
    if restored.complete:
        anew = f", {len(restored.anew)} start anew" if restored.anew else ""
        findings.note(
            "variables_fit",
            "The checkpoint fits the model.",
            Location(where, found=f"{len(restored.matched)} variables are restored{anew}"),
        )


def _restored(target: CheckTarget, prefix: Path, kind: str) -> "Restored":
    from tfod_kit.engine import model as models
    from tfod_kit.engine import restore, runtime

    tf = runtime.start()
    model = models.build(target.config, is_training=True, where=target.config_path)
    height, width = anchors.canvas(target.config) or (256, 256)
    model.predict(*model.preprocess(tf.zeros((1, height, width, 3))))
    return restore.restored(model, prefix, kind)
