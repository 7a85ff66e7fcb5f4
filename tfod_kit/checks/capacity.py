"""The check `capacity`: room for every object of an image, and for a batch in the data set."""

from tfod_kit.checks.base import Check, CheckContext, Needs
from tfod_kit.checks.findings import CheckFindings, Location
from tfod_kit.checks.targets import TRAIN


def check_capacity(context: CheckContext, findings: CheckFindings) -> None:
    """Compares max_number_of_boxes and batch_size with what the records hold."""
    training = context.config.train_config
    for split, facts in context.scanned():
        if not facts.records or split.reader is None:
            continue
        room = (training if split.name == TRAIN else split.reader).max_number_of_boxes
        most = max(facts.objects, default=0)
        if most > room:
            findings.warning(
                "too_many_objects",
                f"An image has more objects than max_number_of_boxes, {room}: the others are "
                "silently left out.",
                facts.location(facts.objects.index(most), f"{most} objects"),
                fix=f"Set max_number_of_boxes to {most} (`tfod configure` does).",
            )
    train = context.train
    if context.reads_all and train is not None and 0 < train.records < training.batch_size:
        findings.warning(
            "batch_above_images",
            "The batch is larger than the training set.",
            Location(
                context.config_name,
                found=f"batch_size {training.batch_size}, {train.records} images",
            ),
            fix=f"Set batch_size to {train.records} or less.",
        )


CHECK = Check(
    name="capacity",
    covers="room for objects and batches",
    codes=("too_many_objects", "batch_above_images"),
    run=check_capacity,
    needs=Needs.MODEL,
)
