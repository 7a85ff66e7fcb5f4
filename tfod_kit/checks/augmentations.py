"""The check `augmentations`: augmentations that upstream's published package cannot run."""

from tfod_kit.checks.base import Check, CheckContext, Needs
from tfod_kit.checks.findings import CheckFindings, Location
from tfod_kit.pipeline_config import augmentations


def check_augmentations(context: CheckContext, findings: CheckFindings) -> None:
    """Finds augmentations that fail when the input is built."""
    for option in context.config.train_config.data_augmentation_options:
        name = option.WhichOneof("preprocessing_step")
        if name in augmentations.UNAVAILABLE:
            findings.error(
                "augmentation_unavailable",
                "An augmentation needs TensorFlow 1: training stops with 'NameError: name "
                "'contrib_training' is not defined'.",
                Location("train_config.data_augmentation_options", found=name),
                fix="Remove it; `tfod configure --augment` lists others.",
            )


CHECK = Check(
    name="augmentations",
    covers="augmentations that cannot run",
    codes=("augmentation_unavailable",),
    run=check_augmentations,
    needs=Needs.MODEL,
    quick=True,
)
